//! Two ways to make the same call through the edge: as REST by the method's canonical `google.api.http` rule, and as
//! gRPC. A scenario names the RPC and gives the request as JSON; it cannot tell the lanes apart.
//!
//! The REST lane encodes requests from descriptors by itself: it is a client, not the edge's code run backwards.

use std::sync::OnceLock;

use bytes::{Buf as _, BufMut as _};
use malla_contracts::descriptors;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::{Map, Value, json};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::Mesh;

/// A call that failed, however it was made.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// A way to call the mesh, with or without a token.
#[derive(Clone)]
pub(crate) struct Lane {
    way: Way,
    token: Option<String>,
    key: Option<String>,
}

#[derive(Clone)]
enum Way {
    Rest { http: reqwest::Client, edge: String },
    Grpc(Channel),
}

/// The contracts of the whole mesh.
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut pool = DescriptorPool::new();
        for bytes in [
            descriptors::AVAILABILITY,
            descriptors::PRICING,
            descriptors::COMMENTS,
            descriptors::QUEUE,
            descriptors::FILES,
            descriptors::SEARCH,
            descriptors::USERS,
            descriptors::BEERS,
            descriptors::ORDERS,
            descriptors::OPERATIONS,
        ] {
            pool.decode_file_descriptor_set(bytes).unwrap();
        }
        pool
    })
}

impl Lane {
    pub(crate) fn rest(mesh: &Mesh) -> Self {
        Self { way: Way::Rest { http: reqwest::Client::new(), edge: mesh.edge().to_owned() }, token: None, key: None }
    }

    pub(crate) async fn grpc(mesh: &Mesh) -> Self {
        let channel = Channel::from_shared(mesh.edge().to_owned()).unwrap().connect().await.unwrap();
        Self { way: Way::Grpc(channel), token: None, key: None }
    }

    /// The same lane with a token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same lane with an idempotency key on every call.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The lane's token.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("a lane with a token")
    }

    /// Calls a unary RPC: `"malla.beers.v1.BeersService/GetBeer"`.
    pub(crate) async fn call(&self, rpc: &str, request: Value) -> Result<Value, Failure> {
        let (service, name) = rpc.split_once('/').unwrap();
        let service = pool().get_service_by_name(service).unwrap_or_else(|| panic!("{service} is in no contract"));
        let method = service.methods().find(|method| method.name() == name).unwrap_or_else(|| panic!("no {rpc}"));
        match &self.way {
            Way::Rest { http, edge } => self.call_rest(http, edge, &method, request).await,
            Way::Grpc(channel) => self.call_grpc(channel.clone(), &method, &request).await,
        }
    }

    /// Calls a unary RPC of a process that may die meanwhile: `None` when the connection was lost with the answer.
    pub(crate) async fn call_or_lose(&self, rpc: &str, request: Value) -> Option<Result<Value, Failure>> {
        let (lane, rpc) = (self.clone(), rpc.to_owned());
        tokio::spawn(async move { lane.call(&rpc, request).await }).await.ok()
    }

    /// Registers and logs in a user, and returns the lane with its token.
    pub(crate) async fn user(&self, name: &str) -> Self {
        let account = json!({"username": name, "mail": format!("{name}@example.com"), "password": "Secret1word"});
        self.call("malla.users.v1.UsersService/Register", account).await.unwrap();
        let credentials = json!({"username": name, "password": "Secret1word"});
        let login = self.call("malla.users.v1.UsersService/Login", credentials).await.unwrap();
        self.with_token(login["token"].as_str().unwrap())
    }

    async fn call_rest(
        &self,
        http: &reqwest::Client,
        edge: &str,
        method: &MethodDescriptor,
        request: Value,
    ) -> Result<Value, Failure> {
        let rule = HttpRule::of(method);
        let Value::Object(mut fields) = request else { panic!("a request is an object") };
        let path = rule.fill(&mut fields);
        let body = match rule.body.as_str() {
            "" => None,
            "*" => Some(Value::Object(std::mem::take(&mut fields))),
            field => Some(fields.remove(field).unwrap_or(Value::Null)),
        };
        let verb = reqwest::Method::from_bytes(rule.verb.to_uppercase().as_bytes()).unwrap();
        let mut request = http.request(verb, format!("{edge}{path}")).query(&query(&fields));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let body: Value = if text.is_empty() { json!({}) } else { serde_json::from_str(&text).expect(&text) };
        if !status.is_success() {
            let code = Code::from_i32(body["code"].as_i64().expect(&text).try_into().unwrap());
            return Err(Failure { code, message: body["message"].as_str().expect(&text).to_owned() });
        }
        Ok(if rule.response_body.is_empty() || text.is_empty() { body } else { json!({ rule.response_body: body }) })
    }

    async fn call_grpc(&self, channel: Channel, method: &MethodDescriptor, request: &Value) -> Result<Value, Failure> {
        let message = DynamicMessage::deserialize(method.input(), request).unwrap();
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(key) = &self.key {
            request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        }
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let answer = client.unary(request, path.parse().unwrap(), Dynamic(method.output())).await;
        let message = answer.map_err(|status| Failure { code: status.code(), message: status.message().to_owned() })?;
        let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
        Ok(message.into_inner().serialize_with_options(serde_json::value::Serializer, &options).unwrap())
    }
}

/// What a method's first binding says.
struct HttpRule {
    verb: String,
    path: String,
    body: String,
    response_body: String,
}

impl HttpRule {
    fn of(method: &MethodDescriptor) -> Self {
        let extension = pool().get_extension_by_name("google.api.http").unwrap();
        let options = method.options();
        let rule = options.get_extension(&extension);
        let rule = rule.as_message().unwrap();
        let text = |name: &str| rule.get_field_by_name(name).unwrap().as_str().unwrap_or_default().to_owned();
        let verbs = ["get", "put", "post", "delete", "patch"];
        let verb = verbs.into_iter().find(|verb| rule.has_field_by_name(verb)).expect("a binding");
        Self { verb: verb.to_owned(), path: text(verb), body: text("body"), response_body: text("response_body") }
    }

    /// The path with its variables taken out of the fields.
    fn fill(&self, fields: &mut Map<String, Value>) -> String {
        let mut path = String::new();
        let mut rest = self.path.as_str();
        while let Some((literal, tail)) = rest.split_once('{') {
            let (variable, tail) = tail.split_once('}').unwrap();
            let (name, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
            let value = match fields.remove(name) {
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
                None => String::new(),
            };
            path.push_str(literal);
            for byte in value.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
                    b'/' if pattern.contains("**") => path.push('/'),
                    _ => path.push_str(&format!("%{byte:02X}")),
                }
            }
            rest = tail;
        }
        path + rest
    }
}

fn query(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Array(items) => pairs.extend(items.iter().map(|item| (name.clone(), text(item)))),
            value => pairs.push((name.clone(), text(value))),
        }
    }
    pairs
}

/// Sends and takes dynamic messages; holds the output type.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item.encode_to_vec());
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        DynamicMessage::decode(self.0.clone(), bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

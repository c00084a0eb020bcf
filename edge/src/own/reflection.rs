//! Server reflection for all backends together, each told from its own descriptors: two backends may have different files
//! of one name, and different messages.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use prost::{DecodeError, Message as _};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::ServerReflection;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::load::{Backend, OWN_SERVICES};
use crate::upstream::files::Set;

#[cfg(test)]
mod tests;

/// Most bytes of the imports that come with a file: clients take 4 MiB by default. The others can be asked for.
const IMPORTS_BYTES_MAX: usize = 1 << 20;

/// The contracts of all backends, in their order, and last the edge's own.
#[derive(Debug)]
pub(super) struct Reflection(Arc<[Contract]>);

/// The services of one backend, and the files that declare them.
#[derive(Debug)]
struct Contract {
    services: Vec<String>,
    files: Vec<File>,
    /// The files' places, by name.
    names: HashMap<String, usize>,
    /// The places of the files that declare something, by its full name.
    symbols: HashMap<String, usize>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    imports: Vec<String>,
}

impl Reflection {
    /// # Errors
    /// Descriptors that cannot be read.
    pub(super) fn new(backends: &[Backend]) -> Result<Self, DecodeError> {
        // Sets in a row are one set.
        let own = [tonic_health::pb::FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];
        let own = Contract::read(OWN_SERVICES.map(str::to_owned).into(), own.concat().into());
        let read = |backend: &Backend| Contract::read(backend.services.clone(), backend.descriptors.clone());
        backends.iter().map(read).chain([own]).collect::<Result<_, _>>().map(Self)
    }
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (contracts, mut last) = (self.0.clone(), 0);
        let answers = request.into_inner().map_ok(move |asked| {
            let found = asked.message_request.as_ref().ok_or_else(|| Status::invalid_argument("nothing is asked for"));
            let answer = found.and_then(|asked| answer(&contracts, &mut last, asked)).unwrap_or_else(|status| {
                let (error_code, error_message) = (status.code().into(), status.message().to_owned());
                MessageResponse::ErrorResponse(ErrorResponse { error_code, error_message })
            });
            ServerReflectionResponse {
                valid_host: asked.host.clone(),
                original_request: Some(asked),
                message_response: Some(answer),
            }
        });
        Ok(Response::new(answers.boxed()))
    }
}

/// Answers from the backend that serves what is asked for, else from the one that the stream was last answered from, as
/// long as it has it: who asks for a file by its name has seen it imported.
fn answer(contracts: &[Contract], last: &mut usize, asked: &MessageRequest) -> Result<MessageResponse, Status> {
    let mut files = |owner: Option<usize>, what: &str, find: fn(&Contract) -> &HashMap<String, usize>| {
        let mut order = owner.into_iter().chain([*last]).chain(0..contracts.len());
        let found = order.find_map(|at| Some((at, *find(&contracts[at]).get(what)?)));
        let (at, file) = found.ok_or_else(|| Status::not_found(format!("{what:?} is not declared by any backend")))?;
        *last = at;
        let file_descriptor_proto = contracts[at].with_imports(file);
        Ok(MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto }))
    };
    match asked {
        MessageRequest::FileByFilename(name) => files(None, name, |contract| &contract.names),
        MessageRequest::FileContainingSymbol(symbol) => {
            let owner = contracts.iter().position(|contract| contract.serves(symbol));
            files(owner, symbol, |contract| &contract.symbols)
        }
        MessageRequest::ListServices(_) => {
            let names: BTreeSet<&String> = contracts.iter().flat_map(|contract| &contract.services).collect();
            let service = names.into_iter().map(|name| ServiceResponse { name: name.clone() }).collect();
            Ok(MessageResponse::ListServicesResponse(ListServiceResponse { service }))
        }
        // None are told, but there are clients that take an error here for the end.
        MessageRequest::AllExtensionNumbersOfType(name) => {
            let none = ExtensionNumberResponse { base_type_name: name.clone(), extension_number: Vec::new() };
            Ok(MessageResponse::AllExtensionNumbersResponse(none))
        }
        MessageRequest::FileContainingExtension(_) => Err(Status::not_found("extensions are not told by number")),
    }
}

impl Contract {
    fn read(services: Vec<String>, descriptors: Bytes) -> Result<Self, DecodeError> {
        let mut contract = Self { services, files: Vec::new(), names: HashMap::new(), symbols: HashMap::new() };
        for (at, bytes) in Set::decode(descriptors)?.file.into_iter().enumerate() {
            let file = FileDescriptorProto::decode(bytes.clone())?;
            for symbol in symbols(&file) {
                contract.symbols.entry(symbol).or_insert(at);
            }
            contract.names.entry(file.name().to_owned()).or_insert(at);
            contract.files.push(File { bytes, imports: file.dependency });
        }
        Ok(contract)
    }

    /// Whether it is one of its services, or of their methods.
    fn serves(&self, symbol: &str) -> bool {
        let service = symbol.rsplit_once('.').map_or("", |(service, _)| service);
        self.services.iter().any(|one| one == symbol || one == service)
    }

    /// A file, and what it imports, the nearest first.
    fn with_imports(&self, file: usize) -> Vec<Vec<u8>> {
        let (mut seen, mut waiting) = (HashSet::from([file]), VecDeque::from([file]));
        let (mut files, mut bytes) = (Vec::new(), 0);
        while let Some(File { bytes: file, imports }) = waiting.pop_front().map(|at| &self.files[at]) {
            bytes += file.len();
            if !files.is_empty() && bytes > IMPORTS_BYTES_MAX {
                break;
            }
            files.push(file.to_vec());
            let imports = imports.iter().filter_map(|name| self.names.get(name).copied());
            waiting.extend(imports.filter(|import| seen.insert(*import)));
        }
        files
    }
}

/// The full names of all that a file declares.
fn symbols(file: &FileDescriptorProto) -> Vec<String> {
    let (package, mut names) = (file.package(), Vec::new());
    for service in &file.service {
        let name = within(package, service.name());
        names.extend(service.method.iter().map(|method| within(&name, method.name())));
        names.push(name);
    }
    declared(package, &file.message_type, &file.enum_type, &file.extension, &mut names);
    names
}

fn declared(
    scope: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
    fields: &[FieldDescriptorProto],
    names: &mut Vec<String>,
) {
    names.extend(fields.iter().map(|field| within(scope, field.name())));
    for one in enums {
        names.push(within(scope, one.name()));
        // They stand beside their enum, not within it.
        names.extend(one.value.iter().map(|value| within(scope, value.name())));
    }
    for message in messages {
        let name = within(scope, message.name());
        names.extend(message.field.iter().map(|field| within(&name, field.name())));
        names.extend(message.oneof_decl.iter().map(|oneof| within(&name, oneof.name())));
        declared(&name, &message.nested_type, &message.enum_type, &message.extension, names);
        names.push(name);
    }
}

fn within(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

//! A client of server reflection: `grpc.reflection.v1`, or `v1alpha` where that is all there is. The two have the same
//! messages under different names, so one client speaks both.

use bytes::Bytes;
use futures_util::stream;
use http::uri::PathAndQuery;
use malla_runtime::link::Link;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tower::ServiceExt as _;

use super::ReadError;
use super::files::Files;
use crate::call::checked::checked;
use crate::load::OWN_SERVICES;
use malla_runtime::codec::BytesCodec;

const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// Most services of one backend.
const SERVICES_MAX: usize = 1_000;

/// What a server says of itself.
pub(super) struct Reflected {
    /// Its services, those of `files` alone.
    pub(super) services: Vec<String>,
    /// Services it names and knows no more of.
    pub(super) unknown: Vec<String>,
    pub(super) files: Files,
}

/// Reads the files of the services in `wanted`, or of all the server has where that is empty, with all they import.
pub(super) async fn read(link: &Link, wanted: &[String], bytes_max: usize) -> Result<Reflected, ReadError> {
    let (mut conversation, listed) = Conversation::begin(link, bytes_max).await?;
    let mut services = if wanted.is_empty() { listed } else { wanted.to_vec() };
    services.retain(|service| !OWN_SERVICES.contains(&service.as_str()));
    if services.len() > SERVICES_MAX {
        return Err(ReadError::TooMany(SERVICES_MAX));
    }
    let (mut files, mut unknown) = (Files::new(bytes_max), Vec::new());
    for service in &services {
        if !files.declare(service) {
            let found = conversation.files(MessageRequest::FileContainingSymbol(service.clone())).await?;
            found.into_iter().flatten().try_for_each(|file| files.add(file))?;
            if !files.declare(service) {
                unknown.push(service.clone());
            }
        }
    }
    while let Some((import, by)) = files.missing() {
        let found = conversation.files(MessageRequest::FileByFilename(import.clone())).await?;
        found.into_iter().flatten().try_for_each(|file| files.add(file))?;
        if !files.has(&import) && !files.add_well_known(&import)? {
            return Err(ReadError::Import { import, by });
        }
    }
    services.retain(|service| !unknown.contains(service));
    Ok(Reflected { services, unknown, files })
}

/// One stream of questions and answers.
struct Conversation {
    questions: mpsc::Sender<Bytes>,
    answers: Streaming<Bytes>,
}

impl Conversation {
    /// Begins with the question which services there are, in the newest version the server speaks.
    async fn begin(link: &Link, bytes_max: usize) -> Result<(Self, Vec<String>), ReadError> {
        let mut refusal = Status::unimplemented("");
        for version in VERSIONS {
            match Self::begin_in(link, version, bytes_max).await {
                Err(ReadError::Call(status)) if status.code() == Code::Unimplemented => refusal = status,
                begun => return begun,
            }
        }
        Err(ReadError::Call(Status::unimplemented(format!(
            "it does not have it ({}); name files with its descriptors instead",
            refusal.message()
        ))))
    }

    async fn begin_in(link: &Link, version: &'static str, bytes_max: usize) -> Result<(Self, Vec<String>), ReadError> {
        let (questions, mut asked) = mpsc::channel(1);
        // Asked at once: there are servers that do not begin to answer before.
        let _ = questions.try_send(question(MessageRequest::ListServices(String::new())));
        let asked = Request::new(stream::poll_fn(move |context| asked.poll_recv(context)));
        let link = link.clone().map_response(move |answer| checked(answer, bytes_max));
        let mut client = Grpc::new(link).max_decoding_message_size(bytes_max);
        let path = PathAndQuery::from_static(version);
        let answers = client.streaming(asked, path, BytesCodec).await?.into_inner();
        let mut conversation = Self { questions, answers };
        match conversation.answer().await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok((conversation, list.service.into_iter().map(|service| service.name).collect()))
            }
            MessageResponse::ErrorResponse(error) => Err(refused(error.error_code, error.error_message)),
            _ => Err(ReadError::Nonsense("the list of its services")),
        }
    }

    /// Asks for files; `None` when the server does not know them.
    async fn files(&mut self, asked: MessageRequest) -> Result<Option<Vec<Bytes>>, ReadError> {
        let sent = self.questions.send(question(asked)).await;
        sent.map_err(|_| Status::unavailable("the stream ended"))?;
        match self.answer().await? {
            MessageResponse::FileDescriptorResponse(files) => {
                Ok(Some(files.file_descriptor_proto.into_iter().map(Bytes::from).collect()))
            }
            MessageResponse::ErrorResponse(error) if Code::from(error.error_code) == Code::NotFound => Ok(None),
            MessageResponse::ErrorResponse(error) => Err(refused(error.error_code, error.error_message)),
            _ => Err(ReadError::Nonsense("a file")),
        }
    }

    async fn answer(&mut self) -> Result<MessageResponse, ReadError> {
        let answer = self.answers.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
        ServerReflectionResponse::decode(answer)?.message_response.ok_or(ReadError::Nonsense("anything"))
    }
}

fn question(asked: MessageRequest) -> Bytes {
    ServerReflectionRequest { host: String::new(), message_request: Some(asked) }.encode_to_vec().into()
}

fn refused(code: i32, message: String) -> ReadError {
    ReadError::Call(Status::new(Code::from(code), message))
}

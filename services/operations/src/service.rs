//! `google.longrunning.Operations` in terms of the domain.

use std::sync::Arc;
use std::time::Duration;

use malla_contracts::google::longrunning as proto;
use malla_contracts::google::longrunning::operation::Result as Outcome;
use malla_contracts::google::longrunning::operations_server::Operations;
use malla_contracts::google::rpc;
use malla_contracts::malla::operations::v1::OperationMetadata;
use malla_contracts::malla::operations::v1::operation_metadata::State as Progress;
use malla_runtime::auth::Caller;
use malla_runtime::page;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::status::Invalid;
use malla_storage::database::timestamp;
use malla_storage::wait;
use prost::Message as _;
use prost_types::Any;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::store::{Calls, Entry, Place, Seen, State};

const COLLECTION: &str = "operations";
const METADATA_TYPE: &str = "type.googleapis.com/malla.operations.v1.OperationMetadata";
const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 100;
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The gRPC service.
pub(crate) struct Service {
    calls: Arc<Calls>,
    /// Rung when a call ends in this process.
    ended: Arc<Notify>,
    shutdown: Shutdown,
}

impl Service {
    pub(crate) fn new(calls: Arc<Calls>, ended: Arc<Notify>, shutdown: Shutdown) -> Self {
        Self { calls, ended, shutdown }
    }
}

#[tonic::async_trait]
impl Operations for Service {
    async fn list_operations(
        &self,
        request: Request<proto::ListOperationsRequest>,
    ) -> Result<Response<proto::ListOperationsResponse>, Status> {
        let owner = Caller::user(&request)?.sub;
        let request = request.into_inner();
        check_list(&request)?;
        let size = page::size(request.page_size, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
        let before = page::parsed_key(&request.page_token, Place::parse)?;
        let mut entries = self.calls.entries(&owner, before.as_ref(), size + 1).await?;
        let size = size.min(page::fitting(entries.iter().map(Entry::bytes)));
        let next_page_token = page::cut(&mut entries, size, Entry::place);
        let operations =
            self.calls.read(&owner, entries).await?.into_iter().map(operation).collect::<Result<_, _>>()?;
        Ok(Response::new(proto::ListOperationsResponse { operations, next_page_token, unreachable: Vec::new() }))
    }

    async fn get_operation(
        &self,
        request: Request<proto::GetOperationRequest>,
    ) -> Result<Response<proto::Operation>, Status> {
        let owner = owner(&request);
        let call = self.calls.get(&owner, id(&request.into_inner().name)?).await?;
        Ok(Response::new(operation(call)?))
    }

    async fn delete_operation(&self, request: Request<proto::DeleteOperationRequest>) -> Result<Response<()>, Status> {
        let owner = owner(&request);
        self.calls.delete(&owner, id(&request.into_inner().name)?).await?;
        Ok(Response::new(()))
    }

    async fn cancel_operation(&self, request: Request<proto::CancelOperationRequest>) -> Result<Response<()>, Status> {
        let owner = owner(&request);
        self.calls.cancel(&owner, id(&request.into_inner().name)?).await?;
        self.ended.notify_waiters();
        Ok(Response::new(()))
    }

    async fn wait_operation(
        &self,
        request: Request<proto::WaitOperationRequest>,
    ) -> Result<Response<proto::Operation>, Status> {
        let owner = owner(&request);
        let proto::WaitOperationRequest { name, timeout } = request.into_inner();
        let (id, limit) = (id(&name)?, limit(timeout)?);
        let look = || self.calls.get(&owner, id);
        let call = wait::until(&self.ended, limit, &self.shutdown, look, Seen::is_done).await?;
        Ok(Response::new(operation(call)?))
    }
}

/// Who asks: a user, or nobody in particular.
fn owner<T>(request: &Request<T>) -> String {
    Caller::user(request).map(|claims| claims.sub).unwrap_or_default()
}

fn invalid(field: &'static str, description: &'static str) -> Error {
    Invalid { field, description: description.into() }.into()
}

fn check_list(request: &proto::ListOperationsRequest) -> Result<(), Error> {
    if request.name != COLLECTION {
        return Err(invalid("name", "must be \"operations\""));
    }
    if !request.filter.is_empty() {
        return Err(invalid("filter", "must be empty: filters are not supported"));
    }
    if request.return_partial_success { Err(Error::PartialSuccess) } else { Ok(()) }
}

fn id(name: &str) -> Result<&str, Error> {
    let id = name.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/'));
    id.filter(|id| !id.is_empty()).ok_or_else(|| invalid("name", "must be operations/<id>"))
}

/// How long to wait: as asked, or as long as allowed.
fn limit(timeout: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let asked = timeout.map_or(Ok(WAIT_MAX), Duration::try_from);
    let asked = asked.map_err(|_| invalid("timeout", "must not be negative"))?;
    Ok(asked.min(WAIT_MAX))
}

/// A call as clients see it.
pub(crate) fn operation(call: Seen) -> Result<proto::Operation, Error> {
    let done = call.is_done();
    let metadata = OperationMetadata {
        method: call.method,
        state: match call.state {
            State::Queued => Progress::Queued,
            State::Running => Progress::Running,
            State::Done => Progress::Done,
            State::Cancelled => Progress::Cancelled,
        }
        .into(),
        create_time: Some(timestamp(call.created_ms)),
        update_time: Some(timestamp(call.modified_ms)),
        attempts: call.attempts,
    };
    let result = match (call.error, call.response) {
        (Some(error), _) => Some(Outcome::Error(rpc::Status::decode(error.as_slice())?)),
        (None, Some(response)) => Some(Outcome::Response(Any::decode(response.as_slice())?)),
        (None, None) => None,
    };
    let metadata = Any { type_url: METADATA_TYPE.to_owned(), value: metadata.encode_to_vec() };
    Ok(proto::Operation { name: format!("{COLLECTION}/{}", call.id), metadata: Some(metadata), done, result })
}

#[cfg(test)]
mod tests;

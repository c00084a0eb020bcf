//! `malla.comments.v1` in terms of the domain.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use malla_contracts::malla::comments::v1 as proto;
use malla_contracts::malla::comments::v1::comments_service_server::CommentsService;
use malla_runtime::shutdown::Shutdown;
use malla_runtime::{client, page};
use malla_storage::database::timestamp;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::error::Error;
use crate::feed::Feed;
use crate::rules::{self, Draft};
use crate::store::{Comment, Comments};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    comments: Comments,
    feed: Arc<Feed>,
}

impl Service {
    pub(crate) fn new(comments: Comments, config: &Config, shutdown: Shutdown) -> Self {
        let feed = Feed::new(comments.clone(), config, shutdown);
        Self { comments, feed }
    }
}

#[tonic::async_trait]
impl CommentsService for Service {
    async fn create_comment(
        &self,
        request: Request<proto::CreateCommentRequest>,
    ) -> Result<Response<proto::CreateCommentResponse>, Status> {
        let request = request.into_inner();
        let draft = Draft::new(request.email, request.comment, request.content_id).map_err(Error::from)?;
        let stored = self.comments.create(draft).await?;
        self.feed.wake();
        Ok(Response::new(proto::CreateCommentResponse {
            status: "SUCCESS".to_owned(),
            message: format!("comment created and associated with content_id {}", stored.content_id),
            comment: Some(comment(stored)),
        }))
    }

    async fn list_comments(
        &self,
        request: Request<proto::ListCommentsRequest>,
    ) -> Result<Response<proto::ListCommentsResponse>, Status> {
        let request = request.into_inner();
        rules::content_id(&request.content_id).map_err(Error::from)?;
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let after = page::parsed_key(&request.page_token, |key| key.parse().ok())?.unwrap_or(0);
        let mut comments = self.comments.list(&request.content_id, after, size + 1).await?;
        if comments.is_empty() {
            return Err(Error::UnknownContent(request.content_id).into());
        }
        let bytes = |comment: &Comment| comment.comment.len() + comment.email.len() + comment.content_id.len() + 64;
        let size = size.min(page::fitting(comments.iter().map(bytes)));
        let next_page_token = page::cut(&mut comments, size, |comment| comment.position.to_string());
        let comments = comments.into_iter().map(comment).collect();
        Ok(Response::new(proto::ListCommentsResponse { comments, next_page_token }))
    }

    type WatchCommentsStream = BoxStream<'static, Result<proto::WatchCommentsResponse, Status>>;

    async fn watch_comments(
        &self,
        request: Request<proto::WatchCommentsRequest>,
    ) -> Result<Response<Self::WatchCommentsStream>, Status> {
        let client = client::of(request.metadata().as_ref());
        let proto::WatchCommentsRequest { content_id, after_id } = request.into_inner();
        rules::content_id(&content_id).map_err(Error::from)?;
        let after = rules::position(&after_id).map_err(Error::from)?;
        let watch = self.feed.watch(client, &content_id, after).await?;
        let responses = stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(stored) => Some((Ok(proto::WatchCommentsResponse { comment: Some(comment(stored)) }), Some(watch))),
                Err(last) => Some((Err(last.into()), None)),
            }
        });
        Ok(Response::new(responses.boxed()))
    }
}

fn comment(stored: Comment) -> proto::Comment {
    proto::Comment {
        id: stored.position.to_string(),
        email: stored.email,
        comment: stored.comment,
        content_id: stored.content_id,
        create_time: Some(timestamp(stored.created_ms)),
    }
}

#[cfg(test)]
mod tests;

//! `malla.search.v1` in terms of the domain.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use malla_contracts::malla::search::v1 as proto;
use malla_contracts::malla::search::v1::search_service_server::SearchService;
use malla_runtime::page;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::config::Config;
use crate::error::Error;
use crate::query::{Conditions, Query};
use crate::store::{self, Found, Outcome};

const PAGE_SIZE_MAX: u32 = 1_000;

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    root: PathBuf,
    config: Arc<Config>,
    places: Arc<Semaphore>,
}

impl Service {
    pub(crate) fn new(root: PathBuf, config: Config) -> Self {
        let places = Arc::new(Semaphore::new(config.searches_max));
        Self { root, config: Arc::new(config), places }
    }

    /// Waits for a place, then searches. Dropping this stops the search, which keeps its place until then.
    async fn search(&self, query: Query, after: String, limit: usize) -> Result<Outcome, Error> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (root, config, stop) = (self.root.clone(), self.config.clone(), CancellationToken::new());
        let _stop = stop.clone().drop_guard();
        let search = move || {
            let _place = place;
            store::search(&root, &config, &query, &after, limit, &stop)
        };
        Ok(tokio::task::spawn_blocking(search).await.map_err(io::Error::other)??)
    }
}

#[tonic::async_trait]
impl SearchService for Service {
    async fn search_files(
        &self,
        request: Request<proto::SearchFilesRequest>,
    ) -> Result<Response<proto::SearchFilesResponse>, Status> {
        let proto::SearchFilesRequest { name, substring, glob, pattern, content, page_size, page_token } =
            request.into_inner();
        let query = Query::new(Conditions { name, substring, glob, pattern, content }).map_err(Error::from)?;
        let size = page::size(page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let after = page::key(&page_token)?.unwrap_or_default();
        let Outcome { mut found, incomplete, resume } = self.search(query, after, size as usize + 1).await?;
        let mut next_page_token = page::cut(&mut found, size, |file| file.path.clone());
        if let Some(path) = resume
            && next_page_token.is_empty()
        {
            next_page_token = page::token(&path);
        }
        let files: Vec<_> = found.into_iter().map(file).collect();
        let names = files.iter().map(|file| file.name.clone()).collect();
        Ok(Response::new(proto::SearchFilesResponse { names, files, next_page_token, incomplete }))
    }
}

fn file(found: Found) -> proto::FoundFile {
    proto::FoundFile {
        name: found.path.rsplit('/').next().unwrap_or_default().to_owned(),
        path: found.path,
        size_bytes: i64::try_from(found.size_bytes).unwrap_or(i64::MAX),
        line: found.line,
    }
}

#[cfg(test)]
mod tests;

//! `malla.files.v1` in terms of the domain.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use malla_contracts::google::api::HttpBody;
use malla_contracts::malla::files::v1 as proto;
use malla_contracts::malla::files::v1::files_service_server::FilesService;
use malla_runtime::auth::Caller;
use malla_runtime::places::Places;
use malla_runtime::{page, status};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::config::Config;
use crate::error::Error;
use crate::rules::{FilePath, media_type};
use crate::store::{Entry, Folder, blocking};
use crate::upload::Upload;

const PAGE_SIZE_MAX: u32 = 1_000;
const NAMES_MAX: usize = 10_000;
/// Bytes of a file sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// What has to come of an upload while this long is waited for it: who sends less has a place that others need.
const PACE: (usize, Duration) = (10 * 1024, Duration::from_secs(10));

/// The gRPC service.
#[derive(Debug)]
pub(crate) struct Service {
    folder: Arc<Folder>,
    file_bytes_max: u64,
    uploads: Places,
}

impl Service {
    pub(crate) fn new(folder: Arc<Folder>, config: &Config) -> Self {
        let uploads = Places::new(config.uploads_max, config.uploads_per_user_max);
        Self { folder, file_bytes_max: config.file_bytes_max, uploads }
    }

    /// Runs work on the folder.
    async fn on_folder<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = self.folder.clone();
        blocking(move || work(&folder)).await
    }

    /// Stores the file that comes in pieces.
    async fn receive(
        &self,
        user: Option<String>,
        mut pieces: impl Stream<Item = Result<proto::UploadFileRequest, Status>> + Send + Unpin,
    ) -> Result<Entry, Status> {
        let first = pieces.next().await.transpose()?;
        let first = first.ok_or_else(|| status::invalid("path", "must be in the first message, but none came"))?;
        let path = FilePath::entry(&first.path).map_err(Error::from)?;
        let place = self.uploads.take(user).map_err(Error::from)?;
        let mut upload = Upload::begin(self.folder.clone(), self.file_bytes_max, place).await?;
        let (mut next, mut pace) = (Some(first), Pace::default());
        while let Some(piece) = next {
            if !piece.path.is_empty() && piece.path != path.as_str() {
                return Err(status::invalid("path", "must be empty or the same as in the first message"));
            }
            let data = piece.content.unwrap_or_default().data;
            upload.write(&data).await?;
            next = pace.keep(data.len(), pieces.next()).await?.transpose()?;
        }
        Ok(upload.finish(path).await?)
    }
}

#[tonic::async_trait]
impl FilesService for Service {
    async fn list_files(
        &self,
        request: Request<proto::ListFilesRequest>,
    ) -> Result<Response<proto::ListFilesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, PAGE_SIZE_MAX, PAGE_SIZE_MAX)?;
        let after = page::key(&request.page_token)?;
        let folder = FilePath::folder(&request.folder).map_err(Error::from)?;
        let list = move |top: &Folder| top.list(&folder, after.as_deref(), size as usize + 1);
        let mut entries = self.on_folder(list).await?;
        let next_page_token = page::cut(&mut entries, size, |entry| name(&entry.path).to_owned());
        let files = entries.into_iter().map(file).collect();
        Ok(Response::new(proto::ListFilesResponse { files, next_page_token }))
    }

    async fn list_file_names(
        &self,
        _: Request<proto::ListFileNamesRequest>,
    ) -> Result<Response<proto::ListFileNamesResponse>, Status> {
        let top = FilePath::folder("").map_err(Error::from)?;
        let names = self.on_folder(move |folder| folder.names(&top, None, NAMES_MAX)).await?;
        Ok(Response::new(proto::ListFileNamesResponse { names }))
    }

    async fn get_file(
        &self,
        request: Request<proto::GetFileRequest>,
    ) -> Result<Response<proto::GetFileResponse>, Status> {
        let path = FilePath::entry(&request.into_inner().path).map_err(Error::from)?;
        let entry = self.on_folder(move |folder| folder.stat(&path)).await?;
        Ok(Response::new(proto::GetFileResponse { file: Some(file(entry)) }))
    }

    type DownloadFileStream = BoxStream<'static, Result<HttpBody, Status>>;

    async fn download_file(
        &self,
        request: Request<proto::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let path = FilePath::entry(&request.into_inner().path).map_err(Error::from)?;
        let media_type = media_type(path.as_str());
        let file = self.on_folder(move |folder| folder.read(&path)).await?;
        Ok(Response::new(chunks(File::from_std(file), media_type).boxed()))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<proto::UploadFileRequest>>,
    ) -> Result<Response<proto::UploadFileResponse>, Status> {
        let user = Caller::user(&request)?.sub;
        let entry = self.receive(Some(user), request.into_inner()).await?;
        Ok(Response::new(proto::UploadFileResponse { file: Some(file(entry)) }))
    }

    async fn delete_file(
        &self,
        request: Request<proto::DeleteFileRequest>,
    ) -> Result<Response<proto::DeleteFileResponse>, Status> {
        let path = FilePath::entry(&request.into_inner().path).map_err(Error::from)?;
        self.on_folder(move |folder| folder.delete(&path)).await?;
        Ok(Response::new(proto::DeleteFileResponse {}))
    }
}

/// How fast an upload comes. Only the time that is spent waiting for it counts, not that of a slow disk.
#[derive(Debug, Default)]
struct Pace {
    bytes: usize,
    waited: Duration,
}

impl Pace {
    /// Waits for what is next, after so many bytes have come.
    async fn keep<T>(&mut self, bytes: usize, next: impl Future<Output = T>) -> Result<T, Error> {
        let (bytes_min, within) = PACE;
        self.bytes += bytes;
        if self.bytes >= bytes_min {
            *self = Self::default();
        }
        let began = Instant::now();
        let next = tokio::time::timeout(within.saturating_sub(self.waited), next).await;
        self.waited += began.elapsed();
        next.map_err(|_| Error::TooSlow { bytes: bytes_min, within })
    }
}

/// Sends a file piece by piece, each read when the one before has been taken. An empty file is one empty piece, so
/// that its media type arrives.
fn chunks(file: File, media_type: &'static str) -> impl Stream<Item = Result<HttpBody, Status>> + Send {
    stream::try_unfold((file, 0_usize), move |(mut file, sent)| async move {
        let mut data = Vec::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut data).await.map_err(Error::from)?;
        if read == 0 && sent > 0 {
            return Ok(None);
        }
        let body = HttpBody { content_type: media_type.to_owned(), data: Bytes::from(data), extensions: Vec::new() };
        Ok(Some((body, (file, sent + 1))))
    })
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn file(entry: Entry) -> proto::File {
    let name = name(&entry.path).to_owned();
    proto::File {
        media_type: if entry.folder { String::new() } else { media_type(&name).to_owned() },
        name,
        path: entry.path,
        folder: entry.folder,
        size_bytes: i64::try_from(entry.size_bytes).unwrap_or(i64::MAX),
        modify_time: Some(entry.modify_time.into()),
    }
}

#[cfg(test)]
mod tests;

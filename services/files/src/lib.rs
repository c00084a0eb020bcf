//! One folder of files: list, stat, download, upload, delete.
//!
//! The folder is the store; there is no database. Knows nothing of searching, which is another service over the same
//! folder, and gives no way out of it.

mod config;
mod dir;
mod error;
mod rules;
mod service;
mod store;
mod upload;

use std::path::Path;
use std::sync::Arc;

use malla_contracts::descriptors;
use malla_contracts::malla::files::v1::files_service_server::FilesServiceServer;
use malla_runtime::module::{Context, Module, Probe, Running, StartError};
use tonic::service::Routes;

pub use config::Config;
use store::Folder;

/// The module of `malla.files.v1`.
#[derive(Debug)]
pub struct Files;

impl Module for Files {
    const NAME: &'static str = "files";
    const DESCRIPTORS: &'static [u8] = descriptors::FILES;
    const SERVICES: &'static [&'static str] = &["malla.files.v1.FilesService"];
    const PORT: u16 = 7105;
    const EXAMPLES: [&'static str; 3] =
        ["curl {edge}/listar_archivos", "curl '{edge}/v1/files?folder=notes'", "curl {edge}/v1/files/welcome.txt"];
    type Config = Config;

    fn check(config: &Config) -> Result<(), malla_runtime::config::Error> {
        config.check()
    }

    async fn migrate(config: &Config, context: &Context) -> Result<String, StartError> {
        let root = config.root(&context.data_dir);
        open(&root, config)?;
        Ok(place(&root))
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let root = config.root(&context.data_dir);
        let folder = Arc::new(open(&root, &config)?);
        let service = service::Service::new(folder.clone(), &config);
        Ok(Running {
            routes: Routes::new(FilesServiceServer::new(service)),
            store: place(&root),
            probe: Some(probe(folder)),
        })
    }
}

fn open(root: &Path, config: &Config) -> Result<Folder, StartError> {
    Folder::open(root, config).map_err(|error| {
        format!("the folder {} cannot be opened: {error}; choose another with files.root", root.display()).into()
    })
}

fn place(root: &Path) -> String {
    format!("folder {}", root.display())
}

fn probe(folder: Arc<Folder>) -> Probe {
    Box::new(move || {
        let folder = folder.clone();
        Box::pin(async move { store::blocking(move || Ok(folder.answers())).await.unwrap_or(false) })
    })
}

//! Search over one folder of files, by name and by content.
//!
//! Only reads: another service puts the files there. Nothing is indexed, so what is found is what is there now.

mod config;
mod error;
mod query;
mod service;
mod store;

use malla_contracts::descriptors;
use malla_contracts::malla::search::v1::search_service_server::SearchServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.search.v1`.
#[derive(Debug)]
pub struct Search;

impl Module for Search {
    const NAME: &'static str = "search";
    const DESCRIPTORS: &'static [u8] = descriptors::SEARCH;
    const SERVICES: &'static [&'static str] = &["malla.search.v1.SearchService"];
    const PORT: u16 = 7106;
    const EXAMPLES: [&'static str; 3] = [
        "curl '{edge}/buscar_archivos?nombre_archivo=wel'",
        "curl -G {edge}/v1/files:search --data-urlencode 'glob=*.{txt,csv}'",
        "curl '{edge}/v1/files:search?content=Managua'",
    ];
    type Config = Config;

    fn check(config: &Config) -> Result<(), malla_runtime::config::Error> {
        config.check()
    }

    async fn migrate(config: &Config, context: &Context) -> Result<String, StartError> {
        Ok(place(config, context))
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let store = place(&config, &context);
        let service = service::Service::new(config.root(&context.data_dir), config);
        Ok(Running { routes: Routes::new(SearchServiceServer::new(service)), store, probe: None })
    }
}

fn place(config: &Config, context: &Context) -> String {
    format!("folder {}", config.root(&context.data_dir).display())
}

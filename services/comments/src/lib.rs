//! Comments on contents: stored, listed, and sent to those who watch as they come.
//!
//! Knows nothing of the contents themselves: their ids are opaque, and nobody is asked whether one exists.

mod config;
mod error;
mod feed;
mod migrations;
mod rules;
mod service;
mod store;

use malla_contracts::descriptors;
use malla_contracts::malla::comments::v1::comments_service_server::CommentsServiceServer;
use malla_runtime::module::{Context, Module, Running, StartError};
use malla_storage::database::Store;
use malla_storage::keyed::Answers;
use tonic::service::Routes;

pub use config::Config;

/// The module of `malla.comments.v1`.
#[derive(Debug)]
pub struct Comments;

impl Module for Comments {
    const NAME: &'static str = "comments";
    const DESCRIPTORS: &'static [u8] = descriptors::COMMENTS;
    const SERVICES: &'static [&'static str] = &["malla.comments.v1.CommentsService"];
    const PORT: u16 = 7103;
    const EXAMPLES: [&'static str; 3] = [
        "curl {edge}/api/comment/new -d email=ana@example.com -d comment=Hola -d content_id=1",
        "curl {edge}/v1/contents/1/comments",
        "curl -N {edge}/v1/contents/1/comments:watch",
    ];
    type Config = Config;

    fn check(config: &Config) -> Result<(), malla_runtime::config::Error> {
        config.check()
    }

    async fn migrate(config: &Config, context: &Context) -> Result<String, StartError> {
        Ok(Store::open::<migrations::Migrator>(Self::NAME, &config.database, context).await?.place)
    }

    async fn start(config: Config, context: Context) -> Result<Running, StartError> {
        let store = Store::open::<migrations::Migrator>(Self::NAME, &config.database, &context).await?;
        let answers = Answers::of::<Self>(&store, &context)?;
        let (place, probe) = (store.place.clone(), Some(store.probe()));
        let service = service::Service::new(store::Comments::new(store), &config, context.shutdown);
        Ok(Running { routes: Routes::new(answers.around(CommentsServiceServer::new(service))), store: place, probe })
    }
}

//! A doorbell inside one process.

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::{Doorbell, Ring, Unheard};

/// Rings that wait to be heard; more are left to the next look into the store.
const WAITING_MAX: usize = 1_000;

/// The doorbell of an installation without a broker.
pub(crate) struct Local {
    rung: mpsc::Sender<String>,
    heard: Mutex<mpsc::Receiver<String>>,
}

impl Local {
    pub(crate) fn new() -> Self {
        let (rung, heard) = mpsc::channel(WAITING_MAX);
        Self { rung, heard: Mutex::new(heard) }
    }
}

#[async_trait]
impl Doorbell for Local {
    async fn ring(&self, id: &str) -> Result<(), Unheard> {
        let _full = self.rung.try_send(id.to_owned());
        Ok(())
    }

    async fn heard(&self) -> Ring {
        match self.heard.lock().await.recv().await {
            Some(id) => Ring { id, delivery: None },
            // Never: the other end is here too.
            None => std::future::pending().await,
        }
    }

    fn is_well(&self) -> bool {
        true
    }
}

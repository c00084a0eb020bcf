//! Places for what lasts long, such as streams and uploads, of which one client may hold only a share: what one opens and
//! never ends must not keep the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All places of one kind; clones share them.
#[derive(Clone, Debug)]
pub struct Places(Arc<All>);

#[derive(Debug)]
struct All {
    max: usize,
    per_client_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: HashMap<String, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    client: Option<String>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// All are taken.
    #[error("the service is at its limit")]
    Service,
    /// The client has as many as one may.
    #[error("this client is at its limit")]
    Client,
}

impl Places {
    /// So many places, and of these so many for one client.
    #[must_use]
    pub fn new(max: usize, per_client_max: usize) -> Self {
        Self(Arc::new(All { max, per_client_max, taken: Mutex::default() }))
    }

    /// Takes a place for a client; for nobody in particular, as one of the mesh's own calls is, there is no share.
    ///
    /// # Errors
    /// [`Full`] at once: nobody waits for a place.
    pub fn take(&self, client: Option<String>) -> Result<Place, Full> {
        let mut taken = self.taken();
        if taken.all >= self.0.max {
            return Err(Full::Service);
        }
        if let Some(client) = &client {
            let own = taken.by_client.get(client).copied().unwrap_or_default();
            if own >= self.0.per_client_max {
                return Err(Full::Client);
            }
            taken.by_client.insert(client.clone(), own + 1);
        }
        taken.all += 1;
        Ok(Place { places: self.clone(), client })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(client) = &self.client
            && let Some(own) = taken.by_client.get_mut(client)
        {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests;

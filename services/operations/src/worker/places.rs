//! Which services calls are carried out at. One that hangs keeps its calls for long: it must not keep all the workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls carried out at the same time.
pub(super) const ATTEMPTS_MAX: usize = 16;
/// Those of one service among them: three that hang leave one for the others.
pub(super) const SERVICE_ATTEMPTS_MAX: usize = 5;

/// The attempts under way, by service.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, usize>>);

/// A place for one attempt after the other, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    pub(super) service: String,
}

impl Places {
    /// A place at the service of this method, if there is one left.
    pub(super) fn take(self: &Arc<Self>, method: &str) -> Option<Place> {
        let service = method.split_once('/').map_or(method, |(service, _)| service).to_owned();
        let mut taken = self.taken();
        let count = taken.entry(service.clone()).or_default();
        let free = *count < SERVICE_ATTEMPTS_MAX;
        *count += usize::from(free);
        free.then(|| Place { places: self.clone(), service })
    }

    /// The services without a place left.
    pub(super) fn full(&self) -> Vec<String> {
        let taken = self.taken();
        let full = taken.iter().filter(|(_, count)| **count >= SERVICE_ATTEMPTS_MAX);
        full.map(|(service, _)| service.clone()).collect()
    }

    /// Whether all workers are at it.
    pub(super) fn all_taken(&self) -> bool {
        self.taken().values().sum::<usize>() >= ATTEMPTS_MAX
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.service) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.service)),
        }
    }
}

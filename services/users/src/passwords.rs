//! Hashes and verifies passwords with argon2id, on threads of its own: as many as there are cores and no more. Their
//! number bounds the memory too, since an allocator keeps what a thread once had.
//!
//! Knows nothing of accounts, but takes as long for one that does not exist.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::Config;
use crate::error::Error;

/// The floor of the OWASP Password Storage Cheat Sheet for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How hashes made with these begin; others are made anew at the next login.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// What a password is to a stored hash.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is another one, or there is no hash.
    Wrong,
    /// It fits.
    Right,
    /// It fits, and this is its hash by today's parameters, to be stored instead.
    Outdated(String),
}

type Job = Box<dyn FnOnce() + Send>;

/// The pool of workers.
#[derive(Debug)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    workers: mpsc::Sender<Job>,
    cores: Arc<Semaphore>,
    /// Places to wait for a core; each kind of call has its own, so that neither fills the other's.
    logins: Semaphore,
    registrations: Semaphore,
    wait: Duration,
    /// Verified in place of the hash of an unknown user.
    decoy: String,
}

impl Passwords {
    /// A pool of one worker per core.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(password_hash::Error::from)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            decoy: argon2.hash_password(uuid::Uuid::new_v4().as_bytes())?.to_string(),
            argon2,
            workers: workers(cores)?,
            cores: Arc::new(Semaphore::new(cores)),
            logins: Semaphore::new(config.logins_waiting_max as usize),
            registrations: Semaphore::new(config.registrations_waiting_max as usize),
            wait: Duration::from_millis(config.hash_wait_ms.into()),
        })
    }

    /// The hash of a new password, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        self.run(&self.registrations, move |argon2| Ok(argon2.hash_password(password.as_bytes())?.to_string())).await
    }

    /// Compares a password with a stored hash; without one it takes as long and is wrong.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<Verdict, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let verdict = self.run(&self.logins, move |argon2| verify(argon2, &password, &stored)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        queue: &Semaphore,
        job: impl FnOnce(&Argon2<'static>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (core, argon2) = (self.core(queue).await?, self.argon2.clone());
        let (done, outcome) = oneshot::channel();
        let work = move || {
            // Held by the work, not by the call: a caller that leaves does not free the core.
            let _core = core;
            // A caller that has left wants no answer.
            let _ = done.send(job(&argon2));
        };
        self.workers.send(Box::new(work)).map_err(|_| Error::CutOff)?;
        outcome.await.map_err(|_| Error::CutOff)?
    }

    /// A core, in the order of asking.
    async fn core(&self, queue: &Semaphore) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(core) = self.cores.clone().try_acquire_owned() {
            return Ok(core);
        }
        let _place = queue.try_acquire().map_err(|_| Error::Busy)?;
        match tokio::time::timeout(self.wait, self.cores.clone().acquire_owned()).await {
            Ok(Ok(core)) => Ok(core),
            _ => Err(Error::Busy),
        }
    }
}

/// Starts threads that work off jobs until the sender is dropped.
fn workers(count: usize) -> Result<mpsc::Sender<Job>, Error> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..count {
        let jobs = jobs.clone();
        let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let work = move || {
            while let Ok(job) = next() {
                // A job that panics fails its call, by not answering, and not its worker.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        thread::Builder::new().name("passwords".into()).spawn(work).map_err(Error::Workers)?;
    }
    Ok(sender)
}

fn verify(argon2: &Argon2<'_>, password: &str, stored: &str) -> Result<Verdict, Error> {
    let hash = PasswordHash::new(stored).map_err(password_hash::Error::from)?;
    match argon2.verify_password(password.as_bytes(), &hash) {
        Ok(()) if stored.starts_with(CURRENT) => Ok(Verdict::Right),
        Ok(()) => Ok(Verdict::Outdated(argon2.hash_password(password.as_bytes())?.to_string())),
        Err(password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;

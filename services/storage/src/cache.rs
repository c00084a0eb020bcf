//! A cache in two levels: this process's own, and one in Redis that all replicas share, where there is one.
//!
//! The store behind is the truth. Of simultaneous misses one loads, in this process by moka, among replicas by a token
//! kept in the entry's place for as long as a load may take. A change takes the token away, so a load that began before
//! stores nothing. A Redis that fails is left alone for a second, and costs nothing meanwhile.
//!
//! How old an entry may be: what another replica has changed shows after [`LOCAL_TTL`]; after `ttl` when Redis was away
//! during the change.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike as _, KeysInterface as _, LuaInterface as _};
use fred::types::{Expiration, SetOptions};
use moka::future::Cache as Local;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::database::{Store, whole};
use crate::redis::{Again, Config, Error, Redis};

/// How long an entry that came from Redis, or goes there, is taken for true without asking again.
pub const LOCAL_TTL: Duration = Duration::from_secs(1);
/// How long one replica may load what others wait for.
const LOAD: Duration = Duration::from_secs(1);
/// Between looks of those who wait.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// For how long a Redis that failed is not asked.
const PAUSE: Duration = Duration::from_secs(1);
/// Entry in place of the token, if that is still there: nobody has changed what was loaded.
const STORE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end";
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";
/// Before a token; an entry is JSON, which does not begin so.
const TOKEN: char = '!';

/// Values by name; cheap to clone.
#[derive(Clone)]
pub struct Cache<V> {
    local: Local<String, V>,
    /// Held for reading while a value goes from store to cache, for writing while one is changed: so no reader of this
    /// process can put back what a writer has just invalidated.
    filling: Arc<RwLock<()>>,
    shared: Option<Arc<Shared>>,
    ttl: Duration,
}

#[derive(Debug)]
struct Shared {
    redis: Redis<()>,
    prefix: &'static str,
    paused_until: Mutex<Option<Instant>>,
}

impl<V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Cache<V> {
    /// A cache of `entries_max` entries that live for `ttl`; in Redis too, under `prefix`, if there is one.
    ///
    /// # Errors
    /// When the URL of Redis is none.
    pub fn new(prefix: &'static str, entries_max: u64, ttl: Duration, redis: &Config) -> Result<Self, Error> {
        let connect = || Redis::start(redis, |client| async move { client.ping(None).await });
        let shared = redis.is_set().then(connect).transpose()?;
        let local_ttl = if shared.is_some() { ttl.min(LOCAL_TTL) } else { ttl };
        Ok(Self {
            local: Local::builder().max_capacity(entries_max).time_to_live(local_ttl).build(),
            filling: Arc::default(),
            shared: shared.map(|redis| Arc::new(Shared { redis, prefix, paused_until: Mutex::default() })),
            ttl,
        })
    }

    /// The value of a name and whether it came from the cache; loaded if it is not there. A failed load is not kept.
    ///
    /// # Errors
    /// What `load` fails with; of those who wait for one load, all get its error.
    pub async fn get<E: Send + Sync + 'static>(
        &self,
        name: &str,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<(V, bool), Arc<E>> {
        let mut loaded = false;
        let filled = async {
            let _filling = self.filling.read().await;
            let Some(shared) = &self.shared else {
                loaded = true;
                return load.await;
            };
            match shared.look(name).await {
                Found::Entry(value) => Ok(value),
                Found::Nothing => {
                    loaded = true;
                    load.await
                }
                Found::Place(token) => {
                    loaded = true;
                    let value = load.await;
                    shared.fill(name, &token, value.as_ref().ok(), self.ttl).await;
                    value
                }
            }
        };
        let value = self.local.try_get_with_by_ref(name, filled).await?;
        Ok((value, !loaded))
    }

    /// Makes a change to what a name stands for in `store`. Once begun it goes to its end, also when its caller leaves, and
    /// leaves nothing old behind in this process. In a keyed call nothing is cached until that is committed, so the call
    /// cannot [`get`](Self::get) after it.
    pub async fn change<R: Send + 'static>(
        &self,
        store: &Store,
        name: &str,
        write: impl Future<Output = R> + Send + 'static,
    ) -> R {
        let (cache, store, name) = (self.clone(), store.clone(), name.to_owned());
        let filling = self.filling.clone().write_owned().await;
        // A statement goes on when nobody waits for it any more, and until its end nobody may load what was there before.
        whole(async move {
            cache.forget(&name).await;
            let result = write.await;
            let committed = async move {
                // Again: another replica may have loaded what was there before.
                cache.forget(&name).await;
                drop(filling);
            };
            store.afterwards(committed).await;
            result
        })
        .await
    }

    /// Forgets what this process knows; what is shared stays.
    pub fn forget_local(&self) {
        self.local.invalidate_all();
    }

    async fn forget(&self, name: &str) {
        self.local.invalidate(name).await;
        if let Some(shared) = &self.shared {
            let key = shared.key(name);
            shared
                .ask(|client| {
                    let key = key.clone();
                    async move { client.del::<(), _>(key).await }
                })
                .await;
        }
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("shared", &self.shared).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// What there is in Redis.
enum Found<V> {
    Entry(V),
    /// This replica is to load it, under this token.
    Place(String),
    /// And nothing is to be put there.
    Nothing,
}

impl Shared {
    fn key(&self, name: &str) -> String {
        format!("mc:{}:{name}", self.prefix)
    }

    /// Asks Redis, unless it has just failed. What it answers does not matter enough to fail for.
    async fn ask<R, F: Future<Output = Result<R, Error>>>(
        &self,
        call: impl Fn(fred::prelude::Client) -> F,
    ) -> Option<R> {
        let paused_until = || self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paused_until().is_some_and(|end| Instant::now() < end) {
            return None;
        }
        match self.redis.call(Again::Never, |client, ()| call(client)).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(%error, "the shared cache is left alone for a while");
                *paused_until() = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    /// Finds an entry, waits for another replica that loads it, or takes its place.
    async fn look<V: DeserializeOwned>(&self, name: &str) -> Found<V> {
        let (key, end) = (self.key(name), Instant::now() + LOAD);
        let token = format!("{TOKEN}{}", Uuid::new_v4());
        loop {
            let set = |client: fred::prelude::Client| {
                let (key, token) = (key.clone(), token.clone());
                let ttl = Some(Expiration::PX(LOAD.as_millis() as i64));
                async move { client.set::<Option<String>, _, _>(key, token, ttl, Some(SetOptions::NX), true).await }
            };
            match self.ask(set).await {
                None => return Found::Nothing,
                Some(None) => return Found::Place(token),
                Some(Some(present)) if !present.starts_with(TOKEN) => {
                    return serde_json::from_str(&present).map_or(Found::Nothing, Found::Entry);
                }
                Some(Some(_)) if Instant::now() >= end => return Found::Nothing,
                Some(Some(_)) => sleep(LOOK_INTERVAL).await,
            }
        }
    }

    /// Puts an entry in the token's place, or gives the place up.
    async fn fill<V: Serialize>(&self, name: &str, token: &str, value: Option<&V>, ttl: Duration) {
        let (script, entry) = match value.and_then(|value| serde_json::to_string(value).ok()) {
            Some(entry) => (STORE, entry),
            None => (RELEASE, String::new()),
        };
        let ttl = ttl.as_millis().to_string();
        let fill = |client: fred::prelude::Client| {
            let (key, args) = (self.key(name), vec![token.to_owned(), entry.clone(), ttl.clone()]);
            async move { client.eval::<(), _, _, _>(script, key, args).await }
        };
        self.ask(fill).await;
    }
}

#[cfg(test)]
mod tests;

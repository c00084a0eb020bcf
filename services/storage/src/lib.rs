//! What services keep their data in: a database each, or Redis; and caches in front of it.
//!
//! Opens, limits, watches and sweeps stores, waits for what happens in them, and keeps the answers of calls that may come
//! again. What else is in them, only the services know.

pub mod cache;
pub mod database;
pub mod keyed;
pub mod redis;
pub mod sweeper;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wait;

//! Whether a request is the one that came with a key before, told from what cannot be read.
//!
//! Requests may hold passwords, and are known for a day: each fingerprint has a salt of its own, and trying out what it is of
//! takes a thousand times as long as a hash. There is no secret in it: whoever changed that would make every key look
//! reused.

use std::num::NonZeroU32;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{pbkdf2, rand};

const SALT_BYTES: usize = 16;
const DIGEST_BYTES: usize = 32;
/// Less than a millisecond.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not 0");

/// Of a request: a new salt, and what comes of both.
///
/// # Errors
/// When the machine has no random numbers.
pub fn new(request: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt)?;
    Ok(with(salt, request))
}

/// Whether it is of this request.
#[must_use]
pub fn is_of(fingerprint: &[u8], request: &[u8]) -> bool {
    fingerprint.first_chunk().is_some_and(|salt| with(*salt, request) == fingerprint)
}

fn with(salt: [u8; SALT_BYTES], request: &[u8]) -> Vec<u8> {
    let mut digest = [0; DIGEST_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, request, &mut digest);
    [&salt[..], &digest].concat()
}

#[cfg(test)]
mod tests;

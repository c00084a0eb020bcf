//! Any bytes as a message: they are refused, or their JSON is read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use malla_fuzz::{agree, encode};

fuzz_target!(|wire: &[u8]| {
    if let Ok(json) = encode(wire) {
        agree(&json);
    }
});

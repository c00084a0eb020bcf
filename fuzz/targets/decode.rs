//! Any text as JSON: it is refused, or what it became is written as JSON that means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use malla_fuzz::{agree, decode, encode};

fuzz_target!(|json: &[u8]| {
    if let Ok(wire) = decode(json) {
        agree(&encode(&wire).expect("what was read can be written"));
    }
});

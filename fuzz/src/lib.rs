//! What the fuzz targets have in common: one schema, and both ways between JSON and the wire.

use std::sync::{Arc, LazyLock};

use malla_transcode::json::{DecodeOptions, Decoder, EncodeError, EncodeOptions, Encoder};
use malla_transcode::schema::MessageId;
use malla_transcode::{Schema, Violation};

/// Every kind of field, `kitchen.All` and what it refers to.
pub static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let set: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors"));
    Arc::new(Schema::new(&[set]).expect("the compiler made it"))
});

/// The message that is fuzzed.
pub fn message() -> MessageId {
    SCHEMA.find_message("kitchen.All").expect("kitchen.proto has it")
}

/// JSON to the wire.
pub fn decode(json: &[u8]) -> Result<Vec<u8>, Vec<Violation>> {
    let mut wire = Vec::new();
    Decoder::new(&SCHEMA, DecodeOptions::default()).message(message(), json, &[], &mut wire).map(|()| wire)
}

/// The wire to JSON.
pub fn encode(wire: &[u8]) -> Result<String, EncodeError> {
    let mut json = Vec::new();
    Encoder::new(&SCHEMA, EncodeOptions::default()).message(message(), wire, &mut json)?;
    Ok(String::from_utf8(json).expect("JSON is UTF-8"))
}

/// What was written as JSON is read, and then written just so.
pub fn agree(json: &str) {
    match decode(json.as_bytes()) {
        Ok(wire) => assert_eq!(encode(&wire).as_deref(), Ok(json)),
        // The reader counts the entries of maps as levels, as the wire's readers do.
        Err(faults) => assert!(faults[0].description.starts_with("nests deeper"), "{json}: {faults:?}"),
    }
}

//! What protobuf's conformance suite tests: asked on standard input, it turns messages into JSON and back. Run by
//! `tests/conformance-codec`, which gives it the suite's messages as a descriptor set.

use std::io::{Read as _, Write as _};

use malla_transcode::Schema;
use malla_transcode::json::{DecodeOptions, Decoder, EncodeError, EncodeOptions, Encoder};
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(oneof = "Payload", tags = "1, 2, 7, 8")]
    payload: Option<Payload>,
    /// 1 is protobuf, 2 JSON.
    #[prost(int32, tag = "3")]
    output: i32,
    #[prost(string, tag = "4")]
    message_type: String,
    /// 3 is JSON with unknown fields to be ignored.
    #[prost(int32, tag = "5")]
    category: i32,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
enum Payload {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "2")]
    Json(Vec<u8>),
    #[prost(bytes, tag = "7")]
    Jspb(Vec<u8>),
    #[prost(bytes, tag = "8")]
    Text(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(oneof = "Outcome", tags = "1, 3, 4, 5, 6")]
    outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
enum Outcome {
    #[prost(string, tag = "1")]
    ParseError(String),
    #[prost(bytes, tag = "3")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "4")]
    Json(Vec<u8>),
    #[prost(string, tag = "5")]
    Skipped(String),
    #[prost(string, tag = "6")]
    SerializeError(String),
}

fn answer(schema: &Schema, request: &Request) -> Outcome {
    if request.message_type == "conformance.FailureSet" {
        return Outcome::Protobuf(Vec::new());
    }
    let Some(id) = schema.find_message(&request.message_type) else {
        return Outcome::Skipped(format!("{} is not in the descriptor set", request.message_type));
    };
    let wire = match &request.payload {
        Some(Payload::Json(json)) => {
            let options = DecodeOptions { ignore_unknown: request.category == 3, ..DecodeOptions::default() };
            let mut wire = Vec::new();
            match Decoder::new(schema, options).message(id, json, &[], &mut wire) {
                Ok(()) => wire,
                Err(violations) => return Outcome::ParseError(violations[0].to_string()),
            }
        }
        Some(Payload::Protobuf(wire)) if request.output == 2 => wire.clone(),
        _ => return Outcome::Skipped("only JSON, or to JSON".into()),
    };
    match request.output {
        1 => Outcome::Protobuf(wire),
        2 => {
            let mut json = Vec::new();
            match Encoder::new(schema, EncodeOptions::default()).message(id, &wire, &mut json) {
                Ok(()) => Outcome::Json(json),
                Err(error @ (EncodeError::Malformed { .. } | EncodeError::Utf8 { .. })) => {
                    Outcome::ParseError(error.to_string())
                }
                Err(error) => Outcome::SerializeError(error.to_string()),
            }
        }
        _ => Outcome::Skipped("only to JSON and protobuf".into()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = std::env::args().nth(1).ok_or("usage: conformance DESCRIPTOR_SET")?;
    let schema = Schema::new(&[&std::fs::read(set)?])?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut request)?;
        let outcome = answer(&schema, &Request::decode(&*request)?);
        let response = Response { outcome: Some(outcome) }.encode_to_vec();
        output.write_all(&u32::try_from(response.len())?.to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}

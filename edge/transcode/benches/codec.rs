//! The codec beside prost-reflect's dynamic messages, on four shapes of calls: nanoseconds a message, and how often
//! ours fits into theirs. `cargo bench -p malla-transcode`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use malla_transcode::Schema;
use malla_transcode::json::{DecodeOptions, Decoder, EncodeOptions, Encoder};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

/// Rounds are short and the fastest counts, so that whatever else the machine does falls out.
const ROUND: Duration = Duration::from_millis(1);
const ROUNDS: usize = 300;

fn item(at: usize) -> String {
    format!(
        r#"{{"name":"items/{at:06}","displayName":"Item number {at}","description":"A thing of some use, made of wood and of \"steel\", in several sizes.","revision":"{}","stock":{},"rating":4.37,"available":true,"state":"STATE_ACTIVE","price":{{"currency":"EUR","units":"1999","nanos":990000000}},"tags":["wood","steel","garden"],"labels":{{"colour":"green","origin":"north"}},"createTime":"2026-01-31T12:34:56.789Z","sizes":[1,2,3,5,8]}}"#,
        at * 7919,
        at % 100
    )
}

fn list(count: usize) -> String {
    let items: Vec<String> = (0..count).map(item).collect();
    format!(r#"{{"items":[{}],"nextPageToken":"bmV4dA"}}"#, items.join(","))
}

/// Nanoseconds a call.
fn time(mut call: impl FnMut()) -> f64 {
    let mut round = || {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            call();
            calls += 1;
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    };
    round();
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    let set = protox::compile(["codec.proto"], [here])?.encode_to_vec();
    let schema = Schema::new(&[&set])?;
    let pool = DescriptorPool::decode(&*set)?;
    let (decoder, encoder) =
        (Decoder::new(&schema, DecodeOptions::default()), Encoder::new(&schema, EncodeOptions::default()));
    let blob = format!(r#"{{"name":"b","data":"{}"}}"#, "TWFsbGEg".repeat(32_768));
    let mut out = std::io::stdout();
    writeln!(out, "{:8} {:>8} {:>22} {:>22}", "shape", "bytes", "to wire: ns (x)", "to JSON: ns (x)")?;
    for (shape, name, json) in [
        ("item", "bench.Item", item(7)),
        ("list", "bench.List", list(30)),
        ("batch", "bench.List", list(520)),
        ("blob", "bench.Blob", blob),
    ] {
        let id = schema.find_message(name).ok_or("no such message")?;
        let descriptor = pool.get_message_by_name(name).ok_or("no such message")?;
        let mut wire = Vec::new();
        decoder.message(id, json.as_bytes(), &[], &mut wire).map_err(|violations| violations[0].to_string())?;
        let mut text = Vec::new();
        encoder.message(id, &wire, &mut text)?;
        let mut buffer = Vec::new();
        let ours_in = time(|| {
            buffer.clear();
            let _ = black_box(decoder.message(id, black_box(json.as_bytes()), &[], &mut buffer));
        });
        let theirs_in = time(|| {
            let mut json = serde_json::Deserializer::from_slice(black_box(json.as_bytes()));
            let message = DynamicMessage::deserialize(descriptor.clone(), &mut json);
            black_box(message.map(|message| message.encode_to_vec()).ok());
        });
        let ours_out = time(|| {
            buffer.clear();
            let _ = black_box(encoder.message(id, black_box(&wire), &mut buffer));
        });
        let theirs_out = time(|| {
            let message = DynamicMessage::decode(descriptor.clone(), black_box(&*wire));
            black_box(message.ok().and_then(|message| serde_json::to_vec(&message).ok()));
        });
        let figures = |ours: f64, theirs: f64| format!("{ours:.0} ({:.1})", theirs / ours);
        let (to_wire, to_json) = (figures(ours_in, theirs_in), figures(ours_out, theirs_out));
        writeln!(out, "{shape:8} {:>8} {to_wire:>22} {to_json:>22}", json.len())?;
    }
    Ok(())
}

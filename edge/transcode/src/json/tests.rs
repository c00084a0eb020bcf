//! Both codecs beside prost-reflect's, over messages made at random: another implementation of the same specification.

use proptest::prelude::*;
use proptest::test_runner::TestRng;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, Kind, ReflectMessage as _, Value};

use super::{DecodeOptions, Decoder, Defaults, EncodeOptions, Encoder};
use crate::Schema;
use crate::fixture::compile;

fn descriptors() -> Vec<u8> {
    compile(&[("kitchen.proto", include_str!("kitchen.proto")), ("sink.proto", include_str!("sink.proto"))])
}

struct Both {
    schema: Schema,
    pool: DescriptorPool,
}

impl Both {
    fn new() -> Self {
        let set = descriptors();
        Self { schema: Schema::new(&[&set]).unwrap(), pool: DescriptorPool::decode(&*set).unwrap() }
    }

    fn decode(&self, name: &str, json: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let id = self.schema.find_message(name).unwrap();
        let decoder = Decoder::new(&self.schema, DecodeOptions::default());
        let text = |violations: Vec<crate::Violation>| violations[0].to_string();
        decoder.message(id, json, &[], &mut out).map(|()| out).map_err(text)
    }

    fn encode(&self, name: &str, wire: &[u8], options: EncodeOptions<'_>) -> Result<String, String> {
        let mut out = Vec::new();
        let id = self.schema.find_message(name).unwrap();
        let result = Encoder::new(&self.schema, options).message(id, wire, &mut out);
        result.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
    }

    /// A message in which every field may be set, from random numbers.
    fn random(&self, name: &str, random: &mut TestRng, depth: usize) -> DynamicMessage {
        let descriptor = self.pool.get_message_by_name(name).unwrap();
        let mut message = DynamicMessage::new(descriptor.clone());
        match name {
            "google.protobuf.Timestamp" => {
                message.set_field_by_number(1, Value::I64(random.random_range(-62_135_596_800..=253_402_300_799)));
                message.set_field_by_number(2, Value::I32(random.random_range(0..=999_999_999)));
                return message;
            }
            "google.protobuf.Duration" => {
                let sign = if random.random_bool(0.5) { 1 } else { -1 };
                message.set_field_by_number(1, Value::I64(sign * random.random_range(0..315_576_000_000_i64)));
                message.set_field_by_number(2, Value::I32(sign as i32 * random.random_range(0..=999_999_999)));
                return message;
            }
            // Theirs writes infinity in a wrapper as null.
            "google.protobuf.DoubleValue" => {
                message.set_field_by_number(1, Value::F64(f64::from(random.random::<i32>()) / 8.0));
                return message;
            }
            "google.protobuf.FloatValue" => {
                message.set_field_by_number(1, Value::F32(f32::from(random.random::<i16>()) / 8.0));
                return message;
            }
            "google.protobuf.FieldMask" => {
                let paths = ["a", "b_c.d_ee", "f1"].map(|path| Value::String(path.into()));
                message.set_field_by_number(1, Value::List(paths[..random.random_range(0..=3)].to_vec()));
                return message;
            }
            "google.protobuf.Any" => {
                let names = ["kitchen.All", "google.protobuf.Duration", "google.protobuf.Int32Value", "sink.Old"];
                let name = names[random.random_range(0..4)];
                message.set_field_by_number(1, Value::String(format!("type.googleapis.com/{name}")));
                let inner = self.random(name, random, depth + 1).encode_to_vec();
                message.set_field_by_number(2, Value::Bytes(inner.into()));
                return message;
            }
            "google.protobuf.Value" => {
                let number = if depth > 4 { random.random_range(1..=4) } else { random.random_range(1..=6) };
                let field = descriptor.get_field(number).unwrap();
                let value = match number {
                    2 => Value::F64(f64::from(random.random::<i32>()) / 8.0),
                    _ => self.value(&field.kind(), random, depth),
                };
                message.set_field(&field, value);
                return message;
            }
            _ => {}
        }
        for field in descriptor.fields() {
            if random.random_bool(if depth == 0 { 0.6 } else { 0.12 }) && depth < 5 {
                let count = random.random_range(0..4);
                let value = if field.is_map() {
                    let Kind::Message(entry) = field.kind() else { continue };
                    let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
                    let pair = |random: &mut TestRng| {
                        let key = self.value(&key, random, depth).into_map_key().unwrap();
                        (key, self.value(&value, random, depth + 1))
                    };
                    Value::Map((0..count).map(|_| pair(random)).collect())
                } else if field.is_list() {
                    Value::List((0..count).map(|_| self.value(&field.kind(), random, depth + 1)).collect())
                } else {
                    self.value(&field.kind(), random, depth + 1)
                };
                message.set_field(&field, value);
            }
        }
        message
    }

    fn value(&self, kind: &Kind, random: &mut TestRng, depth: usize) -> Value {
        let bits = random.random::<u64>() >> random.random_range(0..64);
        let signed = if random.random_bool(0.5) { bits as i64 } else { (bits as i64).wrapping_neg() };
        match kind {
            Kind::Double => Value::F64(match random.random_range(0..6) {
                0 => f64::from_bits(random.random()),
                1 => [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE][random.random_range(0..4)],
                _ => signed as f64 / 100.0,
            })
            .normal(),
            Kind::Float => {
                Value::F32(if random.random_bool(0.5) { f32::from_bits(random.random()) } else { signed as f32 / 10.0 })
                    .normal()
            }
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(signed as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(bits as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(bits),
            Kind::Bool => Value::Bool(random.random()),
            Kind::String => {
                let letters = ['a', '"', '\\', '\n', '\u{1}', 'ä', '€', '🍺', '/', ' ', '\u{7f}', '\u{2028}'];
                let most = if random.random_bool(0.1) { 300 } else { 12 };
                let length = random.random_range(0..most);
                Value::String((0..length).map(|_| letters[random.random_range(0..letters.len())]).collect())
            }
            Kind::Bytes => {
                let most = if random.random_bool(0.1) { 300 } else { 12 };
                let length = random.random_range(0..most);
                Value::Bytes((0..length).map(|_| random.random::<u8>()).collect::<Vec<_>>().into())
            }
            Kind::Enum(values) => {
                let values: Vec<_> = values.values().collect();
                Value::EnumNumber(values[random.random_range(0..values.len())].number())
            }
            Kind::Message(message) => Value::Message(self.random(message.full_name(), random, depth + 1)),
        }
    }
}

trait Normal {
    /// Without the payload of a NaN, which JSON does not have, and zero's sign, which theirs loses on the wire.
    fn normal(self) -> Self;
}

impl Normal for Value {
    fn normal(self) -> Self {
        match self {
            Self::F64(value) if value.is_nan() => Self::F64(f64::NAN),
            Self::F32(value) if value.is_nan() => Self::F32(f32::NAN),
            Self::F64(0.0) => Self::F64(0.0),
            Self::F32(0.0) => Self::F32(0.0),
            other => other,
        }
    }
}

/// Where two messages differ, NaN being equal to itself.
fn difference(both: &Both, name: &str, a: &[u8], b: &[u8]) -> Option<String> {
    let [a, b] = [a, b].map(|wire| both.encode(name, wire, EncodeOptions::default()).unwrap());
    let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let around = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..(at + 60).min(text.len())]).into_owned()
    };
    (a != b).then(|| format!("{}\n{}", around(&a), around(&b)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Three ways lead from a message to JSON and back: ours, theirs, and one of each.
    #[test]
    fn both_codecs_agree(seed in any::<[u8; 32]>(), names in any::<bool>(), numbers in any::<bool>()) {
        let both = Both::new();
        let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        for name in ["kitchen.All", "sink.Old"] {
            let message = both.random(name, &mut random, 0);
            let wire = message.encode_to_vec();

            let options = EncodeOptions {
                proto_names: names,
                enum_numbers: numbers,
                int64_numbers: numbers,
                defaults: [Defaults::Omit, Defaults::Implicit, Defaults::All][usize::from(seed[0]) % 3],
                ..EncodeOptions::default()
            };
            let ours = both.encode(name, &wire, options).unwrap();
            let back = both.decode(name, ours.as_bytes()).map_err(TestCaseError::fail)?;
            prop_assert_eq!(difference(&both, name, &back, &wire), None, "ours and back");

            let mut json = serde_json::Deserializer::from_str(&ours);
            let theirs = DynamicMessage::deserialize_with_options(
                message.descriptor(), &mut json, &DeserializeOptions::new());
            let theirs = theirs.map_err(|error| TestCaseError::fail(format!("{error}: {ours}")))?;
            let theirs = theirs.encode_to_vec();
            prop_assert_eq!(difference(&both, name, &theirs, &wire), None, "ours, read by them");

            let theirs = serde_json::to_string(&message).unwrap();
            let back = both.decode(name, theirs.as_bytes()).map_err(TestCaseError::fail)?;
            prop_assert_eq!(difference(&both, name, &back, &wire), None, "theirs, read by us");
        }
    }

    /// Fields shuffled, cut into pieces and written twice are the same message to both.
    #[test]
    fn odd_orders_on_the_wire_mean_the_same_to_both(seed in any::<[u8; 32]>()) {
        let both = Both::new();
        let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        for name in ["kitchen.All", "sink.Old"] {
            let mut wire = both.random(name, &mut random, 0).encode_to_vec();
            let mut other = both.random(name, &mut random, 0).encode_to_vec();
            other.extend_from_slice(&[0xa8, 0x3f, 5]);
            other.append(&mut wire);
            let merged = DynamicMessage::decode(both.pool.get_message_by_name(name).unwrap(), &*other).unwrap();
            let ours = both.encode(name, &other, EncodeOptions::default()).unwrap();
            let theirs = both.encode(name, &merged.encode_to_vec(), EncodeOptions::default()).unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }

    /// Nothing that a client sends makes it panic, and what it takes others take too.
    #[test]
    fn mutated_json_is_taken_or_refused(
        seed in any::<[u8; 32]>(),
        edits in proptest::collection::vec((any::<usize>(), "[\\]\\[{}:,\"0-9a-z\\\\ .eE+-]{0,3}", 0..3_usize), 0..4),
    ) {
        let both = Both::new();
        let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let message = both.random("kitchen.All", &mut random, 0);
        let mut json = serde_json::to_vec(&message).unwrap();
        for (at, text, cut) in edits {
            let at = at % (json.len() + 1);
            let end = (at + cut).min(json.len());
            json.splice(at..end, text.bytes());
        }
        if let Ok(wire) = both.decode("kitchen.All", &json) {
            DynamicMessage::decode(message.descriptor(), &*wire).unwrap();
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok(), "is no JSON");
        }
    }

    #[test]
    fn nothing_at_random_makes_it_panic(json in any::<Vec<u8>>(), text in "[\\]\\[{}:,\"0-9a-z\\\\]{0,40}") {
        let both = Both::new();
        let _ = both.decode("kitchen.All", &json);
        let _ = both.decode("kitchen.All", text.as_bytes());
        let _ = both.decode("google.protobuf.Value", text.as_bytes());
        let _ = both.encode("kitchen.All", &json, EncodeOptions::default());
        let _ = both.encode("sink.Old", &json, EncodeOptions { defaults: Defaults::All, ..EncodeOptions::default() });
    }

    /// Nor does any wire, however it is broken.
    #[test]
    fn mutated_wire_is_taken_as_they_take_it_or_refused(seed in any::<[u8; 32]>(), edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let both = Both::new();
        let mut random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let message = both.random("kitchen.All", &mut random, 0);
        let mut wire = message.encode_to_vec();
        for (at, byte) in edits {
            if let Some(at) = at.checked_rem(wire.len()) {
                wire[at] = byte;
            }
        }
        let _ = both.encode("kitchen.All", &wire, EncodeOptions::default());
    }
}

//! That what the path binds cannot be changed from query or body: tried at each binding, with each variable, in every way
//! there is to name its field. What comes out is read by prost-reflect, so that messages merge and the last value wins.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use malla_transcode::Schema;
use malla_transcode::bind::{Payload, RequestOptions, RequestPlan};
use malla_transcode::check::{Body, Route};
use malla_transcode::schema::{Field, Kind, WellKnown};
use malla_transcode::table::{Rule, Table};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};

/// What was tried, and what became of it.
#[derive(Default)]
struct Tally {
    bindings: usize,
    variables: usize,
    refused: usize,
    kept: usize,
}

/// A variable of a binding: its field, and another value than the path's.
struct Variable<'r> {
    fields: Vec<&'r Field>,
    text: &'r str,
    other: &'r str,
}

/// What else a request says.
enum Attempt {
    Query(String),
    Json(String),
    Form(String),
}

/// Tries all bindings; `paths` gives the texts of a rule's variables.
pub(crate) fn try_all(
    schema: &Arc<Schema>,
    descriptors: &[u8],
    table: &Table<Route<'_>>,
    texts: impl Fn(&Rule<Route<'_>>) -> Vec<String>,
) -> anyhow::Result<()> {
    let pool = DescriptorPool::decode(descriptors)?;
    let mut tally = Tally::default();
    for rule in table.rules().iter().filter(|rule| !rule.value.variables.is_empty()) {
        let input = &schema[rule.value.method().input].name;
        let message = pool.get_message_by_name(input).with_context(|| format!("{input} is not in the pool"))?;
        try_one(schema, &message, &rule.value, &texts(rule), &mut tally)
            .with_context(|| format!("{} {}", rule.http_method, rule.template))?;
        tally.bindings += 1;
    }
    let Tally { bindings, variables, refused, kept } = tally;
    println!(
        "{variables} variables of {bindings} bindings: of {} attempts to change one by query or body {refused} were refused, \
         {kept} left the path's value, none changed it",
        refused + kept
    );
    Ok(())
}

/// A binding as it is, and as lenient as there is; each with its own body, and with all in the body, as WebSockets have it.
fn try_one(
    schema: &Arc<Schema>,
    message: &MessageDescriptor,
    route: &Route<'_>,
    texts: &[String],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let loose = RequestOptions {
        lenient: true,
        ignore_unknown_fields: true,
        ignore_unknown_parameters: true,
        json_parameters: true,
        ..RequestOptions::default()
    };
    for options in [RequestOptions::default(), loose] {
        let plan =
            RequestPlan::compile(schema.clone(), route, options).map_err(|all| anyhow::anyhow!(all.join("; ")))?;
        for (plan, body) in [(plan.with_whole_body(), Body::Whole), (plan, route.body)] {
            let decode = |query: &str, payload: Payload<'_>| {
                let mut wire = Vec::new();
                plan.decode(texts, query, payload, &mut wire).map(|()| wire)
            };
            let alone = decode("", Payload::Empty).map_err(|all| anyhow::anyhow!("{all:?}"))?;
            let alone = DynamicMessage::decode(message.clone(), alone.as_slice())?;
            for (path, text) in route.variables.iter().zip(texts) {
                let fields = fields(schema, route, path);
                let kind = fields[fields.len() - 1].kind;
                let other = values(schema, kind).map_or("another", |(_, other)| other);
                let variable = Variable { fields, text, other };
                let own = value(&alone, &variable.fields);
                ensure!(kind != Kind::String || own.as_str() == Some(text), "{own} is not {text}");
                for attempt in variable.attempts(body, path[0]).filter(|_| text != other) {
                    let decoded = match &attempt {
                        Attempt::Query(query) => decode(query, Payload::Empty),
                        Attempt::Form(text) => decode("", Payload::Form(text.as_bytes())),
                        Attempt::Json(text) => decode("", Payload::Json(text.as_bytes())),
                    };
                    let Ok(wire) = decoded else {
                        tally.refused += 1;
                        continue;
                    };
                    let all = DynamicMessage::decode(message.clone(), wire.as_slice())?;
                    let (Attempt::Query(said) | Attempt::Form(said) | Attempt::Json(said)) = &attempt;
                    ensure!(value(&all, &variable.fields) == own, "{said} changed {own} in {all}");
                    tally.kept += 1;
                }
            }
        }
    }
    tally.variables += texts.len();
    Ok(())
}

impl Variable<'_> {
    /// Every way to say something else, where the body is this and the variable's first field stands at `first`.
    fn attempts(&self, body: Body, first: usize) -> impl Iterator<Item = Attempt> {
        let mut attempts: Vec<Attempt> = self.texts(0).into_iter().map(Attempt::Query).collect();
        let outer = match body {
            Body::Whole => Some(0),
            Body::Field(at) if at == first && self.fields.len() > 1 => Some(1),
            _ => None,
        };
        if let Some(outer) = outer {
            attempts.extend(self.texts(outer).into_iter().map(Attempt::Form));
            attempts.extend(self.objects(outer).into_iter().map(Attempt::Json));
        }
        attempts.into_iter()
    }

    /// The names of the last fields, in both spellings.
    fn names(&self, outer: usize) -> [Vec<&str>; 2] {
        let fields = &self.fields[outer..];
        [fields.iter().map(|field| &*field.name).collect(), fields.iter().map(|field| &*field.json_name).collect()]
    }

    /// As parameters.
    fn texts(&self, outer: usize) -> Vec<String> {
        let Self { text, other, .. } = self;
        let (text, other) = (escaped(text), escaped(other));
        let [proto, json] = self.names(outer).map(|names| names.join("."));
        let mut all = vec![format!("{proto}={text}&{json}={other}"), format!("{json}={text}&{proto}={other}")];
        for name in [proto, json] {
            all.push(format!("{name}={other}"));
            all.push(format!("{}={other}", escaped(&name)));
            all.extend(["value", "seconds", "paths"].map(|inner| format!("{name}.{inner}={other}")));
        }
        all
    }

    /// As objects.
    fn objects(&self, outer: usize) -> Vec<String> {
        // Words are neither.
        let value = |text: &str| match text {
            "true" | "false" => text.to_owned(),
            _ => format!("\"{text}\""),
        };
        let [text, other] = [self.text, self.other].map(value);
        let names = self.names(outer);
        let mut all = Vec::new();
        for (at, names) in names.iter().enumerate() {
            let (last, parents) = names.split_last().expect("a variable has a field");
            let within =
                |object: String| parents.iter().rev().fold(object, |object, name| format!("{{\"{name}\":{object}}}"));
            let spelt = self.names(outer)[1 - at][parents.len()].to_owned();
            all.push(within(format!("{{\"{last}\":{other}}}")));
            all.push(within(format!("{{\"{last}\":{text},\"{spelt}\":{other}}}")));
        }
        all
    }
}

/// The text of a path for a field that not any word fits, and another one.
pub(crate) fn values(schema: &Schema, kind: Kind) -> Option<(&str, &str)> {
    Some(match kind {
        Kind::String => return None,
        Kind::Bytes => ("AAAA", "AAAB"),
        Kind::Bool => ("true", "false"),
        Kind::Enum(id) => (&schema[id].values.last()?.name, &schema[id].values.first()?.name),
        Kind::Message(id) => match schema[id].well_known {
            Some(WellKnown::Timestamp) => ("1970-01-01T00:00:07Z", "1970-01-01T00:00:08Z"),
            Some(WellKnown::Duration) => ("7s", "8s"),
            Some(WellKnown::FieldMask) => ("a", "b"),
            Some(WellKnown::Wrapper(kind)) => return values(schema, kind),
            _ => return None,
        },
        _ => ("7", "8"),
    })
}

/// The fields to a variable's value.
pub(crate) fn fields<'s>(schema: &'s Schema, route: &Route<'_>, path: &[usize]) -> Vec<&'s Field> {
    let mut message = route.method().input;
    let step = |at: &usize| {
        let field = &schema[message].fields[*at];
        if let Kind::Message(inner) = field.kind {
            message = inner;
        }
        field
    };
    path.iter().map(step).collect()
}

fn value(message: &DynamicMessage, fields: &[&Field]) -> Value {
    let (first, rest) = fields.split_first().expect("a variable has a field");
    let value = message.get_field_by_number(first.number).expect("it is a field of the message").into_owned();
    match value {
        Value::Message(inner) if !rest.is_empty() => self::value(&inner, rest),
        value => value,
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

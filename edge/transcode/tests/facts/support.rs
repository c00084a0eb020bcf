//! From a row's input to a text that its expectation can be compared with. Only the crate's public face is used.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use malla_transcode::Schema;
use malla_transcode::bind::{Payload, RequestOptions, RequestPlan, ResponseOptions, ResponsePlan};
use malla_transcode::check::{Clashes, Route, Severity, check};
use malla_transcode::percent::Keep;
use malla_transcode::rule::{Binding, Config, Declared, declare};
use malla_transcode::schema::Method;
use malla_transcode::table::{Match, Miss, Prefer, Rule, Table};
use malla_transcode::template::{Segment, Template};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use protox::Compiler;

/// An input each, and what comes of it.
pub(crate) type Rows = &'static [(&'static str, &'static str)];

/// Of `facts.proto`.
static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut compiler = Compiler::new([format!("{root}/tests/facts"), format!("{root}/../../proto")]).unwrap();
    compiler.include_imports(true).open_file("facts.proto").unwrap();
    compiler.encode_file_descriptor_set()
});
static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema::new(&[&DESCRIPTORS]).unwrap()));
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS.as_slice()).unwrap());

fn echo() -> &'static Method {
    SCHEMA.find_method("facts.Facts.Echo").unwrap()
}

/// A template as its shape and what each variable holds of it, `/v1/shelves/* name=shelves/*`; or `refused`.
pub(crate) fn parsed(text: &str) -> String {
    let Ok(template) = Template::parse(text) else { return "refused".to_owned() };
    let mut told = template.shape().to_string();
    for variable in &template.variables {
        let held = template.segments[variable.start..variable.end].iter().map(Segment::to_string);
        write!(told, " {}={}", variable.field_path, held.collect::<Vec<_>>().join("/")).unwrap();
    }
    told
}

/// Where a request (`POST /path`, or a path for GET) goes among these rules: the rule and its variables,
/// `/v1/{name} name=a`, or the status of a miss.
pub(crate) fn routed(rules: &[&str], request: &str) -> String {
    let rules = rules.iter().map(|text| {
        let (method, template) = text.split_once(' ').unwrap_or(("GET", text));
        let (http_method, template) = (method.to_owned(), Template::parse(template).unwrap());
        Rule { http_method, template, required_query: Vec::new(), value: *text }
    });
    let (table, clashes) = Table::build(rules.collect(), Prefer::First);
    assert_eq!(clashes, []);
    let (method, path) = request.split_once(' ').unwrap_or(("GET", request));
    match table.find(method, path, |_| false) {
        Ok(found) => format!("{}{}", found.rule.value, variables(&found)),
        Err(miss) => status(&miss).to_string(),
    }
}

/// As [`routed`] with one rule, which is not repeated: its variables, or the status of a miss.
pub(crate) fn alone(rule: &str, request: &str) -> String {
    let found = routed(&[rule], request);
    found.strip_prefix(rule).map(|variables| variables.trim_start().to_owned()).unwrap_or(found)
}

fn variables<T>(found: &Match<'_, '_, T>) -> String {
    let mut told = String::new();
    for (variable, text) in found.variables(Keep::default()) {
        let text = text.map_or_else(|error| format!("({error})"), |text| text.into_owned());
        write!(told, " {}={text}", variable.field_path).unwrap();
    }
    told
}

fn status(miss: &Miss<'_>) -> u16 {
    match miss {
        Miss::Malformed { .. } => 400,
        Miss::Path => 404,
        Miss::Method { .. } => 405,
    }
}

/// A binding of `facts.Facts.Echo`, `POST /v1/{text} body -> response_body`, in a table of its own; and its errors.
fn checked(rule: &str) -> (Table<Route<'static>>, String) {
    let (rule, response_body) = rule.split_once(" -> ").unwrap_or((rule, ""));
    let mut words = rule.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (http_method, path, body) = (word(), word(), word());
    let binding = Binding { http_method, path, body, response_body: response_body.to_owned() };
    let (index, file, line, required_query) = (0, "".into(), 0, Vec::new());
    let declared = Declared { schema: &SCHEMA, method: echo(), binding, index, file, line, required_query };
    let (table, findings) = check(vec![declared], Clashes::Refuse);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    (table, errors.map(|finding| finding.code.to_string()).collect::<Vec<_>>().join(", "))
}

/// The codes of what keeps such a binding from being served; empty for nothing.
pub(crate) fn refusal(rule: &str) -> String {
    checked(rule).1
}

/// What a rule of a service's configuration binds, `GET /path [body]`, by commas.
pub(crate) fn bindings(rule: &str) -> String {
    let mut config = Config::default();
    config.read("facts.yaml", &format!("http: {{rules: [{{selector: facts.Facts.Echo, {rule}}}]}}")).unwrap();
    let (declared, _) = declare(&[(&**SCHEMA, echo())], &config, false);
    let told = declared.iter().map(|declared| format!("{} [{}]", declared.binding, declared.binding.body));
    told.collect::<Vec<_>>().join(", ")
}

/// The message that a request becomes by a binding, as JSON by the names in the proto; or what is wrong with it. An empty
/// body is none.
pub(crate) fn requested(rule: &str, target: &str, body: &str) -> String {
    let payload = if body.is_empty() { Payload::Empty } else { Payload::Json(body.as_bytes()) };
    requested_with(rule, target, payload, RequestOptions::default())
}

/// As [`requested`], whatever the body and the options.
pub(crate) fn requested_with(rule: &str, target: &str, payload: Payload<'_>, options: RequestOptions) -> String {
    let (table, errors) = checked(rule);
    assert_eq!(errors, "", "{rule}");
    let (method, (path, query)) = (rule.split(' ').next().unwrap(), target.split_once('?').unwrap_or((target, "")));
    let found = table.find(method, path, |_| false).unwrap_or_else(|miss| panic!("{target}: {miss:?}"));
    let plan = RequestPlan::compile(SCHEMA.clone(), &found.rule.value, options).unwrap();
    let variables: Vec<_> = found.variables(Keep::default()).map(|(_, text)| text.unwrap()).collect();
    let mut wire = Vec::new();
    match plan.decode(&variables, query, payload, &mut wire) {
        Ok(()) => json(&wire),
        Err(violations) => violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// As another implementation reads it.
fn json(wire: &[u8]) -> String {
    let message = DynamicMessage::decode(POOL.get_message_by_name("facts.All").unwrap(), wire).unwrap();
    let mut json = Vec::new();
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options).unwrap();
    String::from_utf8(json).unwrap()
}

/// The answer to a message, given as JSON.
pub(crate) fn answered(rule: &str, message: &str, options: ResponseOptions) -> String {
    let descriptor = POOL.get_message_by_name("facts.All").unwrap();
    let message = DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(message)).unwrap();
    let (table, errors) = checked(rule);
    assert_eq!(errors, "", "{rule}");
    let plan = ResponsePlan::new(SCHEMA.clone(), &table.rules()[0].value, options);
    let mut json = Vec::new();
    plan.json(&prost::Message::encode_to_vec(&message), &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// Whether a result is what a row expects: as JSON where it is an object, else as the beginning of what is wrong.
#[track_caller]
pub(crate) fn expect(result: &str, expected: &str, input: &str) {
    let value = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    let same = value(expected).map_or_else(|| result.starts_with(expected), |json| value(result) == Some(json));
    assert!(same, "{input}\nhas     {result}\nexpects {expected}");
}

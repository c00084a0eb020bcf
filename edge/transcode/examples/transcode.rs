//! A request routed and transcoded, and its answer, without I/O: `cargo run -p malla-transcode --example transcode`.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::sync::Arc;

use malla_transcode::Schema;
use malla_transcode::bind::{Payload, RequestOptions, RequestPlan, ResponseOptions, ResponsePlan};
use malla_transcode::check::{Clashes, check};
use malla_transcode::percent::Keep;
use malla_transcode::rule::{Config, declare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Once: the descriptors (here of Google's long-running operations), the bindings they declare, their table.
    let mut compiler = protox::Compiler::new([concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto")])?;
    compiler.include_imports(true).open_file("google/longrunning/operations.proto")?;
    let schema = Arc::new(Schema::new(&[&compiler.encode_file_descriptor_set()])?);
    let methods: Vec<_> = schema.services().iter().flat_map(|service| &service.methods).collect();
    let methods: Vec<_> = methods.into_iter().map(|method| (&*schema, method)).collect();
    let (declared, _) = declare(&methods, &Config::default(), false);
    let (table, findings) = check(declared, Clashes::Refuse);
    findings.iter().for_each(|finding| println!("{finding}"));

    // For each request: its route, and the bytes of its message, to be sent to the backend.
    let found = table.find("GET", "/v1/operations", |_| false).map_err(|miss| format!("{miss:?}"))?;
    let route = &found.rule.value;
    let plan = RequestPlan::compile(schema.clone(), route, RequestOptions::default()).map_err(|all| all.join("; "))?;
    let variables = found.variables(Keep::default()).map(|(_, text)| text).collect::<Result<Vec<_>, _>>();
    let variables = variables.map_err(|error| error.to_string())?;
    let mut message = Vec::new();
    let decoded = plan.decode(&variables, "filter=done%3Dtrue&pageSize=10", Payload::Empty, &mut message);
    decoded.map_err(|violations| format!("{violations:?}"))?;
    println!("{}: {message:02x?}", route.method().path);

    // For each answer: its JSON. These bytes are a ListOperationsResponse with next_page_token "2".
    let mut json = Vec::new();
    ResponsePlan::new(schema.clone(), route, ResponseOptions::default()).json(b"\x12\x012", &mut json)?;
    println!("{}", String::from_utf8(json)?);
    Ok(())
}

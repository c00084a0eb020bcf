//! A variable's value, a query and a JSON body, one a line, bound strictly and leniently: what is taken has a JSON.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use malla_fuzz::{SCHEMA, agree, encode};
use malla_transcode::bind::{Payload, RequestOptions, RequestPlan};
use malla_transcode::check::{Clashes, check};
use malla_transcode::json::EncodeError;
use malla_transcode::rule::{Binding, Declared};

fn plan(body: &str, lenient: bool) -> RequestPlan {
    let method = SCHEMA.find_method("kitchen.Kitchen.Cook").expect("service.proto has it");
    let path = "/v1/{child.a_string}".to_owned();
    let binding = Binding { http_method: "POST".to_owned(), path, body: body.to_owned(), ..Binding::default() };
    let (file, required_query) = ("".into(), Vec::new());
    let declared = Declared { schema: &SCHEMA, method, binding, index: 0, file, line: 0, required_query };
    let (table, findings) = check(vec![declared], Clashes::Refuse);
    let rule = table.rules().first().unwrap_or_else(|| panic!("{findings:?}"));
    let options = RequestOptions { lenient, json_parameters: !lenient, ..RequestOptions::default() };
    RequestPlan::compile(SCHEMA.clone(), &rule.value, options).expect("the variable is a field")
}

static PLANS: LazyLock<Vec<RequestPlan>> = LazyLock::new(|| {
    [("", false), ("child", false), ("*", false), ("", true), ("*", true)]
        .map(|(body, lenient)| plan(body, lenient))
        .into()
});

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (variable, query, body) = (line(), line(), line());
    for plan in PLANS.iter() {
        let mut wire = Vec::new();
        let payloads = [Payload::Json(body.as_bytes()), Payload::Form(body.as_bytes())];
        let payload = if !plan.has_body() { Payload::Empty } else { payloads[usize::from(plan.is_lenient())] };
        if plan.decode(&[variable], query, payload, &mut wire).is_ok() {
            match encode(&wire) {
                Ok(json) => agree(&json),
                // In a query a mask's path may be the name of a field that JSON cannot say, such as a_1.
                Err(error) => assert!(matches!(error, EncodeError::NoJson { .. }), "{error}"),
            }
        }
    }
});

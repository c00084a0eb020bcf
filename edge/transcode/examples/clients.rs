//! Holds the core against requests that another's client has encoded: `make conformance-clients`, which says how they are
//! made. Each has to find its binding, among all of its service, and become the message it was made from. Only where the
//! rules themselves lead its path elsewhere, as the check has told, it is not tried.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use malla_transcode::Schema;
use malla_transcode::bind::{Payload, RequestOptions, RequestPlan};
use malla_transcode::check::{Clashes, Code, Finding, Route, check};
use malla_transcode::percent::Keep;
use malla_transcode::rule::{Config, declare};
use malla_transcode::table::Table;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (set, requests) = arguments.next().zip(arguments.next()).context("usage: clients DESCRIPTORS REQUESTS")?;
    let set = std::fs::read(set)?;
    let (schema, pool) = (Arc::new(Schema::new(&[&set])?), DescriptorPool::decode(set.as_slice())?);
    let mut services = HashMap::new();
    let (mut same, mut told, mut pythonic, mut methods) = (0, 0, 0, BTreeMap::new());
    let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(requests)?.lines() {
        let request = Request::read(line).context("a line is no request")?;
        let service = request.method.rsplit_once('.').context("a method without a service")?.0;
        let service = services.entry(service.to_owned()).or_insert_with(|| Service::check(&schema, service));
        if service.tells_of(&request) {
            told += 1;
            continue;
        }
        pythonic += usize::from(request.is_pythonic());
        let outcome = request.outcome(&schema, &pool, &service.table);
        *methods.entry(request.method.to_owned()).or_insert(true) &= outcome.is_ok();
        match outcome {
            Ok(()) => same += 1,
            Err(reason) => failed.entry(reason).or_default().push(format!("{} {}", request.method, request.binding)),
        }
    }
    let whole = methods.values().filter(|same| **same).count();
    println!("{same} requests become their message again, all of {whole} methods of {}", methods.len());
    println!("  {told} are not tried: the check tells that others come before their bindings");
    println!("  {pythonic} say True or False in the path, as Python does: those go to lenient bindings");
    for (reason, which) in &failed {
        println!("  {}: {reason}, such as {}", which.len(), which[0]);
    }
    ensure!(failed.is_empty(), "{} do not", failed.values().map(Vec::len).sum::<usize>());
    Ok(())
}

/// The bindings of a service.
struct Service<'s> {
    table: Table<Route<'s>>,
    findings: Vec<Finding>,
}

impl<'s> Service<'s> {
    fn check(schema: &'s Schema, name: &str) -> Self {
        let methods = schema.find_service(name).map_or(&[][..], |service| &service.methods);
        let methods: Vec<_> = methods.iter().map(|method| (schema, method)).collect();
        let (table, findings) = check(declare(&methods, &Config::default(), false).0, Clashes::First);
        Self { table, findings }
    }

    /// Whether others come before the binding of a request.
    fn tells_of(&self, request: &Request<'_>) -> bool {
        let is_its =
            |route: &Route<'_>| *route.method().full_name == *request.method && route.declared.index == request.binding;
        let rule = self.table.rules().iter().find(|rule| is_its(&rule.value));
        let binding = rule.map_or(String::new(), |rule| rule.value.declared.binding.to_string());
        self.findings.iter().any(|finding| {
            let elsewhere = matches!(finding.code, Code::Clash | Code::Shadowed | Code::Unreachable);
            elsewhere && finding.method == request.method && finding.binding == binding
        })
    }
}

struct Request<'l> {
    /// `pkg.Service.Method`.
    method: &'l str,
    /// Which of its bindings, from 0.
    binding: usize,
    http_method: &'l str,
    path: &'l str,
    query: &'l str,
    body: Payload<'l>,
    message: Vec<u8>,
}

impl<'l> Request<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        let (method, binding, http_method, path, query) = (next()?, next()?.parse().ok()?, next()?, next()?, next()?);
        let body = match next()? {
            "-" => Payload::Empty,
            json => Payload::Json(json.as_bytes()),
        };
        let digits = next()?;
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let message = (0..digits.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Self { method, binding, http_method, path, query, body, message })
    }

    /// Whether its path has a bool as Python writes it, which is not JSON's way.
    fn is_pythonic(&self) -> bool {
        self.path.split(['/', ':']).any(|word| matches!(word, "True" | "False"))
    }

    /// Whether it becomes its message, or why not.
    fn outcome(&self, schema: &Arc<Schema>, pool: &DescriptorPool, table: &Table<Route<'_>>) -> Result<(), String> {
        let found = table.find(self.http_method, self.path, |_| false).map_err(|miss| format!("{miss:?}"))?;
        let route = &found.rule.value;
        if *route.method().full_name != *self.method || route.declared.index != self.binding {
            return Err(format!("leads to {} {}", route.method().full_name, route.declared.index));
        }
        let variables = found.variables(Keep::Slash).map(|(_, text)| text).collect::<Result<Vec<_>, _>>();
        let variables = variables.map_err(|error| format!("{error:?}"))?;
        // What these clients put beside the fields.
        let ignored_query = vec!["$alt".to_owned()];
        let options = RequestOptions { ignored_query, lenient: self.is_pythonic(), ..RequestOptions::default() };
        let plan = RequestPlan::compile(schema.clone(), route, options).map_err(|problems| problems.join("; "))?;
        let mut wire = Vec::new();
        plan.decode(&variables, self.query, self.body, &mut wire)
            .map_err(|violations| violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let name = &schema[route.method().input].name;
        let descriptor = pool.get_message_by_name(name).ok_or("its message is not in the set")?;
        // Written and read again, for a zero that the path says is as good as none.
        let read = |bytes: &[u8]| DynamicMessage::decode(descriptor.clone(), bytes).map_err(|error| error.to_string());
        let again = |bytes: &[u8]| read(&read(bytes)?.encode_to_vec());
        if again(&wire)? != again(&self.message)? {
            return Err("becomes another message".to_owned());
        }
        Ok(())
    }
}

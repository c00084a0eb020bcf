//! Loads every HTTP binding of Google's own APIs into one table and proves it against itself: `make conformance-routes`.
//!
//! It is the largest set of `google.api.http` rules there is. They are made for a few hundred hosts, so in one table many
//! clash; those are counted a second time without the table, by the text of their shapes. SET is where the compiled
//! descriptors go, for others that want them.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use malla_transcode::Schema;
use malla_transcode::check::{Clashes, Code, Finding, Route, Severity, check};
use malla_transcode::percent::Keep;
use malla_transcode::rule::{Binding, Config, Declared, declare};
use malla_transcode::table::{Rule, Table};
use malla_transcode::template::Segment;
use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

mod bound;

fn main() -> anyhow::Result<()> {
    let protos = std::env::args_os().nth(1).map(PathBuf::from).context("usage: googleapis FOLDER [SET]")?;
    let descriptors = compile(&protos)?;
    if let Some(set) = std::env::args_os().nth(2) {
        std::fs::write(set, &descriptors)?;
    }
    let schema = Arc::new(Schema::new(&[&descriptors])?);
    let methods: Vec<_> =
        schema.services().iter().flat_map(|service| &service.methods).map(|method| (&*schema, method)).collect();
    let (declared, mut findings) = declare(&methods, &Config::default(), false);
    println!("{} methods, {} bindings", methods.len(), declared.len());
    let by_text = clashes_by_text(&declared);
    let count = declared.len();
    let started = Instant::now();
    let (table, more) = check(declared, Clashes::First);
    println!("checked in {:.0?}", started.elapsed());
    findings.extend(more);
    report(&findings);
    ensure!(table.rules().len() == count, "{} of {count} bindings are in the table", table.rules().len());
    let told = findings.iter().filter(|finding| finding.code == Code::Clash).count();
    println!(
        "clashes: {told}; by the text of shapes {} in all, {} of them within a package's directory",
        by_text.0, by_text.1
    );
    ensure!(told == by_text.0, "the clashes that were told are not those there are");
    let paths = round_trip(&table, &findings)?;
    bound::try_all(&schema, &descriptors, &table, |rule| path_of(rule).1)?;
    measure(&table, &paths)
}

/// All files with a rule, and what they import.
fn compile(protos: &Path) -> anyhow::Result<Vec<u8>> {
    let (mut folders, mut files) = (vec![protos.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto")
                && std::fs::read_to_string(&path)?.contains("(google.api.http)")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no annotated .proto in {}", protos.display());
    let started = Instant::now();
    // protox reads its own descriptor.proto, but not the one in the package.
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(protos.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    let mut left_out = 0;
    for file in &files {
        let file = file.strip_prefix(protos)?;
        if let Err(error) = compiler.open_file(file) {
            left_out += 1;
            println!("left out: {}: {error}", file.display());
        }
    }
    println!("{} annotated files, {left_out} left out, compiled in {:.0?}", files.len(), started.elapsed());
    Ok(compiler.encode_file_descriptor_set())
}

/// How many bindings have the HTTP method and shape of an earlier one, in all and within one directory.
fn clashes_by_text(declared: &[Declared<'_>]) -> (usize, usize) {
    let (mut all, mut here) = (BTreeSet::new(), BTreeSet::new());
    for one in declared {
        let shape = format!("{} {}", one.binding.http_method, shape(&one.binding.path));
        let directory = one.file.rsplit_once('/').map_or("", |(directory, _)| directory);
        here.insert((directory.to_owned(), shape.clone()));
        all.insert(shape);
    }
    (declared.len() - all.len(), declared.len() - here.len())
}

/// `/v1/{name=a/*}/{b}` is `/v1/a/*/*`.
fn shape(path: &str) -> String {
    let mut shape = String::new();
    for part in path.split('{') {
        let (variable, rest) = part.split_once('}').unwrap_or(("", part));
        shape += if variable.is_empty() { "" } else { variable.split_once('=').map_or("*", |(_, pattern)| pattern) };
        shape += rest;
    }
    shape
}

fn report(findings: &[Finding]) {
    let mut counts: BTreeMap<(Severity, Code), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        counts.entry((finding.severity, finding.code)).or_default().push(finding);
    }
    for ((severity, code), found) in counts {
        println!("{severity:?} {code}: {}, such as", found.len());
        for finding in found.iter().take(3) {
            println!("  {finding}");
        }
    }
}

/// Each binding's own path leads to it and gives its variables back.
fn round_trip(table: &Table<Route<'_>>, findings: &[Finding]) -> anyhow::Result<Vec<(String, String)>> {
    let told: HashMap<_, _> = findings
        .iter()
        .filter(|finding| matches!(finding.code, Code::Clash | Code::Shadowed | Code::Unreachable))
        .map(|finding| ((finding.method.as_str(), finding.binding.as_str()), finding.code))
        .collect();
    let (mut paths, mut told_before) = (Vec::new(), 0);
    for (index, rule) in table.rules().iter().enumerate() {
        let Binding { http_method, .. } = &rule.value.declared.binding;
        let binding = rule.value.declared.binding.to_string();
        if told.contains_key(&(&*rule.value.method().full_name, binding.as_str())) {
            told_before += 1;
            continue;
        }
        let (path, texts) = path_of(rule);
        let found = table.find(http_method, &path, |_| false).ok().with_context(|| format!("{path} leads nowhere"))?;
        ensure!(found.index == index, "{path} leads to {}, not to {}", found.rule.template, rule.template);
        let given: Vec<_> = found.variables(Keep::Slash).map(|(_, text)| text.map(|text| text.into_owned())).collect();
        ensure!(given.iter().all(Result::is_ok), "{path}");
        ensure!(given.into_iter().flatten().eq(texts), "{path} gives other variables back");
        paths.push((http_method.clone(), path));
    }
    println!("{} paths lead back with their variables; {told_before} bindings are not tried, as told", paths.len());
    Ok(paths)
}

/// A path for a binding, and the texts of its variables: a word of its own in each `*`, two in `**`; what is no string
/// has a value of its type.
fn path_of(rule: &Rule<Route<'_>>) -> (String, Vec<String>) {
    let mut segments = Vec::new();
    for (at, segment) in rule.template.segments.iter().enumerate() {
        segments.push(match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Single => format!("word-{at}"),
            Segment::Multi => format!("word-{at}/more"),
        });
    }
    for (variable, path) in rule.template.variables.iter().zip(&rule.value.variables) {
        let field = bound::fields(rule.value.schema(), &rule.value, path).pop();
        let value = field.and_then(|field| bound::values(rule.value.schema(), field.kind));
        if let (Some((text, _)), 1) = (value, variable.end - variable.start) {
            segments[variable.start] = text.to_owned();
        }
    }
    let texts = rule.template.variables.iter().map(|variable| segments[variable.start..variable.end].join("/"));
    let verb = rule.template.verb.as_ref().map_or(String::new(), |verb| format!(":{verb}"));
    (format!("/{}{verb}", segments.join("/")), texts.collect())
}

/// How long a request takes to find its binding and its variables: the best of some rounds over a few paths at a time,
/// so that neither other programs nor memory that was not used for long are measured.
fn measure(table: &Table<Route<'_>>, paths: &[(String, String)]) -> anyhow::Result<()> {
    let mut total = Duration::ZERO;
    for some in paths.chunks(256) {
        let mut best = Duration::MAX;
        for _ in 0..9 {
            let started = Instant::now();
            let mut bytes = 0;
            for (method, path) in some {
                let found = table.find(method, path, |_| false).ok().context("it was found before")?;
                bytes += found.captures().map(|(_, text)| text.len()).sum::<usize>();
            }
            std::hint::black_box(bytes);
            best = best.min(started.elapsed());
        }
        total += best;
    }
    let nanos = total.as_nanos() / paths.len() as u128;
    println!("{nanos} ns a request");
    ensure!(cfg!(debug_assertions) || nanos < 1_000, "more than a microsecond a request");
    Ok(())
}

//! The rules of the repository that a reader relies on: sizes, arrows between crates, config samples that parse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const RUNTIME_LINES_MAX: usize = 2_700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Rust files git tracks or would track, relative to the root.
fn sources() -> Vec<(String, String)> {
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard", "*.rs"]).current_dir(root()).output();
    let listed = String::from_utf8(listed.expect("git lists the files").stdout).unwrap();
    assert!(listed.lines().count() > 50, "git lists the files: {listed}");
    let read = |name: &str| fs::read_to_string(root().join(name)).ok().map(|text| (name.to_owned(), text));
    listed.lines().filter_map(read).collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/")
}

#[test]
fn no_file_outgrows_its_role() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| !is_test(name) && text.lines().count() > FILE_LINES_MAX)
        .map(|(name, _)| name)
        .collect();
    assert!(long.is_empty(), "over {FILE_LINES_MAX} lines, to be split by role: {long:?}");
}

/// By rustfmt's indentation: a function ends at the first brace below its own.
#[test]
fn no_function_outgrows_a_screen() {
    let mut long = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let words = code.split('(').next().unwrap_or_default().split(' ');
            let head = words
                .take_while(|word| *word != "fn")
                .all(|word| word.starts_with("pub") || word == "async" || word == "const");
            if !head || !code.contains("fn ") || !line.ends_with('{') {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[at..].iter().position(|line| *line == end).expect("an end") + 1;
            if length > FUNCTION_LINES_MAX {
                long.push(format!("{name}:{} {length}", at + 1));
            }
        }
    }
    assert!(long.is_empty(), "over {FUNCTION_LINES_MAX} lines: {long:?}");
}

#[test]
fn the_runtime_stays_small() {
    let runtime = |(name, _): &(String, String)| name.starts_with("services/runtime/src") && !is_test(name);
    let lines: usize = sources().iter().filter(|file| runtime(file)).map(|(_, text)| text.lines().count()).sum();
    assert!(lines <= RUNTIME_LINES_MAX, "the runtime has {lines} lines; what only one crate needs moves there");
}

#[test]
fn every_module_says_what_it_is_for() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|(name, text)| !is_test(name) && !text.starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    assert!(bare.is_empty(), "no //! at the top: {bare:?}");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)))
        .map(|(name, _)| name)
        .collect();
    assert!(found.is_empty(), "unfinished: {found:?}");
}

/// ARCHITECTURE.md, "Arrows".
#[test]
fn crates_depend_along_the_arrows_only() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let own = |name: &str| name.strip_prefix("malla-").map(str::to_owned);
        // An optional one is for tests: `malla-storage/testing`.
        let is_normal =
            |dependency: &&serde_json::Value| dependency["kind"].is_null() && dependency["optional"] == false;
        let normal = package["dependencies"].as_array().unwrap().iter().filter(is_normal);
        let to = normal.filter_map(|dependency| own(dependency["name"].as_str().unwrap())).collect();
        arrows.insert(own(package["name"].as_str().unwrap()).unwrap(), to);
    }
    for (from, to) in arrows {
        let allowed: &[&str] = match from.as_str() {
            "contracts" | "balancer" | "servers" | "transcode" => &[],
            "openapi" => &["transcode"],
            "example" => &["edge"],
            "runtime" => &["balancer"],
            "edge" => &["openapi", "runtime", "transcode"],
            "storage" => &["runtime"],
            "launcher" => continue,
            _ => &["contracts", "runtime", "storage"],
        };
        for to in to {
            assert!(allowed.contains(&to.as_str()), "{from} -> {to} is no arrow of the architecture");
        }
    }
}

#[test]
fn config_samples_parse() {
    for sample in fs::read_dir(root().join("deploy/config")).unwrap() {
        let sample = sample.unwrap().path();
        let output =
            Command::new(env!("CARGO_BIN_EXE_malla")).arg("config").arg("--config").arg(&sample).output().unwrap();
        assert!(output.status.success(), "{}: {}", sample.display(), String::from_utf8_lossy(&output.stderr));
    }
}

/// Its variables are settings of ours, and it runs every service.
#[test]
fn the_compose_file_fits() {
    let text = fs::read_to_string(root().join("deploy/compose/split.yaml")).unwrap();
    let variables =
        text.lines().filter_map(|line| line.trim().split_once(": ")).filter(|(key, _)| key.starts_with("MALLA_"));
    // A secret is whatever its variable holds.
    let value = |value: &str| {
        value
            .split("${")
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
            .collect::<Vec<_>>()
            .join("secret")
    };
    let variables: BTreeMap<_, _> = variables.map(|(key, text)| (key.to_owned(), value(text))).collect();
    assert!(variables.len() > 30, "{variables:?}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_malla"));
    let output = command.arg("config").envs(&variables).current_dir(std::env::temp_dir()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    for service in config["discovery"].as_table().unwrap().keys() {
        assert!(text.contains(&format!("command: [run, {service}]")), "{service} is not run");
    }
    assert_eq!(config["discovery"].as_table().unwrap().len(), text.matches("command: [run, ").count() - 1);
}

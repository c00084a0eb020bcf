//! The document that the edge serves of the mesh, and what the binary says of its routes without running it.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Mesh, Topology, malla};

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// A template without the names of its variables, and their patterns as segments: `/v1/{name=a/*}` is `/v1/a/{}`.
fn shape(template: &str) -> String {
    let mut shape = String::new();
    for piece in template.split_inclusive('}') {
        let (literal, variable) = piece.split_once('{').unwrap_or((piece, ""));
        shape.push_str(literal);
        let pattern = variable.trim_end_matches('}').split_once('=').map_or("*", |(_, pattern)| pattern);
        shape.push_str(if variable.is_empty() { "" } else { pattern });
    }
    shape.replace("**", "*").replace('*', "{}")
}

#[tokio::test]
async fn the_document_has_every_binding_of_the_mesh() {
    let output = malla().args(["routes"]).output().await.unwrap();
    let routes = String::from_utf8(output.stdout).unwrap();
    let mesh = Mesh::start(Topology::OneProcess).await;
    let document: Value = reqwest::get(format!("{}/openapi.json", mesh.edge())).await.unwrap().json().await.unwrap();
    let mut known = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for rpc in operation["x-malla-rpcs"].as_array().unwrap() {
                known.insert(format!("{} {} {}", method.to_uppercase(), shape(path), rpc.as_str().unwrap()));
            }
        }
    }
    let mut count = 0;
    for line in routes.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (method, path, rpc) = (words[0], words[1].split('?').next().unwrap(), words[4]);
        assert!(known.contains(&format!("{method} {} {rpc}", shape(path))), "{line} is not in the document");
        count += 1;
    }
    assert!(count > 60, "{routes}");
    let mut all = BTreeSet::new();
    references(&document, &mut all);
    for reference in all {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some_and(Value::is_object), "{reference}");
    }
    let lacking: Vec<&String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, item)| {
            item.as_object().unwrap().values().any(|operation| operation["summary"].as_str().is_none_or(str::is_empty))
        })
        .map(|(path, _)| path)
        .collect();
    assert!(lacking.is_empty(), "comments of the contracts describe every operation: {lacking:?}");
}

#[tokio::test]
async fn check_finds_nothing_wrong_with_the_mesh_and_everything_with_bad_rules() {
    let output = malla().args(["check"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains(", 0 errors, "), "{text}");

    let dir = TempDir::new().unwrap();
    let rules = dir.path().join("rules.yaml");
    std::fs::write(
        &rules,
        "http:\n  rules:\n    - selector: malla.beers.v1.BeersService.GetBeer\n      get: /v1/beers/{skuu}\n    - selector: a.B.C\n      get: /c\n",
    )
    .unwrap();
    let output = malla().args(["check", "--json", "--rules"]).arg(&rules).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |code: &str| {
        findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("{code}: {report}"))
    };
    assert!(of("unknown-field")["help"].as_str().unwrap().contains("\"sku\""), "{report}");
    assert_eq!(of("unknown-selector")["line"], 5);
}

#[tokio::test]
async fn explain_says_which_rule_takes_a_request_and_why() {
    let explain = async |target: &str| {
        let output = malla().args(["routes", "explain", "GET", target]).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = explain("/v1/files/a/b:stat/").await;
    assert!(text.contains("goes to \"GET /v1/files/{path=**}:stat\" of malla.files.v1.FilesService.GetFile"), "{text}");
    assert!(text.contains("path = \"a/b\"") && text.contains("FilesService.DownloadFile"), "{text}");
    assert!(explain("/v1/nothing").await.contains("404"));
    assert!(explain("/v1/beers?page_size=3").await.contains("    page_size = 3\n"));
    assert!(
        explain("/v1/beers?page_sise=3").await.contains("400: page_sise: is not a field of this request; did you mean")
    );
    assert!(explain("/health").await.contains("the edge answers this path itself"));
    let operation = explain("/v1/operations/x").await;
    assert!(operation.contains("google.longrunning.Operations.GetOperation"), "{operation}");
}

//! Templates, one a line, and in the last line a path: what is found is a part of the path, and a table of the found
//! rule alone finds the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use malla_transcode::table::{Prefer, Rule, Table};
use malla_transcode::template::Template;

fn rule(template: Template) -> Rule<()> {
    Rule { http_method: "GET".to_owned(), template, required_query: Vec::new(), value: () }
}

fuzz_target!(|text: &str| {
    let Some((templates, path)) = text.rsplit_once('\n') else { return };
    let rules = templates.lines().filter_map(|line| Template::parse(line).ok()).map(rule).collect();
    let (table, _) = Table::build(rules, Prefer::First);
    let Ok(found) = table.find("GET", path, |_| false) else { return };
    let captures: Vec<_> = found.captures().collect();
    assert!(captures.iter().all(|(_, value)| path.contains(value)));
    let (alone, _) = Table::build(vec![rule(found.rule.template.clone())], Prefer::First);
    let again = alone.find("GET", path, |_| false).expect("one rule less hides nothing");
    assert!(again.captures().map(|(_, value)| value).eq(captures.iter().map(|(_, value)| *value)));
});

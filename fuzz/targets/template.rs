//! Any text as a template: it is refused or makes a table that can be searched, also with itself as the path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use malla_transcode::table::{Prefer, Rule, Table};
use malla_transcode::template::Template;

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let rule = Rule { http_method: "GET".to_owned(), template, required_query: Vec::new(), value: () };
    let (table, clashes) = Table::build(vec![rule], Prefer::First);
    assert!(clashes.is_empty());
    if let Ok(found) = table.find("GET", text, |_| false) {
        assert!(found.captures().all(|(_, value)| text.contains(value)));
    }
});

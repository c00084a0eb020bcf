use std::io::Write as _;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Section {
    listen: String,
    bytes_max: u32,
    key: Secret,
}

impl Default for Section {
    fn default() -> Self {
        Self { listen: "127.0.0.1:1".into(), bytes_max: 7, key: Secret::default() }
    }
}

fn settings(text: &str, overrides: &[(&str, &str)]) -> Settings {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("written");
    let overrides: Vec<_> = overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings::load("[edge]\nlisten = 'z'", Some(file.path()), &overrides).expect("settings")
}

#[test]
fn the_command_line_beats_the_file_and_the_file_beats_the_default() {
    let settings = self::settings("[edge]\nlisten = 'a'\nbytes_max = 9", &[("edge.listen", "b")]);
    let section: Section = settings.section("edge").expect("the section");
    assert_eq!(section, Section { listen: "b".into(), bytes_max: 9, key: Secret::default() });
    assert_eq!(settings.section::<Section>("other").expect("defaults"), Section::default());
    let section: Section = self::settings("", &[]).section("edge").expect("the section");
    assert_eq!(section.listen, "z", "the program's default beats the type's");
}

#[test]
fn a_bad_value_is_named_with_what_it_may_be() {
    let error =
        settings("[edge]\nbytes_max = 'many'", &[]).section::<Section>("edge").expect_err("refused").to_string();
    for part in ["edge", "bytes_max", "many", "integer"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn fractions_are_not_rounded() {
    for (text, key) in [("bytes_max = 1.9", "edge.bytes_max"), ("b = { c = 1.0 }", "edge.b.c")] {
        let settings = settings(&format!("[edge]\n{text}"), &[]);
        let error = settings.section::<Section>("edge").expect_err("refused").to_string();
        assert!(error.starts_with(&format!("{key}: \"1")) && error.ends_with("it may be a whole number"), "{error}");
    }
    let error = settings("", &[("edge.bytes_max", "1.9")]).section::<Section>("edge").expect_err("refused").to_string();
    assert!(error.contains("1.9"), "{error}");
}

#[test]
fn unknown_keys_and_sections_fail() {
    let settings = settings("[edge]\nlisen = 'a'\n[egde]\nx = 1", &[]);
    let error = settings.section::<Section>("edge").expect_err("refused").to_string();
    assert!(error.contains("lisen") && error.contains("listen"), "{error}");
    let error = settings.refuse_unknown(&["edge"]).expect_err("refused").to_string();
    assert!(error.contains("egde"), "{error}");
}

#[test]
fn a_number_out_of_its_range_is_refused_by_its_key() {
    assert!(check_ranges("edge", [("a", 1, 1..=2), ("b", 2, 1..=2)]).is_ok());
    let error = check_ranges("edge", [("a", 1, 1..=2), ("b", 3, 1..=2)]).expect_err("refused").to_string();
    assert_eq!(error, "edge.b: \"3\" cannot be used; it may be 1 to 2");
}

#[test]
fn secrets_are_never_printed() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "***");
    assert_eq!(serde_json::to_string(&secret).expect("JSON"), "\"***\"");
    assert_eq!(secret.expose(), "hunter2");
}

//! Where in a JSON text a fault is, as a path. Worked out from the text once there is a fault, so that decoding need
//! not keep track.

use std::borrow::Cow;

use super::lex::Lexer;

enum Step<'a> {
    Key(Option<Cow<'a, [u8]>>),
    Index(usize),
}

/// The path of the value, or of the member whose key begins, at `offset` of `text`, such as `items[3].name`.
pub(super) fn path(text: &[u8], offset: usize) -> String {
    let mut lexer = Lexer::new(text);
    let mut steps: Vec<Step<'_>> = Vec::new();
    loop {
        let byte = lexer.peek();
        // A key that begins here is part of its own path.
        let at_key = byte == b'"' && matches!(steps.last(), Some(Step::Key(None)));
        if lexer.at >= text.len() || lexer.at > offset || (lexer.at == offset && !at_key) {
            return display(&steps);
        }
        if byte == b'"' {
            let start = lexer.at;
            let Ok(string) = lexer.string() else { return display(&steps) };
            if let Some(Step::Key(key @ None)) = steps.last_mut() {
                *key = Some(string.value());
            }
            if start == offset {
                return display(&steps);
            }
            continue;
        }
        lexer.at += 1;
        match byte {
            b'{' => steps.push(Step::Key(None)),
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(key)) => *key = None,
                None => {}
            },
            _ => {}
        }
    }
}

fn display(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(Some(key)) => append(&mut path, &String::from_utf8_lossy(key)),
            Step::Key(None) => {}
        }
    }
    path
}

/// Appends one more name to a path.
pub(super) fn append(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_leads_to_the_value_or_the_key_at_an_offset() {
        let text = r#"{ "a" : [1, {"b\"": "{[,", "c": 5 } ], "d": {"e": null} }"#;
        let at = |part: &str| path(text, text.find(part).unwrap());
        fn path(text: &str, offset: usize) -> String {
            super::path(text.as_bytes(), offset)
        }
        assert_eq!(path(text, 0), "");
        assert_eq!(at("\"a\""), "a");
        assert_eq!(at("[1"), "a");
        assert_eq!(at("1,"), "a[0]");
        assert_eq!(at("{\"b"), "a[1]");
        assert_eq!(at("\"{["), "a[1].b\"");
        assert_eq!(path(r#"{"\u0069d": 1}"#, 11), "id");
        assert_eq!(at("5"), "a[1].c");
        assert_eq!(at("null"), "d.e");
        assert_eq!(path(text, text.len()), "");
        assert_eq!(path("{\"a\": [1, \"unclosed", 20), "a[1]");
    }

    #[test]
    fn no_text_and_no_offset_is_too_odd() {
        for text in ["", "}}]]", "{\"", "[[[[", "{,:,}", "\"\\"] {
            for offset in 0..8 {
                path(text.as_bytes(), offset);
            }
        }
    }
}

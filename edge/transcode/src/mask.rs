//! `FieldMask` as text: paths in camel case, with commas between them.

/// The path in snake case. `lenient` leaves what is in snake case already, which JSON does not allow. What would need an
/// escape is in no name.
pub(crate) fn parse(path: &str, lenient: bool) -> Option<String> {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        match letter {
            // Neither the one nor the other.
            'A'..='Z' if snake.ends_with('_') => return None,
            'A'..='Z' => snake.extend(['_', letter.to_ascii_lowercase()]),
            '_' if !lenient => return None,
            '"' | '\\' | '\0'..='\u{1f}' => return None,
            _ => snake.push(letter),
        }
    }
    Some(snake)
}

/// Appends the path in camel case; `false` when it would not be read back as it is.
pub(crate) fn put(path: &str, out: &mut Vec<u8>) -> bool {
    let mut upper = false;
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' => return false,
            b'_' if upper => return false,
            b'_' => {}
            b'a'..=b'z' if upper => out.push(byte.to_ascii_uppercase()),
            _ if upper => return false,
            _ => out.push(byte),
        }
        upper = byte == b'_';
    }
    !upper
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_can_be_written() {
        for (camel, snake) in [("a", "a"), ("aB.cD", "a_b.c_d"), ("A", "_a"), ("a1", "a1")] {
            assert_eq!(parse(camel, false).as_deref(), Some(snake));
            let mut out = Vec::new();
            assert!(put(snake, &mut out) && out == camel.as_bytes(), "{camel}");
        }
        assert_eq!(parse("a_1", true).as_deref(), Some("a_1"));
        assert_eq!(parse("a_B", true), None);
        for path in ["a\"", "a\\", "\n", "a\0b"] {
            assert_eq!((parse(path, false), parse(path, true)), (None, None), "{path:?}");
        }
    }
}

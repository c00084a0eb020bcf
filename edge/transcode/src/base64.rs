//! Bytes as text: both alphabets are read, padded or not; the standard one is written.

use base64_simd::{STANDARD, STANDARD_NO_PAD};

/// Appends the bytes that `text` means; whether it means any. After `false` something may have been appended.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let text = match text {
        [head @ .., b'=', b'='] if head.len() % 4 == 2 => head,
        [head @ .., b'='] if head.len() % 4 == 3 => head,
        all => all,
    };
    let (groups, rest) = text.as_chunks::<4>();
    if rest.len() == 1 || !decode_groups(groups.as_flattened(), out) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    // Bits left over are not looked at: writers differ in what they put there.
    let mut last = *b"AAAA";
    last[..rest.len()].copy_from_slice(rest);
    if !decode_groups(&last, out) {
        return false;
    }
    out.truncate(out.len() - (4 - rest.len()));
    true
}

/// Appends what whole groups of four mean.
fn decode_groups(text: &[u8], out: &mut Vec<u8>) -> bool {
    // Room that grows as it is used to; what comes next would take just what it needs.
    out.reserve(text.len() / 4 * 3);
    if STANDARD_NO_PAD.decode_append(text, out).is_ok() {
        return true;
    }
    // The other alphabet, or both.
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        same => *same,
    };
    let text: Vec<u8> = text.iter().map(standard).collect();
    STANDARD_NO_PAD.decode_append(&text, out).is_ok()
}

/// Appends `bytes` in the standard alphabet, padded.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    STANDARD.encode_append(bytes, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).then_some(out)
    }

    #[test]
    fn both_alphabets_with_and_without_padding() {
        for text in ["+/8=", "-_8=", "-_8", "+/8"] {
            assert_eq!(decoded(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decoded("-_"), Some(vec![0xfb]));
        assert_eq!(decoded("+_8-_-8_+/8="), decoded("+/8+/+8/+/8="));
        assert_eq!(decoded(""), Some(vec![]));
        for text in ["A", "=", "AA=", "AAA==", "AA=A", "A A=", "AAAA=", "AAAAA", "AB\u{e9}C"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(text.len() % 4, 0);
            prop_assert_eq!(decoded(std::str::from_utf8(&text).unwrap()), Some(bytes));
        }
    }
}

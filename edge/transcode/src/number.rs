//! Numbers as JSON writes them, and what integers they are.

/// How many bytes at the front are a number by RFC 8259, 0 for none.
pub(crate) fn scan(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return 0,
        _ if text[at] == b'0' => at += 1,
        count => at += count,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return 0,
            count => at += 1 + count,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match digits((at + 1 + sign).min(text.len())) {
            0 => return 0,
            count => at += 1 + sign + count,
        }
    }
    at
}

/// Whether all of `text` is a number by RFC 8259.
pub(crate) fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && scan(text) == text.len()
}

/// Whether a number by RFC 8259, written as an integer, is one of those beyond 2^53 that doubles leave out.
pub(crate) fn is_inexact(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.len() > 15
        && digits.iter().all(u8::is_ascii_digit)
        && double(text).is_some_and(|value| format!("{value:.0}").as_bytes() != text)
}

/// The integer that a number by RFC 8259 is, exactly, however it is written: `100`, `1e2`, `100.0`. Anything else, a
/// fraction, and what does not fit are `None`.
#[inline]
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    let (negative, size) = integer(text)?;
    if negative { 0_i64.checked_sub_unsigned(size) } else { i64::try_from(size).ok() }
}

/// As [`signed`], for what is not negative.
#[inline]
pub(crate) fn unsigned(text: &[u8]) -> Option<u64> {
    let (negative, size) = integer(text)?;
    (!negative || size == 0).then_some(size)
}

/// Sign and size.
#[inline]
fn integer(text: &[u8]) -> Option<(bool, u64)> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // Nineteen digits always fit.
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && digits.len() > 1) {
        return decimal(negative, digits);
    }
    let mut size = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return decimal(negative, digits);
        }
        size = size * 10 + u64::from(digit);
    }
    Some((negative, size))
}

#[cold]
fn decimal(negative: bool, text: &[u8]) -> Option<(bool, u64)> {
    if !is_number(text) || text[0] == b'-' {
        return None;
    }
    let exponent_at = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
    let point = text[..exponent_at].iter().position(|byte| *byte == b'.').unwrap_or(exponent_at);
    let exponent = std::str::from_utf8(text.get(exponent_at + 1..).unwrap_or_default()).ok()?;
    // One that does not even fit an i64 leaves either zero or nothing.
    let exponent = match exponent {
        "" => 0,
        text => text.parse::<i64>().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }),
    };
    let digits: Vec<u8> = text[..exponent_at].iter().copied().filter(u8::is_ascii_digit).collect();
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let first = digits.iter().take_while(|digit| **digit == b'0').count();
    if zeros == digits.len() {
        return Some((negative, 0));
    }
    let significant = &digits[first..digits.len() - zeros];
    let fraction = exponent_at.saturating_sub(point + 1);
    let scale = exponent.checked_add(i64::try_from(zeros).ok()? - i64::try_from(fraction).ok()?)?;
    let scale = u32::try_from(scale).ok()?;
    let size = std::str::from_utf8(significant).ok()?.parse::<u64>().ok()?;
    Some((negative, size.checked_mul(10_u64.checked_pow(scale)?)?))
}

/// The double that a number by RFC 8259 or one of `NaN`, `Infinity` and `-Infinity` is, rounded; too large is `None`.
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ if !is_number(text) => None,
        _ => std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// As [`double`].
pub(crate) fn float(text: &[u8]) -> Option<f32> {
    match double(text)? {
        special if !special.is_finite() => Some(special as f32),
        // From the text once more: rounding twice is not rounding once.
        _ => std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f32| value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_in_every_spelling() {
        let signed = |text: &str| signed(text.as_bytes());
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("1e2", 100),
            ("1.0", 1),
            ("-1.50e1", -15),
            ("100e-2", 1),
            ("0e999999999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807.000", i64::MAX),
            ("922337203685477580.7e1", i64::MAX),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(signed(text), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "1.",
            ".1",
            "1e",
            "1.5",
            "1e-1",
            " 1",
            "1 ",
            "--1",
            "0x1",
            "1e19",
            "1e99999999999",
            "1e-99999999999999999999",
            "9223372036854775808",
            "-9223372036854775809",
            "NaN",
            "1_0",
        ] {
            assert_eq!(signed(text), None, "{text}");
        }
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!((unsigned(b"18446744073709551616"), unsigned(b"-1"), unsigned(b"-0")), (None, None, Some(0)));
    }

    #[test]
    fn integers_are_inexact_where_doubles_leave_them_out() {
        let zeros = format!("1{}", "0".repeat(22));
        for text in ["0", "9007199254740991", "9007199254740994", "10000000000000000", "-9223372036854775808", &zeros] {
            assert!(!is_inexact(text.as_bytes()), "{text}");
        }
        let more = format!("{zeros}0");
        for text in ["9007199254740993", "-9007199254740993", "9223372036854775807", "10000000000000001", &more] {
            assert!(is_inexact(text.as_bytes()), "{text}");
        }
        // Of others that is not asked.
        for text in ["1e400", "9007199254740993.0", "9007199254740993e0", &"9".repeat(400)] {
            assert!(!is_inexact(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn floats_round_once_and_never_to_infinity() {
        assert_eq!(double(b"1e400"), None);
        assert_eq!(float(b"3.4028236e38"), None);
        assert_eq!(float(b"3.4028235e38"), Some(f32::MAX));
        assert_eq!(float(b"-Infinity"), Some(f32::NEG_INFINITY));
        assert_eq!(double(b"inf"), None);
        assert_eq!(double(b"1e-400"), Some(0.0));
        assert!(double(b"NaN").unwrap().is_nan());
    }
}

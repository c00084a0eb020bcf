//! `Timestamp` and `Duration` as text.

/// 0001-01-01T00:00:00Z.
const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const SECONDS_MAX: i64 = 253_402_300_799;
/// 10,000 years of 365.25 days.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

/// RFC 3339 in capitals, with up to nine digits of a fraction: seconds since 1970 and nanoseconds.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<(i64, i32)> {
    let (head, mut rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| digits(&head[from..to]);
    if [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')].iter().any(|(at, sign)| head[*at] != *sign) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let mut nanos = 0;
    if let [b'.', fraction @ ..] = rest {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        nanos = nanoseconds(&fraction[..count])?;
        rest = &fraction[count..];
    }
    let offset = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some((seconds, nanos))
}

/// Appends RFC 3339 in UTC, the fraction in 0, 3, 6 or 9 digits; `false` when it is out of range.
pub(crate) fn put_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00";
    fill(&mut text[0..4], year);
    fill(&mut text[5..7], month);
    fill(&mut text[8..10], day);
    fill(&mut text[11..13], second / 3600);
    fill(&mut text[14..16], second / 60 % 60);
    fill(&mut text[17..19], second % 60);
    out.extend_from_slice(&text);
    put_fraction(nanos.unsigned_abs(), out);
    out.push(b'Z');
    true
}

/// `1.5s`: seconds and nanoseconds of the same sign.
pub(crate) fn parse_duration(text: &[u8]) -> Option<(i64, i32)> {
    let number = text.strip_suffix(b"s")?;
    let (negative, number) = match number {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let point = number.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = number.split_at(point.unwrap_or(number.len()));
    let seconds = digits(whole)?;
    let nanos = if point.is_some() { nanoseconds(&fraction[1..])? } else { 0 };
    if seconds > DURATION_SECONDS_MAX {
        return None;
    }
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// Appends seconds with the fraction in 0, 3, 6 or 9 digits; `false` when it is out of range or its signs differ.
pub(crate) fn put_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    let in_range =
        seconds.unsigned_abs() <= DURATION_SECONDS_MAX.unsigned_abs() && nanos.unsigned_abs() < 1_000_000_000;
    if !in_range || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0) {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(seconds.unsigned_abs().to_string().as_bytes());
    put_fraction(nanos.unsigned_abs(), out);
    out.push(b's');
    true
}

fn put_fraction(nanos: u32, out: &mut Vec<u8>) {
    let mut text = *b".000000000";
    fill(&mut text[1..], i64::from(nanos));
    let length = match nanos {
        0 => 0,
        _ if nanos.is_multiple_of(1_000_000) => 4,
        _ if nanos.is_multiple_of(1_000) => 7,
        _ => 10,
    };
    out.extend_from_slice(&text[..length]);
}

/// Fills `text` with the last digits of what is not negative.
fn fill(text: &mut [u8], mut value: i64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// One to eighteen digits, so that the number fits.
fn digits(text: &[u8]) -> Option<i64> {
    let valid = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    valid.then(|| text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// What one to nine digits behind the point are.
fn nanoseconds(fraction: &[u8]) -> Option<i32> {
    let value = if fraction.len() > 9 { return None } else { digits(fraction)? };
    let places = 9 - u32::try_from(fraction.len()).ok()?;
    i32::try_from(value * 10_i64.pow(places)).ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of the proleptic Gregorian calendar; both by Howard Hinnant's "chrono-compatible low-level
/// date algorithms", with years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        put_timestamp(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    fn duration(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        put_duration(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn timestamps_at_the_edges() {
        assert_eq!(timestamp(SECONDS_MIN, 0).unwrap(), "0001-01-01T00:00:00Z");
        assert_eq!(timestamp(SECONDS_MAX, 999_999_999).unwrap(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(timestamp(0, 10_000_000).unwrap(), "1970-01-01T00:00:00.010Z");
        assert_eq!(timestamp(951_782_400, 1_000).unwrap(), "2000-02-29T00:00:00.000001Z");
        assert_eq!((timestamp(SECONDS_MAX + 1, 0), timestamp(0, -1)), (None, None));
        assert_eq!(parse_timestamp(b"1970-01-01T08:00:00.5+08:00"), Some((0, 500_000_000)));
        for text in [
            "1970-01-01",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00",
            "1900-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+0800",
            "1970-01-01 00:00:00Z",
            "",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn durations_at_the_edges() {
        assert_eq!(parse_duration(b"-0.5s"), Some((0, -500_000_000)));
        assert_eq!(duration(0, -500_000_000).unwrap(), "-0.500s");
        assert_eq!(duration(DURATION_SECONDS_MAX, 0).unwrap(), "315576000000s");
        assert_eq!((duration(1, -1), duration(DURATION_SECONDS_MAX + 1, 0), duration(i64::MIN, 0)), (None, None, None));
        for text in ["1", "s", "1m", "1.s", ".5s", "+1s", "1.1234567890s", "315576000001s", "1 s", "--1s", "1e2s"] {
            assert_eq!(parse_duration(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in SECONDS_MIN..=SECONDS_MAX, nanos in 0..1_000_000_000) {
            prop_assert_eq!(parse_timestamp(timestamp(seconds, nanos).unwrap().as_bytes()), Some((seconds, nanos)));
            prop_assert_eq!(parse_duration(duration(seconds.abs(), nanos).unwrap().as_bytes()), Some((seconds.abs(), nanos)));
        }
    }
}

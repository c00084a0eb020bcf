//! Decimals with two places as whole minor units: money is never a float.

/// Largest amount accepted, in minor units: 999,999.99.
pub const MINOR_MAX: i64 = 99_999_999;

/// Why a text is not an amount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a decimal from 0 to 999999.99 with at most two places, was {0:?}")]
pub struct ParseError(String);

/// Reads `"1.19"`, `"1.1"` or `"1"` as minor units (119, 110, 100).
///
/// # Errors
/// [`ParseError`] for a sign, an exponent, white space, more than two places or more than [`MINOR_MAX`].
pub fn parse(text: &str) -> Result<i64, ParseError> {
    let fail = || ParseError(text.chars().take(40).collect());
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 || whole.len() > 9 {
        return Err(fail());
    }
    let cents = |part: &str| part.parse::<i64>().map(|value| if part.len() == 1 { value * 10 } else { value });
    let minor = whole.parse::<i64>().map_err(|_| fail())? * 100 + cents(part).map_err(|_| fail())?;
    if minor > MINOR_MAX { Err(fail()) } else { Ok(minor) }
}

/// Writes minor units with two places: 119 as `"1.19"`.
#[must_use]
pub fn format(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests;

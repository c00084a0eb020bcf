//! What products and rules look like, and what the weather does to a price. Pure.

use std::borrow::Cow;

use malla_runtime::decimal;
use malla_runtime::status::Invalid;

/// Longest SKU, in characters.
const SKU_CHARS_MAX: usize = 64;
/// Most rules of a product.
pub(crate) const RULES_MAX: u64 = 1_000;
/// The variation that changes nothing, in thousandths.
pub(crate) const UNCHANGED_MILLI: i32 = 1_000;
const DESCRIPTION_CHARS_MAX: usize = 200;
const CITY_CHARS_MAX: usize = 100;
/// Largest variation, in thousandths.
const VARIATION_MILLI_MAX: i32 = 1_000_000;
/// Largest condition id.
const CONDITION_MAX: i32 = 999;

fn invalid(field: &'static str, description: impl Into<Cow<'static, str>>) -> Invalid {
    Invalid { field, description: description.into() }
}

/// Something that is sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) description: String,
    pub(crate) price_minor: i64,
}

impl Product {
    /// Checks the fields of a product.
    pub(crate) fn new(sku: String, description: String, price: &str) -> Result<Self, Invalid> {
        text("sku", &sku, SKU_CHARS_MAX)?;
        text("description", &description, DESCRIPTION_CHARS_MAX)?;
        let price_minor = decimal::parse(price).map_err(|error| invalid("price", error.to_string()))?;
        Ok(Self { sku, description, price_minor })
    }
}

/// A place, spelled as given and in the form it is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// ISO 3166-1 alpha-2 code, lower case.
    pub(crate) country: String,
    /// The city's name as given, without white space around it.
    pub(crate) city: String,
    /// The city's name in lower case.
    pub(crate) key: String,
}

impl Place {
    /// Reads a place; country and city are compared without regard to case.
    pub(crate) fn new(country: &str, city: &str) -> Result<Self, Invalid> {
        let (country, city) = (country.trim(), city.trim());
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(invalid("country", "must be an ISO 3166-1 alpha-2 code: two letters"));
        }
        text("city", city, CITY_CHARS_MAX)?;
        Ok(Self { country: country.to_ascii_lowercase(), city: city.to_owned(), key: city.to_lowercase() })
    }
}

/// How the weather of a place changes the price of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) place: Place,
    pub(crate) variation_milli: i32,
    pub(crate) min_condition: i32,
    pub(crate) max_condition: i32,
}

impl Rule {
    /// Checks the fields of a rule.
    pub(crate) fn new(place: Place, variation: f64, min_condition: i32, max_condition: i32) -> Result<Self, Invalid> {
        if !(0..=CONDITION_MAX).contains(&min_condition) {
            return Err(invalid("min_condition", format!("must be 0 to {CONDITION_MAX}, was {min_condition}")));
        }
        if !(min_condition..=CONDITION_MAX).contains(&max_condition) {
            let expected = format!("must be min_condition to {CONDITION_MAX}, was {max_condition}");
            return Err(invalid("max_condition", expected));
        }
        let variation_milli = milli(variation).ok_or_else(|| {
            invalid("variation", format!("must be 0.001 to 1000 with at most three places, was {variation}"))
        })?;
        Ok(Self { place, variation_milli, min_condition, max_condition })
    }
}

/// A variation in thousandths; `None` when it has more places or is out of bounds.
fn milli(variation: f64) -> Option<i32> {
    // A float cast saturates, and NaN becomes 0: both are out of bounds. A number of at most three places is the one
    // float nearest to its thousandths, so the way back is exact.
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused by the next line")]
    let milli = (variation * 1_000.0).round() as i32;
    ((1..=VARIATION_MILLI_MAX).contains(&milli) && self::variation(milli).to_bits() == variation.to_bits())
        .then_some(milli)
}

/// A variation as the contract has it.
pub(crate) fn variation(milli: i32) -> f64 {
    f64::from(milli) / 1_000.0
}

/// The largest of the variations, each with the smallest and the largest condition it holds for, that holds for any
/// of the present conditions; [`UNCHANGED_MILLI`] when none does.
pub(crate) fn applied(rules: impl IntoIterator<Item = (i32, i32, i32)>, conditions: &[i32]) -> i32 {
    let fitting = rules
        .into_iter()
        .filter(|(_, min, max)| conditions.iter().any(|condition| (min..=max).contains(&condition)))
        .map(|(variation_milli, _, _)| variation_milli);
    fitting.max().unwrap_or(UNCHANGED_MILLI)
}

/// A base price times a variation, rounded half up. Fits for every price and variation that is accepted.
pub(crate) fn price(base_minor: i64, variation_milli: i32) -> i64 {
    (base_minor * i64::from(variation_milli) + 500) / 1_000
}

fn text(field: &'static str, text: &str, chars_max: usize) -> Result<(), Invalid> {
    if !(1..=chars_max).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        return Err(invalid(field, format!("must be 1 to {chars_max} characters, without control characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

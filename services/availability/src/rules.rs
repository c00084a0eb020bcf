//! What countries and cities look like. Pure.

use malla_runtime::status::Invalid;

/// Longest city name, in characters. The longest known place name has 85.
const CITY_CHARS_MAX: usize = 100;

/// A place, spelled as given and in the form it is compared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// ISO 3166-1 alpha-2 code, lower case.
    pub(crate) country: String,
    /// The city's name as given, without white space around it.
    pub(crate) city: String,
    /// The city's name in lower case: places are equal when country and key are.
    pub(crate) key: String,
}

impl Place {
    /// Reads a place; country and city are compared without regard to case.
    pub(crate) fn new(country: &str, city: &str) -> Result<Self, Invalid> {
        let (country, city) = (country.trim(), city.trim());
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let description = "must be an ISO 3166-1 alpha-2 code: two letters".into();
            return Err(Invalid { field: "country", description });
        }
        if city.is_empty() || city.chars().count() > CITY_CHARS_MAX || city.chars().any(char::is_control) {
            let description = "must be 1 to 100 characters, without control characters".into();
            return Err(Invalid { field: "city", description });
        }
        Ok(Self { country: country.to_ascii_lowercase(), city: city.to_owned(), key: city.to_lowercase() })
    }
}

#[cfg(test)]
mod tests;

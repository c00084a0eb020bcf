//! What a beer's fields may be. Pure.

use malla_runtime::decimal;
use malla_runtime::status::Invalid;

/// Longest SKU, in characters.
const SKU_CHARS_MAX: usize = 64;
/// Longest name and longest address of a picture, in characters.
const TEXT_CHARS_MAX: usize = 255;

/// The fields of a beer that are given: all of a new one, what changes of a known one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) name: Option<String>,
    pub(crate) price_minor: Option<i64>,
    pub(crate) image: Option<String>,
}

impl Fields {
    /// Checks the fields that are given.
    pub(crate) fn new(name: Option<String>, price: Option<&str>, image: Option<String>) -> Result<Self, Invalid> {
        if let Some(name) = &name {
            check("name", name, 1)?;
        }
        if let Some(image) = &image {
            check("image", image, 0)?;
        }
        let price_minor = price.map(decimal::parse).transpose();
        let price_minor =
            price_minor.map_err(|error| Invalid { field: "price", description: error.to_string().into() })?;
        Ok(Self { name, price_minor, image })
    }
}

/// Checks a SKU: it is the last segment of paths, so it holds no slash.
pub(crate) fn sku(text: &str) -> Result<(), Invalid> {
    if !(1..=SKU_CHARS_MAX).contains(&text.chars().count()) || text.chars().any(|c| c == '/' || c.is_control()) {
        let description = "must be 1 to 64 characters, without '/' and control characters".into();
        return Err(Invalid { field: "sku", description });
    }
    Ok(())
}

fn check(field: &'static str, text: &str, chars_min: usize) -> Result<(), Invalid> {
    if !(chars_min..=TEXT_CHARS_MAX).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        let description = format!("must be {chars_min} to {TEXT_CHARS_MAX} characters, without control characters");
        return Err(Invalid { field, description: description.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What a beer's fields may be. Pure.

use malla_runtime::decimal;

/// Longest SKU, in characters.
pub(crate) const SKU_CHARS_MAX: usize = 64;
/// Longest name and longest address of a picture, in characters.
const TEXT_CHARS_MAX: usize = 255;

/// A field that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub(crate) struct Invalid {
    pub(crate) field: &'static str,
    pub(crate) description: String,
}

impl Invalid {
    fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self { field, description: description.into() }
    }
}

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
        Ok(Self { name, price_minor: price_minor.map_err(|error| Invalid::new("price", error.to_string()))?, image })
    }
}

/// Checks a SKU: it is the last segment of paths, so it holds no slash.
pub(crate) fn sku(text: &str) -> Result<(), Invalid> {
    if !(1..=SKU_CHARS_MAX).contains(&text.chars().count()) || text.chars().any(|c| c == '/' || c.is_control()) {
        return Err(Invalid::new("sku", "must be 1 to 64 characters, without '/' and control characters"));
    }
    Ok(())
}

fn check(field: &'static str, text: &str, chars_min: usize) -> Result<(), Invalid> {
    if !(chars_min..=TEXT_CHARS_MAX).contains(&text.chars().count()) || text.chars().any(char::is_control) {
        let expected = format!("must be {chars_min} to {TEXT_CHARS_MAX} characters, without control characters");
        return Err(Invalid::new(field, expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What an order may hold and what it costs. Pure.

use malla_runtime::status::Invalid;

/// Most different beers of an order.
pub(crate) const LINES_MAX: usize = 1_000;
/// Most of one beer in an order.
pub(crate) const QUANTITY_MAX: i32 = 1_000_000;

/// Checks that a SKU is given; whether it is known only the catalogue can tell.
pub(crate) fn sku(text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid { field: "sku", description: "must be given".into() });
    }
    Ok(())
}

/// Checks how many are added at once.
pub(crate) fn quantity(quantity: i32) -> Result<(), Invalid> {
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        let description = format!("must be given, from 1 to {QUANTITY_MAX}, was {quantity}");
        return Err(Invalid { field: "quantity", description: description.into() });
    }
    Ok(())
}

/// Sums quantity times unit price, in minor units; `None` when the sum does not fit.
pub(crate) fn total(lines: impl IntoIterator<Item = (i32, i64)>) -> Option<i64> {
    lines.into_iter().try_fold(0_i64, |total, (quantity, unit_price_minor)| {
        total.checked_add(unit_price_minor.checked_mul(quantity.into())?)
    })
}

#[cfg(test)]
mod tests;

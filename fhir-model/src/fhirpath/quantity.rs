//! Quantities: comparison and arithmetic across units.
//!
//! Weeks and shorter durations of the calendar are the definite durations of
//! UCUM; months and years are not, and compare with their like only.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#quantity>

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::fhirpath::context::Context;
use crate::fhirpath::units;
use crate::fhirpath::value::{CalendarUnit, Quantity, Unit};

/// A pair of numbers that were brought to one unit, and what each was
/// multiplied with, as a measure of how coarse its unit is.
pub(super) struct Aligned {
    pub(super) left: Decimal,
    pub(super) right: Decimal,
}

/// Brings two quantities to one unit; `None` where there is none.
pub(super) fn align(context: &Context<'_, '_>, left: &Quantity<'_>, right: &Quantity<'_>) -> Option<Aligned> {
    if left.unit == right.unit {
        return Some(Aligned { left: left.value, right: right.value });
    }
    if let (Unit::Calendar(a), Unit::Calendar(b)) = (&left.unit, &right.unit)
        && let (Some(a), Some(b)) = (months(*a), months(*b))
    {
        return Some(Aligned { left: left.value.checked_mul(a)?, right: right.value.checked_mul(b)? });
    }
    let (left_value, left_unit) = canonical(context, left.value, definite(&left.unit)?)?;
    let (right_value, right_unit) = canonical(context, right.value, definite(&right.unit)?)?;
    (left_unit == right_unit).then_some(Aligned { left: left_value, right: right_value })
}

fn months(unit: CalendarUnit) -> Option<Decimal> {
    match unit {
        CalendarUnit::Year => Some(Decimal::from(12)),
        CalendarUnit::Month => Some(Decimal::ONE),
        _ => None,
    }
}

/// Returns the UCUM code of a unit; `None` for months and years of the calendar.
fn definite<'u>(unit: &'u Unit<'_>) -> Option<&'u str> {
    match unit {
        Unit::Calendar(CalendarUnit::Year | CalendarUnit::Month) => None,
        Unit::Calendar(unit) => Some(unit.ucum()),
        Unit::Ucum(code) => Some(code),
    }
}

fn canonical(context: &Context<'_, '_>, value: Decimal, unit: &str) -> Option<(Decimal, String)> {
    context.units.and_then(|units| units.canonical(value, unit)).or_else(|| units::canonical(value, unit))
}

/// Tells whether two quantities have units of one dimension.
pub(super) fn comparable(context: &Context<'_, '_>, left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    align(context, left, right).is_some()
}

/// Compares as `~` does: in the coarser unit, to the least precision.
pub(super) fn equivalent(context: &Context<'_, '_>, left: &Quantity<'_>, right: &Quantity<'_>) -> bool {
    let (left, right) = (&indefinite(left), &indefinite(right));
    if left.unit == right.unit {
        return decimals_equivalent(left.value, right.value);
    }
    let one = |unit: &Unit<'_>| canonical(context, Decimal::ONE, definite(unit)?);
    let (Some((left_factor, left_unit)), Some((right_factor, right_unit))) =
        (one(&left.unit), one(&right.unit))
    else {
        return align(context, left, right).is_some_and(|a| decimals_equivalent(a.left, a.right));
    };
    let converted = |value: Decimal, from: Decimal, to: Decimal| value.checked_mul(from)?.checked_div(to);
    left_unit == right_unit
        && if left_factor >= right_factor {
            converted(right.value, right_factor, left_factor)
                .is_some_and(|r| decimals_equivalent(left.value, r))
        } else {
            converted(left.value, left_factor, right_factor)
                .is_some_and(|l| decimals_equivalent(l, right.value))
        }
}

/// For equivalence a year of the calendar is a year of UCUM.
fn indefinite<'q>(quantity: &Quantity<'q>) -> Quantity<'q> {
    let unit = match &quantity.unit {
        Unit::Calendar(unit) => Unit::Ucum(Cow::Borrowed(unit.ucum())),
        unit => unit.clone(),
    };
    Quantity { value: quantity.value, unit }
}

/// Compares decimals to the precision of the less precise; trailing zeros do not count.
pub(super) fn decimals_equivalent(left: Decimal, right: Decimal) -> bool {
    let (left, right) = (left.normalize(), right.normalize());
    let scale = left.scale().min(right.scale());
    let rounded = |value: Decimal| {
        value.round_dp_with_strategy(scale, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
    };
    rounded(left) == rounded(right)
}

/// Adds or subtracts quantities; the result has the unit of the left.
pub(super) fn add<'r>(
    context: &Context<'_, '_>,
    left: &Quantity<'r>,
    right: &Quantity<'r>,
    negate: bool,
) -> Option<Quantity<'r>> {
    let right_value = if left.unit == right.unit {
        right.value
    } else {
        let aligned = align(context, &Quantity { value: Decimal::ONE, unit: left.unit.clone() }, right)?;
        aligned.right.checked_div(aligned.left)?
    };
    let value =
        if negate { left.value.checked_sub(right_value)? } else { left.value.checked_add(right_value)? };
    Some(Quantity { value, unit: left.unit.clone() })
}

/// Multiplies or divides quantities; the units are multiplied or divided too.
pub(super) fn multiply<'r>(left: &Quantity<'r>, right: &Quantity<'r>, divide: bool) -> Option<Quantity<'r>> {
    let value =
        if divide { left.value.checked_div(right.value)? } else { left.value.checked_mul(right.value)? };
    let (a, b) = (definite(&left.unit)?, definite(&right.unit)?);
    let unit: Cow<'r, str> = match (a, b, divide) {
        (a, "1", _) => a.to_owned().into(),
        (a, b, true) if a == b => "1".into(),
        ("1", b, false) => b.to_owned().into(),
        (a, b, true) => format!("{a}/{}", grouped(b)).into(),
        (a, b, false) => format!("{a}.{}", grouped(b)).into(),
    };
    Some(Quantity { value, unit: Unit::Ucum(unit) })
}

fn grouped(unit: &str) -> Cow<'_, str> {
    if unit.contains(['.', '/']) { format!("({unit})").into() } else { unit.into() }
}

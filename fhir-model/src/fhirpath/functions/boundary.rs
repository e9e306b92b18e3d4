//! Functions on precision: what a value could be, given how it is written.
//!
//! Not in the normative release; as in the official test suite and
//! <https://build.fhir.org/ig/HL7/FHIRPath/>.

use rust_decimal::{Decimal, RoundingStrategy};

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_boolean, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::quantity;
use crate::fhirpath::temporal::{End, date_boundary, date_digits, time_boundary};
use crate::fhirpath::value::{Collection, Quantity, Value};

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let name = call.function.name();
    let item = single(&call.input, name)?;
    let Some(value) = item.and_then(Value::system) else { return Ok(Collection::new()) };
    let end = match call.function {
        Function::LowBoundary => End::Low,
        Function::HighBoundary => End::High,
        Function::Precision => return precision(&value).map(|digits| of_value(Some(Value::Integer(digits)))),
        _ => return comparable(evaluator, &call, &value),
    };
    let digits = match call.arguments.len() {
        0 => None,
        _ => match evaluator.integer_argument(&call, 0)? {
            None => return Ok(Collection::new()),
            digits => digits,
        },
    };
    let decimal = |value: Decimal| decimal_boundary(value, digits.unwrap_or(8), end);
    Ok(of_value(match value {
        Value::Integer(value) => decimal(Decimal::from(value)).map(Value::Decimal),
        Value::Decimal(value) => decimal(value).map(Value::Decimal),
        Value::Quantity(quantity) => {
            decimal(quantity.value).map(|value| Value::Quantity(Quantity { value, unit: quantity.unit }))
        }
        Value::Date(date) => date_boundary(&date, digits.unwrap_or(8), end).map(Value::Date),
        Value::DateTime(date) => date_boundary(&date, digits.unwrap_or(17), end).map(Value::DateTime),
        Value::Time(time) => time_boundary(&time, digits.unwrap_or(9), end).map(Value::Time),
        other => return Err(EvaluateError::Type { what: name, given: other.type_name() }),
    }))
}

/// Half of the last digit below or above, cut to so many digits: towards zero
/// at the end nearer to zero, rounded at the other.
fn decimal_boundary(value: Decimal, digits: i64, end: End) -> Option<Decimal> {
    let digits = u32::try_from(digits).ok().filter(|digits| *digits <= Decimal::MAX_SCALE)?;
    let half = Decimal::try_new(5, value.scale() + 1).ok()?;
    let negative = value.is_sign_negative();
    let outward = (end == End::High) != negative;
    let magnitude = value.abs();
    let (bound, strategy) = if outward {
        (magnitude.checked_add(half)?, RoundingStrategy::MidpointAwayFromZero)
    } else if magnitude.is_zero() {
        (-half, RoundingStrategy::MidpointAwayFromZero)
    } else {
        (magnitude.checked_sub(half)?, RoundingStrategy::ToZero)
    };
    let mut bound = bound.round_dp_with_strategy(digits, strategy);
    bound.rescale(digits);
    Some(if negative { -bound } else { bound })
}

fn precision(value: &Value<'_>) -> Result<i64, EvaluateError> {
    match value {
        Value::Integer(_) => Ok(0),
        Value::Decimal(value) => Ok(i64::from(value.scale())),
        Value::Date(date) | Value::DateTime(date) => Ok(date_digits(date.precision)),
        Value::Time(time) => Ok(date_digits(time.precision) - 8),
        other => Err(EvaluateError::Type { what: "precision", given: other.type_name() }),
    }
}

fn comparable<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    value: &Value<'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let other = evaluator.argument(call, 0)?;
    match (value, single(&other, "comparable")?.and_then(Value::system)) {
        (_, None) => Ok(Collection::new()),
        (Value::Quantity(a), Some(Value::Quantity(b))) => {
            Ok(of_boolean(Some(quantity::comparable(evaluator.context, a, &b))))
        }
        (a, Some(b)) => {
            Err(EvaluateError::Operands { operator: "comparable", left: a.type_name(), right: b.type_name() })
        }
    }
}

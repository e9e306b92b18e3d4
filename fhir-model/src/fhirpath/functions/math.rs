//! Functions on numbers.
//!
//! Roots, logarithms and fractional powers are calculated in double precision.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#math>

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Quantity, Value};

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let name = call.function.name();
    let item = single(&call.input, name)?;
    let Some(value) = item.and_then(Value::system) else { return Ok(Collection::new()) };
    let number = match &value {
        Value::Integer(number) => Decimal::from(*number),
        Value::Decimal(number) => *number,
        Value::Quantity(quantity) => {
            let unit = quantity.unit.clone();
            let changed = on_quantity(evaluator, &call, quantity.value)?;
            return Ok(of_value(changed.map(|value| Value::Quantity(Quantity { value, unit }))));
        }
        other => return Err(EvaluateError::Type { what: name, given: other.type_name() }),
    };
    let integer = |number: Decimal| number.to_i64().map(Value::Integer);
    let double = |calculate: fn(f64) -> f64| number.to_f64().map(calculate).and_then(finite);
    let result = match call.function {
        Function::Abs => match value {
            Value::Integer(number) => number.checked_abs().map(Value::Integer),
            _ => Some(Value::Decimal(number.abs())),
        },
        Function::Ceiling => integer(number.ceil()),
        Function::Floor => integer(number.floor()),
        Function::Truncate => integer(number.trunc()),
        Function::Exp => double(f64::exp),
        Function::Ln => double(f64::ln),
        Function::Sqrt => double(f64::sqrt),
        Function::Round => round(evaluator, &call, number)?.map(Value::Decimal),
        Function::Log => {
            let base = number_argument(evaluator, &call)?.and_then(|(base, _)| base.to_f64());
            number.to_f64().zip(base).and_then(|(number, base)| finite(number.log(base)))
        }
        _ => {
            let Some((exponent, is_integer)) = number_argument(evaluator, &call)? else {
                return Ok(Collection::new());
            };
            power(&value, number, exponent, is_integer)
        }
    };
    Ok(of_value(result))
}

fn on_quantity<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    number: Decimal,
) -> Result<Option<Decimal>, EvaluateError> {
    match call.function {
        Function::Abs => Ok(Some(number.abs())),
        Function::Ceiling => Ok(Some(number.ceil())),
        Function::Floor => Ok(Some(number.floor())),
        Function::Truncate => Ok(Some(number.trunc())),
        Function::Round => round(evaluator, call, number),
        function => Err(EvaluateError::Type { what: function.name(), given: "Quantity" }),
    }
}

fn round<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    number: Decimal,
) -> Result<Option<Decimal>, EvaluateError> {
    let digits = match call.arguments.len() {
        0 => Some(0),
        _ => evaluator.integer_argument(call, 0)?,
    };
    let Some(digits) = digits else { return Ok(None) };
    let digits = u32::try_from(digits)
        .map_err(|_| EvaluateError::Argument { function: "round", problem: "the precision is negative" })?;
    Ok(Some(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)))
}

/// Returns the first argument as a number, and whether it is an Integer.
fn number_argument<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
) -> Result<Option<(Decimal, bool)>, EvaluateError> {
    let values = evaluator.argument(call, 0)?;
    match single(&values, call.function.name())?.and_then(Value::system) {
        None => Ok(None),
        Some(Value::Integer(number)) => Ok(Some((Decimal::from(number), true))),
        Some(Value::Decimal(number)) => Ok(Some((number, false))),
        Some(other) => Err(EvaluateError::Type { what: call.function.name(), given: other.type_name() }),
    }
}

fn finite<'r>(number: f64) -> Option<Value<'r>> {
    if number.is_finite() { Decimal::from_f64(number).map(Value::Decimal) } else { None }
}

/// Exact for whole exponents while the digits suffice.
fn power<'r>(base: &Value<'r>, number: Decimal, exponent: Decimal, is_integer: bool) -> Option<Value<'r>> {
    if let (Value::Integer(base), true, Some(exponent)) = (base, is_integer, exponent.to_u32()) {
        return base.checked_pow(exponent).map(Value::Integer);
    }
    if exponent.is_integer()
        && let Some(times) = exponent.abs().to_u32().filter(|times| *times <= 1024)
        && let Some(product) = (0..times).try_fold(Decimal::ONE, |product, _| product.checked_mul(number))
    {
        let negative = exponent.is_sign_negative();
        return if negative { Decimal::ONE.checked_div(product) } else { Some(product) }.map(Value::Decimal);
    }
    finite(number.to_f64()?.powf(exponent.to_f64()?))
}

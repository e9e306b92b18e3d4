//! Functions that convert, and `iif`.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#conversion>

use rust_decimal::Decimal;

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_boolean, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::quantity;
use crate::fhirpath::value::{CalendarUnit, Collection, PartialTime, Quantity, Unit, Value, decimal};
use crate::primitive::date::{PartialDate, Precision};

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    if call.function == Function::Iif {
        return iif(evaluator, &call);
    }
    let Some(item) = single(&call.input, call.function.name())? else { return Ok(Collection::new()) };
    let value = item.system();
    let mut converted = value.and_then(|value| match call.function {
        Function::ToBoolean | Function::ConvertsToBoolean => to_boolean(value),
        Function::ToInteger | Function::ConvertsToInteger => to_integer(value),
        Function::ToDecimal | Function::ConvertsToDecimal => to_decimal(value),
        Function::ToString | Function::ConvertsToString => to_string(value),
        Function::ToDate | Function::ConvertsToDate => to_date(value),
        Function::ToDateTime | Function::ConvertsToDateTime => to_date_time(value),
        Function::ToTime | Function::ConvertsToTime => to_time(value),
        _ => to_quantity(value),
    });
    if let (Some(Value::Quantity(found)), true) = (&converted, !call.arguments.is_empty()) {
        let Some(unit) = evaluator.text_argument(&call, 0)? else { return Ok(Collection::new()) };
        let unit = match CalendarUnit::keyword(&unit) {
            Some(calendar) => Unit::Calendar(calendar),
            None => Unit::Ucum(unit),
        };
        let wanted = Quantity { value: Decimal::ONE, unit };
        converted = quantity::align(evaluator.context, found, &wanted)
            .and_then(|aligned| aligned.left.checked_div(aligned.right))
            .map(|value| Value::Quantity(Quantity { value, unit: wanted.unit }));
    }
    if call.function.name().starts_with("converts") {
        Ok(of_boolean(Some(converted.is_some())))
    } else {
        Ok(of_value(converted))
    }
}

/// `iif`: only the branch that is asked for is evaluated.
fn iif<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>, EvaluateError> {
    single(&call.input, "iif")?;
    let mut frame = call.frame;
    // On nothing, the arguments still have a focus: nothing. At the beginning
    // of a path the input is the focus itself, whose index goes on.
    frame.this = &call.input;
    let [criterion, branches @ ..] = call.arguments else { return Ok(Collection::new()) };
    let criterion = evaluator.evaluate(criterion, frame)?;
    let truth = match single(&criterion, "iif")?.map(|value| (value, value.system())) {
        None => false,
        Some((_, Some(Value::Boolean(truth)))) => truth,
        Some((value, _)) => return Err(EvaluateError::Type { what: "iif", given: value.type_name() }),
    };
    match branches.get(usize::from(!truth)) {
        Some(branch) => evaluator.evaluate(branch, frame),
        None => Ok(Collection::new()),
    }
}

fn to_boolean<'r>(value: Value<'r>) -> Option<Value<'r>> {
    let truth = match value {
        Value::Boolean(truth) => truth,
        Value::Integer(0) => false,
        Value::Integer(1) => true,
        Value::Decimal(value) if value.is_zero() => false,
        Value::Decimal(value) if value == Decimal::ONE => true,
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => true,
            "false" | "f" | "no" | "n" | "0" | "0.0" => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(Value::Boolean(truth))
}

fn to_integer<'r>(value: Value<'r>) -> Option<Value<'r>> {
    match value {
        Value::Integer(_) => Some(value),
        Value::Boolean(truth) => Some(Value::Integer(i64::from(truth))),
        Value::String(text) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // The System type has 32 bits.
            if plain { text.parse::<i32>().ok().map(|value| Value::Integer(i64::from(value))) } else { None }
        }
        _ => None,
    }
}

fn to_decimal<'r>(value: Value<'r>) -> Option<Value<'r>> {
    let value = match value {
        Value::Decimal(value) => value,
        Value::Integer(value) => Decimal::from(value),
        Value::Boolean(truth) => Decimal::from(u8::from(truth)),
        Value::String(text) => parse_decimal(&text)?,
        _ => return None,
    };
    Some(Value::Decimal(value))
}

/// `(\+|-)?\d+(\.\d+)?`
fn parse_decimal(text: &str) -> Option<Decimal> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    if plain { decimal(text.strip_prefix('+').unwrap_or(text)) } else { None }
}

fn to_string<'r>(value: Value<'r>) -> Option<Value<'r>> {
    match value {
        Value::String(_) => Some(value),
        Value::Element(_) | Value::Type(_) | Value::Target(_) | Value::External(_) => None,
        value => Some(Value::String(value.to_string().into())),
    }
}

fn to_date<'r>(value: Value<'r>) -> Option<Value<'r>> {
    let date = match value {
        Value::Date(date) => date,
        Value::DateTime(date) => date,
        Value::String(text) => PartialDate::parse(&text)?,
        _ => return None,
    };
    if !date.has_time() {
        return Some(Value::Date(date));
    }
    let local = date.local.with().time(jiff::civil::Time::midnight()).build().ok()?;
    Some(Value::Date(PartialDate { local, precision: Precision::Day, offset: None }))
}

fn to_date_time<'r>(value: Value<'r>) -> Option<Value<'r>> {
    match value {
        Value::Date(date) | Value::DateTime(date) => Some(Value::DateTime(date)),
        Value::String(text) => PartialDate::parse(&text).map(Value::DateTime),
        _ => None,
    }
}

fn to_time<'r>(value: Value<'r>) -> Option<Value<'r>> {
    match value {
        Value::Time(_) => Some(value),
        Value::String(text) => PartialTime::parse(text.strip_prefix('T').unwrap_or(&text)).map(Value::Time),
        _ => None,
    }
}

fn to_quantity<'r>(value: Value<'r>) -> Option<Value<'r>> {
    let unity = |value: Decimal| Quantity { value, unit: Unit::Ucum("1".into()) };
    let quantity = match value {
        Value::Quantity(quantity) => quantity,
        Value::Integer(value) => unity(Decimal::from(value)),
        Value::Decimal(value) => unity(value),
        Value::Boolean(truth) => unity(Decimal::from(u8::from(truth))),
        Value::String(text) => parse_quantity(&text)?,
        _ => return None,
    };
    Some(Value::Quantity(quantity))
}

/// A number, and perhaps a code in quotes or the word of a calendar unit.
fn parse_quantity<'r>(text: &str) -> Option<Quantity<'r>> {
    let (number, unit) = match text.split_once(char::is_whitespace) {
        Some((number, unit)) => (number, Some(unit.trim())),
        None => (text, None),
    };
    let value = parse_decimal(number)?;
    let unit = match unit {
        None => Unit::Ucum("1".into()),
        Some(unit) => match unit.strip_prefix('\'') {
            Some(quoted) => {
                let code =
                    quoted.strip_suffix('\'').filter(|code| !code.is_empty() && !code.contains('\''))?;
                Unit::Ucum(code.to_owned().into())
            }
            None => Unit::Calendar(CalendarUnit::keyword(unit)?),
        },
    };
    Some(Quantity { value, unit })
}

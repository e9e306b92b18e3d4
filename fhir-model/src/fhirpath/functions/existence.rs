//! Functions about what is there.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#existence>

use crate::fhirpath::distinct::Distinct;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_boolean, of_value, truth_of};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Value};

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let input = &call.input;
    let answer = match call.function {
        Function::Empty => input.is_empty(),
        Function::Exists => match call.arguments.first() {
            None => !input.is_empty(),
            Some(criteria) => any(evaluator, &call, |index, item| {
                Ok(evaluator.truth_for(criteria, item, index, call.frame)? == Some(true))
            })?,
        },
        Function::All => match call.arguments.first() {
            None => true,
            Some(criteria) => !any(evaluator, &call, |index, item| {
                Ok(evaluator.truth_for(criteria, item, index, call.frame)? != Some(true))
            })?,
        },
        Function::AllTrue => !has(&call, false)?,
        Function::AnyTrue => has(&call, true)?,
        Function::AllFalse => !has(&call, true)?,
        Function::AnyFalse => has(&call, false)?,
        Function::SubsetOf => is_subset(evaluator, input, &evaluator.argument(&call, 0)?)?,
        Function::SupersetOf => is_subset(evaluator, &evaluator.argument(&call, 0)?, input)?,
        Function::Count => return Ok(of_value(Some(Value::Integer(input.len() as i64)))),
        Function::Distinct => return evaluator.distinct(call.input),
        Function::IsDistinct => Distinct::of(evaluator, input.iter().cloned())?.len() == input.len(),
        _ => return Ok(of_boolean(truth_of(input, "not")?.map(|truth| !truth))),
    };
    Ok(of_boolean(Some(answer)))
}

fn any<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    holds: impl Fn(usize, &Value<'r>) -> Result<bool, EvaluateError>,
) -> Result<bool, EvaluateError> {
    for (index, item) in call.input.iter().enumerate() {
        evaluator.step()?;
        if holds(index, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a Boolean is among the items; anything but Booleans is an error.
fn has(call: &Call<'_, '_>, wanted: bool) -> Result<bool, EvaluateError> {
    let mut found = false;
    for item in &call.input {
        match item.system() {
            Some(Value::Boolean(value)) => found |= value == wanted,
            _ => {
                return Err(EvaluateError::Type { what: call.function.name(), given: item.type_name() });
            }
        }
    }
    Ok(found)
}

fn is_subset<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    part: &[Value<'r>],
    whole: &[Value<'r>],
) -> Result<bool, EvaluateError> {
    let whole = Distinct::of(evaluator, whole.iter().cloned())?;
    for item in part {
        if !whole.contains(evaluator, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Functions that project. `where` is part of a path; see
//! [`Evaluator::stream`].
//!
//! Spec: <http://hl7.org/fhirpath/N1/#filtering-and-projection>

use crate::fhirpath::ast::Node;
use crate::fhirpath::distinct::Distinct;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::Collection;

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let Some(argument) = call.arguments.first() else { return Ok(call.input) };
    match call.function {
        Function::Select => {
            let mut out = Collection::new();
            for (index, item) in call.input.iter().enumerate() {
                out.extend(evaluator.evaluate_for(argument, item, index, call.frame)?);
                evaluator.check_items(out.len())?;
            }
            Ok(out)
        }
        _ => repeat(evaluator, argument, call),
    }
}

/// Projects until nothing new comes; equal items are new once.
fn repeat<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    projection: &Node,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let mut out = Distinct::default();
    let mut queue = call.input;
    while !queue.is_empty() {
        let mut found = Collection::new();
        for (index, item) in queue.iter().enumerate() {
            for value in evaluator.evaluate_for(projection, item, index, call.frame)? {
                if out.insert(evaluator, value.clone())? {
                    found.push(value);
                }
            }
            evaluator.check_items(out.len())?;
        }
        queue = found;
    }
    Ok(out.into_items())
}

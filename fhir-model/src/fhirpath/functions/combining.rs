//! Functions that put collections together.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#combining>

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::Collection;

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let other = evaluator.argument(&call, 0)?;
    let mut out = call.input;
    out.extend(other);
    evaluator.check_items(out.len())?;
    if call.function == Function::Union { evaluator.distinct(out) } else { Ok(out) }
}

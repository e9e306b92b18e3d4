//! Functions that take some of the items.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#subsetting>

use crate::fhirpath::distinct::Distinct;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::Collection;

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    match call.function {
        Function::Single => {
            single(&call.input, "single")?;
            Ok(call.input)
        }
        Function::First => Ok(of_value(call.input.into_iter().next())),
        Function::Last => Ok(of_value(call.input.into_iter().next_back())),
        Function::Tail => Ok(call.input.into_iter().skip(1).collect()),
        Function::Skip => {
            let Some(count) = evaluator.integer_argument(&call, 0)? else { return Ok(Collection::new()) };
            Ok(call.input.into_iter().skip(usize::try_from(count).unwrap_or(0)).collect())
        }
        Function::Take => {
            let Some(count) = evaluator.integer_argument(&call, 0)? else { return Ok(Collection::new()) };
            Ok(call.input.into_iter().take(usize::try_from(count).unwrap_or(0)).collect())
        }
        function => {
            let other = Distinct::of(evaluator, evaluator.argument(&call, 0)?)?;
            let wanted = function == Function::Intersect;
            let mut out = Collection::new();
            for item in call.input {
                if other.contains(evaluator, &item)? == wanted {
                    out.push(item);
                }
            }
            if wanted { evaluator.distinct(out) } else { Ok(out) }
        }
    }
}

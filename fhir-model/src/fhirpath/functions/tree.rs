//! Functions that walk the tree.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#tree-navigation>

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Value};
use crate::tree::Element;

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let mut out = Collection::new();
    for element in call.input.iter().filter_map(Value::element) {
        if call.function == Function::Children {
            out.extend(element.children().map(Value::Element));
            evaluator.check_items(out.len())?;
        } else {
            descend(evaluator, element, &mut out)?;
        }
    }
    Ok(out)
}

/// Adds all that is below an element, in document order. Elements are nested
/// no deeper than the readers allow.
fn descend<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    element: Element<'r>,
    out: &mut Collection<'r>,
) -> Result<(), EvaluateError> {
    for child in element.children() {
        evaluator.step()?;
        out.push(Value::Element(child));
        evaluator.check_items(out.len())?;
        descend(evaluator, child, out)?;
    }
    Ok(())
}

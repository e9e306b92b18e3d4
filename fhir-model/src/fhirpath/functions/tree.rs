//! Functions that walk the tree.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#tree-navigation>

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator};
use crate::fhirpath::external::External;
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Value};
use crate::tree::Element;

pub(super) fn call<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: Call<'_, 'r>,
) -> Result<Collection<'r>, EvaluateError> {
    let mut out = Collection::new();
    for value in &call.input {
        if let Value::External(node) = value {
            descend_external(evaluator, *node, call.function == Function::Children, &mut out)?;
        }
        let Value::Element(element) = *value else { continue };
        if call.function == Function::Children {
            out.extend(element.children().map(Value::Element));
            evaluator.check_items(out.len())?;
        } else {
            descend(evaluator, element, &mut out)?;
        }
    }
    Ok(out)
}

/// Adds the children of a node of another tree, or all that is below it.
fn descend_external<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    node: External<'r>,
    only_children: bool,
    out: &mut Collection<'r>,
) -> Result<(), EvaluateError> {
    for child in node.children(None) {
        evaluator.step()?;
        out.push(Value::External(child));
        evaluator.check_items(out.len())?;
        if !only_children {
            descend_external(evaluator, child, false, out)?;
        }
    }
    Ok(())
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

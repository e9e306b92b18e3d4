//! Comparing values of equal types: numbers, dates, quantities.

use std::cmp::Ordering;
use std::sync::OnceLock;

use fhir_model::fhirpath::{Context, Expression, Value};
use fhir_model::tree::Element;
use smallvec::smallvec;

/// Compares two values as FHIRPath does; `None` when they cannot be compared,
/// as dates of different precision or quantities of different dimensions.
pub(super) fn compare(left: Element<'_>, right: Element<'_>) -> Option<Ordering> {
    static LESS: OnceLock<Option<Expression>> = OnceLock::new();
    static MORE: OnceLock<Option<Expression>> = OnceLock::new();
    let holds = |cell: &'static OnceLock<Option<Expression>>, text: &str| {
        let expression = cell.get_or_init(|| Expression::parse(text).ok()).as_ref()?;
        let context = Context::new(left).variable("bound", smallvec![Value::Element(right)]);
        expression.evaluate_boolean(&context, left).ok()?
    };
    if holds(&LESS, "$this < %bound")? {
        return Some(Ordering::Less);
    }
    Some(if holds(&MORE, "$this > %bound")? { Ordering::Greater } else { Ordering::Equal })
}

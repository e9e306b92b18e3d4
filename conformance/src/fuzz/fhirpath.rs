//! FHIRPath: whatever is written, it is refused or evaluated within limits.

use std::path::Path;

use fhir_model::fhirpath::{Context, Expression, Limits};
use fhir_model::schema;
use fhir_model::tree::Resource;

use super::Prepared;
use crate::suite;

pub(super) const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "{}",
    ".",
    ",",
    "|",
    "&",
    "+",
    "-",
    "*",
    "/",
    " div ",
    " mod ",
    " and ",
    " or ",
    " xor ",
    " implies ",
    " in ",
    " contains ",
    " is ",
    " as ",
    "=",
    "!=",
    "~",
    "!~",
    "<=",
    ">",
    "$this",
    "$index",
    "$total",
    "%context",
    "%resource",
    "%`x`",
    "@2015-02",
    "@T12:30",
    "@2015-02-04T14:34:28Z",
    "1.5 'mg'",
    "4 days",
    "'\\u0041'",
    "`div`",
    "0",
    "-1",
    "9223372036854775807",
    "0.00000000001",
    "true",
    "where(",
    "select(",
    "repeat(",
    "all(",
    "exists(",
    "iif(",
    "aggregate(",
    "ofType(",
    "resolve()",
    "replaceMatches('(a+)+$', 'b')",
    "matches('",
    "substring(",
    "descendants()",
    "children()",
    "toQuantity('mg')",
    "power(",
    "trace('x')",
    "lowBoundary(",
    "now()",
    "combine(",
    "sort(",
    "split(','",
    "join('",
    "encode('base64')",
];

/// Evaluation has limits; these keep a case short.
fn limits() -> Limits {
    Limits { steps_max: 200_000, items_max: 20_000, text_bytes_max: 1 << 20 }
}

pub(super) fn prepare(testdata: &Path) -> Result<Prepared, String> {
    let mut seeds: Vec<Vec<u8>> =
        suite::fhirpath::expressions(testdata)?.into_iter().map(String::into_bytes).collect();
    for ty in schema::types() {
        let of_elements = ty.definition().elements.iter().flat_map(|e| e.constraints);
        let constraints = ty.definition().constraints.iter().chain(of_elements);
        seeds.extend(constraints.map(|c| c.expression.as_bytes().to_vec()));
    }
    seeds.sort();
    seeds.dedup();
    let resources = suite::fhirpath::inputs(testdata)?;
    let take = move |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(expression) = Expression::parse(text) else { return false };
        let _ = expression.check(schema::ty::PATIENT);
        resources.iter().for_each(|resource| evaluate(&expression, resource));
        true
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}

fn evaluate(expression: &Expression, resource: &Resource) {
    let context = Context::new(resource.root()).limits(limits());
    // An error is an answer; that there is one is all that is asked.
    let _ = expression.evaluate(&context, resource.root());
}

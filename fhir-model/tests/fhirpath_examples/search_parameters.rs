//! Every search-parameter expression of the specification, on every example.

use std::collections::BTreeMap;
use std::time::Instant;

use fhir_model::fhirpath::{Context, Expression};
use fhir_model::search_parameter::standard_search_parameters;

#[test]
fn every_expression_compiles() {
    let mut compiled = 0;
    for parameter in standard_search_parameters() {
        let components = parameter.components.iter().map(|component| component.expression);
        for text in components.chain([parameter.expression]).filter(|text| !text.is_empty()) {
            let expression = Expression::parse(text);
            assert!(expression.is_ok(), "{}: {text}: {expression:?}", parameter.url);
            compiled += 1;
        }
    }
    println!("{compiled} expressions compiled");
    assert!(compiled >= 1400);
}

#[test]
fn every_expression_evaluates_on_every_example() {
    let expressions: Vec<(&str, &[_], Expression)> = standard_search_parameters()
        .iter()
        .filter(|parameter| !parameter.expression.is_empty())
        .map(|p| (p.url, p.base, Expression::parse(p.expression).expect("compiles")))
        .collect();
    let Some(examples) = crate::examples() else { return };
    let (mut evaluations, mut values) = (0u64, 0u64);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let start = Instant::now();
    for (name, resource) in &examples {
        let context = Context::new(resource.root());
        for (url, base, expression) in &expressions {
            if !base.iter().any(|base| resource.resource_type().is_a(*base)) {
                continue;
            }
            let result = expression.evaluate(&context, resource.root());
            let collection = result.unwrap_or_else(|error| panic!("{name}: {url}: {error}"));
            evaluations += 1;
            values += collection.len() as u64;
            *found.entry(url).or_default() += collection.len() as u64;
        }
    }
    let nanos = start.elapsed().as_nanos() as f64 / evaluations as f64;
    let with_values = found.values().filter(|count| **count > 0).count();
    println!(
        "{} examples, {evaluations} evaluations, {values} values for {with_values} of {} parameters, {nanos:.0} ns each",
        examples.len(),
        expressions.len()
    );
    assert!(with_values > 700, "{with_values} parameters have values");
}

/// Search parameters that the specification itself got wrong: one that it
/// shows as an example has another type in its path than it is defined on.
const MISFITS: &[&str] = &["http://hl7.org/fhir/SearchParameter/example-extension on Patient: \
     the path begins with `DocumentReference`, which the focus is not"];

#[test]
fn every_expression_fits_its_types() {
    let mut misfits = Vec::new();
    for parameter in standard_search_parameters().iter().filter(|p| !p.expression.is_empty()) {
        let expression = Expression::parse(parameter.expression).expect("compiles");
        for base in parameter.base {
            if let Err(error) = expression.check(*base) {
                misfits.push(format!("{} on {base}: {error}", parameter.url));
            }
        }
    }
    assert_eq!(misfits, MISFITS);
}

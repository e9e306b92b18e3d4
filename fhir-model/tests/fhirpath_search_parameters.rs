//! Every search-parameter expression of the specification, on every example.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use fhir_model::fhirpath::{Context, Expression};
use fhir_model::search_parameter::standard_search_parameters;
use fhir_model::tree::Resource;

/// Returns the examples that are valid, or `None` (and says so) where the package is absent.
fn examples() -> Option<Vec<(String, Resource)>> {
    const PACKAGE: &str = "shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz";
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Some(file) = here.ancestors().find_map(|folder| std::fs::File::open(folder.join(PACKAGE)).ok())
    else {
        eprintln!("absent, nothing evaluated: {PACKAGE}");
        return None;
    };
    let mut out = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        if name.ends_with(".json") && !name.ends_with("package.json") && !name.ends_with(".index.json") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("readable");
            if let Ok(resource) = fhir_model::json::read(bytes) {
                out.push((name, resource));
            }
        }
    }
    Some(out)
}

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
    let Some(examples) = examples() else { return };
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

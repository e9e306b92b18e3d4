//! The examples of the specification: read, written, and asked by every
//! search parameter.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use fhir_model::fhirpath::{Context, Expression};
use fhir_model::search_parameter::standard_search_parameters;
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use serde_json::Value;

use super::Tally;

/// Examples that the specification itself got wrong, and how.
pub const WRONG_EXAMPLES: &[(&str, &str)] = &[
    ("CodeSystem-v2-0550.json", "a code ends in a no-break space"),
    (
        "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json",
        "the id is longer than 64 characters",
    ),
];

fn examples(testdata: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let path = testdata.join("fhir/hl7.fhir.r4.examples-4.0.1.tgz");
    let file = std::fs::File::open(&path).map_err(|_| super::absent(&path))?;
    let mut out = Vec::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let path = entry.path().map_err(|e| e.to_string())?.display().to_string();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        if !name.ends_with(".json") || name == "package.json" || name == ".index.json" {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        out.push((name, bytes));
    }
    Ok(out)
}

/// Runs `check` on every example that can be read.
fn on_each(
    testdata: &Path,
    mut check: impl FnMut(&Resource, &[u8]) -> Result<(), String>,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for (name, bytes) in examples(testdata)? {
        match (json::read(bytes.clone()), WRONG_EXAMPLES.iter().find(|(wrong, _)| *wrong == name)) {
            (Err(_), Some((_, why))) => tally.not_applicable(format!("{name}: {why}")),
            (Err(error), None) => tally.failed(format!("{name}: {error}")),
            (Ok(resource), _) => {
                let outcome = check(&resource, &bytes);
                tally.count(outcome.is_ok(), || format!("{name}: {}", outcome.err().unwrap_or_default()));
            }
        }
    }
    Ok(tally)
}

fn same(given: &[u8], written: &[u8]) -> Result<(), String> {
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|e| e.to_string());
    if value(given)? == value(written)? { Ok(()) } else { Err("not the same when written".to_owned()) }
}

/// Reads and writes every example as JSON.
///
/// # Errors
/// When the examples are absent.
pub fn json_round_trip(testdata: &Path) -> Result<Tally, String> {
    on_each(testdata, |resource, given| same(given, &json::to_json(resource)))
}

/// Takes every example from JSON to XML to JSON.
///
/// # Errors
/// When the examples are absent.
pub fn xml_round_trip(testdata: &Path) -> Result<Tally, String> {
    on_each(testdata, |resource, given| {
        let back = xml::read(xml::to_xml(resource)).map_err(|e| e.to_string())?;
        same(given, &json::to_json(&back))
    })
}

/// Evaluates every search parameter's expression on every example.
///
/// # Errors
/// When the examples are absent.
pub fn search_parameters(testdata: &Path) -> Result<Tally, String> {
    let resources: Vec<Resource> =
        examples(testdata)?.into_iter().filter_map(|(_, bytes)| json::read(bytes).ok()).collect();
    let mut tally = Tally::default();
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    for parameter in standard_search_parameters() {
        if parameter.expression.is_empty() {
            tally.not_applicable(format!("{}: has no expression", parameter.url));
            continue;
        }
        let outcome =
            Expression::parse(parameter.expression).map_err(|e| e.to_string()).and_then(|expression| {
                for resource in &resources {
                    if !parameter.base.iter().any(|base| resource.resource_type().is_a(*base)) {
                        continue;
                    }
                    let root = resource.root();
                    let found = expression.evaluate(&Context::new(root), root);
                    *values.entry(parameter.url).or_default() +=
                        found.map_err(|e| format!("{resource:?}: {e}"))?.len();
                }
                Ok(())
            });
        tally.count(outcome.is_ok(), || format!("{}: {}", parameter.url, outcome.err().unwrap_or_default()));
    }
    Ok(tally)
}

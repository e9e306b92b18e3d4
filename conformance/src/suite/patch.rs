//! The official patch cases: JSON Patch and FHIRPath Patch.
//!
//! The XML Patch cases beside them are not run: the server does not take XML Patch.

use std::path::Path;

use fhir_model::patch::{PatchError, fhirpath_patch, json_patch};
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use serde_json::Value;

use super::Tally;

fn cases(testdata: &Path, file: &str) -> Result<String, String> {
    let path = testdata.join("fhir/test-cases/r4/patch").join(file);
    std::fs::read_to_string(&path).map_err(|_| super::absent(&path))
}

/// Runs the JSON Patch cases.
///
/// # Errors
/// When they are absent or cannot be read.
pub fn json_patch_suite(testdata: &Path) -> Result<Tally, String> {
    let text = cases(testdata, "json-patch-tests.json")?;
    let cases: Vec<Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let mut tally = Tally::default();
    for case in &cases {
        let result = json_patch::Operations::parse(case["patch"].to_string().as_bytes())
            .and_then(|all| all.apply_to_json(case["doc"].to_string().as_bytes()));
        let is_right = match (&result, case.get("expected")) {
            (Ok(patched), Some(expected)) => {
                serde_json::from_slice::<Value>(patched).is_ok_and(|p| p == *expected)
            }
            (Err(PatchError::Refused { .. }), None) => case["error"].is_string(),
            _ => false,
        };
        tally.count(is_right, || format!("{}: {result:?}", case["comment"]));
    }
    Ok(tally)
}

/// Returns what stands between the tags `name`.
fn within<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// Returns a resource as JSON, the narrative as it is meant: whether a quote
/// or the end of a line is written one way or the other does not matter.
fn as_value(resource: &Resource) -> Value {
    let mut value: Value = serde_json::from_slice(&json::to_json(resource)).unwrap_or(Value::Null);
    if let Some(Value::String(div)) = value.pointer_mut("/text/div") {
        *div = div.replace("\r\n", "\n").replace("&quot;", "\"");
    }
    value
}

/// Runs the FHIRPath Patch cases.
///
/// # Errors
/// When they are absent or cannot be read.
pub fn fhirpath_patch_suite(testdata: &Path) -> Result<Tally, String> {
    let text = cases(testdata, "fhir-patch-tests.xml")?;
    let mut tally = Tally::default();
    for case in text.split("<case ").skip(1) {
        let name = case.split('"').nth(1).unwrap_or_default();
        let outcome = run(case);
        tally.count(outcome == Ok(true), || format!("{name}: {outcome:?}"));
    }
    Ok(tally)
}

fn run(case: &str) -> Result<bool, String> {
    let read = |part| -> Result<Resource, String> {
        let text = within(case, part).ok_or_else(|| format!("no {part}"))?;
        xml::read(text.trim()).map_err(|e| e.to_string())
    };
    let result = fhirpath_patch(&read("input")?, &read("diff")?);
    if case.contains("<error ") {
        return Ok(matches!(result, Err(PatchError::Refused { .. })));
    }
    let patched = result.map_err(|e| e.to_string())?;
    Ok(as_value(&patched) == as_value(&read("output")?))
}

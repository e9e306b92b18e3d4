//! The official patch cases: JSON Patch and FHIRPath Patch.
//!
//! The XML Patch cases beside them are not run: the server does not take XML Patch.

use std::path::{Path, PathBuf};

use fhir_model::patch::{PatchError, fhirpath_patch, json_patch};
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use serde_json::Value;

/// Returns the folder of the cases, or `None` (and says so) where it is absent.
fn cases(file: &str) -> Option<String> {
    const FOLDER: &str = "shared/testdata/fhir/test-cases/r4/patch";
    let folder: Option<PathBuf> =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(FOLDER)).find(|p| p.exists());
    let Some(folder) = folder else {
        eprintln!("absent, nothing run: {FOLDER}");
        return None;
    };
    Some(std::fs::read_to_string(folder.join(file)).expect("readable"))
}

#[test]
fn json_patch_cases() {
    let Some(text) = cases("json-patch-tests.json") else { return };
    let cases: Vec<Value> = serde_json::from_str(&text).expect("json");
    for case in &cases {
        let patch = serde_json::to_vec(&case["patch"]).expect("json");
        let result = json_patch::Operations::parse(&patch)
            .and_then(|all| all.apply_to_json(case["doc"].to_string().as_bytes()));
        match (result, case.get("expected")) {
            (Ok(patched), Some(expected)) => {
                let patched: Value = serde_json::from_slice(&patched).expect("json");
                assert_eq!(&patched, expected, "{}", case["comment"]);
            }
            (Err(PatchError::Refused { .. }), None) => assert!(case["error"].is_string()),
            (result, _) => panic!("{}: {result:?}", case["comment"]),
        }
    }
    println!("JSON Patch: {} cases, all pass", cases.len());
    assert_eq!(cases.len(), 16);
}

/// Returns what stands between the tags `name`.
fn within<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// Returns a resource as JSON, the narrative as it is meant: whether a quote
/// or the end of a line is written one way or the other does not matter.
fn as_value(resource: &Resource) -> Value {
    let mut value: Value = serde_json::from_slice(&json::to_json(resource)).expect("json");
    if let Some(Value::String(div)) = value.pointer_mut("/text/div") {
        *div = div.replace("\r\n", "\n").replace("&quot;", "\"");
    }
    value
}

#[test]
fn fhirpath_patch_cases() {
    let Some(text) = cases("fhir-patch-tests.xml") else { return };
    let mut count = 0;
    for case in text.split("<case ").skip(1) {
        let name = case.split('"').nth(1).unwrap_or_default();
        let read = |part| xml::read(within(case, part).expect("part").trim()).expect(name);
        let result = fhirpath_patch(&read("input"), &read("diff"));
        if case.contains("<error ") {
            assert!(matches!(result, Err(PatchError::Refused { .. })), "{name}: {result:?}");
        } else {
            let patched = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(as_value(&patched), as_value(&read("output")), "{name}");
        }
        count += 1;
    }
    println!("FHIRPath Patch: {count} cases, all pass");
    assert_eq!(count, 33);
}

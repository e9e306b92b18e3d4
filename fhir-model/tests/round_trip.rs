//! Every example of the specification, read and written.

use std::io::Read;
use std::path::PathBuf;

/// Returns the JSON documents of the examples package, or `None` (and says so) where it is absent.
fn examples() -> Option<Vec<(String, Vec<u8>)>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("absent, nothing compared: {}", path.display());
        return None;
    };
    let mut out = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        if !name.ends_with(".json") || name.ends_with("package.json") || name.ends_with(".index.json") {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        out.push((name, bytes));
    }
    Some(out)
}

#[test]
fn json_comes_back_identical() {
    let Some(examples) = examples() else { return };
    let mut refused = Vec::new();
    let mut compared = 0;
    for (name, bytes) in &examples {
        match fhir_model::json::read(bytes.clone()) {
            Err(error) => refused.push(format!("{name}: {error}")),
            Ok(resource) => {
                let given: serde_json::Value = serde_json::from_slice(bytes).expect("json");
                let written: serde_json::Value =
                    serde_json::from_slice(&fhir_model::json::to_json(&resource)).expect("json");
                assert_eq!(given, written, "{name}");
                compared += 1;
            }
        }
    }
    println!("{compared} identical, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(refused.len() <= 10);
}

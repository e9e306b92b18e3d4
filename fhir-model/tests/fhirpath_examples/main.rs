//! FHIRPath on every example of the specification: its search parameters and
//! its invariants.

use std::io::Read;
use std::path::PathBuf;

use fhir_model::tree::Resource;

mod invariants;
mod search_parameters;

/// Returns the examples that are valid, or `None` (and says so) where the package is absent.
pub(crate) fn examples() -> Option<Vec<(String, Resource)>> {
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

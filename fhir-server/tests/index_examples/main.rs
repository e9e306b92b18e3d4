//! Every standard search parameter, on every example of the specification:
//! where an example has a value, a search for that value finds it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use fhir_model::schema::resource_types;
use fhir_server::index::extract::extract;
use fhir_server::search::parameter::present;
use fhir_server::search::registry::Definitions;

#[test]
fn parameters_with_values_in_the_examples_are_indexed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("absent, nothing indexed: {}", path.display());
        return;
    };
    let definitions = Definitions::standard().expect("standard parameters");
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    let (mut resources, mut seconds) = (0, 0.0);
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        let Ok(resource) = fhir_model::json::read(bytes) else { continue };
        let begin = std::time::Instant::now();
        let rows = extract(&definitions, &resource, &[]);
        seconds += begin.elapsed().as_secs_f64();
        resources += 1;
        for definition in definitions.of(resource.resource_type()) {
            if present(definition).matches(&rows) {
                *found
                    .entry((resource.resource_type().name().to_owned(), definition.code.clone()))
                    .or_default() += 1;
            }
        }
    }
    let all: usize = resource_types().map(|of| definitions.of(of).count()).sum();
    println!("{resources} examples, {} of {all} parameters by type have values", found.len());
    println!("{:.1} µs a resource", seconds * 1e6 / f64::from(resources));
    assert!(found.len() >= 1466, "{}", found.len());
}

//! Every example of the specification, stored over HTTP: read back identical
//! apart from what the server owns, and found by every search parameter of
//! which it has a value.

mod found;
#[path = "../../fhir-server/tests/index_examples/query.rs"]
mod query;

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tests::Server;

/// Examples that the specification itself got wrong.
const REFUSED: &[&str] = &[
    // A code ends in a no-break space.
    "CodeSystem-v2-0550.json",
    // The id is longer than 64 characters.
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json",
];

/// Has the type and id of another example, ImplementationGuide-fhir.json.
const SAME_IDENTITY: &str = "ig-r4.json";

/// Takes away what the server owns: version and time, and a meta that has nothing else.
fn without_stamp(mut resource: Value) -> Value {
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        let is_empty = meta.is_empty();
        if let Some(object) = resource.as_object_mut().filter(|_| is_empty) {
            object.remove("meta");
        }
    }
    resource
}

#[test]
fn examples_come_back_as_they_were_stored_and_are_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("absent, nothing stored: {}", path.display());
        return;
    };
    let mut examples: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").file_name().expect("name").to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        let is_example = name.ends_with(".json") && name != "package.json" && name != ".index.json";
        if is_example && name != SAME_IDENTITY {
            examples.push((name, bytes));
        }
    }
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let (next, identical) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let all: Mutex<Vec<fhir_model::tree::Resource>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let client = server.client();
            let (examples, next, identical, wrong, all) = (&examples, &next, &identical, &wrong, &all);
            scope.spawn(move || {
                while let Some((name, bytes)) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let given: Value = serde_json::from_slice(bytes).expect("json");
                    let of = given["resourceType"].as_str().unwrap_or_default();
                    // Of some types there may be new ones alone.
                    let headers = [("content-type", "application/fhir+json"), ("if-none-match", "*")];
                    let stored = match given["id"].as_str() {
                        Some(id) => client.send("PUT", &format!("{of}/{id}"), &headers, bytes),
                        None => client.send("POST", of, &headers[..1], bytes),
                    };
                    let stored = stored.unwrap_or_else(|e| panic!("{name}: {e}"));
                    if stored.status != 201 {
                        wrong.lock().expect("list").push(name.clone());
                        continue;
                    }
                    let headers = [("accept", "application/fhir+json")];
                    let read =
                        client.send("GET", &format!("{of}/{}", stored.id()), &headers, &[]).expect("read");
                    let mut expected = without_stamp(given);
                    if let Some(object) = expected.as_object_mut() {
                        object.insert("id".to_owned(), Value::String(stored.id()));
                    }
                    if without_stamp(read.json()) == expected {
                        identical.fetch_add(1, Ordering::Relaxed);
                        let resource = fhir_model::json::read(read.body).expect("a resource");
                        all.lock().unwrap_or_else(PoisonError::into_inner).push(resource);
                    } else {
                        wrong.lock().expect("list").push(format!("{name}: not identical"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("list");
    wrong.sort();
    println!("{} examples, {} identical", examples.len(), identical.into_inner());
    assert_eq!(wrong, REFUSED);
    found::by_every_parameter(&server, all.into_inner().expect("list"));
}

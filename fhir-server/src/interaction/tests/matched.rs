//! Patients that were stored before they could be matched, and what a write leaves to be matched.

use std::time::{Duration, Instant};

use fhir_model::interaction::{Body, Interaction, OperationCall, ResourceKey, Scope};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::running::{BASE, Running, tree};
use crate::index::extract::extract;
use crate::storage::{Reads, StorageError};

/// A man whose date of birth goes with his family name.
fn patient(id: &str, family: &str) -> Value {
    let birth = if family == "Zunino" { "1985-08-17" } else { "1962-03-04" };
    json!({
        "resourceType": "Patient", "id": id, "birthDate": birth, "gender": "male",
        "name": [{ "family": family, "given": ["Mario"] }],
    })
}

/// Returns the ids of those who may be the person.
fn found(running: &Running, family: &str) -> Vec<String> {
    let call = OperationCall {
        name: "match".to_owned(),
        scope: Scope::Type(ty::PATIENT),
        query: Vec::new(),
        body: Some(tree(&patient("x", family))),
        faults: Vec::new(),
        safe: false,
    };
    let performed = running.perform(Interaction::Operation(call)).expect("answered");
    let Body::Json(bundle) = performed.body else { panic!("no Bundle") };
    let bundle: Value = serde_json::from_slice(&bundle).expect("JSON");
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["resource"]["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn older_patients_are_indexed_for_matching() {
    let folder = tempfile::tempdir().expect("folder");
    let running = Running::start(folder.path());
    running.put(&patient("a", "Zunino")).expect("stored");
    assert_eq!(found(&running, "Zunino"), ["a"]);
    let definitions = running.server.search().definitions();
    let key = ResourceKey { resource_type: ty::PATIENT, id: ResourceId::parse("a").expect("id") };
    // As an earlier version left it.
    let unindex = move |unit: &mut crate::storage::WriteUnit<'_>| {
        let stored = unit.current(&key)?.ok_or(StorageError::Outdated)?;
        let mut rows = extract(&definitions, &stored.resource()?, &[BASE.to_owned()]);
        (rows.persons, rows.names) = (Vec::new(), Vec::new());
        unit.reindex(&stored, &rows)?;
        Ok(unit.set("persons_indexed", "")?)
    };
    running.server.store().write_blocking(unindex).expect("written");
    assert!(found(&running, "Zunino").is_empty());
    drop(running);
    let running = Running::start(folder.path());
    let end = Instant::now() + Duration::from_secs(60);
    while found(&running, "Zunino").is_empty() {
        assert!(Instant::now() < end, "it is not indexed");
        std::thread::sleep(Duration::from_millis(5));
    }
    // What changed is compared as it is now.
    running.put(&patient("a", "Bianchi")).expect("stored");
    assert!(found(&running, "Zunino").is_empty());
    assert_eq!(found(&running, "Bianchi"), ["a"]);
    running.delete(ty::PATIENT, "a");
    assert!(found(&running, "Bianchi").is_empty());
}

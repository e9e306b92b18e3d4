//! What is written under a key is written once.

use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::{
    BundleRequest, Caller, CreateRequest, FhirApi, Handling, Interaction, Once, OperationCall, Performed,
    Scope,
};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;
use serde_json::{Value, json};

use super::running::{BASE, Running, tree};
use crate::interaction::once::forget;

fn caller(key: &str, content: u8, answer: &'static str) -> Caller {
    let once = Once {
        key: key.to_owned(),
        fingerprint: [content; 32],
        answer: Bytes::from_static(answer.as_bytes()),
    };
    Caller { once: Some(Arc::new(once)), ..Caller::new("test", BASE) }
}

fn perform(running: &Running, caller: &Caller, interaction: Interaction) -> Result<Performed, Issue> {
    running.runtime.block_on(running.server.perform(caller, interaction))
}

fn create(resource: &Value) -> Interaction {
    let resource = tree(resource);
    Interaction::Create(CreateRequest {
        resource_type: resource.resource_type(),
        resource,
        if_none_exist: None,
    })
}

fn bundle(kind: &str, patients: usize) -> Interaction {
    let entry = json!({ "resource": { "resourceType": "Patient" }, "request": { "method": "POST", "url": "Patient" } });
    let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": vec![entry; patients] });
    Interaction::Bundle(BundleRequest {
        bundle: tree(&bundle),
        contents: Vec::new(),
        handling: Handling::Strict,
    })
}

fn count(running: &Running) -> u64 {
    let search = fhir_model::interaction::SearchRequest {
        scope: Scope::Type(fhir_model::schema::ty::PATIENT),
        parameters: vec![("_summary".to_owned(), "count".to_owned())],
        handling: Handling::Strict,
    };
    let found = running.perform(Interaction::Search(search)).expect("found");
    body(&found)["total"].as_u64().expect("a total")
}

fn body(performed: &Performed) -> Value {
    match &performed.body {
        fhir_model::interaction::Body::Json(json) => serde_json::from_slice(json).expect("JSON"),
        fhir_model::interaction::Body::Empty => Value::Null,
    }
}

#[test]
fn a_write_is_performed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let patient = json!({ "resourceType": "Patient", "gender": "female" });
    let first = perform(&running, &caller("a", 1, ""), create(&patient)).expect("stored");
    let again = perform(&running, &caller("a", 1, ""), create(&patient)).expect("answered");
    assert_eq!((first.status, &first.key, first.version), (again.status, &again.key, again.version));
    assert_eq!((first.updated, body(&first)), (again.updated, body(&again)));
    assert!(first.repeated.is_none() && again.repeated.is_some());
    assert_eq!(count(&running), 1);
    let other = perform(&running, &caller("a", 2, ""), create(&patient)).expect_err("something else");
    assert_eq!(other.code, IssueType::Duplicate);
    perform(&running, &caller("b", 1, ""), create(&patient)).expect("another key");
    assert_eq!(count(&running), 2);
}

#[test]
fn a_transaction_is_performed_once_also_after_a_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let first = perform(&running, &caller("a", 1, ""), bundle("transaction", 3)).expect("stored");
    perform(&running, &caller("b", 1, "AA"), bundle("transaction", 1)).expect("stored");
    drop(running);
    let running = Running::start(folder.path());
    let again = perform(&running, &caller("a", 1, ""), bundle("transaction", 3)).expect("answered");
    assert_eq!(body(&first), body(&again));
    // The answer that is kept is the first.
    let again = perform(&running, &caller("b", 1, "AA, later"), bundle("transaction", 1)).expect("answered");
    assert_eq!(again.repeated.as_deref(), Some(b"AA".as_slice()));
    assert_eq!(count(&running), 4);
    perform(&running, &caller("c", 1, ""), bundle("batch", 1)).expect_err("a batch is not one thing");
}

#[test]
fn what_is_refused_leaves_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let missing =
        json!({ "resourceType": "Observation", "subject": { "reference": "Patient?identifier=x" } });
    perform(&running, &caller("a", 1, ""), create(&missing)).expect_err("nobody is meant");
    let patient = json!({ "resourceType": "Patient" });
    perform(&running, &caller("a", 2, ""), create(&patient)).expect("the key is free");
    assert_eq!(count(&running), 1);
}

#[test]
fn an_operation_that_writes_is_called_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let call = || {
        let parameters =
            json!({ "resourceType": "Parameters", "parameter": [{ "name": "name", "valueString": "c" }] });
        Interaction::Operation(OperationCall {
            name: "closure".to_owned(),
            scope: Scope::System,
            query: Vec::new(),
            body: Some(tree(&parameters)),
            faults: Vec::new(),
            safe: false,
        })
    };
    let first = perform(&running, &caller("a", 1, ""), call()).expect("called");
    let again = perform(&running, &caller("a", 1, ""), call()).expect("answered");
    assert!(first.repeated.is_none() && again.repeated.is_some());
    assert_eq!(body(&first), body(&again));
}

#[test]
fn keys_are_forgotten_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let patient = json!({ "resourceType": "Patient" });
    let store = |key| {
        perform(&running, &caller(key, 1, ""), create(&patient)).expect("stored").updated.expect("when")
    };
    store("a");
    let later = store("b");
    let forgotten = running.server.store().write_blocking(move |unit| forget(unit, Instant(later.0)));
    assert_eq!(forgotten.map_err(|issue| issue.to_string()), Ok(false));
    store("a");
    store("b");
    assert_eq!(count(&running), 3, "a was forgotten, b was not");
}

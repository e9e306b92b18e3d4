//! What cannot be recorded is not answered.

use fhir_model::interaction::{
    Body, Handling, Interaction, OperationCall, Performed, ReadRequest, ResourceKey, Scope, SearchRequest,
};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use ihe_adapters::atna::Recorder;
use serde_json::{Value, json};

use super::running::{Running, tree};
use crate::interaction::recording::{Recorded, Recording};

/// More reads than a database without room takes records of.
const READS_MAX: usize = 20_000;

fn recorded(running: Running, recorded: Recorded) -> Running {
    let recorder = Recorder { source_id: "genova".to_owned(), enterprise_site: None };
    Running { server: running.server.recorded(Recording::new(recorder, recorded)), ..running }
}

fn read(running: &Running, id: &str) -> Result<Performed, Issue> {
    let key = ResourceKey { resource_type: ty::PATIENT, id: ResourceId::parse(id).expect("an id") };
    running.perform(Interaction::Read(ReadRequest { key, if_none_match: None, if_modified_since: None }))
}

#[test]
fn a_full_disk_keeps_answers_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = recorded(Running::start(folder.path()), Recorded::All);
    running.put(&json!({ "resourceType": "Patient", "id": "p" })).expect("stored");
    running.server.store().limit_size(Some(1));
    let refused = (0..READS_MAX).find_map(|_| read(&running, "p").err()).expect("a refusal");
    assert_eq!(refused.code, IssueType::Transient, "{refused}");
    assert!(refused.diagnostics.contains("cannot be recorded"), "{refused}");
    // What fails anyhow is told as it is.
    assert_eq!(read(&running, "none").expect_err("nobody").code, IssueType::NotFound);
    running.server.store().limit_size(None);
    read(&running, "p").expect("recorded, and answered");
}

#[test]
fn what_is_not_asked_for_is_not_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = recorded(Running::start(folder.path()), Recorded::Documents);
    running.put(&json!({ "resourceType": "Patient", "id": "p" })).expect("stored");
    let commits = || {
        let (statistics, _) = running.server.store().statistics();
        statistics.commits.load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = commits();
    read(&running, "p").expect("read");
    assert_eq!(commits(), before, "a read of what is no document writes nothing");
}

/// Calls an operation on the patients `a` and `b`.
fn call(name: &str, parameters: &Value) -> Interaction {
    Interaction::Operation(OperationCall {
        name: name.to_owned(),
        scope: Scope::Type(ty::PATIENT),
        query: Vec::new(),
        body: Some(tree(&json!({ "resourceType": "Parameters", "parameter": parameters }))),
        faults: Vec::new(),
        safe: false,
    })
}

fn named(name: &str, id: &str) -> Value {
    json!({ "name": name, "valueReference": { "reference": format!("Patient/{id}") } })
}

#[test]
fn whose_data_are_whose_is_recorded_with_the_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = recorded(Running::start(folder.path()), Recorded::Documents);
    for id in ["a", "b", "c"] {
        running
            .put(&json!({ "resourceType": "Patient", "id": id, "name": [{ "text": id }] }))
            .expect("stored");
    }
    let commits = || {
        let (statistics, _) = running.server.store().statistics();
        statistics.commits.load(std::sync::atomic::Ordering::Relaxed)
    };
    let pair = json!([named("source-patient", "a"), named("target-patient", "b")]);
    let same = json!([named("patient", "b"), named("other", "c"), { "name": "same", "valueBoolean": true }]);
    for (name, parameters, patients) in
        [("merge", &pair, ["a", "b"]), ("unmerge", &pair, ["a", "b"]), ("link", &same, ["b", "c"])]
    {
        let before = commits();
        running.perform(call(name, parameters)).expect("done");
        assert_eq!(commits(), before + 1, "{name}: recorded with the change");
        let events = newest_events(&running);
        for id in patients {
            let place = format!("Patient/{id}");
            // Both stand in the event of either.
            let is_of = |event: &&Value| event["entity"][0]["what"]["reference"] == *place;
            let event = events.iter().find(is_of).unwrap_or_else(|| panic!("{name} {id}: {events:?}"));
            assert_eq!(event["subtype"][0]["code"], "operation");
            for other in patients {
                let place = format!("Patient/{other}");
                let entities = event["entity"].as_array().expect("entities");
                assert!(entities.iter().any(|of| of["what"]["reference"] == *place), "{name}: {event}");
            }
        }
    }
    let nobody = json!([named("source-patient", "nobody"), named("target-patient", "b")]);
    running.perform(call("merge", &nobody)).expect_err("there is nobody");
    assert_eq!(newest_events(&running)[0]["outcome"], "4");
}

fn newest_events(running: &Running) -> Vec<Value> {
    let parameters = vec![("_count".to_owned(), "2".to_owned())];
    let scope = Scope::Type(ty::AUDIT_EVENT);
    let search = Interaction::Search(SearchRequest { scope, parameters, handling: Handling::Strict });
    let Body::Json(found) = running.perform(search).expect("found").body else { return Vec::new() };
    let found: Value = serde_json::from_slice(&found).expect("JSON");
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

//! What a source tells says so.

use fhir_model::interaction::{
    Body, Caller, CreateRequest, FhirApi, Interaction, OperationCall, ReadRequest, ResourceKey, Scope,
    Target, UpdateRequest,
};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::running::{BASE, Running, tree};

fn by(source: Option<&str>) -> Caller {
    Caller { source: source.map(Into::into), ..Caller::new("test", BASE) }
}

fn perform(running: &Running, source: Option<&str>, interaction: Interaction) {
    running.runtime.block_on(running.server.perform(&by(source), interaction)).expect("performed");
}

fn put(running: &Running, source: Option<&str>, patient: &Value) {
    let resource = tree(patient);
    let id = ResourceId::parse(resource.id().expect("id")).expect("id");
    let request = UpdateRequest {
        resource_type: ty::PATIENT,
        target: Target::Id(id),
        resource,
        if_match: None,
        if_none_exist: false,
    };
    perform(running, source, Interaction::Update(request));
}

fn stored(running: &Running, id: &str) -> Value {
    let key = ResourceKey { resource_type: ty::PATIENT, id: ResourceId::parse(id).expect("id") };
    let request = ReadRequest { key, if_none_match: None, if_modified_since: None };
    let performed = running.perform(Interaction::Read(request)).expect("read");
    let Body::Json(json) = performed.body else { panic!("no body") };
    serde_json::from_slice(&json).expect("JSON")
}

#[test]
fn each_version_names_the_message_that_told_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let patient = |id: &str, meta: Value| json!({ "resourceType": "Patient", "id": id, "meta": meta });
    put(&running, Some("urn:a#1"), &json!({ "resourceType": "Patient", "id": "a" }));
    assert_eq!(stored(&running, "a")["meta"]["source"], "urn:a#1");
    put(&running, Some("urn:a#2"), &patient("a", json!({ "versionId": "1", "tag": [{ "code": "x" }] })));
    let second = stored(&running, "a");
    assert_eq!((&second["meta"]["source"], &second["meta"]["versionId"]), (&json!("urn:a#2"), &json!("2")));
    assert_eq!(second["meta"]["tag"][0]["code"], "x");
    // Of whom nothing is known says what he says.
    put(&running, None, &patient("a", json!({ "source": "urn:a#2" })));
    assert_eq!(stored(&running, "a")["meta"]["source"], "urn:a#2");
    put(&running, Some("urn:b#1"), &patient("a", json!({ "source": "urn:a#2" })));
    assert_eq!(stored(&running, "a")["meta"]["source"], "urn:b#1");
    put(&running, None, &json!({ "resourceType": "Patient", "id": "b" }));
    let named = |name: &str, id: &str| json!({ "name": name, "valueReference": { "reference": format!("Patient/{id}") } });
    let body = json!({ "resourceType": "Parameters", "parameter": [named("source-patient", "a"), named("target-patient", "b")] });
    let merge = OperationCall {
        name: "merge".to_owned(),
        scope: Scope::Type(ty::PATIENT),
        query: Vec::new(),
        body: Some(tree(&body)),
        faults: Vec::new(),
        safe: false,
    };
    perform(&running, Some("urn:a#3"), Interaction::Operation(merge));
    for id in ["a", "b"] {
        assert_eq!(stored(&running, id)["meta"]["source"], "urn:a#3");
    }
}

#[test]
fn a_record_of_what_was_done_is_not_told_by_whom_it_is_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let event = json!({
        "resourceType": "AuditEvent", "type": { "code": "rest" }, "recorded": "2026-01-02T03:04:05Z",
        "agent": [{ "requestor": true }], "source": { "observer": { "display": "x" } },
    });
    let resource = tree(&event);
    let request = CreateRequest { resource_type: ty::AUDIT_EVENT, resource, if_none_exist: None };
    let performed =
        running.runtime.block_on(running.server.perform(&by(Some("urn:a#1")), Interaction::Create(request)));
    let Body::Json(json) = performed.expect("stored").body else { panic!("no body") };
    let stored: Value = serde_json::from_slice(&json).expect("JSON");
    assert!(stored["meta"]["source"].is_null(), "{stored}");
}

//! Binaries whose bytes are in the document store.

use bytes::Bytes;
use fhir_model::interaction::{
    Body, BundleRequest, Carried, Content, Handling, Interaction, PatchDocument, PatchRequest, Performed,
    ReadRequest, ResourceKey, Target, VersionId, VreadRequest,
};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::running::{Running, tree};

const CONTENT: Content = Content { sha256: [7; 32], size: 5_000_000_000 };

fn key() -> ResourceKey {
    ResourceKey { resource_type: ty::BINARY, id: ResourceId::parse("b").expect("an id") }
}

fn read(running: &Running) -> Performed {
    let request = ReadRequest { key: key(), if_none_match: None, if_modified_since: None };
    running.perform(Interaction::Read(request)).expect("read")
}

fn vread(running: &Running, version: u32) -> Option<Content> {
    let request = VreadRequest { key: key(), version: Some(VersionId(version)) };
    running.perform(Interaction::Vread(request)).expect("read").content
}

fn transact(running: &Running, entries: &[Value], contents: &[(&str, Carried)]) -> Result<Performed, Issue> {
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    running.perform(Interaction::Bundle(BundleRequest {
        bundle: tree(&bundle),
        handling: Handling::Strict,
        contents: contents.iter().map(|(url, carried)| ((*url).to_owned(), carried.clone())).collect(),
    }))
}

fn entry(resource: &Value) -> Value {
    let url = format!("{}/b", resource["resourceType"].as_str().expect("a type"));
    json!({ "fullUrl": "urn:uuid:1", "resource": resource, "request": { "method": "PUT", "url": url } })
}

#[test]
fn a_binary_keeps_its_bytes_with_its_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let binary = json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain" });
    transact(&running, &[entry(&binary)], &[("urn:uuid:1", Carried::Stored(CONTENT))]).expect("stored");
    assert_eq!(read(&running).content, Some(CONTENT));
    // A patch changes what is said of the bytes.
    let patch = json!([{ "op": "replace", "path": "/contentType", "value": "text/html" }]);
    let request = PatchRequest {
        resource_type: ty::BINARY,
        target: Target::Id(key().id),
        document: PatchDocument::Json(patch.to_string().into()),
        if_match: None,
    };
    running.perform(Interaction::Patch(request)).expect("patched");
    let patched = read(&running);
    let Body::Json(json) = patched.body else { panic!("no body") };
    assert!(String::from_utf8_lossy(&json).contains("text/html"));
    assert_eq!(patched.content, Some(CONTENT));
    // An update brings bytes of its own.
    running
        .put(&json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "QQ==" }))
        .expect("updated");
    assert_eq!(read(&running).content, None);
    assert_eq!([1, 2, 3].map(|version| vread(&running, version)), [Some(CONTENT), Some(CONTENT), None]);
    drop(running);
    let running = Running::start(folder.path());
    assert_eq!(vread(&running, 2), Some(CONTENT));
}

#[test]
fn bytes_at_hand_become_the_data_of_a_binary() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let binary = json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain" });
    for (bytes, data) in [("A", json!("QQ==")), ("", Value::Null)] {
        let carried = Carried::Here(Bytes::from_static(bytes.as_bytes()));
        transact(&running, &[entry(&binary)], &[("urn:uuid:1", carried)]).expect("stored");
        let stored = read(&running);
        let Body::Json(json) = stored.body else { panic!("no body") };
        let json: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!((&json["data"], stored.content), (&data, None));
    }
}

#[test]
fn bytes_are_for_a_binary_without_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    let with_data =
        json!({ "resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "QQ==" });
    let other = json!({ "resourceType": "Basic", "id": "b", "code": { "text": "x" } });
    for (resource, url) in [(&with_data, "urn:uuid:1"), (&other, "urn:uuid:1"), (&other, "urn:uuid:2")] {
        for carried in [Carried::Stored(CONTENT), Carried::Here(Bytes::from_static(b"A"))] {
            let refused = transact(&running, &[entry(resource)], &[(url, carried)]);
            assert_eq!(
                refused.map(|_| ()).map_err(|issue| issue.code),
                Err(IssueType::Invalid),
                "{resource}"
            );
        }
    }
}

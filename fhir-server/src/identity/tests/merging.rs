//! Merges, one after the other, and taken back.

use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::asking::{body, of, pair, patient};
use crate::identity::review::pair_id;
use crate::interaction::tests::running::Running;

fn with(mut asked: Vec<(&'static str, Value)>, more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    asked.extend_from_slice(more);
    asked
}

fn running(folder: &std::path::Path, ids: &[&str]) -> Running {
    let running = Running::start(folder);
    ids.iter().for_each(|id| _ = running.put(&patient(id)).expect("stored"));
    running
}

/// A resource as it is, without what changes with each version.
fn content(mut resource: Value) -> Value {
    resource.as_object_mut().map(|resource| resource.remove("meta"));
    resource
}

#[test]
fn a_merge_is_taken_back_exactly() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path(), &["b", "c"]);
    let mut a = patient("a");
    a["active"] = json!(true);
    a["gender"] = json!("female");
    a["link"] = json!([{ "other": { "reference": "Patient/c" }, "type": "seealso" }]);
    running.put(&a).expect("stored");
    let before = [content(running.patient("a")), content(running.patient("b"))];
    let asked = with(pair("a", "b"), &[("survivorship", json!(true)), ("reason", json!("typed twice"))]);
    let preview = running.call("merge", &with(asked.clone(), &[("preview", json!(true))])).expect("possible");
    let result = body(&preview)["parameter"][2]["resource"].clone();
    assert_eq!((&result["gender"], &result["meta"]), (&json!("female"), &Value::Null));
    assert_eq!([content(running.patient("a")), content(running.patient("b"))], before);

    let merged = body(&running.call("merge", &asked).expect("merged"));
    assert_eq!(merged["parameter"][0]["resource"]["resourceType"], "Parameters");
    let result = &merged["parameter"][2]["resource"];
    assert_eq!(*result, running.patient("b"));
    assert_eq!((&result["gender"], &result["link"][0]["type"]), (&json!("female"), &json!("replaces")));
    // What the source was known by is not what the target is known by.
    assert_eq!(result["identifier"].as_array().map(Vec::len), Some(1));
    let source = running.patient("a");
    assert_eq!(source["active"], false);
    assert_eq!(source["link"][1]["other"]["reference"], "Patient/b");
    assert_eq!(source["link"][0]["type"], "seealso");
    let told = running.read(ty::PROVENANCE, &pair_id("merge", "a", "b"));
    assert_eq!(told["activity"]["coding"][0]["code"], "merge");
    assert_eq!(told["reason"][0]["text"], "typed twice");

    running
        .call("unmerge", &[("source-patient-identifier", json!({ "system": "urn:oid:1.2.3", "value": "A" }))])
        .expect("taken back");
    assert_eq!([content(running.patient("a")), content(running.patient("b"))], before);
    let told = running.read(ty::PROVENANCE, &pair_id("merge", "a", "b"));
    assert_eq!(
        (&told["activity"]["coding"][0]["code"], &told["meta"]["versionId"]),
        (&json!("unmerge"), &json!("2"))
    );
    assert_eq!(running.refused("unmerge", &pair("a", "b")), (409, Some("not-merged")));
    // Who was never said to be active is not said to be afterwards.
    running.call("merge", &pair("b", "a")).expect("merged");
    running.call("unmerge", &pair("b", "a")).expect("taken back");
    assert_eq!(content(running.patient("b")), before[1]);
}

#[test]
fn what_contradicts_a_merge_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path(), &["a", "b", "c", "d", "gone"]);
    running.delete(ty::PATIENT, "gone");
    running.put(&json!({ "resourceType": "Patient", "id": "e", "identifier": [{ "system": "urn:oid:1.2.3", "value": "D" }] })).expect("stored");
    let named = |value: &str| json!({ "system": "urn:oid:1.2.3", "value": value });
    let by = |value: &str| vec![("source-patient-identifier", named(value)), ("target-patient", of("a"))];
    for (asked, expected) in [
        (pair("a", "a"), (422, Some("same-patient"))),
        (pair("a", "nobody"), (422, Some("unknown-patient"))),
        (pair("gone", "a"), (422, Some("deleted-patient"))),
        (by("nobody"), (422, Some("unknown-patient"))),
        (by("D"), (422, Some("ambiguous-patient"))),
        (vec![("target-patient", of("a"))], (400, None)),
        (with(by("B"), &[("source-patient", of("b"))]), (400, None)),
        (with(pair("a", "b"), &[("recorded", json!("2026"))]), (400, None)),
        (with(pair("a", "b"), &[("result-patient", patient("a"))]), (400, None)),
        (with(pair("a", "b"), &[("delete-source", json!(true))]), (400, None)),
    ] {
        assert_eq!(running.refused("merge", &asked), expected, "{asked:?}");
    }
    // a into b, b into c: a chain.
    running.call("merge", &by("B")).expect("merged");
    running.call("unmerge", &pair("b", "a")).expect("taken back");
    running.call("merge", &pair("a", "b")).expect("merged");
    assert_eq!(running.refused("merge", &pair("a", "b")), (409, Some("merged-already")));
    assert_eq!(running.refused("merge", &pair("b", "a")), (409, Some("circle")));
    assert_eq!(running.refused("merge", &pair("a", "c")), (409, Some("subsumed-patient")));
    assert_eq!(running.refused("merge", &pair("c", "a")), (409, Some("subsumed-patient")));
    running.call("merge", &pair("b", "c")).expect("merged");
    assert_eq!(running.refused("merge", &pair("c", "a")), (409, Some("circle")));
    assert_eq!(running.refused("unmerge", &pair("a", "c")), (409, Some("not-merged")));
    // The one in the middle comes back with whom he took over.
    running.call("unmerge", &pair("b", "c")).expect("taken back");
    assert_eq!(running.patient("a")["link"][0]["type"], "replaced-by");
    assert_eq!(running.patient("c").get("link"), None);
}

#[test]
fn what_happened_before_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path(), &["a", "b"]);
    let at = |time: &str| with(pair("a", "b"), &[("recorded", json!(time))]);
    running.call("merge", &at("2026-01-02T10:00:00+01:00")).expect("merged");
    assert_eq!(running.refused("unmerge", &at("2026-01-01")), (409, Some("outdated")));
    running.call("unmerge", &at("2026-01-03")).expect("taken back");
    // The merge of before comes once more, late; and so does one the other way round.
    assert_eq!(running.refused("merge", &at("2026-01-02T10:00:00+01:00")), (409, Some("outdated")));
    let turned = with(pair("b", "a"), &[("recorded", json!("2026-01-02"))]);
    assert_eq!(running.refused("merge", &turned), (409, Some("outdated")));
    running.call("merge", &at("2026-01-03")).expect("merged");
    assert_eq!(running.patient("a")["active"], false);
}

#[test]
fn a_result_takes_the_place_of_the_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path(), &["a", "b"]);
    let result = json!({ "resourceType": "Patient", "id": "b", "birthDate": "1970-01-01",
        "link": [{ "other": { "reference": "Patient/x" }, "type": "seealso" }],
        "identifier": [{ "system": "urn:oid:1.2.3", "value": "B" }, { "system": "urn:oid:1.2.3", "value": "A" }] });
    running.call("merge", &with(pair("a", "b"), &[("result-patient", result)])).expect("merged");
    let target = running.patient("b");
    assert_eq!(target["birthDate"], "1970-01-01");
    assert_eq!(
        (&target["identifier"][0]["use"], &target["identifier"][1]["use"]),
        (&Value::Null, &json!("old"))
    );
    assert_eq!(target["link"].as_array().map(Vec::len), Some(1));
    assert_eq!(target["link"][0]["other"]["reference"], "Patient/a");
}

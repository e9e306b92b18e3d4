//! Merges as entries of a transaction: with the rest of it, or not at all.

use fhir_model::interaction::{BundleRequest, Handling, Interaction, Performed};
use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::asking::{body, patient};
use crate::identity::review::pair_id;
use crate::interaction::tests::running::{Running, tree};

const NEW: &str = "urn:uuid:6f1c7e1e-0000-4000-8000-000000000001";

fn transact(running: &Running, entries: &[Value]) -> Result<Performed, Issue> {
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    running.perform(Interaction::Bundle(BundleRequest {
        bundle: tree(&bundle),
        contents: Vec::new(),
        handling: Handling::Strict,
    }))
}

/// An entry that calls an operation on two patients, by references.
fn call(name: &str, source: &str, target: &Value) -> Value {
    let parameters = json!([
        { "name": "source-patient", "valueReference": { "reference": source } },
        { "name": "target-patient", "valueReference": target },
    ]);
    json!({
        "resource": { "resourceType": "Parameters", "parameter": parameters },
        "request": { "method": "POST", "url": format!("Patient/${name}") },
    })
}

fn to(reference: &str) -> Value {
    json!({ "reference": reference })
}

fn put(id: &str, gender: &str) -> Value {
    let mut resource = patient(id);
    resource["gender"] = json!(gender);
    json!({ "resource": resource, "request": { "method": "PUT", "url": format!("Patient/{id}") } })
}

fn links(running: &Running, id: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let patient = running.patient(id);
    let links = patient["link"].as_array().cloned().unwrap_or_default();
    links.iter().map(|link| (text(&link["type"]), text(&link["other"]["reference"]))).collect()
}

fn tie(kind: &str, other: &str) -> (String, String) {
    (kind.to_owned(), format!("Patient/{other}"))
}

#[test]
fn merges_see_what_their_transaction_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    for id in ["a", "b"] {
        running.put(&patient(id)).expect("stored");
    }
    // A chain into one who is new; named by a reference between entries, and by a condition.
    let mut new = patient("new");
    new.as_object_mut().expect("a resource").remove("id");
    let created =
        json!({ "fullUrl": NEW, "resource": new, "request": { "method": "POST", "url": "Patient" } });
    let named = json!({ "reference": NEW, "display": "who is left", "identifier": { "value": "NEW" } });
    let entries = [
        call("merge", "Patient/a", &to("Patient?identifier=urn:oid:1.2.3|B")),
        call("merge", "Patient/b", &named),
        created,
        put("b", "female"),
    ];
    let done = body(&transact(&running, &entries).expect("done"));
    assert_eq!(done["entry"][0]["resource"]["resourceType"], "Parameters", "{done}");
    let location = done["entry"][2]["response"]["location"].as_str().expect("a location");
    let id = location.split('/').rev().nth(2).expect("an id").to_owned();
    assert_eq!(links(&running, "a"), [tie("replaced-by", "b")]);
    assert_eq!(links(&running, "b"), [tie("replaces", "a"), tie("replaced-by", &id)]);
    assert_eq!(links(&running, &id), [tie("replaces", "b")]);
    let b = running.patient("b");
    assert_eq!((&b["gender"], &b["active"]), (&json!("female"), &json!(false)));
    // Written, the target of a merge, the source of one.
    assert_eq!(b["meta"]["versionId"], "4");
    assert_eq!(b["link"][1]["other"]["display"], "who is left");
    assert_eq!(b["link"][1]["other"]["identifier"]["value"], "NEW");
    // Taken back, with another change.
    transact(&running, &[call("unmerge", "Patient/b", &to(&format!("Patient/{id}"))), put("c", "male")])
        .expect("taken back");
    assert_eq!((links(&running, &id), links(&running, "b")), (vec![], vec![tie("replaces", "a")]));
}

#[test]
fn a_merge_that_is_refused_undoes_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path());
    for id in ["a", "b"] {
        running.put(&patient(id)).expect("stored");
    }
    let entries = [
        put("b", "female"),
        call("merge", "Patient/a", &to("Patient/b")),
        call("merge", "Patient/b", &to("Patient/a")),
    ];
    let refused = transact(&running, &entries).expect_err("a circle");
    assert_eq!(refused.detail, Some("circle"));
    assert!(refused.expression[0].starts_with("Bundle.entry[2]"), "{refused}");
    for id in ["a", "b"] {
        let patient = running.patient(id);
        assert_eq!((&patient["meta"]["versionId"], &patient["gender"]), (&json!("1"), &Value::Null));
    }
    // What tells of the first merge is undone as well: so it is told the first time now.
    transact(&running, &[call("merge", "Patient/a", &to("Patient/b"))]).expect("merged");
    let told = running.read(ty::PROVENANCE, &pair_id("merge", "a", "b"));
    assert_eq!(told["meta"]["versionId"], "1");
}

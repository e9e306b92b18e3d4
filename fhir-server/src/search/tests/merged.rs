//! Searches for patients that were merged.

use std::sync::Arc;

use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::Fixture;
use crate::storage::stale_types;

fn patient(id: &str, replaced_by: Option<&str>) -> Value {
    let mut patient = json!({ "resourceType": "Patient", "id": id, "name": [{ "family": format!("Name{id}") }],
        "identifier": [{ "system": "urn:oid:1.2.3", "value": id }] });
    if let Some(other) = replaced_by {
        let link = json!([{ "other": { "reference": format!("Patient/{other}") }, "type": "replaced-by" }]);
        patient["link"] = link;
    }
    patient
}

fn observation(id: &str, of: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "urn:x", "code": "c" }] },
        "subject": { "reference": format!("Patient/{of}") } })
}

fn found(fixture: &Fixture, url: &str) -> Vec<String> {
    let mut ids = fixture.ids(url).unwrap_or_else(|why| panic!("{url}: {why}"));
    ids.sort();
    ids
}

fn learn(fixture: &Fixture) {
    let (store, search) = (&fixture.store, Arc::clone(&fixture.search));
    store.write_blocking(move |unit| search.merges().load(unit)).expect("learnt");
}

#[test]
fn patients_stored_before_are_indexed_anew() {
    for (patients, stale) in [(vec![], vec![]), (vec![patient("a", Some("b"))], vec![ty::PATIENT])] {
        let fixture = Fixture::new();
        fixture.put(&patients);
        // The second start finds what the first has noted.
        for _ in 0..2 {
            let search = Arc::clone(&fixture.search);
            fixture.store.write_blocking(move |unit| search.merges().start(unit)).expect("started");
            let told = stale_types(&mut fixture.store.reader().expect("a reader")).expect("told");
            assert_eq!(told.iter().map(|one| one.of).collect::<Vec<_>>(), stale);
        }
        assert_eq!(fixture.search.merges().is_empty(), patients.is_empty());
    }
}

#[test]
fn whoever_is_named_all_that_are_merged_are_meant() {
    let fixture = Fixture::new();
    let mut seealso = patient("e", None);
    seealso["link"] = json!([{ "other": { "reference": "Patient/c" }, "type": "seealso" }]);
    fixture.put(&[
        patient("a", Some("b")),
        patient("b", Some("c")),
        patient("c", None),
        patient("d", None),
        seealso,
        observation("oa", "a"),
        observation("ob", "b"),
        observation("oc", "c"),
        observation("od", "d"),
        observation("oe", "e"),
    ]);
    learn(&fixture);
    let all = ["oa", "ob", "oc"];
    for url in [
        "Observation?patient=c",
        "Observation?patient=Patient/b",
        "Observation?subject=Patient/a",
        "Observation?subject:Patient=c",
        "Observation?patient=c&code=urn:x|c",
        "Observation?patient=a&code=c&_sort=date",
        "Observation?patient.identifier=urn:oid:1.2.3|c",
        "Observation?patient.identifier=b",
        "Observation?subject:Patient.name=Namea",
        "Observation?patient.link.identifier=c&patient=a",
        "Observation?_filter=patient eq Patient/c",
        "Patient/c/Observation?code=c",
        "Patient/a/Observation",
    ] {
        assert_eq!(found(&fixture, url), all, "{url}");
    }
    for (url, expected) in [
        ("Observation?patient=d", &["od"][..]),
        ("Observation?patient.identifier=e", &["oe"]),
        ("Observation?subject:not=Patient/c", &["od", "oe"]),
        ("Observation?patient=c,d", &["oa", "ob", "oc", "od"]),
        ("Observation?patient.name=Named,Nameb", &["oa", "ob", "oc", "od"]),
        ("Observation?patient.name=Nobody", &[]),
        // Links between patients are what they are.
        ("Patient?link=Patient/c", &["b", "e"]),
        ("Patient?link.identifier=c", &["b", "e"]),
        ("Patient?identifier=a", &["a"]),
        ("Patient?_id=c", &["c"]),
        ("Patient/c/Patient", &["a", "b", "c", "e"]),
    ] {
        assert_eq!(found(&fixture, url), expected, "{url}");
    }
    // The merge is taken back.
    fixture.put(&[patient("b", None)]);
    learn(&fixture);
    assert_eq!(found(&fixture, "Observation?patient=c"), ["oc"]);
    assert_eq!(found(&fixture, "Observation?patient.identifier=a"), ["oa", "ob"]);
    fixture.delete(ty::PATIENT, "a");
    learn(&fixture);
    assert!(fixture.search.merges().is_empty());
}

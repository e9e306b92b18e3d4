//! Records are tied as soon as they are stored, and as long as they say so.

use std::path::Path;
use std::sync::Arc;

use fhir_model::interaction::{BundleRequest, Handling, Interaction};
use fhir_model::schema::ty;
use ihe_adapters::pix::domains::{Domain, Domains, Kind};
use serde_json::{Value, json};

use super::asking::{of, pair};
use crate::identity::{Index, Matcher};
use crate::interaction::tests::running::{Running, tree};
use crate::metrics::Numbers;

const CF: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
const ANA: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.15";
const SOURCES: [&str; 2] = ["1.2.3", "1.2.4"];
const ROSSI: &str = "RSSMRA70A41D969B";

/// The domains of two sources.
pub(super) fn domains() -> Domains {
    let domain = |oid: &str| {
        let (name, uri, aliases, sources) = Default::default();
        Domain { name, oid: oid.to_owned(), uri, aliases, kind: Kind::Local, sources }
    };
    Domains::new(SOURCES.iter().map(|oid| domain(oid)).collect()).expect("domains")
}

/// A server that links records of these sources.
pub(super) fn running(folder: &Path) -> Running {
    Running::start(folder).with_index(Index::new(Arc::new(domains()), Matcher::default()))
}

/// A record of a source, with identifiers of the person.
fn record(id: &str, source: &str, of_person: &[(&str, &str)]) -> Value {
    let mut identifiers = vec![json!({ "system": format!("urn:oid:{source}"), "value": id })];
    identifiers.extend(of_person.iter().map(|(system, value)| json!({ "system": system, "value": value })));
    json!({ "resourceType": "Patient", "id": id, "identifier": identifiers })
}

/// To whom a record is tied: who made each tie, and to whom.
fn ties(running: &Running, id: &str) -> Vec<(String, String)> {
    let patient = running.patient(id);
    let links = patient["link"].as_array().cloned().unwrap_or_default();
    let tie = |link: &Value| {
        let origin =
            link["extension"][0]["extension"][0]["valueCode"].as_str().unwrap_or_default().to_owned();
        (origin, link["other"]["reference"].as_str().unwrap_or_default().to_owned())
    };
    let mut ties: Vec<(String, String)> = links.iter().map(tie).collect();
    ties.sort();
    ties
}

fn automatic(ids: &[&str]) -> Vec<(String, String)> {
    ids.iter().map(|id| ("automatic".to_owned(), format!("Patient/{id}"))).collect()
}

fn number(running: &Running, named: &str) -> f64 {
    let numbers = running.server.numbers();
    numbers.iter().find(|number| number.name == named).expect("a number").value
}

#[test]
fn records_with_the_same_identifier_of_a_person_are_tied_while_they_have_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", SOURCES[0], &[(CF, ROSSI)])).expect("stored");
    assert!(ties(&running, "a").is_empty());
    // In another form of writing, and by another name of the domain.
    let small = [("http://hl7.it/sid/codiceFiscale", ROSSI)];
    running.put(&record("b", SOURCES[1], &small)).expect("stored");
    running.put(&record("c", SOURCES[1], &[(CF, ROSSI)])).expect("stored");
    for (id, others) in [("a", ["b", "c"]), ("b", ["a", "c"]), ("c", ["a", "b"])] {
        assert_eq!(ties(&running, id), automatic(&others), "{id}");
    }
    // Corrected, it is somebody else's, and so are its ties.
    running.put(&record("b", SOURCES[1], &[(CF, "BNCLRD80A01D969H")])).expect("stored");
    assert!(ties(&running, "b").is_empty());
    assert_eq!((ties(&running, "a"), ties(&running, "c")), (automatic(&["c"]), automatic(&["a"])));
    // So they are when it says nothing any more.
    running.put(&record("b", SOURCES[1], &[(CF, ROSSI)])).expect("stored");
    assert_eq!(ties(&running, "b"), automatic(&["a", "c"]));
    running.put(&record("b", SOURCES[1], &[])).expect("stored");
    assert_eq!((ties(&running, "a"), ties(&running, "c")), (automatic(&["c"]), automatic(&["a"])));
    // Who is deleted is tied to nobody.
    running.delete(ty::PATIENT, "c");
    assert!(ties(&running, "a").is_empty());
    // What is not in use any more says nothing.
    let mut old = record("d", SOURCES[0], &[(CF, ROSSI)]);
    old["identifier"][1]["use"] = json!("old");
    running.put(&old).expect("stored");
    assert!(ties(&running, "a").is_empty());
}

#[test]
fn who_takes_no_part_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    let cf = json!([{ "system": CF, "value": ROSSI }]);
    for id in ["x", "y"] {
        running.put(&json!({ "resourceType": "Patient", "id": id, "identifier": cf })).expect("stored");
    }
    running.put(&record("z", "1.2.99", &[(CF, ROSSI)])).expect("stored");
    assert_eq!(number(&running, "lanterna_identity_examined_total"), 0.0);
    // Homonyms born the same day, and nothing else, are looked at and not tied.
    for (id, source) in [("h1", SOURCES[0]), ("h2", SOURCES[1])] {
        let mut homonym = record(id, source, &[]);
        homonym["name"] = json!([{ "family": "Rossi", "given": ["Maria"] }]);
        homonym["birthDate"] = json!("1970-01-01");
        running.put(&homonym).expect("stored");
    }
    for id in ["x", "y", "z", "h1", "h2"] {
        assert_eq!(running.patient(id)["meta"]["versionId"], "1", "{id}");
    }
    assert_eq!(number(&running, "lanterna_identity_links_made_total"), 0.0);
    // And who takes part is not tied to them.
    running.put(&record("a", SOURCES[0], &[(CF, ROSSI)])).expect("stored");
    assert_eq!(running.patient("a")["meta"]["versionId"], "1");
}

#[test]
fn contrary_identifiers_are_for_somebody_to_look_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", SOURCES[0], &[(CF, ROSSI), (ANA, "1001")])).expect("stored");
    running.put(&record("b", SOURCES[1], &[(CF, ROSSI), (ANA, "1002")])).expect("stored");
    assert!(ties(&running, "a").is_empty() && ties(&running, "b").is_empty());
    let task = running.read(ty::TASK, &crate::identity::review::pair_id("link", "a", "b"));
    assert_eq!(
        (&task["status"], &task["code"]["coding"][0]["code"]),
        (&json!("requested"), &json!("link-review"))
    );
    // What was to be decided is so no more.
    running.put(&record("b", SOURCES[1], &[(CF, ROSSI)])).expect("stored");
    assert_eq!(ties(&running, "a"), automatic(&["b"]));
    let task = running.read(ty::TASK, &crate::identity::review::pair_id("link", "a", "b"));
    assert_eq!(task["status"], "cancelled");
}

#[test]
fn a_merge_keeps_what_was_tied_and_ties_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", SOURCES[0], &[(CF, ROSSI)])).expect("stored");
    running.put(&record("b", SOURCES[1], &[(CF, ROSSI)])).expect("stored");
    running.put(&record("t", SOURCES[0], &[])).expect("stored");
    running.call("merge", &pair("a", "t")).expect("merged");
    assert!(ties(&running, "a").contains(&("automatic".to_owned(), "Patient/b".to_owned())));
    // Whoever comes later with what only the subsumed one says is not tied to it.
    running.put(&record("c", SOURCES[0], &[(CF, ROSSI)])).expect("stored");
    assert_eq!(ties(&running, "c"), automatic(&["b"]));
    running.call("unmerge", &[("source-patient", of("a"))]).expect("taken back");
    assert_eq!(ties(&running, "a"), automatic(&["b", "c"]));
}

#[test]
fn what_a_client_or_nobody_knows_of_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", SOURCES[0], &[])).expect("stored");
    let mut b = record("b", SOURCES[1], &[(CF, ROSSI)]);
    b["link"] = json!([{ "other": { "reference": "Patient/a" }, "type": "seealso" }]);
    running.put(&b).expect("stored");
    assert_eq!(ties(&running, "b"), [(String::new(), "Patient/a".to_owned())]);
}

#[test]
fn what_was_stored_before_is_tied_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let without = Running::start(folder.path());
    let entries: Vec<Value> = [("a", SOURCES[0]), ("b", SOURCES[1])]
        .iter()
        .map(|(id, source)| {
            let request = json!({ "method": "PUT", "url": format!("Patient/{id}") });
            json!({ "resource": record(id, source, &[(CF, ROSSI)]), "request": request })
        })
        .collect();
    let bundle = tree(&json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }));
    let request = BundleRequest { bundle, handling: Handling::Strict, contents: Vec::new() };
    without.perform(Interaction::Bundle(request)).expect("stored");
    drop(without);
    let after = running(folder.path());
    // Whoever writes waits for what came before, too.
    after.put(&record("c", SOURCES[0], &[(CF, "BNCLRD80A01D969H")])).expect("stored");
    assert_eq!(ties(&after, "a"), automatic(&["b"]));
    assert_eq!(number(&after, "lanterna_identity_behind_seconds"), 0.0);
    drop(after);
    // Nothing is left to look at, and nothing is written anew.
    let again = running(folder.path());
    again.put(&record("d", SOURCES[0], &[(CF, "VRDLGU80A01D969V")])).expect("stored");
    assert_eq!(ties(&again, "a"), automatic(&["b"]));
    assert_eq!(number(&again, "lanterna_identity_links_made_total"), 0.0);
}

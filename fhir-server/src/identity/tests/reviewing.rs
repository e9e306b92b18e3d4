//! What somebody is asked says what agrees, as it is now, and is decided as it was shown.

use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::linking::running;
use crate::identity::review::pair_id;
use crate::interaction::tests::running::Running;

/// A record of whom names and day of birth are known, and where she lives.
fn record(id: &str, source: &str, street: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id,
        "identifier": [{ "system": format!("urn:oid:{source}"), "value": id }],
        "name": [{ "family": "Zunino", "given": ["Maria"] }], "gender": "female", "birthDate": "1970-02-03",
        "address": [{ "line": [street], "city": "Genova" }] })
}

fn asked(running: &Running) -> Value {
    running.read(ty::TASK, &pair_id("link", "a", "b"))
}

/// Returns what is said of a field, and whether it says what that weighs.
fn said(task: &Value, field: &str) -> Option<(String, bool)> {
    let input = task["input"].as_array()?.iter().find(|input| input["type"]["text"] == field)?;
    let weight = &input["extension"][0];
    let weighs = weight["url"] == "urn:lanterna:identity:weight" && weight["valueDecimal"].is_number();
    Some((input["valueString"].as_str()?.to_owned(), weighs))
}

#[test]
fn what_is_asked_says_what_agrees_as_it_is_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", "1.2.3", "Via Roma 1")).expect("stored");
    running.put(&record("b", "1.2.4", "Via Balbi 2")).expect("stored");
    let task = asked(&running);
    for (field, level) in [("family", "exact"), ("given", "exact"), ("birth", "exact"), ("address", "part")] {
        assert_eq!(said(&task, field), Some((level.to_owned(), true)), "{field}");
    }
    assert_eq!(said(&task, "fiscal"), None);
    let remark = task["input"].as_array().and_then(|inputs| inputs.last()).expect("a remark");
    assert_eq!(
        (&remark["type"]["text"], &remark["type"]["coding"][0]["code"]),
        (&json!("remark"), &json!("homonyms"))
    );
    // What says nothing else is told once.
    let mut same = record("b", "1.2.4", "Via Balbi 2");
    same["active"] = json!(true);
    running.put(&same).expect("stored");
    assert_eq!(asked(&running)["meta"]["versionId"], "1");
    // A slip in the name is seen by who looks at it later, and it is the same question.
    same["name"][0]["given"] = json!(["Mria"]);
    running.put(&same).expect("stored");
    let task = asked(&running);
    assert_eq!((&task["meta"]["versionId"], &task["status"]), (&json!("2"), &json!("requested")));
    assert_eq!(said(&task, "given"), Some(("close".to_owned(), true)));
}

#[test]
fn a_decision_is_about_what_was_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = running(folder.path());
    running.put(&record("a", "1.2.3", "Via Roma 1")).expect("stored");
    running.put(&record("b", "1.2.4", "Via Balbi 2")).expect("stored");
    let task = pair_id("link", "a", "b");
    let shown =
        |of: &str, id: &str, version: u32| json!({ "reference": format!("{of}/{id}/_history/{version}") });
    let decision = |a: u32, b: u32, of_task: u32, is_same: bool| {
        vec![
            ("patient", shown("Patient", "a", a)),
            ("other", shown("Patient", "b", b)),
            ("task", shown("Task", &task, of_task)),
            ("same", json!(is_same)),
        ]
    };
    let moved = record("b", "1.2.4", "Via Garibaldi 3");
    running.put(&moved).expect("stored");
    assert_eq!(running.refused("link", &decision(1, 1, 1, true)), (409, Some("changed")));
    assert!(running.call("link", &decision(1, 2, 1, false)).is_ok());
    // Somebody else has decided since: the Task is another.
    assert_eq!(running.refused("link", &decision(1, 2, 1, true)), (409, Some("changed")));
    assert!(running.call("link", &decision(1, 2, 2, true)).is_ok());
    // Who names another Task, and who names no version.
    let mut other = decision(2, 3, 3, true);
    other[2].1 = json!({ "reference": "Task/link-of-others" });
    assert_eq!(running.refused("link", &other).0, 400);
    let plain =
        [("patient", super::asking::of("a")), ("other", super::asking::of("b")), ("same", json!(false))];
    assert!(running.call("link", &plain).is_ok());
}

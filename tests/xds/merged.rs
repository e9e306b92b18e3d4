//! Patients are merged by FHIR: every door tells of the one who is left what
//! is registered of all, and of the others nothing more.
//!
//! Spec: ITI TF-2 3.8.4.2.4

use serde_json::{Value, json};

use super::peer::*;

/// Makes a patient known, or says by whom he is replaced.
pub(super) fn patient(peer: &Peer, number: usize, replaced_by: Option<usize>) {
    let mut patient = json!({ "resourceType": "Patient", "id": format!("p{number}"), "active": replaced_by.is_none(),
        "identifier": [{ "system": "urn:oid:1.2.3", "value": format!("P{number}") }] });
    if let Some(other) = replaced_by {
        let link = json!([{ "other": { "reference": format!("Patient/p{other}") }, "type": "replaced-by" }]);
        patient["link"] = link;
    }
    let path = format!("Patient/p{number}");
    let status = peer.fhir.json("PUT", &path, &[], &patient).expect("an answer").status;
    assert!([200, 201].contains(&status), "{status}");
}

/// A submission as it is for the first patient, for another.
pub(super) fn of_patient(body: &str, number: usize) -> String {
    body.replace("P1^^^", &format!("P{number}^^^"))
}

/// A document in a folder of a patient, by ITI-41.
fn submitted(number: usize) -> String {
    let objects =
        [document("d", &format!("1.6.{number}.1"), ""), folder("f", &format!("1.6.{number}.2"))].concat();
    let objects = objects + &association(HAS_MEMBER, "f", "d") + &members(&["d", "f", "as-f-d"]);
    of_patient(&provide(&submit(&format!("1.6.{number}.3"), &objects), &[("d", "x")]), number)
}

/// What the queries about a patient find, as references or whole.
fn asked(peer: &Peer, number: usize) -> [String; 4] {
    let patient = format!("'P{number}^^^&amp;1.2.3&amp;ISO'");
    let statuses = format!("('{APPROVED}','{DEPRECATED}')");
    let of = |query: &str, named: &str, status: &[&str]| {
        let mut parameters = vec![(named, patient.as_str())];
        parameters.extend(status.iter().map(|name| (*name, statuses.as_str())));
        peer.query(query, "LeafClass", &parameters)
    };
    let all = ["$XDSDocumentEntryStatus", "$XDSSubmissionSetStatus", "$XDSFolderStatus"];
    [
        of(FIND_DOCUMENTS, "$XDSDocumentEntryPatientId", &all[..1]),
        of(FIND_SUBMISSION_SETS, "$XDSSubmissionSetPatientId", &all[1..2]),
        of(FIND_FOLDERS, "$XDSFolderPatientId", &all[2..]),
        of(GET_ALL, "$patientId", &all),
    ]
}

fn counts(answers: &[String; 4]) -> [usize; 4] {
    let count = |at: usize| {
        let answer = &answers[at];
        assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
        answer.matches("<rim:ExtrinsicObject ").count() + answer.matches("<rim:RegistryPackage ").count()
    };
    [0, 1, 2, 3].map(count)
}

/// The first and the second of four patients were merged into the third.
fn check_third(peer: &Peer) {
    let answers = asked(peer, 3);
    assert_eq!(counts(&answers), [3, 3, 3, 9]);
    // Of whom it is is told as who is left; who sent it stays.
    for answer in &answers {
        assert!(answer.contains("P3^^^&amp;1.2.3&amp;ISO") && !answer.contains("P1^^^"), "{answer}");
    }
    assert!(answers[0].contains("S1^^^&amp;1.9&amp;ISO") && answers[0].contains("PID-5|Rossi^Maria"));
    for number in [1, 2] {
        assert_eq!(counts(&asked(peer, number)), [0; 4], "P{number}");
    }
    assert_eq!(counts(&asked(peer, 4)), [1, 1, 1, 3]);
    // By its id each is told the same of.
    let one = entry(peer, "1.6.1.1");
    assert!(one.contains("value=\"P3^^^&amp;1.2.3&amp;ISO\"") && !one.contains("P1^^^"), "{one}");
    for search in ["patient=p3", "subject=Patient/p3", "patient.identifier=urn:oid:1.2.3|P3"] {
        assert_eq!(peer.count(&format!("DocumentReference?{search}")), 3, "{search}");
        assert_eq!(peer.count(&format!("List?{search}&code=folder")), 3, "{search}");
    }
    assert_eq!(peer.count("Patient/p3/DocumentReference"), 3);
    // What is stored is as it was.
    let resource = peer.fhir.get("DocumentReference?identifier=urn:oid:1.6.1.1").json();
    assert_eq!(resource["entry"][0]["resource"]["subject"]["reference"], "Patient/p1", "{resource}");
}

#[test]
fn who_is_left_has_what_all_had() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, peer) = start(data.path());
    for number in 1..=4 {
        patient(&peer, number, None);
        let done = peer.provide(&submitted(number), &[("x", b"foo")]);
        assert!(done.contains("ResponseStatusType:Success"), "{done}");
    }
    assert_eq!(counts(&asked(&peer, 3)), [1, 1, 1, 3]);
    // In a chain, its first link said last.
    patient(&peer, 2, Some(3));
    patient(&peer, 1, Some(2));
    check_third(&peer);
    server.kill();
    let (_server, peer) = start(data.path());
    check_third(&peer);
    // It is taken back.
    patient(&peer, 2, None);
    assert_eq!(counts(&asked(&peer, 3)), [1, 1, 1, 3]);
    assert_eq!(counts(&asked(&peer, 2)), [2, 2, 2, 6]);
}

#[test]
fn a_patient_who_was_merged_is_not_known_any_more() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    for number in 1..=2 {
        patient(&peer, number, None);
    }
    assert!(peer.provide(&submitted(1), &[("x", b"foo")]).contains("ResponseStatusType:Success"));
    patient(&peer, 1, Some(2));
    let refused = peer.provide(&submitted(1), &[("x", b"foo")]);
    assert!(refused.contains("XDSUnknownPatientId"), "{refused}");

    // What is of one can be replaced, appended to and put together as what is of the other.
    let old = entry_uuid(&peer, "1.6.1.1");
    let folders = peer.query(GET_FOLDERS, "ObjectRef", &[("$XDSFolderUniqueId", "('1.6.1.2')")]);
    let of_old = between(&folders, "<rim:ObjectRef id=\"", "\"").to_owned();
    let objects = [document("n", "1.6.2.1", ""), members(&["n"]), association(REPLACES, "n", &old)].concat();
    let body = provide(&submit("1.6.2.3", &objects), &[("n", "x")]);
    let done = peer.provide(&of_patient(&body, 2), &[("x", b"bar")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert_eq!(peer.count("DocumentReference?patient=p2&status=current"), 1);
    assert_eq!(peer.count("DocumentReference?patient=p2&status=superseded"), 1);
    let contents =
        peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &[("$XDSFolderEntryUUID", &format!("'{of_old}'"))]);
    assert!(contents.contains("1.6.2.1") && !contents.contains("P1^^^"), "{contents}");
    // Of somebody else it cannot.
    patient(&peer, 4, None);
    let new = entry_uuid(&peer, "1.6.2.1");
    let objects = [document("o", "1.6.4.1", ""), members(&["o"]), association(REPLACES, "o", &new)].concat();
    let body = provide(&submit("1.6.4.3", &objects), &[("o", "x")]);
    let refused = peer.provide(&of_patient(&body, 4), &[("x", b"bar")]);
    assert!(refused.contains("XDSPatientIdDoesNotMatch"), "{refused}");
}

#[test]
fn merges_in_a_circle_end() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    for number in 1..=2 {
        patient(&peer, number, None);
        assert!(peer.provide(&submitted(number), &[("x", b"foo")]).contains("ResponseStatusType:Success"));
    }
    patient(&peer, 1, Some(2));
    patient(&peer, 2, Some(1));
    for number in 1..=2 {
        assert_eq!(counts(&asked(&peer, number)), [0; 4]);
        assert_eq!(peer.count(&format!("DocumentReference?patient=p{number}")), 2);
        assert!(entry(&peer, &format!("1.6.{number}.1")).contains("ResponseStatusType:Success"));
    }
    // It is opened: one is left.
    patient(&peer, 2, None);
    assert_eq!(counts(&asked(&peer, 2)), [2, 2, 2, 6]);
    let one: Value = peer.fhir.get("Patient/p1").json();
    assert_eq!(one["link"][0]["type"], "replaced-by", "{one}");
}

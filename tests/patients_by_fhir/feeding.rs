//! ITI-104: a source tells of its records.

use serde_json::json;

use super::*;

#[test]
fn a_record_is_what_its_source_told_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    // By the OID of the domain, and a codice fiscale by its URI.
    let mut told = patient(&[(HZLN_OID, "1"), (CF_URI, "MHRLCA58A70F205X")], "ALISSA");
    told["meta"] = json!({ "tag": [{ "system": "urn:x", "code": "fed" }] });
    let created = feed(&client, &told);
    assert_eq!(created.status, 201, "{}", created.json());
    let id = created.id();
    assert!(
        created.header("location").is_some_and(|place| place.contains(&format!("/Patient/{id}/_history/1")))
    );
    assert_eq!(created.header("etag"), Some("W/\"1\""));
    let systems = |patient: &Value| [0, 1].map(|at| patient["identifier"][at]["system"].clone());
    assert_eq!(systems(&created.json()), [json!(HZLN), json!(CF)]);

    let other = fed(&client, &patient(&[(PKLN, "9")], "ALICE"));
    tie(&client, &id, &other);
    // By the URI it is the same record. What is not told is not so, but for what the index says.
    let mut told = patient(&[(HZLN, "1")], "ALICE");
    told["link"] = json!([{ "type": "seealso", "other": { "reference": "RelatedPerson/r" } }]);
    let revised = feed(&client, &told);
    assert_eq!((revised.status, revised.id()), (200, id.clone()));
    let stored = revised.json();
    assert_eq!(
        (&stored["name"][0]["family"], stored["identifier"].as_array().map(Vec::len)),
        (&json!("ALICE"), Some(1))
    );
    let links: Vec<&Value> = (0..2).map(|at| &stored["link"][at]["other"]["reference"]).collect();
    assert_eq!(links, [&json!(format!("Patient/{other}")), &json!("RelatedPerson/r")], "{stored}");
    assert_eq!(stored["meta"]["tag"][0]["code"], "fed", "{stored}");

    // In XML as well.
    let xml = "<Patient xmlns='http://hl7.org/fhir'><identifier><system value='urn:oid:1.2.3.1'/><value value='1'/>\
               </identifier><name><family value='MOHR'/></name></Patient>";
    let headers = [("content-type", "application/fhir+xml"), ("accept", "application/fhir+xml")];
    let answer = client.send("PUT", &place(HZLN_OID, "1"), &headers, xml.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("<family value=\"MOHR\"/>"));
    assert_eq!(found(&client, "Patient?family=mohr"), [id]);
}

#[test]
fn what_is_no_feed_of_a_record_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let id = fed(&client, &patient(&[(HZLN, "1")], "ROSSI"));
    let put = |at: &str, body: &Value| client.json("PUT", at, &[], body).expect("an answer");

    let without = told(&put(&place(HZLN, "2"), &patient(&[(PKLN, "2")], "ROSSI")));
    assert_eq!((without.0, without.1.as_str(), without.3.as_str()), (422, "invariant", "Patient.identifier"));
    let mut other_id = patient(&[(HZLN, "1")], "ROSSI");
    other_id["id"] = json!("another");
    let refused = told(&put(&place(HZLN, "1"), &other_id));
    assert_eq!((refused.0, refused.3.as_str()), (400, "Patient.id"));

    // An unknown domain: a source that says to be one is told; else it is FHIR and no more.
    let mut unknown = patient(&[("urn:oid:9.9", "1")], "VERDI");
    unknown["meta"] =
        json!({ "profile": ["https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient"] });
    let refused = told(&put(&place("urn:oid:9.9", "1"), &unknown));
    assert_eq!((refused.0, refused.1.as_str()), (422, "code-invalid"));
    unknown.as_object_mut().expect("an object").remove("meta");
    assert_eq!(put(&place("urn:oid:9.9", "1"), &unknown).status, 201);
    assert_eq!(told(&ask(&client, "urn:oid:9.9|1", &[])).1, "code-invalid");

    // Two have it: nobody is meant.
    client.create(&patient(&[(HZLN, "1")], "BIANCHI"));
    assert_eq!(feed(&client, &patient(&[(HZLN, "1")], "ROSSI")).status, 412);
    // He may be tied to the other, and is what he was.
    assert_eq!(client.get(&format!("Patient/{id}")).json()["name"][0]["family"], "ROSSI");
}

#[test]
fn a_record_that_is_removed_is_not_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let one = fed(&client, &patient(&[(HZLN, "1")], "ROSSI"));
    let other = fed(&client, &patient(&[(PKLN, "9")], "ROSSI"));
    tie(&client, &one, &other);
    let remove = |at: &str| client.send("DELETE", at, &[], &[]).expect("an answer").status;
    assert_eq!(remove(&place(HZLN_OID, "1")), 204);
    assert_eq!(client.get(&format!("Patient/{one}")).status, 410);
    assert_eq!(ask(&client, &format!("{HZLN}|1"), &[]).status, 404);
    assert_eq!(
        corresponding(&ask(&client, &format!("{PKLN}|9"), &[])),
        (vec![], vec![format!("Patient/{other}")])
    );
    // What is not there is gone already.
    assert_eq!(remove(&place(HZLN, "1")), 204);
}

#[test]
fn feeds_are_recorded_with_what_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let id = fed(&client, &patient(&[(HZLN, "1")], "ROSSI"));
    fed(&client, &patient(&[(HZLN, "1")], "BIANCHI"));
    assert_eq!(client.send("DELETE", &place(HZLN, "1"), &[], &[]).expect("an answer").status, 204);
    client.json("PUT", &place(HZLN, "2"), &[], &patient(&[(PKLN, "2")], "X")).expect("an answer");
    let place = json!(format!("Patient/{id}"));
    let all = events(&client, "ITI-104");
    let seen: Vec<(&str, &str, &str)> = all
        .iter()
        .map(|event| {
            let text = |value: &'static str| event.pointer(value).and_then(Value::as_str).unwrap_or_default();
            (text("/subtype/0/code"), text("/action"), text("/outcome"))
        })
        .collect();
    assert_eq!(
        seen,
        [("create", "C", "0"), ("update", "U", "0"), ("delete", "D", "0"), ("update", "U", "4")]
    );
    for event in &all[..3] {
        let of_patient = &event["entity"][0];
        assert_eq!(of_patient["what"]["identifier"], json!({ "system": HZLN, "value": "1" }), "{event}");
        assert_eq!((&of_patient["what"]["reference"], &of_patient["role"]["code"]), (&place, &json!("1")));
        assert_eq!(
            (&event["entity"][1]["what"]["reference"], &event["type"]["code"]),
            (&place, &json!("rest"))
        );
    }
    assert!(all[3]["outcomeDesc"].as_str().is_some_and(|why| why.contains("criteria")), "{}", all[3]);
}

//! ITI-78: a search for Patients, and what it says of domains.

use serde_json::json;

use super::*;

fn fed_two(client: &Client) -> [String; 2] {
    let mut first = patient(&[(HZLN, "1"), (PKLN, "2"), (CF, "RSSMRA58A70D969X")], "ROSSI");
    first["extension"] = json!([{ "url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName",
                                  "valueString": "Bruzzone" }]);
    [fed(client, &first), fed(client, &patient(&[(HZLN, "3")], "ROSSINI"))]
}

#[test]
fn patients_are_shown_with_the_identifiers_of_the_domains_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let [one, other] = fed_two(&client);
    let shown = |search: &str| {
        let bundle = client.get(search).json();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let told = |entry: &Value| {
            let resource = &entry["resource"];
            let identifiers = resource["identifier"].as_array().into_iter().flatten();
            let values: Vec<String> =
                identifiers.map(|of| of["value"].as_str().unwrap_or_default().to_owned()).collect();
            (
                resource["id"].as_str().unwrap_or_default().to_owned(),
                values,
                resource["meta"]["tag"][0]["code"] == "SUBSETTED",
            )
        };
        let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
        (matches.map(told).collect::<Vec<_>>(), bundle["total"].clone())
    };
    let all = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    let (patients, _) = shown(&format!("Patient?family=rossi&identifier={PKLN}%7C"));
    assert_eq!(patients, [(one.clone(), all(&["2"]), true)]);
    // By the OID what is stored by the URI; one or the other domain.
    let (patients, _) = shown(&format!("Patient?family:exact=ROSSI&identifier={HZLN_OID}%7C,{PKLN}%7C"));
    assert_eq!(patients, [(one.clone(), all(&["1", "2"]), true)]);
    let (patients, _) = shown(&format!("Patient?identifier={HZLN_OID}%7C&_sort=family"));
    assert_eq!(patients, [(one.clone(), all(&["1"]), true), (other, all(&["3"]), false)]);
    // An identifier is no restriction, and found by each name of its domain.
    for system in [CF, CF_URI] {
        let (patients, _) = shown(&format!("Patient?identifier={system}%7CRSSMRA58A70D969X"));
        assert_eq!(patients, [(one.clone(), all(&["1", "2", "RSSMRA58A70D969X"]), false)]);
    }
    // By POST as well.
    let form = format!("family=rossi&identifier={PKLN}%7C");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = client.send("POST", "Patient/_search", &headers, form.as_bytes()).expect("an answer").json();
    assert_eq!(answer["entry"][0]["resource"]["identifier"].as_array().map(Vec::len), Some(1));
    // What is stored is whole.
    assert_eq!(client.get(&format!("Patient/{one}")).json()["identifier"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_domain_that_is_not_known_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let [one, _] = fed_two(&client);
    for (search, matches) in [
        ("Patient?identifier=urn:oid:9.9%7C".to_owned(), vec![]),
        (format!("Patient?identifier=urn:oid:9.9%7C,{PKLN}%7C"), vec![one]),
    ] {
        let bundle = client.get(&search).json();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let outcome = entries.iter().find(|entry| entry["search"]["mode"] == "outcome").expect("an outcome");
        let issue = &outcome["resource"]["issue"][0];
        assert_eq!(
            (&issue["severity"], &issue["code"], &issue["diagnostics"]),
            (&json!("warning"), &json!("not-found"), &json!("targetSystem not found"))
        );
        assert_eq!(found(&client, &search), matches);
    }
}

#[test]
fn what_pdqm_searches_by_is_searched_by() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let [one, other] = fed_two(&client);
    for (search, expected) in [
        ("Patient?mothersMaidenName=bruzzone", vec![&one]),
        ("Patient?mothersMaidenName:exact=bruzzone", vec![]),
        ("Patient?mothersMaidenName:exact=Bruzzone", vec![&one]),
        ("Patient?family=rossi&gender=female&_sort=family", vec![&one, &other]),
        ("Patient?family:exact=ROSSI&birthdate=1958-01-30", vec![&one]),
        ("Patient?family=nobody&active=true", vec![]),
    ] {
        let ids = found(&client, search);
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{search}");
        let bundle = client.get(search).json();
        assert_eq!(bundle["total"], json!(expected.len()), "{search}");
    }
}

#[test]
fn searches_are_recorded_where_everything_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), &format!("{DOMAINS}\n[audit]\nfhir = \"all\"\n"));
    let [one, _] = fed_two(&client);
    client.get("Patient?family:exact=ROSSI");
    let all = events(&client, "ITI-78");
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&all[0]["subtype"][0]["code"], &all[0]["action"]), (&json!("search"), &json!("E")));
    assert_eq!(all[0]["entity"][0]["what"]["reference"], json!(format!("Patient/{one}")));
    // A feed is told of once, as what it is.
    assert_eq!(events(&client, "ITI-104").len(), 2);
    assert!(found(&client, "AuditEvent?subtype=update").is_empty());
}

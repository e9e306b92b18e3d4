//! ITI-83: `Patient/$ihe-pix`.

use serde_json::json;

use super::*;

/// A person of three records, by two sources; returns their ids.
fn person(client: &Client) -> [String; 3] {
    let one = fed(client, &patient(&[(HZLN, "79471"), (CF, "MLLHNS40A01Z112X")], "MUELLER"));
    let other = fed(client, &patient(&[(PKLN, "78912"), (CF, "MLLHNS40A01Z112X")], "MUELLER"));
    let third = fed(client, &patient(&[(PKLN, "78913")], "MUELLER"));
    tie(client, &one, &other);
    tie(client, &other, &third);
    [one, other, third]
}

#[test]
fn who_is_known_by_one_identifier_is_told_by_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, client) = start(folder.path(), DOMAINS);
    let ids = person(&client);
    let places = |which: &[usize]| {
        let mut places: Vec<String> = which.iter().map(|at| format!("Patient/{}", ids[*at])).collect();
        places.sort();
        places
    };
    let base = format!("{}/fhir", server.origin());
    let cf = format!("{CF}|MLLHNS40A01Z112X");
    let (hzln, pkln) = (format!("{HZLN}|79471"), [format!("{PKLN}|78912"), format!("{PKLN}|78913")]);
    let [first, second] = pkln.clone();
    let all = (vec![cf.clone(), first.clone(), second.clone()], places(&[0, 1, 2]));
    let of_source = |source: &str, targets: &[&str]| corresponding(&ask(&client, source, targets));
    // The domain by its URI or its OID.
    let mut expected = all.clone();
    expected.0.sort();
    assert_eq!(of_source(&hzln, &[]), expected);
    assert_eq!(of_source(&format!("{HZLN_OID}|79471"), &[]), expected);
    assert_eq!(of_source(&hzln, &[PKLN]), (pkln.to_vec(), places(&[1, 2])));
    assert_eq!(of_source(&first, &[HZLN_OID]), (vec![hzln.clone()], places(&[0])));
    assert_eq!(of_source(&first, &[CF_URI]), (vec![cf.clone()], places(&[0, 1])));
    // Known, and nobody has one: nothing, and no failure.
    assert_eq!(of_source(&hzln, &["urn:oid:1.2.3.4.5.6"]), (vec![], vec![]));
    // The ids of this server are a domain as well.
    assert_eq!(of_source(&hzln, &[&base]), (vec![], places(&[0, 1, 2])));
    let by_place = format!("{base}|Patient/{}", ids[0]);
    assert_eq!(of_source(&by_place, &[PKLN, &base]), (pkln.to_vec(), places(&[1, 2])));
    // By POST as by GET, and in XML.
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueString": hzln }, { "name": "targetSystem", "valueUri": PKLN } ] });
    let answer = client.json("POST", "Patient/$ihe-pix", &[], &parameters).expect("an answer");
    assert_eq!(corresponding(&answer), (pkln.to_vec(), places(&[1, 2])));
    let xml = client.get(&format!("Patient/$ihe-pix?sourceIdentifier={}%7C79471&_format=xml", HZLN));
    assert!(String::from_utf8_lossy(&xml.body).contains("<value value=\"78912\"/>"));
}

#[test]
fn what_cannot_be_answered_is_told_as_the_transaction_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    person(&client);
    let known = format!("{HZLN}|79471");
    let refused = |source: &str, targets: &[&str]| told(&ask(&client, source, targets));
    let not_found = (404, "not-found", "sourceIdentifier Patient Identifier not found");
    let unknown = (400, "code-invalid", "sourceIdentifier Assigning Authority not found");
    let target = (403, "code-invalid", "targetSystem not found");
    for (source, targets, expected) in [
        (format!("{HZLN}|nobody"), vec![], not_found),
        ("urn:oid:1.2.9|79471".to_owned(), vec![], unknown),
        ("79471".to_owned(), vec![], unknown),
        (known.clone(), vec!["urn:oid:1.2.9"], target),
        (known.clone(), vec![PKLN, "urn:oid:1.2.9"], target),
        ("urn:oid:1.2.9|79471".to_owned(), vec!["urn:oid:1.2.9"], unknown),
        (format!("{HZLN}|nobody"), vec!["urn:oid:1.2.9"], target),
    ] {
        let (status, code, text, _) = refused(&source, &targets);
        assert_eq!((status, code.as_str(), text.as_str()), expected, "{source} {targets:?}");
    }
    for path in [
        "Patient/$ihe-pix".to_owned(),
        format!("Patient/$ihe-pix?sourceIdentifier={HZLN}%7C"),
        format!("Patient/$ihe-pix?sourceIdentifier={HZLN}%7C1&sourceIdentifier={HZLN}%7C2"),
        format!("Patient/$ihe-pix?sourceIdentifier={HZLN}%7C79471&targetSystems={PKLN}"),
    ] {
        assert_eq!(client.get(&path).status, 400, "{path}");
    }
    // Elsewhere there is no such operation.
    assert_eq!(client.get("Observation/$ihe-pix?sourceIdentifier=a%7Cb").status, 400);
}

#[test]
fn where_no_domains_are_listed_those_are_known_that_somebody_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), "");
    fed(&client, &patient(&[("urn:oid:1.7", "1"), ("urn:oid:1.8", "2")], "ROSSI"));
    let (identifiers, _) = corresponding(&ask(&client, "urn:oid:1.7|1", &[]));
    assert_eq!(identifiers, ["urn:oid:1.8|2"]);
    assert_eq!(told(&ask(&client, "urn:oid:1.9|1", &[])).0, 400);
    assert_eq!(told(&ask(&client, "urn:oid:1.7|2", &[])).0, 404);
    assert_eq!(told(&ask(&client, "urn:oid:1.7|1", &["urn:oid:1.9"])).0, 403);
}

#[test]
fn the_question_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    person(&client);
    ask(&client, &format!("{HZLN}|79471"), &[PKLN]);
    ask(&client, &format!("{HZLN}|nobody"), &[]);
    let all = events(&client, "ITI-83");
    assert_eq!(all.len(), 2);
    for (event, (value, outcome)) in all.iter().zip([("79471", "0"), ("nobody", "4")]) {
        assert_eq!((&event["action"], &event["outcome"]), (&json!("E"), &json!(outcome)));
        assert_eq!(
            (&event["subtype"][0]["code"], &event["type"]["code"]),
            (&json!("search"), &json!("rest"))
        );
        assert_eq!(event["entity"][0]["what"]["identifier"], json!({ "system": HZLN, "value": value }));
        assert!(event["entity"][1]["query"].is_string(), "{event}");
    }
}

#[test]
fn what_is_here_stands_in_the_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), "");
    let statement = client.get("metadata").json();
    let text = statement.to_string();
    for url in [
        "https://profiles.ihe.net/ITI/PIXm/CapabilityStatement/IHE.PIXm.Manager",
        "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
        "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
        "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
        "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition",
        "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName",
    ] {
        assert!(text.contains(url), "{url}");
    }
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let of_patient = resources.iter().find(|of| of["type"] == "Patient").expect("Patient");
    assert_eq!(
        (&of_patient["conditionalUpdate"], &of_patient["conditionalDelete"]),
        (&json!(true), &json!("single"))
    );
    let operations = of_patient["operation"].as_array().expect("operations");
    assert!(operations.iter().any(|operation| operation["name"] == "ihe-pix"), "{operations:?}");
}

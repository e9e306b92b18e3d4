//! Merges by ITI-104 and ITI-93, and that they are taken back.

use serde_json::json;

use super::*;

/// What a source says of a record that it merged into another.
fn replaced(identifier: (&str, &str), other: Value) -> Value {
    let mut patient = patient(&[identifier], "MAIDEN");
    patient["active"] = json!(false);
    patient["link"] = json!([{ "type": "replaced-by", "other": other }]);
    patient
}

fn logical(system: &str, value: &str) -> Value {
    json!({ "identifier": { "system": system, "value": value } })
}

#[test]
fn a_merge_is_told_by_a_feed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let [subsumed, survivor, other] =
        [(HZLN, "m94"), (HZLN, "994"), (PKLN, "1")].map(|of| fed(&client, &patient(&[of], "MOHR")));
    tie(&client, &subsumed, &other);
    let observation = json!({ "resourceType": "Observation", "status": "final", "code": { "text": "x" },
                              "subject": { "reference": format!("Patient/{subsumed}") } });
    assert_eq!(client.create(&observation).status, 201);
    // By the OID of the domain, as its identifier alone.
    let told_of = replaced((HZLN_OID, "m94"), logical(HZLN_OID, "994"));
    for _ in 0..2 {
        let answer = feed(&client, &told_of);
        assert_eq!((answer.status, answer.id()), (200, subsumed.clone()), "{}", answer.json());
        let stored = answer.json();
        let links = stored["link"].as_array().cloned().unwrap_or_default();
        let link = links.iter().find(|link| link["type"] == "replaced-by").expect("a link");
        assert_eq!(link["other"]["reference"], json!(format!("Patient/{survivor}")), "{stored}");
        assert_eq!(
            (&link["other"]["identifier"]["value"], &stored["active"]),
            (&json!("994"), &json!(false))
        );
        assert_eq!(stored["name"][0]["family"], "MAIDEN");
    }
    // What was his is found with who is left; his identifier is not known any more.
    assert_eq!(found(&client, &format!("Observation?patient={survivor}")).len(), 1);
    assert_eq!(told(&ask(&client, &format!("{HZLN}|m94"), &[])).0, 404);
    assert_eq!(corresponding(&ask(&client, &format!("{HZLN}|994"), &[])).0, [format!("{PKLN}|1")]);
    // Plain FHIR shows him, as one who does not count.
    assert_eq!(found(&client, "Patient?family=maiden"), std::slice::from_ref(&subsumed));
    assert!(found(&client, "Patient?family=maiden&active=true").is_empty());
    // A feed of him is refused.
    let refused = told(&feed(&client, &patient(&[(HZLN, "m94")], "MAIDEN")));
    assert_eq!((refused.0, refused.1.as_str()), (409, "conflict"));
    let recorded = events(&client, "ITI-104");
    assert_eq!(recorded.last().map(|event| event["outcome"].clone()), Some(json!("4")));
}

#[test]
fn merges_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let [one, _, third] = ["1", "2", "3"].map(|of| fed(&client, &patient(&[(HZLN, of)], "MOHR")));
    assert_eq!(feed(&client, &replaced((HZLN, "3"), logical(HZLN, "2"))).status, 200);
    for (told_of, status) in [
        (replaced((HZLN, "1"), logical(HZLN, "9")), 422),
        (replaced((HZLN, "9"), logical(HZLN, "1")), 422),
        (replaced((HZLN, "1"), logical(HZLN, "3")), 409),
        (replaced((HZLN, "1"), logical(HZLN, "1")), 422),
        (replaced((HZLN, "3"), logical(HZLN, "1")), 409),
        // An id of another server means nobody here.
        (
            replaced(
                (HZLN, "1"),
                json!({ "reference": format!("http://other.example/fhir/Patient/{third}") }),
            ),
            422,
        ),
    ] {
        let answer = feed(&client, &told_of);
        assert_eq!(answer.status, status, "{told_of}: {}", answer.json());
        assert_eq!(client.get(&format!("Patient/{one}")).json()["active"], true);
    }
    // By its place.
    let by_place = replaced((HZLN, "2"), json!({ "reference": format!("Patient/{one}") }));
    assert_eq!(feed(&client, &by_place).status, 200);
    assert_eq!(corresponding(&ask(&client, &format!("{HZLN}|1"), &[])).0, Vec::<String>::new());
}

fn merge_message(told_of: &Value, id: &str) -> Value {
    message(&[(told_of, id)])
}

/// A message about several patients, by their ids.
fn message(told_of: &[(&Value, &str)]) -> Value {
    let entry = |(patient, id): &(&Value, &str)| {
        let mut patient = (*patient).clone();
        patient["id"] = json!(id);
        json!({ "fullUrl": format!("http://source.example/fhir/Patient/{id}"), "resource": patient,
                "request": { "method": "PUT", "url": format!("Patient/{id}") }, "response": { "status": "200" } })
    };
    let history: Vec<Value> = told_of.iter().map(entry).collect();
    json!({ "resourceType": "Bundle", "type": "message", "entry": [
        { "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
          "resource": { "resourceType": "MessageHeader", "id": "m1", "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
            "source": { "endpoint": "http://source.example/fhir" }, "focus": [{ "reference": "Bundle/h" }] } },
        { "fullUrl": "http://source.example/fhir/Bundle/h",
          "resource": { "resourceType": "Bundle", "type": "history", "entry": history } },
    ]})
}

fn merges_by_message(settings: &str, may_unmerge: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), settings);
    let send = |told_of: &Value, id: &str| {
        client.json("POST", "$process-message", &[], &merge_message(told_of, id)).expect("an answer")
    };
    for (id, value) in [("one", "1"), ("two", "2")] {
        assert_eq!(send(&patient(&[(HZLN, value)], "MOHR"), id).status, 200);
    }
    let told_of = replaced((HZLN, "1"), json!({ "reference": "http://source.example/fhir/Patient/two" }));
    for _ in 0..2 {
        assert_eq!(send(&told_of, "one").status, 200);
        let stored = client.get("Patient/one").json();
        assert_eq!((&stored["active"], &stored["link"][0]["type"]), (&json!(false), &json!("replaced-by")));
        assert_eq!(stored["link"][0]["other"]["reference"], "Patient/two");
    }
    assert_eq!(ask(&client, &format!("{HZLN}|1"), &[]).status, 404);
    // The link is gone: the merge is taken back.
    let answer = send(&patient(&[(HZLN, "1")], "MOHR"), "one");
    if may_unmerge {
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(corresponding(&ask(&client, &format!("{HZLN}|1"), &[])).1, ["Patient/one"]);
    } else {
        let refused = told(&answer);
        assert_eq!((refused.0, refused.3.as_str()), (405, "Bundle.entry[1].resource.entry[0].resource"));
        assert_eq!(ask(&client, &format!("{HZLN}|1"), &[]).status, 404);
    }
}

#[test]
fn a_merge_is_told_by_a_message_and_stays() {
    merges_by_message(DOMAINS, false);
}

#[test]
fn a_merge_is_taken_back_where_the_site_allows_it() {
    merges_by_message(&format!("[identity]\nunmerge_by_message = true\n{DOMAINS}"), true);
}

fn send(client: &Client, message: &Value) -> Answer {
    client.json("POST", "$process-message", &[], message).expect("an answer")
}

/// The links of a patient: their types, and to whom they go.
fn links(client: &Client, id: &str) -> Vec<(String, String)> {
    let patient = client.get(&format!("Patient/{id}")).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let links = patient["link"].as_array().into_iter().flatten();
    links.map(|link| (text(&link["type"]), text(&link["other"]["reference"]))).collect()
}

fn linked(kind: &str, id: &str) -> (String, String) {
    (kind.to_owned(), format!("Patient/{id}"))
}

#[test]
fn a_message_brings_the_survivor_of_its_merges() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    let known = [(patient(&[(HZLN, "1")], "MOHR"), "one"), (patient(&[(HZLN, "2")], "MOHR"), "two")];
    for (of, id) in &known {
        assert_eq!(send(&client, &merge_message(of, id)).status, 200);
    }
    // The newest first: a chain into one whom the message brings, and by his identifier another.
    let into = |id: &str| json!({ "reference": format!("http://source.example/fhir/Patient/{id}") });
    let told_of = [
        (&replaced((HZLN, "2"), into("three")), "two"),
        (&replaced((HZLN, "1"), into("two")), "one"),
        (&patient(&[(HZLN, "3")], "NEUMANN"), "three"),
    ];
    let sent = message(&told_of);
    for _ in 0..2 {
        let answer = send(&client, &sent);
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(links(&client, "one"), [linked("replaced-by", "two")]);
        assert_eq!(links(&client, "two"), [linked("replaces", "one"), linked("replaced-by", "three")]);
        assert_eq!(links(&client, "three"), [linked("replaces", "two")]);
        assert_eq!(client.get("Patient/two").json()["name"][0]["family"], "MAIDEN");
        assert_eq!(client.get("Patient/two").json()["active"], false);
    }
    assert_eq!(corresponding(&ask(&client, &format!("{HZLN}|3"), &[])).1, ["Patient/three"]);
    assert_eq!(ask(&client, &format!("{HZLN}|2"), &[]).status, 404);
    // By the identifier of one whom the message brings.
    let by_identifier = replaced((HZLN, "3"), logical(HZLN_OID, "4"));
    let told_of = [(&by_identifier, "three"), (&patient(&[(HZLN, "4")], "NEUMANN"), "four")];
    let answer = send(&client, &message(&told_of));
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(links(&client, "four"), [linked("replaces", "three")]);
    // Both stand in what is recorded, by where they are.
    let recorded = events(&client, "ITI-93");
    let told = recorded.last().expect("an event")["entity"].to_string();
    assert!(told.contains("Patient/three") && told.contains("Patient/four"), "{told}");
}

#[test]
fn a_merge_that_is_refused_undoes_its_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    for (value, id) in [("1", "one"), ("2", "two"), ("3", "three")] {
        assert_eq!(send(&client, &merge_message(&patient(&[(HZLN, value)], "MOHR"), id)).status, 200);
    }
    let into = |id: &str| json!({ "reference": format!("Patient/{id}") });
    let changed = patient(&[(HZLN, "3")], "NEUMANN");
    let new = patient(&[(HZLN, "9")], "NEUMANN");
    for (number, (source, target, status)) in
        [("1", "nobody", 422), ("1", "one", 422), ("8", "two", 422)].into_iter().enumerate()
    {
        let refused = replaced((HZLN, source), into(target));
        let id = if source == "1" { "one" } else { "eight" };
        let told_of = [(&changed, "three"), (&new, "nine"), (&refused, id)];
        let answer = send(&client, &message(&told_of));
        assert_eq!(answer.status, status, "{number}: {}", answer.json());
        let place = told(&answer).3;
        assert!(place.starts_with("Bundle.entry[1].resource.entry[2]"), "{place}");
        assert_eq!(client.get("Patient/three").json()["name"][0]["family"], "MOHR");
        assert_eq!((links(&client, "one"), client.get("Patient/nine").status), (Vec::new(), 404));
    }
    // A circle within the message.
    let [one, two] = [replaced((HZLN, "1"), into("two")), replaced((HZLN, "2"), into("one"))];
    let answer = send(&client, &message(&[(&changed, "three"), (&one, "one"), (&two, "two")]));
    assert_eq!(answer.status, 422, "{}", answer.json());
    assert_eq!(client.get("Patient/three").json()["name"][0]["family"], "MOHR");
    assert_eq!((links(&client, "one"), links(&client, "two")), (Vec::new(), Vec::new()));
}

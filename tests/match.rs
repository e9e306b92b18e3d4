//! `Patient/$match` over the wire, as ITI-119 uses it: grades, scores, what is
//! certain alone, who is replaced, twins, homonyms, and what cannot be asked.

use serde_json::{Value, json};
use tests::{Answer, Client, Server};

const FISCAL: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
const GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

fn put(client: &Client, patient: &Value) {
    let path = format!("Patient/{}", patient["id"].as_str().unwrap_or_default());
    let answer = client.json("PUT", &path, &[], patient).expect("an answer");
    assert!(matches!(answer.status, 200 | 201), "{}", String::from_utf8_lossy(&answer.body));
}

fn patient(id: &str, (family, given): (&str, &str), sex: &str, birth: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "gender": sex, "birthDate": birth,
        "name": [{ "family": family, "given": [given] }],
    })
}

fn with(mut patient: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        patient[name] = value.clone();
    }
    patient
}

fn fiscal(code: &str) -> Value {
    json!({ "identifier": [{ "system": FISCAL, "value": code }] })
}

fn ask(client: &Client, body: &Value) -> Answer {
    client.json("POST", "Patient/$match", &[], body).expect("an answer")
}

/// What is answered: id and grade, in its order.
fn found(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let bundle = answer.json();
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("searchset")));
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let mut last = 1.0;
    let read = |entry: &Value| {
        let search = &entry["search"];
        assert_eq!(search["mode"], "match");
        let score = search["score"].as_f64().expect("a score");
        assert!((0.0..=last).contains(&score), "{bundle}");
        last = score;
        assert_eq!(search["extension"][0]["url"], GRADE);
        let id = entry["resource"]["id"].as_str().expect("an id").to_owned();
        assert!(entry["fullUrl"].as_str().is_some_and(|url| url.ends_with(&format!("/Patient/{id}"))));
        (id, search["extension"][0]["valueCode"].as_str().expect("a grade").to_owned())
    };
    entries.iter().map(read).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(id, grade)| ((*id).to_owned(), (*grade).to_owned())).collect()
}

/// A server with a handful of persons, of whom one has two records.
fn stored() -> (tempfile::TempDir, Server, Client) {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    let home = json!({
        "address": [{ "line": ["Via Garibaldi 12"], "city": "Genova" }],
        "telecom": [{ "system": "phone", "value": "010 123456" }],
    });
    let mario = ("Rossi", "Mario");
    for patient in [
        with(with(patient("mario", mario, "male", "1985-08-01"), &fiscal("RSSMRA85M01H501Q")), &home),
        with(patient("mario-2", ("ROSSI", "MARIO"), "male", "1985-08-01"), &fiscal("rssmra85m01h501q")),
        patient("homonym", mario, "male", "1985-08-01"),
        with(patient("twin", ("Rossi", "Marco"), "male", "1985-08-01"), &home),
        patient("other", ("Bianchi", "Anna"), "female", "1970-03-12"),
    ] {
        put(&client, &patient);
    }
    (data, server, client)
}

#[test]
fn who_is_certain_probable_or_nobody() {
    let (_data, _server, client) = stored();
    let by_code = with(patient("x", ("Rossi", "Mario"), "male", "1985-08-01"), &fiscal("RSSMRA85M01H501Q"));
    let certain = found(&ask(&client, &by_code));
    assert_eq!(
        certain[..2].iter().map(|(_, grade)| grade.as_str()).collect::<Vec<_>>(),
        ["certain", "certain"]
    );
    assert!(certain[2..].iter().all(|(_, grade)| grade != "certain"), "{certain:?}");
    // Names and date of birth are those of homonyms as well.
    let described = patient("x", ("Rossi", "Mario"), "male", "1985-08-01");
    let probable = found(&ask(&client, &described));
    assert!(probable.len() >= 3 && probable.iter().all(|(_, grade)| grade != "certain"), "{probable:?}");
    // With day and month exchanged, names exchanged, and a slip, he is still found.
    for (names, birth) in [
        (("Rossi", "Mario"), "1985-01-08"),
        (("Mario", "Rossi"), "1985-08-01"),
        (("Rosi", "Mario"), "1985-08-01"),
    ] {
        let answer = found(&ask(&client, &patient("x", names, "male", birth)));
        assert!(answer.iter().any(|(id, _)| id == "mario"), "{names:?} {birth}: {answer:?}");
    }
    let nobody = patient("x", ("Verdi", "Ugo"), "male", "1950-10-10");
    let answer = ask(&client, &nobody);
    assert_eq!((found(&answer), &answer.json()["total"]), (Vec::new(), &json!(0)));
    // A brother of the same day in the same house is never certain.
    let home = json!({
        "address": [{ "line": ["V. Garibaldi, 12"], "city": "GENOVA" }],
        "telecom": [{ "system": "phone", "value": "+39 010123456" }],
    });
    let at_home = found(&ask(&client, &with(described, &home)));
    assert_eq!(at_home[0], ("mario".to_owned(), "certain".to_owned()), "{at_home:?}");
    let twin = at_home.iter().find(|(id, _)| id == "twin");
    assert!(twin.is_some_and(|(_, grade)| grade != "certain"), "{at_home:?}");
}

#[test]
fn only_who_is_certain_and_so_many() {
    let (_data, _server, client) = stored();
    let parameters = |patient: Value, more: &[Value]| {
        let mut all = vec![json!({ "name": "resource", "resource": patient })];
        all.extend_from_slice(more);
        json!({ "resourceType": "Parameters", "parameter": all })
    };
    let only = json!({ "name": "onlyCertainMatches", "valueBoolean": true });
    let one = json!({ "name": "count", "valueInteger": 1 });
    let described = patient("x", ("Rossi", "Mario"), "male", "1985-08-01");
    let by_code = with(described.clone(), &fiscal("RSSMRA85M01H501Q"));
    let mut both = found(&ask(&client, &parameters(by_code.clone(), std::slice::from_ref(&only))));
    both.sort();
    assert_eq!(both, pairs(&[("mario", "certain"), ("mario-2", "certain")]));
    assert_eq!(found(&ask(&client, &parameters(by_code.clone(), &[only.clone(), one.clone()]))).len(), 1);
    assert_eq!(found(&ask(&client, &parameters(described, std::slice::from_ref(&only)))), Vec::new());
    // Two who cannot be told to be one are no certain answer.
    let local = |value: &str| json!({ "identifier": [{ "system": "http://a.example", "value": value }] });
    put(&client, &with(patient("ugo", ("Verdi", "Ugo"), "male", "1950-10-10"), &local("7")));
    put(&client, &with(patient("ada", ("Neri", "Ada"), "female", "1931-02-03"), &local("7")));
    let answer = ask(
        &client,
        &parameters(
            json!({ "resourceType": "Patient", "identifier": [
        { "system": "http://a.example", "value": "7" },
    ] }),
            &[only],
        ),
    );
    assert_eq!(found(&answer), Vec::new());
    // A record that was merged into another is not offered, and is again when that is taken back.
    let merged = json!({ "link": [{ "other": { "reference": "Patient/mario" }, "type": "replaced-by" }] });
    let second =
        with(patient("mario-2", ("Rossi", "Mario"), "male", "1985-08-01"), &fiscal("RSSMRA85M01H501Q"));
    put(&client, &with(second.clone(), &merged));
    let ids = |answer: &Answer| found(answer).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert!(!ids(&ask(&client, &by_code)).contains(&"mario-2".to_owned()));
    put(&client, &second);
    assert!(ids(&ask(&client, &by_code)).contains(&"mario-2".to_owned()));
    // Nor one that is deleted.
    let gone = client.send("DELETE", "Patient/mario-2", &[], &[]).expect("an answer");
    assert!(matches!(gone.status, 200 | 204));
    assert_eq!(found(&ask(&client, &by_code))[0], ("mario".to_owned(), "certain".to_owned()));
}

#[test]
fn what_cannot_be_asked() {
    let (_data, _server, client) = stored();
    let of = |parameter: Value| json!({ "resourceType": "Parameters", "parameter": [parameter] });
    let with_parameter = |name: &str, value: (&str, Value)| {
        let mut body =
            of(json!({ "name": "resource", "resource": { "resourceType": "Patient", "birthDate": "1985" } }));
        let mut parameter = json!({ "name": name });
        parameter[value.0] = value.1;
        body["parameter"].as_array_mut().expect("parameters").push(parameter);
        body
    };
    for (body, status, place) in [
        (json!({ "resourceType": "Parameters" }), 400, "resource"),
        (
            of(json!({ "name": "resource", "resource": { "resourceType": "Observation", "status": "final",
            "code": { "text": "x" } } })),
            400,
            "resource",
        ),
        (json!({ "resourceType": "Patient" }), 422, "Patient"),
        (json!({ "resourceType": "Patient", "name": [{ "family": "Rossi" }] }), 422, "Patient"),
        (with_parameter("onlyCertainMatches", ("valueString", json!("perhaps"))), 400, "onlyCertainMatches"),
        (with_parameter("count", ("valueInteger", json!(-1))), 400, "count"),
        (with_parameter("depth", ("valueInteger", json!(1))), 400, "depth"),
        (
            json!({ "resourceType": "Patient", "implicitRules": "http://x.example/rules" }),
            400,
            "Patient.implicitRules",
        ),
    ] {
        let answer = ask(&client, &body);
        assert_eq!(answer.status, status, "{body}: {}", String::from_utf8_lossy(&answer.body));
        let outcome = answer.json();
        assert_eq!(outcome["issue"][0]["expression"][0], place, "{body}: {outcome}");
    }
    let answer = client.get("metadata").json();
    let resources = answer["rest"][0]["resource"].as_array().cloned().unwrap_or_default();
    let patient = resources.iter().find(|resource| resource["type"] == "Patient").expect("listed");
    let operations = patient["operation"].as_array().cloned().unwrap_or_default();
    assert!(operations.iter().any(|operation| operation["name"] == "match"), "{patient}");
}

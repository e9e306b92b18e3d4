//! The examples of the guides, and answers by HL7 v2 to the same questions.

use std::fs;

use serde_json::json;

use super::*;

const RED: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.1000";

/// An example of PIXm, with the id of this server rather than its own.
fn example(folder: &Path, name: &str) -> Value {
    let text = fs::read(folder.join(format!("Patient-{name}.json"))).expect("an example");
    let mut patient: Value = serde_json::from_slice(&text).expect("JSON");
    patient.as_object_mut().expect("a Patient").remove("id");
    patient
}

#[test]
fn the_patients_of_pixm_are_told_of_as_its_example_has_it() {
    let Some(material) = material("fsh-examples/PIXm/input/examples") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), "");
    let [red, blue, green] = ["MohrAlissa-Red", "MohrAlice-Blue", "MohrAlice-Green"]
        .map(|name| fed(&client, &example(&material, name)));
    assert_eq!(fed(&client, &example(&material, "MohrAlice-Red")), red);
    assert_eq!(client.get(&format!("Patient/{red}")).json()["name"][0]["given"], json!(["ALICE"]));
    tie(&client, &red, &blue);
    tie(&client, &red, &green);
    for (request, response, asked_by) in [
        (
            "pixm-request-mohralice-red-all.xml",
            "pixm-response-mohralice-red-all.xml",
            vec![&blue, &green, &red],
        ),
        ("pixm-request-mohralice-red-to-blue.xml", "pixm-response-mohralice-red-to-blue.xml", vec![&blue]),
    ] {
        let text = fs::read_to_string(material.join(request)).expect("an example");
        // The request for those of one domain names two, and its answer only one of them.
        let text = match request.contains("to-blue") {
            true => {
                text.replace("urn:oid:1.3.6.1.4.1.21367.13.20.2000", "urn:oid:1.3.6.1.4.1.21367.13.20.3000")
            }
            false => text,
        };
        let headers = [("content-type", "application/fhir+xml"), ("accept", "application/fhir+json")];
        let path = "Patient/$ihe-pix?_format=json";
        let answer = client.send("POST", path, &headers, text.as_bytes()).expect("an answer");
        let (identifiers, patients) = corresponding(&answer);
        let expected = fs::read_to_string(material.join(response)).expect("an example");
        let expected: Vec<&str> = expected.matches("<valueIdentifier>").collect();
        assert_eq!(identifiers.len(), expected.len(), "{request}: {identifiers:?}");
        let text = fs::read_to_string(material.join(response)).expect("an example");
        for identifier in &identifiers {
            let (system, value) = identifier.split_once('|').expect("both");
            assert!(text.contains(system) && text.contains(value), "{request}: {identifier}");
        }
        let mut asked: Vec<String> = asked_by.iter().map(|id| format!("Patient/{id}")).collect();
        asked.sort();
        assert_eq!(patients, asked);
    }
    assert_eq!(ask(&client, &format!("{RED}|IHERED-m94"), &[]).status, 404);
}

#[test]
fn the_messages_of_the_connectathon_are_taken() {
    let Some(material) = material("fsh-examples/PMIR/input/resources") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), "");
    let headers = [("content-type", "application/fhir+xml")];
    for name in [
        "CATsample1-ITI-93-mother",
        "CATsample2-ITI-93-mother",
        "CATsample3-ITI-93-baby",
        "CATsample4-ITI-93-baby",
        "CATsample6-ITI-93-updateBaby",
        "CATsample8-ITI-93-merge",
    ] {
        let text = fs::read(material.join(format!("{name}.xml"))).expect("an example");
        let answer = client.send("POST", "$process-message", &headers, &text).expect("an answer");
        assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
    }
    // The senders call them by ids of their own; by their identifiers they are one each.
    let all = found(&client, "Patient?_sort=_id");
    assert_eq!(all.len(), 3, "{all:?}");
    let domain = "urn:oid:1.3.6.1.4.1.21367.13.20.308";
    for (value, id) in [
        ("Mother", "110fd932-7368-4d2a-acbd-1f5d28bf95d6"),
        ("Child", "cb80f151-8209-46b8-87e8-b0c20186b654"),
        ("TWO", "371a3246-f77c-eb11-95e7-d067e54cbc0c"),
    ] {
        assert_eq!(found(&client, &format!("Patient?identifier={domain}%7C{value}")), [id], "{value}");
    }
    assert_eq!(
        client.get("Patient/cb80f151-8209-46b8-87e8-b0c20186b654").json()["name"][0]["given"],
        json!(["JAMES MICHAEL"])
    );
}

/// The segments of a kind in a message of HL7 v2, field by field.
fn segments(message: &str, kind: &str) -> Vec<Vec<String>> {
    let segments = message.split(['\r', '\n']).map(|segment| segment.split('|').map(str::to_owned).collect());
    segments.filter(|fields: &Vec<String>| fields[0] == kind).collect()
}

fn components(field: &str, separator: char) -> Vec<&str> {
    field.split(separator).collect()
}

/// The identifiers of a PID: system and value.
fn of_pid(pid: &[String], system_of: impl Fn(&[&str]) -> String) -> Vec<(String, String)> {
    let repetitions = pid[3].split('~').map(|cx| components(cx, '^'));
    repetitions.map(|cx| (system_of(&components(cx[3], '&')), cx[0].to_owned())).collect()
}

#[test]
fn the_same_persons_are_found_as_by_hl7_v2() {
    let Some(material) = material("fhir/ipf/pixpdq/src/test/resources/pdqquery/v2") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), "");
    // Who is told of in the answer to `@PID.11.6^DE`, and one who is not.
    let answer = fs::read_to_string(material.join("ok-1_Response.hl7")).expect("an answer");
    let of_hd = |hd: &[&str]| format!("urn:oid:{}", hd[1]);
    let mut expected = Vec::new();
    for pid in segments(&answer, "PID") {
        let identifiers = of_pid(&pid, of_hd);
        let named: Vec<(&str, &str)> = identifiers.iter().map(|(s, v)| (s.as_str(), v.as_str())).collect();
        let mut told = patient(&named, components(&pid[5], '^')[0]);
        let address = components(&pid[11], '^');
        told["address"] = json!([{ "city": address[2], "postalCode": address[4], "country": address[5] }]);
        expected.push(fed(&client, &told));
    }
    assert_eq!(expected.len(), 9);
    let mut abroad = patient(&[("urn:oid:1.2.3.4", "1")], "Mueller");
    abroad["address"] = json!([{ "country": "IT" }]);
    fed(&client, &abroad);
    let mut told = found(&client, "Patient?address-country=DE&_count=50");
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
}

#[test]
fn identifiers_correspond_as_by_hl7_v2() {
    let Some(material) = material("fhir/ipf/pixpdq/src/test/resources/pixquery/v2") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, client) = start(folder.path(), DOMAINS);
    // Namespaces stand for the domains of the settings.
    let system = |namespace: &str| if namespace == "HZLN" { HZLN } else { PKLN };
    let one = fed(&client, &patient(&[(HZLN, "79471")], "Mueller"));
    let other = fed(&client, &patient(&[(PKLN, "78912")], "Mueller"));
    fed(&client, &patient(&[(HZLN, "79234")], "Meier"));
    tie(&client, &one, &other);
    for name in ["ok-1", "nf-1", "err-1"] {
        let message = fs::read_to_string(material.join(format!("{name}_Response.hl7"))).expect("an answer");
        let qpd = segments(&message, "QPD").remove(0);
        let asked = components(&qpd[3], '^');
        let source = format!("{}|{}", system(asked[3]), asked[0]);
        let targets: Vec<&str> = qpd.get(4).map(|of| system(components(of, '^')[3])).into_iter().collect();
        let answer = ask(&client, &source, &targets);
        match segments(&message, "MSA")[0][1].as_str() {
            "AA" => {
                let pids = segments(&message, "PID");
                let expected: Vec<String> = pids
                    .iter()
                    .flat_map(|pid| of_pid(pid, |hd| system(hd[0]).to_owned()))
                    .map(|(system, value)| format!("{system}|{value}"))
                    .collect();
                assert_eq!(corresponding(&answer).0, expected, "{name}");
            }
            _ => assert_eq!(told(&answer).1, "not-found", "{name}"),
        }
    }
}

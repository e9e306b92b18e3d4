//! PIX and PDQ by HL7 v2: ITI-9, ITI-21, ITI-22.

use ihe_adapters::wire::hl7v2::message::Message;
use serde_json::{Value, json};
use tests::mllp::code;

use super::{Running, header};

/// Domains of two hospitals.
const DOMAINS: &str = r#"
[[identity.domains]]
name = "SIO"
oid = "1.2.3"
[[identity.domains]]
name = "LIS"
oid = "1.2.4"
uri = "https://lis.example.org/id"
"#;

fn query(event: &str, control_id: &str, qpd: &str, rest: &str) -> String {
    let kind = header(&format!("QBP^{event}^QBP_Q21"), control_id, "");
    format!("{kind}QPD|IHE Query|tag|{qpd}\r{rest}")
}

/// Stores two records of Maria that are tied, and some others.
fn store(running: &Running) {
    let client = running.server.client();
    let put = |id: &str, system: &str, value: &str, family: &str, link: Option<(&str, &str)>| {
        let links: Vec<Value> = link
            .into_iter()
            .map(|(kind, to)| json!({ "type": kind, "other": { "reference": format!("Patient/{to}") } }))
            .collect();
        let mut patient = json!({
            "resourceType": "Patient", "id": id, "identifier": [{ "system": system, "value": value }],
            "name": [{ "family": family, "given": ["Maria"] }], "gender": "female", "birthDate": "1980-01-01",
        });
        if !links.is_empty() {
            patient["link"] = json!(links);
        }
        let stored = client.json("PUT", &format!("Patient/{id}"), &[], &patient).expect("stored");
        assert!(stored.status < 300, "{}", stored.json());
    };
    for (id, system, value) in [("a", "urn:oid:1.2.3", "1"), ("b", "https://lis.example.org/id", "L1")] {
        put(id, system, value, "Rossi", None);
    }
    put("a", "urn:oid:1.2.3", "1", "Rossi", Some(("seealso", "b")));
    put("b", "https://lis.example.org/id", "L1", "Rossi", Some(("seealso", "a")));
    for number in 2..6 {
        put(&format!("p{number}"), "urn:oid:1.2.3", &number.to_string(), "Rossini", None);
    }
}

#[test]
fn identifiers_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), DOMAINS);
    store(&running);
    let mut client = running.connect();
    let found = client.ask(&query("Q23", "1", "1^^^SIO|^^^&1.2.4&ISO", "RCP|I\r"));
    assert_eq!(found.header(9).text(), "RSP^K23^RSP_K23");
    let value = |of: &Message, segment: &str, field: usize| {
        of.segment(segment).map(|segment| segment.part(field).text().to_owned()).unwrap_or_default()
    };
    assert_eq!((code(&found).as_str(), value(&found, "QAK", 2).as_str()), ("AA", "OK"), "{}", found.write());
    assert_eq!(value(&found, "PID", 3), "L1^^^LIS&1.2.4&ISO^PI");
    assert_eq!(value(&found, "PID", 5), "~^^^^^^S");
    let unknown = client.ask(&query("Q23", "2", "9^^^SIO", "RCP|I\r"));
    assert_eq!((code(&unknown).as_str(), value(&unknown, "ERR", 2).as_str()), ("AE", "QPD^1^3^1^1"));
    let no_domain = client.ask(&query("Q23", "3", "1^^^SIO|^^^LIS~^^^EMR", "RCP|I\r"));
    assert_eq!((code(&no_domain).as_str(), value(&no_domain, "ERR", 2).as_str()), ("AE", "QPD^1^4^2"));
    let nobody = client.ask(&query("Q23", "4", "2^^^SIO", "RCP|I\r"));
    assert_eq!((code(&nobody).as_str(), value(&nobody, "QAK", 2).as_str()), ("AA", "NF"));
    let none = client.ask(&header("QBP^Q23^QBP_Q21", "5", ""));
    assert_eq!((code(&none).as_str(), none.header(9).text()), ("AR", "ACK^Q23^ACK"));
    assert_eq!(running.count("AuditEvent?subtype=ITI-9"), 5);
}

#[test]
fn an_answer_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = Running::start(folder.path(), DOMAINS);
    store(&running);
    let (mut told, mut rest) = (Vec::new(), "RCP|I|2^RD\r".to_owned());
    for number in 1.. {
        let asked = query("Q22", &number.to_string(), "@PID.5.1.1^ROSS*~@PID.8^F", &rest);
        let answer = running.connect().ask(&asked);
        assert_eq!(code(&answer), "AA", "{}", answer.write());
        let patients = answer.segments("PID").map(|patient| patient.part(3).text().to_owned());
        told.extend(patients);
        let Some(pointer) = answer.segment("DSC") else { break };
        rest = format!("RCP|I|2^RD\r{}\r", pointer.text());
        running.server.kill();
        running = Running::start(folder.path(), DOMAINS);
    }
    let sio = |value: u8| format!("{value}^^^SIO&1.2.3&ISO^PI");
    let maria = format!("{}~L1^^^LIS&1.2.4&ISO^PI", sio(1));
    assert_eq!(told, [maria, sio(2), sio(3), sio(4), sio(5)]);
    let cancelled = format!("{}QID|tag|IHE Query\r", header("QCN^J01^QCN_J01", "c", ""));
    assert_eq!(code(&running.connect().ask(&cancelled)), "AA");
    let visits = running.connect().ask(&query("ZV1", "v", "@PID.5.1^Rossi", "RCP|I\r"));
    assert_eq!((visits.header(9).text(), visits.segments("PV1").count()), ("RSP^ZV2^RSP_ZV2", 1));
}

#[test]
fn an_answer_of_many_pages_tells_each_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), DOMAINS);
    let entry = |number: usize| {
        let identifier = json!([{ "system": "urn:oid:1.2.3", "value": number.to_string() }]);
        json!({ "request": { "method": "POST", "url": "Patient" }, "resource": {
            "resourceType": "Patient", "identifier": identifier, "name": [{ "family": "Bianchi" }],
            "birthDate": format!("{}-01-01", 1700 + number) } })
    };
    let entries: Vec<Value> = (0..250).map(entry).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    let stored = running.server.client().json("POST", "", &[], &bundle).expect("an answer");
    assert_eq!(stored.status, 200);
    // More than a page of FHIR, whose pages end in the midst of ours.
    let (mut told, mut rest) = (Vec::new(), "RCP|I|70^RD\r".to_owned());
    for number in 1.. {
        let asked = query("Q22", &number.to_string(), "@PID.5.1^Bianchi", &rest);
        let answer = running.connect().ask(&asked);
        assert_eq!(code(&answer), "AA", "{}", answer.write());
        told.extend(answer.segments("PID").map(|patient| patient.part(3).component(1).text().to_owned()));
        let Some(pointer) = answer.segment("DSC") else { break };
        assert!(pointer.part(1).text().len() <= 180, "{}", pointer.text());
        rest = format!("RCP|I|70^RD\r{}\r", pointer.text());
    }
    told.sort_by_key(|value| value.parse::<usize>().unwrap_or(usize::MAX));
    assert_eq!(told, (0..250).map(|number| number.to_string()).collect::<Vec<String>>());
}

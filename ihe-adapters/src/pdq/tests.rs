//! Queries and their answers, over a few patients.

use serde_json::{Value, json};

use super::{patient_demographics_and_visit_query, patient_demographics_query};
use crate::pix::stored::Stored;
use crate::wire::hl7v2::acknowledgement::Acknowledging;
use crate::wire::hl7v2::message::Message;

const DOMAINS: &[(&str, &str)] = &[("SIO", "1.2.1"), ("LIS", "1.2.2"), ("RIS", "1.2.3")];

fn stored() -> Stored {
    let patient = |id: &str, identifier: (&str, &str), family: &str, given: &str, rest: Value| {
        let mut patient = json!({
            "resourceType": "Patient", "id": id, "birthDate": "1980-02-03", "gender": "female",
            "identifier": [{ "system": format!("urn:oid:{}", identifier.0), "value": identifier.1 }],
            "name": [{ "family": family, "given": [given] }],
        });
        if let (Some(patient), Some(rest)) = (patient.as_object_mut(), rest.as_object()) {
            patient.extend(rest.clone());
        }
        patient
    };
    let tied =
        |to: &str, kind: &str| json!([{ "type": kind, "other": { "reference": format!("Patient/{to}") } }]);
    let reference = |place: &str| json!({ "reference": place });
    let resources = json!([
        patient("a", ("1.2.1", "1"), "Rossi", "Anna", json!({ "link": tied("b", "seealso") })),
        patient("b", ("1.2.2", "L1"), "Rossi", "Anna", json!({ "link": tied("a", "seealso") })),
        patient("c", ("1.2.1", "2"), "Rossi", "Bruna", json!({ "address": [{ "city": "Genova" }] })),
        patient("d", ("1.2.1", "3"), "Rossini", "Carla", json!({ "birthDate": "1990-01-01" })),
        patient("e", ("1.2.1", "4"), "Verdi", "Dora", json!({ "link": tied("d", "replaced-by") })),
        { "resourceType": "Account", "id": "k", "subject": [reference("Patient/c")],
          "identifier": [{ "system": "urn:oid:1.9", "value": "K1" }] },
        { "resourceType": "Location", "id": "w", "name": "CARD" },
        { "resourceType": "Location", "id": "r", "name": "389", "partOf": reference("Location/w"),
          "physicalType": { "coding": [{ "code": "ro" }] } },
        { "resourceType": "Practitioner", "id": "p", "name": [{ "family": "Bruno" }],
          "identifier": [{ "system": "urn:oid:1.5", "value": "D7" }] },
        { "resourceType": "Encounter", "id": "v1", "subject": reference("Patient/a"), "class": { "code": "AMB" },
          "identifier": [{ "system": "urn:oid:1.6", "value": "V1" }], "period": { "start": "2026-01-01" } },
        { "resourceType": "Encounter", "id": "v2", "subject": reference("Patient/b"), "class": { "code": "IMP" },
          "identifier": [{ "system": "urn:oid:1.6", "value": "V2" }], "period": { "start": "2026-01-02" },
          "location": [{ "location": reference("Location/r") }],
          "participant": [{ "type": [{ "coding": [{ "code": "ATND" }] }], "individual": reference("Practitioner/p") }] },
        { "resourceType": "Encounter", "id": "v3", "subject": reference("Patient/e"), "class": { "code": "EMER" },
          "identifier": [{ "system": "urn:oid:1.6", "value": "V3" }], "period": { "start": "2026-01-03" } },
    ]);
    Stored::new(resources, DOMAINS)
}

/// Asks, and returns the answer behind its header.
async fn asked(event: &str, qpd: &str, rest: &str) -> Vec<String> {
    let text =
        format!("MSH|^~\\&|SIO|H|PDQ|R|||QBP^{event}^QBP_Q21|7|P|2.5\rQPD|IHE PDQ Query|t|{qpd}\r{rest}");
    let message = Message::parse(&text).expect("a message");
    let stored = stored();
    let index = stored.index();
    let answered = match event {
        "Q22" => patient_demographics_query::answer(&index, &message).await,
        _ => patient_demographics_and_visit_query::answer(&index, &message).await,
    };
    let at = "2026-01-02T03:04:05Z".parse().expect("time");
    let acknowledging = Acknowledging { control_id: "9", at, application: "LANTERNA" };
    let answer = answered.expect("an answer").message(&message, &acknowledging);
    let segments: Vec<String> = answer.all().map(|segment| segment.text().to_owned()).collect();
    let kind = segments.first().and_then(|header| header.split('|').nth(8)).map(str::to_owned);
    assert_eq!(kind.as_deref(), Some(if event == "Q22" { "RSP^K22^RSP_K21" } else { "RSP^ZV2^RSP_ZV2" }));
    segments.into_iter().skip(1).filter(|segment| !segment.starts_with("QPD")).collect()
}

const ANNA: &str = "1^^^SIO&1.2.1&ISO^PI~L1^^^LIS&1.2.2&ISO^PI||Rossi^Anna^^^^^L||19800203|F";
const BRUNA: &str = "2^^^SIO&1.2.1&ISO^PI||Rossi^Bruna^^^^^L||19800203|F|||^^Genova|||||||K1^^^&1.9&ISO^AN";
const CARLA: &str = "3^^^SIO&1.2.1&ISO^PI||Rossini^Carla^^^^^L||19900101|F";

fn found(patients: &[&str]) -> Vec<String> {
    let status = if patients.is_empty() { "NF" } else { "OK" };
    let mut segments = vec!["MSA|AA|7".to_owned(), format!("QAK|t|{status}")];
    segments.extend(patients.iter().enumerate().map(|(at, pid)| format!("PID|{}||{pid}", at + 1)));
    segments
}

fn wrong(place: &str, code: &str, text: &str) -> Vec<String> {
    let error = format!("ERR||{place}|{code}^HL70357|E||||{text}");
    vec!["MSA|AE|7".to_owned(), error, "QAK|t|AE".to_owned()]
}

#[tokio::test]
async fn who_matches_is_told() {
    for (qpd, patients) in [
        ("@PID.5.1.1^ROSSI", vec![ANNA, BRUNA]),
        ("@PID.5.1^ross*", vec![ANNA, BRUNA, CARLA]),
        ("@PID.5.1.1^ROSSI~@PID.5.2^Bruna", vec![BRUNA]),
        ("@PID.7^19900101~@PID.8^F", vec![CARLA]),
        ("@PID.7.1^1990~@PID.8^M", vec![]),
        ("@PID.11.3^genova", vec![BRUNA]),
        // Identifiers, by each of the ways to name who assigned them.
        ("@PID.3.1^L1~@PID.3.4^LIS", vec![ANNA]),
        ("@PID.3.1^1~@PID.3.4.1^SIO~@PID.3.4.2^1.2.1~@PID.3.4.3^ISO", vec![ANNA]),
        ("@PID.3.1^2", vec![BRUNA]),
        ("@PID.3.4.2^1.2.1~@PID.3.1^3", vec![CARLA]),
        // Who was merged into another is not told of any more.
        ("@PID.3.1^4~@PID.3.4^SIO", vec![]),
        ("@PID.5.1^Verdi", vec![]),
        ("@PID.18.1^K1", vec![BRUNA]),
        ("@PID.18.1^K1~@PID.18.4.2^1.9~@PID.18.4.3^ISO~@PID.5.1^Rossi", vec![BRUNA]),
        ("@PID.18.1^K2~@PID.5.1^Rossi", vec![]),
    ] {
        assert_eq!(asked("Q22", qpd, "RCP|I\r").await, found(&patients), "{qpd}");
    }
}

/// ITI TF-2 3.21.4.2.2.8
#[tokio::test]
async fn identifiers_are_told_of_the_domains_that_are_wanted() {
    let lis = "L1^^^LIS&1.2.2&ISO^PI||Rossi^Anna^^^^^L||19800203|F";
    assert_eq!(asked("Q22", "@PID.5.1^Rossi|||||^^^LIS", "RCP|I\r").await, found(&[lis]));
    assert_eq!(asked("Q22", "@PID.5.1^Rossi|||||^^^RIS", "RCP|I\r").await, found(&[]));
    let both = "@PID.5.1^Rossi|||||^^^LIS~^^^&1.2.1&ISO";
    assert_eq!(asked("Q22", both, "RCP|I\r").await, found(&[ANNA, BRUNA]));
    let unknown = asked("Q22", "@PID.5.1^Rossi|||||^^^LIS~^^^EMR", "RCP|I\r").await;
    let text = "the domain asked for is not known here";
    assert_eq!(unknown, wrong("QPD^1^8^2", "204^Unknown key identifier", text));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let (required, table) = ("101^Required field missing", "103^Table value not found");
    let (unknown, data_type) = ("204^Unknown key identifier", "102^Data type error");
    for (qpd, place, code, text) in [
        (
            "@PID.8^F~@PID.3.1^1~@PID.3.4^EMR",
            "QPD^1^3^2",
            unknown,
            "the assigning authority is not known here",
        ),
        ("@PID.3.4^SIO", "QPD^1^3^1", required, "an assigning authority without an identifier"),
        ("@PID.8^X", "QPD^1^3^1", table, "this is no sex of table 0001"),
        ("@PID.7^3.2.1980", "QPD^1^3^1", data_type, "a date is written YYYYMMDD"),
        ("@PID.5.1^A~@PID.5.1^B", "QPD^1^3^2", data_type, "this is asked for twice"),
        ("@PID.5.1.2^von", "QPD^1^3^1", table, "nobody can be looked for by @PID.5.1 here"),
        ("@PID.22^H", "QPD^1^3^1", table, "nobody can be looked for by @PID.22.1 here"),
        ("@PV1.19.1^V1", "QPD^1^3^1", table, "nobody can be looked for by @PV1.19.1 here"),
        ("PID.5.1^A", "QPD^1^3^1", data_type, "a parameter is named after a field, such as @PID.5.1"),
        ("", "QPD^1^3^1", required, "the question says nothing that could be looked for"),
    ] {
        assert_eq!(asked("Q22", qpd, "RCP|I\r").await, wrong(place, code, text), "{qpd}");
    }
    // What is not looked at is told, and the rest is done.
    let noted = asked("Q22", "@PID.5.1^Rossini~@PID.5.7^L", "RCP|I\r").await;
    assert!(
        noted.get(1).is_some_and(|error| error.starts_with("ERR||QPD^1^3^2|103") && error.contains("|W|"))
    );
    assert_eq!(noted.iter().filter(|segment| segment.starts_with("PID")).count(), 1);
}

#[tokio::test]
async fn an_answer_goes_on_where_the_one_before_ended() {
    let (mut told, mut rest, mut answers) = (Vec::new(), "RCP|I|1^RD\r".to_owned(), 0);
    loop {
        let answer = asked("Q22", "@PID.5.1^ross*", &rest).await;
        answers += 1;
        told.extend(answer.iter().filter(|s| s.starts_with("PID")).cloned());
        let Some(pointer) = answer.iter().find(|segment| segment.starts_with("DSC")) else { break };
        rest = format!("RCP|I|1^RD\r{pointer}\r");
    }
    assert_eq!(told, [ANNA, BRUNA, CARLA].map(|pid| format!("PID|1||{pid}")));
    assert_eq!(answers, 3);
    let other = asked("Q22", "@PID.5.1^Rossi", &rest).await;
    let text = "the pointer is not one of this query";
    assert_eq!(other, wrong("DSC^1^1^1", "204^Unknown key identifier", text));
}

#[tokio::test]
async fn visits_are_told_with_patients() {
    let visit = |class: &str, place: &str, doctor: &str, number: &str, begin: &str| {
        let (to_number, to_begin) = ("|".repeat(12), "|".repeat(25));
        format!("PV1|1|{class}|{place}||||{doctor}{to_number}{number}^^^&1.6&ISO^VN{to_begin}{begin}")
    };
    let v1 = &visit("O", "", "", "V1", "20260101");
    let v2 = &visit("I", "CARD^389", "D7^Bruno^^^^^^^&1.5&ISO", "V2", "20260102");
    let v3 = &visit("E", "", "", "V3", "20260103");
    let none = "PV1|1|N";
    let all: [(&str, Vec<(&str, &str)>); 13] = [
        ("@PV1.19.1^V1", vec![(ANNA, v1)]),
        ("@PV1.19.1^V1~@PV1.19.4.2^1.6~@PV1.19.4.3^ISO~@PID.5.1^Rossi", vec![(ANNA, v1)]),
        ("@PV1.19.1^V1~@PID.5.1^Rossini", vec![]),
        ("@PV1.2^I", vec![(ANNA, v2)]),
        ("@PV1.3.2^389", vec![(ANNA, v2)]),
        ("@PV1.3.1^CARD~@PV1.3.2^389~@PID.8^F", vec![(ANNA, v2)]),
        ("@PV1.3.1^CARD", vec![(ANNA, v2)]),
        ("@PV1.3.2^390", vec![]),
        ("@PV1.7.1^D7", vec![(ANNA, v2)]),
        ("@PV1.7.2^Bruno", vec![(ANNA, v2)]),
        ("@PV1.17.1^D7", vec![]),
        // A visit of somebody who was merged is one of who is left.
        ("@PV1.19.1^V3", vec![(CARLA, v3)]),
        // Without a question about visits: the last of each.
        ("@PID.5.1^Rossi", vec![(ANNA, v2), (BRUNA, none)]),
    ];
    for (qpd, groups) in all {
        let patients: Vec<&str> = groups.iter().map(|(pid, _)| *pid).collect();
        let mut expected = found(&patients);
        for (at, (_, pv1)) in groups.iter().enumerate() {
            expected.insert(3 + at * 2, (*pv1).to_owned());
        }
        assert_eq!(asked("ZV1", qpd, "RCP|I\r").await, expected, "{qpd}");
    }
}

//! What PID-3 deletes: the identifiers of a domain (`""^^^&oid&ISO`).
//!
//! Spec: HL7 v2.5.1 section 2.5.3

use serde_json::Value;
use tests::mllp::{MllpClient, code};

use super::{Running, header};

/// Writes A31 of one patient. `others`: what PID-3 has besides his number.
fn a31(control_id: &str, at: &str, others: &str) -> String {
    [
        header("ADT^A31", control_id, ""),
        format!("EVN||{at}\r"),
        format!("PID|1||p1^^^SIO&1.2.3&ISO{others}||ROSSI^MARIO||19700101|M\r"),
        "PV1|1|N\r".to_owned(),
    ]
    .concat()
}

fn send(client: &mut MllpClient, message: &str) {
    let answer = client.ask(message);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
}

/// The values of the identifiers that the patient has.
fn values(running: &Running) -> Vec<String> {
    let patient = running.one("Patient?identifier=urn:oid:1.2.3%7Cp1");
    let identifiers = patient["identifier"].as_array().cloned().unwrap_or_default();
    let text = |of: &Value| of["value"].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<String> = identifiers.iter().map(text).collect();
    all.sort();
    all
}

#[test]
fn null_deletes_the_identifiers_of_a_domain() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    let both = "~A1^^^&1.2.9&ISO~A2^^^&1.2.9&ISO~B1^^^&1.2.8&ISO";
    send(&mut client, &a31("1", "20260102030405+0100", both));
    assert_eq!(values(&running), ["A1", "A2", "B1", "p1"]);
    // What is left out stays.
    send(&mut client, &a31("2", "20260102030406+0100", "~B1^^^&1.2.8&ISO"));
    assert_eq!(values(&running), ["A1", "A2", "B1", "p1"]);
    // What is older deletes nothing.
    send(&mut client, &a31("3", "20260101030405+0100", "~\"\"^^^&1.2.9&ISO"));
    assert_eq!(values(&running), ["A1", "A2", "B1", "p1"]);
    let deleting = a31("4", "20260102030407+0100", "~\"\"^^^&1.2.9&ISO");
    send(&mut client, &deleting);
    assert_eq!(values(&running), ["B1", "p1"]);
    assert_eq!(running.count("Patient?identifier=urn:oid:1.2.9%7CA1"), 0);
    let query = |id: &str, of: &str| {
        format!("{}QPD|IHE PIX Query|{id}|{of}\rRCP|I\r", header("QBP^Q23^QBP_Q21", id, ""))
    };
    assert_eq!(client.ask(&query("q1", "A1^^^&1.2.9&ISO")).value("QAK", 2, 1).as_deref(), Some("AE"));
    let known = client.ask(&query("q2", "p1^^^SIO&1.2.3&ISO"));
    assert_eq!(known.value("QAK", 2, 1).as_deref(), Some("OK"), "{}", known.write());
    // All of a domain but what is told: one number in the place of another.
    send(&mut client, &a31("5", "20260102030408+0100", "~\"\"^^^&1.2.8&ISO~B2^^^&1.2.8&ISO"));
    assert_eq!(values(&running), ["B2", "p1"]);
    // Sent again, it does so no more.
    send(&mut client, &a31("6", "20260102030409+0100", "~A1^^^&1.2.9&ISO"));
    send(&mut client, &deleting);
    assert_eq!(values(&running), ["A1", "B2", "p1"]);
    // It was told by the message: nothing of it is unmapped.
    let patient = running.one("Patient?identifier=urn:oid:1.2.3%7Cp1");
    let kept = format!("Provenance?target=Patient/{}&_count=50", patient["id"].as_str().expect("an id"));
    let kept = running.server.client().get(&kept).json().to_string();
    assert!(!kept.contains("PID-3"), "{kept}");
}

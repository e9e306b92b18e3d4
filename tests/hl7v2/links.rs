//! A24 says that two records are of one person, A37 that they are not: at every door.

use tests::mllp::{MllpClient, code};

use super::{Running, adt, header, identifier};

const AT: &str = "20260102030405+0100";

/// Writes A24 or A37 of two patients.
fn linked(event: &str, control_id: &str, one: &str, other: &str) -> String {
    let of = |patient: &str| format!("{patient}^^^SIO&1.2.3&ISO");
    [
        header(&format!("ADT^{event}^ADT_{event}"), control_id, ""),
        format!("EVN||{AT}\r"),
        format!("PID|1||{}||ROSSI^{one}\rPV1|1|N\r", of(one)),
        format!("PID|2||{}\r", of(other)),
    ]
    .concat()
}

/// Asks by which other identifiers a patient is known: the answer's PID-3, or its status.
fn known(client: &mut MllpClient, control_id: &str, patient: &str) -> String {
    let query = format!("QPD|IHE PIX Query|{control_id}|{patient}^^^SIO&1.2.3&ISO\rRCP|I\r");
    let answer = client.ask(&format!("{}{query}", header("QBP^Q23^QBP_Q21", control_id, "")));
    answer.value("PID", 3, 1).or_else(|| answer.value("QAK", 2, 1)).unwrap_or_else(|| answer.write())
}

#[test]
fn who_is_linked_is_one_person_until_that_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for (number, patient) in ["p1", "p2"].into_iter().enumerate() {
        let answer = client.ask(&adt("A28", &format!("f{number}"), AT, patient, "ROSSI"));
        assert_eq!(code(&answer), "AA", "{}", answer.write());
    }
    assert_eq!(known(&mut client, "q0", "p1"), "NF");
    let link = linked("A24", "l1", "p1", "p2");
    let answer = client.ask(&link);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    assert_eq!(client.ask(&link).write(), answer.write(), "what is sent again is answered again");
    let record = running.one(&format!("Patient?{}", identifier("p1")));
    assert_eq!(record["link"][0]["type"], "seealso", "{record}");
    // Nothing else of them changes, and the name that A24 told is what it was.
    assert_eq!(record["name"][0]["family"], "ROSSI", "{record}");
    assert_eq!((known(&mut client, "q1", "p1"), known(&mut client, "q2", "p2")), ("p2".into(), "p1".into()));
    let answer = client.ask(&linked("A37", "u1", "p1", "p2"));
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    assert_eq!(known(&mut client, "q3", "p1"), "NF");
    let record = running.one(&format!("Patient?{}", identifier("p2")));
    assert!(record["link"].is_null(), "{record}");
    // Himself, and somebody whom nobody knows.
    for (number, (one, other)) in [("p1", "p1"), ("p1", "p9")].into_iter().enumerate() {
        let answer = client.ask(&linked("A24", &format!("w{number}"), one, other));
        assert_eq!(code(&answer), "AE", "{one} {other}: {}", answer.write());
    }
}

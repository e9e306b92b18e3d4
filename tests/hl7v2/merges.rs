//! What messages say of identifiers: A40 merges, and what is wrong with it changes nothing.

use tests::mllp::code;

use super::{Running, adt, header, identifier};

const AT: &str = "20260102030405+0100";

/// Writes A40: `subsumed` was merged into `survivor`.
fn a40(control_id: &str, survivor: &str, subsumed: &str) -> String {
    let of = |patient: &str| format!("{patient}^^^SIO&1.2.3&ISO");
    [
        header("ADT^A40^ADT_A39", control_id, ""),
        format!("EVN||{AT}\r"),
        format!("PID|1||{}||ROSSI^{survivor}\r", of(survivor)),
        format!("MRG|{}\r", of(subsumed)),
    ]
    .concat()
}

/// Asks by which other identifiers a patient is known: the status of the answer.
fn known(client: &mut tests::mllp::MllpClient, control_id: &str, patient: &str) -> String {
    let query = format!("QPD|IHE PIX Query|{control_id}|{patient}^^^SIO&1.2.3&ISO\rRCP|I\r");
    let answer = client.ask(&format!("{}{query}", header("QBP^Q23^QBP_Q21", control_id, "")));
    answer.value("QAK", 2, 1).unwrap_or_else(|| answer.write())
}

#[test]
fn who_was_merged_is_known_by_who_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for (number, patient) in ["p1", "p2", "p3"].into_iter().enumerate() {
        let answer = client.ask(&adt("A28", &format!("f{number}"), AT, patient, "ROSSI"));
        assert_eq!(code(&answer), "AA", "{}", answer.write());
    }
    // A chain: the first into the second, that into the third.
    for (number, (survivor, subsumed)) in [("p2", "p1"), ("p3", "p2")].into_iter().enumerate() {
        let message = a40(&format!("m{number}"), survivor, subsumed);
        let answer = client.ask(&message);
        assert_eq!(code(&answer), "AA", "{}", answer.write());
        assert_eq!(client.ask(&message).write(), answer.write());
        let gone = running.one(&format!("Patient?{}", identifier(subsumed)));
        let mut links = gone["link"].as_array().into_iter().flatten();
        assert!(links.any(|link| link["type"] == "replaced-by") && gone["active"] == false, "{gone}");
        assert_eq!(known(&mut client, &format!("q{number}"), subsumed), "AE");
        assert_eq!(known(&mut client, &format!("r{number}"), survivor), "NF");
    }
    // What is wrong is refused, and changes nothing: himself, one who is gone, one whom nobody knows.
    let before = running.count("Patient?active=false");
    for (number, (survivor, subsumed)) in
        [("p3", "p3"), ("p1", "p3"), ("p3", "p2"), ("p9", "p3"), ("p3", "p9")].into_iter().enumerate()
    {
        let answer = client.ask(&a40(&format!("w{number}"), survivor, subsumed));
        assert_eq!(code(&answer), "AE", "{survivor} {subsumed}: {}", answer.write());
        assert!(answer.segment("ERR").is_some(), "{}", answer.write());
    }
    assert_eq!(running.count("Patient?active=false"), before);
    assert_eq!(known(&mut client, "q9", "p3"), "NF");
}

//! ITI-10: which identifiers are of one person.

use ihe_adapters::wire::hl7v2::acknowledgement::Code;
use serde_json::{Value, json};

use crate::consumer::{Consumer, WAIT, count, put, told};

fn link(to: &str) -> Value {
    json!({ "link": [{ "type": "seealso", "other": { "reference": format!("Patient/{to}") } }] })
}

#[test]
fn a_consumer_is_told_of_identifiers() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    let messages = consumer.listen(|_| Some(Code::ApplicationAccept));
    let running = consumer.subscribed(folder.path(), "\"1.2.3\", \"1.2.4\"");
    put(&running, "a", "1.2.3", json!({}));
    let first = messages.recv_timeout(WAIT).expect("told");
    for (field, expected) in [(3, "LANTERNA"), (5, "LIS"), (6, "H1"), (9, "ADT^A31^ADT_A05"), (12, "2.5")] {
        assert_eq!(first.header(field).text(), expected, "MSH-{field}");
    }
    assert_eq!(told(&first).0, ["a"]);
    put(&running, "b", "1.2.4", json!({}));
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["b"]);
    // What concerns nobody is not told: an address, a domain of others.
    put(&running, "a", "1.2.3", json!({ "address": [{ "city": "Genova" }] }));
    put(&running, "z", "1.2.9", json!({}));
    let linked = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "PUT", "url": "Patient/a" }, "resource": {
            "resourceType": "Patient", "id": "a", "identifier": [{ "system": "urn:oid:1.2.3", "value": "a" }], "link": link("b")["link"] } },
        { "request": { "method": "PUT", "url": "Patient/b" }, "resource": {
            "resourceType": "Patient", "id": "b", "identifier": [{ "system": "urn:oid:1.2.4", "value": "b" }], "link": link("a")["link"] } },
    ] });
    let done = running.client().json("POST", "", &[], &linked).expect("linked");
    assert_eq!(done.status, 200, "{}", done.json());
    let mut both = told(&messages.recv_timeout(WAIT).expect("told")).0;
    both.sort();
    assert_eq!(both, ["a", "b"]);
    put(&running, "c", "1.2.3", json!({}));
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["c"]);
    assert!(count(&running, "AuditEvent?subtype=ITI-10") >= 3);
}

#[test]
fn nothing_is_lost_while_a_consumer_is_away_and_the_server_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    // The first message of all is not answered: it comes again as it was.
    let messages = consumer.listen(|count| (count > 0).then_some(Code::ApplicationAccept));
    let running = consumer.subscribed(folder.path(), "");
    put(&running, "p0", "1.2.3", json!({}));
    let first = messages.recv_timeout(WAIT).expect("told");
    assert_eq!(messages.recv_timeout(WAIT).expect("told again"), first);
    let mut expected = vec!["p0".to_owned()];
    for number in 1..11 {
        let id = format!("p{number}");
        put(&running, &id, "1.2.3", json!({}));
        expected.push(id);
    }
    running.kill();
    let running = consumer.subscribed(folder.path(), "");
    for number in 11..20 {
        let id = format!("p{number}");
        put(&running, &id, "1.2.3", json!({}));
        expected.push(id);
    }
    let (mut seen, mut ids) = (vec!["p0".to_owned()], vec![told(&first).1]);
    while seen.len() < expected.len() {
        let (identifiers, id) = told(&messages.recv_timeout(WAIT).expect("told"));
        // One that was sent just before the server was killed may come again, under its id.
        if ids.contains(&id) {
            continue;
        }
        ids.push(id);
        seen.extend(identifiers);
    }
    assert_eq!(seen, expected, "in their order, each once");
}

#[test]
fn what_is_refused_does_not_hold_up_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = Consumer::new();
    let messages = consumer
        .listen(|count| Some(if count == 0 { Code::ApplicationError } else { Code::ApplicationAccept }));
    let running = consumer.subscribed(folder.path(), "");
    put(&running, "a", "1.2.3", json!({}));
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["a"]);
    put(&running, "b", "1.2.3", json!({}));
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["b"]);
    // It is recorded before the next is sent.
    assert_eq!(count(&running, "AuditEvent?subtype=ITI-10&outcome=4"), 1);
}

//! Messages are acknowledged as they ask for it.

use std::time::{Duration, Instant};

use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::mllp::frame;
use tests::mllp::code;

use super::{Running, adt, identifier};

const AT: &str = "20260102030405+0100";

/// Writes a message that asks to be acknowledged so.
pub(super) fn asking(modes: &str, control_id: &str, patient: &str) -> String {
    adt("A28", control_id, AT, patient, "ROSSI").replace("|P|2.5\r", &format!("|P|2.5|||{modes}\r"))
}

/// Waits until a patient is there whose message was taken over.
pub(super) fn wait_for(running: &Running, patient: &str) {
    let begin = Instant::now();
    while running.count(&format!("Patient?{}", identifier(patient))) == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "{patient} was taken over, and not performed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn enhanced_mode_tells_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    let taken = client.ask(&asking("AL|AL", "1", "p1"));
    assert_eq!((code(&taken).as_str(), taken.value("MSA", 2, 1).as_deref()), ("CA", Some("1")));
    let performed = Message::read(&client.read().expect("read")).expect("a message");
    assert_eq!((code(&performed).as_str(), performed.value("MSA", 2, 1).as_deref()), ("AA", Some("1")));
    // Our acknowledgement may be acknowledged, which wants nothing more.
    client.write(&frame(b"MSH|^~\\&|SIO|H1|||||ACK|c1|P|2.5\rMSA|CA|x\r")).expect("sent");
    for (number, modes, expected) in [
        (2, "AL|NE", vec!["CA"]),
        (3, "AL|ER", vec!["CA"]),
        (4, "AL|SU", vec!["CA", "AA"]),
        (5, "NE|AL", vec!["AA"]),
        (6, "ER|AL", vec!["AA"]),
        (7, "SU|SU", vec!["CA", "AA"]),
    ] {
        let id = number.to_string();
        client.write(&frame(asking(modes, &id, &format!("p{number}")).as_bytes())).expect("sent");
        for code_of in expected {
            let answer = Message::read(&client.read().expect("read")).expect("a message");
            assert_eq!(
                (code(&answer).as_str(), answer.value("MSA", 2, 1)),
                (code_of, Some(id.clone())),
                "{modes}"
            );
        }
        // Who is told no more than that it was taken over may look too early.
        wait_for(&running, &format!("p{number}"));
    }
    // What is refused for its header is refused at once.
    let refused = client.ask(&asking("AL|AL", "8", "p8").replace("ADT^A28", "ADT^A99"));
    assert_eq!(code(&refused), "CR");
    // What is in error is told when it was looked at.
    let wrong = asking("AL|ER", "9", "").replace("^^^SIO&1.2.3&ISO", "");
    assert_eq!(code(&client.ask(&wrong)), "CA");
    assert_eq!(code(&Message::read(&client.read().expect("read")).expect("a message")), "AE");
}

#[test]
fn what_was_taken_over_is_performed_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    // The connection ends when all were taken over: nobody waits for what they lead to.
    let many: Vec<u8> =
        (0..50).flat_map(|n| frame(asking("AL|AL", &n.to_string(), &format!("p{n}")).as_bytes())).collect();
    client.write(&many).expect("sent");
    let mut taken = Vec::new();
    while taken.len() < 10 {
        let answer = Message::read(&client.read().expect("read")).expect("a message");
        if code(&answer) == "CA" {
            taken.push(answer.value("MSA", 2, 1).expect("an id"));
        }
    }
    running.server.kill();
    let running = Running::start(folder.path(), "");
    taken.iter().for_each(|id| wait_for(&running, &format!("p{id}")));
    // The sender is told of them when it is there again; those that were told may be told again.
    let mut client = running.connect();
    assert_eq!(code(&client.ask(&asking("AL|NE", "last", "last"))), "CA");
    let told = Message::read(&client.read().expect("read")).expect("a message");
    assert_eq!(code(&told), "AA");
    for id in &taken {
        let patient = running.one(&format!("Patient?{}", identifier(&format!("p{id}"))));
        assert_eq!(patient["meta"]["versionId"], "1", "{id} was applied once");
    }
}

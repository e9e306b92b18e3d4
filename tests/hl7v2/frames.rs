//! Frames that are malformed are refused, and the message behind them is not lost.

use tests::mllp::code;

use super::{Running, adt, identifier};
use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::mllp::frame;

#[test]
fn a_malformed_frame_loses_no_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "[hl7v2]\nmessage_bytes_max = 5000\n");
    let long = format!("\x0bMSH|^~\\&|{}\x1c\r", "x".repeat(6000));
    let broken: [(&str, &[u8], &str); 6] = [
        ("cut off", b"\x0bMSH|^~\\&|SIO|H1||||", "100"),
        ("noise", b"noise", "100"),
        ("no message", b"\x0bhello\x1c\r", "100"),
        ("empty", b"\x0b\x1c\r", "100"),
        ("an end inside", b"\x0bMSH|^~\\&|a\x1cb\x1c\r", "100"),
        ("too long", long.as_bytes(), "104"),
    ];
    for (number, (why, bytes, condition)) in broken.into_iter().enumerate() {
        let mut client = running.connect();
        let message = adt("A28", &format!("F{number}"), "20260102030405", &format!("p{number}"), "ROSSI");
        client.write(&[bytes, &frame(message.as_bytes())].concat()).expect("sent");
        let refused = Message::read(&client.read().expect("refused")).expect("a message");
        assert_eq!(code(&refused), "AR", "{why}");
        assert_eq!(refused.value("ERR", 3, 1).as_deref(), Some(condition), "{why}: {}", refused.write());
        let accepted = Message::read(&client.read().expect("accepted")).expect("a message");
        assert_eq!(code(&accepted), "AA", "{why}: {}", accepted.write());
        assert_eq!(accepted.value("MSA", 2, 1), Some(format!("F{number}")));
        assert_eq!(running.count(&format!("Patient?{}", identifier(&format!("p{number}")))), 1, "{why}");
    }
}

#[test]
fn no_content_makes_a_segment() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    let injected = r"ROSSI\X0D\PID|1||victim^^^SIO&1.2.3&ISO\X0D\"
        .replace('|', r"\F\")
        .replace('^', r"\S\")
        .replace('&', r"\T\");
    let answer = client.ask(&adt("A28", "I1", "20260102030405", "p1", &injected));
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    assert_eq!(running.count("Patient"), 1);
    assert_eq!(running.count(&format!("Patient?{}", identifier("victim"))), 0);
    // A second header is no second message.
    let twice =
        format!("{}MSH|^~\\&|SIO|H1|||||ADT^A28|I3|P|2.5\r", adt("A28", "I2", "20260102030405", "p2", "X"));
    assert_eq!(code(&client.ask(&twice)), "AR");
    assert_eq!(running.count("Patient"), 1);
    // What an acknowledgement repeats of a message stays in its field.
    let odd = adt("A99", r"I4\X0D\MSA", "20260102030405", "p2", "X");
    let answer = client.ask(&odd);
    assert_eq!(code(&answer), "AR");
    assert_eq!(answer.segments("MSA").count(), 1);
}

#[test]
fn separators_alone_are_no_burden() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for (control_id, separators, expected) in [("S1", 15 << 20, "AR"), ("S2", 400_000, "AA")] {
        let patient = adt("A28", control_id, "20260102030405", "p1", "ROSSI");
        let answer = client.ask(&format!("{patient}ZXX{}\r", "|".repeat(separators)));
        assert_eq!(code(&answer), expected, "{separators}: {}", answer.write());
    }
    // Also in the header, of which a key is made.
    let header = adt("A28", "S3", "20260102030405", "p1", "ROSSI")
        .replace("|P|2.5", &format!("|P|2.5{}", "|".repeat(400_000)));
    assert_eq!(code(&client.ask(&header)), "AA");
}

#[test]
fn messages_arrive_byte_by_byte_and_many_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for byte in frame(adt("A28", "B1", "20260102030405", "p1", "ROSSI").as_bytes()) {
        client.write(&[byte]).expect("sent");
    }
    assert_eq!(code(&Message::read(&client.read().expect("read")).expect("a message")), "AA");
    let many: Vec<u8> = (0..20)
        .flat_map(|n| {
            frame(adt("A31", &format!("M{n}"), "20260102030405", "p1", &format!("N{n}")).as_bytes())
        })
        .collect();
    client.write(&many).expect("sent");
    for n in 0..20 {
        let answer = Message::read(&client.read().expect("read")).expect("a message");
        assert_eq!((code(&answer), answer.value("MSA", 2, 1)), ("AA".to_owned(), Some(format!("M{n}"))));
    }
    let patient = running.one(&format!("Patient?{}", identifier("p1")));
    assert_eq!(patient["name"][0]["family"], "N19");
}

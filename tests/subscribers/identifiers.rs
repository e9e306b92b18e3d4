//! Who subscribed is told of what changes: ITI-10.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ihe_adapters::wire::hl7v2::acknowledgement::{Acknowledging, Code, acknowledge};
use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::mllp::{Deframer, Framed, frame};
use serde_json::{Value, json};
use tests::Server;

/// How long one waits for what arrives.
const WAIT: Duration = Duration::from_secs(60);

/// A system that is told.
struct Consumer {
    listener: TcpListener,
    port: u16,
}

impl Consumer {
    fn new() -> Consumer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        Consumer { listener, port }
    }

    /// Listens, and answers each message as `answers` says: its code, or not at all.
    fn listen(&self, answers: fn(usize) -> Option<Code>) -> Receiver<Message> {
        let listener = self.listener.try_clone().expect("a listener");
        let (told, receiver) = channel();
        std::thread::spawn(move || {
            let mut count = 0;
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                while let Some(message) = read(&mut stream) {
                    let answer = answers(count);
                    count += 1;
                    if told.send(message.clone()).is_err() {
                        return;
                    }
                    // Who does not answer goes away.
                    let Some(code) = answer else { break };
                    let at = "2026-01-02T03:04:05Z".parse().expect("time");
                    let by = Acknowledging { control_id: "x", at, application: "LIS" };
                    let answer = acknowledge(&message, &by, code, &[]).to_bytes();
                    if stream.write_all(&frame(&answer)).is_err() {
                        break;
                    }
                }
            }
        });
        receiver
    }

    /// Starts a server that tells it of some domains.
    fn subscribed(&self, folder: &Path, domains: &str) -> Server {
        let file = folder.join("settings.toml");
        std::fs::write(&file, self.settings(domains)).expect("written");
        Server::start_with(&folder.join("data"), &["--config", &file.display().to_string()], &[])
    }

    fn settings(&self, domains: &str) -> String {
        format!(
            "[[subscribers]]\nname = \"lis\"\naddress = \"mllp://127.0.0.1:{}\"\nwhat = [\"pix\"]\n\
             domains = [{domains}]\napplication = \"LIS\"\nfacility = \"H1\"\n[outbox]\npause_seconds = 0.1\npause_seconds_max = 0.2\n",
            self.port
        )
    }
}

fn read(stream: &mut TcpStream) -> Option<Message> {
    let mut deframer = Deframer::new(1 << 20);
    let mut buffer = [0; 4096];
    loop {
        match deframer.next_message() {
            Framed::Message(message) => return Message::read(&message).ok(),
            Framed::Refused(_) => return None,
            Framed::Incomplete => {}
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        deframer.push(buffer.get(..count)?);
    }
}

fn put(running: &Server, id: &str, oid: &str, rest: Value) {
    let mut patient = json!({
        "resourceType": "Patient", "id": id,
        "identifier": [{ "system": format!("urn:oid:{oid}"), "value": id }],
    });
    if let (Some(patient), Some(rest)) = (patient.as_object_mut(), rest.as_object()) {
        patient.extend(rest.clone());
    }
    let stored = running.client().json("PUT", &format!("Patient/{id}"), &[], &patient).expect("stored");
    assert!(stored.status < 300, "{}", stored.json());
}

fn count(running: &Server, search: &str) -> u64 {
    let found = running.client().get(&format!("{search}&_summary=count")).json();
    found["total"].as_u64().unwrap_or_else(|| panic!("{search}: {found}"))
}

fn link(to: &str) -> Value {
    json!({ "link": [{ "type": "seealso", "other": { "reference": format!("Patient/{to}") } }] })
}

/// Returns the identifiers that a message tells, and its control id.
fn told(message: &Message) -> (Vec<String>, String) {
    let patient = message.segment("PID").expect("a patient");
    let identifiers = patient.part(3).repetitions().filter_map(|of| of.component(1).value()).collect();
    (identifiers, message.header(10).text().to_owned())
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

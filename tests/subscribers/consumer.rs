//! A system that is told by HL7 v2.

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
pub(crate) const WAIT: Duration = Duration::from_secs(60);

/// A system that is told.
pub(crate) struct Consumer {
    listener: TcpListener,
    pub(crate) port: u16,
}

impl Consumer {
    pub(crate) fn new() -> Consumer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        Consumer { listener, port }
    }

    /// Listens, and answers each message as `answers` says: its code, or not at all.
    pub(crate) fn listen(&self, answers: fn(usize) -> Option<Code>) -> Receiver<Message> {
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
    pub(crate) fn subscribed(&self, folder: &Path, domains: &str) -> Server {
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

/// Puts a Patient with one identifier, of a domain.
pub(crate) fn put(running: &Server, id: &str, oid: &str, rest: Value) {
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

/// Returns how many resources a search finds.
pub(crate) fn count(running: &Server, search: &str) -> u64 {
    let found = running.client().get(&format!("{search}&_summary=count")).json();
    found["total"].as_u64().unwrap_or_else(|| panic!("{search}: {found}"))
}

/// Returns the identifiers that a message tells, and its control id.
pub(crate) fn told(message: &Message) -> (Vec<String>, String) {
    let patient = message.segment("PID").expect("a patient");
    let identifiers = patient.part(3).repetitions().filter_map(|of| of.component(1).value()).collect();
    (identifiers, message.header(10).text().to_owned())
}

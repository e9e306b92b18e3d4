//! ITI-46: which identifiers are of one person, by HL7 v3.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use ihe_adapters::wire::hl7v3::acknowledgement::{AcknowledgementType, accept_acknowledgement};
use ihe_adapters::wire::hl7v3::identifier::InstanceIdentifier;
use ihe_adapters::wire::hl7v3::message::Transmission;
use ihe_adapters::wire::hl7v3::registration::{patient_of, registrations};
use ihe_adapters::wire::hl7v3::{all, at};
use ihe_adapters::wire::soap::Envelope;
use ihe_adapters::wire::xml::{Element, Limits};
use serde_json::json;
use tests::Server;
use tests::http::Request;

use crate::consumer::{WAIT, count, put};

/// Listens, and acknowledges each notification as `answers` says, or closes the connection.
fn listen(listener: &TcpListener, answers: fn(usize) -> Option<AcknowledgementType>) -> Receiver<Element> {
    let listener = listener.try_clone().expect("a listener");
    let (told, receiver) = channel();
    std::thread::spawn(move || {
        let mut number = 0;
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut stream = stream;
            while let Ok(Some(request)) = Request::read(&mut reader) {
                let envelope = Element::parse(&request.body, &Limits::default()).expect("XML");
                let envelope = Envelope::of(envelope).expect("an envelope");
                let message = envelope.body.clone();
                let how = answers(number);
                number += 1;
                let asked = Transmission::of(&message);
                if told.send(message).is_err() {
                    return;
                }
                let Some(how) = how else { break };
                let body = accept_acknowledgement(&asked, how, &[]);
                let answer = Envelope { version: envelope.version, headers: Vec::new(), body };
                let answer = answer.into_element().to_xml();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/soap+xml\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                if stream.write_all(format!("{head}{answer}").as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    receiver
}

fn subscribed(folder: &Path, port: u16) -> Server {
    let settings = format!(
        "[[subscribers]]\nname = \"ris\"\naddress = \"http://127.0.0.1:{port}/pix\"\nwhat = [\"pixv3\"]\n\
         domains = [\"1.2.3\", \"1.2.4\"]\napplication = \"1.9.8\"\nfacility = \"1.9.9\"\n\
         [outbox]\npause_seconds = 0.1\npause_seconds_max = 0.2\n"
    );
    let file = folder.join("settings.toml");
    std::fs::write(&file, settings).expect("written");
    Server::start_with(&folder.join("data"), &["--config", &file.display().to_string()], &[])
}

/// Returns the identifiers that a notification tells, and its id.
fn told(message: &Element) -> (Vec<String>, Option<String>) {
    assert_eq!(message.local, "PRPA_IN201302UV02");
    let patient = registrations(message).find_map(patient_of).expect("a patient");
    let ids = all(patient, "id").filter_map(|id| InstanceIdentifier::of(id).extension).collect();
    (ids, Transmission::of(message).id.root)
}

#[test]
fn a_consumer_is_told_of_identifiers_by_hl7_v3() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    // The first is not answered, and comes again; the second is refused, and does not.
    let messages = listen(&listener, |number| match number {
        0 => None,
        2 => Some(AcknowledgementType::CommitError),
        _ => Some(AcknowledgementType::CommitAccept),
    });
    let running = subscribed(folder.path(), port);
    let name = json!({ "name": [{ "family": "Rossi", "given": ["Anna"] }] });
    put(&running, "a", "1.2.3", name.clone());
    let first = messages.recv_timeout(WAIT).expect("told");
    let transmission = Transmission::of(&first);
    assert_eq!(transmission.receiver.root(), Some("1.9.8"));
    assert_eq!(transmission.receiver.organizations, [InstanceIdentifier::of_root("1.9.9")]);
    let patient = registrations(&first).find_map(patient_of).expect("a patient");
    let family = at(patient, &["patientPerson", "name", "family"]).map(Element::text);
    assert_eq!(family.as_deref(), Some("Rossi"));
    let again = messages.recv_timeout(WAIT).expect("told again");
    assert_eq!(told(&again), told(&first));
    put(&running, "b", "1.2.4", name.clone());
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["b"]);
    put(&running, "z", "1.2.9", name.clone());
    put(&running, "c", "1.2.3", name);
    assert_eq!(told(&messages.recv_timeout(WAIT).expect("told")).0, ["c"]);
    assert!(count(&running, "AuditEvent?subtype=ITI-46") >= 2);
    running.kill();
    let running = subscribed(folder.path(), port);
    put(&running, "d", "1.2.3", json!({}));
    let mut seen = told(&messages.recv_timeout(WAIT).expect("told")).0;
    if seen == ["c"] {
        // It was sent just before the server was killed.
        seen = told(&messages.recv_timeout(WAIT).expect("told")).0;
    }
    assert_eq!(seen, ["d"]);
}

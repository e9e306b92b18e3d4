//! What is recorded of the transactions, and sent to an audit repository that
//! is away and comes back (ITI-20).

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use ihe_adapters::wire::xml::{Element, Limits};
use serde_json::Value;
use tests::Server;
use tests::token_service::{Claims, TokenService};

use super::peer::*;

fn share(peer: &Peer, unique_id: &str, set: &str) {
    let objects = document("d", unique_id, "") + &members(&["d"]);
    let done = peer.provide(&provide(&submit(set, &objects), &[("d", "x")]), &[("x", b"foo")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
}

/// The events of a kind, the latest first.
fn events(peer: &Peer, subtype: &str) -> Vec<Value> {
    let found = peer.fhir.get(&format!("AuditEvent?subtype={subtype}&_sort=-date")).json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

#[test]
fn each_transaction_is_recorded() {
    let data = tempfile::tempdir().expect("a folder");
    let sts = TokenService::new();
    let certificate = data.path().join("sts.pem");
    std::fs::write(&certificate, &sts.certificate).expect("written");
    let settings = data.path().join("settings.toml");
    let text = format!(
        "[xua]\ntrusted = [{:?}]\naudiences = [\"urn:us\"]\n[audit]\nsource_id = \"genova\"\nenterprise_site = \"ASL 3\"\n",
        certificate.display().to_string()
    );
    std::fs::write(&settings, text).expect("written");
    let arguments = ["--config", &settings.display().to_string()];
    let server = Server::start_with(&data.path().join("data"), &arguments, &[]);
    let peer = Peer::of(&server);
    create_patient(&peer);
    share(&peer, "1.8.1", "1.8.2");
    let stored = &events(&peer, "ITI-41")[0];
    assert_eq!((&stored["action"], &stored["outcome"]), (&"C".into(), &"0".into()), "{stored}");
    assert_eq!(stored["type"]["code"], "110107");
    assert_eq!(
        (&stored["source"]["observer"]["identifier"]["value"], &stored["source"]["site"]),
        (&"genova".into(), &"ASL 3".into())
    );
    assert_eq!(stored["agent"][0]["network"]["address"], "127.0.0.1");
    assert!(
        stored["agent"][1]["who"]["identifier"]["value"]
            .as_str()
            .is_some_and(|u| u.ends_with("/xds/repository"))
    );
    let what = |event: &Value, at: usize| event["entity"][at]["what"].clone();
    assert_eq!(what(stored, 0)["reference"], "Patient/p1");
    assert_eq!(what(stored, 1)["identifier"]["value"], "1.8.2");
    // A citizen sees who looked: by the patient it is found.
    assert_eq!(peer.count("AuditEvent?patient=p1"), 1);

    assert_eq!(peer.titles(APPROVED), ["d"]);
    let asked = &events(&peer, "ITI-18")[0];
    assert_eq!((&asked["action"], &asked["type"]["code"]), (&"E".into(), &"110112".into()));
    assert_eq!(what(asked, 1)["identifier"]["value"], FIND_DOCUMENTS);
    assert!(asked["entity"][1]["query"].as_str().is_some_and(|query| query.len() > 100));

    let repository = entry(&peer, "1.8.1");
    let repository = between(&repository, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    peer.retrieve("1.8.1", repository);
    let given = &events(&peer, "ITI-43")[0];
    assert_eq!(
        (&given["type"]["code"], &given["agent"][0]["type"]["coding"][0]["code"]),
        (&"110106".into(), &"110152".into())
    );
    assert_eq!(what(given, 0)["identifier"]["value"], "1.8.1");
    assert_eq!(given["entity"][0]["detail"][0]["valueString"], repository);

    // What is refused is recorded as well, and why.
    peer.retrieve("1.8.9", repository);
    let refused = &events(&peer, "ITI-43")[0];
    assert_eq!(refused["outcome"], "4");
    assert!(refused["outcomeDesc"].as_str().is_some_and(|why| why.starts_with("XDSDocumentUniqueIdError")));

    // Users are told as their assertions tell of them; who is not believed is recorded too.
    let with = |assertion: &str| {
        let body = adhoc_query(GET_DOCUMENTS, "ObjectRef", &[("$XDSDocumentEntryUniqueId", "('1.8.1')")]);
        let message = envelope("urn:ihe:iti:2007:RegistryStoredQuery", &body);
        let header = format!(
            "<w:Security xmlns:w='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'>\
             {assertion}</w:Security></s:Header>"
        );
        peer.post("xds/registry", "application/soap+xml", message.replace("</s:Header>", &header).as_bytes())
            .status
    };
    assert_eq!(with(&sts.assertion(&Claims::of("anna", "urn:us"))), 200);
    let asked = &events(&peer, "ITI-18")[0];
    let user = &asked["agent"][2];
    assert_eq!((&user["who"]["identifier"]["value"], &user["name"]), (&"anna".into(), &"Anna Rossi".into()));
    assert_eq!((&user["role"][0]["coding"][0]["code"], &user["requestor"]), (&"221".into(), &true.into()));
    assert_eq!(asked["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
    assert_eq!(with(&sts.assertion(&Claims::of("anna", "urn:others"))), 400);
    let refused = &events(&peer, "110122")[0];
    assert_eq!((&refused["type"]["code"], &refused["outcome"]), (&"110114".into(), &"4".into()));

    for event in [stored, given, refused].into_iter().cloned().chain(events(&peer, "ITI-18")) {
        let answer = peer.fhir.json("POST", "AuditEvent/$validate", &[], &event).expect("an answer").json();
        let errors = answer["issue"].as_array().into_iter().flatten().filter(|i| i["severity"] == "error");
        let errors: Vec<&Value> = errors.collect();
        assert!(errors.is_empty(), "{event}: {errors:?}");
    }
}

/// Takes one framed message; `None` when none comes.
fn message(stream: &mut TcpStream) -> Option<String> {
    let mut length = String::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).ok()?;
        match byte[0] {
            b' ' => break,
            digit => length.push(char::from(digit)),
        }
    }
    let mut bytes = vec![0; length.parse().expect("a length")];
    stream.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8(bytes).expect("text"))
}

/// What a message tells: the transaction, and the object at a place.
fn told(message: &str) -> (String, Vec<String>) {
    let (header, xml) = message.split_once('\u{feff}').expect("a mark before the text");
    assert!(header.starts_with("<85>1 ") && header.ends_with(" IHE+RFC-3881 - "), "{header}");
    let audit = Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed");
    let event = audit.child("", "EventIdentification").expect("an event");
    let code = event.child("", "EventTypeCode").and_then(|code| code.attribute("csd-code"));
    let objects = audit.children_named("", "ParticipantObjectIdentification");
    let ids = objects.filter_map(|object| object.attribute("ParticipantObjectID")).map(str::to_owned);
    (code.unwrap_or_default().to_owned(), ids.collect())
}

/// Waits until the server notes so many as sent since its start.
fn sent(peer: &Peer, count: u64) {
    let begin = Instant::now();
    let expected = format!("lanterna_audit_sent_total {count}\n");
    while !text(&peer.fhir.get(&format!("{}/metrics", peer.origin))).contains(&expected) {
        assert!(begin.elapsed() < Duration::from_secs(30), "not {count} sent");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn accepted(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("set");
    let begin = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).expect("set");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
            return stream;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "nobody comes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_recorded_waits_for_its_repository() {
    let data = tempfile::tempdir().expect("a folder");
    // A port where nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let settings = data.path().join("settings.toml");
    std::fs::write(&settings, format!("[audit]\nrepository = \"tcp://{address}\"\n")).expect("written");
    let arguments = ["--config".to_owned(), settings.display().to_string()];
    let arguments = [arguments[0].as_str(), arguments[1].as_str()];
    let start = || Server::start_with(&data.path().join("data"), &arguments, &[]);
    let server = start();
    let peer = Peer::of(&server);
    create_patient(&peer);
    for at in 0..4 {
        share(&peer, &format!("1.8.{at}"), &format!("1.9.{at}"));
    }
    // It ends as by a power failure, and what it recorded is still to be sent.
    server.kill();
    let listener = TcpListener::bind(address).expect("the port");
    let server = start();
    let mut stream = accepted(&listener);
    let first: Vec<(String, Vec<String>)> =
        (0..4).map(|_| told(&message(&mut stream).expect("a message"))).collect();
    for (at, (code, ids)) in first.iter().enumerate() {
        assert_eq!((code.as_str(), ids[0].as_str()), ("ITI-41", "P1^^^&1.2.3&ISO"));
        assert_eq!(ids[1], format!("1.9.{at}"));
    }
    // What comes later comes by the same connection, once.
    let peer = Peer::of(&server);
    share(&peer, "1.8.4", "1.9.4");
    assert_eq!(told(&message(&mut stream).expect("a message")).1[1], "1.9.4");
    // The repository ends the connection, and gets the next by another.
    drop(stream);
    share(&peer, "1.8.5", "1.9.5");
    let mut stream = accepted(&listener);
    assert_eq!(told(&message(&mut stream).expect("a message")).1[1], "1.9.5");
    // A server that starts again sends nothing twice of what it noted as sent.
    sent(&peer, 6);
    server.kill();
    let server = start();
    let peer = Peer::of(&server);
    share(&peer, "1.8.6", "1.9.6");
    let mut stream = accepted(&listener);
    assert_eq!(told(&message(&mut stream).expect("a message")).1[1], "1.9.6");
    sent(&peer, 1);
}

#[test]
fn what_fhir_is_asked_is_sent_as_dicom_has_it() {
    let data = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let settings = data.path().join("settings.toml");
    std::fs::write(&settings, format!("[audit]\nfhir = \"all\"\nrepository = \"tcp://{address}\"\n"))
        .expect("written");
    let arguments = ["--config", &settings.display().to_string()];
    let server = Server::start_with(&data.path().join("data"), &arguments, &[]);
    let peer = Peer::of(&server);
    create_patient(&peer);
    for path in ["Patient/p1", "Patient?_id=p1", "DocumentReference?patient=p1", "Patient/none"] {
        peer.fhir.get(path);
    }
    assert_eq!(peer.fhir.send("DELETE", "Patient/p1", &[], &[]).expect("an answer").status, 204);
    let mut stream = accepted(&listener);
    for (code, event, outcome) in [
        ("update", "rest", "0"),
        ("read", "rest", "0"),
        ("search", "rest", "0"),
        ("ITI-67", "110112", "0"),
        ("read", "rest", "4"),
        ("delete", "rest", "0"),
    ] {
        let text = message(&mut stream).expect("a message");
        assert_eq!(told(&text).0, code);
        let (_, xml) = text.split_once('\u{feff}').expect("a mark before the text");
        let audit = Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed");
        let identification = audit.child("", "EventIdentification").expect("an event");
        let id = identification.child("", "EventID").expect("an id");
        assert_eq!(id.attribute("csd-code"), Some(event));
        assert_eq!(identification.attribute("EventOutcomeIndicator"), Some(outcome));
        let participants: Vec<&Element> = audit.children_named("", "ActiveParticipant").collect();
        assert_eq!(participants.len(), 2);
        for participant in participants {
            assert!(participant.attribute("UserID").is_some_and(|id| !id.is_empty()), "{xml}");
            assert!(participant.attribute("NetworkAccessPointID").is_some(), "{xml}");
        }
        // Every object is of a type of DICOM, and says what it is known by.
        for object in audit.children_named("", "ParticipantObjectIdentification") {
            let kind = object.attribute("ParticipantObjectTypeCode").expect("a type");
            assert!(["1", "2", "3", "4"].contains(&kind), "{xml}");
            assert!(object.attribute("ParticipantObjectID").is_some_and(|id| !id.is_empty()), "{xml}");
            let id_type = object.child("", "ParticipantObjectIDTypeCode").expect("a type of the id");
            assert!(id_type.attribute("csd-code").is_some_and(|code| !code.is_empty()), "{xml}");
            let query = object.child("", "ParticipantObjectQuery");
            assert_eq!(query.is_some(), object.attribute("ParticipantObjectTypeCodeRole") == Some("24"));
        }
    }
}

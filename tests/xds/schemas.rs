//! Messages against the schemas of IHE and ebXML, where the operator asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::peer::*;
use tests::{Server, binary};

/// The schemas of IHE and ebXML; `None` when they are not there.
fn official() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/wsdl-xsd/toolkit2/v3");
    if !folder.exists() {
        println!("absent, nothing checked: {}", folder.display());
    }
    folder.exists().then_some(folder)
}

fn settings(data: &Path, schemas: &Path) -> String {
    let (settings, schemas) = (data.join("settings.toml"), schemas.display().to_string());
    std::fs::write(&settings, format!("[soap]\nschemas = {schemas:?}\n")).expect("written");
    settings.display().to_string()
}

fn checking(data: &Path, schemas: &Path) -> (Server, Peer) {
    let arguments = ["--config", &settings(data, schemas)];
    let server = Server::start_with(&data.join("data"), &arguments, &[]);
    let peer = Peer::of(&server);
    create_patient(&peer);
    (server, peer)
}

fn submission(unique_id: &str, set: &str) -> String {
    let more = [
        slot("hash", &["0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"]),
        slot("size", &["3"]),
        slot("repositoryUniqueId", &["1.2.3.4.5"]),
    ];
    submit(set, &(document("d", unique_id, &more.concat()) + &members(&["d"])))
}

fn shared(unique_id: &str, set: &str) -> String {
    provide(&submit(set, &(document("d", unique_id, "") + &members(&["d"]))), &[("d", "x")])
}

#[test]
fn what_is_valid_is_performed() {
    let Some(schemas) = official() else { return };
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = checking(data.path(), &schemas);
    let done = text(&peer.registry("RegisterDocumentSet-b", &submission("1.9.1", "1.9.2")));
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    let done = peer.provide(&shared("1.9.3", "1.9.4"), &[("x", b"foo")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert_eq!(peer.titles(APPROVED), ["d", "d"]);
    let all = entry(&peer, "1.9.3");
    let repository = between(&all, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    let retrieved = text(&peer.retrieve("1.9.3", repository));
    assert!(retrieved.contains("ResponseStatusType:Success") && retrieved.contains("foo"), "{retrieved}");
    // Of the messages of subscriptions the folder has no schema: what they mean is judged.
    let subscribe = "<w:Unsubscribe xmlns:w='http://docs.oasis-open.org/wsn/b-2'><w:Any/></w:Unsubscribe>";
    let action = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest";
    let told = text(&peer.post("dsub", "application/soap+xml", envelope(action, subscribe).as_bytes()));
    assert!(told.contains("Fault") && !told.contains("schema"), "{told}");
}

#[test]
fn what_is_not_valid_is_refused_as_its_transaction_answers() {
    let Some(schemas) = official() else { return };
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = checking(data.path(), &schemas);
    let valid = submission("1.9.1", "1.9.2");
    let lcm = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
    for (from, to, place) in [
        ("<Name>", "<Unknown/><Name>", "/rim:Classification[1]\""),
        (" mimeType='application/pdf'", " mimeKind='application/pdf'", "/@mimeKind\""),
        ("<Slot name='creationTime'>", "<Slot>", "/rim:ExtrinsicObject[1]/rim:Slot[1]\""),
        ("<Slot name='size'>", &format!("<Slot xmlns='{lcm}' name='size'>"), "/rim:ExtrinsicObject[1]\""),
    ] {
        assert!(valid.contains(from), "{from}");
        let told = text(&peer.registry("RegisterDocumentSet-b", &valid.replacen(from, to, 1)));
        let location = between(&told, "location=\"", ">");
        assert!(location.starts_with("/lcm:SubmitObjectsRequest[1]/") && location.contains(place), "{told}");
        for expected in [
            "RegistryResponse",
            "ResponseStatusType:Failure",
            "errorCode=\"XDSRegistryMetadataError\"",
            "not valid by the schema",
            "RegisterDocumentSet-bResponse",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
    // The same, beside a document.
    let told =
        peer.provide(&shared("1.9.3", "1.9.4").replacen("<Name>", "<Unknown/><Name>", 1), &[("x", b"foo")]);
    assert!(told.contains("XDSRepositoryMetadataError") && told.contains("Type:Failure"), "{told}");
    assert_eq!(peer.count("DocumentReference?_summary=count"), 0);
    assert_eq!(peer.count("List?_summary=count"), 0);

    let query = adhoc_query(GET_ALL, "LeafClass", &[]).replace("ResponseOption", "ResponseOptions");
    let told = text(&peer.registry("RegistryStoredQuery", &query));
    assert!(told.contains("AdhocQueryResponse") && told.contains("errorCode=\"XDSRegistryError\""), "{told}");
    let body = "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'><DocumentRequest/></RetrieveDocumentSetRequest>";
    let message = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", body);
    let told = text(&peer.post("xds/repository", "application/soap+xml", message.as_bytes()));
    assert!(
        told.contains("RetrieveDocumentSetResponse") && told.contains("\"XDSRepositoryError\""),
        "{told}"
    );

    // Each is recorded as what failed by the fault of who asked.
    for (subtype, count) in [("ITI-42", 4), ("ITI-41", 1), ("ITI-18", 1), ("ITI-43", 1)] {
        let found = peer.fhir.get(&format!("AuditEvent?subtype={subtype}&outcome=4")).json();
        assert_eq!(found["total"], count, "{subtype}: {found}");
        let why = found["entry"][0]["resource"]["outcomeDesc"].as_str();
        assert!(why.is_some_and(|why| why.contains("not valid by the schema")), "{found}");
    }
}

#[test]
fn nothing_is_checked_where_nobody_asks() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    // An attribute that no schema has.
    let lax = submission("1.9.1", "1.9.2").replacen("<ExtrinsicObject", "<ExtrinsicObject more='x'", 1);
    let done = text(&peer.registry("RegisterDocumentSet-b", &lax));
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
}

#[test]
fn schemas_that_cannot_be_used_stop_the_start() {
    let data = tempfile::tempdir().expect("a folder");
    let schemas = data.path().join("schemas");
    std::fs::create_dir(&schemas).expect("a folder");
    let start = || {
        let settings = settings(data.path(), &schemas);
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--mllp", "off", "--config", &settings, "--data"];
        let mut command = Command::new(binary());
        command.args(arguments).arg(data.path().join("data")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("it runs");
        let begin = Instant::now();
        while server.try_wait().expect("a status").is_none() {
            if begin.elapsed() > Duration::from_secs(60) {
                server.kill().expect("ended");
                panic!("it started");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended = server.wait_with_output().expect("it ended");
        (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let (is_started, told) = start();
    assert!(!is_started && told.contains("[soap] schemas") && told.contains("no XML schema"), "{told}");
    let broken = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:l='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0' \
                  targetNamespace='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0'><xs:element name='a' type='l:none'/></xs:schema>";
    std::fs::write(schemas.join("lcm.xsd"), broken).expect("written");
    let (is_started, told) = start();
    assert!(!is_started && told.contains("lcm.xsd") && told.contains("none"), "{told}");
}

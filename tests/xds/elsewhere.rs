//! Answers that go to another address than that of who asked.

use tests::Server;

use super::listener::Listener;
use super::peer::*;

const REGISTER: &str = "urn:ihe:iti:2007:RegistryStoredQuery";

fn server(callbacks: &str) -> (tempfile::TempDir, Server, Peer) {
    let data = tempfile::tempdir().expect("a folder");
    let settings = data.path().join("settings.toml");
    let text = format!("[peers]\ncallbacks = [{callbacks}]\n[xds]\nrepository_unique_id = \"1.2.3.9\"\n");
    std::fs::write(&settings, text).expect("written");
    let settings = settings.display().to_string();
    let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
    let peer = Peer::of(&server);
    (data, server, peer)
}

/// A message whose answer, and whose fault, go to these addresses.
fn message(action: &str, body: &str, reply_to: &str, fault_to: Option<&str>) -> String {
    let place =
        |local: &str, address: &str| format!("<a:{local}><a:Address>{address}</a:Address></a:{local}>");
    let mut headers = place("ReplyTo", reply_to);
    headers.extend(fault_to.map(|address| place("FaultTo", address)));
    envelope(action, body).replace("</s:Header>", &format!("{headers}</s:Header>"))
}

fn find() -> String {
    let status = format!("('{APPROVED}')");
    let patient = format!("'{PATIENT}'");
    let parameters =
        [("$XDSDocumentEntryPatientId", patient.as_str()), ("$XDSDocumentEntryStatus", status.as_str())];
    adhoc_query(FIND_DOCUMENTS, "LeafClass", &parameters)
}

#[test]
fn answers_go_to_where_the_message_says_and_the_operator_allows() {
    let listener = Listener::start();
    let (_data, _server, peer) = server(&format!("{:?}", listener.origin));
    create_patient(&peer);
    let objects = document("d1", "1.2.3.4.1", "") + &members(&["d1"]);
    peer.provide(&provide(&submit("1.2.3.4.9", &objects), &[("d1", "x")]), &[("x", b"the bytes of it")]);
    let reply_to = format!("{}/answers", listener.origin);

    let post = |path: &str, message: &str| peer.post(path, "application/soap+xml", message.as_bytes());
    let taken = post("xds/registry", &message(REGISTER, &find(), &reply_to, None));
    assert_eq!((taken.status, taken.body.len()), (202, 0), "{}", text(&taken));
    let sent = listener.wait_for(1);
    assert_eq!((sent.len(), sent[0].path.as_str()), (1, "/answers"));
    assert!(sent[0].content_type.starts_with("application/soap+xml"), "{}", sent[0].content_type);
    let answer = sent[0].text();
    for expected in [
        "<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>",
        "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        "1.2.3.4.1",
        &format!("<wsa:To>{reply_to}</wsa:To>"),
    ] {
        assert!(answer.contains(expected), "no {expected} in {answer}");
    }

    // A document goes with it.
    let retrieve = "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'><DocumentRequest>\
         <RepositoryUniqueId>1.2.3.9</RepositoryUniqueId><DocumentUniqueId>1.2.3.4.1</DocumentUniqueId>\
         </DocumentRequest></RetrieveDocumentSetRequest>";
    let action = "urn:ihe:iti:2007:RetrieveDocumentSet";
    let taken = post("xds/repository", &message(action, retrieve, &reply_to, None));
    assert_eq!(taken.status, 202, "{}", text(&taken));
    let sent = listener.wait_for(2);
    assert!(sent[1].content_type.starts_with("multipart/related"), "{}", sent[1].content_type);
    assert!(sent[1].text().contains("the bytes of it"), "{}", sent[1].text());

    // What is wrong goes to where that is wanted.
    let fault_to = format!("{}/faults", listener.origin);
    let taken = post("xds/registry", &message("urn:unknown", &find(), &reply_to, Some(&fault_to)));
    assert_eq!(taken.status, 202, "{}", text(&taken));
    let sent = listener.wait_for(3);
    assert_eq!(sent[2].path, "/faults");
    assert!(sent[2].text().contains("wsa:ActionNotSupported"), "{}", sent[2].text());
}

#[test]
fn answers_go_nowhere_that_the_operator_does_not_allow() {
    let listener = Listener::start();
    let (_data, _server, peer) = server("\"https://allowed.example\"");
    create_patient(&peer);
    let submission = submit("1.2.3.4.9", &(document("d1", "1.2.3.4.1", "") + &members(&["d1"])));
    let register = "urn:ihe:iti:2007:RegisterDocumentSet-b";
    let reply_to = format!("{}/answers", listener.origin);
    let anonymous = "http://www.w3.org/2005/08/addressing/anonymous";
    for (reply_to, fault_to) in [
        (reply_to.as_str(), None),
        (anonymous, Some(reply_to.as_str())),
        ("https://allowed.example.evil.example/x", None),
        ("https://allowed.example@127.0.0.1/x", None),
        ("file:///etc/passwd", None),
    ] {
        let message = message(register, &submission, reply_to, fault_to);
        let answer = peer.post("xds/registry", "application/soap+xml", message.as_bytes());
        assert_eq!(answer.status, 400, "{}", text(&answer));
        assert!(text(&answer).contains("wsa:OnlyAnonymousAddressSupported"), "{}", text(&answer));
    }
    // Nothing of it was done, and nothing sent.
    assert_eq!(peer.count("DocumentReference?_summary=count"), 0);
    assert!(listener.wait_for(0).is_empty());
}

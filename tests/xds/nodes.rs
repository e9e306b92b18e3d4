//! Nodes that show themselves by certificates (ITI-19): who is let in, and who
//! is told of in what is recorded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use fhir_model::primitive::base64;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use tests::Server;
use tests::nodes::{Authority, NodeIdentity, SecureClient};
use tests::token_service::{Claims, TokenService};

use super::peer::*;

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// A server with a certificate of an authority, and its settings.
struct Site {
    authority: Authority,
    server: Server,
    _data: tempfile::TempDir,
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn site(named: &[&NodeIdentity], tls: &str, more: &str) -> Site {
    let data = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("authority");
    let itself = authority.node("lanterna", 2100);
    let certificate = write(data.path(), "certificate.pem", &itself.certificate);
    let key = write(data.path(), "key.pem", &itself.key);
    let authorities = write(data.path(), "authorities.pem", &authority.certificate);
    let mut text = format!(
        "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\nclient_authorities = {authorities:?}\n{tls}\n"
    );
    if !named.is_empty() {
        let all: String = named.iter().map(|node| node.certificate.as_str()).collect();
        let path = write(data.path(), "nodes.pem", &all);
        text += &format!("client_certificates = {path:?}\n");
    }
    let settings = write(data.path(), "settings.toml", &(text + more));
    let server = Server::start_secure(&data.path().join("data"), &["--config", &settings]);
    Site { authority, server, _data: data }
}

impl Site {
    fn client(
        &self,
        node: Option<&NodeIdentity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> SecureClient {
        SecureClient::new(self.server.port(), &self.authority, node, versions)
    }

    /// Says whether a node is let in: the status, or with what the connection ended.
    fn lets(&self, node: Option<&NodeIdentity>, versions: &[&'static SupportedProtocolVersion]) -> String {
        match self.client(node, versions).send("GET", "health/ready", &[], &[]) {
            Ok(answer) => answer.status.to_string(),
            Err(why) => why,
        }
    }
}

#[test]
fn nodes_are_let_in_that_an_authority_vouches_for_or_that_are_named() {
    let named = NodeIdentity::self_signed("named", 2100);
    let named_once = NodeIdentity::self_signed("named once", 2021);
    let site = site(&[&named, &named_once], "", "");
    let vouched = site.authority.node("pacs", 2100);
    let expired = site.authority.node("old", 2021);
    let others = Authority::new("authority").node("pacs", 2100);
    let unknown = NodeIdentity::self_signed("named", 2100);
    for versions in [&[&TLS12][..], &[&TLS13][..]] {
        for (node, expected) in [
            (Some(&vouched), "200"),
            (Some(&named), "200"),
            (None, "CertificateRequired"),
            (Some(&expired), "CertificateExpired"),
            (Some(&named_once), "CertificateExpired"),
            (Some(&others), "alert"),
            (Some(&unknown), "alert"),
        ] {
            let is = site.lets(node, versions);
            // TLS 1.2 has no word of its own for who shows nothing.
            let is_told = is.contains(expected) || (node.is_none() && is.contains("HandshakeFailure"));
            assert!(is_told, "{expected}: {is}");
        }
    }
    // Who is not let in keeps nobody out.
    assert_eq!(site.lets(Some(&vouched), BOTH), "200");
}

#[test]
fn who_may_come_as_nobody_may_not_come_as_somebody_else() {
    let site = site(&[], "clients = \"optional\"", "");
    assert_eq!(site.lets(None, BOTH), "200");
    assert_eq!(site.lets(Some(&site.authority.node("pacs", 2100)), BOTH), "200");
    let unknown = site.lets(Some(&NodeIdentity::self_signed("x", 2100)), BOTH);
    assert!(unknown.contains("alert"), "{unknown}");
    let expired = site.lets(Some(&site.authority.node("old", 2021)), BOTH);
    assert!(expired.contains("CertificateExpired"), "{expired}");
}

/// A hello of a client that knows a version of TLS and nothing later.
fn hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session; two ways of encrypting of 1.2, and four that all versions know; no compression.
    hello.extend([0, 0, 12, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35, 1, 0]);
    // Curves, how they are written, and ways of signing.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 6, 0, 4, 4, 3, 4, 1];
    hello.extend([0, extensions.len() as u8]);
    hello.extend(extensions);
    let mut message = vec![1, 0, 0, hello.len() as u8];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[test]
fn versions_before_1_2_are_refused() {
    let site = site(&[], "", "");
    let answered = |minor: u8| {
        let mut socket = TcpStream::connect(("127.0.0.1", site.server.port())).expect("connected");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        socket.write_all(&hello(minor)).expect("sent");
        let mut answer = [0; 7];
        socket.read_exact(&mut answer).expect("an answer");
        (answer[0], [answer[5], answer[6]])
    };
    for minor in [1, 2] {
        // An alert, fatal: the version of the protocol.
        assert_eq!(answered(minor), (21, [2, 70]), "{minor}");
    }
    // The same of a client that knows 1.2 is heard: a hello of the server.
    let (kind, [message, _]) = answered(3);
    assert_eq!((kind, message), (22, 2));
}

fn events(client: &SecureClient, subtype: &str) -> Vec<Value> {
    let found = client.json(&format!("fhir/AuditEvent?subtype={subtype}&_sort=-date"));
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn ask(client: &SecureClient, security: &str) -> (u16, String) {
    let body = adhoc_query(GET_DOCUMENTS, "ObjectRef", &[("$XDSDocumentEntryUniqueId", "('1.8.1')")]);
    let message = envelope("urn:ihe:iti:2007:RegistryStoredQuery", &body);
    let header = format!(
        "<w:Security xmlns:w='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'>\
         {security}</w:Security></s:Header>"
    );
    let message = message.replace("</s:Header>", &header);
    let headers = [("Content-Type", "application/soap+xml")];
    let answer = client.send("POST", "xds/registry", &headers, message.as_bytes()).expect("an answer");
    (answer.status, text(&answer))
}

#[test]
fn what_a_node_does_is_recorded_as_its_own() {
    let sts = TokenService::new();
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = write(folder.path(), "sts.pem", &sts.certificate);
    let xua = format!("[xua]\ntrusted = [{trusted:?}]\naudiences = [\"urn:us\"]\nskew_seconds = 0\n");
    let site = site(&[], "", &xua);
    let (pacs, other) = (site.authority.node("pacs", 2100), site.authority.node("other", 2100));
    let client = site.client(Some(&pacs), BOTH);
    assert_eq!(ask(&client, "").0, 200);
    let event = &events(&client, "ITI-18")[0];
    let sender = &event["agent"][0];
    assert_eq!(sender["name"], "CN=pacs,O=ASL 3");
    let fingerprint = sender["altId"].as_str().expect("a fingerprint");
    assert!(fingerprint.starts_with("sha256:") && fingerprint.len() == 71, "{fingerprint}");
    assert_eq!(ask(&site.client(Some(&other), BOTH), "").0, 200);
    let of_other = &events(&client, "ITI-18")[0]["agent"][0];
    assert_eq!(of_other["name"], "CN=other,O=ASL 3");
    assert_ne!(of_other["altId"], fingerprint);

    // An assertion for the holder of a key is for the node that has it.
    let key = format!(
        "<d:KeyInfo xmlns:d='http://www.w3.org/2000/09/xmldsig#'><d:X509Data><d:X509Certificate>{}</d:X509Certificate>\
         </d:X509Data></d:KeyInfo>",
        base64::encode(&pacs.der)
    );
    let held = sts.assertion(&Claims {
        confirmation: "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key",
        confirmation_data: key,
        ..Claims::of("anna", "urn:us")
    });
    assert_eq!(ask(&client, &held).0, 200);
    let user = &events(&client, "ITI-18")[0]["agent"][2];
    assert_eq!(user["who"]["identifier"]["value"], "anna");
    let (status, why) = ask(&site.client(Some(&other), BOTH), &held);
    assert!(status == 400 && why.contains("holder of another key"), "{status} {why}");
    let refused = &events(&client, "110122")[0];
    assert_eq!(refused["agent"][0]["name"], "CN=other,O=ASL 3");

    // One for one use is used once, whoever sends it again.
    let now = Claims { not_before: 0, ..Claims::of("anna", "urn:us") };
    let once = sts.assertion(&Claims { conditions: "<saml:OneTimeUse/>", ..now });
    assert_eq!(ask(&client, &once).0, 200);
    for node in [&pacs, &other] {
        let (status, why) = ask(&site.client(Some(node), BOTH), &once);
        assert!(status == 400 && why.contains("was used"), "{status} {why}");
    }
}

//! The listener: where it is, whom it lets in, and how it ends.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use tests::mllp::{MllpClient, code};
use tests::nodes::{Authority, NodeIdentity, client_config};

use super::{Running, adt};

const AT: &str = "20260102030405+0100";

#[test]
fn an_address_that_is_in_use_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let ended = Command::new(tests::binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--mllp", &address, "--data"])
        .arg(folder.path())
        .output()
        .expect("started");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    assert!(told.contains(&address) && told.contains("in use") && told.contains("--mllp off"), "{told}");
}

#[test]
fn messages_that_are_performed_end_before_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut idle = running.connect();
    assert_eq!(code(&idle.ask(&adt("A28", "1", AT, "p1", "ROSSI"))), "AA");
    let mut begun = running.connect();
    begun.write(&[b"\x0b", adt("A28", "2", AT, "p2", "ROSSI").as_bytes()].concat()).expect("sent");
    std::thread::sleep(Duration::from_millis(200));
    running.server.ask_to_end();
    assert!(idle.read().is_err(), "who says nothing is let go");
    begun.write(b"\x1c\r").expect("the connection is there");
    let answer = begun.read().expect("a message that had begun is answered");
    let answer = ihe_adapters::wire::hl7v2::message::Message::read(&answer).expect("a message");
    assert_eq!(code(&answer), "AA");
    assert_eq!(running.server.terminate(), Some(0));
}

fn connect(
    port: u16,
    authority: &Authority,
    node: Option<&NodeIdentity>,
) -> MllpClient<StreamOwned<ClientConnection, TcpStream>> {
    let config = client_config(authority, node, rustls::ALL_VERSIONS);
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    MllpClient::over(StreamOwned::new(connection, socket))
}

#[test]
fn only_nodes_that_are_known_are_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("Regione");
    let (server, sender) = (authority.node("lanterna", 2100), authority.node("sio.asl3", 2100));
    let stranger = NodeIdentity::self_signed("stranger", 2100);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let settings = format!(
        "[hl7v2.tls]\ncertificate = {:?}\nkey = {:?}\nclient_authorities = {:?}\n",
        write("server.pem", &server.certificate),
        write("server.key", &server.key),
        write("authority.pem", &authority.certificate),
    );
    let running = Running::start(folder.path(), &settings);
    let message = adt("A28", "1", AT, "p1", "ROSSI");
    let answer = connect(running.mllp, &authority, Some(&sender)).ask(&message);
    assert_eq!(code(&answer), "AA");
    // The node is told in what is recorded.
    let event = running.one("AuditEvent");
    let name = event["agent"][0]["name"].as_str().unwrap_or_default();
    assert!(name.contains("sio.asl3"), "{event}");
    for node in [None, Some(&stranger)] {
        assert!(connect(running.mllp, &authority, node).send(message.as_bytes()).is_err());
    }
    let mut plain = running.connect();
    assert!(plain.send(message.as_bytes()).is_err());
    assert_eq!(running.count("AuditEvent"), 1);
}

//! Documents in a bucket of a storage that is away: nothing is registered of
//! what it does not have. `conformance/peers` has one that is there.

use std::net::TcpListener;

use tests::Server;

use super::peer::*;

#[test]
fn nothing_is_registered_that_the_storage_does_not_have() {
    let data = tempfile::tempdir().expect("a folder");
    // A port where nobody listens.
    let away = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let settings = data.path().join("settings.toml");
    let of_storage = format!("[documents]\nstore = \"s3://bucket/prefix\"\nendpoint = \"http://{away}\"\n");
    std::fs::write(&settings, of_storage).expect("written");
    let arguments = ["--config", &settings.display().to_string()];
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
    // It starts, and serves what it has itself.
    let server = Server::start_with(&data.path().join("data"), &arguments, &keys);
    let peer = Peer::of(&server);
    create_patient(&peer);
    let objects = document("d", "1.8.1", "") + &members(&["d"]);
    let body = provide(&submit("1.8.2", &objects), &[("d", "x")]);
    // Small documents are in the database.
    let large = vec![b'x'; 100_000];
    let refused = peer.try_provide(&body, &[("x", &large)]).expect("an answer");
    assert!(refused.status == 500 && text(&refused).contains("is away"), "{}", text(&refused));
    for search in ["DocumentReference", "List", "Binary"] {
        assert_eq!(peer.count(&format!("{search}?_summary=count")), 0, "{search}");
    }
    let arrived = std::fs::read_dir(data.path().join("data/documents/incomplete")).expect("a folder");
    assert_eq!(arrived.count(), 0);
}

//! Asked to end under load: requests that run are answered whole, and the
//! process ends well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::Server;

#[test]
fn running_requests_are_answered() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let answered = AtomicUsize::new(0);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (client, answered) = (server.client(), &answered);
                scope.spawn(move || {
                    loop {
                        // A connection for each request: one that was accepted must be answered.
                        let headers = [("connection", "close")];
                        match client.json("POST", "Patient", &headers, &json!({"resourceType": "Patient"})) {
                            Ok(answer) if answer.status == 201 => {
                                _ = answered.fetch_add(1, Ordering::Relaxed)
                            }
                            Ok(answer) => return Some(format!("status {}", answer.status)),
                            Err(error) if error.contains("refused") || error.contains("onnect") => {
                                return None;
                            }
                            Err(error) => return Some(error),
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(400));
        server.ask_to_end();
        threads.into_iter().filter_map(|t| t.join().expect("client")).collect()
    });
    // Connections that waited to be accepted when the listener closed are reset, not broken in the
    // middle; who was still writing to one sees a broken pipe, before any of an answer.
    let is_never_accepted =
        |e: &&String| ["reset", "Peer disconnected", "Broken pipe"].iter().any(|sign| e.contains(sign));
    let broken: Vec<&String> = broken.iter().filter(|e| !is_never_accepted(e)).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(server.terminate(), Some(0));
    let server = Server::start(folder.path());
    let total = server.client().get("Patient?_summary=count").json()["total"].as_u64().unwrap_or(0);
    assert!(total >= answered.load(Ordering::Relaxed) as u64);
    println!("{} answered, {total} there", answered.load(Ordering::Relaxed));
}

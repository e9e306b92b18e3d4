//! A search parameter that is added while the server runs, and kill -9 while
//! older resources are indexed for it: after the restart all of them are found.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Client, Server};

const PATIENTS: usize = 6000;
const COLOURS: [&str; 3] = ["blue", "brown", "green"];
const STRICT: [(&str, &str); 1] = [("prefer", "handling=strict")];

fn patient(number: usize) -> Value {
    json!({"resourceType": "Patient", "id": format!("p{number}"), "extension": [
        {"url": "http://example.org/eyes", "valueCode": COLOURS[number % 3]}]})
}

fn parameter() -> Value {
    json!({"resourceType": "SearchParameter", "id": "eyes", "url": "http://example.org/SearchParameter/eyes",
        "name": "eyes", "description": "d", "status": "active", "code": "eyes", "base": ["Patient"],
        "type": "token", "expression": "Patient.extension('http://example.org/eyes').value"})
}

/// Returns the status and, for a search that is answered, the total.
fn count(client: &Client, colour: &str) -> (u16, Option<u64>) {
    let answer =
        client.send("GET", &format!("Patient?eyes={colour}&_summary=count"), &STRICT, &[]).expect("answer");
    (answer.status, answer.json()["total"].as_u64())
}

/// Waits until a search is answered, and returns the total.
fn settled(client: &Client, colour: &str) -> u64 {
    let begin = Instant::now();
    loop {
        match count(client, colour) {
            (200, Some(total)) => return total,
            (503, _) if begin.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(5))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn metric(server: &Server, name: &str) -> f64 {
    let page =
        server.client().send("GET", &format!("{}/metrics", server.origin()), &[], &[]).expect("metrics");
    let text = String::from_utf8(page.body).expect("text");
    let line = text.lines().find_map(|l| l.strip_prefix(name)).expect("a metric");
    line.trim().parse().expect("a number")
}

#[test]
fn a_kill_while_indexing_loses_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    let all: Vec<usize> = (0..PATIENTS).collect();
    for some in all.chunks(1000) {
        let entries: Vec<Value> = some
            .iter()
            .map(|n| json!({"resource": patient(*n), "request": {"method": "PUT", "url": format!("Patient/p{n}")}}))
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        assert_eq!(client.json("POST", "", &[], &bundle).expect("answer").status, 200);
    }
    assert_eq!(count(&client, "blue").0, 400, "not defined yet");
    assert_eq!(client.json("PUT", "SearchParameter/eyes", &[], &parameter()).expect("answer").status, 201);
    // Being indexed, unless this process slept meanwhile; never a part.
    let early = count(&client, "blue");
    assert!(early.0 == 503 || early.1 == Some(PATIENTS as u64 / 3), "{early:?}");
    server.kill();

    let server = Server::start(folder.path());
    let client = server.client();
    assert_eq!(client.json("PUT", "Patient/p9999", &[], &patient(9999)).expect("answer").status, 201);
    assert_eq!(settled(&client, "blue"), PATIENTS as u64 / 3 + 1);
    assert_eq!(settled(&client, "green"), PATIENTS as u64 / 3);
    let done = metric(&server, "lanterna_reindex_resources_total");
    assert!(done <= PATIENTS as f64 + 1.0, "{done}");
    assert_eq!(metric(&server, "lanterna_reindex_resources_remaining"), 0.0);
    let broken = json!({"resourceType": "SearchParameter", "id": "x", "url": "http://example.org/x", "name": "x",
        "description": "d", "status": "active", "code": "x", "base": ["Patient"], "type": "token",
        "expression": "Patient.nothing"});
    let refused = client.json("PUT", "SearchParameter/x", &[], &broken).expect("answer");
    assert_eq!(
        (refused.status, refused.json()["issue"][0]["expression"][0].as_str()),
        (422, Some("SearchParameter.expression"))
    );
    assert_eq!(client.send("DELETE", "SearchParameter/eyes", &[], &[]).expect("answer").status / 100, 2);
    assert_eq!(count(&client, "blue").0, 400, "not defined any more");
}

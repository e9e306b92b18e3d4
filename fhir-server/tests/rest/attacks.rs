//! What must not bring the server down: slow, large, deep, broken and hostile
//! requests. After each, the process answers as before.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use fhir_server::limits::Limits;

use crate::client::{connect, reply, request, send};
use crate::recorder::Running;

const JSON: (&str, &str) = ("Content-Type", "application/fhir+json");

fn still_serves(server: &Running) {
    let reply = send(server.address, "GET", "/fhir/Patient/1", &[], b"");
    assert_eq!(reply.status, 200);
}

#[test]
fn bodies_that_are_too_large() {
    let server = Running::start(Limits { body_bytes_max: 100_000, ..Limits::default() });
    // By its own word: refused before a byte of it is sent.
    let mut stream = connect(server.address);
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 200000000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let refused = reply(&mut stream, "POST").expect("an answer");
    assert_eq!(refused.status, 413);
    assert!(refused.is_outcome());
    // In fact: no length told, chunk after chunk.
    let mut stream = connect(server.address);
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
    for _ in 0..8 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let refused = reply(&mut stream, "POST").expect("an answer");
    assert_eq!(refused.status, 413);
    // Sent whole by a client that reads only afterwards.
    let body = vec![b' '; 300_000];
    let refused = send(server.address, "POST", "/fhir/Patient", &[JSON], &body);
    assert_eq!(refused.status, 413);
    assert_eq!(server.recorder.take(), None);
    still_serves(&server);
}

#[test]
fn bombs() {
    let server = Running::start(Limits { body_bytes_max: 1 << 20, ..Limits::default() });
    let zeros = vec![0u8; 64 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&zeros).expect("written");
    let gzip = encoder.finish().expect("finished");
    let zstd = zstd::bulk::compress(&zeros, 1).expect("compressed");
    for (coding, bomb) in [("gzip", gzip), ("zstd", zstd)] {
        assert!(bomb.len() < 1 << 20, "{coding}");
        let begin = Instant::now();
        let headers = [JSON, ("Content-Encoding", coding)];
        let refused = send(server.address, "POST", "/fhir/Patient", &headers, &bomb);
        assert_eq!(refused.status, 413, "{coding}: {}", refused.text());
        assert!(begin.elapsed() < Duration::from_secs(5), "{coding}");
    }
    still_serves(&server);
}

#[test]
fn bodies_that_are_broken() {
    let server = Running::start(Limits::default());
    let deep_json = format!("{}{}", r#"{"resourceType":"Bundle","entry":[{"resource":"#.repeat(20_000), "{}");
    let brackets = "[".repeat(1_000_000);
    let deep_xml = "<Bundle xmlns=\"http://hl7.org/fhir\">".repeat(50_000);
    let entities = r#"<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><id value="&a;"/></Patient>"#;
    let json = "application/fhir+json";
    let xml = "application/fhir+xml";
    for (content_type, body) in [
        (json, b"{\"resourceType\":\"Patient\",\"id\":\"\xff\xfe\"}".as_slice()),
        (json, b"\xff\xff\xff\xff"),
        (json, b"{\"resourceType\":\"Patient\""),
        (json, b"\0"),
        (json, deep_json.as_bytes()),
        (json, brackets.as_bytes()),
        (xml, deep_xml.as_bytes()),
        (xml, entities.as_bytes()),
        (xml, b"<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"\xff\"/></Patient>"),
        ("application/x-www-form-urlencoded", b"a=\xff"),
        ("application/x-www-form-urlencoded", b"a=%00"),
    ] {
        let path = if content_type.contains("form") { "/fhir/Patient/_search" } else { "/fhir/Patient" };
        let refused = send(server.address, "POST", path, &[("Content-Type", content_type)], body);
        let begin = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(refused.status, 400, "{begin}: {}", refused.text());
        assert!(refused.is_outcome() && !refused.text().contains("root:"), "{begin}");
    }
    assert_eq!(server.recorder.take(), None);
    still_serves(&server);
}

#[test]
fn paths_that_climb() {
    let server = Running::start(Limits::default());
    for path in [
        "/fhir/../etc/passwd",
        "/fhir/%2e%2e/%2e%2e/etc/passwd",
        "/fhir/Patient/%2e%2e",
        "/fhir/Patient/..",
        "/fhir/Patient/..%2f..%2fetc",
        "/fhir/Patient/1%00",
        "/fhir/Patient/%c0%ae",
        "/fhir/Patient%2f1",
        "/fhir//Patient/1",
        "/fhir/Patient/1;a=b",
        "/fhir/Patient/1'%20OR%201=1--",
        "//fhir/Patient/1",
        "/FHIR/Patient/1",
    ] {
        let refused = send(server.address, "GET", path, &[], b"");
        assert!(matches!(refused.status, 400 | 404), "{path}: {}", refused.status);
        assert!(refused.is_outcome(), "{path}: {}", refused.text());
        assert_eq!(server.recorder.take(), None, "{path}");
    }
    still_serves(&server);
}

#[test]
fn heads_that_are_too_large_or_broken() {
    let server = Running::start(Limits::default());
    let long = format!("/fhir/Patient?name={}", "x".repeat(40_000));
    assert_eq!(send(server.address, "GET", &long, &[], b"").status, 414);
    let many = format!("/fhir/Patient?{}", "a=b&".repeat(2_000));
    assert_eq!(send(server.address, "GET", &many, &[], b"").status, 422);
    let value = "x".repeat(3_000);
    let flood: Vec<(&str, &str)> = (0..60).map(|_| ("X-Flood", value.as_str())).collect();
    let crowd: Vec<(&str, &str)> = (0..200).map(|_| ("X-Crowd", "1")).collect();
    for headers in [flood, crowd] {
        let mut stream = connect(server.address);
        // The server may close before it has read everything.
        let _ = stream.write_all(&request("GET", "/fhir/Patient/1", &headers, b""));
        if let Some(refused) = reply(&mut stream, "GET") {
            assert!(matches!(refused.status, 400 | 431), "{}", refused.status);
        }
    }
    for raw in [
        "GARBAGE\r\n\r\n",
        "GET /fhir/Patient/1 HTTP/1.1\r\n\r\n",
        "GET /fhir/Patient/1 HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut stream = connect(server.address);
        stream.write_all(raw.as_bytes()).expect("sent");
        if let Some(refused) = reply(&mut stream, "GET") {
            assert!((400..506).contains(&refused.status), "{raw}: {}", refused.status);
        }
    }
    assert_eq!(server.recorder.take(), None);
    still_serves(&server);
}

#[test]
fn a_panic_is_an_answer() {
    let server = Running::start(Limits::default());
    let mut stream = connect(server.address);
    for _ in 0..3 {
        stream.write_all(&request("GET", "/fhir/Patient/panic", &[], b"")).expect("sent");
        let answer = reply(&mut stream, "GET").expect("an answer");
        assert_eq!(answer.status, 500);
        assert!(answer.is_outcome() && !answer.text().contains("on purpose"), "{}", answer.text());
    }
    still_serves(&server);
}

#[test]
fn slow_heads_and_bodies_are_let_go_while_others_are_served() {
    let limits =
        Limits { head_seconds_max: 1, body_grace_seconds: 1, body_rate_min: 1_024, ..Limits::default() };
    let server = Running::start(limits);
    let begin = Instant::now();
    let mut heads: Vec<_> = (0..50).map(|_| connect(server.address)).collect();
    for stream in &mut heads {
        stream.write_all(b"GET /fhir/Patient/1 HTTP/1.1\r\nHost: x\r\n").expect("sent");
    }
    let mut body = connect(server.address);
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 1000\r\n\r\n";
    body.write_all(head.as_bytes()).expect("sent");
    let mut dripping = body.try_clone().expect("a clone");
    let drip = std::thread::spawn(move || {
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(100));
            if dripping.write_all(b" ").is_err() {
                break;
            }
        }
    });
    still_serves(&server);
    let refused = reply(&mut body, "POST").expect("an answer");
    assert_eq!(refused.status, 408);
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(refused.is_outcome());
    for stream in &mut heads {
        let mut rest = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drip.join().expect("no panic");
    assert_eq!(server.recorder.take().map(|s| s.contains("Create")), Some(false));
    still_serves(&server);
}

/// A client that asks for much and reads none of it loses its connection.
#[cfg(target_os = "linux")]
#[test]
fn slow_readers_are_let_go() {
    let server = Running::start(Limits { read_seconds_max: 1, ..Limits::default() });
    let mut stream = connect(server.address);
    stream.write_all(&request("GET", "/fhir/Patient/huge", &[], b"")).expect("sent");
    std::thread::sleep(Duration::from_secs(8));
    let mut read = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 {
            break;
        }
        read += n;
    }
    assert!(read < 30 << 20, "read {read} bytes after all");
    still_serves(&server);
}

#[test]
fn more_than_can_be_done_is_refused() {
    let limits = Limits { running_max: 1, waiting_max: 1, waiting_seconds_max: 10, ..Limits::default() };
    let server = Running::start(limits);
    let address = server.address;
    let begin = Instant::now();
    let clients: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || send(address, "GET", "/fhir/Patient/slow", &[], b"")))
        .collect();
    let replies: Vec<_> = clients.into_iter().map(|c| c.join().expect("no panic")).collect();
    let done = replies.iter().filter(|r| r.status == 200).count();
    assert_eq!(done, 2, "one runs and one waits");
    for refused in replies.iter().filter(|r| r.status != 200) {
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
        assert!(refused.is_outcome());
    }
    assert!(begin.elapsed() < Duration::from_secs(8));
    still_serves(&server);
}

#[test]
fn memory_for_bodies_is_shared_and_comes_back() {
    let server = Running::start(Limits { bodies_bytes_max: 150_000, ..Limits::default() });
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{}"}}]}}"#, "x".repeat(90_000));
    let large = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{}"}}]}}"#, "x".repeat(190_000));
    for _ in 0..5 {
        let refused = send(server.address, "POST", "/fhir/Patient", &[JSON], large.as_bytes());
        assert_eq!(refused.status, 503);
        let taken = send(server.address, "POST", "/fhir/Patient", &[JSON], body.as_bytes());
        assert_eq!(taken.status, 201, "{}", taken.text());
    }
}

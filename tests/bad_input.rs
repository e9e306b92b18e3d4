//! Bad input over the wire: a clear OperationOutcome, nothing stored, the
//! process alive.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tests::Server;

const JSON: (&str, &str) = ("content-type", "application/fhir+json");
const XML: (&str, &str) = ("content-type", "application/fhir+xml");

#[test]
fn bad_requests_are_told_so() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    assert_eq!(
        client
            .json("PUT", "Patient/here", &[], &json!({"resourceType": "Patient", "id": "here"}))
            .map(|a| a.status),
        Ok(201)
    );
    assert_eq!(
        client
            .json("PUT", "Patient/gone", &[], &json!({"resourceType": "Patient", "id": "gone"}))
            .map(|a| a.status),
        Ok(201)
    );
    assert_eq!(client.send("DELETE", "Patient/gone", &[], &[]).map(|a| a.status), Ok(204));
    let deep_json = format!(
        r#"{{"resourceType":"Patient","extension":{}1{}"#,
        r#"[{"extension":"#.repeat(5000),
        "}]".repeat(5000)
    );
    let deep_xml = format!(
        r#"<Patient xmlns="http://hl7.org/fhir">{}</Patient>"#,
        r#"<extension url="a">"#.repeat(5000)
    );
    let bomb =
        r#"<!DOCTYPE a [<!ENTITY b "x">]><Patient xmlns="http://hl7.org/fhir"><id value="&b;"/></Patient>"#;
    let big = format!(r#"{{"resourceType":"Binary","contentType":"a/b","data":"{}"}}"#, "A".repeat(80 << 20));
    let many: Vec<_> =
        (0..30_000).map(|_| json!({"request": {"method": "GET", "url": "Patient/here"}})).collect();
    let many = json!({"resourceType": "Bundle", "type": "batch", "entry": many}).to_string();
    let good = r#"{"resourceType":"Patient","id":"here"}"#;
    let long = format!("Patient?name={}", "a".repeat(40_000));
    let cases: Vec<(&str, &str, Vec<(&str, &str)>, &[u8], u16)> = vec![
        ("POST", "Patient", vec![JSON], b"\xff\xfe{}", 400),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Patient\",\"name\":[{", 400),
        ("POST", "Patient", vec![JSON], b"", 400),
        ("POST", "Patient", vec![JSON], b"[]", 400),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Patient\",\"id\":null}", 400),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Patient\",\"name\":[]}", 400),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Patient\",\"active\":\"yes\"}", 400),
        (
            "POST",
            "Patient",
            vec![JSON],
            b"{\"resourceType\":\"Patient\",\"active\":true,\"active\":true}",
            400,
        ),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Patient\",\"birthDate\":\"2024-13-01\"}", 400),
        ("POST", "Patient", vec![JSON], b"{\"resourceType\":\"Observation\"}", 400),
        ("POST", "Patient", vec![JSON], deep_json.as_bytes(), 400),
        ("POST", "Patient", vec![XML], deep_xml.as_bytes(), 400),
        ("POST", "Patient", vec![XML], bomb.as_bytes(), 400),
        ("POST", "Patient", vec![XML], b"<Patient xmlns=\"http://hl7.org/fhir\"><name>", 400),
        ("POST", "Patient", vec![("content-type", "text/csv")], b"a,b", 415),
        ("POST", "Binary", vec![JSON], big.as_bytes(), 413),
        ("POST", "", vec![JSON], many.as_bytes(), 413),
        ("POST", "", vec![JSON], b"{\"resourceType\":\"Bundle\",\"type\":\"document\"}", 422),
        ("POST", "", vec![JSON], good.as_bytes(), 400),
        ("GET", "Nothing", vec![], b"", 404),
        ("GET", "Patient/a_b", vec![], b"", 400),
        ("GET", "Patient/%00", vec![], b"", 400),
        ("GET", "Patient/unknown", vec![], b"", 404),
        ("GET", "Patient/gone", vec![], b"", 410),
        ("GET", "Patient/here/_history/9", vec![], b"", 404),
        ("GET", "Patient/here/_history/x", vec![], b"", 404),
        ("GET", "%2e%2e/%2e%2e/etc/passwd", vec![], b"", 404),
        ("GET", "Patient/here", vec![("accept", "image/png")], b"", 406),
        ("PUT", "Patient/other", vec![JSON], good.as_bytes(), 400),
        ("PUT", "Patient/here", vec![JSON, ("if-match", "W/\"7\"")], good.as_bytes(), 412),
        ("PUT", "Patient/here", vec![JSON, ("if-match", "nonsense")], good.as_bytes(), 412),
        ("DELETE", "Patient/here", vec![("if-match", "W/\"7\"")], b"", 412),
        ("DELETE", "Patient", vec![], b"", 400),
        ("PUT", "Patient", vec![JSON], good.as_bytes(), 400),
        ("PATCH", "Patient/here", vec![("content-type", "application/json-patch+json")], b"{}", 400),
        (
            "PATCH",
            "Patient/here",
            vec![("content-type", "application/json-patch+json")],
            b"[{\"op\":\"remove\",\"path\":\"/nothing\"}]",
            422,
        ),
        ("PATCH", "Patient/unknown", vec![("content-type", "application/json-patch+json")], b"[]", 404),
        ("BREW", "Patient", vec![], b"", 405),
        ("GET", "Patient?nonsense=1", vec![("prefer", "handling=strict")], b"", 400),
        ("GET", "Patient?birthdate=yesterday", vec![("prefer", "handling=strict")], b"", 400),
        ("GET", "Observation?value-quantity=ge5|a", vec![("prefer", "handling=strict")], b"", 400),
        ("GET", "Patient?a.b.c.d.e.f.g.h.i.j.k.l.m=1", vec![("prefer", "handling=strict")], b"", 422),
        ("GET", "Patient?_count=-1", vec![("prefer", "handling=strict")], b"", 400),
        ("GET", "Patient?name=%zz", vec![], b"", 400),
        ("GET", &long, vec![], b"", 414),
        ("GET", "Patient/$nothing", vec![], b"", 400),
    ];
    for (method, path, headers, body, expected) in &cases {
        let short = &path[..path.len().min(80)];
        let answer =
            client.send(method, path, headers, body).unwrap_or_else(|e| panic!("{method} {short}: {e}"));
        let told = String::from_utf8_lossy(&answer.body).chars().take(300).collect::<String>();
        assert_eq!(answer.status, *expected, "{method} {short}: {told}");
        assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{method} {short}: {told}");
        let issue = &answer.json()["issue"][0];
        assert!(issue["diagnostics"].as_str().is_some_and(|t| !t.is_empty()), "{method} {short}: {told}");
    }
    let total = client.get("Patient?_summary=count").json()["total"].as_u64();
    assert_eq!(total, Some(1), "nothing of a refused request is stored");
    println!("{} bad requests", cases.len());
}

#[test]
fn sql_in_every_value_is_only_a_value() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    let evil = "x' OR 1=1; DROP TABLE resource; --";
    let created = client
        .create(&json!({"resourceType": "Patient", "name": [{"family": evil}], "gender": "male",
        "identifier": [{"system": "urn:x", "value": evil}]}));
    assert_eq!(created.status, 201);
    let encoded: String = evil.bytes().map(|b| format!("%{b:02X}")).collect();
    for (parameter, found) in [
        ("name", 1),
        ("name:exact", 1),
        ("name:contains", 1),
        ("identifier", 1),
        ("gender", 0),
        ("_id", 0),
        ("general-practitioner", 0),
        ("_tag", 0),
        ("_profile", 0),
    ] {
        let answer = client.get(&format!("Patient?{parameter}={encoded}"));
        let entries = answer.json()["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|e| e["search"]["mode"] == "match")
            .count();
        assert!(
            answer.status == 400 || answer.status == 200 && entries == found,
            "{parameter}: {} {entries}",
            answer.status
        );
    }
    for parameter in ["_sort", "_include", "_count", "_elements", "_filter", "_has", "birthdate"] {
        let answer = client.get(&format!("Patient?{parameter}={encoded}"));
        assert!(matches!(answer.status, 200 | 400), "{parameter}: {}", answer.status);
    }
    assert_eq!(client.get("Patient?_summary=count").json()["total"].as_u64(), Some(1));
}

#[test]
fn a_client_that_stalls_is_let_go() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let config = folder.path().join("lanterna.toml");
    std::fs::write(&config, "[limits]\nhead_seconds_max = 1\nidle_seconds_max = 2\n").expect("written");
    let server = Server::start_with(&data, &["--config", config.to_str().expect("path")], &[]);
    let mut stalled: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("connected");
            stream.write_all(b"GET /fhir/Patient HTTP/1.1\r\nHost: a\r\nX-").expect("sent");
            stream
        })
        .collect();
    assert_eq!(server.client().get("metadata").status, 200, "others are served meanwhile");
    for stream in &mut stalled {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(
            ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset),
            "still open"
        );
    }
}

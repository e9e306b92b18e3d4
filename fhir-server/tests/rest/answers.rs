//! What answers look like: status, headers and body.

use std::io::Read;
use std::sync::atomic::Ordering;

use fhir_server::limits::Limits;

use crate::client::{Reply, send};
use crate::recorder::Running;

const JSON: (&str, &str) = ("Content-Type", "application/fhir+json");
const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"1"}"#;

#[test]
fn heads_of_answers() {
    let server = Running::start(Limits::default());
    let base = "http://test.example:81/fhir";
    let versioned = |id: &str| format!("{base}/Patient/{id}/_history/3");
    let minimal = ("Prefer", "return=minimal");
    let outcome = ("Prefer", "return=OperationOutcome");
    let none: &[(&str, &str)] = &[];
    for (method, path, headers, status, name, value) in [
        ("GET", "Patient/1", none, 200, "etag", Some("W/\"3\"".to_owned())),
        ("GET", "Patient/1", none, 200, "last-modified", Some("Mon, 23 Nov 2026 13:05:44 GMT".to_owned())),
        ("GET", "Patient/1", none, 200, "content-location", Some(versioned("1"))),
        ("GET", "Patient/1", none, 200, "location", None),
        ("GET", "Patient/1", none, 200, "cache-control", Some("no-store".to_owned())),
        (
            "GET",
            "Patient/1",
            none,
            200,
            "content-type",
            Some("application/fhir+json;charset=utf-8".to_owned()),
        ),
        (
            "GET",
            "Patient/1?_format=xml",
            none,
            200,
            "content-type",
            Some("application/fhir+xml;charset=utf-8".to_owned()),
        ),
        ("GET", "Patient/1", &[("If-None-Match", "W/\"3\"")], 304, "etag", Some("W/\"3\"".to_owned())),
        ("GET", "Patient/1", &[("If-None-Match", "W/\"1\", W/\"3\"")], 304, "content-type", None),
        ("GET", "Patient/1", &[("If-None-Match", "*")], 304, "content-length", None),
        (
            "GET",
            "Patient/1",
            &[("If-None-Match", "W/\"1\", W/\"2\"")],
            200,
            "etag",
            Some("W/\"3\"".to_owned()),
        ),
        (
            "GET",
            "Patient/1/_history/3",
            &[("If-None-Match", "W/\"3\"")],
            304,
            "etag",
            Some("W/\"3\"".to_owned()),
        ),
        ("GET", "metadata", none, 200, "cache-control", Some("no-cache".to_owned())),
        ("POST", "Patient", &[JSON], 201, "location", Some(versioned("new"))),
        ("POST", "Patient", &[JSON, minimal], 201, "content-length", Some("0".to_owned())),
        ("PUT", "Patient/1", &[JSON], 200, "location", Some(versioned("1"))),
        ("PUT", "Patient/1", &[JSON], 200, "etag", Some("W/\"3\"".to_owned())),
        ("DELETE", "Patient/1", none, 204, "content-length", None),
        ("DELETE", "Patient/1", none, 204, "etag", Some("W/\"3\"".to_owned())),
        (
            "DELETE",
            "Patient/1",
            &[outcome],
            200,
            "content-type",
            Some("application/fhir+json;charset=utf-8".to_owned()),
        ),
        ("GET", "Patient/gone", none, 410, "cache-control", Some("no-store".to_owned())),
        ("GET", "Patient/missing", none, 404, "etag", None),
        ("GET", "Patient/full", none, 507, "retry-after", Some("5".to_owned())),
        ("PUT", "metadata", &[JSON], 405, "allow", Some("GET, HEAD, OPTIONS".to_owned())),
        (
            "OPTIONS",
            "Patient/1",
            none,
            204,
            "allow",
            Some("GET, PUT, PATCH, DELETE, HEAD, OPTIONS".to_owned()),
        ),
        ("OPTIONS", "Nothing", none, 404, "allow", None),
    ] {
        let body: &[u8] = if matches!(method, "POST" | "PUT") { PATIENT } else { b"" };
        let reply = send(server.address, method, &format!("/fhir/{path}"), headers, body);
        assert_eq!(reply.status, status, "{method} {path} {headers:?}");
        assert_eq!(reply.header(name), value.as_deref(), "{method} {path} {headers:?} {name}");
        assert_eq!(reply.header("x-request-id").map(str::len), Some(36), "{method} {path}");
        assert!(reply.status < 400 || reply.is_outcome(), "{method} {path}");
    }
}

#[test]
fn bodies_of_answers() {
    let server = Running::start(Limits::default());
    let get = |path: &str| send(server.address, "GET", &format!("/fhir/{path}"), &[], b"").text();
    for (path, has, has_not) in [
        ("Patient/1", r#""birthDate":"1970-01-01""#, "\n"),
        ("Patient/1?_pretty=true", "\n  \"birthDate\": \"1970-01-01\"", "SUBSETTED"),
        ("Patient/1?_elements=birthDate", "SUBSETTED", "active"),
        ("Patient/1?_summary=text", "SUBSETTED", "birthDate"),
        ("Patient/1?_summary=data", "birthDate", "div"),
        ("Patient/1?_format=xml", "<birthDate value=\"1970-01-01\"/>", "{"),
        ("Patient/1?_format=xml&_pretty=true", "\n  <birthDate", "{"),
        ("Patient?_elements=birthDate", "birthDate", "active"),
        ("Patient/missing?_format=xml", "<OperationOutcome", "{"),
        ("Nothing?_format=xml", "<OperationOutcome", "{"),
    ] {
        let text = get(path);
        assert!(text.contains(has) && !text.contains(has_not), "{path}: {text}");
    }
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let found =
        send(server.address, "POST", "/fhir/Patient/_search", &[form], b"_format=xml&_elements=birthDate");
    assert!(found.text().starts_with("<?xml") || found.text().starts_with("<Bundle"), "{}", found.text());
    assert!(!found.text().contains("active"), "{}", found.text());
    let head = send(server.address, "HEAD", "/fhir/Patient/1", &[], b"");
    let length = head.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(get("Patient/1").len().to_string()));
}

#[test]
fn binaries() {
    let server = Running::start(Limits::default());
    let json = "application/fhir+json;charset=utf-8";
    for (id, accept, media_type) in [
        ("1", None, "application/pdf"),
        ("1", Some("*/*"), "application/pdf"),
        ("1", Some("application/pdf"), "application/pdf"),
        ("1", Some("application/fhir+json"), json),
        ("1", Some("application/json"), json),
        ("json", Some("application/json"), "application/json"),
        ("html", Some("text/html"), "text/html"),
        ("odd", None, "application/octet-stream"),
        ("1", Some("application/fhir+xml"), "application/fhir+xml;charset=utf-8"),
    ] {
        let headers: Vec<(&str, &str)> = accept.into_iter().map(|a| ("Accept", a)).collect();
        let reply = send(server.address, "GET", &format!("/fhir/Binary/{id}"), &headers, b"");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(media_type)), "{id} {accept:?}");
        let is_raw = !media_type.contains("fhir");
        assert_eq!(reply.text() == "hello", is_raw, "{id} {accept:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-disposition", "attachment"),
            ("content-security-policy", "sandbox"),
            ("x-security-context", "Patient/1"),
        ] {
            assert_eq!(reply.header(name), is_raw.then_some(value), "{id} {accept:?} {name}");
        }
    }
    let written = send(
        server.address,
        "POST",
        "/fhir/Binary",
        &[("Content-Type", "image/png"), ("Accept", "image/png")],
        b"x",
    );
    assert_eq!((written.status, written.header("content-type")), (201, Some(json)));
}

fn decoded(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    match reply.header("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_end(&mut out).map(drop),
        Some("zstd") => zstd::stream::copy_decode(reply.body.as_slice(), &mut out),
        Some("br") => brotli::Decompressor::new(reply.body.as_slice(), 4096).read_to_end(&mut out).map(drop),
        _ => {
            out = reply.body.clone();
            Ok(())
        }
    }
    .expect("decoded");
    out
}

#[test]
fn codings() {
    let server = Running::start(Limits::default());
    let plain = send(server.address, "GET", "/fhir/Patient/large", &[], b"");
    assert_eq!(plain.header("content-encoding"), None);
    for (id, accept, expected) in [
        ("large", "gzip", Some("gzip")),
        ("large", "br", Some("br")),
        ("large", "gzip, br, zstd", Some("zstd")),
        ("large", "gzip;q=0", None),
        ("large", "identity", None),
        ("1", "gzip", None),
    ] {
        let headers = [("Accept-Encoding", accept)];
        let reply = send(server.address, "GET", &format!("/fhir/Patient/{id}"), &headers, b"");
        assert_eq!(reply.header("content-encoding"), expected, "{id} {accept}");
        assert!(reply.header("vary").is_some_and(|v| v.contains("Accept-Encoding")), "{id} {accept}");
        if id == "large" {
            assert_eq!(decoded(&reply), plain.body, "{accept}");
        }
    }
    let gzip = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, body).expect("written");
        encoder.finish().expect("finished")
    };
    for (coding, body) in
        [("gzip", gzip(PATIENT)), ("zstd", zstd::bulk::compress(PATIENT, 1).expect("compressed"))]
    {
        let headers = [JSON, ("Content-Encoding", coding)];
        let reply = send(server.address, "POST", "/fhir/Patient", &headers, &body);
        assert_eq!(reply.status, 201, "{coding}: {}", reply.text());
        assert!(server.recorder.take().is_some_and(|seen| seen.contains("resource: Patient/1")), "{coding}");
    }
}

#[test]
fn other_origins() {
    let server = Running::start(Limits::default());
    let preflight = ("Access-Control-Request-Method", "PUT");
    for (method, path, origin, asks, allowed, status) in [
        ("GET", "/fhir/Patient/1", "https://app.example", false, true, 200),
        ("GET", "/fhir/Nothing", "https://app.example", false, true, 404),
        ("GET", "/fhir/Patient/1", "https://evil.example", false, false, 200),
        ("OPTIONS", "/fhir/Patient/1", "https://app.example", true, true, 204),
        ("OPTIONS", "/fhir", "https://app.example", true, true, 204),
        ("OPTIONS", "/fhir/Patient/1", "https://evil.example", true, false, 204),
    ] {
        let mut headers = vec![("Origin", origin)];
        headers.extend(asks.then_some(preflight));
        server.recorder.take();
        let reply = send(server.address, method, path, &headers, b"");
        let told = format!("{method} {path} {origin}");
        assert_eq!(reply.status, status, "{told}");
        let value = reply.header("access-control-allow-origin");
        assert_eq!(value, allowed.then_some(origin), "{told}");
        assert_eq!(reply.header("access-control-allow-methods").is_some(), allowed && asks, "{told}");
        assert_eq!(reply.header("access-control-expose-headers").is_some(), allowed && !asks, "{told}");
        if asks {
            assert_eq!(server.recorder.take(), None, "{told}");
        }
    }
}

#[test]
fn request_ids() {
    let server = Running::start(Limits::default());
    for (given, is_kept) in [("a-B_9.c", true), ("a b", false), ("", false), (&*"x".repeat(65), false)] {
        let reply = send(server.address, "GET", "/fhir/Patient/1", &[("X-Request-Id", given)], b"");
        assert_eq!(reply.header("x-request-id") == Some(given), is_kept, "{given}");
    }
}

#[test]
fn hosts_and_proxies_are_not_trusted_with_the_base() {
    let server = Running::start(Limits::default());
    let headers = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example;proto=https")];
    let reply = send(server.address, "GET", "/fhir/Patient/1", &headers, b"");
    let location = reply.header("content-location").unwrap_or_default();
    assert!(location.starts_with("http://test.example:81/fhir/"), "{location}");
}

#[test]
fn pages_for_operators() {
    let server = Running::start(Limits::default());
    let get = |path: &str| send(server.address, "GET", path, &[], b"");
    assert_eq!((get("/health/live").status, get("/health/ready").status), (200, 200));
    server.part.is_unfit.store(true, Ordering::Relaxed);
    let unfit = get("/health/ready");
    assert_eq!(unfit.status, 503);
    assert!(unfit.text().contains("disk full"), "{}", unfit.text());
    get("/fhir/Patient/1");
    get("/fhir/Patient/a_b");
    get("/fhir/Nothing/1");
    let text = get("/metrics").text();
    for line in [
        r#"lanterna_request_seconds_count{interaction="read",status="200"} 1"#,
        r#"lanterna_request_seconds_count{interaction="none",status="400"} 1"#,
        r#"lanterna_request_seconds_count{interaction="none",status="404"} 1"#,
        "lanterna_requests_in_flight 0",
        "part_total 7",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes") && text.contains("process_open_fds"));
}

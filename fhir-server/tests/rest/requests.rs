//! Tables of (method, path, headers, body) to the interaction or the status.

use fhir_server::limits::Limits;
use fhir_server::rest::routes::ROUTES;

use crate::client::send;
use crate::recorder::Running;

const JSON: (&str, &str) = ("Content-Type", "application/fhir+json");
const PATIENT: &str = r#"{"resourceType":"Patient","id":"1"}"#;
const BINARY: &str = r#"{"resourceType":"Binary","id":"1","contentType":"text/plain"}"#;
const PARAMETERS: &str = r#"{"resourceType":"Parameters"}"#;

type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str, &'c str);

/// Sends each request; the interaction must contain what is expected.
fn check(cases: &[Case<'_>]) {
    let server = Running::start(Limits::default());
    for (method, path, headers, body, expected) in cases {
        let reply = send(server.address, method, path, headers, body.as_bytes());
        let seen = server.recorder.take();
        let told = format!("{method} {path} {headers:?} -> {} {}", reply.status, reply.text());
        match expected.parse::<u16>() {
            Ok(status) => {
                assert_eq!(reply.status, status, "{told}");
                assert!(reply.is_outcome() || *method == "HEAD", "{told}");
                assert_eq!(seen, None, "{told}");
            }
            Err(_) => {
                let seen = seen.unwrap_or_else(|| panic!("nothing was asked: {told}"));
                assert!(seen.contains(expected), "{told}\n   seen {seen}\nexpected {expected}");
            }
        }
    }
}

#[test]
fn what_is_read() {
    let id = r#"key: ResourceKey { resource_type: Patient, id: ResourceId("1") }"#;
    let read = format!("Read(ReadRequest {{ {id}, if_none_match: None, if_modified_since: None }})");
    let known =
        format!("Read(ReadRequest {{ {id}, if_none_match: Some(VersionId(2)), if_modified_since: None }})");
    let since = "if_none_match: None, if_modified_since: Some(Instant(1795439144000000))";
    let date = ("If-Modified-Since", "Mon, 23 Nov 2026 13:05:44 GMT");
    check(&[
        ("GET", "/fhir/Patient/1", &[], "", &read),
        ("HEAD", "/fhir/Patient/1", &[], "", &read),
        ("GET", "/fhir/Patient/1/?_format=xml", &[], "", &read),
        ("GET", "/fhir/%50atient/%31", &[], "", &read),
        ("GET", "/fhir/Patient/1", &[("If-None-Match", "W/\"2\"")], "", &known),
        ("GET", "/fhir/Patient/1", &[("If-None-Match", "W/\"2\""), date], "", &known),
        ("GET", "/fhir/Patient/1", &[date], "", since),
        ("GET", "/fhir/Patient/1", &[("If-Modified-Since", "yesterday")], "", &read),
        ("GET", "/fhir/Patient/1/_history/2", &[], "", "Vread(VreadRequest"),
        ("GET", "/fhir/Patient/1/_history/2", &[], "", "version: Some(VersionId(2))"),
        ("GET", "/fhir/Patient/1/_history/x", &[], "", "version: None"),
        ("GET", "/fhir/Patient/1/_history?_since=2020", &[], "", "History(HistoryRequest { scope: Instance("),
        ("GET", "/fhir/Patient/_history", &[], "", "scope: Type(Patient), parameters: []"),
        ("GET", "/fhir/_history?_count=1", &[], "", r#"scope: System, parameters: [("_count", "1")]"#),
        ("GET", "/fhir/metadata", &[], "", "Capabilities"),
        ("OPTIONS", "/fhir", &[], "", "Capabilities"),
        ("OPTIONS", "/fhir/", &[], "", "Capabilities"),
    ]);
}

#[test]
fn what_is_searched() {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let scope = r#"scope: Compartment { focus: ResourceKey { resource_type: Patient, id: ResourceId("1") }, member: Some(Observation) }"#;
    check(&[
        ("GET", "/fhir/Patient?name=a+b%2Cc&_pretty=true", &[], "", r#"parameters: [("name", "a b,c")]"#),
        ("GET", "/fhir/Patient?_summary=count", &[], "", r#"parameters: [("_summary", "count")]"#),
        ("GET", "/fhir/Patient?x=%E2%82%AC", &[], "", r#"[("x", "€")]"#),
        ("GET", "/fhir/?_type=Patient", &[], "", "Search(SearchRequest { scope: System,"),
        ("GET", "/fhir?_type=Patient", &[], "", "Search(SearchRequest { scope: System,"),
        ("GET", "/fhir/Patient/1/Observation?code=1", &[], "", scope),
        ("GET", "/fhir/Patient/1/*", &[], "", "member: None"),
        ("POST", "/fhir/Patient/_search?a=1", &form, "b=2&_format=json", r#"[("a", "1"), ("b", "2")]"#),
        ("POST", "/fhir/_search", &form, "_type=Patient", "scope: System"),
        ("POST", "/fhir/Patient/1/Observation/_search", &form, "code=1", scope),
        ("POST", "/fhir/Patient/_search", &[], "", "scope: Type(Patient), parameters: []"),
        ("GET", "/fhir/Patient", &[("Prefer", "handling=strict")], "", "handling: Strict"),
        ("POST", "/fhir/Patient/_search", &[JSON], PATIENT, "415"),
        ("POST", "/fhir/Patient/_search", &form, "a=%zz", "400"),
        ("GET", "/fhir/Patient/_search?a=1", &[], "", "405"),
        ("GET", "/fhir/Patient/1/Nothing", &[], "", "404"),
    ]);
}

#[test]
fn what_is_written() {
    let merge = [("Content-Type", "application/json-patch+json")];
    let png = [("Content-Type", "image/png"), ("X-Security-Context", "Patient/1")];
    let xml = [("Content-Type", "application/fhir+xml")];
    let generic = [("Content-Type", "application/json")];
    let patient_xml = r#"<Patient xmlns="http://hl7.org/fhir"><id value="1"/></Patient>"#;
    let bundle = r#"{"resourceType":"Bundle","type":"batch"}"#;
    check(&[
        (
            "POST",
            "/fhir/Patient",
            &[JSON],
            PATIENT,
            "Create(CreateRequest { resource_type: Patient, resource: Patient/1, if_none_exist: None })",
        ),
        ("POST", "/fhir/Patient", &xml, patient_xml, "resource: Patient/1"),
        ("POST", "/fhir/Patient", &generic, PATIENT, "resource: Patient/1"),
        (
            "POST",
            "/fhir/Patient",
            &[JSON, ("If-None-Exist", "identifier=a%7Cb")],
            PATIENT,
            r#"if_none_exist: Some(Criteria([("identifier", "a|b")]))"#,
        ),
        (
            "PUT",
            "/fhir/Patient/1",
            &[JSON],
            PATIENT,
            r#"target: Id(ResourceId("1")), resource: Patient/1, if_match: None, if_none_exist: false"#,
        ),
        ("PUT", "/fhir/Patient/1", &[JSON, ("If-Match", "W/\"7\"")], PATIENT, "if_match: Some(VersionId(7))"),
        ("PUT", "/fhir/Patient/1", &[JSON, ("If-None-Match", "*")], PATIENT, "if_none_exist: true"),
        (
            "PUT",
            "/fhir/Patient?identifier=a&_format=json",
            &[JSON],
            PATIENT,
            r#"target: Criteria(Criteria([("identifier", "a")]))"#,
        ),
        ("PATCH", "/fhir/Patient/1", &merge, "[]", r#"document: Json(b"[]")"#),
        ("PATCH", "/fhir/Patient/1", &[JSON], PARAMETERS, "document: FhirPath(Parameters/-)"),
        ("PATCH", "/fhir/Patient?active=true", &merge, "[]", "target: Criteria("),
        ("DELETE", "/fhir/Patient/1", &[("If-Match", "W/\"2\"")], "", "if_match: Some(VersionId(2))"),
        (
            "DELETE",
            "/fhir/Patient?active=true",
            &[],
            "",
            "Delete(DeleteRequest { resource_type: Patient, target: Criteria(",
        ),
        ("POST", "/fhir", &[JSON], bundle, "Bundle(BundleRequest"),
        ("POST", "/fhir/", &[JSON], bundle, "Bundle(BundleRequest"),
        (
            "POST",
            "/fhir/Binary",
            &png,
            "x",
            "Create(CreateRequest { resource_type: Binary, resource: Binary/-",
        ),
        ("PUT", "/fhir/Binary/9", &png, "x", "resource: Binary/9"),
        ("PUT", "/fhir/Binary/1", &[JSON], BINARY, "resource: Binary/1"),
        ("PUT", "/fhir/Binary/1", &generic, BINARY, "resource: Binary/1"),
        ("PUT", "/fhir/Binary/9", &generic, "[1]", "resource: Binary/9"),
    ]);
}

#[test]
fn what_is_called() {
    check(&[
        (
            "GET",
            "/fhir/$versions?a=1",
            &[],
            "",
            r#"Operation(OperationCall { name: "versions", scope: System, query: [("a", "1")], body: None, faults: [], safe: true })"#,
        ),
        ("GET", "/fhir/%24versions", &[], "", r#"name: "versions", scope: System"#),
        (
            "POST",
            "/fhir/Patient/$match",
            &[JSON],
            PARAMETERS,
            r#"name: "match", scope: Type(Patient), query: [], body: Some(Parameters/-), faults: [], safe: false"#,
        ),
        ("POST", "/fhir/Patient/1/$everything", &[], "", "scope: Instance("),
        ("HEAD", "/fhir/Patient/1/$everything", &[], "", "safe: true"),
        ("PUT", "/fhir/Patient/1/$everything", &[JSON], PATIENT, "405"),
        ("POST", "/fhir/$x", &[("Content-Type", "image/png")], "x", "415"),
    ]);
}

#[test]
fn what_is_refused() {
    let other_version = [("Content-Type", "application/fhir+json; fhirVersion=5.0")];
    check(&[
        ("GET", "/", &[], "", "404"),
        ("GET", "/fhirx/Patient", &[], "", "404"),
        ("GET", "/fhir/Nothing/1", &[], "", "404"),
        ("GET", "/fhir/Patient/1/_history/2/3", &[], "", "404"),
        ("GET", "/fhir/Patient/a_b", &[], "", "400"),
        ("GET", "/fhir/Patient?a=%zz", &[], "", "400"),
        ("GET", "/fhir/Patient?a=%ff", &[], "", "400"),
        ("GET", "/fhir/Patient?a=%00", &[], "", "400"),
        ("GET", "/fhir/Patient?_summary=some", &[], "", "400"),
        ("GET", "/fhir/Patient?_format=text/turtle", &[], "", "406"),
        ("GET", "/fhir/Patient/1", &[("Accept", "image/png")], "", "406"),
        ("PUT", "/fhir/Patient", &[JSON], PATIENT, "400"),
        ("DELETE", "/fhir/Patient", &[], "", "400"),
        ("PATCH", "/fhir/Patient/1", &[], "[]", "415"),
        ("PATCH", "/fhir/Patient/1", &[JSON], PATIENT, "400"),
        ("POST", "/fhir/Patient", &[], PATIENT, "415"),
        ("POST", "/fhir/Patient", &[("Content-Type", "image/png")], "x", "415"),
        ("POST", "/fhir/Patient", &other_version, PATIENT, "415"),
        ("POST", "/fhir/Patient", &[JSON], "", "400"),
        ("POST", "/fhir/Patient", &[JSON], "{", "400"),
        ("POST", "/fhir/Patient", &[JSON], r#"{"resourceType":"Patient","x":1}"#, "400"),
        ("POST", "/fhir", &[JSON], PATIENT, "400"),
        ("PUT", "/fhir/Patient/1", &[JSON, ("If-Match", "x")], PATIENT, "412"),
        ("PUT", "/fhir/Patient/1", &[JSON, ("If-Match", "W/\"1\", W/\"2\"")], PATIENT, "400"),
        ("POST", "/fhir/Patient", &[JSON, ("Content-Encoding", "lzma")], PATIENT, "415"),
        ("POST", "/fhir/Patient", &[JSON, ("Content-Encoding", "gzip")], PATIENT, "400"),
        ("TRACE", "/fhir/Patient", &[], "", "405"),
        ("DELETE", "/fhir/metadata", &[], "", "405"),
    ]);
}

#[test]
fn every_route_is_served() {
    let server = Running::start(Limits::default());
    for route in ROUTES {
        let path = route
            .path
            .replace("{type}", "Patient")
            .replace("{id}", "1")
            .replace("{vid}", "2")
            .replace("{member}", "Observation")
            .replace("{name}", "everything");
        let (headers, body): (&[_], _) = match (route.method, route.path) {
            ("POST", "/") => (&[JSON], r#"{"resourceType":"Bundle","type":"transaction"}"#),
            ("POST", path) if path.ends_with("_search") => (&[], ""),
            ("POST", path) if path.contains('$') => (&[JSON], PARAMETERS),
            ("POST" | "PUT", _) => (&[JSON], PATIENT),
            ("PATCH", _) => (&[JSON], PARAMETERS),
            _ => (&[], ""),
        };
        let query = if matches!(route.method, "PUT" | "PATCH" | "DELETE") { "?active=true" } else { "" };
        let reply =
            send(server.address, route.method, &format!("/fhir{path}{query}"), headers, body.as_bytes());
        assert!(reply.status < 300, "{} {}: {} {}", route.method, route.path, reply.status, reply.text());
        assert!(server.recorder.take().is_some(), "{} {}", route.method, route.path);
    }
}

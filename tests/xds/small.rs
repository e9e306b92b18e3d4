//! Documents that are small lie with what is said of them, larger ones in
//! files: who provides and retrieves them sees no difference.

use std::path::Path;

use crate::peer::{between, create_patient, document, entry, members, provide, start, submit};

/// The most bytes that are small, and how many of them are held of one message.
const SMALL_BYTES_MAX: usize = 64 << 10;
const HELD_BYTES_MAX: usize = 4 << 20;

/// Bytes that are no text, and others for each number.
fn bytes(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251 + number * 13) as u8).collect()
}

/// How many files there are below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[test]
fn documents_of_every_size_come_back_as_they_were() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, peer) = start(data.path());
    create_patient(&peer);
    let folder = data.path().join("documents");
    let sizes = [0, 1, SMALL_BYTES_MAX - 1, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, 300_000];
    let mut in_files = 0;
    for (number, size) in sizes.into_iter().enumerate() {
        let (unique_id, content) = (format!("1.2.{}", number + 1), bytes(number, size));
        let objects = [document("d", &unique_id, ""), members(&["d"])].concat();
        let body = provide(&submit(&format!("1.3.{}", number + 1), &objects), &[("d", "x")]);
        let answer = peer.provide(&body, &[("x", &content)]);
        assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
        in_files += usize::from(size > SMALL_BYTES_MAX);
        assert_eq!(files(&folder), in_files, "{size}");
    }
    // Also by a server that has read nothing yet.
    server.kill();
    let (_server, peer) = start(data.path());
    for (number, size) in sizes.into_iter().enumerate() {
        let (unique_id, content) = (format!("1.2.{}", number + 1), bytes(number, size));
        let registered = entry(&peer, &unique_id);
        let told = between(&registered, "name=\"size\"><rim:ValueList><rim:Value>", "<");
        assert_eq!(told, size.to_string());
        let repository = between(&registered, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
        let retrieved = peer.retrieve(&unique_id, repository);
        let part = [b"\r\n\r\n", content.as_slice(), b"\r\n--"].concat();
        assert!(retrieved.body.windows(part.len()).any(|window| window == part), "{size} bytes by SOAP");
        // FHIR gives out the same.
        let found = peer.fhir.get(&format!("DocumentReference?identifier=urn:oid:{unique_id}")).json();
        let url = found["entry"][0]["resource"]["content"][0]["attachment"]["url"].as_str().expect("a URL");
        let accept = [("accept", "application/pdf")];
        let raw =
            peer.fhir.send("GET", &format!("{}/fhir/{url}", peer.origin), &accept, b"").expect("an answer");
        assert_eq!((raw.status, raw.body == content), (200, true), "{size} bytes by FHIR");
    }
}

#[test]
fn many_small_documents_of_one_message_are_not_held() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let number_of_documents = HELD_BYTES_MAX / SMALL_BYTES_MAX + 3;
    let ids: Vec<String> = (0..number_of_documents).map(|n| format!("d{n}")).collect();
    let contents: Vec<Vec<u8>> = (0..number_of_documents).map(|n| bytes(n, SMALL_BYTES_MAX)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let entries = ids.iter().enumerate().map(|(n, id)| document(id, &format!("1.2.{}", n + 1), ""));
    let objects = entries.chain([members(&ids)]).collect::<String>();
    let attached: Vec<(&str, &str)> = ids.iter().map(|id| (*id, *id)).collect();
    let parts: Vec<(&str, &[u8])> = ids.iter().copied().zip(contents.iter().map(Vec::as_slice)).collect();
    let answer = peer.provide(&provide(&submit("1.3.1", &objects), &attached), &parts);
    assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
    assert_eq!(files(&data.path().join("documents")), 3);
    let any = entry(&peer, "1.2.1");
    let repository = between(&any, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    for (n, content) in contents.iter().enumerate() {
        let retrieved = peer.retrieve(&format!("1.2.{}", n + 1), repository);
        assert!(retrieved.body.windows(content.len()).any(|window| window == content), "document {n}");
    }
}

#[test]
fn a_small_document_of_a_submission_that_fails_leaves_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    // Of a patient whom nobody knows.
    let objects = [document("d", "1.2.1", ""), members(&["d"])].concat();
    let answer = peer.provide(&provide(&submit("1.3.1", &objects), &[("d", "x")]), &[("x", b"abc")]);
    assert!(answer.contains("XDSUnknownPatientId"), "{answer}");
    assert_eq!((peer.count("Binary?_summary=count"), files(&data.path().join("documents"))), (0, 0));
}

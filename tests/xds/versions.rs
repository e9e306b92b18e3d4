//! What is registered is changed: by ITI-57 and ITI-92, seen at every door.

use super::peer::*;

pub(super) const UPDATE: &str = "urn:ihe:iti:2010:UpdateDocumentSet";
const RESTRICTED: &str = "urn:ihe:iti:2018:RestrictedUpdateDocumentSet";
pub(super) const STATUS: &str = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
const SUBMIT: &str = "urn:ihe:iti:2010:AssociationType:SubmitAssociation";
const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";

fn update(peer: &Peer, action: &str, set: &str, objects: &str) -> String {
    updated(peer, action, &submit(set, objects))
}

/// Sends a submission that changes what is registered.
pub(super) fn updated(peer: &Peer, action: &str, submission: &str) -> String {
    let message = envelope(action, submission);
    let answer = peer.post("xds/registry", "application/soap+xml", message.as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    text(&answer)
}

pub(super) fn association_with(id: &str, kind: &str, target: &str, slots: &str) -> String {
    format!(
        "<Association id='{id}' associationType='{kind}' sourceObject='set' targetObject='{target}'>{slots}</Association>"
    )
}

/// The version of a document after `previous`, of this title.
fn version(lid: &str, unique_id: &str, title: &str, previous: &str) -> String {
    version_in("1.2.3.4.5", lid, unique_id, title, previous)
}

/// As [`version`], in a repository.
pub(super) fn version_in(
    repository: &str,
    lid: &str,
    unique_id: &str,
    title: &str,
    previous: &str,
) -> String {
    // Of the bytes `foo`.
    let more = [
        slot("hash", &["0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"]),
        slot("size", &["3"]),
        slot("repositoryUniqueId", &[repository]),
    ];
    let entry = document("v", unique_id, &more.concat())
        .replacen("<ExtrinsicObject id='v'", &format!("<ExtrinsicObject id='v' lid='{lid}'"), 1)
        .replace("Referto v", title);
    let slots = [slot("SubmissionSetStatus", &["Original"]), slot("PreviousVersion", &[previous])].concat();
    entry + &association_with("m", HAS_MEMBER, "v", &slots)
}

pub(super) fn statuses(original: &str, new: &str) -> String {
    slot("OriginalStatus", &[original]) + &slot("NewStatus", &[new])
}

/// How many objects of a kind are in an answer.
fn count(answer: &str, kind: &str) -> usize {
    answer.matches(&format!("<rim:{kind} ")).count()
}

#[test]
fn a_document_has_versions_at_every_door() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let objects = [document("d", "1.4.1", ""), folder("f", "1.4.2"), association(HAS_MEMBER, "f", "d")];
    let objects = objects.concat() + &members(&["d", "f", "as-f-d"]);
    let done = peer.provide(&provide(&submit("1.4.3", &objects), &[("d", "x")]), &[("x", b"foo")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    let lid = entry_uuid(&peer, "1.4.1");

    let done = update(&peer, UPDATE, "1.4.4", &version(&lid, "1.4.1", "Rivisto", "2"));
    assert!(done.contains("XDSMetadataVersionError"), "{done}");
    let done = update(&peer, UPDATE, "1.4.4", &version(&lid, "1.4.99", "Rivisto", "1"));
    assert!(done.contains("XDSMetadataUpdateError"), "{done}");
    let done = update(&peer, UPDATE, "1.4.4", &version(&lid, "1.4.1", "Rivisto", "1"));
    assert!(done.contains("ResponseStatusType:Success"), "{done}");

    // Who does not know of versions sees the last one; who does sees both.
    let last = entry(&peer, "1.4.1");
    assert!(count(&last, "ExtrinsicObject") == 1 && last.contains("Rivisto"), "{last}");
    assert!(last.contains("versionName=\"2\"") && last.contains(&format!("lid=\"{lid}\"")), "{last}");
    for (level, expected) in [("1", 1), ("2", 2)] {
        let parameters = [("$XDSDocumentEntryLogicalID", &*format!("('{lid}')")), ("$MetadataLevel", level)];
        assert_eq!(count(&peer.query(GET_DOCUMENTS, "LeafClass", &parameters), "ExtrinsicObject"), expected);
    }
    // Its folder has it as it had the one before; what it is of stays.
    let contents = peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &[("$XDSFolderUniqueId", "'1.4.2'")]);
    assert!(contents.contains("Rivisto"), "{contents}");
    assert_eq!(peer.count("DocumentReference?status=current&patient=p1"), 1);
    assert_eq!(peer.count("DocumentReference?status=superseded&patient=p1"), 1);
    assert_eq!(peer.count(&format!("DocumentReference?identifier={lid}")), 2);
    let current = peer.fhir.get("DocumentReference?status=current&patient=p1").json();
    let attachment = &current["entry"][0]["resource"]["content"][0]["attachment"];
    assert_eq!(attachment["title"], "Rivisto");
    let bytes = peer.fhir.send(
        "GET",
        attachment["url"].as_str().expect("where it is"),
        &[("accept", "application/pdf")],
        &[],
    );
    assert_eq!(bytes.expect("an answer").body, b"foo");
    // Nothing of the submissions that failed.
    assert_eq!(peer.count("List?code=submissionset"), 2);
}

#[test]
fn of_updates_at_once_one_is_the_next_version() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, peer) = start(data.path());
    create_patient(&peer);
    let objects = [document("d", "1.4.1", ""), members(&["d"])].concat();
    peer.provide(&provide(&submit("1.4.3", &objects), &[("d", "x")]), &[("x", b"foo")]);
    let lid = entry_uuid(&peer, "1.4.1");
    let updates: Vec<String> = std::thread::scope(|scope| {
        let of = |at: usize| {
            let (peer, lid) = (Peer::of(&server), &lid);
            move || {
                let entry = version(lid, "1.4.1", &format!("Di {at}"), "1");
                update(&peer, UPDATE, &format!("1.5.{at}"), &entry)
            }
        };
        let all: Vec<_> = (1..=6).map(|at| scope.spawn(of(at))).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let done = updates.iter().filter(|answer| answer.contains("ResponseStatusType:Success")).count();
    assert_eq!(done, 1, "{updates:#?}");
    assert!(updates.iter().all(|answer| answer.contains("Success") || answer.contains("VersionError")));
    assert_eq!(peer.count("DocumentReference?status=current&patient=p1"), 1);
    assert_eq!(peer.count("DocumentReference?patient=p1"), 2);
    assert_eq!(peer.count("List?code=submissionset"), 2);
}

#[test]
pub(super) fn statuses_and_associations_are_changed() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let objects = [document("d", "1.4.1", ""), document("e", "1.4.2", ""), members(&["d", "e"])].concat();
    let documents = [("d", "x"), ("e", "y")];
    peer.provide(&provide(&submit("1.4.3", &objects), &documents), &[("x", b"foo"), ("y", b"bar")]);
    let (d, e) = (entry_uuid(&peer, "1.4.1"), entry_uuid(&peer, "1.4.2"));

    let added = association_with("s", SUBMIT, "a", "")
        + &format!("<Association id='a' associationType='{APPENDS}' sourceObject='{d}' targetObject='{e}'/>");
    let done = update(&peer, UPDATE, "1.4.4", &added);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert!(update(&peer, UPDATE, "1.4.5", &added).contains("registered already"));
    let types = format!("('{APPENDS}')");
    let related = |level: &str, status: &str| {
        let status = format!("('{status}')");
        let parameters = [
            ("$XDSDocumentEntryUniqueId", "'1.4.1'"),
            ("$AssociationTypes", types.as_str()),
            ("$MetadataLevel", level),
            ("$XDSAssociationStatus", status.as_str()),
        ];
        peer.query(GET_RELATED_DOCUMENTS, "LeafClass", &parameters)
    };
    let found = related("1", APPROVED);
    assert_eq!((count(&found, "Association"), count(&found, "ExtrinsicObject")), (1, 2), "{found}");
    let id = between(between(&found, "<rim:Association ", ">"), "id=\"", "\"").to_owned();

    let change = |set: &str, target: &str, from: &str, to: &str| {
        update(&peer, UPDATE, set, &association_with("u", STATUS, target, &statuses(from, to)))
    };
    assert!(change("1.4.6", &id, DEPRECATED, APPROVED).contains("XDSMetadataUpdateError"));
    assert!(change("1.4.6", &id, APPROVED, DEPRECATED).contains("ResponseStatusType:Success"));
    assert_eq!(count(&related("1", APPROVED), "Association"), 0);
    assert_eq!(count(&related("2", DEPRECATED), "Association"), 1);
    // By FHIR the relationship says that it does not hold.
    let source = peer.fhir.get(&format!("DocumentReference/{}", &d["urn:uuid:".len()..])).json();
    assert_eq!(source["relatesTo"][0]["modifierExtension"][0]["url"], "urn:lanterna:xds:deprecated");
    assert!(change("1.4.7", &id, DEPRECATED, APPROVED).contains("ResponseStatusType:Success"));
    assert_eq!(count(&related("1", APPROVED), "Association"), 1);

    assert!(change("1.4.8", &e, APPROVED, DEPRECATED).contains("ResponseStatusType:Success"));
    assert_eq!(peer.titles(DEPRECATED), ["e"]);
    assert_eq!(peer.count("DocumentReference?status=superseded&patient=p1"), 1);
    for (slots, expected) in [
        (slot("NewStatus", &[APPROVED]), "XDSMetadataUpdateOperationError"),
        (statuses(APPROVED, APPROVED), "XDSMetadataUpdateOperationError"),
        (statuses(APPROVED, "urn:x"), "XDSMetadataUpdateOperationError"),
        (
            statuses(APPROVED, DEPRECATED) + &slot("PreviousVersion", &["1"]),
            "XDSMetadataUpdateOperationError",
        ),
    ] {
        let done = update(&peer, UPDATE, "1.4.9", &association_with("u", STATUS, &e, &slots));
        assert!(done.contains(expected), "{slots}: {done}");
    }
    assert!(update(&peer, UPDATE, "1.4.9", "").contains("XDSMetadataUpdateOperationError"));
    assert_eq!(peer.count("List?code=submissionset"), 5);
}

#[test]
fn only_documents_are_changed_by_a_restricted_update() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let objects = [document("d", "1.4.1", ""), members(&["d"])].concat();
    peer.provide(&provide(&submit("1.4.3", &objects), &[("d", "x")]), &[("x", b"foo")]);
    let lid = entry_uuid(&peer, "1.4.1");
    let asked = association_with("u", STATUS, &lid, &statuses(APPROVED, DEPRECATED));
    assert!(update(&peer, RESTRICTED, "1.4.4", &asked).contains("XDSInvalidRequestException"));
    // The repository of a document does not change by its metadata.
    let entry = version(&lid, "1.4.1", "Rivisto", "1");
    assert!(update(&peer, RESTRICTED, "1.4.4", &entry).contains("UnmodifiableMetadataError"));
    let here = super::peer::entry(&peer, "1.4.1");
    let repository = between(&here, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<").to_owned();
    let entry = entry.replace("1.2.3.4.5", &repository);
    let done = update(&peer, RESTRICTED, "1.4.4", &entry);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert!(super::peer::entry(&peer, "1.4.1").contains("Rivisto"));
}

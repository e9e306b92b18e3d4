//! What is registered is removed by ITI-62, and its bytes by ITI-86: seen at
//! every door.

use super::peer::*;

const REMOVE_METADATA: &str = "urn:ihe:iti:2010:DeleteDocumentSet";
const REMOVE_DOCUMENTS: &str = "urn:ihe:iti:2017:RemoveDocuments";
const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";

fn remove_request(objects: &str) -> String {
    format!(
        "<lcm:RemoveObjectsRequest xmlns:lcm='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0' \
         xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'>{objects}</lcm:RemoveObjectsRequest>"
    )
}

pub(super) fn remove(peer: &Peer, ids: &[String]) -> String {
    let refs: String = ids.iter().map(|id| format!("<ObjectRef id='{id}'/>")).collect();
    let body = remove_request(&format!("<ObjectRefList>{refs}</ObjectRefList>"));
    let message = envelope(REMOVE_METADATA, &body);
    let answer = peer.post("xds/registry", "application/soap+xml", message.as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    text(&answer)
}

pub(super) fn remove_documents(peer: &Peer, repository: &str, documents: &[&str]) -> String {
    let request = |document: &&str| {
        format!(
            "<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>\
             <x:DocumentUniqueId>{document}</x:DocumentUniqueId></x:DocumentRequest>"
        )
    };
    let requests: String = documents.iter().map(request).collect();
    let body = format!(
        "<RemoveDocumentsRequest xmlns='urn:ihe:iti:rmd:2017' xmlns:x='urn:ihe:iti:xds-b:2007'>{requests}\
         </RemoveDocumentsRequest>"
    );
    let message = envelope(REMOVE_DOCUMENTS, &body);
    text(&peer.post("xds/repository", "application/soap+xml", message.as_bytes()))
}

fn all_of(answer: &str, element: &str) -> Vec<(String, String, String)> {
    let attribute = |object: &str, name: &str| {
        object
            .split_once(&format!(" {name}=\""))
            .map_or("", |(_, rest)| rest.split('"').next().unwrap_or(""))
            .to_owned()
    };
    let begin = format!("<rim:{element} ");
    let objects = answer.split(&begin).skip(1);
    let objects = objects.map(|rest| format!(" {}", rest.split('>').next().unwrap_or_default()));
    objects
        .map(|o| (attribute(&o, "id"), attribute(&o, "sourceObject"), attribute(&o, "targetObject")))
        .collect()
}

pub(super) fn associations(peer: &Peer, uuid: &str) -> Vec<(String, String, String)> {
    let uuid = format!("('{uuid}')");
    all_of(&peer.query(GET_ASSOCIATIONS, "LeafClass", &[("$uuid", &uuid)]), "Association")
}

pub(super) fn repository_of(peer: &Peer, document: &str) -> String {
    let entry = entry(peer, document);
    between(&entry, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<").to_owned()
}

/// Two documents in a folder, the second of which appends to the first.
fn provide_two(peer: &Peer) -> (String, String, String) {
    let objects = [
        document("d", "1.4.1", ""),
        document("e", "1.4.2", ""),
        folder("f", "1.4.3"),
        association(HAS_MEMBER, "f", "d"),
        association(APPENDS, "e", "d"),
        members(&["d", "e", "f", "as-f-d"]),
    ];
    let documents = [("d", "x"), ("e", "y")];
    let done = peer
        .provide(&provide(&submit("1.4.4", &objects.concat()), &documents), &[("x", b"foo"), ("y", b"bar")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    let folders = peer.query(GET_FOLDERS, "ObjectRef", &[("$XDSFolderUniqueId", "('1.4.3')")]);
    let folder = between(&folders, "<rim:ObjectRef id=\"", "\"").to_owned();
    (entry_uuid(peer, "1.4.1"), entry_uuid(peer, "1.4.2"), folder)
}

#[test]
fn nothing_is_removed_that_is_referred_to_or_left_alone() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let (d, e, f) = provide_two(&peer);
    let of_d = associations(&peer, &d);
    // Of the submission set, of the folder, and the one that `e` appends by.
    assert_eq!(of_d.len(), 3, "{of_d:?}");
    for (ids, expected) in [
        (vec![d.clone()], "ReferencesExistException"),
        (vec![f.clone()], "ReferencesExistException"),
        (vec!["urn:uuid:00000000-0000-4000-8000-000000000000".to_owned()], "UnresolvedReferenceException"),
        (vec!["x".to_owned()], "UnresolvedReferenceException"),
        (vec![], "XDSRegistryError"),
    ] {
        let done = remove(&peer, &ids);
        assert!(done.contains(expected) && done.contains("ResponseStatusType:Failure"), "{ids:?}: {done}");
    }
    for wrong in ["<AdhocQuery id='urn:x'/>", "<ObjectRef id='urn:x'/>"] {
        let message = envelope(REMOVE_METADATA, &remove_request(wrong));
        let done = text(&peer.post("xds/registry", "application/soap+xml", message.as_bytes()));
        assert!(done.contains("XDSRegistryError"), "{done}");
    }
    // A document would be left that nothing refers to.
    let of_e = associations(&peer, &e);
    let ids: Vec<String> = of_e.iter().map(|(id, ..)| id.clone()).collect();
    let done = remove(&peer, &ids);
    assert!(done.contains("XDSUnreferencedObjectException") && done.contains(&e), "{done}");
    assert_eq!(peer.titles(APPROVED), ["d", "e"]);
    assert_eq!((associations(&peer, &d), associations(&peer, &e)), (of_d, of_e));

    // One association alone: the document appends to nothing any more.
    let appends = associations(&peer, &e).into_iter().find(|(_, source, _)| *source == e).expect("appends");
    let done = remove(&peer, &[appends.0]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert_eq!((associations(&peer, &d).len(), associations(&peer, &e).len()), (2, 1));
    let by_fhir = peer.fhir.get(&format!("DocumentReference/{}", &e["urn:uuid:".len()..])).json();
    assert!(by_fhir.get("relatesTo").is_none(), "{by_fhir}");
}

#[test]
fn what_is_removed_is_gone_at_every_door() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let (d, e, f) = provide_two(&peer);
    let repository = repository_of(&peer, "1.4.1");
    // The first document with all that refers to it; the second stays.
    let mut ids: Vec<String> = associations(&peer, &d).into_iter().map(|(id, ..)| id).collect();
    ids.push(d.clone());
    let done = remove(&peer, &ids);
    // The submission set has the membership of the folder as a member.
    assert!(done.contains("ReferencesExistException"), "{done}");
    let in_folder =
        associations(&peer, &f).into_iter().find(|(_, source, _)| *source == f).expect("a member");
    let (_, set, _) = associations(&peer, &d)
        .into_iter()
        .find(|(_, source, _)| ![&e, &f].contains(&source))
        .expect("its submission set");
    let set = associations(&peer, &set);
    let of_membership = set.into_iter().find(|(_, _, target)| *target == in_folder.0).expect("a member");
    ids.push(of_membership.0);
    let done = remove(&peer, &ids);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");

    assert_eq!(peer.titles(APPROVED), ["e"]);
    assert_eq!(peer.count("DocumentReference?patient=p1"), 1);
    let contents = peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &[("$XDSFolderUniqueId", "'1.4.3'")]);
    assert_eq!(all_of(&contents, "ExtrinsicObject").len(), 0, "{contents}");
    let deleted = peer.fhir.send("GET", &format!("DocumentReference/{}", &d["urn:uuid:".len()..]), &[], &[]);
    assert_eq!(deleted.expect("an answer").status, 410);
    assert!(text(&peer.retrieve("1.4.1", &repository)).contains("XDSDocumentUniqueIdError"));

    // The repository knows the bytes still, and removes them; those of the other with it named.
    assert_eq!(peer.count("Binary?_tag=urn:oid:1.4.1"), 1);
    let done = remove_documents(&peer, &repository, &["1.4.1", "1.4.9"]);
    assert!(done.contains("PartialSuccess") && done.contains("XDSDocumentUniqueIdError"), "{done}");
    assert_eq!(peer.count("Binary?_tag=urn:oid:1.4.1"), 0);
    let done = remove_documents(&peer, "1.9.9", &["1.4.2"]);
    assert!(done.contains("XDSUnknownRepositoryId"), "{done}");
    assert!(text(&peer.retrieve("1.4.2", &repository)).contains("bar"));
    let done = remove_documents(&peer, &repository, &["1.4.2"]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert!(text(&peer.retrieve("1.4.2", &repository)).contains("XDSDocumentUniqueIdError"));
    // What is said of it stays until it is removed as well.
    assert_eq!(entry_uuid(&peer, "1.4.2"), e);
}

//! What becomes of submissions: found by every door, replaced, put into folders.

use super::*;

#[test]
fn what_is_provided_is_found_and_retrieved_by_every_door() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let mut bundle = submission("Comprehensive", "1.8.1");
    bundle["entry"][1]["resource"]["identifier"] = json!([{ "use": "official", "system": "urn:ietf:rfc:3986",
        "value": "urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d" }]);
    let places = provided(&peer, &bundle);
    assert_eq!(places[1], "DocumentReference/7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d");
    assert_eq!(peer.titles(APPROVED), ["1.8.1"]);
    let found = super::super::peer::entry(&peer, "1.8.1");
    for expected in [
        "id=\"urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d\"",
        ">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<",
        "<rim:Value>5</rim:Value>",
        "S1^^^&amp;1.9&amp;ISO",
        "PID-5|Rossi^Maria",
        "value=\"P1^^^&amp;1.2.3&amp;ISO\"",
        "nodeRepresentation=\"CLASS\"",
    ] {
        assert!(found.contains(expected), "{expected} is not in {found}");
    }
    let repository = between(&found, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    assert!(text(&peer.retrieve("1.8.1", repository)).contains("\r\n\r\nhello\r\n"));
    // ITI-68: the attachment's URL is where the document is.
    let document = peer.fhir.get(&places[1]).json();
    let url = document["content"][0]["attachment"]["url"].as_str().expect("a URL");
    let retrieved = peer.fhir.get(url);
    assert_eq!((retrieved.status, retrieved.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(retrieved.header("content-type"), Some("text/plain"));
    let audited = peer.fhir.get("AuditEvent?subtype=ITI-65&patient=Patient/p1").json();
    assert_eq!(audited["total"], 1, "{audited}");
}

#[test]
fn a_document_is_replaced_whoever_says_that_the_old_one_is_superseded() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let patch = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" }, { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "value", "valueCode": "superseded" }] }] });
    let mut last = provided(&peer, &submission("Comprehensive", "1.8.1"))[1].clone();
    for (number, method) in ["", "PATCH", "PUT"].into_iter().enumerate() {
        let mut bundle = submission("Comprehensive", &format!("1.8.{}", number + 2));
        bundle["entry"][1]["resource"]["relatesTo"] =
            json!([{ "code": "replaces", "target": { "reference": last } }]);
        let mut old = peer.fhir.get(&last).json();
        old["status"] = json!("superseded");
        let resource = if method == "PATCH" { patch.clone() } else { old };
        if !method.is_empty() {
            let request = json!({ "method": method, "url": last });
            // In the middle: the answer is in the order of the request.
            bundle["entry"]
                .as_array_mut()
                .expect("entries")
                .insert(1, json!({ "fullUrl": full_url(7), "resource": resource, "request": request }));
        }
        let places = provided(&peer, &bundle);
        if !method.is_empty() {
            assert_eq!(places[1], last, "{method}");
        }
        assert_eq!(peer.fhir.get(&last).json()["status"], "superseded", "{method}");
        let place = if method.is_empty() { 1 } else { 2 };
        // What is superseded is replaced once.
        let mut again = submission("Comprehensive", &format!("1.9.{number}"));
        again["entry"][1]["resource"]["relatesTo"] =
            json!([{ "code": "replaces", "target": { "reference": last } }]);
        let (status, answer) = post(&peer, &again);
        assert_eq!(status, 422);
        assert_eq!(
            told(&answer),
            [(
                "XDSRegistryDeprecatedDocumentError".to_owned(),
                "Bundle.entry[1].resource.relatesTo[0]".to_owned()
            )]
        );
        last = places[place].clone();
    }
    assert_eq!((peer.titles(APPROVED), peer.titles(DEPRECATED).len()), (vec!["1.8.4".to_owned()], 3));
    // A patch of what nothing replaces, and one that says more.
    let mut bundle = submission("Comprehensive", "1.8.9");
    bundle["entry"]
        .as_array_mut()
        .expect("entries")
        .push(json!({ "resource": patch, "request": { "method": "PATCH", "url": last } }));
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("XDSRegistryMetadataError".to_owned(), "Bundle.entry[3]".to_owned())])
    );
    let mut old = peer.fhir.get(&last).json();
    old["status"] = json!("superseded");
    old["content"][0]["attachment"]["title"] = json!("another");
    bundle["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": last } }]);
    bundle["entry"][3] = json!({ "resource": old, "request": { "method": "PUT", "url": last } });
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("business-rule".to_owned(), "Bundle.entry[3].resource".to_owned())])
    );
}

#[test]
fn folders_get_members_and_lose_none() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let in_folder = |unique_id: &str, folder: Value| {
        let mut bundle = submission("Comprehensive", unique_id);
        bundle["entry"][0]["resource"]["entry"]
            .as_array_mut()
            .expect("members")
            .push(json!({ "item": { "reference": full_url(4) } }));
        bundle["entry"].as_array_mut().expect("entries").push(folder);
        bundle
    };
    let places = provided(&peer, &in_folder("1.8.1", entry(4, folder("1.7.1", &[&full_url(2)]))));
    let (first, place) = (places[1].clone(), places[3].clone());
    let put = |members: &[&str]| {
        let mut resource = folder("1.7.1", members);
        resource["id"] = json!(place.trim_start_matches("List/"));
        json!({ "fullUrl": full_url(4), "resource": resource, "request": { "method": "PUT", "url": place } })
    };
    let places = provided(&peer, &in_folder("1.8.2", put(&[&first, &full_url(2)])));
    assert_eq!(places[3], place);
    let contents = peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &[("$XDSFolderUniqueId", "'1.7.1'")]);
    for expected in ["Referto 1.8.1", "Referto 1.8.2"] {
        assert!(contents.contains(expected), "{contents}");
    }
    let (status, answer) = post(&peer, &in_folder("1.8.3", put(&[&full_url(2)])));
    let gone = ("XDSRegistryMetadataError".to_owned(), "Bundle.entry[3].resource.entry".to_owned());
    assert_eq!((status, told(&answer)), (422, vec![gone.clone(), gone]));
    let mut renamed = put(&[&first, &places[1], &full_url(2)]);
    renamed["resource"]["title"] = json!("another");
    let (status, answer) = post(&peer, &in_folder("1.8.3", renamed));
    assert_eq!(
        (status, told(&answer)),
        (422, vec![("business-rule".to_owned(), "Bundle.entry[3].resource".to_owned())])
    );
    // What replaces a member is a member.
    let mut bundle = submission("Comprehensive", "1.8.4");
    bundle["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": first } }]);
    let replacing = provided(&peer, &bundle)[1].clone();
    let found = peer.fhir.get(&format!("List?item={replacing}&code=folder")).json();
    assert_eq!(found["total"], 1, "{found}");
}

#[test]
fn a_bundle_without_a_profile_of_mhd_is_a_plain_transaction() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let mut bundle = submission("Minimal", "1.8.1");
    remove(&mut bundle, "/meta");
    remove(&mut bundle, "/entry/0/resource/date");
    let (status, answer) = post(&peer, &bundle);
    assert_eq!(status, 200, "{answer}");
}

//! What comes by one door is found at the others; what is wrong is refused at all.

use serde_json::{Value, json};

use super::peer::*;

#[test]
fn what_comes_by_soap_is_found_by_fhir_and_replaced_everywhere() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, peer) = start(data.path());
    let objects = [
        document(
            "d1",
            "1.2.3.1",
            &slot(
                "urn:ihe:iti:xds:2013:referenceIdList",
                &["A1^^^&amp;1.7&amp;ISO^urn:ihe:iti:xds:2013:accession"],
            ),
        ),
        document("d2", "1.2.3.2^x", &slot("urn:extra:slot", &["kept"])),
        folder("f", "1.2.3.3"),
        members(&["d1", "d2", "f"]),
        association(HAS_MEMBER, "f", "d1"),
    ]
    .concat();
    let first = provide(&submit("1.2.3.4", &objects), &[("d1", "one"), ("d2", "two")]);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let parts: [(&str, &[u8]); 2] = [("one", b"%PDF-1"), ("two", &large)];

    // A patient that nobody knows: nothing of the submission is there.
    let refused = peer.provide(&first, &parts);
    assert!(refused.contains("XDSUnknownPatientId") && refused.contains("Type:Failure"), "{refused}");
    assert_eq!((peer.count("DocumentReference?_summary=count"), peer.count("List?_summary=count")), (0, 0));

    create_patient(&peer);
    let done = peer.provide(&first, &parts);
    assert!(done.contains("ResponseStatusType:Success") && done.contains("RelatesTo>urn:uuid:1<"), "{done}");
    assert_eq!(peer.titles(APPROVED), ["d1", "d2"]);
    assert_eq!(peer.titles(DEPRECATED), [""; 0]);

    // By FHIR: search, the bytes, the folder and its members.
    let found = peer.fhir.get("DocumentReference?patient=Patient/p1&identifier=urn:oid:1.2.3.2|x").json();
    assert_eq!(found["total"], 1, "{found}");
    let reference = &found["entry"][0]["resource"];
    assert_eq!(reference["content"][0]["attachment"]["size"], 3_000_000);
    let url = reference["content"][0]["attachment"]["url"].as_str().expect("a URL");
    let binary = peer.fhir.send("GET", url, &[("accept", "application/pdf")], b"").expect("an answer");
    assert_eq!((binary.status, binary.header("content-type")), (200, Some("application/pdf")));
    assert!(binary.body == large);
    let as_fhir = peer.fhir.send("GET", url, &[("accept", "application/fhir+json")], b"").expect("an answer");
    assert!(as_fhir.json()["data"].as_str().is_some_and(|data| data.len() == 4_000_000));
    let folders = peer.fhir.get("List?patient=Patient/p1&code=folder").json();
    assert_eq!(folders["entry"][0]["resource"]["entry"].as_array().map(Vec::len), Some(1));

    // By SOAP: what was not known is given back, the bytes are those.
    let all = peer.query(GET_DOCUMENTS, "LeafClass", &[("$XDSDocumentEntryUniqueId", "('1.2.3.2^x')")]);
    assert!(all.contains("urn:extra:slot") && all.contains(">kept<") && all.contains(">3000000<"), "{all}");
    let repository = between(&all, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<").to_owned();
    let retrieved = peer.retrieve("1.2.3.2^x", &repository);
    assert_eq!(retrieved.status, 200);
    assert!(retrieved.body.windows(large.len()).any(|window| window == large));
    for (unique_id, repository, error) in [
        ("1.2.3.99", repository.as_str(), "XDSDocumentUniqueIdError"),
        ("1.2.3.1", "1.1", "XDSUnknownRepositoryId"),
    ] {
        let failed = text(&peer.retrieve(unique_id, repository));
        assert!(failed.contains(error) && failed.contains("Type:Failure"), "{failed}");
    }

    // Replaced: deprecated at every door, and in the folder as well.
    let old = entry_uuid(&peer, "1.2.3.1");
    let objects =
        [document("d3", "1.2.3.5", ""), members(&["d3"]), association(REPLACES, "d3", &old)].concat();
    let replacing = provide(&submit("1.2.3.6", &objects), &[("d3", "three")]);
    let done = peer.provide(&replacing, &[("three", b"%PDF-3")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    assert_eq!(peer.titles(APPROVED), ["d2", "d3"]);
    assert_eq!(peer.titles(DEPRECATED), ["d1"]);
    assert_eq!(peer.count("DocumentReference?patient=Patient/p1&status=superseded&_summary=count"), 1);
    let new = entry_uuid(&peer, "1.2.3.5");
    for (query, parameters, expected, absent) in [
        (GET_FOLDERS_FOR_DOCUMENT, vec![("$XDSDocumentEntryEntryUUID", format!("'{new}'"))], "Ricovero", ""),
        (
            GET_FOLDER_AND_CONTENTS,
            vec![("$XDSFolderUniqueId", "'1.2.3.3'".to_owned())],
            "Referto d3",
            "Referto d2",
        ),
        (
            GET_RELATED_DOCUMENTS,
            vec![
                ("$XDSDocumentEntryEntryUUID", format!("'{old}'")),
                ("$AssociationTypes", format!("('{REPLACES}')")),
            ],
            "Referto d3",
            "Referto d2",
        ),
        (GET_ASSOCIATIONS, vec![("$uuid", format!("('{old}')"))], REPLACES, "ExtrinsicObject"),
        (
            GET_DOCUMENTS_AND_ASSOCIATIONS,
            vec![("$XDSDocumentEntryEntryUUID", format!("('{new}')"))],
            REPLACES,
            "Referto d1",
        ),
        (GET_SUBMISSION_SETS, vec![("$uuid", format!("('{new}')"))], "1.2.3.6", "1.2.3.4\""),
        (
            GET_SUBMISSION_SET_AND_CONTENTS,
            vec![("$XDSSubmissionSetUniqueId", "'1.2.3.4'".to_owned())],
            "Referto d2",
            "Referto d3",
        ),
        (GET_FOLDERS, vec![("$XDSFolderUniqueId", "('1.2.3.3')".to_owned())], "Ricovero", "Referto"),
        (
            FIND_FOLDERS,
            vec![
                ("$XDSFolderPatientId", "'P1^^^&amp;1.2.3&amp;ISO'".to_owned()),
                ("$XDSFolderStatus", format!("('{APPROVED}')")),
                ("$XDSFolderCodeList", "('FOLDER^^1.2.3.4')".to_owned()),
                ("$XDSFolderLastUpdateTimeFrom", "2026".to_owned()),
            ],
            "Ricovero",
            "",
        ),
        (
            FIND_SUBMISSION_SETS,
            vec![
                ("$XDSSubmissionSetPatientId", "'P1^^^&amp;1.2.3&amp;ISO'".to_owned()),
                ("$XDSSubmissionSetStatus", format!("('{APPROVED}')")),
                ("$XDSSubmissionSetSourceId", "('1.2.3.5')".to_owned()),
            ],
            "1.2.3.6",
            "Referto",
        ),
        (
            BY_REFERENCE_ID,
            vec![
                ("$XDSDocumentEntryPatientId", "'P1^^^&amp;1.2.3&amp;ISO'".to_owned()),
                ("$XDSDocumentEntryStatus", format!("('{APPROVED}','{DEPRECATED}')")),
                (
                    "$XDSDocumentEntryReferenceIdList",
                    "('A1^^^&amp;1.7&amp;ISO^urn:ihe:iti:xds:2013:accession')".to_owned(),
                ),
            ],
            "Referto d1",
            "Referto d2",
        ),
        (
            GET_ALL,
            vec![
                ("$patientId", "'P1^^^&amp;1.2.3&amp;ISO'".to_owned()),
                ("$XDSDocumentEntryStatus", format!("('{APPROVED}')")),
                ("$XDSSubmissionSetStatus", format!("('{APPROVED}')")),
                ("$XDSFolderStatus", format!("('{APPROVED}')")),
            ],
            "Referto d3",
            "Referto d1",
        ),
    ] {
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let found = peer.query(query, "LeafClass", &parameters);
        assert!(found.contains("ResponseStatusType:Success") && found.contains(expected), "{query}: {found}");
        assert!(absent.is_empty() || !found.contains(absent), "{query} has {absent}: {found}");
    }
    server.kill();

    let (_server, peer) = start(data.path());
    assert_eq!(peer.titles(APPROVED), ["d2", "d3"]);
    assert!(peer.retrieve("1.2.3.2^x", &repository).body.windows(large.len()).any(|window| window == large));
}

#[test]
fn what_comes_by_fhir_is_found_by_soap() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let binary =
        json!({ "resourceType": "Binary", "id": "b1", "contentType": "application/pdf", "data": "JVBERg==" });
    assert_eq!(peer.fhir.json("PUT", "Binary/b1", &[], &binary).expect("an answer").status, 201);
    let reference = json!({
        "resourceType": "DocumentReference", "status": "current", "subject": { "reference": "Patient/p1" },
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.9" },
        "content": [{ "attachment": { "contentType": "application/pdf", "url": "Binary/b1", "title": "Referto fhir" } }],
    });
    let id = peer.fhir.create(&reference).id();
    assert_eq!(peer.titles(APPROVED), ["fhir"]);
    assert_eq!(entry_uuid(&peer, "1.2.9"), format!("urn:uuid:{id}"));
    // Its bytes are given out by the repository, also where it has no unique id of its own.
    let plain = json!({ "resourceType": "DocumentReference", "status": "current",
        "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "contentType": "application/pdf", "url": "Binary/b1", "title": "Referto plain" } }] });
    let plain = peer.fhir.create(&plain).id();
    let uuid = format!("('urn:uuid:{plain}')");
    let found = peer.query(GET_DOCUMENTS, "LeafClass", &[("$XDSDocumentEntryEntryUUID", &uuid)]);
    let repository = between(&found, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    let made = between(&found, "2e82c1f6-a085-4c72-9da3-8640a32e42ab\" value=\"", "\"");
    assert!(made.starts_with("2.25."), "{found}");
    for unique_id in ["1.2.9", made] {
        let retrieved = text(&peer.retrieve(unique_id, repository));
        assert!(
            retrieved.contains("ResponseStatusType:Success") && retrieved.contains("%PDF"),
            "{retrieved}"
        );
    }
    assert_eq!(
        peer.fhir.send("DELETE", &format!("DocumentReference/{plain}"), &[], b"").expect("an answer").status,
        204
    );
    let status = json!([{ "op": "replace", "path": "/status", "value": "superseded" }]);
    let headers = [("content-type", "application/json-patch+json")];
    let patched =
        peer.fhir.send("PATCH", &format!("DocumentReference/{id}"), &headers, status.to_string().as_bytes());
    assert_eq!(patched.expect("an answer").status, 200);
    assert_eq!(peer.titles(DEPRECATED), ["fhir"]);
}

#[test]
fn a_submission_that_is_wrong_leaves_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let one = |id: &str, set: &str, unique: &str, more: &str| {
        let objects = [document(id, unique, more), members(&[id])].concat();
        submit(set, &objects)
    };
    let done = peer.provide(&provide(&one("d", "1.5", "1.6", ""), &[("d", "x")]), &[("x", b"first")]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
    let wrong_hash = slot("hash", &["da39a3ee5e6b4b0d3255bfef95601890afd80709"]);
    let to_nothing = [
        document("d", "1.9", ""),
        members(&["d"]),
        association(REPLACES, "d", "urn:uuid:00000000-0000-4000-8000-000000000000"),
    ]
    .concat();
    let part: [(&str, &[u8]); 1] = [("x", b"second")];
    for (submission, documents, parts, errors) in [
        (one("d", "1.5", "1.7", ""), vec![("d", "x")], &part[..], &["XDSDuplicateUniqueIdInRegistry"][..]),
        (
            one("d", "1.8", "1.6", ""),
            vec![("d", "x")],
            &part,
            &["XDSNonIdenticalHash", "XDSNonIdenticalSize"],
        ),
        (
            one("d", "1.8", "1.7", &wrong_hash),
            vec![("d", "x")],
            &part,
            &["XDSRepositoryMetadataError", "d/hash"],
        ),
        (one("d", "1.8", "1.7", ""), vec![], &part, &["XDSMissingDocumentMetadata"]),
        (one("d", "1.8", "1.7", ""), vec![], &[], &["XDSMissingDocument\""]),
        (
            one("d", "1.8", "1.7", ""),
            vec![("d", "y")],
            &part,
            &["XDSMissingDocument\"", "XDSMissingDocumentMetadata"],
        ),
        (
            one("d", "1.8", "1.7", ""),
            vec![("e", "x")],
            &part,
            &["XDSMissingDocument\"", "XDSMissingDocumentMetadata"],
        ),
        (submit("1.8", &to_nothing), vec![("d", "x")], &part, &["UnresolvedReferenceException"]),
        (
            submit("nonsense", &document("d", "1.7", "")),
            vec![("d", "x")],
            &part,
            &["set/uniqueId", "d/HasMember"],
        ),
    ] {
        let answer = peer.provide(&provide(&submission, &documents), parts);
        assert!(answer.contains("ResponseStatusType:Failure"), "{errors:?}: {answer}");
        for error in errors {
            assert!(answer.contains(error), "{error}: {answer}");
        }
    }
    assert_eq!((peer.titles(APPROVED).len(), peer.count("List?_summary=count")), (1, 1));
    assert_eq!(peer.count("Binary?_summary=count"), 1);

    for (id, parameters, error) in [
        ("urn:uuid:nonsense", vec![], "XDSUnknownStoredQuery"),
        (FIND_DOCUMENTS, vec![("$XDSDocumentEntryStatus", "('x')")], "XDSStoredQueryMissingParam"),
        (
            GET_FOLDERS_FOR_DOCUMENT,
            vec![("$XDSDocumentEntryUniqueId", "('1','2')")],
            "XDSStoredQueryParamNumber",
        ),
        (GET_DOCUMENTS, vec![], "XDSStoredQueryMissingParam"),
        (GET_DOCUMENTS, vec![("$XDSDocumentEntryUniqueId", "('1")], "XDSRegistryError"),
    ] {
        let answer = peer.query(id, "LeafClass", &parameters);
        assert!(answer.contains(error) && answer.contains("Type:Failure"), "{id}: {answer}");
    }
}

#[test]
fn what_is_no_message_is_a_fault() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    let bomb = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>";
    let query = "<q:AdhocQueryRequest xmlns:q='urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0'/>";
    let soap = "application/soap+xml";
    for (path, content_type, body, status, told) in [
        ("xds/registry", soap, "nonsense".to_owned(), 400, "Sender"),
        ("xds/registry", soap, bomb.to_owned(), 400, "document type"),
        ("xds/registry", soap, envelope("urn:x", "<x/>"), 400, "ActionNotSupported"),
        (
            "xds/registry",
            soap,
            envelope("urn:ihe:iti:2007:RetrieveDocumentSet", query),
            400,
            "ActionNotSupported",
        ),
        (
            "xds/repository",
            soap,
            envelope("urn:ihe:iti:2007:RegistryStoredQuery", query),
            400,
            "ActionNotSupported",
        ),
        ("xds/repository", "multipart/related", String::new(), 400, "boundary"),
        (
            "xds/repository",
            "multipart/related; boundary=b",
            "--b\r\n\r\n<a>".to_owned(),
            400,
            "closing boundary",
        ),
        // An action that says nothing is none.
        ("xds/registry", soap, envelope("None", query), 200, "XDSRegistryError"),
    ] {
        let answer = peer.post(path, content_type, body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", text(&answer));
        assert!(text(&answer).contains(told), "{body}: {}", text(&answer));
    }
    assert_eq!(peer.fhir.get(&format!("{}/xds/registry", peer.origin)).status, 405);
    let url = format!("{}/xds/registry", peer.origin);
    let packed = peer.fhir.send("POST", &url, &[("content-encoding", "gzip")], b"").expect("an answer");
    assert_eq!((packed.status, packed.header("accept-encoding")), (415, Some("identity")));
    let gone: Value = peer.fhir.get("Patient?_summary=count").json();
    assert_eq!(gone["total"], 0);
}

#[test]
fn each_door_describes_itself() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    for (door, operations) in [
        ("xds/registry", 7),
        ("xds/repository", 3),
        ("xdr", 1),
        ("xdsi", 1),
        ("xca/query", 2),
        ("xca/retrieve", 2),
    ] {
        let get = |query: &str| peer.fhir.get(&format!("{}/{door}{query}", peer.origin));
        let answer = get("?wsdl");
        assert_eq!(answer.status, 200);
        let told = text(&answer);
        assert_eq!(told.matches("soapAction=").count(), operations, "{told}");
        assert!(told.contains(&format!("location=\"{}/{door}\"", peer.origin)), "{told}");
        assert_eq!(get("").status, 405);
        assert_eq!(get("?other").header("allow"), Some("POST"));
    }
}

#[test]
fn of_submissions_that_exclude_each_other_one_is_registered() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let at_once = |submissions: Vec<String>| -> Vec<String> {
        std::thread::scope(|scope| {
            let running: Vec<_> = submissions
                .iter()
                .map(|submission| {
                    let peer = Peer { fhir: peer.fhir.clone(), origin: peer.origin.clone() };
                    let body = provide(submission, &[("d", "x")]);
                    scope.spawn(move || peer.provide(&body, &[("x", b"bytes")]))
                })
                .collect();
            running.into_iter().map(|thread| thread.join().expect("an answer")).collect()
        })
    };
    let submission = |set: &str, unique: &str, more: &str| {
        submit(set, &[document("d", unique, ""), members(&["d"]), more.to_owned()].concat())
    };
    for round in 0..3 {
        // One unique id of a submission set.
        let set = format!("1.2.4.{round}");
        let answers = at_once((0..8).map(|n| submission(&set, &format!("1.2.5.{round}.{n}"), "")).collect());
        let registered = answers.iter().filter(|a| a.contains("ResponseStatusType:Success")).count();
        let refused = answers.iter().filter(|a| a.contains("XDSDuplicateUniqueIdInRegistry")).count();
        assert_eq!((registered, refused), (1, 7), "{answers:?}");
        // One document that is replaced.
        let old = (0..8).find_map(|n| {
            let unique_id = format!("('1.2.5.{round}.{n}')");
            let found = peer.query(GET_DOCUMENTS, "ObjectRef", &[("$XDSDocumentEntryUniqueId", &unique_id)]);
            found.contains("ObjectRef").then(|| between(&found, "<rim:ObjectRef id=\"", "\"").to_owned())
        });
        let replace = association(REPLACES, "d", &old.expect("a document"));
        let answers = at_once(
            (0..8)
                .map(|n| submission(&format!("1.2.6.{round}.{n}"), &format!("1.2.7.{round}.{n}"), &replace))
                .collect(),
        );
        let registered = answers.iter().filter(|a| a.contains("ResponseStatusType:Success")).count();
        let refused = answers.iter().filter(|a| a.contains("XDSRegistryDeprecatedDocumentError")).count();
        assert_eq!((registered, refused), (1, 7), "{answers:?}");
    }
    assert_eq!((peer.titles(APPROVED).len(), peer.titles(DEPRECATED).len()), (3, 3));
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, peer) = start(data.path());
    create_patient(&peer);
    let mut running = (server, peer);
    let mut acknowledged: Vec<(String, Vec<u8>)> = Vec::new();
    for cycle in 0..tests::repeats("LANTERNA_KILL_CYCLES", 3) {
        let (server, peer) = running;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let peer = Peer { fhir: peer.fhir.clone(), origin: peer.origin.clone() };
                std::thread::spawn(move || {
                    let mut done = Vec::new();
                    for number in 1.. {
                        let unique_id = format!("1.3.{cycle}.{writer}.{number}");
                        // By turns with what is said of them, and in a file.
                        let words = if number % 2 == 0 { 20_000 } else { 2_000 };
                        let bytes = format!("{unique_id} ").repeat(words).into_bytes();
                        let objects = [document("d", &unique_id, ""), members(&["d"])].concat();
                        let body = provide(
                            &submit(&format!("1.4.{cycle}.{writer}.{number}"), &objects),
                            &[("d", "x")],
                        );
                        match peer.try_provide(&body, &[("x", &bytes)]) {
                            Ok(answer) if text(&answer).contains("ResponseStatusType:Success") => {
                                done.push((unique_id, bytes));
                            }
                            Ok(answer) => panic!("{}", text(&answer)),
                            Err(_) => return done,
                        }
                    }
                    done
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(700));
        server.kill();
        acknowledged.extend(writers.into_iter().flat_map(|writer| writer.join().expect("no refusal")));
        running = start(data.path());
    }
    assert!(acknowledged.len() > 10, "{} were acknowledged", acknowledged.len());
    let (_server, peer) = &running;
    let any = entry(peer, &acknowledged[0].0);
    let repository = between(&any, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    for (unique_id, bytes) in &acknowledged {
        let retrieved = peer.retrieve(unique_id, repository);
        assert!(retrieved.body.windows(bytes.len()).any(|window| window == bytes), "{unique_id} is lost");
    }
    // Nothing is there by half: each list has its document, each document its bytes.
    let documents = peer.count("DocumentReference?_summary=count");
    assert_eq!(documents, peer.count("List?_summary=count"));
    assert_eq!(documents, peer.count("Binary?_summary=count"));
    println!("{} acknowledged of {documents}", acknowledged.len());
}

/// A document as it is registered.
#[test]
fn what_is_provided_by_mhd_is_found_by_soap() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let [set, reference, binary] =
        [1, 2, 3].map(|n| format!("urn:uuid:00000000-0000-4000-8000-00000000000{n}"));
    let entry = |full_url: &str, resource: Value| {
        json!({ "fullUrl": full_url, "resource": resource,
            "request": { "method": "POST", "url": resource["resourceType"] } })
    };
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
        "meta": { "profile": ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"] },
        "entry": [
            entry(&set, json!({ "resourceType": "List", "status": "current", "mode": "working",
                "extension": [{ "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
                    "valueIdentifier": { "value": "urn:oid:1.2.3.9" } }],
                "identifier": [{ "use": "usual", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.129.6.1" }],
                "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset" }] },
                "subject": { "reference": "Patient/p1" }, "date": "2026-11-24T10:00:00+01:00",
                "entry": [{ "item": { "reference": reference } }] })),
            entry(&reference, json!({ "resourceType": "DocumentReference", "status": "current",
                "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.129.6.2" },
                "subject": { "reference": "Patient/p1" },
                "content": [{ "attachment": { "contentType": "text/plain", "url": binary, "title": "Referto mhd",
                    "size": 5, "hash": "qvTGHdzF6KLavt4PO0gs2a6pQ00=" } }] })),
            entry(&binary, json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8=" })),
        ] });
    let answer = peer.fhir.json("POST", "", &[], &bundle).expect("an answer");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(peer.titles(APPROVED), ["mhd"]);
    let contents = peer.query(
        GET_SUBMISSION_SET_AND_CONTENTS,
        "LeafClass",
        &[("$XDSSubmissionSetUniqueId", "'1.2.129.6.1'")],
    );
    for expected in [
        "Referto mhd",
        "1.2.129.6.2",
        ">20261124090000<",
        ">Original<",
        "value=\"1.2.3.9\"",
        ">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<",
        "value=\"P1^^^&amp;1.2.3&amp;ISO\"",
    ] {
        assert!(contents.contains(expected), "{expected} is not in {contents}");
    }
    let repository = between(&contents, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    assert!(text(&peer.retrieve("1.2.129.6.2", repository)).contains("\r\n\r\nhello\r\n"));
}

#[test]
fn an_id_with_a_comma_is_one_id() {
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    for (set, unique_id) in [("1.5.1", "1.9^a,b"), ("1.5.2", "1.9^a"), ("1.5.3", "1.9^a|b$c")] {
        let submission = submit(set, &[document("d", unique_id, ""), members(&["d"])].concat());
        let done = peer.provide(&provide(&submission, &[("d", "x")]), &[("x", unique_id.as_bytes())]);
        assert!(done.contains("ResponseStatusType:Success"), "{unique_id}: {done}");
    }
    for unique_id in ["1.9^a,b", "1.9^a", "1.9^a|b$c"] {
        let found = entry(&peer, unique_id);
        assert_eq!(found.matches("<rim:ExtrinsicObject").count(), 1, "{unique_id}: {found}");
        assert!(found.contains(&format!("value=\"{unique_id}\"")), "{found}");
    }
}

#[test]
fn another_community_asks_and_retrieves() {
    let data = tempfile::tempdir().expect("a folder");
    let settings = data.path().join("settings.toml");
    std::fs::write(&settings, "[xds]\nrepository_unique_id = \"1.7.1\"\nhome_community_id = \"1.7.2\"\n")
        .expect("written");
    let server = tests::Server::start_with(
        &data.path().join("data"),
        &["--config", &settings.display().to_string()],
        &[],
    );
    let peer = Peer::of(&server);
    create_patient(&peer);
    let objects = [document("d", "1.4.1", ""), document("e", "1.4.2", ""), members(&["d", "e"])].concat();
    let documents = [("d", "x"), ("e", "y")];
    peer.provide(&provide(&submit("1.4.3", &objects), &documents), &[("x", b"foo"), ("y", b"bar")]);

    let query = |id: &str, home: &str, return_type: &str, parameters: &[(&str, &str)]| {
        let home = if home.is_empty() { String::new() } else { format!(" home='{home}'") };
        let request = adhoc_query(id, return_type, parameters).replacen(
            "<AdhocQuery ",
            &format!("<AdhocQuery{home} "),
            1,
        );
        let message = envelope("urn:ihe:iti:2007:CrossGatewayQuery", &request);
        let answer = peer.post("xca/query", "application/soap+xml", message.as_bytes());
        assert_eq!(answer.status, 200, "{}", text(&answer));
        text(&answer)
    };
    let status = format!("('{APPROVED}')");
    let of_patient = [
        ("$XDSDocumentEntryPatientId", "'P1^^^&amp;1.2.3&amp;ISO'"),
        ("$XDSDocumentEntryStatus", status.as_str()),
    ];
    for (return_type, element) in [("LeafClass", "<rim:ExtrinsicObject "), ("ObjectRef", "<rim:ObjectRef ")] {
        let found = query(FIND_DOCUMENTS, "", return_type, &of_patient);
        let objects: Vec<&str> = found.split(element).skip(1).collect();
        assert_eq!(objects.len(), 2, "{found}");
        for object in objects {
            let head = object.split_once('>').expect("an end").0;
            assert!(head.contains("home=\"urn:oid:1.7.2\""), "{head}");
        }
    }
    // In the order in which they came.
    let found = query(FIND_DOCUMENTS, "", "LeafClass", &of_patient);
    let titles: Vec<&str> =
        found.split("LocalizedString value=\"Referto ").skip(1).map(|t| &t[..1]).collect();
    assert_eq!(titles, ["d", "e"]);
    let by_id = [("$XDSDocumentEntryUniqueId", "('1.4.1')")];
    assert!(query(GET_DOCUMENTS, "urn:oid:1.7.2", "LeafClass", &by_id).contains("Referto d"));
    for (home, expected) in [("", "XDSMissingHomeCommunityId"), ("urn:oid:1.7.3", "XDSUnknownCommunity")] {
        let refused = query(GET_DOCUMENTS, home, "LeafClass", &by_id);
        assert!(refused.contains(expected) && refused.contains("location=\"urn:oid:1.7.2\""), "{refused}");
    }

    let retrieve = |home: &str| {
        let home = if home.is_empty() {
            String::new()
        } else {
            format!("<HomeCommunityId>{home}</HomeCommunityId>")
        };
        let body = format!(
            "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'><DocumentRequest>{home}\
             <RepositoryUniqueId>1.7.1</RepositoryUniqueId><DocumentUniqueId>1.4.2</DocumentUniqueId>\
             </DocumentRequest></RetrieveDocumentSetRequest>"
        );
        let message = envelope("urn:ihe:iti:2007:CrossGatewayRetrieve", &body);
        text(&peer.post("xca/retrieve", "application/soap+xml", message.as_bytes()))
    };
    let retrieved = retrieve("urn:oid:1.7.2");
    assert!(
        retrieved.contains("\r\n\r\nbar\r\n") && retrieved.contains("HomeCommunityId>urn:oid:1.7.2<"),
        "{retrieved}"
    );
    assert!(retrieve("").contains("XDSMissingHomeCommunityId"));
    assert!(retrieve("urn:oid:1.7.3").contains("XDSUnknownCommunity"));
    // Registering is not for other communities.
    let message = envelope("urn:ihe:iti:2007:RegisterDocumentSet-b", &submit("1.4.9", ""));
    assert_eq!(peer.post("xca/query", "application/soap+xml", message.as_bytes()).status, 400);
}

#[test]
fn codes_that_the_affinity_domain_does_not_list_are_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let (codes, settings) = (data.path().join("codes.xml"), data.path().join("settings.toml"));
    let list = "<Codes><CodeType name='typeCode' classScheme='urn:uuid:f0306f51-975f-434e-a61c-c59651d33983'>\
                <Code code='REFERTO' display='Referto' codingScheme='1.2.3.4'/></CodeType></Codes>";
    std::fs::write(&codes, list).expect("written");
    std::fs::write(&settings, format!("[xds]\ncodes = {:?}\n", codes.display().to_string()))
        .expect("written");
    let arguments = ["--config", &settings.display().to_string()];
    let server = tests::Server::start_with(&data.path().join("data"), &arguments, &[]);
    let peer = Peer::of(&server);
    create_patient(&peer);
    let entry = document("d", "1.6.1", "");
    let (before, type_code) =
        entry.split_at(entry.rfind("<Classification").expect("the type code, the last one"));
    for (code, expected) in [("CODE", "typeCode: the code `CODE`"), ("REFERTO", "ResponseStatusType:Success")]
    {
        let entry = [before, &type_code.replacen("CODE", code, 1)].concat();
        let body = provide(&submit("1.6.2", &(entry + &members(&["d"]))), &[("d", "x")]);
        let done = peer.provide(&body, &[("x", b"foo")]);
        assert!(done.contains(expected), "{done}");
    }
    assert_eq!(peer.count("DocumentReference?_summary=count"), 1);
}

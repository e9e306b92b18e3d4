//! One server asks others as an initiating gateway: three communities, of which
//! each is a server, and two that give no answer.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Answer, Server};

use super::peer::*;

const THEIR_PATIENT: &str = "B77^^^&amp;1.9.9&amp;ISO";

struct Community {
    server: Server,
    peer: Peer,
    _data: tempfile::TempDir,
}

fn community(id: &str, more: &str) -> Community {
    let data = tempfile::tempdir().expect("a folder");
    let settings = data.path().join("settings.toml");
    let text = format!("[xds]\nhome_community_id = \"{id}\"\n{more}");
    std::fs::write(&settings, text).expect("written");
    let settings = settings.display().to_string();
    let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
    let peer = Peer::of(&server);
    Community { server, peer, _data: data }
}

/// Registers a document of some bytes.
fn share(community: &Community, id: &str, unique_id: &str, patient: &str, bytes: &[u8]) {
    let objects = document(id, unique_id, "") + &members(&[id]);
    let body = provide(&submit(&format!("{unique_id}.9"), &objects), &[(id, "x")]);
    let done = community.peer.provide(&body.replace(PATIENT, patient), &[("x", bytes)]);
    assert!(done.contains("ResponseStatusType:Success"), "{done}");
}

fn section(id: &str, origin: &str, more: &str) -> String {
    format!(
        "[[xca.communities]]\nhome_community_id = \"{id}\"\nquery = \"{origin}/xca/query\"\n\
         retrieve = \"{origin}/xca/retrieve\"\n{more}"
    )
}

fn query(peer: &Peer, id: &str, home: Option<&str>, parameters: &[(&str, &str)]) -> String {
    let mut body = adhoc_query(id, "LeafClass", parameters);
    if let Some(home) = home {
        body = body.replace("<AdhocQuery ", &format!("<AdhocQuery home='{home}' "));
    }
    let message = envelope("urn:ihe:iti:2007:RegistryStoredQuery", &body);
    let answer = peer.post("xca/query", "application/soap+xml", message.as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    text(&answer)
}

fn find(peer: &Peer, patient: &str) -> String {
    let patient = format!("'{patient}'");
    let status = format!("('{APPROVED}')");
    let parameters =
        [("$XDSDocumentEntryPatientId", patient.as_str()), ("$XDSDocumentEntryStatus", status.as_str())];
    query(peer, FIND_DOCUMENTS, None, &parameters)
}

fn retrieve(peer: &Peer, documents: &[(String, String, &str)]) -> Answer {
    let request = |(home, repository, document): &(String, String, &str)| {
        let home = match home.as_str() {
            "" => String::new(),
            home => format!("<HomeCommunityId>{home}</HomeCommunityId>"),
        };
        format!(
            "<DocumentRequest>{home}<RepositoryUniqueId>{repository}</RepositoryUniqueId>\
             <DocumentUniqueId>{document}</DocumentUniqueId></DocumentRequest>"
        )
    };
    let requests: String = documents.iter().map(request).collect();
    let body = format!(
        "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'>{requests}</RetrieveDocumentSetRequest>"
    );
    let message = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", &body);
    peer.post("xca/retrieve", "application/soap+xml", message.as_bytes())
}

/// Where a document is that was found: community and repository.
fn place(found: &str, unique_id: &str) -> (String, String) {
    let object = found.split("<rim:ExtrinsicObject ").find(|o| o.contains(&format!("value=\"{unique_id}\"")));
    let object = object.unwrap_or_else(|| panic!("no {unique_id} in {found}"));
    let home = between(object, "home=\"", "\"").to_owned();
    let repository = between(object, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
    (home, repository.to_owned())
}

#[test]
fn a_question_is_asked_of_all_communities() {
    let (a, b) = (community("1.1.1", ""), community("1.1.2", ""));
    // One that is not there, and one that takes the question and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = format!("http://{}", silent.local_addr().expect("an address"));
    let directory = [
        section("1.1.1", &a.server.origin(), ""),
        section("1.1.2", &b.server.origin(), "assigning_authority = \"1.9.9\"\n"),
    ];
    let all = directory.concat();
    let lame = all.clone()
        + &section("1.1.3", "http://127.0.0.1:1", "")
        + &section("1.1.4", &silent_at, "")
        + "[peers]\nanswer_seconds_max = 1\n";
    let (ours, lame) = (community("1.1.9", &all), community("1.1.9", &lame));
    create_patient(&a.peer);
    let known = json!({ "resourceType": "Patient", "id": "p1", "identifier": [
        { "system": "urn:oid:1.2.3", "value": "P1" }, { "system": "urn:oid:1.9.9", "value": "B77" }] });
    for peer in [&ours.peer, &lame.peer] {
        assert_eq!(peer.fhir.json("PUT", "Patient/p1", &[], &known).expect("an answer").status, 201);
    }
    let theirs = json!({ "resourceType": "Patient", "id": "b",
        "identifier": [{ "system": "urn:oid:1.9.9", "value": "B77" }] });
    assert_eq!(b.peer.fhir.json("PUT", "Patient/b", &[], &theirs).expect("an answer").status, 201);
    let large = vec![b'l'; 3 << 20];
    share(&a, "a", "1.7.1", PATIENT, b"in a");
    share(&b, "b", "1.7.2", THEIR_PATIENT, &large);
    share(&ours, "o", "1.7.3", PATIENT, b"ours");

    let found = find(&ours.peer, PATIENT);
    assert!(found.contains("ResponseStatusType:Success"), "{found}");
    let places = ["1.7.1", "1.7.2", "1.7.3"].map(|document| place(&found, document));
    let homes = places.clone().map(|(home, _)| home);
    assert_eq!(homes, ["urn:oid:1.1.1", "urn:oid:1.1.2", "urn:oid:1.1.9"]);
    // By what others call the patient: one community does not know that name, the others do.
    let only = find(&ours.peer, THEIR_PATIENT);
    let homes = |found: &str| {
        let homes =
            found.split("<rim:ExtrinsicObject ").skip(1).map(|o| between(o, "home=\"", "\"").to_owned());
        homes.collect::<Vec<String>>()
    };
    assert_eq!(homes(&only), ["urn:oid:1.1.9", "urn:oid:1.1.2"], "{only}");

    let [in_a, in_b, at_home] = places;
    let documents = [(in_a.0, in_a.1, "1.7.1"), (in_b.0, in_b.1, "1.7.2"), (at_home.0, at_home.1, "1.7.3")];
    let answer = retrieve(&ours.peer, &documents);
    let told = text(&answer);
    assert!(told.contains("ResponseStatusType:Success"), "{}", &told[..2000.min(told.len())]);
    for bytes in [&b"in a"[..], &large, b"ours"] {
        assert!(answer.body.windows(bytes.len() + 4).any(|w| w[2..].starts_with(bytes)), "bytes are missing");
    }
    assert_eq!(told.matches("<xdsb:DocumentResponse>").count(), 3);
    for id in ["1@lanterna", "2@lanterna", "3@lanterna"] {
        assert_eq!(told.matches(id).count(), 2, "each part is referred to once");
    }

    // Of a community that is named, whoever the patient is.
    let one = query(
        &ours.peer,
        GET_DOCUMENTS,
        Some("urn:oid:1.1.1"),
        &[("$XDSDocumentEntryUniqueId", "('1.7.1')")],
    );
    assert!(one.contains("home=\"urn:oid:1.1.1\"") && one.contains("1.7.1"), "{one}");
    for (home, expected) in
        [(None, "XDSMissingHomeCommunityId"), (Some("urn:oid:9.9"), "XDSUnknownCommunity")]
    {
        let refused = query(&ours.peer, GET_DOCUMENTS, home, &[("$XDSDocumentEntryUniqueId", "('1.7.1')")]);
        assert!(refused.contains(expected) && refused.contains("ResponseStatusType:Failure"), "{refused}");
    }
    let mut some = documents.to_vec();
    some.push(("urn:oid:9.9".to_owned(), "1.2".to_owned(), "1.7.4"));
    some.push((String::new(), "1.2".to_owned(), "1.7.5"));
    some.push(("urn:oid:1.1.1".to_owned(), "1.2".to_owned(), "1.7.6"));
    let told = text(&retrieve(&ours.peer, &some));
    for code in
        ["PartialSuccess", "XDSUnknownCommunity", "XDSMissingHomeCommunityId", "XDSUnknownRepositoryId"]
    {
        assert!(told.contains(code), "{code}");
    }
    assert_eq!(told.matches("<xdsb:DocumentResponse>").count(), 3);

    // Who gives no answer is told of, in time, and keeps nobody from the others.
    let begin = Instant::now();
    let partly = find(&lame.peer, PATIENT);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(partly.contains("PartialSuccess"), "{partly}");
    assert_eq!(partly.matches("XDSUnavailableCommunity").count(), 2, "{partly}");
    assert_eq!(partly.matches("<rim:ExtrinsicObject ").count(), 2, "{partly}");
    let mut gone = documents.to_vec();
    gone[2].0 = "urn:oid:1.1.3".to_owned();
    let told = text(&retrieve(&lame.peer, &gone));
    assert!(told.contains("PartialSuccess") && told.contains("XDSUnavailableCommunity"));
    assert_eq!(told.matches("<xdsb:DocumentResponse>").count(), 2);
    drop(silent);
    what_is_asked_of_others_is_recorded(&ours.peer, &lame.peer, &a.server.origin());
}

/// Each question to another community has an AuditEvent, with how it ended.
fn what_is_asked_of_others_is_recorded(ours: &Peer, lame: &Peer, of_a: &str) {
    let events = |peer: &Peer, search: &str| {
        let found = peer.fhir.get(&format!("AuditEvent?{search}&_count=100")).json();
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect::<Vec<serde_json::Value>>()
    };
    let asked = events(ours, "subtype=ITI-38&_sort=_lastUpdated");
    // Two by each name of the patient, and one where the community was named.
    assert_eq!(asked.len(), 5, "{asked:?}");
    for event in &asked {
        assert_eq!((&event["outcome"], &event["action"]), (&"0".into(), &"E".into()), "{event}");
        assert_eq!(event["agent"][0]["type"]["coding"][0]["code"], "110153");
        assert!(
            event["agent"][1]["who"]["identifier"]["value"]
                .as_str()
                .is_some_and(|u| u.ends_with("/xca/query"))
        );
    }
    assert!(
        asked
            .iter()
            .any(|event| event["agent"][1]["who"]["identifier"]["value"] == format!("{of_a}/xca/query"))
    );
    // The patient is told by the name that they know, and by where he is here.
    let theirs = asked.iter().find(|event| event["entity"][0]["what"]["identifier"]["value"] == "B77");
    assert_eq!(theirs.expect("asked by their name")["entity"][0]["what"]["reference"], "Patient/p1");
    let fetched = &events(ours, "subtype=ITI-39&outcome=0")[0];
    assert_eq!((&fetched["action"], &fetched["type"]["code"]), (&"C".into(), &"110107".into()));
    assert_eq!(fetched["agent"][1]["type"]["coding"][0]["code"], "110153");
    let failed = events(lame, "subtype=ITI-38&outcome=8");
    assert_eq!(failed.len(), 2);
    for event in asked.iter().chain(&failed).chain([fetched]) {
        let answer = ours.fhir.json("POST", "AuditEvent/$validate", &[], event).expect("an answer").json();
        assert!(!answer.to_string().contains("\"error\""), "{event}: {answer}");
    }
}

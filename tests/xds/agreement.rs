//! Documents come, replace each other, change and go by one door or another, as
//! chance has it; after each step every door tells the same of them, and what a
//! simple model expects.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::Numbers;

use super::peer::*;

const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";
const TRANSFORMS: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
const STEPS: usize = 60;

/// What is expected of a document.
#[derive(Debug, Clone)]
struct Expected {
    is_approved: bool,
    /// The document that it appends to or transforms.
    parent: Option<String>,
}

/// The documents that there are, by their unique ids.
type Model = BTreeMap<String, Expected>;

fn told(model: &Model) -> BTreeMap<String, bool> {
    model.iter().map(|(id, expected)| (id.clone(), expected.is_approved)).collect()
}

/// The documents of the patient by ITI-18, and whether they are approved.
fn by_soap(peer: &Peer) -> BTreeMap<String, bool> {
    let statuses = format!("('{APPROVED}','{DEPRECATED}')");
    let parameters = [
        ("$XDSDocumentEntryPatientId", "'P1^^^&amp;1.2.3&amp;ISO'"),
        ("$XDSDocumentEntryStatus", &*statuses),
    ];
    let found = peer.query(FIND_DOCUMENTS, "LeafClass", &parameters);
    assert!(found.contains("ResponseStatusType:Success"), "{found}");
    let objects = found.split("<rim:ExtrinsicObject ").skip(1);
    let of = |object: &str| {
        let id =
            between(object, "identificationScheme=\"urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab\"", "/>");
        let id = id.split(">").next().unwrap_or(id);
        let id = between(id, "value=\"", "\"").to_owned();
        (id, object.split('>').next().unwrap_or_default().contains(APPROVED))
    };
    objects.map(of).collect()
}

/// The same by a search of FHIR, as ITI-67 is one.
fn by_fhir(peer: &Peer) -> BTreeMap<String, bool> {
    let of = |entry: &Value| {
        let resource = &entry["resource"];
        let id = resource["masterIdentifier"]["value"].as_str().expect("a unique id");
        (id.trim_start_matches("urn:oid:").to_owned(), resource["status"] == "current")
    };
    let mut all = BTreeMap::new();
    for status in ["current", "superseded"] {
        let search =
            format!("DocumentReference?patient.identifier=urn:oid:1.2.3|P1&status={status}&_count=500");
        let found = peer.fhir.get(&search).json();
        all.extend(found["entry"].as_array().into_iter().flatten().map(of));
    }
    all
}

/// What a replacement makes of what it replaces.
fn replaced(model: &mut Model, target: &str) {
    for (id, expected) in model.iter_mut() {
        if id == target || expected.parent.as_deref() == Some(target) {
            expected.is_approved = false;
        }
    }
}

fn by_mhd(peer: &Peer, number: usize, unique_id: &str) {
    let [set, reference, binary] =
        [1, 2, 3].map(|n| format!("urn:uuid:00000000-0000-4000-8000-{:012}", number * 10 + n));
    let entry = |full_url: &str, resource: Value| {
        json!({ "fullUrl": full_url, "resource": resource,
            "request": { "method": "POST", "url": resource["resourceType"] } })
    };
    let uri = |value: String| json!({ "system": "urn:ietf:rfc:3986", "value": value });
    let list = json!({ "resourceType": "List", "status": "current", "mode": "working",
        "extension": [{ "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
            "valueIdentifier": { "value": "urn:oid:1.2.3.9" } }],
        "identifier": [uri(format!("urn:oid:{unique_id}.9"))],
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset" }] },
        "subject": { "reference": "Patient/p1" }, "date": "2026-11-24T10:00:00Z",
        "entry": [{ "item": { "reference": reference } }] });
    let document = json!({ "resourceType": "DocumentReference", "status": "current",
        "masterIdentifier": uri(format!("urn:oid:{unique_id}")), "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "contentType": "text/plain", "url": binary, "title": unique_id } }] });
    let bytes = json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8=" });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
        "meta": { "profile": ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"] },
        "entry": [entry(&set, list), entry(&reference, document), entry(&binary, bytes)] });
    let answer = peer.fhir.json("POST", "", &[], &bundle).expect("an answer");
    assert_eq!(answer.status, 200, "{}", text(&answer));
}

/// The resource of a document.
fn resource(peer: &Peer, unique_id: &str) -> Value {
    let found = peer.fhir.get(&format!("DocumentReference?identifier=urn:oid:{unique_id}")).json();
    found["entry"][0]["resource"].clone()
}

#[test]
fn every_door_tells_the_same_of_documents() {
    let seed = std::env::var("LANTERNA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let mut numbers = Numbers::new(seed);
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    create_patient(&peer);
    let mut model = Model::new();
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for step in 1..=STEPS {
        let unique_id = format!("1.2.77.{step}");
        let approved: Vec<String> = model
            .iter()
            .filter(|(_, e)| e.is_approved && e.parent.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        let mut pick = || {
            let at = usize::try_from(numbers.below(approved.len().max(1) as u64)).expect("a place");
            approved.get(at).cloned()
        };
        let target = pick();
        let what = match (numbers.below(8), target) {
            (0 | 1, _) | (_, None) => {
                let objects = document("d", &unique_id, "") + &members(&["d"]);
                let body = provide(&submit(&format!("{unique_id}.9"), &objects), &[("d", "x")]);
                let answer = peer.provide(&body, &[("x", b"foo")]);
                assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
                model.insert(unique_id, Expected { is_approved: true, parent: None });
                "provided by SOAP"
            }
            (2, _) => {
                by_mhd(&peer, step, &unique_id);
                model.insert(unique_id, Expected { is_approved: true, parent: None });
                "provided by MHD"
            }
            (kind @ 3..=5, Some(target)) => {
                let (kind, what) =
                    [(REPLACES, "replaced"), (APPENDS, "appended"), (TRANSFORMS, "transformed")]
                        [usize::try_from(kind - 3).expect("one of three")];
                let of = entry_uuid(&peer, &target);
                let objects = document("d", &unique_id, "") + &members(&["d"]) + &association(kind, "d", &of);
                let body = provide(&submit(&format!("{unique_id}.9"), &objects), &[("d", "x")]);
                let answer = peer.provide(&body, &[("x", b"foo")]);
                assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
                let replaces = kind == REPLACES;
                if replaces {
                    replaced(&mut model, &target);
                }
                model
                    .insert(unique_id, Expected { is_approved: true, parent: (!replaces).then_some(target) });
                what
            }
            (6, Some(target)) => {
                let mut of = resource(&peer, &target);
                of["status"] = json!("superseded");
                let path = format!("DocumentReference/{}", of["id"].as_str().expect("an id"));
                assert_eq!(peer.fhir.json("PUT", &path, &[], &of).expect("an answer").status, 200);
                model.get_mut(&target).expect("known").is_approved = false;
                "deprecated by FHIR"
            }
            (_, Some(target)) => {
                let of = resource(&peer, &target);
                let path = format!("DocumentReference/{}", of["id"].as_str().expect("an id"));
                let answer = peer.fhir.send("DELETE", &path, &[], &[]).expect("an answer");
                assert!([200, 204].contains(&answer.status), "{}", text(&answer));
                model.remove(&target);
                "deleted by FHIR"
            }
        };
        *done.entry(what).or_default() += 1;
        let expected = told(&model);
        assert_eq!(by_soap(&peer), expected, "by SOAP, seed {seed}, step {step}: {what}");
        assert_eq!(by_fhir(&peer), expected, "by FHIR, seed {seed}, step {step}: {what}");
    }
    // Chance has had each of them.
    assert_eq!(done.len(), 7, "{done:?}");
    // Each one is told alike by its id, too, and its bytes are given out.
    for (unique_id, is_approved) in told(&model) {
        let one = entry(&peer, &unique_id);
        assert_eq!(one.contains(&format!("status=\"{APPROVED}\"")), is_approved, "{one}");
        let repository = between(&one, "name=\"repositoryUniqueId\"><rim:ValueList><rim:Value>", "<");
        let bytes = peer.retrieve(&unique_id, repository);
        assert!(text(&bytes).contains("ResponseStatusType:Success"), "{unique_id}: {}", text(&bytes));
    }
    println!("{done:?}");
}

//! Documents and folders come, replace each other, change and go by one door or
//! another, and patients are merged, as chance has it; after each step every
//! door tells the same of them, and what a simple model expects.

mod doors;
mod model;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::Numbers;

use super::merged::{of_patient, patient};
use super::peer::*;
use super::removal::{associations, remove, remove_documents, repository_of};
use super::versions::{STATUS, UPDATE, association_with, statuses, updated, version_in};
use doors::compare;
use model::{Document, Folder, Model};

const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";
const TRANSFORMS: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
/// How often each thing is done.
const ROUNDS: usize = 5;

/// What is done to the documents, folders and patients that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    ProvideBySoap,
    ProvideByMhd,
    Replace,
    Append,
    Transform,
    ProvideInNewFolder,
    ProvideInOldFolder,
    UpdateToVersion,
    DeprecateByUpdate,
    ApproveByUpdate,
    DeprecateFolder,
    DeprecateByFhir,
    DeleteByFhir,
    RemoveMetadata,
    RemoveBytes,
    Merge,
}

const DEEDS: [Deed; 16] = [
    Deed::ProvideBySoap,
    Deed::ProvideByMhd,
    Deed::Replace,
    Deed::Append,
    Deed::Transform,
    Deed::ProvideInNewFolder,
    Deed::ProvideInOldFolder,
    Deed::UpdateToVersion,
    Deed::DeprecateByUpdate,
    Deed::ApproveByUpdate,
    Deed::DeprecateFolder,
    Deed::DeprecateByFhir,
    Deed::DeleteByFhir,
    Deed::RemoveMetadata,
    Deed::RemoveBytes,
    Deed::Merge,
];

impl Deed {
    /// Tells whether it can be done to a document.
    fn is_for(self, document: &Document) -> bool {
        let is_root = document.is_approved && document.parent.is_none();
        match self {
            Deed::Replace | Deed::Append | Deed::Transform => is_root,
            Deed::UpdateToVersion => document.is_approved && document.is_by_soap && document.has_bytes,
            Deed::DeprecateByUpdate | Deed::DeprecateByFhir => document.is_approved,
            Deed::ApproveByUpdate => !document.is_approved,
            Deed::RemoveMetadata => document.is_alone,
            Deed::RemoveBytes => document.has_bytes,
            Deed::DeleteByFhir => true,
            _ => false,
        }
    }
}

fn is_done(answer: &str) {
    assert!(answer.contains("ResponseStatusType:Success"), "{answer}");
}

/// Chance, the server, and what is expected of it.
struct World {
    numbers: Numbers,
    peer: Peer,
    model: Model,
}

impl World {
    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = usize::try_from(self.numbers.below(from.len().max(1) as u64)).expect("a place");
        from.get(at).cloned()
    }

    fn a_document(&mut self, deed: Deed) -> Option<String> {
        let fitting = self.model.documents.iter().filter(|(_, document)| deed.is_for(document));
        let fitting: Vec<String> = fitting.map(|(id, _)| id.clone()).collect();
        self.pick(&fitting)
    }

    fn a_folder(&mut self) -> Option<String> {
        let open = self.model.folders.iter().filter(|(_, folder)| folder.is_approved);
        let open: Vec<String> = open.map(|(id, _)| id.clone()).collect();
        self.pick(&open)
    }

    fn a_patient(&mut self) -> usize {
        let living = self.model.living();
        self.pick(&living).expect("somebody")
    }

    fn add_patient(&mut self) {
        self.model.patients += 1;
        patient(&self.peer, self.model.patients, None);
    }

    /// Does it, or else provides a document: there may be nothing that it can be done to.
    fn does(&mut self, deed: Deed, step: usize) -> Deed {
        let unique_id = format!("1.2.77.{step}");
        let done = match deed {
            Deed::ProvideBySoap => None,
            Deed::ProvideByMhd => {
                let of = self.a_patient();
                by_mhd(&self.peer, step, &unique_id, of);
                self.model.add(&unique_id, of, false);
                Some(())
            }
            Deed::ProvideInNewFolder | Deed::ProvideInOldFolder => self.provide_in_folder(deed, &unique_id),
            Deed::DeprecateFolder => self.deprecate_folder(&unique_id),
            Deed::Merge => self.merge(),
            _ => self.a_document(deed).map(|target| self.does_to(deed, &target, &unique_id)),
        };
        if done.is_some() {
            return deed;
        }
        let of = self.a_patient();
        self.provide(of, &unique_id, &members(&["d"]));
        self.model.add(&unique_id, of, true);
        Deed::ProvideBySoap
    }

    /// Provides a document and what else is submitted with it.
    fn provide(&self, of: usize, unique_id: &str, more: &str) {
        let objects = document("d", unique_id, "") + more;
        let body = provide(&submit(&format!("{unique_id}.9"), &objects), &[("d", "x")]);
        is_done(&self.peer.provide(&of_patient(&body, of), &[("x", b"foo")]));
    }

    fn update(&self, of: usize, unique_id: &str, objects: &str) {
        let submission = submit(&format!("{unique_id}.9"), objects);
        is_done(&updated(&self.peer, UPDATE, &of_patient(&submission, of)));
    }

    fn provide_in_folder(&mut self, deed: Deed, unique_id: &str) -> Option<()> {
        if deed == Deed::ProvideInNewFolder {
            let (of, folder_id) = (self.a_patient(), format!("{unique_id}.8"));
            let more = folder("f", &folder_id)
                + &association(HAS_MEMBER, "f", "d")
                + &members(&["d", "f", "as-f-d"]);
            self.provide(of, unique_id, &more);
            let members = [unique_id.to_owned()].into();
            self.model.folders.insert(folder_id, Folder { of, is_approved: true, members });
            self.model.add(unique_id, of, true).is_alone = false;
            return Some(());
        }
        let folder_id = self.a_folder()?;
        let of = self.model.survivor(self.model.folders[&folder_id].of);
        let uuid = folder_uuid(&self.peer, &folder_id);
        let more = association(HAS_MEMBER, &uuid, "d") + &members(&["d", &format!("as-{uuid}-d")]);
        self.provide(of, unique_id, &more);
        self.model.folders.get_mut(&folder_id)?.members.insert(unique_id.to_owned());
        self.model.add(unique_id, of, true).is_alone = false;
        Some(())
    }

    fn deprecate_folder(&mut self, unique_id: &str) -> Option<()> {
        let folder_id = self.a_folder()?;
        let of = self.model.survivor(self.model.folders[&folder_id].of);
        let slots = statuses(APPROVED, DEPRECATED);
        self.update(
            of,
            unique_id,
            &association_with("u", STATUS, &folder_uuid(&self.peer, &folder_id), &slots),
        );
        self.model.folders.get_mut(&folder_id)?.is_approved = false;
        Some(())
    }

    fn merge(&mut self) -> Option<()> {
        let living = self.model.living();
        let into = self.pick(&living)?;
        let others: Vec<usize> = living.into_iter().filter(|one| *one != into).collect();
        let one = self.pick(&others)?;
        patient(&self.peer, one, Some(into));
        self.model.merged.insert(one, into);
        if self.model.living().len() < 3 {
            self.add_patient();
        }
        Some(())
    }

    fn does_to(&mut self, deed: Deed, target: &str, unique_id: &str) {
        let of = self.model.survivor(self.model.documents[target].of);
        let peer = &self.peer;
        let status = |document: &mut Document, is_approved| document.is_approved = is_approved;
        match deed {
            Deed::Replace | Deed::Append | Deed::Transform => {
                let kind = match deed {
                    Deed::Replace => REPLACES,
                    Deed::Append => APPENDS,
                    _ => TRANSFORMS,
                };
                let more = members(&["d"]) + &association(kind, "d", &entry_uuid(peer, target));
                self.provide(of, unique_id, &more);
                self.model.relate(unique_id, target, deed == Deed::Replace);
            }
            Deed::UpdateToVersion => {
                let last = entry(peer, target);
                let lid = between(between(&last, "<rim:ExtrinsicObject ", ">"), "lid=\"", "\"");
                let repository = repository_of(peer, target);
                let previous = (self.model.documents[target].versions_before + 1).to_string();
                let objects = version_in(&repository, lid, target, "Rivisto", &previous);
                self.update(of, unique_id, &objects);
                self.model.version(target);
            }
            Deed::DeprecateByUpdate | Deed::ApproveByUpdate => {
                let is_approved = deed == Deed::ApproveByUpdate;
                let slots =
                    if is_approved { statuses(DEPRECATED, APPROVED) } else { statuses(APPROVED, DEPRECATED) };
                self.update(of, unique_id, &association_with("u", STATUS, &last_uuid(peer, target), &slots));
                status(self.model.documents.get_mut(target).expect("known"), is_approved);
            }
            Deed::DeprecateByFhir => {
                let mut of = resources(peer, target).swap_remove(0);
                of["status"] = json!("superseded");
                let path = format!("DocumentReference/{}", of["id"].as_str().expect("an id"));
                assert_eq!(peer.fhir.json("PUT", &path, &[], &of).expect("an answer").status, 200);
                status(self.model.documents.get_mut(target).expect("known"), false);
            }
            Deed::DeleteByFhir => {
                for of in resources(peer, target) {
                    let path = format!("DocumentReference/{}", of["id"].as_str().expect("an id"));
                    let answer = peer.fhir.send("DELETE", &path, &[], &[]).expect("an answer");
                    assert!([200, 204].contains(&answer.status), "{}", text(&answer));
                }
                self.model.remove(target);
            }
            Deed::RemoveMetadata => {
                let uuid = entry_uuid(peer, target);
                let mut ids = vec![uuid.clone()];
                for (association, set, _) in associations(peer, &uuid) {
                    ids.extend([association, set]);
                }
                is_done(&remove(peer, &ids));
                self.model.remove(target);
            }
            _ => {
                is_done(&remove_documents(peer, &repository_of(peer, target), &[target]));
                self.model.documents.get_mut(target).expect("known").has_bytes = false;
            }
        }
    }
}

fn by_mhd(peer: &Peer, number: usize, unique_id: &str, of: usize) {
    let [set, reference, binary] =
        [1, 2, 3].map(|n| format!("urn:uuid:00000000-0000-4000-8000-{:012}", number * 10 + n));
    let entry = |full_url: &str, resource: Value| {
        json!({ "fullUrl": full_url, "resource": resource,
            "request": { "method": "POST", "url": resource["resourceType"] } })
    };
    let uri = |value: String| json!({ "system": "urn:ietf:rfc:3986", "value": value });
    let subject = json!({ "reference": format!("Patient/p{of}") });
    let list = json!({ "resourceType": "List", "status": "current", "mode": "working",
        "extension": [{ "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
            "valueIdentifier": { "value": "urn:oid:1.2.3.9" } }],
        "identifier": [uri(format!("urn:oid:{unique_id}.9"))],
        "code": { "coding": [{ "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset" }] },
        "subject": subject, "date": "2026-11-24T10:00:00Z",
        "entry": [{ "item": { "reference": reference } }] });
    let document = json!({ "resourceType": "DocumentReference", "status": "current",
        "masterIdentifier": uri(format!("urn:oid:{unique_id}")), "subject": subject,
        "content": [{ "attachment": { "contentType": "text/plain", "url": binary, "title": unique_id } }] });
    let bytes = json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8=" });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
        "meta": { "profile": ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"] },
        "entry": [entry(&set, list), entry(&reference, document), entry(&binary, bytes)] });
    let answer = peer.fhir.json("POST", "", &[], &bundle).expect("an answer");
    assert_eq!(answer.status, 200, "{}", text(&answer));
}

/// The resources of a document, the last version first.
fn resources(peer: &Peer, unique_id: &str) -> Vec<Value> {
    let found = peer.fhir.get(&format!("DocumentReference?identifier=urn:oid:{unique_id}")).json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

/// The id of the last version of a document.
fn last_uuid(peer: &Peer, unique_id: &str) -> String {
    let last = entry(peer, unique_id);
    between(&format!(" {}", between(&last, "<rim:ExtrinsicObject ", ">")), " id=\"", "\"").to_owned()
}

fn folder_uuid(peer: &Peer, unique_id: &str) -> String {
    let folders =
        peer.query(GET_FOLDERS, "ObjectRef", &[("$XDSFolderUniqueId", &format!("('{unique_id}')"))]);
    between(&folders, "<rim:ObjectRef id=\"", "\"").to_owned()
}

#[test]
fn every_door_tells_the_same_of_documents() {
    let seed = std::env::var("LANTERNA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let data = tempfile::tempdir().expect("a folder");
    let (_server, peer) = start(data.path());
    let mut world = World { numbers: Numbers::new(seed), peer, model: Model::default() };
    (0..3).for_each(|_| world.add_patient());
    let mut done: BTreeMap<Deed, usize> = BTreeMap::new();
    let (mut repository, mut step) = (None, 0);
    for _ in 0..ROUNDS {
        // Each of them once, in an order that chance has.
        let mut left = DEEDS.to_vec();
        while let Some(deed) = world.pick(&left) {
            left.retain(|other| *other != deed);
            step += 1;
            let deed = world.does(deed, step);
            *done.entry(deed).or_default() += 1;
            if let Some(one) = world.model.documents.keys().next() {
                repository.get_or_insert_with(|| repository_of(&world.peer, one));
            }
            let when = format!("seed {seed}, step {step}: {deed:?}");
            compare(&world.peer, &world.model, repository.as_deref(), &when);
        }
    }
    println!("{done:?}");
    assert_eq!(done.len(), DEEDS.len(), "not everything came about: {done:?}");
}

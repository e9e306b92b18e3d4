//! What each door tells of a patient.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::peer::*;
use super::model::{Model, Statuses};

const UNIQUE_ID_OF_DOCUMENT: &str = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
const UNIQUE_ID_OF_FOLDER: &str = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a";

/// The objects of an answer that have a unique id of a kind, and whether they are approved.
fn objects(answer: &str, element: &str, scheme: &str) -> Statuses {
    let scheme = format!("identificationScheme=\"{scheme}\"");
    let begin = format!("<rim:{element} ");
    let objects = answer.split(&begin).skip(1);
    let of = |object: &str| {
        let id = object.split_once(&scheme)?.1.split('>').next()?;
        let id = between(id, "value=\"", "\"").to_owned();
        Some((id, object.split('>').next()?.contains(APPROVED)))
    };
    objects.filter_map(of).collect()
}

fn documents(answer: &str) -> Statuses {
    objects(answer, "ExtrinsicObject", UNIQUE_ID_OF_DOCUMENT)
}

fn folders(answer: &str) -> Statuses {
    objects(answer, "RegistryPackage", UNIQUE_ID_OF_FOLDER)
}

/// Asks a query about a patient, for objects of every status.
pub(super) fn query_about(peer: &Peer, query: &str, patient: (&str, usize), statuses: &[&str]) -> String {
    let (name, number) = patient;
    let patient = format!("'P{number}^^^&amp;1.2.3&amp;ISO'");
    let status = format!("('{APPROVED}','{DEPRECATED}')");
    let mut parameters = vec![(name, patient.as_str())];
    parameters.extend(statuses.iter().map(|name| (*name, status.as_str())));
    let found = peer.query(query, "LeafClass", &parameters);
    assert!(found.contains("ResponseStatusType:Success"), "{found}");
    // Whoever they were registered for, they are of who is asked for.
    let others = found.split("P").filter(|rest| rest.contains("^^^&amp;1.2.3&amp;ISO"));
    for other in others {
        let id = other.split("^^^").next().unwrap_or_default();
        assert!(id == number.to_string(), "P{id} instead of P{number}: {found}");
    }
    found
}

fn resources(peer: &Peer, search: &str) -> Vec<Value> {
    let found = peer.fhir.get(&format!("{search}&_count=500")).json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn unique_id(of: &Value) -> String {
    of["value"].as_str().expect("a unique id").trim_start_matches("urn:oid:").to_owned()
}

/// How many resources of each document are current, and how many are not, by ITI-67.
fn by_fhir(peer: &Peer, search: &str) -> BTreeMap<String, (usize, usize)> {
    let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for resource in resources(peer, &format!("DocumentReference?{search}")) {
        let counts = all.entry(unique_id(&resource["masterIdentifier"])).or_default();
        let (current, others) = counts;
        *(if resource["status"] == "current" { current } else { others }) += 1;
    }
    all
}

/// The folders of a patient by FHIR: whether they are in use, and the documents in them.
fn folders_by_fhir(peer: &Peer, search: &str) -> BTreeMap<String, (bool, BTreeSet<String>)> {
    let documents: BTreeMap<String, String> = resources(peer, &format!("DocumentReference?{search}"))
        .into_iter()
        .map(|one| {
            (
                format!("DocumentReference/{}", one["id"].as_str().expect("an id")),
                unique_id(&one["masterIdentifier"]),
            )
        })
        .collect();
    let of = |list: Value| {
        let identifiers = list["identifier"].as_array().cloned().unwrap_or_default();
        let own = identifiers
            .iter()
            .find(|i| !["official", "secondary"].contains(&i["use"].as_str().unwrap_or("")));
        let entries = list["entry"].as_array().cloned().unwrap_or_default();
        // What does not hold any more says so.
        let holding = entries.iter().filter(|entry| entry.get("modifierExtension").is_none());
        let members =
            holding.filter_map(|entry| documents.get(entry["item"]["reference"].as_str()?).cloned());
        (unique_id(own.expect("a unique id")), (list["status"] == "current", members.collect()))
    };
    resources(peer, &format!("List?code=folder&{search}")).into_iter().map(of).collect()
}

/// Which documents ITI-43 gives out, all asked for at once.
fn retrieved(peer: &Peer, model: &Model, repository: &str) -> BTreeSet<String> {
    let request = |unique_id: &String| {
        format!(
            "<DocumentRequest><RepositoryUniqueId>{repository}</RepositoryUniqueId>\
             <DocumentUniqueId>{unique_id}</DocumentUniqueId></DocumentRequest>"
        )
    };
    let requests: String = model.documents.keys().map(request).collect();
    let body = format!(
        "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'>{requests}</RetrieveDocumentSetRequest>"
    );
    let message = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", &body);
    let answer = text(&peer.post("xds/repository", "application/soap+xml", message.as_bytes()));
    let responses = answer.split(":DocumentResponse>").filter(|part| part.contains("DocumentUniqueId>"));
    responses.map(|part| between(part, "DocumentUniqueId>", "<").to_owned()).collect()
}

/// Compares what every door tells with what is expected. `repository`: where the documents are.
pub(super) fn compare(peer: &Peer, model: &Model, repository: Option<&str>, when: &str) {
    let statuses = ["$XDSDocumentEntryStatus", "$XDSSubmissionSetStatus", "$XDSFolderStatus"];
    for patient in model.living() {
        let (expected, in_folders) = (model.documents_of(patient), model.folders_of(patient));
        let found =
            query_about(peer, FIND_DOCUMENTS, ("$XDSDocumentEntryPatientId", patient), &statuses[..1]);
        assert_eq!(documents(&found), expected, "FindDocuments of P{patient}, {when}");
        let found = query_about(peer, FIND_FOLDERS, ("$XDSFolderPatientId", patient), &statuses[2..]);
        assert_eq!(folders(&found), in_folders, "FindFolders of P{patient}, {when}");
        let found = query_about(peer, GET_ALL, ("$patientId", patient), &statuses);
        assert_eq!(
            (documents(&found), folders(&found)),
            (expected, in_folders),
            "GetAll of P{patient}, {when}"
        );
        let resources = model.resources_of(patient);
        for search in
            [format!("patient=Patient/p{patient}"), format!("patient.identifier=urn:oid:1.2.3|P{patient}")]
        {
            assert_eq!(by_fhir(peer, &search), resources, "ITI-67 by {search}, {when}");
        }
        let current = by_fhir(peer, &format!("patient=p{patient}&status=current"));
        assert!(current.values().all(|(_, others)| *others == 0), "ITI-67 by status, {when}: {current:?}");
        let approved = resources.iter().filter(|(_, (current, _))| *current > 0).map(|(id, _)| id);
        assert!(current.keys().eq(approved), "ITI-67 by status, {when}: {current:?}");
        let folders: BTreeMap<String, (bool, BTreeSet<String>)> = model
            .folders
            .iter()
            .filter(|(_, folder)| model.survivor(folder.of) == patient)
            .map(|(id, folder)| (id.clone(), (folder.is_approved, folder.members.clone())))
            .collect();
        assert_eq!(
            folders_by_fhir(peer, &format!("patient=p{patient}")),
            folders,
            "List of P{patient}, {when}"
        );
    }
    for (id, folder) in &model.folders {
        let named = [("$XDSFolderUniqueId", &*format!("'{id}'"))];
        let found = peer.query(GET_FOLDER_AND_CONTENTS, "LeafClass", &named);
        let members: BTreeSet<String> = documents(&found).into_keys().collect();
        assert_eq!(members, folder.members, "GetFolderAndContents of {id}, {when}");
    }
    if let Some((merged, _)) = model.merged.last_key_value() {
        // By XDS he is not known any more; a reference to him is one to who is left.
        let found =
            query_about(peer, FIND_DOCUMENTS, ("$XDSDocumentEntryPatientId", *merged), &statuses[..1]);
        assert!(documents(&found).is_empty(), "FindDocuments of P{merged}, {when}");
        let resources = model.resources_of(model.survivor(*merged));
        assert_eq!(by_fhir(peer, &format!("patient=p{merged}")), resources, "by p{merged}, {when}");
    }
    if let Some(repository) = repository {
        let with_bytes = model.documents.iter().filter(|(_, document)| document.has_bytes);
        let expected: BTreeSet<String> = with_bytes.map(|(id, _)| id.clone()).collect();
        assert_eq!(retrieved(peer, model, repository), expected, "ITI-43, {when}");
    }
}

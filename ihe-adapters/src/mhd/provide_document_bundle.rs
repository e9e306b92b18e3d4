//! ITI-65: a submission as a FHIR transaction. It is held to the profile that it
//! says it has, and to the rules of ITI-42 and ITI-41; then its resources are
//! stored as they were sent, with the identifiers, hash and size that they lack.
//!
//! Registered resources are changed by the rules of the registry: what the
//! client wrote of a document that is superseded, or a folder that gets members,
//! only says which is meant.
//!
//! Spec: MHD 4.2, 2:3.65

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fhir_model::interaction::{Body, Performed};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::name;
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::bundle::{Entry, entries};
use super::documents::{Taken, take};
use super::metadata::{Described, Metadata};
use super::outcome::{Places, fault, refusal};
use super::patients::{Patients, Person};
use super::profile::{Level, Role};
use super::registered::registered_parts;
use crate::documents::{Documents, carried};
use crate::wire::ebrs::ErrorCode;
use crate::xds::check::{Taker, unique_id};
use crate::xds::fhir::unique_id_tag;
use crate::xds::registry::Registry;
use crate::xds::registry::register_document_set::faults as metadata_faults;
use crate::xds::registry::register_resources::{Part, Resources, register_resources};
use crate::xds::repository::provide_and_register::differences;
use crate::xds::submission::Submission;

/// Performs a submission.
///
/// # Errors
/// All that is wrong with it, as one issue; nothing is stored then.
pub(crate) async fn provide_document_bundle(
    registry: &Registry<'_>,
    documents: &Arc<dyn Documents>,
    bundle: &Resource,
    level: Level,
) -> Result<Performed, Issue> {
    let entries = entries(bundle, level, &registry.fhir.caller.base).map_err(refused)?;
    let count = entries.len();
    let performed = provide(registry, documents, entries, level).await?;
    answer(performed, count)
}

/// Makes one issue of all that is wrong.
pub(super) fn refused(faults: Vec<Issue>) -> Issue {
    refusal(faults).unwrap_or_else(|| Issue::fatal(IssueType::Exception))
}

/// Performs the entries of a submission; returns the Bundle of what each led
/// to, and behind them what else was written.
///
/// # Errors
/// As [`provide_document_bundle`].
pub(super) async fn provide(
    registry: &Registry<'_>,
    documents: &Arc<dyn Documents>,
    mut entries: Vec<Entry>,
    level: Level,
) -> Result<Performed, Issue> {
    let mut taken = take(&mut entries).await.map_err(refused)?;
    let mut patients = Patients::new(registry);
    let patient = patient(&mut patients, &mut entries, level).await?;
    let metadata = Metadata::of(registry, &mut patients, &entries, &taken).await?;
    let Metadata { described, mut submission, places, mut faults } = metadata;
    let mut parts: HashMap<String, Part> = patient.into_iter().collect();
    let (changed, of_changed) = registered_parts(registry, &entries, &mut submission).await?;
    faults.extend(of_changed);
    parts.extend(changed);
    faults.extend(wrong(registry, &submission, &places, level, &taken));
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    parts.extend(described.into_iter().map(|described| new_part(described, &submission)));
    let mut contents = Vec::new();
    for taken in &mut taken {
        let bytes = carried(std::mem::take(&mut taken.bytes), documents).await;
        let bytes = bytes.map_err(|_| {
            Issue::error(IssueType::NoStore).text("the documents could not be stored; nothing was registered")
        })?;
        contents.push((taken.full_url.clone(), bytes));
        parts.insert(taken.key.clone(), binary(taken, &submission));
    }
    let parts = entries.iter().filter_map(|entry| parts.remove(&entry.key)).collect();
    let resources = Resources { submission, parts, contents };
    let done = register_resources(registry, &resources).await?;
    done.map_err(|errors| refused(errors.iter().map(|error| places.issue(error)).collect()))
}

/// Tells what is wrong with the metadata, and with the documents by them.
fn wrong(
    registry: &Registry<'_>,
    submission: &Submission,
    places: &Places,
    level: Level,
    taken: &[Taken],
) -> Vec<Issue> {
    let mut checked = submission.clone();
    let mut taker = Taker::Registry;
    if level == Level::Minimal {
        checked.limit();
        taker = Taker::Recipient;
    }
    let mut errors = metadata_faults(registry, &checked, taker);
    // A document that is elsewhere is in no repository, and said to be so by its URL.
    let elsewhere: HashSet<String> = submission
        .documents
        .iter()
        .filter(|document| !document.slot("URI").is_empty())
        .map(|document| format!("{}/repositoryUniqueId", document.id))
        .collect();
    errors.retain(|error| !elsewhere.contains(&error.location));
    for taken in taken {
        let of_it = submission.documents.iter().filter(|document| taken.of.contains(&document.id));
        errors.extend(of_it.flat_map(|document| differences(document, taken.size(), &taken.sha1)));
    }
    errors.iter().map(|error| places.issue(error)).collect()
}

/// Finds out who the patient is that comes with a submission, if one does, and
/// lets everything refer to him. Returns what becomes of the entry.
///
/// # Errors
/// When a registry does not know him; who knows little may bring somebody new.
async fn patient(
    patients: &mut Patients<'_>,
    entries: &mut [Entry],
    level: Level,
) -> Result<Option<(String, Part)>, Issue> {
    let Some(entry) = entries.iter().find(|entry| entry.role == Role::Patient) else { return Ok(None) };
    let (key, full_url) = (entry.key.clone(), entry.full_url.clone());
    let Some(sent) = entry.resource.as_ref().filter(|_| entry.method != "GET") else {
        let request = json!({ "method": "GET", "url": key });
        return Ok(Some((key, Part::Entry(json!({ "request": request })))));
    };
    let mut resource = super::metadata::json_of(sent)?;
    let known = match entry.method.as_str() {
        "PUT" => patients.at(&key).await?,
        _ => patients.same_as(sent).await?,
    };
    if known.is_none() && level != Level::Minimal {
        let text = "no patient is known here by any of these identifiers";
        return Err(fault(ErrorCode::UnknownPatientId, text).at(entry.root.clone()));
    }
    let is_update = entry.method == "PUT";
    let is_new = known.is_none();
    let person = known.unwrap_or_else(|| Person { place: key.clone(), cx: None });
    let part = if is_update {
        let request = json!({ "method": "PUT", "url": key });
        Part::Entry(json!({ "resource": resource, "request": request }))
    } else if is_new {
        resource["id"] = json!(entry.id());
        Part::new(full_url.as_deref(), resource, None)
    } else {
        let id = person.place.trim_start_matches("Patient/");
        let request = json!({ "method": "POST", "url": "Patient", "ifNoneExist": format!("_id={id}") });
        Part::Entry(json!({ "resource": resource, "request": request }))
    };
    for entry in entries.iter_mut().filter_map(|entry| entry.resource.as_mut()) {
        fhir_model::reference::rewrite(entry, |url| (url == key).then(|| person.place.clone()));
    }
    patients.comes(person);
    Ok(Some((key, part)))
}

/// Makes the entry of an object of the submission.
fn new_part(described: Described, submission: &Submission) -> (String, Part) {
    let Described { key, full_url, resource, uuid } = described;
    // Documents may have one unique id as long as they are the same.
    let lists = std::iter::once(&submission.submission_set).chain(&submission.folders);
    let unique_id = lists.filter(|list| list.id == uuid).find_map(unique_id);
    (key, Part::new(full_url.as_deref(), resource, unique_id))
}

/// Makes the entry of a Binary, which says by a tag of which document it is:
/// the repository knows its documents even when the registry does not any more.
fn binary(taken: &Taken, submission: &Submission) -> Part {
    let mut resource = taken.binary.clone();
    let of_it = submission.documents.iter().filter(|document| taken.of.contains(&document.id));
    let tags: Vec<Value> = of_it.filter_map(unique_id).map(unique_id_tag).collect();
    match resource["meta"]["tag"].as_array_mut() {
        Some(sent) => sent.extend(tags),
        None => resource["meta"]["tag"] = Value::Array(tags),
    }
    Part::new(Some(&taken.full_url), resource, None)
}

/// Leaves of the answer what was asked.
fn answer(performed: Performed, count: usize) -> Result<Performed, Issue> {
    let unreadable = || Issue::fatal(IssueType::Exception).text("the answer to a transaction is none");
    let Body::Json(json) = performed.body else { return Err(unreadable()) };
    let mut bundle: Value = serde_json::from_slice(&json).map_err(|_| unreadable())?;
    bundle["entry"].as_array_mut().ok_or_else(unreadable)?.truncate(count);
    Ok(Performed::json(bundle.to_string().into_bytes()))
}

/// Returns the media type that an attachment says it has.
pub(super) fn content_type(document: &Resource) -> Option<&str> {
    let content = document.root().child(name::CONTENT)?;
    content.child(name::ATTACHMENT)?.text_of(name::CONTENT_TYPE)
}

//! What a submission says of registered resources: documents that it replaces,
//! and folders that get members.
//!
//! Spec: MHD 4.2, 2:3.65.4.1.2.1, 2:3.65.4.1.2.3

use std::collections::{HashMap, HashSet};

use fhir_model::outcome::{Issue, IssueType, Reason};

use super::bundle::Entry;
use super::metadata::{entry_uuid_of, json_of, read};
use super::outcome::fault;
use super::profile::Role;
use crate::wire::ebrim::{Classification, RegistryObject, Slot};
use crate::wire::ebrs::ErrorCode;
use crate::xds::registry::register_resources::Part;
use crate::xds::registry::{OBJECTS, Registered, Registry};
use crate::xds::submission::Submission;
use crate::xds::vocabulary::{REPLACES, TRANSFORMS_AND_REPLACES};

/// Adds to a submission the members that folders get. Returns the places of the
/// transaction where registered resources change, and what is wrong.
///
/// # Errors
/// When the registry cannot be asked.
pub(super) async fn registered_parts(
    registry: &Registry<'_>,
    entries: &[Entry],
    submission: &mut Submission,
) -> Result<(HashMap<String, Part>, Vec<Issue>), Issue> {
    let mut parts = HashMap::new();
    let mut faults = Vec::new();
    for entry in entries {
        if !matches!(entry.role, Role::Superseded | Role::UpdatedFolder) {
            continue;
        }
        let uuid = entry_uuid_of(entry);
        let Some(known) = registry.by_uuid(&uuid, OBJECTS).await? else {
            let text = format!("{} is not registered", entry.key);
            faults.push(fault(ErrorCode::UnresolvedReference, &text).at(&entry.place));
            continue;
        };
        if entry.role == Role::Superseded {
            if !is_replaced(submission, &known.object.id) {
                let text = "nothing in the submission replaces this document";
                faults.push(fault(ErrorCode::RegistryMetadata, text).at(&entry.place));
            }
        } else {
            submission.associations.extend(further_members(registry, entry, &known, &mut faults)?);
        }
        if entry.method == "PUT" && is_changed(registry, entry, &known)? {
            let text =
                "of a registered resource the status or the members change by a submission, and nothing else";
            let issue = Issue::error(IssueType::BusinessRule).because(Reason::Unprocessable);
            faults.push(issue.at(entry.root.clone()).text(text));
        }
        parts.insert(entry.key.clone(), Part::Registered(entry.key.clone()));
    }
    Ok((parts, faults))
}

fn is_replaced(submission: &Submission, id: &str) -> bool {
    let replaces = |association: &RegistryObject| {
        let ends = association.ends.as_ref();
        ends.is_some_and(|e| [REPLACES, TRANSFORMS_AND_REPLACES].contains(&e.kind.as_str()) && e.target == id)
    };
    submission.associations.iter().any(replaces)
}

/// Returns the members that a folder has not yet; those that it has stay.
fn further_members(
    registry: &Registry<'_>,
    entry: &Entry,
    known: &Registered,
    faults: &mut Vec<Issue>,
) -> Result<Vec<RegistryObject>, Issue> {
    let Some(sent) = &entry.resource else { return Ok(Vec::new()) };
    let sent = read(registry, &json_of(sent)?, None)?;
    let targets = |associations: &[RegistryObject]| -> HashSet<String> {
        associations.iter().filter_map(|a| a.ends.as_ref()).map(|ends| ends.target.clone()).collect()
    };
    let (before, after) = (targets(&known.associations), targets(&sent.associations));
    for gone in before.difference(&after) {
        let text = format!("{gone} is a member of the folder, and members stay");
        let place = format!("{}.entry", entry.root);
        faults.push(fault(ErrorCode::RegistryMetadata, &text).at(place));
    }
    let further = sent
        .associations
        .into_iter()
        .filter(|association| association.ends.as_ref().is_some_and(|ends| !before.contains(&ends.target)));
    let named = further.map(|mut association| {
        association.id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        association.logical_id = Some(association.id.clone());
        association
    });
    Ok(named.collect())
}

/// Tells whether a resource says something else than what is registered.
fn is_changed(registry: &Registry<'_>, entry: &Entry, known: &Registered) -> Result<bool, Issue> {
    let Some(sent) = &entry.resource else { return Ok(false) };
    let sent = read(registry, &json_of(sent)?, None)?;
    let before = registry.registered(known.resource.clone(), None).map(|known| said(&known.object));
    Ok(before != Some(said(&sent.object)))
}

/// What an object says: all that does not change by itself.
type Said =
    (Vec<String>, Vec<(String, Vec<String>)>, Vec<(String, String, Vec<String>)>, Vec<(String, String)>);

fn said(object: &RegistryObject) -> Said {
    let texts = object.name.iter().chain(&object.description).map(|text| text.value.clone());
    let texts = texts.chain(object.mime_type.clone()).collect();
    let mut slots: Vec<(String, Vec<String>)> = object
        .slots
        .iter()
        .filter(|slot| slot.name != "lastUpdateTime")
        .map(|Slot { name, values, .. }| (name.clone(), values.clone()))
        .collect();
    slots.sort();
    let code = |c: &Classification| {
        let slots = c.slots.iter().flat_map(|slot| slot.values.clone()).collect();
        (c.scheme.clone().or_else(|| c.node.clone()).unwrap_or_default(), c.representation.clone(), slots)
    };
    let mut codes: Vec<(String, String, Vec<String>)> = object.classifications.iter().map(code).collect();
    codes.sort();
    let mut identifiers: Vec<(String, String)> =
        object.external_identifiers.iter().map(|i| (i.scheme.clone(), i.value.clone())).collect();
    identifiers.sort();
    (texts, slots, codes, identifiers)
}

//! Registers a submission whose objects are resources already, as a FHIR client
//! wrote them: they are stored so, after the checks of ITI-42, with what it does
//! to registered objects, in one transaction.

use fhir_model::interaction::{Carried, Performed};
use fhir_model::outcome::Issue;
use serde_json::{Value, json};

use super::Registry;
use super::plan::{Changes, Plan, Planned, append, not_there_yet};
use super::register_document_set::planned;
use super::write::attempt;
use crate::wire::ebrs::RegistryError;
use crate::xds::fhir::{Member, Places, list, resource_id};
use crate::xds::submission::Submission;

/// A place in the transaction.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// An entry that is written as it stands.
    Entry(Value),
    /// What becomes of a registered resource, `Type/[id]`.
    Registered(String),
}

impl Part {
    /// Makes the entry of a resource that is new; of a unique id there may be one.
    pub(crate) fn new(full_url: Option<&str>, resource: Value, unique_id: Option<&str>) -> Part {
        let text = |name: &str| resource[name].as_str().unwrap_or_default();
        let request = not_there_yet(text("resourceType"), text("id"), unique_id);
        let mut entry = json!({ "resource": resource, "request": request });
        if let Some(full_url) = full_url {
            entry["fullUrl"] = json!(full_url);
        }
        Part::Entry(entry)
    }
}

/// A submission, and the resources that it is.
#[derive(Debug)]
pub(crate) struct Resources {
    /// What is registered, with the ids that it has.
    pub(crate) submission: Submission,
    /// The transaction, in the order of its answer. More may come behind it.
    pub(crate) parts: Vec<Part>,
    /// What its Binaries carry, by the fullUrl of their entries.
    pub(crate) contents: Vec<(String, Carried)>,
}

/// Registers resources whose form was checked. Returns the Bundle of what each
/// entry led to, or all that is wrong with the submission.
///
/// # Errors
/// When the registry cannot be asked, or the transaction fails; nothing is
/// registered then.
pub(crate) async fn register_resources(
    registry: &Registry<'_>,
    resources: &Resources,
) -> Result<Result<Performed, Vec<RegistryError>>, Issue> {
    attempt(registry, async || plan(registry, resources).await).await
}

async fn plan(registry: &Registry<'_>, resources: &Resources) -> Planned {
    let planning = planned(registry, &resources.submission).await?;
    Ok(planning.into_changes().map(|changes| written(resources, changes)))
}

/// Puts what registered resources become where the client speaks of them, or
/// behind what it wrote.
fn written(resources: &Resources, changes: Changes) -> Plan {
    let Changes { mut registered, associations } = changes;
    let set = &resources.submission.submission_set.id;
    let entry = |part: &Part| match part {
        Part::Entry(entry) => {
            let mut entry = entry.clone();
            if entry["resource"]["id"].as_str().is_some_and(|id| Some(id) == resource_id(set)) {
                let members =
                    associations.iter().filter(|a| a.ends.as_ref().is_some_and(|e| e.source == *set));
                let members: Vec<Member<'_>> =
                    members.map(|association| Member { association, resource_type: None }).collect();
                let made = list(&Default::default(), &members, &Places::default());
                append(&mut entry["resource"], "extension", &made);
            }
            entry
        }
        // What nothing becomes of is told as it is.
        Part::Registered(key) => {
            registered.remove(key).unwrap_or_else(|| json!({ "request": { "method": "GET", "url": key } }))
        }
    };
    let mut entries: Vec<Value> = resources.parts.iter().map(entry).collect();
    entries.extend(registered.into_values());
    Plan { entries, contents: resources.contents.clone() }
}

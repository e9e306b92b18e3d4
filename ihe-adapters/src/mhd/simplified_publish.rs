//! ITI-105: a DocumentReference that carries its document. It becomes a
//! submission of its own, and is performed as that.
//!
//! Spec: MHD 4.2, 2:3.105

use std::sync::Arc;

use fhir_model::interaction::{Interaction, Performed, ReadRequest, Status};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::reference::Literal;
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::bundle::{Entry, entry_uuid, refer};
use super::metadata::json_of;
use super::profile::{Level, Role, check};
use super::provide_document_bundle::{provide, refused};
use crate::documents::Documents;
use crate::xds::fhir::{LIST_TYPES, SUBMISSION_SET};
use crate::xds::registry::Registry;

const DESIGNATION_TYPE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType";
const SOURCE_ID: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId";

/// Publishes a document; returns its DocumentReference as it is stored.
///
/// # Errors
/// All that is wrong with it, as one issue; nothing is stored then.
pub(crate) async fn simplified_publish(
    registry: &Registry<'_>,
    documents: &Arc<dyn Documents>,
    sent: &Resource,
) -> Result<Performed, Issue> {
    let mut faults = check(Role::Published, Level::Minimal, sent, "DocumentReference");
    if entry_uuid(sent).is_some() {
        let text = "the entryUUID of what is published simply is assigned here";
        faults.push(Issue::error(IssueType::BusinessRule).at("DocumentReference.identifier").text(text));
    }
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    let key = publish(registry, documents, json_of(sent)?).await?;
    let literal = Literal::parse(&key).ok_or_else(|| Issue::fatal(IssueType::Exception))?;
    let read = ReadRequest { key: literal.key, if_none_match: None, if_modified_since: None };
    let performed = registry.fhir.api.perform(registry.fhir.caller, Interaction::Read(read)).await?;
    Ok(Performed { status: Status::Created, ..performed })
}

/// Publishes a document that a DocumentReference carries; returns what that is
/// stored as.
///
/// # Errors
/// As [`simplified_publish`].
pub(super) async fn publish(
    registry: &Registry<'_>,
    documents: &Arc<dyn Documents>,
    document: Value,
) -> Result<String, Issue> {
    let mut entries = entries(registry, document)?;
    refer(&mut entries, &registry.fhir.caller.base);
    let key = entries.first().map(|document| document.key.clone()).unwrap_or_default();
    provide(registry, documents, entries, Level::Minimal).await?;
    Ok(key)
}

/// Makes the entries of the submission: the document, its bytes, and the
/// submission set that says of it what it says itself.
fn entries(registry: &Registry<'_>, mut document: Value) -> Result<Vec<Entry>, Issue> {
    let [of_document, of_binary, of_set] =
        ["DocumentReference", "Binary", "List"].map(|of| format!("{of}/{}", uuid::Uuid::new_v4()));
    let attachment = &mut document["content"][0]["attachment"];
    let binary = json!({ "resourceType": "Binary", "contentType": attachment["contentType"], "data": attachment["data"] });
    if let Some(attachment) = attachment.as_object_mut() {
        attachment.remove("data");
        attachment.insert("url".to_owned(), json!(of_binary));
    }
    let mut set = json!({
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "code": { "coding": [{ "system": LIST_TYPES, "code": SUBMISSION_SET }] },
        "subject": document["subject"],
        "date": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "extension": [{ "url": SOURCE_ID,
                        "valueIdentifier": { "value": format!("urn:oid:{}", registry.repository_unique_id) } }],
        "entry": [{ "item": { "reference": of_document } }],
    });
    if document["type"].is_object()
        && let Some(extensions) = set["extension"].as_array_mut()
    {
        extensions.push(json!({ "url": DESIGNATION_TYPE, "valueCodeableConcept": document["type"] }));
    }
    // Who stands in the document does not stand in the list.
    let author = &document["author"][0];
    let is_contained = author["reference"].as_str().is_some_and(|reference| reference.starts_with('#'));
    if author.is_object() && !is_contained {
        set["source"] = author.clone();
    }
    let parts = [
        (of_document, Role::Document, document),
        (of_binary, Role::Binary, binary),
        (of_set, Role::SubmissionSet, set),
    ];
    let entry = |(key, role, resource): (String, Role, Value)| {
        let place = "DocumentReference".to_owned();
        let resource = Some(json::read(resource.to_string()).map_err(Issue::from)?);
        let method = "POST".to_owned();
        Ok(Entry { root: place.clone(), place, full_url: None, role, method, resource, key })
    };
    parts.into_iter().map(entry).collect()
}

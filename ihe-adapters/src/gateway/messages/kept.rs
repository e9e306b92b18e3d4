//! Messages kept as they came: what of them is in no resource is not lost, and told.

use std::sync::Arc;

use fhir_model::interaction::Carried;
use fhir_model::outcome::{Issue, IssueType};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Keep;
use super::groups::Group;
use crate::documents::{Documents, carried};

/// The media type of a message.
const MEDIA_TYPE: &str = "application/hl7-v2";
/// The extension of a Provenance that names a place of the message that is in no resource.
const UNMAPPED: &str = "urn:lanterna:hl7v2:unmapped";
/// How many places are named.
const PLACES_MAX: usize = 500;

/// A message as it is stored beside what became of it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Entries of the transaction.
    pub(super) entries: Vec<Value>,
    /// What Binaries among them carry.
    pub(super) contents: Vec<(String, Carried)>,
}

/// Keeps a message where that is asked for.
///
/// # Errors
/// When it cannot be stored.
pub(super) async fn kept(
    keep: Keep,
    (bytes, groups): (Vec<u8>, &[Group]),
    sender: &str,
    documents: &Arc<dyn Documents>,
) -> Result<Kept, Issue> {
    let is_kept = match keep {
        Keep::All => true,
        Keep::Unmapped => groups.iter().any(|group| !group.mapped.unmapped.is_empty()),
        Keep::None => false,
    };
    let mut targets: Vec<Value> = Vec::new();
    for Group { mapped, .. } in groups {
        targets.extend(mapped.patient.is_some().then(|| json!({ "reference": mapped.patient_url })));
        let urls = mapped.entries.iter().filter_map(|entry| entry["fullUrl"].as_str());
        targets.extend(urls.map(|url| json!({ "reference": url })));
    }
    if !is_kept || targets.is_empty() {
        return Ok(Kept::default());
    }
    let carried = carried(bytes, documents).await.map_err(|_| {
        Issue::error(IssueType::Transient).text("the message could not be stored; nothing of it was")
    })?;
    let binary = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let mut resource = json!({ "resourceType": "Binary", "contentType": MEDIA_TYPE });
    let mut patients = groups.iter().map(|group| &group.mapped).filter(|mapped| mapped.patient.is_some());
    // One patient's access is not that of others.
    if let (Some(mapped), None) = (patients.next(), patients.next()) {
        resource["securityContext"] = json!({ "reference": mapped.patient_url });
    }
    let places = groups.iter().flat_map(|group| &group.mapped.unmapped).take(PLACES_MAX);
    let extensions: Vec<Value> =
        places.map(|place| json!({ "url": UNMAPPED, "valueString": place.to_string() })).collect();
    let mut provenance = json!({
        "resourceType": "Provenance",
        "target": targets,
        "recorded": Timestamp::now().to_string(),
        "agent": [{ "who": { "display": sender } }],
        "entity": [{ "role": "source", "what": { "reference": binary } }],
    });
    if !extensions.is_empty() {
        provenance["extension"] = Value::Array(extensions);
    }
    let entry = |url: Option<&str>, resource: Value| {
        let of = resource["resourceType"].clone();
        let mut entry = json!({ "resource": resource, "request": { "method": "POST", "url": of } });
        if let Some(url) = url {
            entry["fullUrl"] = json!(url);
        }
        entry
    };
    let entries = vec![entry(Some(&binary), resource), entry(None, provenance)];
    Ok(Kept { entries, contents: vec![(binary, carried)] })
}

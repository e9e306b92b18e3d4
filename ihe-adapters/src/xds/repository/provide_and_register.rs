//! ITI-41: stores documents and registers them, all of a submission or nothing.
//!
//! Spec: ITI TF-2 3.41.4.1.3

use std::collections::HashSet;

use fhir_model::interaction::Carried;
use serde_json::Value;

use crate::wire::ebrim::RegistryObject;
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::mtom::included;
use crate::wire::namespaces::XDSB;
use crate::wire::xml::Element;
use crate::xds::check::Taker;
use crate::xds::registry::Registry;
use crate::xds::registry::register_document_set::register_beside;
use crate::xds::submission::Submission;
use crate::xds::vocabulary::ON_DEMAND;

/// A document as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The id of its part; `None` for what stood in the message.
    pub content_id: Option<String>,
    /// Its bytes: durable in the document store, or at hand.
    pub bytes: Carried,
    /// Their SHA-1 in hexadecimal.
    pub sha1: String,
}

/// A `Document` of the request: the entry that it is of, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// In the part of this id.
    Part(String),
    /// In the message, as base64.
    Inline(String),
}

/// Returns the documents of a request, by the ids of their entries.
pub fn attached(request: &Element) -> Vec<(String, Attached)> {
    let documents = request.children_named(XDSB, "Document");
    let document = |document: &Element| {
        let id = document.attribute("id").unwrap_or_default().to_owned();
        let attached = included(document).map_or_else(|| Attached::Inline(document.text()), Attached::Part);
        (id, attached)
    };
    documents.map(document).collect()
}

/// Registers a submission whose documents were received: by the id of their entry.
/// `beside`: resources that the documents are as well.
///
/// # Errors
/// All that is wrong with it; nothing is registered then.
pub(crate) async fn provide_and_register(
    registry: &Registry<'_>,
    mut submission: Submission,
    received: &[(String, Received)],
    taker: Taker,
    beside: &[Value],
) -> Result<(), Vec<RegistryError>> {
    let mut faults = Vec::new();
    let mut stored = Vec::new();
    let mut seen = HashSet::new();
    for (id, _) in received {
        if !seen.insert(id) {
            let context = format!("two documents are given for the entry {id}");
            faults.push(RegistryError::new(ErrorCode::RepositoryMetadata, context).at(id));
        }
        if !submission.documents.iter().any(|document| document.id == *id) {
            let context = format!("a document is given for {id}, which is no entry of the submission");
            faults.push(RegistryError::new(ErrorCode::MissingDocumentMetadata, context).at(id));
        }
    }
    for document in &mut submission.documents {
        let of_it = received.iter().find(|(id, _)| *id == document.id).map(|(_, received)| received);
        let Some(received) = of_it else {
            if document.object_type.as_deref() != Some(ON_DEMAND) {
                let context = format!("no document is given for the entry {}", document.id);
                faults.push(RegistryError::new(ErrorCode::MissingDocument, context).at(&document.id));
            }
            stored.push(None);
            continue;
        };
        faults.extend(differences(document, received.bytes.size(), &received.sha1));
        document.set_slot("hash", vec![received.sha1.clone()]);
        document.set_slot("size", vec![received.bytes.size().to_string()]);
        document.set_slot("repositoryUniqueId", vec![registry.repository_unique_id.to_owned()]);
        stored.push(Some(received.bytes.clone()));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    register_beside(registry, submission, (&stored, beside), taker).await
}

/// Compares what the metadata say of a document with what came.
pub(crate) fn differences(document: &RegistryObject, size: u64, sha1: &str) -> Vec<RegistryError> {
    let size = size.to_string();
    let told = [("hash", sha1), ("size", &size)].into_iter().filter_map(|(slot, is)| {
        let told = document.slot_value(slot).filter(|told| !told.eq_ignore_ascii_case(is))?;
        let told: String = told.chars().take(64).collect();
        let context = format!("the {slot} of the document is {is}, and not {told}");
        let error = RegistryError::new(ErrorCode::RepositoryMetadata, context);
        Some(error.at(format!("{}/{slot}", document.id)))
    });
    told.collect()
}

//! ITI-86: removes documents from the repository.
//!
//! The Binary that a document is in is deleted; what the registry says of the
//! document stays until it is removed there, and a document can be removed that
//! the registry does not know any more.
//!
//! Spec: Remove Metadata and Documents supplement, 3.86.4.1.3

use std::collections::BTreeSet;

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::retrieve_document_set::{DocumentRequest, check_repository, not_here};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::check::unique_id;
use crate::xds::fhir::unique_id_token;
use crate::xds::registry::{Registry, binary_of, failure};

/// How many Binaries one document may be in.
const BINARIES_MAX: usize = 1_000;

/// Removes a document.
///
/// # Errors
/// When the repository is another, it has no such document, or another document
/// is in the same Binary; it stays then.
pub(crate) async fn remove(registry: &Registry<'_>, request: &DocumentRequest) -> Result<(), RegistryError> {
    check_repository(registry, request)?;
    let failed = |issue: Issue| failure(&issue, ErrorCode::Repository).at(&request.document);
    let binaries = binaries(registry, &request.document).await.map_err(failed)?;
    if binaries.is_empty() {
        return Err(not_here(request));
    }
    for binary in &binaries {
        if let Some(other) = other_document_in(registry, binary, &request.document).await.map_err(failed)? {
            let context = format!("the document {other} is in the same Binary");
            return Err(RegistryError::new(ErrorCode::RemoveDocuments, context).at(&request.document));
        }
    }
    let delete = |binary: &String| json!({ "request": { "method": "DELETE", "url": binary } });
    let entries: Vec<Value> = binaries.iter().map(delete).collect();
    registry.fhir.transact(entries, Vec::new()).await.map(drop).map_err(failed)
}

/// Returns the Binaries that a document is in, `Binary/[id]`.
async fn binaries(registry: &Registry<'_>, document: &str) -> Result<BTreeSet<String>, Issue> {
    let tagged = [("_tag", &*unique_id_token(document))];
    let tagged = registry.fhir.search(ty::BINARY, &tagged, BINARIES_MAX).await?;
    let mut all: BTreeSet<String> =
        tagged.iter().filter_map(|binary| Some(format!("Binary/{}", binary.id()?))).collect();
    for entry in registry.by_unique_id(document, &[ty::DOCUMENT_REFERENCE]).await? {
        let Some(key) = binary_of(&entry.resource) else { continue };
        let is_there = registry.fhir.read(ty::BINARY, key.id.as_str()).await?.is_some();
        all.extend(is_there.then(|| format!("Binary/{}", key.id.as_str())));
    }
    Ok(all)
}

/// Finds a registered document of another unique id that is in a Binary.
async fn other_document_in(
    registry: &Registry<'_>,
    binary: &str,
    document: &str,
) -> Result<Option<String>, Issue> {
    let all = registry.documents_with("location", binary).await?;
    let of_each = all.iter().map(|other| unique_id(&other.object).unwrap_or(&other.object.id));
    Ok(of_each.filter(|other| *other != document).map(str::to_owned).next())
}

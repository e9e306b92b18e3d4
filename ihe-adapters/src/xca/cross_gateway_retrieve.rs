//! ITI-39: gives documents to another community.
//!
//! Spec: ITI TF-2 3.39.4.1.3

use super::check_home;
use crate::wire::ebrs::RegistryError;
use crate::xds::registry::Registry;
use crate::xds::repository::retrieve_document_set::{DocumentRequest, Retrieved, retrieve};

/// Finds a document for another community. `ours`: this one, `urn:oid:...`.
///
/// # Errors
/// As [`retrieve`]; also when the request names no community, or another.
/// Errors say where by this community.
pub(crate) async fn cross_gateway_retrieve(
    registry: &Registry<'_>,
    request: &DocumentRequest,
    ours: &str,
) -> Result<Retrieved, RegistryError> {
    check_home(request.home.as_deref(), true, ours)?;
    retrieve(registry, request).await.map_err(|error| error.at(ours))
}

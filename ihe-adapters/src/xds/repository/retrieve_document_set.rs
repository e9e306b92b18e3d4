//! ITI-43: gives out documents.
//!
//! Spec: ITI TF-2 3.43.4

use fhir_model::interaction::Carried;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::base64;
use fhir_model::schema::{name, ty};

use crate::wire::ebrs::{ErrorCode, RegistryError, RegistryResponse, Status};
use crate::wire::mtom::include;
use crate::wire::namespaces::XDSB;
use crate::wire::xml::Element;
use crate::xds::registry::{Registry, binary_of, failure};

/// How many documents one request may ask for.
const DOCUMENTS_MAX: usize = 1_000;

/// A document that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentRequest {
    /// The community, if it is named.
    pub home: Option<String>,
    /// The repository.
    pub repository: String,
    /// The document.
    pub document: String,
}

impl DocumentRequest {
    /// Reads a `DocumentRequest`.
    pub fn of(document: &Element) -> DocumentRequest {
        let text = |local: &str| document.text_of(XDSB, local).unwrap_or_default();
        DocumentRequest {
            home: document.text_of(XDSB, "HomeCommunityId").filter(|home| !home.is_empty()),
            repository: text("RepositoryUniqueId"),
            document: text("DocumentUniqueId"),
        }
    }
}

/// A document that is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieved {
    /// What was asked for.
    pub request: DocumentRequest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Carried,
}

/// Reads what a request asks for.
///
/// # Errors
/// When it asks for too much.
pub fn requests(request: &Element) -> Result<Vec<DocumentRequest>, RegistryError> {
    let requests: Vec<DocumentRequest> =
        request.children_named(XDSB, "DocumentRequest").map(DocumentRequest::of).collect();
    if requests.len() > DOCUMENTS_MAX {
        let context = format!("more than {DOCUMENTS_MAX} documents at once");
        return Err(RegistryError::new(ErrorCode::Repository, context));
    }
    Ok(requests)
}

/// Finds a document.
///
/// # Errors
/// When the repository is another, or it has no such document.
pub(crate) async fn retrieve(
    registry: &Registry<'_>,
    request: &DocumentRequest,
) -> Result<Retrieved, RegistryError> {
    check_repository(registry, request)?;
    let found = find(registry, &request.document).await;
    match found.map_err(|issue| failure(&issue, ErrorCode::Repository))? {
        Some((media_type, bytes)) => Ok(Retrieved { request: request.clone(), media_type, bytes }),
        None => Err(not_here(request)),
    }
}

/// Checks that a request is for this repository.
///
/// # Errors
/// `XDSUnknownRepositoryId`.
pub(super) fn check_repository(
    registry: &Registry<'_>,
    request: &DocumentRequest,
) -> Result<(), RegistryError> {
    if request.repository == registry.repository_unique_id {
        return Ok(());
    }
    let context = format!("the repository `{}` is not this one", clip(&request.repository));
    Err(RegistryError::new(ErrorCode::UnknownRepositoryId, context).at(clip(&request.document)))
}

/// Says that a document is not in this repository.
pub(super) fn not_here(request: &DocumentRequest) -> RegistryError {
    let context = format!("no document `{}` is here", clip(&request.document));
    RegistryError::new(ErrorCode::DocumentUniqueId, context).at(clip(&request.document))
}

pub(crate) fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

async fn find(registry: &Registry<'_>, unique_id: &str) -> Result<Option<(String, Carried)>, Issue> {
    for entry in registry.by_unique_id(unique_id, &[ty::DOCUMENT_REFERENCE]).await? {
        let Some(binary) = binary_of(&entry.resource) else { continue };
        let (binary, content) = match registry.fhir.read_binary(binary).await {
            Ok(found) => found,
            Err(issue) if matches!(issue.code, IssueType::NotFound | IssueType::Deleted) => continue,
            Err(issue) => return Err(issue),
        };
        let root = binary.root();
        let media_type = root.text_of(name::CONTENT_TYPE).unwrap_or("application/octet-stream").to_owned();
        let inline = || base64::decode(root.text_of(name::DATA).unwrap_or_default());
        let inline = || inline().map(|bytes| Carried::Here(bytes.into()));
        if let Some(bytes) = content.map(Carried::Stored).or_else(inline) {
            return Ok(Some((media_type, bytes)));
        }
    }
    Ok(None)
}

/// Writes the answer: what was asked for and is given, each with its media type.
/// Documents stand in parts of the ids `[number]@lanterna`.
pub(crate) fn response(retrieved: &[(DocumentRequest, String)], errors: Vec<RegistryError>) -> Element {
    let status = Status::of(&errors, !retrieved.is_empty());
    let mut response = Element::new(XDSB, "RetrieveDocumentSetResponse")
        .with_child(RegistryResponse { status, errors }.to_element());
    for (at, (request, media_type)) in retrieved.iter().enumerate() {
        let text = |local: &str, text: &str| Element::new(XDSB, local).with_text(text);
        let home = request.home.as_deref().map(|home| text("HomeCommunityId", home));
        let bytes = Element::new(XDSB, "Document").with_child(include(&content_id(at)));
        response = response.with_child(
            Element::new(XDSB, "DocumentResponse")
                .with_children(home)
                .with_child(text("RepositoryUniqueId", &request.repository))
                .with_child(text("DocumentUniqueId", &request.document))
                .with_child(text("mimeType", media_type))
                .with_child(bytes),
        );
    }
    response
}

/// Returns the id of the part that a document stands in.
pub(crate) fn content_id(at: usize) -> String {
    format!("{}@lanterna", at + 1)
}

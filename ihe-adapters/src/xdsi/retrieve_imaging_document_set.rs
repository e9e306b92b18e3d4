//! RAD-69: which images a request asks for.
//!
//! Spec: RAD TF-2 4.69.4.1.2

use super::manifest::is_uid;
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::namespaces::{XDSB, XDSI};
use crate::wire::xml::Element;
use crate::xds::repository::retrieve_document_set::DocumentRequest;

/// How many images one request may ask for.
const IMAGES_MAX: usize = 5_000;
/// What is asked for where a request names no transfer syntax.
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// An image that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// Its study.
    pub study: String,
    /// Its series.
    pub series: String,
    /// The image, and the repository that has it.
    pub document: DocumentRequest,
}

/// Reads a `RetrieveImagingDocumentSetRequest`: the images, and the transfer
/// syntaxes that they may come in, the preferred one first.
///
/// # Errors
/// When it asks for nothing or too much, or with what are no UIDs.
pub fn images(request: &Element) -> Result<(Vec<ImageRequest>, Vec<String>), RegistryError> {
    let wrong = |context: String| Err(RegistryError::new(ErrorCode::ImagingRequest, context));
    let mut images = Vec::new();
    for study in request.children_named(XDSI, "StudyRequest") {
        let study_uid = study.attribute("studyInstanceUID").unwrap_or_default().trim();
        for series in study.children_named(XDSI, "SeriesRequest") {
            let series_uid = series.attribute("seriesInstanceUID").unwrap_or_default().trim();
            for document in series.children_named(XDSB, "DocumentRequest") {
                let document = DocumentRequest::of(document);
                let uids = [study_uid, series_uid, document.document.as_str()];
                if let Some(uid) = uids.iter().find(|uid| !is_uid(uid)) {
                    return wrong(format!("`{}` is no UID", uid.chars().take(80).collect::<String>()));
                }
                images.push(ImageRequest {
                    study: study_uid.to_owned(),
                    series: series_uid.to_owned(),
                    document,
                });
            }
        }
    }
    match images.len() {
        0 => return wrong("the request asks for no image".to_owned()),
        1..=IMAGES_MAX => {}
        many => return wrong(format!("{many} images at once: {IMAGES_MAX} are taken")),
    }
    let list = request.child(XDSI, "TransferSyntaxUIDList");
    let named = list.into_iter().flat_map(|list| list.children_named(XDSI, "TransferSyntaxUID"));
    let mut syntaxes: Vec<String> = named.map(Element::text).collect();
    if let Some(syntax) = syntaxes.iter().find(|syntax| !is_uid(syntax)) {
        return wrong(format!("`{}` is no transfer syntax", syntax.chars().take(80).collect::<String>()));
    }
    if syntaxes.is_empty() {
        syntaxes.push(EXPLICIT_LITTLE_ENDIAN.to_owned());
    }
    Ok((images, syntaxes))
}

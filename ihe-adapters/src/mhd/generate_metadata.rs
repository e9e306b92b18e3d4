//! ITI-106: a document that says itself what it is. Its metadata are made of the
//! header of a CDA R2 document or of the Composition of a FHIR document, and it is
//! published by them.
//!
//! Spec: MHD 4.2, 2:3.106; PCC TF-2 4.1

use std::sync::Arc;

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::base64;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use serde_json::{Map, Value, json};

use super::metadata::json_of;
use super::simplified_publish::publish;
use super::{cda_header, composition};
use crate::documents::{Documents, sha1};
use crate::xds::fhir::unique_id_identifier;
use crate::xds::registry::{Registry, is_approved};

/// The name of the operation, without `$`.
pub(crate) const OPERATION: &str = "generate-metadata";

/// What a document says of itself: a DocumentReference without its content.
pub(super) struct Generated {
    /// Its unique id.
    pub(super) unique_id: String,
    /// The elements.
    pub(super) reference: Map<String, Value>,
    /// What the attachment says beyond type and bytes.
    pub(super) attachment: Map<String, Value>,
}

/// Generates the metadata of a document and publishes it; returns the
/// reference to its DocumentReference. One that is published already is not
/// published again.
///
/// # Errors
/// What is wrong with the document; nothing is stored then.
pub(crate) async fn generate_metadata(
    registry: &Registry<'_>,
    documents: &Arc<dyn Documents>,
    call: &OperationCall,
) -> Result<Performed, Issue> {
    let document = given(call)?;
    let (generated, media_type, bytes) = match document.resource_type() {
        ty::BINARY => {
            let root = document.root();
            let bytes = root.text_of(name::DATA).and_then(base64::decode);
            let bytes = bytes.ok_or_else(|| refused("the Binary carries no document"))?;
            let media_type = root.text_of(name::CONTENT_TYPE).unwrap_or("text/xml").to_owned();
            (cda_header::read(&bytes)?, media_type, bytes)
        }
        _ => {
            let bytes = json::to_json(&document);
            (composition::read(&json_of(&document)?)?, "application/fhir+json".to_owned(), bytes)
        }
    };
    let key = match published(registry, &generated.unique_id, &bytes).await? {
        Some(key) => key,
        None => publish(registry, documents, reference(generated, &media_type, &bytes)).await?,
    };
    let answer = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "DocumentReference", "valueReference": { "reference": key } }] });
    Ok(Performed::json(answer.to_string().into_bytes()))
}

/// Makes an issue of what is wrong with a document.
pub(super) fn refused(text: impl Into<String>) -> Issue {
    Issue::error(IssueType::Invalid).because(Reason::Unprocessable).at("document").text(text)
}

/// Returns the document that an operation is called with.
fn given(call: &OperationCall) -> Result<Resource, Issue> {
    let body = call.body.as_ref().ok_or_else(|| refused("the parameter `document` is missing"))?;
    let document = match body.resource_type() {
        ty::PARAMETERS => {
            let mut parameters = body.root().children_named(name::PARAMETER);
            let document = parameters.find(|p| p.text_of(name::NAME) == Some("document"));
            let resource = document.and_then(|document| document.child(name::RESOURCE));
            resource.map(|resource| body.extract(resource.id()))
        }
        _ => Some(body.clone()),
    };
    document
        .filter(|document| [ty::BINARY, ty::BUNDLE].contains(&document.resource_type()))
        .ok_or_else(|| refused("`document` is a Binary (a CDA R2 document) or a Bundle of type document"))
}

/// Finds the document where it is published already.
async fn published(registry: &Registry<'_>, unique_id: &str, bytes: &[u8]) -> Result<Option<String>, Issue> {
    let hash = sha1(bytes);
    let known = registry.by_unique_id(unique_id, &[ty::DOCUMENT_REFERENCE]).await?;
    let same = known.into_iter().find(|known| {
        let is_same = known.object.slot_value("hash").is_some_and(|known| known.eq_ignore_ascii_case(&hash));
        is_same && is_approved(&known.object)
    });
    Ok(same.and_then(|same| Some(format!("DocumentReference/{}", same.resource.id()?))))
}

fn reference(generated: Generated, media_type: &str, bytes: &[u8]) -> Value {
    let Generated { unique_id, mut reference, mut attachment } = generated;
    attachment.insert("contentType".to_owned(), json!(media_type));
    attachment.insert("data".to_owned(), json!(base64::encode(bytes)));
    let mut content = json!({ "attachment": attachment });
    if let Some(format) = reference.remove("format") {
        content["format"] = format;
    }
    reference.insert("resourceType".to_owned(), json!("DocumentReference"));
    reference.insert("status".to_owned(), json!("current"));
    reference.insert("masterIdentifier".to_owned(), unique_id_identifier(&unique_id));
    reference.insert("content".to_owned(), json!([content]));
    Value::Object(reference)
}

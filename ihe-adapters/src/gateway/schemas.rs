//! Messages that are performed only when their schemas allow them.

use std::path::Path;

use super::incoming::Incoming;
use super::transactions::{Transaction, namespaces};
use super::{Answer, Gateway, patients};
use crate::wire::ebrs::{ErrorCode, RegistryError, RegistryResponse};
use crate::wire::namespaces::{HL7_V3, WSNT, XCPD};
use crate::wire::schema::{Invalid, SchemaProblem, Schemas};
use crate::wire::soap::Fault;
use crate::xds::registry::stored_query;
use crate::xds::repository::retrieve_document_set;

/// Compiles the schemas of a folder, as far as they are of messages of the doors.
///
/// # Errors
/// When one cannot be compiled, or there is none.
pub fn open(folder: &Path) -> Result<Schemas, SchemaProblem> {
    Schemas::open(folder, &namespaces())
}

/// By which error a body is refused, where it is answered in ebRS.
const REFUSALS: &[(&str, ErrorCode)] = &[
    ("SubmitObjectsRequest", ErrorCode::RegistryMetadata),
    ("RemoveObjectsRequest", ErrorCode::Registry),
    ("AdhocQueryRequest", ErrorCode::Registry),
    ("ProvideAndRegisterDocumentSetRequest", ErrorCode::RepositoryMetadata),
    ("RetrieveDocumentSetRequest", ErrorCode::Repository),
    ("RemoveDocumentsRequest", ErrorCode::Repository),
    ("RetrieveImagingDocumentSetRequest", ErrorCode::ImagingRequest),
];

impl Gateway {
    /// Refuses a message that is not valid, as far as there are schemas to tell.
    ///
    /// # Errors
    /// A fault, when it cannot be checked, or is invalid and its answer has no place for errors.
    pub(super) async fn refused_by_schema(
        &self,
        transaction: &Transaction,
        incoming: &Incoming,
    ) -> Result<Option<Answer>, Fault> {
        let invalid = self.invalid(transaction, incoming).await?;
        match invalid.is_empty() {
            true => Ok(None),
            false if transaction.body.0 == HL7_V3 => {
                Ok(Some(patients::refusal(transaction, &incoming.envelope.body, &invalid)))
            }
            false => refusal(transaction, &invalid).map(Some),
        }
    }

    async fn invalid(&self, transaction: &Transaction, incoming: &Incoming) -> Result<Vec<Invalid>, Fault> {
        let (Some(schemas), Some(source)) = (&self.settings.schemas, &incoming.source) else {
            return Ok(Vec::new());
        };
        let soap = incoming.envelope.version.namespace();
        let place = vec![(soap, "Envelope"), (soap, "Body"), transaction.body];
        // Whose fault it is that a message was not checked, is not known: it is not that of who sent it.
        let checked = schemas.check(source.clone(), place).await;
        checked.map_err(|unchecked| Fault::receiver(unchecked.to_string()))
    }
}

/// Refuses a message, as its transaction answers.
fn refusal(transaction: &Transaction, invalid: &[Invalid]) -> Result<Answer, Fault> {
    let (namespace, local) = transaction.body;
    let code = REFUSALS.iter().find(|(body, _)| *body == local).map(|(_, code)| *code);
    let Some(code) = code.filter(|_| ![WSNT, XCPD].contains(&namespace)) else {
        let first = invalid.first().map(|invalid| format!(": {} ({})", invalid.what, invalid.place));
        let reason = format!("the message is not valid by its schema{}", first.unwrap_or_default());
        return Err(Fault::sender(reason));
    };
    let error = |invalid: &Invalid| {
        let context = format!("not valid by the schema: {}", invalid.what);
        RegistryError::new(code, context).at(invalid.place.as_str())
    };
    let errors: Vec<RegistryError> = invalid.iter().map(error).collect();
    let is_retrieval = matches!(local, "RetrieveDocumentSetRequest" | "RetrieveImagingDocumentSetRequest");
    let body = match local {
        "AdhocQueryRequest" => stored_query::response(&[], false, &errors),
        _ if is_retrieval => retrieve_document_set::response(&[], errors),
        _ => RegistryResponse::of(errors).to_element(),
    };
    Ok(Answer {
        action: transaction.answer,
        body,
        parts: Vec::new(),
        is_multipart: is_retrieval || local == "ProvideAndRegisterDocumentSetRequest",
        transaction: transaction.name,
    })
}

#[cfg(test)]
mod tests {
    use super::super::transactions::of_door;
    use super::*;
    use crate::gateway::Door;
    use crate::wire::ebrs::Status;
    use crate::wire::hl7v3::acknowledgement::acknowledged;
    use crate::wire::hl7v3::element;

    #[test]
    fn every_transaction_refuses_as_it_answers() {
        let invalid = [Invalid { what: "no".to_owned(), place: "/x[1]".to_owned() }];
        for transaction in Door::ALL.iter().flat_map(|door| of_door(*door)) {
            if transaction.body.0 == HL7_V3 {
                let body = patients::refusal(transaction, &element(transaction.body.1), &invalid).body;
                let (how, texts) = acknowledged(&body).expect("an acknowledgement");
                assert!(!how.is_accept() && texts == ["not valid by the schema: no"], "{}", body.to_xml());
                continue;
            }
            match refusal(transaction, &invalid) {
                Ok(Answer { body, action, .. }) => {
                    assert_eq!(action, transaction.answer);
                    let xml = body.to_xml();
                    assert!(xml.contains(Status::Failure.urn()) && xml.contains("/x[1]"), "{xml}");
                }
                Err(fault) => {
                    assert!([WSNT, XCPD].contains(&transaction.body.0), "{}", transaction.name);
                    assert!(fault.reason.contains("no (/x[1])"), "{}", fault.reason);
                }
            }
        }
    }
}

//! ITI-18: the stored queries of the registry; and ITI-51, those about many
//! patients at once.
//!
//! Spec: ITI TF-2 3.18.4.1.2.3, 3.51.4.1.2.3

mod filter;
mod parameters;
mod queries;

pub(crate) use filter::holds;
pub(crate) use queries::perform;

use crate::wire::ebrim::{RegistryObject, write_object, write_object_ref};
use crate::wire::ebrs::{ErrorCode, RegistryError, Status, error_list};
use crate::wire::namespaces::{QUERY, RIM};
use crate::wire::xml::{Element, Fragment};

pub use parameters::Parameters;

/// How many patients an answer may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patients {
    /// One, where whole objects are answered: ITI-18.
    One,
    /// Many: ITI-51.
    Many,
}

/// The parameters that name patients.
pub(crate) const PATIENT_PARAMETERS: &[&str] =
    &["$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId"];

/// A query as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredQuery {
    /// Its id, `urn:uuid:...`.
    pub id: String,
    /// Whether whole objects are wanted, or references to them.
    pub leaf_class: bool,
    /// Its parameters.
    pub parameters: Parameters,
}

impl StoredQuery {
    /// Reads an `AdhocQueryRequest`.
    ///
    /// # Errors
    /// When it is no query of a kind that is known.
    pub fn of(request: &Element) -> Result<StoredQuery, RegistryError> {
        let query = request
            .child(RIM, "AdhocQuery")
            .ok_or_else(|| RegistryError::new(ErrorCode::Registry, "the request has no AdhocQuery"))?;
        let option = request.child(QUERY, "ResponseOption");
        let leaf_class = match option.and_then(|option| option.attribute("returnType")) {
            None | Some("ObjectRef") => false,
            Some("LeafClass") => true,
            Some(other) => {
                let other: String = other.chars().take(64).collect();
                let context = format!("`returnType` is ObjectRef or LeafClass, not `{other}`");
                return Err(RegistryError::new(ErrorCode::Registry, context).at("returnType"));
            }
        };
        let id = query.attribute("id").unwrap_or_default().to_owned();
        Ok(StoredQuery { id, leaf_class, parameters: Parameters::of(query)? })
    }

    /// Tells whether it says of which patient it asks.
    pub fn names_patient(&self) -> bool {
        PATIENT_PARAMETERS.iter().any(|name| self.parameters.has(name))
    }

    /// Returns the first patient that it names.
    pub fn patient(&self) -> Option<&str> {
        PATIENT_PARAMETERS.iter().find_map(|name| self.parameters.values(name).first().copied())
    }
}

/// How long objects and references to them are as XML, about.
const LEAF_BYTES: usize = 6 << 10;
const REF_BYTES: usize = 100;

/// Writes the answer to a query.
pub fn response(found: &[RegistryObject], leaf_class: bool, errors: &[RegistryError]) -> Element {
    let status = Status::of(errors, !found.is_empty());
    let bytes_each = if leaf_class { LEAF_BYTES } else { REF_BYTES };
    let mut objects = Fragment::new(RIM, found.len() * bytes_each);
    for object in found {
        match leaf_class {
            true => write_object(object, &mut objects),
            false => write_object_ref(&object.id, object.home.as_deref(), &mut objects),
        }
    }
    Element::new(QUERY, "AdhocQueryResponse")
        .with_attribute("status", status.urn())
        .with_children(error_list(errors))
        .with_child(Element::new(RIM, "RegistryObjectList").with_fragment(objects))
}

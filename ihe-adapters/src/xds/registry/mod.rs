//! The document registry: what is registered, seen through FHIR.
//!
//! - [`register_document_set`] is ITI-42.
//! - [`stored_query`] is ITI-18.

pub mod register_document_set;
pub mod stored_query;

use std::collections::HashSet;

use fhir_model::outcome::{Issue, IssueType, Severity};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::fhir::{
    FOLDER, LIST_TYPES, SUBMISSION_SET, memberships, registered_document, registered_package, relationships,
    resource_id, unique_id_token,
};
use super::values::Cx;
use crate::fhir_client::Fhir;
use crate::wire::ebrim::RegistryObject;
use crate::wire::ebrs::{ErrorCode, RegistryError};

/// How many objects one question may concern.
const OBJECTS_MAX: usize = 10_000;

/// An object that is registered, and the resource that it is.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) object: RegistryObject,
    /// The associations whose source it is.
    pub(crate) associations: Vec<RegistryObject>,
    pub(crate) resource: Resource,
}

/// The registry, as one caller sees it.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub(crate) fhir: Fhir<'a>,
}

impl Registry<'_> {
    /// Finds a patient of the affinity domain: `Patient/[id]`.
    pub(crate) async fn patient(&self, cx: &Cx) -> Result<Option<String>, Issue> {
        let token = format!("{}|{}", cx.system(), cx.id);
        let found = self.fhir.search(ty::PATIENT, &[("identifier", &token)], OBJECTS_MAX).await?;
        Ok(found.first().and_then(|patient| Some(format!("Patient/{}", patient.id()?))))
    }

    /// Returns the documents of a patient.
    pub(crate) async fn documents_of(&self, patient: &str, cx: &str) -> Result<Vec<Registered>, Issue> {
        let found = self.fhir.search(ty::DOCUMENT_REFERENCE, &[("patient", patient)], OBJECTS_MAX).await?;
        Ok(found.into_iter().filter_map(|resource| registered(resource, Some(cx))).collect())
    }

    /// Returns the submission sets or folders of a patient.
    pub(crate) async fn packages_of(
        &self,
        patient: &str,
        cx: &str,
        code: &str,
    ) -> Result<Vec<Registered>, Issue> {
        let code = format!("{LIST_TYPES}|{code}");
        let parameters = [("patient", patient), ("code", code.as_str())];
        let found = self.fhir.search(ty::LIST, &parameters, OBJECTS_MAX).await?;
        Ok(found.into_iter().filter_map(|resource| registered(resource, Some(cx))).collect())
    }

    /// Returns the object of a UUID, of the types given.
    pub(crate) async fn by_uuid(&self, uuid: &str, of: &[TypeId]) -> Result<Option<Registered>, Issue> {
        let Some(id) = resource_id(uuid) else { return Ok(None) };
        for of in of {
            if let Some(found) = self.fhir.read(*of, id).await?.and_then(|r| registered(r, None)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns the objects of a unique id.
    pub(crate) async fn by_unique_id(
        &self,
        unique_id: &str,
        of: &[TypeId],
    ) -> Result<Vec<Registered>, Issue> {
        let token = unique_id_token(unique_id);
        let mut all = Vec::new();
        for of in of {
            let found = self.fhir.search(*of, &[("identifier", &token)], OBJECTS_MAX).await?;
            all.extend(found.into_iter().filter_map(|resource| registered(resource, None)));
        }
        Ok(all)
    }

    /// Returns the submission sets and folders that an object is a member of.
    pub(crate) async fn packages_with(&self, member: &Registered) -> Result<Vec<Registered>, Issue> {
        let reference = literal(&member.resource);
        let found = self.fhir.search(ty::LIST, &[("item", &reference)], OBJECTS_MAX).await?;
        Ok(found.into_iter().filter_map(|resource| registered(resource, None)).collect())
    }

    /// Returns the documents with a relationship to a document.
    pub(crate) async fn documents_related_to(&self, target: &Registered) -> Result<Vec<Registered>, Issue> {
        if target.resource.resource_type() != ty::DOCUMENT_REFERENCE {
            return Ok(Vec::new());
        }
        let reference = literal(&target.resource);
        let found =
            self.fhir.search(ty::DOCUMENT_REFERENCE, &[("relatesto", &reference)], OBJECTS_MAX).await?;
        Ok(found.into_iter().filter_map(|resource| registered(resource, None)).collect())
    }

    /// Returns the associations that an object is an end of, each once.
    pub(crate) async fn associations_of(&self, of: &Registered) -> Result<Vec<RegistryObject>, Issue> {
        let mut all = of.associations.clone();
        let mut others = self.packages_with(of).await?;
        others.extend(self.documents_related_to(of).await?);
        for other in others {
            let ends_here = |a: &RegistryObject| a.ends.as_ref().is_some_and(|e| e.target == of.object.id);
            all.extend(other.associations.into_iter().filter(ends_here));
        }
        let mut seen = HashSet::new();
        all.retain(|association| seen.insert(association.id.clone()));
        Ok(all)
    }
}

/// Returns `Type/[id]`.
fn literal(resource: &Resource) -> String {
    format!("{}/{}", resource.resource_type(), resource.id().unwrap_or_default())
}

/// Sees a resource as the object that it is; `None` when it is none, or was
/// entered in error.
fn registered(resource: Resource, patient: Option<&str>) -> Option<Registered> {
    if resource.root().text_of(name::STATUS) == Some("entered-in-error") {
        return None;
    }
    let (mut object, associations) = match resource.resource_type() {
        ty::DOCUMENT_REFERENCE => (registered_document(&resource, patient), relationships(&resource)),
        ty::LIST => (registered_package(&resource, patient)?, memberships(&resource)),
        _ => return None,
    };
    // Each object has a version; who only registers does not name it.
    object.version.get_or_insert_with(|| "1".to_owned());
    Some(Registered { object, associations, resource })
}

/// Returns the code of the List that a kind of package is.
pub(crate) fn list_code(is_folder: bool) -> &'static str {
    if is_folder { FOLDER } else { SUBMISSION_SET }
}

/// Says what a failure of the server is, in the codes of IHE.
pub(crate) fn failure(issue: &Issue, failed: ErrorCode) -> RegistryError {
    let code = match issue.code {
        IssueType::TooCostly => ErrorCode::TooManyResults,
        IssueType::Transient | IssueType::Throttled | IssueType::Timeout => match failed {
            ErrorCode::Repository => ErrorCode::RepositoryBusy,
            _ => ErrorCode::RegistryBusy,
        },
        IssueType::NoStore => match failed {
            ErrorCode::Repository => ErrorCode::RepositoryOutOfResources,
            _ => ErrorCode::RegistryOutOfResources,
        },
        _ => failed,
    };
    let text = match issue.severity {
        Severity::Fatal => "an unexpected error; nothing was stored",
        _ => &issue.diagnostics,
    };
    RegistryError::new(code, text)
}

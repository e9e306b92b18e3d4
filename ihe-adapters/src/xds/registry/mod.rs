//! The document registry: what is registered, seen through FHIR.
//!
//! - [`register_document_set`] is ITI-42; [`register_resources`] is the same for what
//!   came as FHIR.
//! - [`stored_query`] is ITI-18 and ITI-51.
//! - [`update_document_set`] is ITI-57.
//! - [`remove_metadata`] is ITI-62.

mod known_patients;
mod patients;
mod plan;
pub mod register_document_set;
pub mod register_resources;
pub mod remove_metadata;
pub mod stored_query;
pub mod update_document_set;
mod write;

use std::collections::HashMap;

use fhir_model::interaction::ResourceKey;
use fhir_model::json::write::write_element;
use fhir_model::outcome::{Issue, IssueType, Severity};
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Element;
use serde_json::Value;

use super::check::patient_id;
use super::code_lists::CodeLists;
use super::fhir::{
    ASSOCIATION_BASES, ASSOCIATION_PARAMETER, FOLDER, LIST_TYPES, SUBMISSION_SET, logical_id_token,
    memberships, registered_document, registered_package, relationships, resource_id, unique_id_token,
};
use super::submission::Submission;
use super::vocabulary::{APPROVED, LIMITED_METADATA, document_entry};
use crate::atna::Recording;
use crate::fhir_client::{Fhir, Found, code_token};
use crate::wire::ebrim::{ExternalIdentifier, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};

pub(crate) use known_patients::KnownPatients;

/// The types of resources that registered objects are.
pub(crate) const OBJECTS: &[TypeId] = &[ty::DOCUMENT_REFERENCE, ty::LIST];
/// How many objects one question may concern.
const OBJECTS_MAX: usize = 10_000;

/// An object that is registered, and the resource that it is.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) object: RegistryObject,
    /// The associations whose source it is.
    pub(crate) associations: Vec<RegistryObject>,
    pub(crate) resource: Found,
}

/// The registry, as one caller sees it.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub(crate) fhir: Fhir<'a>,
    /// The OID of the repository that has the Binaries of this server.
    pub(crate) repository_unique_id: &'a str,
    /// The OID of who assigns the identifiers of patients, if there is but one.
    pub(crate) affinity_domain: Option<&'a str>,
    /// The codes that are allowed; `None` for all.
    pub(crate) code_lists: Option<&'a CodeLists>,
    /// What is recorded of a change, with the change.
    pub(crate) recording: Option<&'a Recording<'a>>,
    /// Where the patients of the message are.
    pub(crate) known_patients: Option<&'a KnownPatients>,
}

impl Registry<'_> {
    /// Tells which codes of a submission are not allowed.
    fn unlisted_codes(&self, submission: &Submission) -> Vec<RegistryError> {
        self.code_lists.map(|lists| lists.check(submission)).unwrap_or_default()
    }

    /// Returns the documents of a patient, in the order in which they came.
    pub(crate) async fn documents_of(&self, patient: &str, cx: &str) -> Result<Vec<Registered>, Issue> {
        self.of_patient(ty::DOCUMENT_REFERENCE, patient, &[], cx).await
    }

    /// Returns the submission sets or folders of a patient, in the order in which they came.
    pub(crate) async fn packages_of(
        &self,
        patient: &str,
        cx: &str,
        code: &str,
    ) -> Result<Vec<Registered>, Issue> {
        let code = format!("{LIST_TYPES}|{code}");
        self.of_patient(ty::LIST, patient, &[("code", &code)], cx).await
    }

    async fn of_patient(
        &self,
        of: TypeId,
        patient: &str,
        more: &[(&str, &str)],
        cx: &str,
    ) -> Result<Vec<Registered>, Issue> {
        let parameters = [&[("patient", patient)], more].concat();
        let found = self.fhir.search(of, &parameters, OBJECTS_MAX).await?;
        let registered = |resource| {
            let mut registered = self.registered(resource, Some(cx))?;
            patients::take_over(&mut registered.object, registered.resource.root(), patient, cx);
            Some(registered)
        };
        // A search begins with the last.
        Ok(found.into_iter().rev().filter_map(registered).collect())
    }

    /// Returns the objects that a search finds, whoever they are of.
    async fn search(&self, of: TypeId, parameter: &str, value: &str) -> Result<Vec<Registered>, Issue> {
        let found = self.fhir.search(of, &[(parameter, value)], OBJECTS_MAX).await?;
        let found = found.into_iter().filter_map(|resource| self.registered(resource, None));
        self.with_patients(found.collect()).await
    }

    /// Returns the documents of all patients that have one of these codes.
    pub(crate) async fn documents_with(
        &self,
        parameter: &str,
        codes: &str,
    ) -> Result<Vec<Registered>, Issue> {
        self.search(ty::DOCUMENT_REFERENCE, parameter, codes).await
    }

    /// Returns the folders of all patients.
    pub(crate) async fn folders(&self) -> Result<Vec<Registered>, Issue> {
        let code = format!("{LIST_TYPES}|{FOLDER}");
        self.search(ty::LIST, "code", &code).await
    }

    /// Returns the object of a UUID, of the types given.
    pub(crate) async fn by_uuid(&self, uuid: &str, of: &[TypeId]) -> Result<Option<Registered>, Issue> {
        let Some(id) = resource_id(uuid) else { return Ok(None) };
        for of in of {
            if let Some(found) = self.fhir.read(*of, id).await?.and_then(|r| self.registered(r.into(), None))
            {
                return Ok(self.with_patients(vec![found]).await?.pop());
            }
        }
        Ok(None)
    }

    /// Sees a resource as the object that it is; `None` when it is none, or was
    /// entered in error. A document that came by FHIR has a unique id and a
    /// repository as well, so that it can be retrieved by both; and who does not
    /// say how he knows the patient knows him as everybody does.
    pub(crate) fn registered(&self, resource: Found, patient: Option<&str>) -> Option<Registered> {
        let mut registered = registered(resource, patient)?;
        if registered.object.kind != ObjectKind::ExtrinsicObject {
            return Some(registered);
        }
        let object = &mut registered.object;
        if object.identifier(document_entry::UNIQUE_ID).is_none()
            && let Some(unique_id) = unique_id_of_uuid(&object.id)
        {
            object.external_identifiers.push(ExternalIdentifier {
                scheme: document_entry::UNIQUE_ID.to_owned(),
                value: unique_id,
                ..ExternalIdentifier::default()
            });
        }
        if object.slot("repositoryUniqueId").is_empty() && binary_of(&registered.resource).is_some() {
            let here = vec![self.repository_unique_id.to_owned()];
            object.set_slot("repositoryUniqueId", here);
        }
        let is_limited = LIMITED_METADATA.iter().any(|node| object.is_of_node(node));
        if object.slot("sourcePatientId").is_empty()
            && !is_limited
            && let Some(patient) = patient_id(object).map(str::to_owned)
        {
            object.set_slot("sourcePatientId", vec![patient]);
        }
        Some(registered)
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
            all.extend(self.search(*of, "identifier", &token).await?);
        }
        // One that FHIR gave: of a document without a unique id of its own.
        let uuid = uuid_of_unique_id(unique_id).filter(|_| all.is_empty());
        if let Some(uuid) = uuid.filter(|_| of.contains(&ty::DOCUMENT_REFERENCE)) {
            let found = self.by_uuid(&uuid, &[ty::DOCUMENT_REFERENCE]).await?;
            let is_it = |r: &Registered| r.object.identifier(document_entry::UNIQUE_ID) == Some(unique_id);
            all.extend(found.filter(is_it));
        }
        Ok(all)
    }

    /// Returns the versions of a document or folder.
    pub(crate) async fn by_logical_id(&self, logical_id: &str) -> Result<Vec<Registered>, Issue> {
        let token = logical_id_token(logical_id);
        let mut all: Vec<Registered> = Vec::new();
        for of in OBJECTS {
            all.extend(self.search(*of, "identifier", &token).await?);
        }
        all.retain(|registered| registered.object.logical_id.as_deref() == Some(logical_id));
        // What came by FHIR need not have an identifier.
        if all.is_empty() {
            all.extend(self.by_uuid(logical_id, OBJECTS).await?);
        }
        Ok(all)
    }

    /// Returns the submission sets and folders that an object is a member of.
    pub(crate) async fn packages_with(&self, member: &Registered) -> Result<Vec<Registered>, Issue> {
        self.search(ty::LIST, "item", &literal(&member.resource)).await
    }

    /// Returns the documents with a relationship to a document.
    pub(crate) async fn documents_related_to(&self, target: &Registered) -> Result<Vec<Registered>, Issue> {
        if target.resource.resource_type() != ty::DOCUMENT_REFERENCE {
            return Ok(Vec::new());
        }
        self.search(ty::DOCUMENT_REFERENCE, "relatesto", &literal(&target.resource)).await
    }

    /// Returns the objects that are the sources of associations which end at an object.
    pub(crate) async fn sources_of_associations_to(
        &self,
        target: &Registered,
    ) -> Result<Vec<Registered>, Issue> {
        let mut sources = self.packages_with(target).await?;
        sources.extend(self.documents_related_to(target).await?);
        Ok(sources)
    }

    /// Returns the associations that an object is an end of.
    pub(crate) async fn associations_of(&self, of: &Registered) -> Result<Vec<RegistryObject>, Issue> {
        let mut all = of.associations.clone();
        for other in self.sources_of_associations_to(of).await? {
            all.extend(other.associations.into_iter().filter(|a| ends_at(a, &of.object.id)));
        }
        Ok(all)
    }

    /// Returns the objects in which the association of an id stands, or that
    /// have it as a member.
    pub(crate) async fn with_association(&self, id: &str) -> Result<Vec<Registered>, Issue> {
        let mut all = Vec::new();
        for of in ASSOCIATION_BASES {
            all.extend(self.search(*of, ASSOCIATION_PARAMETER, &code_token(id)).await?);
        }
        Ok(all)
    }
}

/// Tells whether an object is in use.
pub(crate) fn is_approved(object: &RegistryObject) -> bool {
    object.status.as_deref() == Some(APPROVED)
}

/// Tells whether an association ends at an object.
pub(crate) fn ends_at(association: &RegistryObject, id: &str) -> bool {
    association.ends.as_ref().is_some_and(|ends| ends.target == id)
}

/// Returns the number of a version.
pub(crate) fn version_of(object: &RegistryObject) -> u32 {
    object.version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(1)
}

/// Keeps the last version of each document and folder.
pub(crate) fn last_versions(all: &mut Vec<Registered>) {
    let mut last: HashMap<String, u32> = HashMap::new();
    let logical_id = |object: &RegistryObject| object.logical_id.clone().unwrap_or_else(|| object.id.clone());
    for registered in &*all {
        let version = version_of(&registered.object);
        let known = last.entry(logical_id(&registered.object)).or_insert(version);
        *known = version.max(*known);
    }
    all.retain(|r| last.get(&logical_id(&r.object)) == Some(&version_of(&r.object)));
}

/// Returns a stored resource as JSON, to be changed.
///
/// # Errors
/// When it is none that can be.
pub(crate) fn json_of_resource(root: Element<'_>) -> Result<Value, Issue> {
    let unreadable = |_| Issue::fatal(IssueType::Exception).text("a stored resource cannot be changed");
    let mut bytes = Vec::new();
    write_element(root, &mut bytes);
    serde_json::from_slice(&bytes).map_err(unreadable)
}

/// Returns `Type/[id]`.
fn literal(resource: &Found) -> String {
    format!("{}/{}", resource.resource_type(), resource.id().unwrap_or_default())
}

/// Sees a resource as the object that it says it is.
fn registered(resource: Found, patient: Option<&str>) -> Option<Registered> {
    let root = resource.root();
    if root.text_of(name::STATUS) == Some("entered-in-error") {
        return None;
    }
    let (mut object, associations) = match resource.resource_type() {
        ty::DOCUMENT_REFERENCE => (registered_document(root, patient), relationships(root)),
        ty::LIST => (registered_package(root, patient)?, memberships(root)),
        _ => return None,
    };
    // Each object has a version; who only registers does not name it.
    object.version.get_or_insert_with(|| "1".to_owned());
    Some(Registered { object, associations, resource })
}

/// Returns the unique id of a document that came without one: its UUID as an
/// OID, by ITU-T X.667.
pub(crate) fn unique_id_of_uuid(uuid: &str) -> Option<String> {
    let uuid: uuid::Uuid = resource_id(uuid)?.parse().ok()?;
    Some(format!("2.25.{}", uuid.as_u128()))
}

fn uuid_of_unique_id(unique_id: &str) -> Option<String> {
    let number = unique_id.strip_prefix("2.25.")?.parse().ok()?;
    Some(format!("urn:uuid:{}", uuid::Uuid::from_u128(number)))
}

/// Returns the Binary that a document is in, if it is in one of this server.
pub(crate) fn binary_of(document: &Found) -> Option<ResourceKey> {
    let content = document.root().child(name::CONTENT)?;
    let url = content.child(name::ATTACHMENT)?.text_of(name::URL)?;
    Literal::parse(url).map(|literal| literal.key).filter(|key| key.resource_type == ty::BINARY)
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

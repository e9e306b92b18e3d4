//! The stored queries themselves: which objects each begins with, and what it
//! answers with them.
//!
//! Spec: ITI TF-2 3.18.4.1.2.3.7

use std::collections::HashSet;

use fhir_model::outcome::Issue;
use fhir_model::schema::{TypeId, ty};

use super::super::{OBJECTS, Registered, Registry, failure, last_versions, list_code};
use super::filter::{has_code, holds};
use super::parameters::{Parameters, missing};
use super::{Patients, StoredQuery};
use crate::fhir_client::code_token;
use crate::wire::ebrim::{ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::attributes::Of;
use crate::xds::check::patient_id;
use crate::xds::values::Cx;
use crate::xds::vocabulary::{APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, SUBMISSION_SET_NODE};

/// What a query found, or all that is wrong with it.
pub(crate) type Found = Result<Vec<RegistryObject>, Vec<RegistryError>>;

/// Why a query has no answer.
enum Failure {
    Query(RegistryError),
    Server(Issue),
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Failure {
        Failure::Query(error)
    }
}

impl From<Issue> for Failure {
    fn from(issue: Issue) -> Failure {
        Failure::Server(issue)
    }
}

type Objects = Result<Vec<RegistryObject>, Failure>;

const DOCUMENTS: &[TypeId] = &[ty::DOCUMENT_REFERENCE];
const LISTS: &[TypeId] = &[ty::LIST];

/// Performs a query.
pub(crate) async fn perform(registry: &Registry<'_>, query: &StoredQuery, patients: Patients) -> Found {
    let asked = Asked { registry, parameters: &query.parameters };
    let id = query.id.trim_start_matches("urn:uuid:");
    let found = match patients {
        Patients::One => asked.about_one(id).await,
        Patients::Many => match id {
            "3d1bdb10-39a2-11de-89c2-2f44d94eaa9f" => asked.find_documents_of_many().await,
            "50d3f5ac-39a2-11de-a1ca-b366239e58df" => asked.find_folders_of_many().await,
            other => Err(unknown(other)),
        },
    };
    let mut found = found.map_err(|failed| match failed {
        Failure::Query(error) => vec![error],
        Failure::Server(issue) => vec![failure(&issue, ErrorCode::Registry)],
    })?;
    let mut seen = HashSet::new();
    found.retain(|object| seen.insert(object.id.clone()));
    if query.leaf_class && patients == Patients::One {
        let patients: HashSet<&str> = found.iter().filter_map(patient_id).collect();
        if patients.len() > 1 {
            let context = "the objects found are of several patients; ask for references to them";
            return Err(vec![RegistryError::new(ErrorCode::ResultNotSinglePatient, context)]);
        }
    }
    Ok(found)
}

fn unknown(query: &str) -> Failure {
    let query: String = query.chars().take(100).collect();
    RegistryError::new(ErrorCode::UnknownStoredQuery, format!("no query `{query}`")).into()
}

/// Tells whether one of the statuses asked for is one that there is.
fn has_known_status(values: &[&str]) -> bool {
    values.iter().any(|status| [APPROVED, DEPRECATED].contains(status))
}

struct Asked<'a> {
    registry: &'a Registry<'a>,
    parameters: &'a Parameters,
}

impl Asked<'_> {
    /// Performs one of the queries of ITI-18.
    async fn about_one(&self, query: &str) -> Objects {
        match query {
            "14d4debf-8f97-4251-9a74-a90016b0af0d" => self.find_documents().await,
            "12941a89-e02e-4be5-967c-ce4bfc8fe492" => self.find_documents_by_reference_id().await,
            "f26abbcb-ac74-4422-8a30-edb644bbc1a9" => self.find_packages(false).await,
            "958f3006-baad-4929-a4de-ff1114824431" => self.find_packages(true).await,
            "10b545ea-725c-446d-9b95-8aeb444eddf3" => self.get_all().await,
            "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4" => self.get_documents().await,
            "5737b14c-8a1a-4539-b659-e03a34a5e1e4" => self.get_folders().await,
            "a7ae438b-4bc2-4642-93e9-be891f7bb155" => self.get_associations().await,
            "bab9529a-4a10-40b3-a01f-f68a615d247a" => self.get_documents_and_associations().await,
            "51224314-5390-4169-9b91-b1980040715a" => self.get_submission_sets().await,
            "e8e3cb2c-e39c-46b9-99e4-c12f57260b83" => self.get_package_and_contents(false).await,
            "b909a503-523d-4517-8acf-8e5834dfc4c7" => self.get_package_and_contents(true).await,
            "10cae35a-c7f9-4cf5-b61e-fc3278ffb578" => self.get_folders_for_document().await,
            "d90e5407-b356-4d91-a89f-873917b4b0e6" => self.get_related_documents().await,
            other => Err(unknown(other)),
        }
    }

    /// Returns the patients that are asked for, where they are on this server;
    /// `None` when nobody is named.
    async fn patients(&self, name: &str) -> Result<Option<Vec<(String, String)>>, Failure> {
        let values = self.parameters.values(name);
        if values.is_empty() {
            return Ok(None);
        }
        let mut known = Vec::new();
        for value in values {
            let (cx, place) = self.patient_of(name, value).await?;
            known.extend(place.map(|place| (cx, place)));
        }
        Ok(Some(known))
    }

    async fn find_documents_of_many(&self) -> Objects {
        /// What narrows the question where nobody is named, and how FHIR asks for it.
        const CODES: [(&str, &str); 3] = [
            ("$XDSDocumentEntryClassCode", "category"),
            ("$XDSDocumentEntryEventCodeList", "event"),
            ("$XDSDocumentEntryHealthcareFacilityTypeCode", "facility"),
        ];
        self.status("$XDSDocumentEntryStatus")?;
        let mut all = Vec::new();
        match self.patients("$XDSDocumentEntryPatientId").await? {
            Some(patients) => {
                for (cx, place) in patients {
                    all.extend(self.registry.documents_of(&place, &cx).await?);
                }
            }
            None => {
                let given = CODES.iter().find(|(name, _)| self.parameters.has(name));
                let (name, search) = given.ok_or_else(|| missing("$XDSDocumentEntryPatientId"))?;
                let codes = self.parameters.values(name);
                let codes = codes.iter().map(|code| code.split('^').next().unwrap_or_default());
                let codes: Vec<String> = codes.map(code_token).collect();
                all = self.registry.documents_with(search, &codes.join(",")).await?;
            }
        }
        Ok(self.matching(all, Of::DocumentEntry))
    }

    async fn find_folders_of_many(&self) -> Objects {
        self.status("$XDSFolderStatus")?;
        let mut all = Vec::new();
        match self.patients("$XDSFolderPatientId").await? {
            Some(patients) => {
                for (cx, place) in patients {
                    all.extend(self.registry.packages_of(&place, &cx, list_code(true)).await?);
                }
            }
            None if self.parameters.has("$XDSFolderCodeList") => {
                all = self.registry.folders().await?;
            }
            None => return Err(missing("$XDSFolderCodeList").into()),
        }
        Ok(self.matching(all, Of::Folder))
    }

    /// Tells whether who asks knows of versions: `$MetadataLevel` 2.
    fn knows_versions(&self) -> bool {
        self.parameters.values("$MetadataLevel").contains(&"2")
    }

    /// Leaves the last version of each object to who does not know of versions.
    fn versions(&self, mut all: Vec<Registered>) -> Vec<Registered> {
        if !self.knows_versions() {
            last_versions(&mut all);
        }
        all
    }

    /// Leaves the objects that have all that is asked of their sort.
    fn matching(&self, found: Vec<Registered>, of: Of) -> Vec<RegistryObject> {
        let objects = self.versions(found).into_iter().map(|registered| registered.object);
        objects.filter(|object| holds(object, of, self.parameters)).collect()
    }

    /// Tells whether an association is of a status that is asked for; without
    /// a word, whether it holds.
    fn is_of_status(&self, association: &RegistryObject) -> bool {
        let asked = self.parameters.values("$XDSAssociationStatus");
        let status = association.status.as_deref().unwrap_or(APPROVED);
        if self.knows_versions() && !asked.is_empty() { asked.contains(&status) } else { status == APPROVED }
    }

    /// Returns the associations that an object is an end of.
    async fn associations_of(&self, object: &Registered) -> Result<Vec<RegistryObject>, Failure> {
        let mut all = self.registry.associations_of(object).await?;
        all.retain(|association| self.is_of_status(association));
        Ok(all)
    }

    /// Returns the patient that is asked for, and where he is on this server.
    async fn patient(&self, name: &str) -> Result<(String, Option<String>), Failure> {
        self.patient_of(name, self.parameters.required(name)?).await
    }

    async fn patient_of(&self, name: &str, given: &str) -> Result<(String, Option<String>), Failure> {
        let cx = Cx::parse(given).ok_or_else(|| {
            let context = format!("`{given}` is no identifier of the form `id^^^&oid&ISO`");
            RegistryError::new(ErrorCode::Registry, context).at(name)
        })?;
        let place = self.registry.patient(&cx).await?;
        Ok((cx.to_string(), place))
    }

    /// Checks that a status is asked for: others than those known say nothing.
    fn status(&self, name: &str) -> Result<(), Failure> {
        if has_known_status(&self.parameters.values(name)) { Ok(()) } else { Err(missing(name).into()) }
    }

    async fn find_documents(&self) -> Objects {
        self.status("$XDSDocumentEntryStatus")?;
        let (cx, place) = self.patient("$XDSDocumentEntryPatientId").await?;
        let Some(place) = place else { return Ok(Vec::new()) };
        let documents = self.registry.documents_of(&place, &cx).await?;
        Ok(self.matching(documents, Of::DocumentEntry))
    }

    async fn find_documents_by_reference_id(&self) -> Objects {
        let name = "$XDSDocumentEntryReferenceIdList";
        if !self.parameters.has(name) {
            return Err(missing(name).into());
        }
        self.find_documents().await
    }

    async fn find_packages(&self, is_folder: bool) -> Objects {
        let (patient, status, of) = match is_folder {
            true => ("$XDSFolderPatientId", "$XDSFolderStatus", Of::Folder),
            false => ("$XDSSubmissionSetPatientId", "$XDSSubmissionSetStatus", Of::SubmissionSet),
        };
        self.status(status)?;
        let (cx, place) = self.patient(patient).await?;
        let Some(place) = place else { return Ok(Vec::new()) };
        let packages = self.registry.packages_of(&place, &cx, list_code(is_folder)).await?;
        Ok(self.matching(packages, of))
    }

    async fn get_all(&self) -> Objects {
        for name in ["$XDSDocumentEntryStatus", "$XDSSubmissionSetStatus", "$XDSFolderStatus"] {
            self.status(name)?;
        }
        let (cx, place) = self.patient("$patientId").await?;
        let Some(place) = place else { return Ok(Vec::new()) };
        let mut all = self.versions(self.registry.documents_of(&place, &cx).await?);
        all.retain(|document| holds(&document.object, Of::DocumentEntry, self.parameters));
        for (is_folder, of) in [(false, Of::SubmissionSet), (true, Of::Folder)] {
            let packages = self.registry.packages_of(&place, &cx, list_code(is_folder)).await?;
            let packages = self.versions(packages);
            all.extend(packages.into_iter().filter(|package| holds(&package.object, of, self.parameters)));
        }
        let associations = all.iter().flat_map(|registered| registered.associations.clone());
        let associations: Vec<RegistryObject> = associations.filter(|a| self.is_of_status(a)).collect();
        let mut objects: Vec<RegistryObject> = all.into_iter().map(|registered| registered.object).collect();
        objects.extend(between(&objects, associations));
        Ok(objects)
    }

    /// Returns the objects that are named by UUID, or by unique id.
    async fn named(&self, uuid: &str, unique_id: &str, of: &[TypeId]) -> Result<Vec<Registered>, Failure> {
        let (uuids, unique_ids) = (self.parameters.values(uuid), self.parameters.values(unique_id));
        if uuids.is_empty() == unique_ids.is_empty() {
            let code = match uuids.is_empty() {
                true => ErrorCode::StoredQueryMissingParam,
                false => ErrorCode::StoredQueryParamNumber,
            };
            return Err(RegistryError::new(code, format!("give either {uuid} or {unique_id}"))
                .at(uuid)
                .into());
        }
        let mut found = Vec::new();
        for uuid in uuids {
            found.extend(self.registry.by_uuid(uuid, of).await?);
        }
        for unique_id in unique_ids {
            found.extend(self.versions(self.registry.by_unique_id(unique_id, of).await?));
        }
        Ok(found)
    }

    async fn named_documents(&self) -> Result<Vec<Registered>, Failure> {
        self.named("$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId", DOCUMENTS).await
    }

    async fn get_documents(&self) -> Objects {
        if let Some(found) =
            self.by_logical_id("$XDSDocumentEntryLogicalID", ObjectKind::ExtrinsicObject).await?
        {
            return Ok(found);
        }
        Ok(self.named_documents().await?.into_iter().map(|document| document.object).collect())
    }

    /// Returns the versions of the objects that a parameter names, if it is given.
    async fn by_logical_id(
        &self,
        name: &str,
        kind: ObjectKind,
    ) -> Result<Option<Vec<RegistryObject>>, Failure> {
        let ids = self.parameters.values(name);
        let mut found = Vec::new();
        for id in &ids {
            found.extend(self.versions(self.registry.by_logical_id(id).await?));
        }
        let objects = found.into_iter().map(|registered| registered.object);
        Ok((!ids.is_empty()).then(|| objects.filter(|object| object.kind == kind).collect()))
    }

    async fn get_folders(&self) -> Objects {
        if let Some(found) = self.by_logical_id("$XDSFolderLogicalID", ObjectKind::RegistryPackage).await? {
            return Ok(found);
        }
        let mut found = self.named("$XDSFolderEntryUUID", "$XDSFolderUniqueId", LISTS).await?;
        found.retain(|package| package.object.is_of_node(FOLDER_NODE));
        Ok(found.into_iter().map(|package| package.object).collect())
    }

    /// Returns what `$uuid` names.
    async fn of_uuid(&self) -> Result<Vec<Registered>, Failure> {
        let uuids = self.parameters.values("$uuid");
        if uuids.is_empty() {
            return Err(missing("$uuid").into());
        }
        let mut found = Vec::new();
        for uuid in uuids {
            found.extend(self.registry.by_uuid(uuid, OBJECTS).await?);
        }
        Ok(found)
    }

    async fn get_associations(&self) -> Objects {
        let mut all = Vec::new();
        for object in self.of_uuid().await? {
            all.extend(self.associations_of(&object).await?);
        }
        Ok(all)
    }

    async fn get_documents_and_associations(&self) -> Objects {
        let mut all = Vec::new();
        for document in self.named_documents().await? {
            all.extend(self.associations_of(&document).await?);
            all.insert(0, document.object);
        }
        Ok(all)
    }

    async fn get_submission_sets(&self) -> Objects {
        let mut all = Vec::new();
        for object in self.of_uuid().await? {
            for package in self.registry.packages_with(&object).await? {
                if !package.object.is_of_node(SUBMISSION_SET_NODE) {
                    continue;
                }
                let ends_there =
                    |a: &RegistryObject| a.ends.as_ref().is_some_and(|e| e.target == object.object.id);
                all.extend(package.associations.into_iter().filter(ends_there));
                all.push(package.object);
            }
        }
        Ok(all)
    }

    async fn get_package_and_contents(&self, is_folder: bool) -> Objects {
        let (uuid, unique_id) = match is_folder {
            true => ("$XDSFolderEntryUUID", "$XDSFolderUniqueId"),
            false => ("$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId"),
        };
        self.parameters.single(uuid)?;
        self.parameters.single(unique_id)?;
        let mut all = Vec::new();
        for package in self.named(uuid, unique_id, LISTS).await? {
            if package.object.is_of_node(FOLDER_NODE) != is_folder {
                continue;
            }
            let of_status = |a: &&RegistryObject| self.is_of_status(a);
            let mut associations: Vec<RegistryObject> =
                package.associations.iter().filter(of_status).cloned().collect();
            let mut objects = vec![package.object.clone()];
            for association in associations.clone() {
                let Some(ends) = &association.ends else { continue };
                let Some(member) = self.registry.by_uuid(&ends.target, OBJECTS).await? else { continue };
                let is_document = member.object.kind == ObjectKind::ExtrinsicObject;
                if is_document && !self.is_wanted(&member.object) {
                    continue;
                }
                if !is_document {
                    associations.extend(member.associations.iter().filter(of_status).cloned());
                }
                objects.push(member.object);
            }
            objects.extend(between(&objects, associations));
            all.extend(objects);
        }
        Ok(all)
    }

    /// Tells whether a document of a package is of the formats, confidentiality
    /// and types that are asked for.
    fn is_wanted(&self, document: &RegistryObject) -> bool {
        let codes = [
            ("$XDSDocumentEntryFormatCode", "formatCode"),
            ("$XDSDocumentEntryConfidentialityCode", "confidentialityCode"),
        ];
        let has_codes = codes.iter().all(|(name, attribute)| {
            self.parameters.lists(name).all(|values| has_code(document, Of::DocumentEntry, attribute, values))
        });
        let asked = self.parameters.values("$XDSDocumentEntryType");
        let object_type = document.object_type.as_deref();
        has_codes && (asked.is_empty() || object_type.is_some_and(|of| asked.contains(&of)))
    }

    async fn get_folders_for_document(&self) -> Objects {
        self.parameters.single("$XDSDocumentEntryEntryUUID")?;
        self.parameters.single("$XDSDocumentEntryUniqueId")?;
        let mut all = Vec::new();
        for document in self.named_documents().await? {
            let packages = self.registry.packages_with(&document).await?;
            let folders = packages.into_iter().filter(|package| package.object.is_of_node(FOLDER_NODE));
            all.extend(folders.map(|folder| folder.object));
        }
        Ok(all)
    }

    async fn get_related_documents(&self) -> Objects {
        self.parameters.single("$XDSDocumentEntryEntryUUID")?;
        self.parameters.single("$XDSDocumentEntryUniqueId")?;
        let kinds = self.parameters.values("$AssociationTypes");
        if kinds.is_empty() {
            return Err(missing("$AssociationTypes").into());
        }
        let mut all = Vec::new();
        for document in self.named_documents().await? {
            let mut associations = self.associations_of(&document).await?;
            associations.retain(|a| {
                a.ends.as_ref().is_some_and(|e| e.kind != HAS_MEMBER && kinds.contains(&e.kind.as_str()))
            });
            if associations.is_empty() {
                continue;
            }
            for association in &associations {
                let Some(ends) = &association.ends else { continue };
                for end in [&ends.source, &ends.target] {
                    all.extend(self.registry.by_uuid(end, DOCUMENTS).await?.map(|document| document.object));
                }
            }
            all.extend(associations);
        }
        Ok(all)
    }
}

/// Returns the associations of which both ends are answered: objects, or
/// associations between objects.
fn between(objects: &[RegistryObject], associations: Vec<RegistryObject>) -> Vec<RegistryObject> {
    let mut answered: HashSet<String> = objects.iter().map(|object| object.id.clone()).collect();
    let (mut inside, mut others) = (Vec::new(), associations);
    loop {
        let is_inside = |a: &RegistryObject| {
            a.ends.as_ref().is_some_and(|e| answered.contains(&e.source) && answered.contains(&e.target))
        };
        let (more, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_inside);
        if more.is_empty() {
            return inside;
        }
        answered.extend(more.iter().map(|a| a.id.clone()));
        inside.extend(more);
        others = rest;
    }
}

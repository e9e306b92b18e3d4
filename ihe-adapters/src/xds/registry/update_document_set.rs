//! ITI-57: changes what is registered: further versions of documents and
//! folders, other statuses, new associations of what is there. And ITI-92,
//! which allows further versions of documents alone.
//!
//! Each association whose source is the submission set asks for one operation:
//! `HasMember` with `PreviousVersion`, `UpdateAvailabilityStatus`, or
//! `SubmitAssociation`.
//!
//! Spec: XDS Metadata Update supplement, 3.57.4.1.3; Restricted Metadata
//! Update supplement, 3.92.4.1.3

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;

use super::plan::{Planned, Planning, association_of};
use super::write::write;
use super::{OBJECTS, Registered, Registry, binary_of, ends_at, is_approved, version_of};
use crate::wire::ebrim::{Ends, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::check::{Taker, check, patient_id, unique_id};
use crate::xds::submission::Submission;
use crate::xds::values::{Cx, is_uuid_urn};
use crate::xds::vocabulary::{
    APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, RELATIONSHIPS, SUBMISSION_SET_NODE, SUBMIT_ASSOCIATION,
    UPDATE_AVAILABILITY_STATUS,
};

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Every operation: ITI-57.
    Everything,
    /// Further versions of documents, of the same patient: ITI-92.
    DocumentEntries,
}

/// An operation on what is registered.
#[derive(Debug, Clone)]
enum Operation {
    /// An object of the submission is the version after the one named.
    Version { id: String, previous: u32, propagates: bool },
    /// An object gets another status.
    Status { asked: Box<RegistryObject>, id: String, original: String, new: String },
    /// An association of the submission is added.
    Association { id: String },
}

/// Performs the operations of a submission.
///
/// # Errors
/// All that is wrong with it; nothing is changed then.
pub(crate) async fn update(
    registry: &Registry<'_>,
    mut submission: Submission,
    allowed: Allowed,
) -> Result<(), Vec<RegistryError>> {
    let (ordinary, operations) = operations_of(submission.clone(), allowed)?;
    let mut faults = check(&ordinary, Taker::Registry);
    faults.extend(registry.unlisted_codes(&ordinary));
    faults.extend(unusual_associations(&submission, &operations));
    if !faults.is_empty() {
        return Err(faults);
    }
    submission.assign_ids();
    for object in submission.objects_mut() {
        object.status = Some(APPROVED.to_owned());
        object.logical_id.get_or_insert_with(|| object.id.clone());
    }
    let (ordinary, operations) = operations_of(submission.clone(), allowed)?;
    write(registry, async || plan(registry, &submission, &ordinary, &operations, allowed).await).await
}

/// Tells the operations of a submission, and what it is without those that
/// are no part of what is registered.
fn operations_of(
    mut submission: Submission,
    allowed: Allowed,
) -> Result<(Submission, Vec<Operation>), Vec<RegistryError>> {
    let set = submission.submission_set.id.clone();
    let (mut operations, mut errors, mut ordinary) = (Vec::new(), Vec::new(), Vec::new());
    for association in std::mem::take(&mut submission.associations) {
        let Some(ends) = association.ends.as_ref().filter(|ends| ends.source == set) else { continue };
        let operation = match ends.kind.as_str() {
            HAS_MEMBER => version(&submission, &association, ends),
            UPDATE_AVAILABILITY_STATUS => status(&association, ends),
            SUBMIT_ASSOCIATION => Ok(Operation::Association { id: ends.target.clone() }),
            other => Err((
                ErrorCode::RegistryMetadata,
                format!(
                    "an association of the type `{other}` with the SubmissionSet as source asks for nothing"
                ),
            )),
        };
        let operation = operation.and_then(|operation| match (&operation, allowed) {
            (Operation::Version { id, .. }, Allowed::DocumentEntries)
                if !submission.documents.iter().any(|document| document.id == *id) =>
            {
                Err((ErrorCode::ObjectType, "only versions of documents are taken here".to_owned()))
            }
            (Operation::Status { .. } | Operation::Association { .. }, Allowed::DocumentEntries) => {
                Err((ErrorCode::InvalidRequest, "only versions of documents are taken here".to_owned()))
            }
            _ => Ok(operation),
        });
        match operation {
            Ok(operation) => {
                if matches!(operation, Operation::Version { .. }) {
                    ordinary.push(association);
                }
                operations.push(operation);
            }
            Err((code, context)) => errors.push(RegistryError::new(code, context).at(&association.id)),
        }
    }
    submission.associations = ordinary;
    if operations.is_empty() && errors.is_empty() {
        let context = "the submission asks for no operation: no association of its SubmissionSet names one";
        errors.push(RegistryError::new(ErrorCode::MetadataUpdateOperation, context).at(set));
    }
    if errors.is_empty() { Ok((submission, operations)) } else { Err(errors) }
}

type Fault = (ErrorCode, String);

fn operation_fault(context: impl Into<String>) -> Fault {
    (ErrorCode::MetadataUpdateOperation, context.into())
}

/// Checks that an association has these slots and no others.
fn has_only(association: &RegistryObject, names: &[&str]) -> Result<(), Fault> {
    match association.slots.iter().find(|slot| !names.contains(&slot.name.as_str())) {
        Some(slot) if !slot.name.starts_with("urn:") => {
            let name: String = slot.name.chars().take(100).collect();
            Err(operation_fault(format!("the slot `{name}` is not of this operation")))
        }
        _ => Ok(()),
    }
}

fn version(submission: &Submission, association: &RegistryObject, ends: &Ends) -> Result<Operation, Fault> {
    let object = submission.described().find(|object| object.id == ends.target);
    let object = object.ok_or_else(|| {
        operation_fault(format!("{} is no document or folder of the submission", ends.target))
    })?;
    has_only(association, &["SubmissionSetStatus", "PreviousVersion", "AssociationPropagation"])?;
    let previous = match association.slot("PreviousVersion") {
        [one] => one.parse().ok().filter(|previous| (1..u32::MAX).contains(previous)),
        _ => None,
    };
    let needs = "the slot `PreviousVersion` with the number of the version that is there";
    let previous = previous.ok_or_else(|| operation_fault(format!("the operation needs {needs}")))?;
    let propagates = match association.slot("AssociationPropagation") {
        [] => true,
        [one] if one.eq_ignore_ascii_case("yes") => true,
        [one] if one.eq_ignore_ascii_case("no") => false,
        _ => return Err(operation_fault("the slot `AssociationPropagation` has `yes` or `no`")),
    };
    // An object with an id of its own for what its versions share is a first one.
    let logical_id = object.logical_id.as_deref().filter(|lid| *lid != object.id);
    if !logical_id.is_some_and(is_uuid_urn) {
        let context = "the object has no `lid` of versions that are registered".to_owned();
        return Err((ErrorCode::MetadataUpdate, context));
    }
    Ok(Operation::Version { id: ends.target.clone(), previous, propagates })
}

fn status(association: &RegistryObject, ends: &Ends) -> Result<Operation, Fault> {
    has_only(association, &["OriginalStatus", "NewStatus"])?;
    let value = |name: &str| match association.slot(name) {
        [one] if [APPROVED, DEPRECATED].contains(&one.as_str()) => Ok(one.clone()),
        _ => Err(operation_fault(format!(
            "the operation needs the slot `{name}` with one status that there is"
        ))),
    };
    let (original, new) = (value("OriginalStatus")?, value("NewStatus")?);
    if original == new {
        return Err(operation_fault("the new status is the original one"));
    }
    Ok(Operation::Status { asked: Box::new(association.clone()), id: ends.target.clone(), original, new })
}

/// Tells what is wrong with associations that are to be added, and with those
/// that no operation names.
fn unusual_associations(submission: &Submission, operations: &[Operation]) -> Vec<RegistryError> {
    let mut faults = Vec::new();
    let added: HashSet<&str> = operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::Association { id } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    for id in &added {
        if !submission.associations.iter().any(|association| association.id == *id) {
            let context = format!("{id} is no association of the submission");
            faults.push(RegistryError::new(ErrorCode::MetadataUpdateOperation, context).at(*id));
        }
    }
    let mut logical_ids = HashMap::new();
    for object in submission.documents.iter().chain(&submission.folders) {
        let lid = object.logical_id.as_deref().unwrap_or_default();
        if logical_ids.insert(lid, object).is_some() {
            let context = format!("two versions of {lid} stand in the submission");
            faults.push(RegistryError::new(ErrorCode::MetadataUpdateOperation, context).at(&object.id));
        }
    }
    let others = submission.associations.iter();
    for association in
        others.filter(|a| a.ends.as_ref().is_some_and(|e| e.source != submission.submission_set.id))
    {
        let Some(ends) = &association.ends else { continue };
        if !added.contains(association.id.as_str()) {
            let context = "no operation adds the association".to_owned();
            faults.push(RegistryError::new(ErrorCode::MetadataUpdateOperation, context).at(&association.id));
        }
        let is_known = ends.kind == HAS_MEMBER || RELATIONSHIPS.iter().any(|(kind, _)| *kind == ends.kind);
        if !is_known {
            let kind: String = ends.kind.chars().take(200).collect();
            let context = format!("associationType `{kind}` is not known");
            faults.push(RegistryError::new(ErrorCode::RegistryMetadata, context).at(&association.id));
        }
        for end in [&ends.source, &ends.target] {
            let is_here = submission.described().any(|object| object.id == *end);
            if !is_here && !is_uuid_urn(end) {
                let context = format!("{end} is nowhere");
                faults.push(RegistryError::new(ErrorCode::UnresolvedReference, context).at(&association.id));
            }
            // What is propagated and what is added by hand would meet.
            let is_propagated = operations.iter().any(
                |operation| matches!(operation, Operation::Version { id, propagates: true, .. } if id == end),
            );
            if is_propagated {
                let context = format!("associations of {end} are propagated: none can be added at once");
                faults.push(
                    RegistryError::new(ErrorCode::MetadataUpdateOperation, context).at(&association.id),
                );
            }
        }
    }
    faults
}

async fn plan(
    registry: &Registry<'_>,
    submission: &Submission,
    ordinary: &Submission,
    operations: &[Operation],
    allowed: Allowed,
) -> Planned {
    let mut planning = Planning::begin(registry, ordinary.clone()).await?;
    planning.other_patient = ErrorCode::PatientIdReconciliation;
    planning.identity(registry, &submission.submission_set).await?;
    for operation in operations {
        match operation {
            Operation::Version { id, previous, propagates } => {
                planning.version(registry, id, (*previous, *propagates), allowed).await?;
            }
            Operation::Association { id } => {
                let found = submission.associations.iter().find(|association| association.id == *id);
                let Some(association) = found else { continue };
                let mut association = association.clone();
                // It comes to be approved, and gets its other status at once.
                let statuses = operations.iter().filter_map(|operation| match operation {
                    Operation::Status { asked, id: of, original, new } if of == id => {
                        Some((asked, original, new))
                    }
                    _ => None,
                });
                for (asked, original, new) in statuses {
                    if association.status.as_deref() != Some(original.as_str()) {
                        let context = format!("{id} has another status than {original}");
                        planning.fault(ErrorCode::MetadataUpdate, asked, context);
                    }
                    association.status = Some(new.clone());
                }
                planning.add_association(registry, association).await?;
            }
            Operation::Status { .. } => {}
        }
    }
    // Documents and folders of the submission can get another status as well.
    let is_association = |id: &String| submission.associations.iter().any(|a| a.id == *id);
    for operation in operations {
        if let Operation::Status { asked, id, original, new } = operation
            && !is_association(id)
        {
            planning.status(registry, asked, id, [original, new]).await?;
        }
    }
    Ok(planning.into_plan(&[]))
}

impl Planning {
    /// Plans a further version of a document or a folder.
    async fn version(
        &mut self,
        registry: &Registry<'_>,
        id: &str,
        (previous, propagates): (u32, bool),
        allowed: Allowed,
    ) -> Result<(), Issue> {
        let Some(object) = self.submission.described().find(|object| object.id == id).cloned() else {
            return Ok(());
        };
        let logical_id = object.logical_id.clone().unwrap_or_default();
        let mut versions = registry.by_logical_id(&logical_id).await?;
        versions.sort_by_key(|version| std::cmp::Reverse(version_of(&version.object)));
        let Some(latest) = versions.into_iter().next() else {
            let context = format!("no version of {logical_id} is registered");
            self.fault(ErrorCode::MetadataVersion, &object, context);
            return Ok(());
        };
        if version_of(&latest.object) != previous {
            let context = format!(
                "the last version of {logical_id} is {}, and not {previous}",
                version_of(&latest.object)
            );
            self.fault(ErrorCode::MetadataVersion, &object, context);
            return Ok(());
        }
        // Where no status can be asked for it stays as it is.
        let is_restricted = allowed == Allowed::DocumentEntries;
        if !is_approved(&latest.object) && !is_restricted {
            let context = format!("the version {previous} of {logical_id} is deprecated");
            self.fault(ErrorCode::MetadataVersion, &object, context);
            return Ok(());
        }
        let is_folder = |object: &RegistryObject| object.is_of_node(FOLDER_NODE);
        let is_same = latest.object.kind == object.kind
            && latest.object.object_type == object.object_type
            && is_folder(&latest.object) == is_folder(&object);
        if !is_same {
            self.fault(ErrorCode::MetadataUpdate, &object, "a version is of another type".to_owned());
            return Ok(());
        }
        if unique_id(&latest.object) != unique_id(&object) {
            let context = "a version has another unique id".to_owned();
            self.fault(ErrorCode::MetadataUpdate, &object, context);
            return Ok(());
        }
        if registry.by_uuid(id, OBJECTS).await?.is_some() {
            self.fault(ErrorCode::RegistryMetadata, &object, format!("the id {id} is registered already"));
        }
        let latest = Arc::new(latest);
        if propagates {
            self.propagate(registry, &latest, &object).await?;
        }
        if let Some(object) = self.submission.objects_mut().find(|object| object.id == id) {
            object.version = Some((previous + 1).to_string());
            object.status.clone_from(&latest.object.status);
        }
        if let Some(binary) = binary_of(&latest.resource) {
            self.binaries.insert(id.to_owned(), format!("Binary/{}", binary.id.as_str()));
        }
        self.versions.insert(id.to_owned());
        if is_restricted {
            self.unmodified(id, &latest);
        }
        self.set_status(latest, DEPRECATED)
    }

    /// Checks that a version has what must not change where only metadata of
    /// documents do.
    fn unmodified(&mut self, id: &str, latest: &Registered) {
        let found = self.submission.documents.iter().find(|document| document.id == id);
        let Some(document) = found.cloned() else { return };
        let patient = |object: &RegistryObject| patient_id(object).and_then(Cx::parse);
        let repository = |object: &RegistryObject| object.slot("repositoryUniqueId").to_vec();
        for (attribute, is_same) in [
            ("patientId", patient(&latest.object) == patient(&document)),
            ("repositoryUniqueId", repository(&latest.object) == repository(&document)),
            ("homeCommunityId", document.home.is_none() || latest.object.home == document.home),
        ] {
            if !is_same {
                let context = format!("{attribute} cannot be changed");
                self.fault(ErrorCode::UnmodifiableMetadata, &document, context);
            }
        }
    }

    /// Plans for a version the associations that the one before it has, but
    /// for those of submission sets.
    async fn propagate(
        &mut self,
        registry: &Registry<'_>,
        latest: &Arc<Registered>,
        object: &RegistryObject,
    ) -> Result<(), Issue> {
        let own = latest.associations.iter().filter(|a| is_approved(a)).cloned();
        let own: Vec<RegistryObject> = own.collect();
        let mut others: Vec<Registered> = registry.documents_related_to(latest).await?;
        let packages = registry.packages_with(latest).await?;
        others.extend(packages.into_iter().filter(|package| package.object.is_of_node(FOLDER_NODE)));
        let ends_here = |a: &RegistryObject| is_approved(a) && ends_at(a, &latest.object.id);
        others.retain(|other| is_approved(&other.object) && other.associations.iter().any(ends_here));
        let has_associations = !own.is_empty() || !others.is_empty();
        if has_associations && !self.is_of_patient(latest) {
            let context = format!("its associations are of another patient than {}", self.told_patient());
            self.fault(ErrorCode::PatientIdReconciliation, object, context);
            return Ok(());
        }
        for association in own {
            let Some(ends) = &association.ends else { continue };
            if let Some(member) = registry.by_uuid(&ends.target, &[ty::DOCUMENT_REFERENCE]).await? {
                self.know(Arc::new(member));
            }
            self.added.push(association_of(&ends.kind, &object.id, &ends.target));
        }
        for other in others {
            let other = Arc::new(other);
            for association in other.associations.iter().filter(|a| ends_here(a)) {
                let Some(ends) = &association.ends else { continue };
                let copy = association_of(&ends.kind, &ends.source, &object.id);
                self.associate(Arc::clone(&other), &copy)?;
            }
        }
        Ok(())
    }

    /// Puts an association to its source, which is registered.
    fn associate(&mut self, source: Arc<Registered>, association: &RegistryObject) -> Result<(), Issue> {
        match source.object.kind {
            ObjectKind::RegistryPackage => self.put_into_folder(source, association),
            _ => self.relate(source, association),
        }
    }

    /// Plans an association of what is there.
    async fn add_association(
        &mut self,
        registry: &Registry<'_>,
        association: RegistryObject,
    ) -> Result<(), Issue> {
        let Some(ends) = association.ends.clone() else { return Ok(()) };
        let set = self.submission.submission_set.id.clone();
        self.added.push(association_of(HAS_MEMBER, &set, &association.id));
        if self.is_here(&ends.source) {
            self.added.push(association.clone());
        } else {
            let before = self.faults.len();
            let Some(source) = self.referred(registry, &association, &ends.source).await? else {
                return Ok(());
            };
            let is_there = source.associations.iter().any(|a| a.ends.as_ref() == Some(&ends));
            if is_there {
                let context = "such an association is registered already".to_owned();
                self.fault(ErrorCode::MetadataUpdate, &association, context);
            }
            let fits = match source.object.kind {
                ObjectKind::RegistryPackage => {
                    ends.kind == HAS_MEMBER && source.object.is_of_node(FOLDER_NODE)
                }
                _ => ends.kind != HAS_MEMBER,
            };
            if !fits {
                let context = format!("{} is no source of such an association", ends.source);
                self.fault(ErrorCode::RegistryMetadata, &association, context);
            }
            // A membership is put into its folder by what plans it.
            if self.faults.len() == before && ends.kind != HAS_MEMBER {
                self.relate(source, &association)?;
            }
        }
        if ends.kind == HAS_MEMBER {
            self.has_member(registry, &association, &ends).await
        } else {
            self.relationship(registry, &association, &ends).await
        }
    }

    /// Plans another status: of what the submission brings, or of what is registered.
    async fn status(
        &mut self,
        registry: &Registry<'_>,
        asked: &RegistryObject,
        id: &str,
        [original, new]: [&String; 2],
    ) -> Result<(), Issue> {
        let is_another = |status: Option<&str>| status != Some(original.as_str());
        let other = format!("{id} has another status than {original}");
        let here = self.submission.objects_mut().find(|object| object.id == id);
        let before = here.map(|object| object.status.replace(new.clone()));
        if let Some(before) = before {
            if is_another(before.as_deref()) {
                self.fault(ErrorCode::MetadataUpdate, asked, other);
            }
            return Ok(());
        }
        let found = match registry.by_uuid(id, OBJECTS).await? {
            Some(found) if found.object.is_of_node(SUBMISSION_SET_NODE) => {
                let context = format!("{id} is a SubmissionSet, whose status does not change");
                self.fault(ErrorCode::MetadataUpdate, asked, context);
                return Ok(());
            }
            Some(found) => (found, None),
            None => match self.association(registry, id).await? {
                Some((source, association)) => (source, Some(association)),
                None => {
                    self.fault(ErrorCode::UnresolvedReference, asked, format!("{id} is not registered"));
                    return Ok(());
                }
            },
        };
        let (object, association) = found;
        if !self.is_of_patient(&object) {
            let context = format!("{id} is of another patient than {}", self.told_patient());
            self.fault(ErrorCode::PatientIdReconciliation, asked, context);
            return Ok(());
        }
        let status = association.as_ref().map_or(&object.object.status, |a| &a.status);
        if is_another(status.as_deref()) {
            self.fault(ErrorCode::MetadataUpdate, asked, other);
            return Ok(());
        }
        let object = Arc::new(object);
        if let Some(mut association) = association {
            association.status = Some(new.clone());
            return self.set_association_status(object, &association);
        }
        let logical_id = object.object.logical_id.clone().unwrap_or_default();
        let versions = registry.by_logical_id(&logical_id).await?;
        let last = versions.iter().map(|version| version_of(&version.object)).max();
        if last.is_some_and(|last| last > version_of(&object.object)) {
            let context = format!("{id} is not the last version of {logical_id}");
            self.fault(ErrorCode::MetadataVersion, asked, context);
            return Ok(());
        }
        self.set_status(object, new)
    }

    /// Finds an association, and what it is of.
    async fn association(
        &self,
        registry: &Registry<'_>,
        id: &str,
    ) -> Result<Option<(Registered, RegistryObject)>, Issue> {
        let mut all = registry.with_association(id).await?;
        all.retain(|object| !object.object.is_of_node(SUBMISSION_SET_NODE));
        // What came by FHIR has ids that stand nowhere.
        if let Some(place) = self.place.as_ref().filter(|_| all.is_empty()) {
            let patient = self.told_patient();
            all = registry.documents_of(place, &patient).await?;
            all.extend(registry.packages_of(place, &patient, super::list_code(true)).await?);
        }
        let mut found = all.into_iter().filter_map(|object| {
            let association = object.associations.iter().find(|association| association.id == id).cloned();
            Some((object, association?))
        });
        Ok(found.next())
    }
}

//! ITI-42: registers documents, all of a submission or nothing; and ITI-61,
//! which registers documents that are made when they are asked for.
//!
//! Spec: ITI TF-2 3.42.4.1.3; On-Demand Documents supplement, 3.61.4.1.3

use std::sync::Arc;

use fhir_model::interaction::Carried;
use fhir_model::outcome::Issue;
use serde_json::Value;

use super::plan::{Planned, Planning, association_of};
use super::write::write;
use super::{OBJECTS, Registry, ends_at, is_approved};
use crate::wire::ebrim::{Ends, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::check::{Taker, check, unique_id};
use crate::xds::submission::Submission;
use crate::xds::vocabulary::{
    APPENDS, APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, ON_DEMAND, REPLACES, TRANSFORMS,
    TRANSFORMS_AND_REPLACES,
};

/// Registers a submission. `stored`: the bytes that the repository has of its
/// documents, in their order; none for those that are elsewhere.
/// `taker`: what of its metadata there has to be.
///
/// # Errors
/// All that is wrong with it; nothing is registered then.
pub(crate) async fn register(
    registry: &Registry<'_>,
    submission: Submission,
    stored: &[Option<Carried>],
    taker: Taker,
) -> Result<(), Vec<RegistryError>> {
    register_beside(registry, submission, (stored, &[]), taker).await
}

/// Registers a submission, and resources beside it that are of its patient.
///
/// # Errors
/// As [`register`].
pub(crate) async fn register_beside(
    registry: &Registry<'_>,
    mut submission: Submission,
    (stored, beside): (&[Option<Carried>], &[Value]),
    taker: Taker,
) -> Result<(), Vec<RegistryError>> {
    let faults = faults(registry, &submission, taker);
    if !faults.is_empty() {
        return Err(faults);
    }
    submission.assign_ids();
    for object in submission.objects_mut() {
        object.status = Some(APPROVED.to_owned());
        object.logical_id = Some(object.id.clone());
    }
    write(registry, async || plan(registry, &submission, stored, beside).await).await
}

/// Tells what is wrong with a submission, as far as that can be told without
/// what is registered.
pub(crate) fn faults(registry: &Registry<'_>, submission: &Submission, taker: Taker) -> Vec<RegistryError> {
    let mut faults = check(submission, taker);
    faults.extend(registry.unlisted_codes(submission));
    faults
}

/// Registers documents that are made when they are asked for.
///
/// # Errors
/// As [`register`]; also when a document is another sort of document.
pub(crate) async fn register_on_demand(
    registry: &Registry<'_>,
    submission: Submission,
) -> Result<(), Vec<RegistryError>> {
    let others = submission.documents.iter().filter(|d| d.object_type.as_deref() != Some(ON_DEMAND));
    let fault = |document: &RegistryObject| {
        let context = "objectType is not that of a document on demand, which alone is registered so";
        RegistryError::new(ErrorCode::RegistryMetadata, context).at(format!("{}/objectType", document.id))
    };
    let faults: Vec<RegistryError> = others.map(fault).collect();
    if faults.is_empty() { register(registry, submission, &[], Taker::Registry).await } else { Err(faults) }
}

async fn plan(
    registry: &Registry<'_>,
    submission: &Submission,
    stored: &[Option<Carried>],
    beside: &[Value],
) -> Planned {
    let mut planning = planned(registry, submission).await?;
    planning.beside = beside.to_vec();
    Ok(planning.into_plan(stored))
}

/// Finds out what a submission means for what is registered.
pub(super) async fn planned(registry: &Registry<'_>, submission: &Submission) -> Result<Planning, Issue> {
    let mut planning = Planning::begin(registry, submission.clone()).await?;
    for object in submission.described() {
        planning.identity(registry, object).await?;
    }
    for association in &submission.associations {
        let Some(ends) = &association.ends else { continue };
        if ends.kind == HAS_MEMBER {
            planning.has_member(registry, association, ends).await?;
        } else {
            planning.relationship(registry, association, ends).await?;
        }
    }
    Ok(planning)
}

impl Planning {
    /// Checks that the id and the unique id of an object are new, or mean the
    /// same document.
    pub(super) async fn identity(
        &mut self,
        registry: &Registry<'_>,
        object: &RegistryObject,
    ) -> Result<(), Issue> {
        if registry.by_uuid(&object.id, OBJECTS).await?.is_some() {
            let context = format!("the id {} is registered already", object.id);
            self.fault(ErrorCode::RegistryMetadata, object, context);
        }
        let Some(id) = unique_id(object) else { return Ok(()) };
        for known in registry.by_unique_id(id, OBJECTS).await? {
            if object.kind != ObjectKind::ExtrinsicObject || known.object.kind != ObjectKind::ExtrinsicObject
            {
                let context = format!("the unique id {id} is taken");
                self.fault(ErrorCode::DuplicateUniqueIdInRegistry, object, context);
                continue;
            }
            let differs = |slot: &str| {
                let values = (known.object.slot_value(slot), object.slot_value(slot));
                matches!(values, (Some(a), Some(b)) if !a.eq_ignore_ascii_case(b))
            };
            for (slot, code) in [("hash", ErrorCode::NonIdenticalHash), ("size", ErrorCode::NonIdenticalSize)]
            {
                if differs(slot) {
                    let context = format!("the document {id} is registered with another {slot}");
                    self.fault(code, object, context);
                }
            }
        }
        Ok(())
    }

    /// Plans a membership: that of the submission set, or one of a folder.
    pub(super) async fn has_member(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        ends: &Ends,
    ) -> Result<(), Issue> {
        let target = if self.is_here(&ends.target) {
            None
        } else {
            match self.referred(registry, association, &ends.target).await? {
                Some(found) => Some(found),
                None => return Ok(()),
            }
        };
        if self.is_here(&ends.source) {
            return Ok(());
        }
        // A document is put into a folder that is there.
        let Some(folder) = self.referred(registry, association, &ends.source).await? else { return Ok(()) };
        let is_document = target.is_none_or(|target| target.object.kind == ObjectKind::ExtrinsicObject);
        if !folder.object.is_of_node(FOLDER_NODE) || !is_document {
            let context = format!("{} is no folder that takes {}", ends.source, ends.target);
            self.fault(ErrorCode::RegistryMetadata, association, context);
            return Ok(());
        }
        self.put_into_folder(folder, association)
    }

    /// Plans what a relationship does to its target.
    pub(super) async fn relationship(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        ends: &Ends,
    ) -> Result<(), Issue> {
        if self.is_here(&ends.target) {
            return Ok(());
        }
        let Some(target) = self.referred(registry, association, &ends.target).await? else { return Ok(()) };
        if target.object.kind != ObjectKind::ExtrinsicObject {
            let context = format!("{} is no document", ends.target);
            self.fault(ErrorCode::UnresolvedReference, association, context);
            return Ok(());
        }
        if ![REPLACES, TRANSFORMS_AND_REPLACES].contains(&ends.kind.as_str()) {
            return Ok(());
        }
        self.set_status(Arc::clone(&target), DEPRECATED)?;
        // What only stands beside what is replaced goes with it.
        for child in registry.documents_related_to(&target).await? {
            let hangs_on = |a: &RegistryObject| {
                let ends = a.ends.as_ref();
                ends.is_some_and(|e| [TRANSFORMS, APPENDS].contains(&e.kind.as_str()))
                    && ends_at(a, &target.object.id)
            };
            if is_approved(&child.object) && child.associations.iter().any(hangs_on) {
                self.set_status(Arc::new(child), DEPRECATED)?;
            }
        }
        for package in registry.packages_with(&target).await? {
            let holds = |a: &RegistryObject| is_approved(a) && ends_at(a, &target.object.id);
            let is_open = is_approved(&package.object) && package.associations.iter().any(holds);
            if !package.object.is_of_node(FOLDER_NODE) || !is_open {
                continue;
            }
            let membership = association_of(HAS_MEMBER, &package.object.id, &ends.source);
            self.put_into_folder(Arc::new(package), &membership)?;
            // The submission set has the membership as a member.
            let of_set = association_of(HAS_MEMBER, &self.submission.submission_set.id, &membership.id);
            self.added.push(of_set);
        }
        Ok(())
    }
}

//! What is submitted together: one submission set, its documents and folders,
//! and how they are related.
//!
//! Spec: ITI TF-3 4.2.1.4

use std::collections::HashMap;

use super::values::is_uuid_urn;
use super::vocabulary::{FOLDER_NODE, LIMITED_METADATA, SUBMISSION_SET_NODE};
use crate::wire::ebrim::{Classification, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};

/// A submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    /// The submission set.
    pub submission_set: RegistryObject,
    /// The documents.
    pub documents: Vec<RegistryObject>,
    /// The folders.
    pub folders: Vec<RegistryObject>,
    /// The associations.
    pub associations: Vec<RegistryObject>,
}

impl Submission {
    /// Sorts what was submitted.
    ///
    /// # Errors
    /// When there is not one submission set, or a package is neither that nor a folder.
    pub fn of(objects: Vec<RegistryObject>) -> Result<Submission, Vec<RegistryError>> {
        let mut submission = Submission::default();
        let mut sets = Vec::new();
        let mut errors = Vec::new();
        for object in objects {
            match object.kind {
                ObjectKind::ExtrinsicObject => submission.documents.push(object),
                ObjectKind::Association => submission.associations.push(object),
                ObjectKind::RegistryPackage if object.is_of_node(SUBMISSION_SET_NODE) => sets.push(object),
                ObjectKind::RegistryPackage if object.is_of_node(FOLDER_NODE) => {
                    submission.folders.push(object);
                }
                ObjectKind::RegistryPackage => errors.push(
                    RegistryError::new(
                        ErrorCode::RegistryMetadata,
                        "a RegistryPackage is classified neither as a SubmissionSet nor as a Folder",
                    )
                    .at(object.id),
                ),
            }
        }
        let count = sets.len();
        match (sets.pop(), count) {
            (Some(set), 1) => submission.submission_set = set,
            _ => errors.push(RegistryError::new(
                ErrorCode::RegistryMetadata,
                format!("a submission has one SubmissionSet, this one has {count}"),
            )),
        }
        if errors.is_empty() { Ok(submission) } else { Err(errors) }
    }

    /// Says of all of it that its metadata are limited.
    pub fn limit(&mut self) {
        let mark = |object: &mut RegistryObject, node: &str| {
            if !object.is_of_node(node) {
                let node = Some(node.to_owned());
                object.classifications.push(Classification { node, ..Classification::default() });
            }
        };
        let [of_document, of_set, of_folder] = LIMITED_METADATA;
        self.documents.iter_mut().for_each(|document| mark(document, of_document));
        mark(&mut self.submission_set, of_set);
        self.folders.iter_mut().for_each(|folder| mark(folder, of_folder));
    }

    /// Returns its objects but the associations.
    pub fn described(&self) -> impl Iterator<Item = &RegistryObject> {
        std::iter::once(&self.submission_set).chain(&self.documents).chain(&self.folders)
    }

    /// Returns all its objects.
    pub fn objects(&self) -> impl Iterator<Item = &RegistryObject> {
        self.described().chain(&self.associations)
    }

    /// Returns all its objects, to be changed.
    pub fn objects_mut(&mut self) -> impl Iterator<Item = &mut RegistryObject> {
        let Submission { submission_set, documents, folders, associations } = self;
        std::iter::once(submission_set).chain(documents).chain(folders).chain(associations)
    }

    /// Gives a UUID to each object that has only a symbol, and puts it where
    /// the symbol stands. Symbols of nothing here stay.
    pub fn assign_ids(&mut self) {
        let mut ids: HashMap<String, String> = HashMap::new();
        for object in self.objects().filter(|object| !is_uuid_urn(&object.id)) {
            ids.insert(object.id.clone(), format!("urn:uuid:{}", uuid::Uuid::new_v4()));
        }
        let assign = |id: &mut String| {
            if let Some(assigned) = ids.get(id) {
                id.clone_from(assigned);
            }
        };
        for object in self.objects_mut() {
            assign(&mut object.id);
            if let Some(logical_id) = &mut object.logical_id {
                assign(logical_id);
            }
            if let Some(ends) = &mut object.ends {
                assign(&mut ends.source);
                assign(&mut ends.target);
            }
        }
    }
}

//! What is expected: documents, folders and patients, as simply as can be.

use std::collections::{BTreeMap, BTreeSet};

/// A document by its unique id, whatever its versions.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// Whom it was registered for.
    pub(super) of: usize,
    pub(super) is_approved: bool,
    /// The document that it appends to or transforms.
    pub(super) parent: Option<String>,
    /// Versions before the last one.
    pub(super) versions_before: usize,
    /// Whether nothing but its submission set refers to it, and it to nothing.
    pub(super) is_alone: bool,
    /// Whether it came by ITI-41, with the bytes `foo`.
    pub(super) is_by_soap: bool,
    pub(super) has_bytes: bool,
}

/// A folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) of: usize,
    pub(super) is_approved: bool,
    pub(super) members: BTreeSet<String>,
}

/// All that is expected.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) documents: BTreeMap<String, Document>,
    pub(super) folders: BTreeMap<String, Folder>,
    /// How many patients there are: 1, 2 ...
    pub(super) patients: usize,
    /// Who was merged into whom.
    pub(super) merged: BTreeMap<usize, usize>,
}

/// What is told of some objects: by their unique ids, whether they are approved.
pub(super) type Statuses = BTreeMap<String, bool>;

impl Model {
    /// Returns who is left of a patient.
    pub(super) fn survivor(&self, mut patient: usize) -> usize {
        while let Some(next) = self.merged.get(&patient) {
            patient = *next;
        }
        patient
    }

    /// Returns the patients who were not merged into others.
    pub(super) fn living(&self) -> Vec<usize> {
        (1..=self.patients).filter(|patient| !self.merged.contains_key(patient)).collect()
    }

    /// Returns the documents of a patient who is left.
    pub(super) fn documents_of(&self, patient: usize) -> Statuses {
        let all = self.documents.iter().filter(|(_, document)| self.survivor(document.of) == patient);
        all.map(|(id, document)| (id.clone(), document.is_approved)).collect()
    }

    /// Returns the folders of a patient who is left.
    pub(super) fn folders_of(&self, patient: usize) -> Statuses {
        let all = self.folders.iter().filter(|(_, folder)| self.survivor(folder.of) == patient);
        all.map(|(id, folder)| (id.clone(), folder.is_approved)).collect()
    }

    /// Returns how many resources of each document are current, and how many are not.
    pub(super) fn resources_of(&self, patient: usize) -> BTreeMap<String, (usize, usize)> {
        let all = self.documents.iter().filter(|(_, document)| self.survivor(document.of) == patient);
        let count = |document: &Document| {
            let current = usize::from(document.is_approved);
            (current, document.versions_before + 1 - current)
        };
        all.map(|(id, document)| (id.clone(), count(document))).collect()
    }

    /// A document came.
    pub(super) fn add(&mut self, unique_id: &str, of: usize, is_by_soap: bool) -> &mut Document {
        let document = Document {
            of,
            is_approved: true,
            parent: None,
            versions_before: 0,
            is_alone: true,
            is_by_soap,
            has_bytes: true,
        };
        self.documents.entry(unique_id.to_owned()).or_insert(document)
    }

    /// A document came that refers to another.
    pub(super) fn relate(&mut self, unique_id: &str, target: &str, replaces: bool) {
        let of = self.survivor(self.documents[target].of);
        let document = self.add(unique_id, of, true);
        document.is_alone = false;
        document.parent = (!replaces).then(|| target.to_owned());
        for (id, document) in &mut self.documents {
            document.is_alone &= id != target;
            let goes = id == target || (id != unique_id && document.parent.as_deref() == Some(target));
            document.is_approved &= !(replaces && goes);
        }
        let folders = self.folders.values_mut().filter(|folder| replaces && folder.is_approved);
        for folder in folders.filter(|folder| folder.members.contains(target)) {
            folder.members.insert(unique_id.to_owned());
        }
    }

    /// A document has a further version.
    pub(super) fn version(&mut self, unique_id: &str) {
        for (id, document) in &mut self.documents {
            if id == unique_id {
                document.versions_before += 1;
                document.is_alone = false;
            } else if document.parent.as_deref() == Some(unique_id) && !document.is_approved {
                // What does not hold is not said of the version.
                document.parent = Some("an earlier version".to_owned());
            }
        }
    }

    /// A document is gone.
    pub(super) fn remove(&mut self, unique_id: &str) {
        self.documents.remove(unique_id);
        for folder in self.folders.values_mut() {
            folder.members.remove(unique_id);
        }
    }
}

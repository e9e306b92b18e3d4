//! The manifest of a study: which series and instances it has, and where they are.
//!
//! Spec: DICOM PS3.3 A.35.4, C.17.6.2; RAD TF-3 4.68.4.1.2.1

use crate::wire::dicom::{DataSet, DicomError, Tag};

const SOP_CLASS: Tag = (0x0008, 0x0016);
const ACCESSION_NUMBER: Tag = (0x0008, 0x0050);
const STUDY_DATE: Tag = (0x0008, 0x0020);
const STUDY_TIME: Tag = (0x0008, 0x0030);
const MODALITY: Tag = (0x0008, 0x0060);
const STUDY: Tag = (0x0020, 0x000D);
const SERIES: Tag = (0x0020, 0x000E);
const EVIDENCE: Tag = (0x0040, 0xA375);
const OTHER_EVIDENCE: Tag = (0x0040, 0xA385);
const REFERENCED_SERIES: Tag = (0x0008, 0x1115);
const REFERENCED_INSTANCES: Tag = (0x0008, 0x1199);
const REFERENCED_CLASS: Tag = (0x0008, 0x1150);
const REFERENCED_INSTANCE: Tag = (0x0008, 0x1155);
const RETRIEVE_LOCATION: Tag = (0x0040, 0xE011);

/// Key Object Selection Document Storage.
pub const KEY_OBJECT_SELECTION: &str = "1.2.840.10008.5.1.4.1.1.88.59";

/// The manifest of studies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The number under which the study was ordered; empty for none.
    pub accession_number: String,
    /// When the study began: `YYYYMMDD` and `hhmmss.ffffff`; empty where it is not said.
    pub begun: (String, String),
    /// The studies.
    pub studies: Vec<Study>,
}

/// A study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// Its UID.
    pub uid: String,
    /// Its series.
    pub series: Vec<Series>,
}

/// A series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its UID.
    pub uid: String,
    /// Its modality; empty where it is not said.
    pub modality: String,
    /// The repository that has its images; empty where it is not said.
    pub location: String,
    /// Its instances: SOP class and UID.
    pub instances: Vec<(String, String)>,
}

/// Reads a manifest; `None` when the file is another kind of object.
///
/// # Errors
/// When it cannot be read.
pub fn manifest(file: &[u8]) -> Result<Option<Manifest>, DicomError> {
    let object = DataSet::of_file(file)?;
    if object.text(SOP_CLASS) != KEY_OBJECT_SELECTION {
        return Ok(None);
    }
    let evidence = object.items(EVIDENCE).iter().chain(object.items(OTHER_EVIDENCE));
    let mut studies: Vec<Study> = Vec::new();
    for item in evidence {
        // Who leaves the UID out means the study that the manifest is in.
        let uid = Some(item.text(STUDY)).filter(|uid| !uid.is_empty()).unwrap_or_else(|| object.text(STUDY));
        let series = item.items(REFERENCED_SERIES).iter().map(series);
        match studies.iter_mut().find(|study| study.uid == uid) {
            Some(study) => study.series.extend(series),
            None => studies.push(Study { uid, series: series.collect() }),
        }
    }
    Ok(Some(Manifest {
        accession_number: object.text(ACCESSION_NUMBER),
        begun: (object.text(STUDY_DATE), object.text(STUDY_TIME)),
        studies,
    }))
}

fn series(item: &DataSet) -> Series {
    let instance = |item: &DataSet| (item.text(REFERENCED_CLASS), item.text(REFERENCED_INSTANCE));
    Series {
        uid: item.text(SERIES),
        modality: item.text(MODALITY),
        location: item.text(RETRIEVE_LOCATION),
        instances: item.items(REFERENCED_INSTANCES).iter().map(instance).collect(),
    }
}

/// Tells whether a text is a UID: at most 64 digits and points.
pub fn is_uid(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(is_number)
}

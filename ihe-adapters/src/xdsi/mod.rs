//! Images shared as documents: the manifest of a study (a Key Object Selection)
//! is registered as every document, and seen as an ImagingStudy as well; its
//! images stay where they are and are fetched from there.
//!
//! - [`manifest`] reads a manifest (RAD-68).
//! - [`imaging_study`] makes an ImagingStudy of it.
//! - [`retrieve_imaging_document_set`] is RAD-69.
//!
//! Spec: RAD TF-2 4.68, 4.69, 4.107; DICOM PS3.3 A.35.4, PS3.16 TID 2010

pub mod imaging_study;
pub mod manifest;
pub mod retrieve_imaging_document_set;

//! XDS.b: documents of a region, registered by their metadata and kept in
//! repositories.
//!
//! The registry is a projection: what it answers is made of DocumentReference
//! and List resources, and what is registered becomes such. So a document that
//! came by SOAP is found by FHIR, and the other way round.
//!
//! - [`vocabulary`], [`values`]: the identifiers and types of the metadata.
//! - [`submission`]: what is submitted together, and the ids that it gets.
//! - [`attributes`]: the attributes of metadata, as one table; [`check`]: what is
//!   wrong with metadata by that table.
//!
//! Spec: ITI TF-1 10, TF-3 4.1 to 4.3

pub mod attributes;
pub mod check;
pub mod code_lists;
pub mod fhir;
pub mod registry;
pub mod repository;
pub mod submission;
pub mod values;
pub mod vocabulary;

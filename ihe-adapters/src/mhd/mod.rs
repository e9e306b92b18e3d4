//! MHD 4.2: documents shared by FHIR REST. A Document Recipient and Document
//! Responder over the same registry and repository as XDS.
//!
//! - `provide_document_bundle` is ITI-65, `simplified_publish` ITI-105,
//!   `generate_metadata` ITI-106.
//! - [`search_parameters`] are those that ITI-66 and ITI-67 need beyond FHIR's.
//!
//! ITI-66, ITI-67 and ITI-68 are searches and reads of FHIR, as every other.
//!
//! The rules of metadata are those of XDS ([`crate::xds::check`]); what MHD adds is
//! in `profile`, and `outcome` tells faults in terms of FHIR.
//!
//! Spec: <https://profiles.ihe.net/ITI/MHD/>

mod bundle;
pub mod capabilities;
mod cda_header;
mod composition;
mod documents;
pub(crate) mod generate_metadata;
mod metadata;
mod outcome;
mod patients;
pub(crate) mod profile;
pub(crate) mod provide_document_bundle;
mod registered;
pub mod search_parameters;
pub(crate) mod simplified_publish;

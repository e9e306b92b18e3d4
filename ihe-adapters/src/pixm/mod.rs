//! PIXm 3.1: the patient index by FHIR REST, as a Patient Identifier
//! Cross-reference Manager.
//!
//! - `cross_reference_query` is ITI-83, `patient_identity_feed` ITI-104.
//! - [`capabilities`]: what of it stands in the CapabilityStatement.
//!
//! A feed is a conditional update, or delete, of the one Patient who has an
//! identifier of a domain that is known; whatever else is written by FHIR is
//! that and nothing more.
//!
//! Spec: <https://profiles.ihe.net/ITI/PIXm/>

pub mod capabilities;
pub(crate) mod cross_reference_query;
pub(crate) mod patient_identity_feed;

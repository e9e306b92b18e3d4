//! Cross-community patient discovery (XCPD): whether somebody is known in
//! another community, and where data of him are.
//!
//! - [`patient_discovery`]: ITI-55, as other communities ask it.
//! - [`initiating_gateway`]: ITI-55, as others are asked, and their answers brought together.
//! - ITI-56: [`patient_location_query`].
//!
//! Spec: ITI TF-1 27

pub mod initiating_gateway;
pub mod patient_discovery;
pub mod patient_location_query;

//! Other wires than FHIR REST, translated to interactions and back.
//!
//! [`wire`] holds the protocols themselves, without IHE meaning: HL7 v2 now.

pub mod documents;
pub mod fhir_client;
pub mod gateway;
pub mod wire;
pub mod xds;

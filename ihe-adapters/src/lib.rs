//! Other wires than FHIR REST, translated to interactions and back.
//!
//! [`wire`] holds the protocols themselves, without IHE meaning.

pub mod atna;
pub mod documents;
pub mod dsub;
pub mod fhir_client;
pub mod gateway;
pub mod hl7v2;
pub mod italy;
pub mod mhd;
pub mod outbox;
pub mod pdq;
pub mod pix;
pub mod subscribers;
pub mod wire;
pub mod xca;
pub mod xds;
pub mod xdsi;
pub mod xua;

//! Other wires than FHIR REST, translated to interactions and back.
//!
//! [`wire`] holds the protocols themselves, without IHE meaning.

pub mod atna;
pub mod documents;
pub mod dsub;
pub mod fhir_client;
pub mod gateway;
pub mod hl7v3;
pub mod mhd;
pub mod pdqv3;
pub mod pix;
pub mod pixv3;
pub mod wire;
pub mod xca;
pub mod xcpd;
pub mod xds;
pub mod xdsi;
pub mod xua;

//! Other wires than FHIR REST, translated to interactions and back.
//!
//! [`wire`] holds the protocols themselves, without IHE meaning.

pub mod atna;
pub mod capabilities;
pub mod documents;
pub mod dsub;
pub mod fhir_client;
pub mod gateway;
pub mod hl7v2;
pub mod hl7v3;
pub mod italy;
pub mod mhd;
pub mod outbox;
pub mod pdq;
pub mod pdqm;
pub mod pdqv3;
pub mod pix;
pub mod pixm;
pub mod pixv3;
pub mod pmir;
pub mod source;
pub mod subscribers;
pub mod wire;
pub mod xca;
pub mod xcpd;
pub mod xds;
pub mod xdsi;
pub mod xua;

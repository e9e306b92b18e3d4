//! Protocols, without IHE meaning.

pub mod hl7v2;
pub mod mllp;

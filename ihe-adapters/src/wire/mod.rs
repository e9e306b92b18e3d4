//! Protocols, without IHE meaning.

pub mod hl7v2;
pub mod mllp;
pub mod namespaces;
pub mod xml;

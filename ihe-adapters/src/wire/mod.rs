//! Protocols, without IHE meaning.

pub mod content_type;
pub mod dicom;
pub mod ebrim;
pub mod ebrs;
pub mod hl7v2;
pub mod hl7v3;
pub mod mllp;
pub mod mtom;
pub mod namespaces;
pub mod schema;
pub mod sntp;
pub mod soap;
pub mod xml;

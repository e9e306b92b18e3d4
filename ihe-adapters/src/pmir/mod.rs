//! PMIR 1.5: patients by FHIR messages, as a Patient Identity Registry.
//!
//! - `message` reads a message; `feed` is ITI-93: what its entries mean for the records
//!   of the index, and that they become so, all or none.
//! - `response` is the message that answers it.
//! - `subscription` is ITI-94: who wants to be told of whom; `told` is what is sent then.
//! - [`capabilities`]: what of it stands in the CapabilityStatement.
//!
//! The ids of Patients in a message are those of the master domain, and so the
//! ids of here: a record that is new is stored under its id. A record that is known by its
//! identifier, from whatever wire, stays where it is.
//!
//! Spec: <https://profiles.ihe.net/ITI/PMIR/>

pub mod capabilities;
pub(crate) mod entries;
pub(crate) mod feed;
pub(crate) mod message;
pub(crate) mod response;
pub(crate) mod subscription;
pub(crate) mod told;

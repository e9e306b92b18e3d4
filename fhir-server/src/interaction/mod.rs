//! What the server does, free of HTTP: one file per interaction, and one gate.
//!
//! A write goes three steps, whether alone or in a transaction: **resolve**
//! (which resource does each entry mean, on a snapshot), **prepare** (rewrite
//! references, extract the index, write the body) and **apply** (in the
//! writer, where the conditions are resolved again).
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

mod accessed;
pub(crate) mod append_only;
mod batch;
pub(crate) mod binary;
mod bundle;
mod capabilities;
mod create;
mod delete;
pub(crate) mod entry;
mod history;
mod once;
mod patch;
mod perform;
mod prepare;
mod publish;
mod read;
pub mod recording;
mod transaction;
pub(crate) mod unit;
mod update;
pub(crate) mod url;
pub mod validation;
mod vread;

pub use perform::Server;

#[cfg(test)]
pub(crate) mod tests {
    mod content;
    mod custom;
    mod matched;
    mod once;
    mod recorded;
    pub(crate) mod running;
    mod source;
}

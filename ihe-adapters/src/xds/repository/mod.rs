//! The document repository: the bytes of documents, and their registration.
//!
//! - [`provide_and_register`] is ITI-41.
//! - [`retrieve_document_set`] is ITI-43.

pub mod provide_and_register;
pub mod retrieve_document_set;

//! The document repository: the bytes of documents, and their registration.
//!
//! - [`provide_and_register`] is ITI-41.
//! - [`retrieve_document_set`] is ITI-43.
//! - [`remove_documents`] is ITI-86.

pub mod provide_and_register;
pub mod remove_documents;
pub mod retrieve_document_set;

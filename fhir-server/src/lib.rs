//! Lanterna's FHIR R4 server: storage, index, search, interactions and REST.
//!
//! A request's way is `rest` (HTTP) to `interaction` (HTTP-free, the one gate)
//! to `search`, `index` and `storage`, and back.

pub mod index;
pub mod search;
pub mod storage;

//! Lanterna's FHIR R4 server: storage, index, search, interactions and REST.
//!
//! A request's way is `rest` (HTTP) to `interaction` (HTTP-free, the one gate)
//! to `search`, `index` and `storage`, and back.

pub mod alignment;
pub mod audit;
pub mod bench;
pub mod clock;
pub mod command;
pub mod config;
pub mod documents;
pub mod feed;
pub mod health;
pub mod identity;
pub mod import;
pub mod index;
pub mod interaction;
pub mod knowledge;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod mllp;
mod operation;
pub mod outbox;
mod page;
pub mod peers;
pub mod rest;
pub mod search;
pub mod shutdown;
pub mod storage;
pub mod subscribers;
pub mod subscription;
pub mod tls;

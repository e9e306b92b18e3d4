//! The storage: resources, their versions and their index, on SQLite.
//!
//! - One thread writes ([`Store::write`]): it commits together what arrived
//!   while the last commit was syncing, and answers after the commit is durable.
//! - Readers ([`Store::read`], [`Store::read_here`]) see the last commit and
//!   never wait for the writer.
//! - A body is stored as it will be served, without the version and time that
//!   [`StoredResource::write_json`] puts in.
//! - The index tables hold what [`crate::index::row`] makes; an update writes
//!   only the difference.
//!
//! What differs between databases is in `dialect` and in `migrations/`.
//! Nothing here knows of HTTP, FHIRPath or search parameters.

mod body;
mod checkpoint;
mod clock;
mod dialect;
mod error;
mod history;
mod index_tables;
mod migration;
mod packed;
mod reader;
mod resource;
mod schema;
mod statement;
mod statistics;
mod store;
mod unit;
mod writer;

#[cfg(test)]
mod tests;

pub use body::StoredBody;
pub use clock::Clock;
pub use error::{Full, StorageError};
pub use history::{HistoryQuery, HistoryScope};
pub use reader::{RESOURCE_COLUMNS, Reader};
pub use resource::{Change, Effect, Head, Operation, PreparedResource, StoredResource, Written};
pub use statement::{Bind, RenderedSql, SearchRow};
pub use statistics::Statistics;
pub use store::{Store, StoreOptions};
pub use unit::WriteUnit;
pub use writer::Committed;

//! Storage: one relational schema, one writer that groups what it commits,
//! readers that never wait for it.
//!
//! [`Store`] is the way in. Writes are jobs on a [`WriteUnit`]; they are
//! answered when they are durable. The schema stands in
//! `migrations/sqlite`; what is particular to SQLite in `sqlite.rs`.
//!
//! This module knows nothing of search: it stores the rows that the index made
//! (`index/row.rs`) and runs the statements that `search/render.rs` wrote.

mod body;
mod cache;
mod check;
mod checkpoint;
mod clock;
mod closure;
mod content;
mod counts;
mod crash;
mod dictionary;
mod error;
mod inbound;
mod index_tables;
mod once;
mod outbox;
mod packed;
mod person;
mod published;
mod read;
mod reindex;
mod resource;
mod schema;
mod sql;
mod sqlite;
mod store;
mod write;
mod writer;

pub use body::StoredBody;
pub use check::Checked;
pub use closure::{
    ClosureConcept, ClosureRelation, StoredClosure, closure_concepts, closure_count, closure_named,
    closure_relations_since,
};
pub use content::{content_of, is_content};
pub use dictionary::Dictionaries;
pub use error::StorageError;
pub use inbound::{SetAside, inbound_lengths, messages_set_aside};
pub use once::{KeptOnce, kept_once};
pub use outbox::{QueuedMessage, Waiting, queue_lengths, queued_message, queued_messages, waiting_messages};
pub use person::{in_blocks, name_counts, persons};
pub use published::{own_resources_after, published};
pub use read::{HistoryBounds, HistoryScope, RESOURCE_COLUMNS, Reads};
pub use reindex::{
    StaleType, StoredParameter, count_after, resource_numbered, resources_after, resources_numbered,
    stale_types, stored_parameters,
};
pub use resource::{Effect, Operation, PreparedResource, StoredResource, Written};
pub use sql::{Bind, RenderedSql};
pub use sqlite::Connection;
pub use store::{Reader, Store, StoreSettings, read_beside};
pub use write::WriteUnit;
pub use writer::{Observer, WriterStatistics};

#[cfg(test)]
mod tests;

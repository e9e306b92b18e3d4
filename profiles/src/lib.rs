//! What a resource must look like: packages of definitions now; snapshots,
//! validation, terminology and maps build on them.
//!
//! Knows no HTTP and no SQL.

pub mod package;

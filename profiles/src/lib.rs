//! What a resource must look like: packages of definitions, snapshots,
//! validation, terminology and maps.
//!
//! Knows no HTTP and no SQL.

pub mod definitions;
pub mod mapping;
pub mod package;
pub mod snapshot;
pub mod terminology;
pub mod validate;

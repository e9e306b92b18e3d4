//! The index: what of a resource can be searched for.

pub mod row;

pub mod extract;

pub mod reindex;

//! What is particular to Italy.

pub mod identifiers;

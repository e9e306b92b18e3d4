//! What is particular to Italy.
//!
//! - [`ana`] is the national registry of assisted persons.
//! - [`identifiers`] are those of persons, and what they say.

pub mod ana;
pub mod identifiers;

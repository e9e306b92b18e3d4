//! The national infrastructures of Italy.
//!
//! - [`ana`] is the registry of assisted persons.

pub mod ana;

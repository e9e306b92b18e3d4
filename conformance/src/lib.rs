//! The official test material, run against Lanterna: suites, and the table
//! that they are held to.

pub mod suite;
pub mod table;

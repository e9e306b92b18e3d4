//! The official test material, run against Lanterna: suites, and the table
//! that they are held to; and broken in every way, to fuzz it.

pub mod fuzz;
pub mod suite;
pub mod table;

//! The official test material, run against Lanterna: suites, and the table
//! that they are held to; and broken in every way, to fuzz it. Peers stand for
//! systems that cannot be reached from here.

pub mod fuzz;
pub mod peer;
pub mod suite;
pub mod table;

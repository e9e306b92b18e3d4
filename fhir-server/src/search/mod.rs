//! Search: which parameters there are, what their values mean, and how they
//! are answered, from `name=value` pairs to a searchset Bundle.
//!
//! The stages are values, and only the last touches the stores:
//!
//! 1. [`parse`]: pairs to a [`Query`] of conditions over the index, with
//!    [`chain`], [`filter`], [`mod@include`], [`sort`] and [`page`] for their parts.
//!    [`registry`] knows the parameters, and one file per type in [`parameter`]
//!    makes values into what they ask of the index.
//!    [`merges`] lets those that are asked for stand for whom they were merged with.
//! 2. [`plan`]: which condition drives, and what is checked; [`explain`] prints it.
//! 3. [`render`]: the plan as SQL with binds. No other file knows tables.
//! 4. [`execute`]: runs it and writes the Bundle ([`searchset`]).
//!
//! Authorization is not done here: who may see what is added to the
//! conditions by the caller.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html>

pub mod chain;
pub mod codes;
pub mod condition;
pub mod custom;
pub mod definition;
pub mod error;
pub mod execute;
pub mod explain;
pub mod filter;
mod forms;
pub mod include;
mod included;
pub mod limits;
mod meaning;
pub mod merges;
pub mod page;
pub mod parameter;
pub mod parse;
pub mod plan;
pub mod registry;
pub mod render;
mod rows;
mod scan;
pub mod searchset;
pub mod sort;
mod then;
pub mod ucum;
pub mod words;

pub use error::SearchError;
pub use execute::Search;
pub use limits::SearchLimits;
pub use parse::{Query, Total};

#[cfg(test)]
mod tests;

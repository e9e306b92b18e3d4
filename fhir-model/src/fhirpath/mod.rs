//! FHIRPath: expressions compiled once and evaluated on the resource tree.
//!
//! [`Expression::parse`] resolves element names and types to numbers, so that
//! following a path compares numbers; [`Expression::evaluate`] walks the tree
//! and gives elements of it, without copying. Functions that need more than
//! the resource (terminology, profiles, other resources, unit conversion) ask
//! the [`Context`] for it, and fail with a typed error where it has nothing.
//!
//! Everything is bounded: text and nesting when compiling, steps, items and
//! text lengths ([`Limits`]) when evaluating.
//!
//! Spec: <http://hl7.org/fhirpath/N1/> and
//! <https://hl7.org/fhir/R4/fhirpath.html>

pub mod ast;
mod check;
mod context;
mod distinct;
mod equality;
mod error;
mod evaluate;
mod expression;
mod external;
mod functions;
mod lex;
mod operators;
mod parse;
mod quantity;
mod temporal;
#[cfg(test)]
mod tests;
mod types;
mod units;
mod value;

pub use context::{Conformance, Context, Limits, Names, Resolve, Resolved, Terminology, Trace, Units};
pub use error::{CheckError, EvaluateError, ParseError, ParseErrorKind};
pub use expression::{DEPTH_MAX, Expression, LENGTH_MAX};
pub use external::{External, ExternalTree};
pub use functions::Function;
pub use types::{Namespace, SystemType, TypeInfo, TypeSpecifier};
pub use value::{CalendarUnit, Collection, PartialTime, Quantity, Unit, Value};

//! Loaders of code tables: LOINC, ICD-9-CM, ATC, AIC and the national tables
//! become CodeSystem resources.
//!
//! Tables come as CSV, in several encodings, and with rows that are wrong.
//! What can be repaired is repaired and told; what cannot be is left out and
//! told, with file and line. The tables are read as streams; what is kept is
//! the concepts.
//!
//! - [`form`]: which table is it, and reading files of it.
//! - [`table`]: rows of a CSV file; [`encoding`]: what its bytes mean.
//! - [`code_table`]: the concepts, and the CodeSystem they make.
//! - `national`, `loinc`, `icd9cm`, `atc`, `aic`: one table each.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem.html>

mod aic;
mod atc;
pub mod code_table;
pub mod encoding;
pub mod error;
pub mod form;
mod icd9cm;
mod loinc;
mod national;
pub mod table;

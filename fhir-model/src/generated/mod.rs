//! Tables generated from the FHIR R4 core package; see `fhir-model/codegen`.
//! Everything here but this file is generated.

#[rustfmt::skip]
pub(crate) mod compartments;
#[rustfmt::skip]
pub(crate) mod names;
#[rustfmt::skip]
pub(crate) mod search_parameters;
#[rustfmt::skip]
pub(crate) mod type_ids;
#[rustfmt::skip]
pub(crate) mod types;
#[rustfmt::skip]
pub(crate) mod value_sets;

//! PDQm 3.1: who is known by such demographics, by FHIR REST, as a Patient
//! Demographics Supplier.
//!
//! ITI-78 is a search of FHIR for Patients, and stays one: `demographics_query`
//! adds what PDQm says of identifier domains. A Patient who was merged into
//! another is found as every other, with `active` false, which is one of the
//! choices of ITI-78; who wants only those that count asks for `active=true`. ITI-119 is
//! `Patient/$match`, which the server has itself.
//!
//! Spec: <https://profiles.ihe.net/ITI/PDQm/>

pub mod capabilities;
pub(crate) mod demographics_query;

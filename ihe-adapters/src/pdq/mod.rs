//! Patient Demographics Query by HL7 v2: who is known by such a name, birth
//! date, address or visit.
//!
//! Nothing is kept between the answers to a query: the pointer by which it
//! goes on says where ([`continuation`]).
//!
//! - [`question`]: what a query asks.
//! - [`pid`], [`pv1`]: a patient and a visit, as they are told.
//! - [`visits`]: which visits are meant.
//!
//! Spec: ITI TF-1 8, ITI TF-2 3.21, 3.22

pub mod continuation;
pub mod patient_demographics_and_visit_query;
pub mod patient_demographics_query;
pub mod pid;
pub mod pv1;
pub mod question;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
pub mod visits;

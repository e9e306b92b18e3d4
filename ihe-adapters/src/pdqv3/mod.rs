//! Demographics by HL7 v3 (PDQV3): who is known by such a name, birth date
//! and the like.
//!
//! - [`question`]: what a query asks, for PDQV3 and XCPD alike.
//! - ITI-47: [`demographics_query`].
//! - [`continuation`]: queries whose results are given out bit by bit.
//!
//! Spec: ITI TF-1 24

pub mod continuation;
pub mod demographics_query;
pub mod question;

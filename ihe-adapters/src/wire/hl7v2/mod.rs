//! HL7 v2 messages, read and written without loss.
//!
//! A [`message::Message`] keeps each field as it was written, and takes it
//! apart when asked, so that what is not understood is still passed on.
//!
//! Spec: HL7 v2.5.1 chapter 2.

pub mod escape;
pub mod message;

//! HL7 v2 messages, read and written without loss.
//!
//! A [`message::Message`] keeps each field as it was written, and takes it
//! apart when asked, so that what is not understood is still passed on.
//!
//! - [`delimiters`]: what takes a message apart.
//! - [`message`], [`segment`], [`part`]: the message down to its sub-components.
//! - [`escape`]: how delimiters and other characters stand in text.
//! - [`charset`]: from bytes to text and back.
//! - [`location`], [`problem`]: what is wrong, where.
//! - [`acknowledgement`]: how that is told.
//! - [`query`]: what is asked, and answered.
//! - [`compose`]: fields made of parts.
//!
//! Spec: HL7 v2.5.1 chapter 2.

pub mod acknowledgement;
pub mod charset;
pub mod compose;
pub mod delimiters;
pub mod escape;
pub mod location;
pub mod message;
pub mod part;
pub mod problem;
pub mod query;
pub mod segment;
#[cfg(test)]
mod tests;

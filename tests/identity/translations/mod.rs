//! The pairs of messages that IPF translates into each other, each sent as it
//! is: what a source tells by HL7 v2 to one server and by HL7 v3 to another is
//! the same at all doors of both; the same question by HL7 v2, by HL7 v3 and by
//! FHIR gives the same persons.
//!
//! A10 and the notifications of changes have no message of HL7 v3 beside them
//! and are not compared; nor is Ack.xml, which is an answer without a patient.
//!
//! What only one message of a pair says stands in the tables: the
//! translations leave out what their authors did not need.
//!
//! - `samples`: the messages.
//! - `doors`: a server, and what is asked there.
//! - `told`: what is told of a person, as statements.
//! - `feeds`: messages of sources, and the persons of answers.
//! - `merges`: that two records are of one person.
//! - `questions`: queries of PDQ and PIX.

mod doors;
mod feeds;
mod merges;
mod questions;
mod samples;
mod told;

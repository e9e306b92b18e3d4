//! Who subscribed is told of what changes, by the wire that he chose.

mod consumer;
mod consumers;
mod identifiers;
mod pmir;
mod told;

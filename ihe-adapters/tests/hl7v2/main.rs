//! HL7 v2 messages and what becomes of them.
//!
//! `messages` holds messages of our own, `golden` what they become, reviewed by
//! hand against the HL7 v2-to-FHIR guide; `samples.json` holds facts of what
//! others' messages become. `GOLDEN=write` writes them anew, to be reviewed again.

mod conveyed;
mod events;
mod mutated;
mod round_trip;
mod samples;
mod setting;
mod valid;

//! The review list as a page: who has to decide sees two records side by side,
//! what of them agrees and how much that says, and decides.
//!
//! A page is made of what FHIR answers, and what is decided becomes
//! interactions of FHIR: `listed` asks for Tasks, `listing` shows them with
//! what records say (`record`), `answered` reads the form of a decision. Texts in English and
//! Italian are in `words`. There is no script, and nothing is fetched.

mod answered;
mod frame;
mod listed;
mod listing;
mod record;
mod words;

pub(crate) use answered::{Answered, DECISION_FORM_BYTES_MAX};
pub(crate) use frame::{content_security_policy, failure};
pub(crate) use listed::Listed;
pub(crate) use listing::{Seen, page};
pub(crate) use words::{Words, words};

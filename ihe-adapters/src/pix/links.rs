//! A source says that two records are of one person, or that they are not.
//!
//! That is a decision: what records say of themselves does not change it. The
//! operation `Patient/$link` of this server makes it, in the transaction of the message.
//!
//! Spec: HL7 v2.5.1 sections 3.3.24 and 3.3.37, ITI TF-2 3.30.4.4

use serde_json::json;

use super::held::{At, Held};
use super::refusal::Refusal;

/// Why a decision was made, for who reads it later.
const REASONS: [&str; 2] = ["a source unlinked the two (A37)", "a source linked the two (A24)"];

impl Held<'_> {
    /// Decides whether two records are of one person.
    ///
    /// # Errors
    /// When they are one record.
    pub(super) fn link(&mut self, one: At, other: At, is_same: bool) -> Result<(), Refusal> {
        if one == other {
            return Err(Refusal::Merge("a patient cannot be linked with himself".to_owned()));
        }
        let parameters = [
            json!({ "name": "patient", "valueReference": self.reference(one) }),
            json!({ "name": "other", "valueReference": self.reference(other) }),
            json!({ "name": "same", "valueBoolean": is_same }),
            json!({ "name": "reason", "valueString": REASONS[usize::from(is_same)] }),
        ];
        self.call("link", &parameters);
        Ok(())
    }
}

//! How far subscribers were told, as it is noted beside what they are told of.

use std::collections::BTreeMap;

use fhir_model::primitive::instant::Instant;
use serde_json::{Value, json};

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Up to where those were told who are not behind.
    pub(super) told: Instant,
    /// Up to where the others were, by the ids of their subscriptions.
    pub(super) behind: BTreeMap<String, Instant>,
    has_changed: bool,
    is_urgent: bool,
}

impl From<Instant> for Progress {
    fn from(told: Instant) -> Progress {
        Progress { told, ..Progress::default() }
    }
}

impl Progress {
    /// Reads a note; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Progress> {
        let value: Value = serde_json::from_str(text).ok()?;
        let told = Instant(value["told"].as_i64()?);
        let behind = value["behind"].as_object()?;
        let behind = behind.iter().map(|(id, at)| Some((id.clone(), Instant(at.as_i64()?))));
        Some(Progress { behind: behind.collect::<Option<_>>()?, ..Progress::from(told) })
    }

    /// Writes the note.
    pub(super) fn to_text(&self) -> String {
        let behind: serde_json::Map<String, Value> =
            self.behind.iter().map(|(id, at)| (id.clone(), json!(at.0))).collect();
        json!({ "told": self.told.0, "behind": behind }).to_string()
    }

    /// Says up to where those were told who are not behind. `was_sent`: somebody got a message,
    /// which would come again if this were not noted.
    pub(super) fn tell_to(&mut self, at: Instant, was_sent: bool) {
        self.told = at;
        self.has_changed = true;
        self.is_urgent |= was_sent;
    }

    /// Says that somebody is behind.
    pub(super) fn behind(&mut self, id: &str, at: Instant) {
        self.behind.insert(id.to_owned(), at);
        (self.has_changed, self.is_urgent) = (true, true);
    }

    /// Says that somebody is not behind any more, or waits for nothing.
    pub(super) fn caught_up(&mut self, id: &str) {
        if self.behind.remove(id).is_some() {
            (self.has_changed, self.is_urgent) = (true, true);
        }
    }

    /// Tells whether it is other than what was noted.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Tells whether it should be noted at once.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// Says that it was noted.
    pub(super) fn noted(&mut self) {
        (self.has_changed, self.is_urgent) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_how_far_it_has_come() {
        let mut progress = Progress::from(Instant(7));
        assert!(!progress.has_changed());
        progress.behind("a", Instant(3));
        progress.behind("b", Instant(4));
        progress.caught_up("b");
        progress.tell_to(Instant(9), false);
        assert!(progress.has_changed() && progress.is_urgent());
        progress.noted();
        let read = Progress::parse(&progress.to_text()).expect("a note");
        assert_eq!(read, progress);
        assert_eq!(
            (read.told, read.behind.get("a").copied(), read.behind.len()),
            (Instant(9), Some(Instant(3)), 1)
        );
        for wrong in ["", "{}", "{\"told\":1}", "{\"told\":1,\"behind\":{\"a\":\"x\"}}"] {
            assert_eq!(Progress::parse(wrong), None, "{wrong}");
        }
    }
}

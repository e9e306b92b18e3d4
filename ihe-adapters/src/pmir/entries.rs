//! What the changes of a message become: entries of one transaction.
//!
//! Whatever a message calls a patient by (his id, its fullUrl) is put right in all
//! entries, once it is clear where he is stored.

use serde_json::Value;

use crate::pix::records::refer;

/// What is to be done for a message.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The entries of the transaction.
    pub(super) entries: Vec<Value>,
    /// The patients that it is about: their places, or the fullUrls of those that are new.
    pub(super) patients: Vec<String>,
    pub(super) merges: Vec<Merge>,
    /// The records whose merge is taken back.
    pub(super) unmerges: Vec<String>,
    /// How others call a resource, and where it is.
    names: Vec<(String, String)>,
}

/// A record that was merged into another.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) source: String,
    pub(super) target: String,
    /// What is said of the one who was merged away.
    pub(super) told: crate::pix::told::Told,
    /// The link that says so.
    pub(super) link: Value,
    /// Where it stands in the message.
    pub(super) place: String,
    /// Whether it is so already.
    pub(super) is_done: bool,
}

impl Plan {
    /// Notes where a resource is that the message calls by these names.
    pub(super) fn name(&mut self, names: impl IntoIterator<Item = String>, place: &str) {
        let others = names.into_iter().filter(|name| name != place && !name.is_empty());
        self.names.extend(others.map(|name| (name, place.to_owned())));
    }

    /// Notes a patient that the message is about.
    pub(super) fn tell_of(&mut self, place: String) {
        if !self.patients.contains(&place) {
            self.patients.push(place);
        }
    }

    /// Puts the references between resources of the message right.
    pub(super) fn refer(&mut self) {
        for entry in &mut self.entries {
            if let Some(resource) = entry.get_mut("resource") {
                self.names.iter().for_each(|(name, place)| refer(resource, name, place));
            }
        }
    }
}

//! What a message tells of records, and of what they are known by: all of it becomes
//! so in one transaction, or nothing does.
//!
//! Spec: HL7 v2.5.1 section 2.9.2.2 (a message is accepted as a whole), ITI TF-2 3.8.4,
//! 3.30.4, 3.44.4

use fhir_model::interaction::{Caller, Performed};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::domains::DomainError;
use super::held::{At, Held};
use super::records::{Fed, Feed, TRIES, conditional, is_race};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex};

/// What happens to identifiers of patients; each is an Identifier of FHIR.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The record of one is merged into that of another (A40).
    Merge {
        /// Who is not known any more.
        subsumed: Value,
        /// Who is left.
        survivor: Value,
    },
    /// Identifiers move from one record to another (A43).
    Move {
        /// Who had them.
        from: Value,
        /// Who has them now.
        to: Value,
    },
    /// Two records are of one person (A24), or are not (A37).
    Link {
        /// One of them.
        one: Value,
        /// The other.
        other: Value,
        /// Whether they are.
        is_same: bool,
    },
    /// A record has another identifier (A47).
    Rename {
        /// What it was.
        from: Value,
        /// What it is.
        to: Value,
    },
}

/// What a message tells of one record: what happens to identifiers, and how it is then.
#[derive(Debug, Clone)]
pub struct Telling {
    /// What happens to identifiers, in its order.
    pub changes: Vec<Change>,
    /// How the record is.
    pub feed: Feed,
}

/// What became of a message.
#[derive(Debug, Clone)]
pub struct Told {
    /// What became of each record, in their order.
    pub fed: Vec<Fed>,
    /// What the transaction led to, where something was to be stored.
    pub performed: Option<Performed>,
}

/// What of a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What happens to identifiers.
    Change,
    /// How the record is.
    Record,
}

/// Why nothing of a message has become so.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    /// Which of the records that it tells of, counted from 0.
    pub part: usize,
    /// What of it.
    pub about: About,
    /// Why.
    pub refusal: Refusal,
}

impl PatientIndex<'_> {
    /// Makes what a message tells so: in one transaction with what comes beside it, or
    /// nothing of it. `outdated`: as whom it is stored where something newer was told of a
    /// record before, since that may be answered in another way ([`Caller::once`]).
    ///
    /// # Errors
    /// What of it is refused, and why.
    pub async fn tell(&self, all: &[Telling], outdated: &Caller) -> Result<Told, Refused> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.tell_once(all, outdated).await {
                Err(Refused { refusal: Refusal::Fhir(issue), .. }) if is_race(&issue) && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn tell_once(&self, all: &[Telling], outdated: &Caller) -> Result<Told, Refused> {
        let mut held = Held::new(*self);
        // What comes beside one record may refer to the others.
        let mut beside: Vec<Value> = all.iter().flat_map(|telling| telling.feed.beside.clone()).collect();
        let contents = all.iter().flat_map(|telling| telling.feed.contents.clone()).collect();
        let mut fed = Vec::with_capacity(all.len());
        // Which record a call of an operation is told with.
        let mut parts = Vec::new();
        for (part, Telling { changes, feed }) in all.iter().enumerate() {
            for change in changes {
                let changed = held.change_identifiers(change, feed.at, &mut beside).await;
                changed.map_err(|refusal| Refused { part, about: About::Change, refusal })?;
            }
            parts.resize(held.calls(), part);
            let told = held.tell(feed, &mut beside).await;
            fed.push(told.map_err(|refusal| Refused { part, about: About::Record, refusal })?);
        }
        let is_outdated = fed.iter().any(|(of, _): &(Fed, At)| of.is_outdated);
        let caller = if is_outdated { outdated } else { self.fhir.caller };
        match held.store(beside, contents, caller).await {
            Ok(stored) => {
                let of = |(mut fed, at): (Fed, At)| {
                    fed.patient = stored.id(at);
                    fed
                };
                let fed = fed.into_iter().map(of).collect();
                Ok(Told { fed, performed: stored.performed })
            }
            Err((call, refusal)) => {
                let part = call.and_then(|call| parts.get(call).copied());
                let about = if part.is_some() { About::Change } else { About::Record };
                Err(Refused { part: part.unwrap_or_default(), about, refusal })
            }
        }
    }
}

impl Held<'_> {
    /// Stores what is told of a record among what is held.
    async fn tell(&mut self, feed: &Feed, beside: &mut [Value]) -> Result<(Fed, At), Refusal> {
        let key = self.index.key_of(&feed.patient)?;
        self.feed(&key, feed, beside).await
    }

    /// Changes by which identifiers records are known. `beside` may refer to one who is merged
    /// away by his identifier.
    async fn change_identifiers(
        &mut self,
        change: &Change,
        at: Option<Timestamp>,
        beside: &mut [Value],
    ) -> Result<(), Refusal> {
        match change {
            Change::Merge { subsumed, survivor } => {
                let (subsumed, survivor) = (identifier(subsumed)?, identifier(survivor)?);
                let (source, _) = self.merge_of(&subsumed, &survivor, at).await?;
                self.refer(beside, &conditional(&subsumed), source);
            }
            Change::Link { one, other, is_same } => {
                let (one, other) =
                    (self.known(&identifier(one)?).await?, self.known(&identifier(other)?).await?);
                self.link(one, other, *is_same)?;
            }
            Change::Rename { from, to } => {
                let record = self.known(&identifier(from)?).await?;
                self.change(record, |record| {
                    retire(record, from);
                    add(record, to);
                });
            }
            Change::Move { from, to } => {
                let source = self.known(&identifier(from)?).await?;
                let target = self.known(&identifier(to)?).await?;
                if source != target {
                    self.change(source, |record| retire(record, from));
                    self.change(target, |record| add(record, from));
                }
            }
        }
        Ok(())
    }

    /// Merges the record of one identifier into that of another; returns the two.
    pub(super) async fn merge_of(
        &mut self,
        subsumed: &Identifier,
        survivor: &Identifier,
        at: Option<Timestamp>,
    ) -> Result<(At, At), Refusal> {
        let (source, target) = (self.known(subsumed).await?, self.known(survivor).await?);
        if source == target {
            return Err(Refusal::Merge("a patient cannot be merged into himself".to_owned()));
        }
        self.merge(source, target, at, &Value::Null);
        Ok((source, target))
    }

    /// Returns the record that has an identifier.
    async fn known(&mut self, key: &Identifier) -> Result<At, Refusal> {
        self.index.domains.by_system(&key.system).ok_or(DomainError::Unknown)?;
        self.find(key).await?.ok_or(Refusal::UnknownIdentifier)
    }
}

/// Reads an Identifier of FHIR.
///
/// # Errors
/// When it has no system, or no value.
pub(crate) fn identifier(of: &Value) -> Result<Identifier, Refusal> {
    match (of["system"].as_str(), of["value"].as_str()) {
        (Some(system), Some(value)) => Ok(Identifier::new(system, value)),
        _ => Err(Refusal::NoIdentifier),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    one["system"] == other["system"] && one["value"] == other["value"]
}

/// Says of a record that an identifier is not in use any more.
fn retire(record: &mut Value, gone: &Value) {
    for identifier in record["identifier"].as_array_mut().into_iter().flatten() {
        if is_same(identifier, gone) {
            identifier["use"] = json!("old");
        }
    }
}

/// Adds an identifier to a record.
fn add(record: &mut Value, added: &Value) {
    if let Some(all) = record["identifier"].as_array_mut() {
        all.retain(|identifier| !is_same(identifier, added));
        all.push(added.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_and_go() {
        let (one, other) = (json!({ "system": "s", "value": "1" }), json!({ "system": "s", "value": "2" }));
        let mut record = json!({ "identifier": [one] });
        retire(&mut record, &one);
        add(&mut record, &other);
        let old = json!({ "system": "s", "value": "1", "use": "old" });
        assert_eq!(record, json!({ "identifier": [old, other] }));
        add(&mut record, &one);
        assert_eq!(record["identifier"], json!([other, one]));
    }
}

//! What becomes of a record that changed: which ties it gets, which it loses,
//! and about what somebody is asked.
//!
//! - A record that was merged away gets no ties. Those that it has stay, while
//!   their reason does.
//! - Records are tied because what they say makes them of one person. No two
//!   that were decided to be different become one by that: then somebody is
//!   asked, about each pair.
//! - Ties that nobody but the linker made go when their reason has gone.
//! - What was decided is done, whatever the records say.

use std::collections::BTreeSet;

use fhir_model::interaction::VersionId;
use fhir_model::outcome::Issue;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Index;
use super::evidence::{Found, Verdict};
use super::held::Held;
use super::links::{self, Link, Origin, Tie, is_subsumed, links};
use super::review::{self, Decision, Grounds};

/// How many records one is tied to by the linker: with more it is known already whose they are.
const LINKS_MAX: usize = 50;

/// A record that was looked at, and what was found.
pub(crate) struct Examined {
    id: String,
    version: VersionId,
    /// With their versions, of which the verdict is.
    found: Vec<(Found, VersionId)>,
}

/// How much came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) linked: u64,
    pub(crate) unlinked: u64,
    pub(crate) asked: u64,
}

/// Finds what may be said of a record; `None` when it takes no part.
///
/// # Errors
/// When the database fails.
pub(crate) fn examine(held: &mut Held<'_>, index: &Index, id: &str) -> Result<Option<Examined>, Issue> {
    let Some(version) = held.version(id)? else { return Ok(None) };
    let Some(patient) = held.patient(id)?.cloned() else {
        return Ok(Some(Examined { id: id.to_owned(), version, found: Vec::new() }));
    };
    let takes_part = index.takes_part(&patient);
    if !takes_part && links(&patient).is_empty() && held.tied_to(id)?.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    if takes_part && !is_subsumed(&patient) {
        for candidate in index.evidence.candidates(held, id)? {
            let Some(version) = held.version(&candidate.other)? else { continue };
            let other = held.patient(&candidate.other)?;
            if other.is_some_and(|other| index.takes_part(other) && !is_subsumed(other)) {
                found.push((candidate, version));
            }
        }
    }
    Ok(Some(Examined { id: id.to_owned(), version, found }))
}

/// Decides what becomes of records that were looked at. What has changed since
/// is left to when that change is looked at.
///
/// # Errors
/// When the database fails.
pub(crate) fn settle(held: &mut Held<'_>, index: &Index, all: &[Examined]) -> Result<Tally, Issue> {
    let mut settling = Settling { held, index, now: Timestamp::now().to_string(), tally: Tally::default() };
    for examined in all {
        if settling.held.version(&examined.id)? == Some(examined.version) {
            settling.record(examined)?;
        }
    }
    Ok(settling.tally)
}

struct Settling<'s, 'v> {
    held: &'s mut Held<'v>,
    index: &'s Index,
    now: String,
    tally: Tally,
}

impl Settling<'_, '_> {
    fn record(&mut self, examined: &Examined) -> Result<(), Issue> {
        let id = examined.id.as_str();
        let Some(patient) = self.held.patient(id)?.cloned() else { return self.deleted(id) };
        let decided = review::decisions_of(self.held, id)?;
        self.take_away(id, &patient, &decided)?;
        if is_subsumed(&patient) || !self.index.takes_part(&patient) {
            return self.withdraw(id, &decided, &[]);
        }
        for (other, _) in decided.iter().filter(|(_, decision)| *decision == Decision::Same) {
            self.restore(id, other)?;
        }
        let mut fresh = Vec::new();
        for (found, version) in &examined.found {
            let is_as_found = self.held.version(&found.other)? == Some(*version);
            if is_as_found && !is_decided(&decided, &found.other) {
                fresh.push(found);
            }
        }
        self.tie(id, &fresh)?;
        self.withdraw(id, &decided, &fresh)
    }

    /// Takes away what ties others to a record that is no more.
    fn deleted(&mut self, id: &str) -> Result<(), Issue> {
        for other in self.held.tied_to(id)? {
            let is_tied = |patient: &Value| links::find(patient, Tie::SeeAlso, id).is_some();
            if self.held.patient(&other)?.is_some_and(is_tied) {
                self.held.change(&other, |patient| _ = links::remove(patient, Tie::SeeAlso, id))?;
                self.tally.unlinked += 1;
            }
        }
        let decided = review::decisions_of(self.held, id)?;
        self.withdraw(id, &decided, &[])
    }

    /// Takes away the ties that the linker made and for which nothing speaks any more.
    fn take_away(&mut self, id: &str, patient: &Value, decided: &[(String, Decision)]) -> Result<(), Issue> {
        let own = links(patient).into_iter().filter(Link::is_automatic).map(|link| link.other);
        let mut others: BTreeSet<String> = own.collect();
        // Whoever wrote it may have left the links out.
        for other in self.held.tied_to(id)? {
            let to_it = |link: &Link| link.other == id && link.is_automatic();
            if self.held.patient(&other)?.is_some_and(|other| links(other).iter().any(to_it)) {
                others.insert(other);
            }
        }
        for other in others {
            let is_different = decided.contains(&(other.clone(), Decision::Different));
            let stays = !is_different
                && self.index.takes_part(patient)
                && self.index.evidence.compare(self.held, id, &other)?.verdict == Verdict::Link;
            if !stays {
                untie(self.held, id, &other)?;
                self.tally.unlinked += 1;
            }
        }
        Ok(())
    }

    /// Ties two records again that were decided to be of one person, where a
    /// later version of one forgot it.
    fn restore(&mut self, id: &str, other: &str) -> Result<(), Issue> {
        let is_tied = |patient: &Value| links(patient).iter().any(|link| link.other == other);
        let is_there = self.held.patient(other)?.is_some_and(|other| !is_subsumed(other));
        if is_there && !self.held.patient(id)?.is_some_and(is_tied) {
            tie(self.held, (id, other), Origin::Confirmed, &Grounds::default(), &self.now)?;
            self.tally.linked += 1;
        }
        Ok(())
    }

    /// Ties a record to those with which it is of one person, or asks about them.
    fn tie(&mut self, id: &str, found: &[&Found]) -> Result<(), Issue> {
        let mut person = self.held.person(id)?;
        let mut tied = 0;
        let mut to_tie = Vec::new();
        for one in found.iter().filter(|found| found.verdict == Verdict::Link) {
            let is_tied = |patient: &Value| links(patient).iter().any(|link| link.other == one.other);
            if self.held.patient(id)?.is_some_and(is_tied) {
                tied += 1;
            } else if tied + to_tie.len() < LINKS_MAX {
                to_tie.push(*one);
            }
        }
        let before: BTreeSet<String> = person.clone();
        for one in &to_tie {
            if !person.contains(&one.other) {
                person.extend(self.held.person(&one.other)?);
            }
        }
        let conflict = match person.len() > before.len() {
            true => review::different_among(self.held, &person)?,
            false => None,
        };
        for one in to_tie {
            if conflict.is_none() || before.contains(&one.other) {
                tie(self.held, (id, &one.other), Origin::Automatic, &one.grounds, &self.now)?;
                self.tally.linked += 1;
            } else {
                let remark = Some(review::CONFLICT);
                self.ask(id, &one.other, &Grounds { remark, ..one.grounds.clone() })?;
            }
        }
        for one in found.iter().filter(|found| found.verdict == Verdict::Review) {
            if !person.contains(&one.other) {
                self.ask(id, &one.other, &one.grounds)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, id: &str, other: &str, grounds: &Grounds) -> Result<(), Issue> {
        self.tally.asked += u64::from(review::ask(self.held, (id, other), grounds, &self.now)?);
        Ok(())
    }

    /// Asks no more about those who are one by now, and those for whom nothing speaks any more.
    fn withdraw(&mut self, id: &str, decided: &[(String, Decision)], found: &[&Found]) -> Result<(), Issue> {
        for (other, _) in decided.iter().filter(|(_, decision)| *decision == Decision::Open) {
            let is_tied = |patient: &Value| links(patient).iter().any(|link| link.other == *other);
            let is_one = self.held.patient(id)?.is_some_and(is_tied);
            // What the other one said may have been found by itself.
            let speaks = found.iter().any(|found| found.other == *other)
                || self.index.evidence.compare(self.held, id, other)?.verdict != Verdict::No;
            let counts = |patient: Option<&Value>| patient.is_some_and(|patient| !is_subsumed(patient));
            let both_count = counts(self.held.patient(id)?) && counts(self.held.patient(other)?);
            if is_one || !speaks || !both_count {
                review::cancel(self.held, (id, other), &self.now)?;
            }
        }
        Ok(())
    }
}

fn is_decided(decided: &[(String, Decision)], other: &str) -> bool {
    let is_final = |decision: Decision| matches!(decision, Decision::Same | Decision::Different);
    decided.iter().any(|(one, decision)| one == other && is_final(*decision))
}

/// Ties two records, each to the other.
pub(crate) fn tie(
    held: &mut Held<'_>,
    (one, other): (&str, &str),
    origin: Origin,
    grounds: &Grounds,
    now: &str,
) -> Result<(), Issue> {
    let mut said = vec![json!({ "url": "date", "valueDateTime": now })];
    said.extend(grounds.score.map(|score| json!({ "url": "score", "valueDecimal": score })));
    for (from, to) in [(one, other), (other, one)] {
        let said = said.clone();
        held.change(from, |patient| links::add(patient, Tie::SeeAlso, to, origin, said))?;
    }
    Ok(())
}

/// Takes the tie of two records away from both.
pub(crate) fn untie(held: &mut Held<'_>, one: &str, other: &str) -> Result<(), Issue> {
    for (from, to) in [(one, other), (other, one)] {
        held.change(from, |patient| _ = links::remove(patient, Tie::SeeAlso, to))?;
    }
    Ok(())
}

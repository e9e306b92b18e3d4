//! What an index of patients should know, told as simply as it can be: records,
//! who was merged into whom, who is tied to whom, what was decided. Whatever
//! door there is, it is asked the same and has to say the same.

use std::collections::{BTreeMap, BTreeSet};

/// How many records there may be: half of them are of either source.
pub(super) const RECORDS: usize = 8;
/// How many persons there are, by the identifier that the law gives them.
pub(super) const PERSONS: usize = 3;

/// The records of sources.
const SOURCES: [&str; 2] = ["1.2.3", "1.2.4"];
/// Codici fiscali of nobody, well made.
const FISCAL_CODES: [&str; PERSONS] = ["RSSMRA70A41D969B", "BNCLRD80A01D969H", "VRDLGU80A01D969V"];

/// An identifier: system and value.
pub(super) type Identifier = (String, String);

/// The identifier of a record that its source gave.
pub(super) fn local(record: usize) -> Identifier {
    (format!("urn:oid:{}", SOURCES[record % SOURCES.len()]), format!("R{record}"))
}

/// The identifier of a person by law.
pub(super) fn fiscal_code(person: usize) -> Identifier {
    ("urn:oid:2.16.840.1.113883.2.9.4.3.2".to_owned(), FISCAL_CODES[person].to_owned())
}

/// The OIDs of the sources.
pub(super) fn sources() -> [&'static str; 2] {
    SOURCES
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A source tells of a record, and of when that is so.
    Feed { record: usize, person: Option<usize>, at: u32 },
    /// One record was merged into another.
    Merge { source: usize, target: usize, at: u32 },
    /// A merge is taken back.
    Unmerge { source: usize, at: u32 },
    /// Somebody decides about two records.
    Decide { one: usize, other: usize, is_same: bool },
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done.
    Done,
    /// It was taken, and changes nothing: something newer is known.
    Outdated,
    /// It was refused.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    person: Option<usize>,
    at: u32,
}

/// Who made a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Automatic,
    Confirmed,
}

/// Two records, the lesser number first.
type Pair = (usize, usize);

fn pair(one: usize, other: usize) -> Pair {
    (one.min(other), one.max(other))
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    records: BTreeMap<usize, Record>,
    merged_into: BTreeMap<usize, usize>,
    /// When two were merged or taken apart last.
    merged_at: BTreeMap<Pair, u32>,
    ties: BTreeMap<Pair, Origin>,
    decided: BTreeMap<Pair, bool>,
}

impl Model {
    /// Does a step. `order`: of records that one step changes, those are looked at first that stand first.
    pub(super) fn apply(&mut self, step: Step, order: &dyn Fn(usize) -> String) -> Outcome {
        let before = self.clone();
        let done = match step {
            Step::Feed { record, person, at } => self.feed(record, person, at),
            Step::Merge { source, target, at } => self.merge(source, target, at),
            Step::Unmerge { source, at } => self.unmerge(source, at),
            Step::Decide { one, other, is_same } => self.decide(one, other, is_same),
        };
        match done {
            Ok(mut changed) => {
                changed.sort_by_key(|record| order(*record));
                changed.dedup();
                changed.into_iter().for_each(|record| self.look_at(record));
                Outcome::Done
            }
            Err(outcome) => {
                *self = before;
                outcome
            }
        }
    }

    /// Returns the records that are known, those that were merged away among them.
    pub(super) fn known(&self) -> impl Iterator<Item = usize> + '_ {
        self.records.keys().copied()
    }

    /// Tells whether a record was merged into another.
    pub(super) fn is_subsumed(&self, record: usize) -> bool {
        self.merged_into.contains_key(&record)
    }

    /// Returns the other identifiers of whoever has one; `None` when nobody has it.
    pub(super) fn cross_references(&self, asked: &Identifier) -> Option<BTreeSet<Identifier>> {
        let having = self.known().filter(|record| !self.is_subsumed(*record));
        let having: Vec<usize> = having.filter(|record| self.identifiers(*record).contains(asked)).collect();
        if having.is_empty() {
            return None;
        }
        let persons = having.into_iter().flat_map(|record| self.person(record));
        let counting = persons.filter(|record| !self.is_subsumed(*record));
        let mut all: BTreeSet<Identifier> = counting.flat_map(|record| self.identifiers(record)).collect();
        all.remove(asked);
        Some(all)
    }

    /// Returns the records that are tied to one by merges alone, and that one.
    pub(super) fn merged_with(&self, record: usize) -> BTreeSet<usize> {
        self.reached(record, |model, one, other| model.is_merge(one, other))
    }

    /// Returns the records that are one person with this one.
    pub(super) fn person(&self, record: usize) -> BTreeSet<usize> {
        self.reached(record, Model::is_tied)
    }

    /// Returns two records of one person that were decided not to be.
    pub(super) fn contradiction(&self) -> Option<Pair> {
        let different = self.decided.iter().filter(|(_, is_same)| !**is_same).map(|(pair, _)| *pair);
        different.into_iter().find(|(one, other)| self.person(*one).contains(other))
    }

    fn identifiers(&self, record: usize) -> Vec<Identifier> {
        let person = self.records.get(&record).and_then(|known| known.person);
        std::iter::once(local(record)).chain(person.map(fiscal_code)).collect()
    }

    fn is_merge(&self, one: usize, other: usize) -> bool {
        self.merged_into.get(&one) == Some(&other) || self.merged_into.get(&other) == Some(&one)
    }

    fn is_tied(&self, one: usize, other: usize) -> bool {
        self.is_merge(one, other) || self.ties.contains_key(&pair(one, other))
    }

    fn is_certain(&self, one: usize, other: usize) -> bool {
        self.is_merge(one, other) || self.ties.get(&pair(one, other)) == Some(&Origin::Confirmed)
    }

    fn reached(&self, from: usize, is_tied: fn(&Model, usize, usize) -> bool) -> BTreeSet<usize> {
        let (mut seen, mut pending) = (BTreeSet::from([from]), vec![from]);
        while let Some(one) = pending.pop() {
            let next: Vec<usize> = self.known().filter(|other| is_tied(self, one, *other)).collect();
            pending.extend(next.into_iter().filter(|other| seen.insert(*other)));
        }
        seen
    }

    fn are_different_among(&self, records: &BTreeSet<usize>) -> bool {
        let is_within = |(one, other): &Pair| records.contains(one) && records.contains(other);
        self.decided.iter().any(|(pair, is_same)| !is_same && is_within(pair))
    }

    /// Tells whether two may be one, whatever both are tied to.
    fn may_be_one(&self, one: usize, other: usize) -> bool {
        let mut together = self.person(one);
        if together.contains(&other) {
            return true;
        }
        together.extend(self.person(other));
        !self.are_different_among(&together)
    }

    fn feed(&mut self, record: usize, person: Option<usize>, at: u32) -> Result<Vec<usize>, Outcome> {
        if self.is_subsumed(record) {
            return Err(Outcome::Refused);
        }
        if self.records.get(&record).is_some_and(|known| known.at > at) {
            return Err(Outcome::Outdated);
        }
        let told = Record { person, at };
        // What is told again as it is changes nothing, and nobody looks at it.
        let is_new = self.records.get(&record) != Some(&told);
        self.records.insert(record, told);
        Ok(if is_new { vec![record] } else { Vec::new() })
    }

    fn is_older(&self, one: usize, other: usize, at: u32) -> bool {
        self.merged_at.get(&pair(one, other)).is_some_and(|known| *known > at)
    }

    fn merge(&mut self, source: usize, target: usize, at: u32) -> Result<Vec<usize>, Outcome> {
        let is_there = |record: usize| self.records.contains_key(&record) && !self.is_subsumed(record);
        let may_be = source != target && is_there(source) && is_there(target);
        if !may_be || !self.may_be_one(source, target) || self.is_older(source, target, at) {
            return Err(Outcome::Refused);
        }
        self.merged_into.insert(source, target);
        self.merged_at.insert(pair(source, target), at);
        Ok(vec![source, target])
    }

    fn unmerge(&mut self, source: usize, at: u32) -> Result<Vec<usize>, Outcome> {
        let target = *self.merged_into.get(&source).ok_or(Outcome::Refused)?;
        if self.is_older(source, target, at) {
            return Err(Outcome::Refused);
        }
        self.merged_into.remove(&source);
        self.merged_at.insert(pair(source, target), at);
        Ok(vec![source, target])
    }

    fn decide(&mut self, one: usize, other: usize, is_same: bool) -> Result<Vec<usize>, Outcome> {
        let is_known = |record: usize| self.records.contains_key(&record);
        if one == other || !is_known(one) || !is_known(other) {
            return Err(Outcome::Refused);
        }
        self.decided.insert(pair(one, other), is_same);
        if is_same {
            let is_subsumed = self.is_subsumed(one) || self.is_subsumed(other);
            if is_subsumed || !self.may_be_one(one, other) {
                return Err(Outcome::Refused);
            }
            self.ties.insert(pair(one, other), Origin::Confirmed);
            return Ok(vec![one, other]);
        }
        let mut changed = Vec::new();
        if self.ties.remove(&pair(one, other)).is_some() {
            changed.extend([one, other]);
        }
        if self.reached(one, Model::is_certain).contains(&other) {
            return Err(Outcome::Refused);
        }
        if self.person(one).contains(&other) {
            let leaving = self.reached(other, Model::is_certain);
            let is_cut = |(one, other): &Pair| leaving.contains(one) != leaving.contains(other);
            let cut: Vec<Pair> = self.ties.keys().filter(|pair| is_cut(pair)).copied().collect();
            for (one, other) in cut {
                self.ties.remove(&(one, other));
                changed.extend([one, other]);
            }
        }
        Ok(changed)
    }

    fn agree(&self, one: usize, other: usize) -> bool {
        let person = |record: usize| self.records.get(&record).and_then(|known| known.person);
        person(one).is_some() && person(one) == person(other)
    }

    /// Looks at a record that changed: takes ties away that nothing speaks for, and makes those that all speaks for.
    fn look_at(&mut self, record: usize) {
        let others: Vec<usize> = self.known().filter(|other| *other != record).collect();
        for other in &others {
            let between = pair(record, *other);
            let is_automatic = self.ties.get(&between) == Some(&Origin::Automatic);
            if is_automatic && (!self.agree(record, *other) || self.decided.get(&between) == Some(&false)) {
                self.ties.remove(&between);
            }
        }
        if self.is_subsumed(record) {
            return;
        }
        let is_fresh = |other: &usize| {
            !self.is_subsumed(*other)
                && self.agree(record, *other)
                && !self.is_tied(record, *other)
                && !self.decided.contains_key(&pair(record, *other))
        };
        let fresh: Vec<usize> = others.into_iter().filter(is_fresh).collect();
        let before = self.person(record);
        let together: BTreeSet<usize> =
            fresh.iter().flat_map(|other| self.person(*other)).chain(before.iter().copied()).collect();
        let is_contrary = together.len() > before.len() && self.are_different_among(&together);
        for other in fresh {
            if !is_contrary || before.contains(&other) {
                self.ties.insert(pair(record, other), Origin::Automatic);
            }
        }
    }
}

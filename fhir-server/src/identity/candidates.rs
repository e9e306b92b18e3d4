//! Who may be the same person, of those that are stored.

use std::collections::BTreeMap;

use fhir_model::interaction::ResourceKey;

use super::blocking::{likely, unlikely};
use super::commonness::Commonness;
use super::compare::Asked;
use super::features::Features;
use super::matching::{Compared, Decision, Grade, Matcher};
use crate::index::row::EqualHash;
use crate::storage::{Reads, StorageError, StoredResource, in_blocks, persons, resources_numbered};

/// How many are compared at most, of the members of all blocks.
const COMPARED_MAX: usize = 1_000;

/// Somebody who may be the same person.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The Patient.
    pub key: ResourceKey,
    /// What speaks for it, in bits (log2).
    pub score: f64,
    /// How sure it is.
    pub grade: Grade,
    /// What is to be done.
    pub decision: Decision,
    /// What came out of each field, and why people have to decide.
    pub why: Compared,
}

/// Somebody who may be the same person, by number, and what is compared of him.
#[derive(Debug, Clone)]
pub struct Found {
    /// The number of the Patient.
    pub number: i64,
    /// What came out.
    pub compared: Compared,
    /// What is known of the Patient.
    pub features: Features,
}

/// What is wanted of those who may be the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Only those who are, and several only when they are one person themselves.
    pub only_certain: bool,
    /// So many at most.
    pub count: usize,
    /// How far one looks.
    pub depth: Depth,
}

/// How far one looks for who may be the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everywhere.
    All,
    /// Where mistakes lead to only when nobody is certain.
    UntilCertain,
}

/// Who may be the same person, as it is answered.
#[derive(Debug, Clone, Default)]
pub struct Identified {
    /// Whether enough was said of the person to look for anybody.
    pub is_described: bool,
    /// How many there are.
    pub total: usize,
    /// Those that are answered, with a score from 0 to 1.
    pub found: Vec<(StoredResource, f64, Compared)>,
}

impl Matcher {
    /// Finds who may be the same person, those for whom most speaks first. Whoever is replaced by another is
    /// left out, and so is `but`, and whoever is not even to be reviewed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn candidates(
        &self,
        data: &mut impl Reads,
        asked: &Features,
        but: Option<&ResourceKey>,
    ) -> Result<Vec<Candidate>, StorageError> {
        let found = self.find(data, asked, Depth::All)?.unwrap_or_default();
        let numbers: Vec<i64> = found.iter().map(|found| found.number).collect();
        let mut keys: BTreeMap<i64, ResourceKey> = keys(data, &numbers)?;
        let candidate = |found: Found| {
            let key = keys.remove(&found.number).filter(|key| Some(key) != but)?;
            let Compared { score, grade, decision, .. } = found.compared;
            Some(Candidate { key, score, grade, decision, why: found.compared })
        };
        Ok(found.into_iter().filter_map(candidate).collect())
    }

    /// Finds who may be the same person, with their Patients as they are stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn identify(
        &self,
        data: &mut impl Reads,
        asked: &Features,
        wanted: &Wanted,
    ) -> Result<Identified, StorageError> {
        let Some(mut found) = self.find(data, asked, wanted.depth)? else { return Ok(Identified::default()) };
        if wanted.only_certain {
            found.retain(|found| found.compared.decision == Decision::Link);
            if !self.are_one(&found) {
                found.clear();
            }
        }
        let total = found.len();
        found.truncate(wanted.count);
        let numbers: Vec<i64> = found.iter().map(|found| found.number).collect();
        let mut stored: BTreeMap<i64, StoredResource> =
            resources_numbered(data, &numbers)?.into_iter().map(|stored| (stored.number, stored)).collect();
        let whole = |found: Found| {
            let score = self.probability(found.compared.score);
            Some((stored.remove(&found.number)?, score, found.compared))
        };
        let found = found.into_iter().filter_map(whole).collect();
        Ok(Identified { is_described: true, total, found })
    }

    /// Tells whether several are one person themselves.
    fn are_one(&self, found: &[Found]) -> bool {
        let Some((first, others)) = found.split_first() else { return true };
        others.iter().all(|other| {
            let compared = self.compare(&first.features, &other.features, &Commonness::default());
            compared.decision == Decision::Link
        })
    }

    /// As [`Matcher::candidates`], by number; `None` when too little is said to look for anybody.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find(
        &self,
        data: &mut impl Reads,
        asked: &Features,
        depth: Depth,
    ) -> Result<Option<Vec<Found>>, StorageError> {
        let likely = likely(asked);
        let first = match depth {
            Depth::All => [likely.as_slice(), &unlikely(asked, &likely)].concat(),
            Depth::UntilCertain if likely.is_empty() => unlikely(asked, &likely),
            Depth::UntilCertain => likely.clone(),
        };
        if first.is_empty() {
            return Ok(None);
        }
        let numbers = self.numbers(data, &first)?;
        let common = self.commonness(data, asked)?;
        let prepared = Asked::new(asked, &common, self.weights());
        let mut found = self.compared(data, &prepared, &numbers)?;
        let is_certain = found.iter().any(|found| found.compared.decision == Decision::Link);
        if depth == Depth::UntilCertain && !is_certain {
            let mut more = self.numbers(data, &unlikely(asked, &likely))?;
            more.retain(|number| numbers.binary_search(number).is_err());
            more.truncate(COMPARED_MAX.saturating_sub(numbers.len()));
            found.append(&mut self.compared(data, &prepared, &more)?);
        }
        found.sort_by(|a, b| b.compared.score.total_cmp(&a.compared.score).then(b.number.cmp(&a.number)));
        Ok(Some(found))
    }

    /// Compares with Patients by their numbers; returns those that are not clearly of others.
    fn compared(
        &self,
        data: &mut impl Reads,
        asked: &Asked<'_>,
        numbers: &[i64],
    ) -> Result<Vec<Found>, StorageError> {
        let mut found = Vec::new();
        for (number, packed) in persons(data, numbers)? {
            let Some(features) = Features::unpack(&packed) else {
                tracing::error!(number, "what is compared of a Patient is damaged; it is left out");
                continue;
            };
            if features.is_subsumed {
                continue;
            }
            let compared = self.weigh(asked, &features);
            if compared.decision != Decision::No {
                found.push(Found { number, compared, features });
            }
        }
        Ok(found)
    }

    /// Returns who stands in blocks. A block with too many members says nothing.
    fn numbers(&self, data: &mut impl Reads, blocks: &[EqualHash]) -> Result<Vec<i64>, StorageError> {
        let most = self.weights().block_members_max;
        let members = in_blocks(data, blocks, most + 1)?;
        let mut numbers: Vec<i64> = Vec::with_capacity(members.len());
        for block in members.chunk_by(|a, b| a.0 == b.0).filter(|block| block.len() <= most) {
            numbers.extend(block.iter().map(|(_, number)| number));
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(COMPARED_MAX);
        Ok(numbers)
    }
}

fn keys(data: &mut impl Reads, numbers: &[i64]) -> Result<BTreeMap<i64, ResourceKey>, StorageError> {
    let stored = resources_numbered(data, numbers)?;
    Ok(stored.into_iter().map(|StoredResource { key, number, .. }| (number, key)).collect())
}

//! From what was compared to a decision.

use std::sync::Arc;

use super::commonness::{Commonness, Counts};
use super::compare::{Agreements, Asked};
use super::features::Features;
use super::rules::{Rule, held_by};
use super::weights::Weights;
use crate::storage::{Reads, StorageError};

/// By how much who is held stays below the threshold.
const BELOW: f64 = 1e-6;
/// How many bits a score of 1/2 to 1 covers.
const SCORE_BITS: f64 = 4.0;

/// How sure it is that two are one person, as FHIR says it.
///
/// Spec: <https://hl7.org/fhir/R4/valueset-match-grade.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// They are not.
    CertainlyNot,
    /// They may be.
    Possible,
    /// They probably are.
    Probable,
    /// They are.
    Certain,
}

impl Grade {
    /// Returns the code of FHIR.
    pub fn code(self) -> &'static str {
        match self {
            Grade::CertainlyNot => "certainly-not",
            Grade::Possible => "possible",
            Grade::Probable => "probable",
            Grade::Certain => "certain",
        }
    }
}

/// What is done with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Nothing.
    No,
    /// Somebody looks at them.
    Review,
    /// They are linked.
    Link,
}

/// What came out of comparing two.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// What speaks for one person, in bits.
    pub score: f64,
    /// How sure it is.
    pub grade: Grade,
    /// What is done.
    pub decision: Decision,
    /// What came out of each field.
    pub why: Agreements,
    /// Why they are not linked although the sum is enough.
    pub held: Option<Rule>,
}

/// Compares persons by weights; cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    weights: Arc<Weights>,
    counts: Counts,
}

impl Matcher {
    /// Makes one of weights.
    pub fn new(weights: Weights) -> Matcher {
        Matcher { weights: Arc::new(weights), counts: Counts::default() }
    }

    /// Returns the weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Returns how common the names of somebody are.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn commonness(
        &self,
        data: &mut impl Reads,
        asked: &Features,
    ) -> Result<Commonness, StorageError> {
        self.counts.of(data, asked)
    }

    /// Compares who is asked about with somebody who is stored.
    pub fn compare(&self, asked: &Features, other: &Features, common: &Commonness) -> Compared {
        self.weigh(&Asked::new(asked, common, &self.weights), other)
    }

    /// As [`Matcher::compare`], for one of many.
    pub fn weigh(&self, asked: &Asked<'_>, other: &Features) -> Compared {
        let weights = &*self.weights;
        let why = asked.compare(other);
        let sum = why.sum();
        let held = (sum >= weights.link).then(|| held_by(asked.features(), other, &why)).flatten();
        let score = if held.is_some() { weights.link - BELOW } else { sum };
        let decision = match score {
            score if score >= weights.link => Decision::Link,
            score if score >= weights.review => Decision::Review,
            _ => Decision::No,
        };
        let grade = match decision {
            Decision::Link => Grade::Certain,
            Decision::Review if score >= (weights.link + weights.review) / 2.0 => Grade::Probable,
            Decision::Review => Grade::Possible,
            Decision::No => Grade::CertainlyNot,
        };
        Compared { score, grade, decision, why, held }
    }

    /// Returns a score from 0 to 1, which orders as the bits do: 1/2 in the midst of what is reviewed.
    pub fn probability(&self, score: f64) -> f64 {
        let middle = (self.weights.link + self.weights.review) / 2.0;
        1.0 / (1.0 + (-(score - middle) / SCORE_BITS).exp2())
    }
}

//! How common names are among the Patients stored: that two have a name which many have says little.

use std::time::Duration;

use fhir_model::schema::ty;
use moka::sync::Cache;
use smallvec::SmallVec;

use super::features::Features;
use super::weights::Weights;
use crate::index::row::NameHash;
use crate::storage::{Reads, StorageError, name_counts};

/// How many names are remembered; a region has some ten thousand.
const NAMES_MAX: u64 = 50_000;
/// How long they are: what many have does not become rare meanwhile.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How many Patients have a name, of how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Those that have it.
    pub having: u64,
    /// All of them.
    pub patients: u64,
}

/// How common the names of somebody are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commonness(SmallVec<[(NameHash, Counted); 6]>);

impl FromIterator<(NameHash, Counted)> for Commonness {
    fn from_iter<T: IntoIterator<Item = (NameHash, Counted)>>(names: T) -> Commonness {
        Commonness(names.into_iter().collect())
    }
}

impl Commonness {
    /// Returns the share of Patients that have a name; `expected` as long as there are few.
    pub(super) fn share(&self, name: NameHash, expected: f64, weights: &Weights) -> f64 {
        let counted = self.0.iter().find(|(counted, _)| *counted == name);
        let Counted { having, patients } = counted.map_or_else(Counted::default, |(_, counted)| *counted);
        let all = patients as f64 + weights.known_names;
        // Without either, there is nothing to go by.
        if all < 1.0 { expected } else { ((having as f64 + weights.known_names * expected) / all).min(1.0) }
    }
}

/// Counts names, and remembers for a while what it counted.
#[derive(Debug, Clone)]
pub(super) struct Counts(Cache<NameHash, Counted>);

impl Default for Counts {
    fn default() -> Counts {
        Counts(Cache::builder().max_capacity(NAMES_MAX).time_to_live(REMEMBERED).build())
    }
}

impl Counts {
    /// Returns how common the names of somebody are.
    pub(super) fn of(&self, data: &mut impl Reads, asked: &Features) -> Result<Commonness, StorageError> {
        let mut unknown: SmallVec<[NameHash; 6]> = SmallVec::new();
        let mut known = Commonness::default();
        for name in asked.name_hashes() {
            match self.0.get(&name) {
                Some(counted) => known.0.push((name, counted)),
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            let patients = u64::try_from(data.count(Some(ty::PATIENT))?).unwrap_or(0);
            let counts = name_counts(data, &unknown)?;
            for name in unknown {
                let having =
                    counts.iter().find(|(counted, _)| *counted == name).map_or(0, |(_, count)| *count);
                let counted = Counted { having, patients };
                self.0.insert(name, counted);
                known.0.push((name, counted));
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_few_are_stored_what_is_expected_counts() {
        let weights = Weights::built_in().expect("built in");
        let (rossi, zunino) = (NameHash(1), NameHash(2));
        let of = |having, patients| -> Commonness {
            [(rossi, Counted { having, patients })].into_iter().collect()
        };
        let share = |common: &Commonness, name| common.share(name, 0.004, &weights);
        assert_eq!(share(&Commonness::default(), rossi), 0.004);
        assert_eq!(share(&of(10, 10), zunino), 0.004);
        assert!((share(&of(1, 2), rossi) - 0.0045).abs() < 0.0001);
        assert!((share(&of(10_000, 1_000_000), rossi) - 0.01).abs() < 0.0001);
        assert!(share(&of(0, 1_000_000), rossi) < 0.00001);
    }
}

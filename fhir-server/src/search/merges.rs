//! Merged patients: who asks for one of them is told of all of them.
//!
//! A Patient that is replaced by another stands for the same person, and what
//! was said of him stays where it was said. So a search that names a patient
//! (by a reference, a chain or a compartment) means each Patient that is tied
//! to him by merges, whichever of them it names. Resources are shown as they
//! are stored. The links between patients themselves, `_has`, `_include` and
//! `_revinclude` go by references as they are.
//!
//! The index holds by whom a patient is replaced. What it holds is kept in
//! memory as well, and in step with each commit: as long as nobody is merged a
//! search looks at one number.
//!
//! Spec: <https://hl7.org/fhir/R4/patient.html#dup-records>

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fhir_model::outcome::Issue;
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;

use super::condition::{Chain, Condition, Has, Scan};
use super::error::SearchError;
use super::execute::probe;
use super::limits::SearchLimits;
use super::parse::Query;
use super::plan::{Hints, Order, Question, plan};
use super::registry::Definitions;
use super::render::{Wanted, render, render_merges, render_references};
use super::scan;
use crate::index::row::{BranchCode, EqualHash, IndexRows, Link, TargetHash};
use crate::storage::{Connection, Effect, Reads, WriteUnit};

/// How many Patients may be one.
const TIED_MAX: usize = 1_000;
/// Says that the index of a database holds by whom patients are replaced.
const INDEXED: &str = "merges_indexed";

/// Puts into the index by whom a patient is replaced.
pub fn index(patient: &Resource, bases: &[String], rows: &mut IndexRows) {
    if patient.resource_type() != ty::PATIENT {
        return;
    }
    let before = rows.links.len();
    for link in patient.root().children_named(name::LINK) {
        if link.text_of(name::TYPE) != Some("replaced-by") {
            continue;
        }
        let other = link.child(name::OTHER).and_then(|other| other.text_of(name::REFERENCE));
        let Some(Literal { base, key, .. }) = other.and_then(Literal::parse) else { continue };
        if key.resource_type == ty::PATIENT && base.is_none_or(|base| bases.iter().any(|own| own == base)) {
            let target = TargetHash::of_resource(ty::PATIENT, key.id.as_str());
            rows.links.push(Link { target, branch: BranchCode::replaced_by() });
        }
    }
    if rows.links.len() > before {
        rows.equal.push(marker());
    }
}

/// The value that all patients have who are replaced.
fn marker() -> EqualHash {
    EqualHash::of(BranchCode::replaced_by(), "replaced", &[])
}

/// Which patients are merged.
#[derive(Debug, Default)]
pub struct Merges {
    /// How many are replaced.
    count: AtomicUsize,
    ties: RwLock<Arc<Ties>>,
}

/// Who is replaced by whom, and whom he replaces.
#[derive(Debug, Default, Clone)]
struct Ties {
    replaced_by: HashMap<TargetHash, Vec<TargetHash>>,
    replaces: HashMap<TargetHash, Vec<TargetHash>>,
}

impl Ties {
    /// Says by whom one is replaced from now on.
    fn set(&mut self, one: TargetHash, by: &[TargetHash]) {
        for before in self.replaced_by.remove(&one).unwrap_or_default() {
            if let Some(replaced) = self.replaces.get_mut(&before) {
                replaced.retain(|other| *other != one);
                if replaced.is_empty() {
                    self.replaces.remove(&before);
                }
            }
        }
        if by.is_empty() {
            return;
        }
        self.replaced_by.insert(one, by.to_vec());
        for survivor in by {
            self.replaces.entry(*survivor).or_default().push(one);
        }
    }

    /// Returns all that are tied to one, and one itself; nothing for who is not merged.
    fn tied(&self, one: TargetHash) -> Result<BTreeSet<TargetHash>, SearchError> {
        let (mut seen, mut pending) = (BTreeSet::new(), vec![one]);
        while let Some(next) = pending.pop() {
            let others = [&self.replaced_by, &self.replaces].map(|ties| ties.get(&next));
            // In circles nobody comes twice.
            if others.iter().any(Option::is_some) && seen.insert(next) {
                pending.extend(others.into_iter().flatten().flatten().copied());
            }
            if seen.len() > TIED_MAX {
                let why = format!("more than {TIED_MAX} patients are merged into one");
                return Err(SearchError::TooCostly { why });
            }
        }
        Ok(seen)
    }

    /// Returns the links along the same branches to all that are tied.
    fn links(&self, links: &[Link], but: &[BranchCode]) -> Result<Vec<Link>, SearchError> {
        let mut all = links.to_vec();
        for link in links.iter().filter(|link| !but.contains(&link.branch)) {
            all.extend(self.tied(link.target)?.into_iter().map(|target| Link { target, ..*link }));
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

impl Merges {
    /// Learns who is merged, before anything is served. Patients that were
    /// stored before the index held it are indexed anew.
    ///
    /// # Errors
    /// When the database fails.
    pub fn start(&self, unit: &mut WriteUnit<'_>) -> Result<(), Issue> {
        if unit.setting(INDEXED)?.is_none() {
            if unit.count(Some(ty::PATIENT))? > 0 {
                let requested = unit.now().0;
                unit.request_reindex(ty::PATIENT, requested)?;
            }
            unit.set(INDEXED, "1")?;
        }
        self.load(unit)
    }

    /// Learns from the index who is merged. In the writer, so that no commit comes in between.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(&self, unit: &mut WriteUnit<'_>) -> Result<(), Issue> {
        let mut by: HashMap<TargetHash, Vec<TargetHash>> = HashMap::new();
        for (one, survivor) in unit.integer_pairs(&render_merges(marker(), BranchCode::replaced_by()))? {
            by.entry(TargetHash(one)).or_default().push(TargetHash(survivor));
        }
        let mut ties = Ties::default();
        by.iter().for_each(|(one, by)| ties.set(*one, by));
        self.put(|known| *known = ties);
        Ok(())
    }

    /// Takes notice of what was committed. To be called on the writer's thread.
    pub fn committed(&self, effects: &[Effect]) {
        let is_about = |effect: &&Effect| effect.key.resource_type == ty::PATIENT;
        let mut patients = effects.iter().filter(is_about).peekable();
        let is_merged = |effect: &Effect| !effect.replaced_by.is_empty();
        if patients.peek().is_none() || (self.is_empty() && !patients.clone().any(is_merged)) {
            return;
        }
        self.put(|ties| {
            for effect in patients {
                let one = TargetHash::of_resource(ty::PATIENT, effect.key.id.as_str());
                ties.set(one, &effect.replaced_by);
            }
        });
    }

    fn put(&self, change: impl FnOnce(&mut Ties)) {
        let mut ties = self.ties.write().unwrap_or_else(PoisonError::into_inner);
        // Who searches goes on with those that he has: the writer does not wait for him.
        change(Arc::make_mut(&mut ties));
        self.count.store(ties.replaced_by.len(), Ordering::Release);
    }

    /// Tells whether nobody is merged.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Tells whether it takes the database to follow merges in a condition.
    pub(super) fn asks_for(&self, condition: &Condition) -> bool {
        !self.is_empty() && condition.contains(&mut |part| matches!(part, Condition::Chain(_)))
    }

    /// Follows merges in the condition of a search.
    ///
    /// # Errors
    /// `too-costly` when too many are merged into one; an issue of the storage.
    pub(super) fn resolve(
        &self,
        data: &mut Connection,
        query: &mut Query,
        definitions: &Definitions,
        limits: &SearchLimits,
    ) -> Result<(), Issue> {
        if self.is_empty() {
            return Ok(());
        }
        let ties = Arc::clone(&self.ties.read().unwrap_or_else(PoisonError::into_inner));
        let own = definitions.find_standard(ty::PATIENT, "link").map(|link| link.branches.as_slice());
        let own = own.unwrap_or_default().iter().map(|used| used.branch).collect();
        let mut following = Following { ties: &ties, own, data, limits };
        let condition = std::mem::replace(&mut query.condition, Condition::always());
        query.condition = following.follow(condition)?;
        let paired = ties.links(&query.hints.links, &following.own)?;
        query.hints.links.extend(paired);
        Ok(())
    }
}

/// Merges being followed.
struct Following<'f> {
    ties: &'f Ties,
    /// The branches along which patients are linked to each other.
    own: Vec<BranchCode>,
    data: &'f mut Connection,
    limits: &'f SearchLimits,
}

impl Following<'_> {
    fn follow(&mut self, condition: Condition) -> Result<Condition, Issue> {
        let all = |following: &mut Self, parts: Vec<Condition>| {
            parts.into_iter().map(|part| following.follow(part)).collect::<Result<Vec<_>, Issue>>()
        };
        Ok(match condition {
            Condition::Link(links) => Condition::Link(self.ties.links(&links, &self.own)?),
            Condition::All(parts) => Condition::all(all(self, parts)?),
            Condition::Any(parts) => Condition::any(all(self, parts)?),
            Condition::Not(inner) => self.follow(*inner)?.negate(),
            Condition::Has(Has { branches, condition }) => {
                Condition::Has(Has { branches, condition: Box::new(self.follow(*condition)?) })
            }
            Condition::Scan(scan) => {
                let Scan { types, narrowed, test } = *scan;
                Condition::Scan(Box::new(Scan { types, narrowed: self.follow(narrowed)?, test }))
            }
            Condition::Chain(Chain { branches, targets }) => {
                let is_own = branches.iter().all(|branch| self.own.contains(branch));
                let mut followed = Vec::with_capacity(targets.len());
                for (of, condition) in targets {
                    let mut condition = self.follow(condition)?;
                    if of == ty::PATIENT && !is_own {
                        let tied = self.tied_to(condition.clone())?;
                        condition = Condition::any([condition, tied]);
                    }
                    followed.push((of, condition));
                }
                Condition::Chain(Chain { branches, targets: followed })
            }
            other => other,
        })
    }

    /// What holds of the patients that are tied to one of whom a condition holds.
    fn tied_to(&mut self, condition: Condition) -> Result<Condition, Issue> {
        let merged: BTreeSet<TargetHash> =
            self.ties.replaced_by.keys().chain(self.ties.replaces.keys()).copied().collect();
        let limit = merged.len() as u64;
        let condition = Condition::all([Condition::Id(merged.into_iter().collect()), condition]);
        let condition = scan::resolve(self.data, condition, self.limits)?;
        let (types, hints) = (Some(vec![ty::PATIENT]), Hints::default());
        let question = Question { types, condition, order: Order::Newest, visits_all: true, hints };
        let plan = plan(&question, |access, limit| probe(self.data, access, limit))?;
        let wanted = Wanted::Rows { after: None, reversed: false, limit, unchanged_since: None };
        let keys = self.data.integers(&render(&plan, wanted))?;
        let mut all = BTreeSet::new();
        for one in self.data.integers(&render_references(&keys))? {
            if !all.contains(&TargetHash(one)) {
                all.extend(self.ties.tied(TargetHash(one))?);
            }
        }
        Ok(if all.is_empty() { Condition::never() } else { Condition::Id(all.into_iter().collect()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tied(ties: &Ties, one: i64) -> Vec<i64> {
        ties.tied(TargetHash(one)).expect("not too many").into_iter().map(|t| t.0).collect()
    }

    #[test]
    fn chains_and_circles_are_followed_both_ways() {
        let mut ties = Ties::default();
        ties.set(TargetHash(1), &[TargetHash(2)]);
        ties.set(TargetHash(2), &[TargetHash(3)]);
        ties.set(TargetHash(7), &[TargetHash(8)]);
        for one in 1..=3 {
            assert_eq!(tied(&ties, one), [1, 2, 3], "{one}");
        }
        assert_eq!(tied(&ties, 8), [7, 8]);
        assert!(tied(&ties, 9).is_empty());
        // In a circle.
        ties.set(TargetHash(3), &[TargetHash(1)]);
        assert_eq!(tied(&ties, 2), [1, 2, 3]);
        // What is said anew stands, and nothing of what was said before.
        ties.set(TargetHash(3), &[]);
        ties.set(TargetHash(2), &[]);
        assert_eq!(tied(&ties, 1), [1, 2]);
        assert!(tied(&ties, 3).is_empty());
        ties.set(TargetHash(1), &[]);
        ties.set(TargetHash(7), &[]);
        assert!(ties.replaced_by.is_empty() && ties.replaces.is_empty(), "{ties:?}");
    }

    #[test]
    fn too_many_are_refused() {
        let mut ties = Ties::default();
        let count = i64::try_from(TIED_MAX).expect("small");
        for one in 1..=count {
            ties.set(TargetHash(one), &[TargetHash(0)]);
        }
        assert!(matches!(ties.tied(TargetHash(5)), Err(SearchError::TooCostly { .. })));
        ties.set(TargetHash(1), &[]);
        assert_eq!(tied(&ties, 5).len(), TIED_MAX);
    }
}

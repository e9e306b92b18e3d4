//! What came out: precision, recall, what is left to people, and how that depends on the threshold.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use super::{Pair, page};
use crate::identity::Decision;
use crate::identity::weights::Weights;

/// A share: so many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// How many.
    pub of: u64,
    /// Of how many.
    pub all: u64,
}

impl Share {
    /// Returns it from 0 to 1; 1 of nothing.
    pub fn value(self) -> f64 {
        if self.all == 0 { 1.0 } else { self.of as f64 / self.all as f64 }
    }
}

/// What a threshold leads to, by pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// The threshold from which on two are linked, in bits.
    pub link: f64,
    /// How many of the linked pairs are one person.
    pub precision: Share,
    /// How many of the pairs of one person are linked.
    pub recall: Share,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// How many records there are.
    pub records: usize,
    /// Of the pairs that were linked: those that are one person.
    pub precision: Share,
    /// Of the pairs of one person: those that were linked.
    pub recall: Share,
    /// The same of the persons that come of it: who is linked with whom by others.
    pub precision_of_persons: Share,
    /// The same.
    pub recall_of_persons: Share,
    /// Of the pairs that are left to people: those that are one person.
    pub review: Share,
    /// Of the records: those that people have to look at.
    pub reviewed_records: Share,
    /// Of the pairs of one person: those that are neither linked nor reviewed.
    pub missed: Share,
    /// Why pairs are left to people although their sum is enough: those that are one person, of all.
    pub held: BTreeMap<String, Share>,
    /// Pairs that were linked and are two persons: how many, by what of them agrees.
    pub wrong: BTreeMap<String, u64>,
    /// How that depends on the threshold.
    pub curve: Vec<Curve>,
    /// How long it took to ask of all records, in seconds.
    pub seconds: f64,
}

impl Tally {
    /// Counts. `persons` are whose the records are.
    pub(super) fn of(persons: &[usize], pairs: &[Pair], weights: &Weights, seconds: f64) -> Tally {
        let is_one = |pair: &Pair| persons.get(pair.records.0) == persons.get(pair.records.1);
        let all_true = pairs_among(persons.iter().copied());
        let linked = pairs.iter().filter(|pair| pair.decision == Decision::Link);
        let precision = share(linked.clone(), is_one);
        let groups = Groups::of(persons.len(), linked.map(|pair| pair.records));
        let (of_groups, true_in_groups) = groups.pairs(persons);
        let is_apart = |pair: &&Pair| !groups.is_one(pair.records);
        let reviewed = pairs.iter().filter(|pair| pair.decision == Decision::Review).filter(is_apart);
        let review = share(reviewed.clone(), is_one);
        let touched: HashSet<usize> = reviewed.flat_map(|pair| [pair.records.0, pair.records.1]).collect();
        let mut held: BTreeMap<String, Share> = BTreeMap::new();
        for pair in pairs.iter().filter(|pair| pair.sum >= weights.link) {
            if let Some(rule) = pair.held {
                let share = held.entry(format!("{rule:?}")).or_default();
                share.all += 1;
                share.of += u64::from(is_one(pair));
            }
        }
        let mut wrong: BTreeMap<String, u64> = BTreeMap::new();
        pairs
            .iter()
            .filter_map(|pair| pair.wrong.clone())
            .for_each(|why| *wrong.entry(why).or_default() += 1);
        let curve = (weights.review.ceil() as i32..=48).map(|link| {
            let link = f64::from(link);
            let linked = pairs.iter().filter(|pair| pair.sum >= link && pair.held.is_none());
            let precision = share(linked, is_one);
            Curve { link, precision, recall: Share { of: precision.of, all: all_true } }
        });
        Tally {
            records: persons.len(),
            precision,
            recall: Share { of: precision.of, all: all_true },
            precision_of_persons: Share { of: true_in_groups, all: of_groups },
            recall_of_persons: Share { of: true_in_groups, all: all_true },
            review,
            reviewed_records: Share { of: touched.len() as u64, all: persons.len() as u64 },
            missed: Share { of: all_true.saturating_sub(true_in_groups + review.of), all: all_true },
            held,
            wrong,
            curve: curve.collect(),
            seconds,
        }
    }

    /// Returns it as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |what: &str, share: Share| {
            let _ = writeln!(out, "{what:<52} {:>9.5}  {} of {}", share.value(), share.of, share.all);
        };
        line("precision of what is linked, by pairs", self.precision);
        line("recall, by pairs", self.recall);
        line("precision of the persons that come of it", self.precision_of_persons);
        line("recall of the persons that come of it", self.recall_of_persons);
        line("left to people, and one person", self.review);
        line("records that people look at", self.reviewed_records);
        line("pairs of one person neither linked nor left to people", self.missed);
        let _ = writeln!(out, "\nleft to people although the sum is enough: how many are one person");
        for (rule, share) in &self.held {
            let _ = writeln!(out, "  {rule:<30} {} of {}", share.of, share.all);
        }
        let _ = writeln!(out, "\nlinked, and two persons: what of them agrees");
        let mut wrong: Vec<(&String, &u64)> = self.wrong.iter().collect();
        wrong.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in wrong {
            let _ = writeln!(out, "  {count:>4}  {why}");
        }
        let _ = writeln!(out, "\nthreshold  precision     recall");
        for point in &self.curve {
            let (precision, recall) = (point.precision.value(), point.recall.value());
            let _ = writeln!(out, "{:>9}  {precision:>9.5}  {recall:>9.5}", point.link);
        }
        let each = self.seconds * 1e6 / self.records.max(1) as f64;
        let _ = writeln!(
            out,
            "\n{} records asked about in {:.1} s, {each:.0} us each",
            self.records, self.seconds
        );
        out
    }

    /// Returns it as a page with the curve.
    pub fn page(&self, weights: &Weights) -> String {
        page::page(self, weights)
    }
}

fn share<'p>(pairs: impl Iterator<Item = &'p Pair>, is_one: impl Fn(&Pair) -> bool) -> Share {
    pairs.fold(Share::default(), |share, pair| Share {
        of: share.of + u64::from(is_one(pair)),
        all: share.all + 1,
    })
}

/// Counts the pairs of those that are the same.
fn pairs_among(all: impl Iterator<Item = usize>) -> u64 {
    let mut counts: HashMap<usize, u64> = HashMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.values().map(|count| count * (count - 1) / 2).sum()
}

/// Records that are linked, directly or by others.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn of(count: usize, links: impl Iterator<Item = (usize, usize)>) -> Groups {
        let mut groups = Groups { parents: (0..count).collect() };
        for (one, other) in links {
            let (one, other) = (groups.root(one), groups.root(other));
            groups.parents[one.max(other)] = one.min(other);
        }
        groups
    }

    fn root(&self, mut of: usize) -> usize {
        while self.parents[of] != of {
            of = self.parents[of];
        }
        of
    }

    fn is_one(&self, (one, other): (usize, usize)) -> bool {
        self.root(one) == self.root(other)
    }

    /// Counts the pairs in groups, and those of them that are one person.
    fn pairs(&self, persons: &[usize]) -> (u64, u64) {
        let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
        for (record, person) in persons.iter().enumerate() {
            members.entry(self.root(record)).or_default().push(*person);
        }
        let all = pairs_among((0..persons.len()).map(|record| self.root(record)));
        let of_one = members.into_values().map(|members| pairs_among(members.into_iter())).sum();
        (all, of_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::rules::Rule;

    #[test]
    fn what_is_counted() {
        let pair = |records, sum, decision, held| Pair { records, sum, decision, held, wrong: None };
        let pairs = [
            pair((0, 1), 40.0, Decision::Link, None),
            pair((1, 2), 30.0, Decision::Link, None),
            Pair { wrong: Some("birth exact".to_owned()), ..pair((3, 4), 25.0, Decision::Link, None) },
            pair((0, 2), 15.0, Decision::Review, None),
            pair((4, 5), 28.0, Decision::Review, Some(Rule::Twins)),
        ];
        // Three records of one person, two of another, and one of a third.
        let persons = [7, 7, 7, 8, 9, 9];
        let tally = Tally::of(&persons, &pairs, &Weights::default(), 1.0);
        let share = |of, all| Share { of, all };
        assert_eq!((tally.precision, tally.recall), (share(2, 3), share(2, 4)));
        assert_eq!((tally.precision_of_persons, tally.recall_of_persons), (share(3, 4), share(3, 4)));
        // What others link is not looked at any more.
        assert_eq!((tally.review, tally.reviewed_records), (share(1, 1), share(2, 6)));
        assert_eq!(tally.missed, share(0, 4));
        assert_eq!(tally.held, BTreeMap::from([("Twins".to_owned(), share(1, 1))]));
        let at = |link: f64| tally.curve.iter().find(|point| point.link == link).expect("a point");
        assert_eq!(at(26.0).precision, share(2, 2));
        assert_eq!(at(31.0).recall, share(1, 4));
        assert_eq!(tally.wrong, BTreeMap::from([("birth exact".to_owned(), 1)]));
        assert!(tally.text().contains("precision of what is linked"));
        assert!(tally.text().contains("   1  birth exact"));
        assert!(tally.page(&Weights::default()).contains("<svg"));
    }
}

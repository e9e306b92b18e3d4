//! Queries whose results are given out bit by bit: which records they found,
//! in memory, for a while. Who asks on after that, or after a restart, is told
//! to ask anew.
//!
//! Spec: ITI TF-2 3.47.4.3.3

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::xml::Element;

/// How many queries are open at once; the one that was asked on longest ago goes first.
const OPEN_MAX: usize = 256;
/// How long one stays open that nobody asks on.
const LIFETIME: Duration = Duration::from_secs(600);

/// Which query of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Who asks: application and user.
    pub(crate) who: String,
    /// The id of the query: root and extension.
    pub(crate) query: (Option<String>, Option<String>),
}

impl Key {
    pub(crate) fn new(who: String, query: &InstanceIdentifier) -> Key {
        Key { who, query: (query.root.clone(), query.extension.clone()) }
    }
}

/// A query that is open.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// The ids of the records that it found.
    pub(crate) records: Vec<String>,
    /// The systems of the identifiers that are wanted.
    pub(crate) wanted: Vec<String>,
    /// The query, for the answers.
    pub(crate) query: Element,
    /// How many results are told next; the first of all is 0.
    pub(crate) next: usize,
    /// How many are wanted at a time.
    pub(crate) quantity: usize,
}

/// The queries that are open.
#[derive(Debug, Default)]
pub struct Continuations {
    open: Mutex<HashMap<Key, (Instant, Open)>>,
}

impl Continuations {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Key, (Instant, Open)>) -> T) -> T {
        // What another thread left when it panicked is whole: each change is one step.
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut open)
    }

    /// Keeps a query open.
    pub(crate) fn keep(&self, key: Key, query: Open) {
        self.keep_at(key, query, Instant::now());
    }

    fn keep_at(&self, key: Key, query: Open, now: Instant) {
        self.with(|open| {
            open.retain(|_, (since, _)| now.duration_since(*since) < LIFETIME);
            if open.len() >= OPEN_MAX && !open.contains_key(&key) {
                let oldest = open.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| key.clone());
                oldest.and_then(|key| open.remove(&key));
            }
            open.insert(key, (now, query));
        });
    }

    /// Returns a query that is open.
    pub(crate) fn find(&self, key: &Key) -> Option<Open> {
        self.find_at(key, Instant::now())
    }

    fn find_at(&self, key: &Key, now: Instant) -> Option<Open> {
        self.with(|open| {
            let (since, query) = open.get(key)?;
            (now.duration_since(*since) < LIFETIME).then(|| query.clone())
        })
    }

    /// Closes a query.
    pub(crate) fn close(&self, key: &Key) {
        self.with(|open| open.remove(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hl7v3::element;

    fn key(number: usize) -> Key {
        Key::new("1.2".to_owned(), &InstanceIdentifier::of_root(format!("1.{number}")))
    }

    fn open() -> Open {
        let (records, wanted, query) = (Vec::new(), Vec::new(), element("queryByParameter"));
        Open { records, wanted, query, next: 0, quantity: 1 }
    }

    #[test]
    fn a_query_is_open_for_a_while() {
        let (all, now) = (Continuations::default(), Instant::now());
        all.keep_at(key(1), open(), now);
        assert!(all.find_at(&key(1), now + LIFETIME / 2).is_some());
        assert!(all.find_at(&key(1), now + LIFETIME).is_none());
        assert!(all.find_at(&key(2), now).is_none());
        all.keep_at(key(2), open(), now + LIFETIME);
        assert_eq!(all.with(|open| open.len()), 1);
        all.close(&key(2));
        assert!(all.find_at(&key(2), now + LIFETIME).is_none());
    }

    #[test]
    fn only_so_many_are_open() {
        let (all, now) = (Continuations::default(), Instant::now());
        for number in 0..OPEN_MAX + 10 {
            all.keep_at(key(number), open(), now + Duration::from_millis(number as u64));
        }
        assert_eq!(all.with(|open| open.len()), OPEN_MAX);
        assert!(all.find_at(&key(9), now).is_none() && all.find_at(&key(10), now).is_some());
    }
}

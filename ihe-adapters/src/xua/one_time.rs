//! Assertions for one use: each is taken once.
//!
//! Which were used is known since this server started. One that was issued
//! before, as far as clocks can tell, may have been used then, and is refused: so
//! none is taken twice, and nothing has to be stored.
//!
//! Spec: SAML 2.0 Core 2.5.1.5

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use super::Refused;

/// How many assertions are remembered; while there are more, none is taken.
const REMEMBERED_MAX: usize = 100_000;

/// The hash of an issuer and the id of an assertion.
type Name = [u8; 32];

/// The assertions for one use that were used.
#[derive(Debug)]
pub struct OneTime {
    since: Timestamp,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    names: HashSet<Name>,
    /// Until when each has to be remembered.
    until: BTreeSet<(Timestamp, Name)>,
}

impl OneTime {
    /// Remembers from now on.
    pub fn since(now: Timestamp) -> OneTime {
        OneTime { since: now, used: Mutex::default() }
    }

    /// Takes an assertion for its one use. `issued`: when it was issued at the
    /// earliest; `until`: from when on it does not count anyway.
    ///
    /// # Errors
    /// When it was used, or may have been.
    pub(super) fn take(
        &self,
        (issuer, id): (&str, &str),
        issued: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let refused = |why: &str| Err(Refused::Condition(why.to_owned()));
        if issued < self.since {
            return refused(
                "it is for one use, and may have been used before this server started: ask for another",
            );
        }
        let mut hash = Context::new(&SHA256);
        hash.update(&(issuer.len() as u64).to_be_bytes());
        hash.update(issuer.as_bytes());
        hash.update(id.as_bytes());
        let mut name = [0; 32];
        name.copy_from_slice(hash.finish().as_ref());
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if used.names.contains(&name) {
            return refused("it is for one use, and was used");
        }
        if used.names.len() >= REMEMBERED_MAX {
            return refused("it is for one use, and more of those are in use than can be remembered");
        }
        used.names.insert(name);
        used.until.insert((until, name));
        Ok(())
    }
}

impl Used {
    /// Forgets what does not count any more.
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, name)) = self.until.first().copied().filter(|(until, _)| *until <= now) {
            self.until.remove(&(until, name));
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_remembered_as_long_as_it_counts() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let one_time = OneTime::since(at(100));
        let take = |issuer, id, issued, until, now| {
            let taken = one_time.take((issuer, id), at(issued), at(until), at(now));
            taken.map_err(|refused| refused.to_string()).err().unwrap_or_default()
        };
        assert!(take("a", "1", 99, 200, 110).contains("before this server started"));
        assert_eq!(take("a", "1", 100, 200, 110), "");
        assert!(take("a", "1", 100, 200, 199).contains("was used"));
        // The same id of another issuer, and another of the same.
        assert_eq!(take("b", "1", 100, 200, 110), "");
        assert_eq!(take("a", "2", 100, 300, 110), "");
        // What is said to be issued is one thing, whatever parts of it look like.
        assert_eq!(take("a1", "", 100, 300, 110), "");
        // One is kept no longer than it counts, and the others are kept.
        assert_eq!(take("c", "1", 100, 400, 250), "");
        let used = one_time.used.lock().expect("not poisoned");
        assert_eq!((used.names.len(), used.until.len()), (3, 3));
    }

    #[test]
    fn more_than_can_be_remembered_are_refused() {
        let now = Timestamp::from_second(100).expect("a time");
        let until = Timestamp::from_second(200).expect("a time");
        let one_time = OneTime::since(now);
        for id in 0..REMEMBERED_MAX {
            assert_eq!(one_time.take(("a", &id.to_string()), now, until, now), Ok(()));
        }
        assert!(one_time.take(("a", "x"), now, until, now).is_err());
        assert_eq!(one_time.take(("a", "x"), now, until + jiff::SignedDuration::from_secs(9), until), Ok(()));
    }
}

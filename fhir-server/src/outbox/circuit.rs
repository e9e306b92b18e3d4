//! Lets a destination rest that does not answer: after some failures in a row nothing is sent
//! for a while, then one message, and only when that is taken the others.

use tokio::time::Instant as Moment;

use crate::feed::Pause;

/// So many failures in a row open the circuit.
const FAILURES_MAX: u32 = 5;

/// Whether messages are sent.
#[derive(Debug)]
pub(super) struct Circuit {
    pause: Pause,
    failures: u32,
    /// When one message is tried; `None` while all are sent.
    probe_at: Option<Moment>,
}

impl Circuit {
    pub(super) fn new(pause: Pause) -> Circuit {
        Circuit { pause, failures: 0, probe_at: None }
    }

    /// Returns how many messages may be under way at once, of `at_once`.
    pub(super) fn allows(&self, at_once: usize, now: Moment) -> usize {
        match self.probe_at {
            None => at_once,
            Some(at) => usize::from(at <= now),
        }
    }

    /// Returns when one message will be tried; `None` while all are sent.
    pub(super) fn probe_at(&self) -> Option<Moment> {
        self.probe_at
    }

    /// Says that the destination answered. Tells whether it had been open.
    pub(super) fn answered(&mut self) -> bool {
        self.failures = 0;
        self.probe_at.take().is_some()
    }

    /// Says that it did not. Tells whether it is open for that.
    pub(super) fn failed(&mut self, now: Moment) -> bool {
        self.failures = self.failures.saturating_add(1);
        let beyond = self.failures.saturating_sub(FAILURES_MAX);
        let is_first = beyond == 0 && self.failures == FAILURES_MAX;
        if self.failures >= FAILURES_MAX {
            self.probe_at = Some(now + self.pause.jittered(beyond + 1));
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_does_not_answer_is_let_rest() {
        let pause = Pause { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
        let (mut circuit, now) = (Circuit::new(pause), Moment::now());
        for failure in 1..FAILURES_MAX {
            assert!(!circuit.failed(now), "{failure}");
            assert_eq!(circuit.allows(8, now), 8);
        }
        assert!(circuit.failed(now));
        assert_eq!(circuit.allows(8, now), 0);
        assert_eq!(circuit.allows(8, now + Duration::from_secs(2)), 1);
        let probed = now + Duration::from_secs(2);
        assert!(!circuit.failed(probed), "it is open already");
        assert_eq!(circuit.allows(8, probed + Duration::from_secs(1)), 0);
        assert!(circuit.answered());
        assert!(!circuit.answered());
        assert_eq!(circuit.allows(8, now), 8);
    }
}

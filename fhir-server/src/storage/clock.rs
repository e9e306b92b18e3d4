//! The one clock that stamps versions: it never stands still and never goes back.

use fhir_model::primitive::instant::Instant;

/// Gives instants that grow strictly, whatever the system's clock does.
#[derive(Debug)]
pub(super) struct Clock {
    now: fn() -> i64,
    last: i64,
}

impl Clock {
    /// Starts behind `last`, the greatest instant that is stored; `now` tells
    /// the microseconds since 1970.
    pub(super) fn after(last: i64, now: fn() -> i64) -> Clock {
        Clock { now, last }
    }

    /// Returns the next instant: now, or one microsecond behind the last.
    pub(super) fn next(&mut self) -> Instant {
        self.last = (self.now)().max(self.last.saturating_add(1));
        Instant(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn instants_grow_strictly_when_the_clock_jumps_back() {
        static TIME: AtomicI64 = AtomicI64::new(0);
        let mut clock = Clock::after(500, || TIME.load(Ordering::Relaxed));
        for (time, expected) in
            [(1_000, 1_000), (1_000, 1_001), (10, 1_002), (-5, 1_003), (2_000, 2_000), (1_999, 2_001)]
        {
            TIME.store(time, Ordering::Relaxed);
            assert_eq!(clock.next(), Instant(expected));
        }
        assert_eq!(Clock::after(9_000, || 1).next(), Instant(9_001));
    }
}

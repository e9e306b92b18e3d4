//! The one clock that stamps versions: it never stands still and never goes back.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fhir_model::primitive::instant::Instant;

/// Where the time comes from: microseconds since 1970. Tests inject their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// Makes a clock of a function that tells the microseconds since 1970.
    pub fn new(micros: impl Fn() -> i64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(micros))
    }

    /// Returns the system's clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Gives instants that grow strictly whatever the system's clock does.
#[derive(Debug)]
pub(super) struct Stamps {
    clock: Clock,
    last: i64,
}

impl Stamps {
    /// Starts behind `last`, the greatest instant that is stored.
    pub(super) fn after(last: i64, clock: Clock) -> Stamps {
        Stamps { clock, last }
    }

    /// Returns the next instant: now, or one microsecond behind the last.
    pub(super) fn next(&mut self) -> Instant {
        self.last = (self.clock.0)().max(self.last.saturating_add(1));
        Instant(self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn instants_grow_strictly_when_the_clock_jumps_back() {
        let time = Arc::new(AtomicI64::new(1_000));
        let told = Arc::clone(&time);
        let mut stamps = Stamps::after(500, Clock::new(move || told.load(Ordering::Relaxed)));
        for (clock, expected) in
            [(1_000, 1_000), (1_000, 1_001), (10, 1_002), (-5, 1_003), (2_000, 2_000), (1_999, 2_001)]
        {
            time.store(clock, Ordering::Relaxed);
            assert_eq!(stamps.next(), Instant(expected));
        }
        assert_eq!(Stamps::after(9_000, Clock::new(|| 1)).next(), Instant(9_001));
    }
}

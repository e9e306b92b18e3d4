//! Points of the write path at which a test ends the process: what was
//! acknowledged before must be there afterwards, and nothing by halves.
//! There is nothing of it outside of tests.

/// Where the process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// A job has run, others of its transaction may follow.
    BetweenJobs,
    /// Some tables of the index are written, others not.
    WithinIndex,
    /// All is written, nothing committed.
    BeforeCommit,
    /// All is durable, nobody has been told.
    BeforeAnswers,
    /// Some have been told, others not.
    BetweenAnswers,
    /// The log is about to be copied into the database.
    BeforeCheckpoint,
}

/// All of them, by name.
#[cfg(test)]
pub(super) const POINTS: [(Point, &str); 6] = [
    (Point::BetweenJobs, "between jobs"),
    (Point::WithinIndex, "within the index"),
    (Point::BeforeCommit, "before the commit"),
    (Point::BeforeAnswers, "before the answers"),
    (Point::BetweenAnswers, "between the answers"),
    (Point::BeforeCheckpoint, "before the checkpoint"),
];

/// Names the point at which to end, and at which time that it is passed.
#[cfg(test)]
pub(super) const CRASH_AT: &str = "LANTERNA_TEST_CRASH_AT";

/// Ends the process here, if a test has asked for it.
#[cfg(test)]
pub(super) fn pass(point: Point) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static ASKED: LazyLock<Option<(String, AtomicI64)>> = LazyLock::new(|| {
        let asked = std::env::var(CRASH_AT).ok()?;
        let (name, times) = asked.split_once('#')?;
        Some((name.to_owned(), AtomicI64::new(times.parse().ok()?)))
    });
    let Some((name, left)) = &*ASKED else { return };
    let is_it = POINTS.iter().any(|(known, named)| *known == point && named == name);
    if is_it && left.fetch_sub(1, Ordering::SeqCst) == 1 {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn pass(_: Point) {}

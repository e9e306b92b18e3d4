//! The rows of the table and the loads beside it, one file each.

mod audit;
mod bulk;
mod count;
mod create;
mod crud;
mod documents;
mod download;
mod growth;
mod import;
mod r#match;
mod memory;
mod messages;
mod patients;
mod read;
mod search;
mod start;
mod terminology;
mod transaction;
mod transform;
mod validation;

use super::report::{Measured, Outcome, ROWS, Row};
use super::{Bench, BenchError};

/// Measures a row.
type Measure = fn(&mut Bench<'_>) -> Result<Measured, BenchError>;
/// Measures a load that has no baseline.
type MeasureLoad = fn(&mut Bench<'_>) -> Result<(), BenchError>;

/// How the rows are measured, in the order in which that is done: what needs
/// the data untouched comes before what writes to it.
const MEASURES: [(&str, Measure); 11] = [
    ("start", start::measure),
    ("read", read::measure),
    ("search", search::measure),
    ("growth", growth::measure),
    ("count", count::measure),
    ("download", download::measure),
    ("memory", memory::measure),
    ("create", create::measure),
    ("import", import::measure),
    ("validation", validation::measure),
    ("match", r#match::measure),
];

/// How the loads beside the table are measured.
const LOADS: [(&str, MeasureLoad); 9] = [
    ("crud", crud::measure),
    ("transaction", transaction::measure),
    ("bulk", bulk::measure),
    ("documents", documents::measure),
    ("patients", patients::measure),
    ("terminology", terminology::measure),
    ("transform", transform::measure),
    ("audit", audit::measure),
    ("messages", messages::measure),
];

/// What could not be measured, and why.
type Failures = Vec<(&'static str, BenchError)>;

/// Measures the rows and loads that are asked for.
pub(super) fn measure(bench: &mut Bench<'_>) -> (Vec<Row>, Failures) {
    let only = bench.options.only.clone();
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|given| given == name);
    let mut outcomes = Vec::new();
    for (name, measure) in MEASURES.into_iter().filter(|(name, _)| is_wanted(name)) {
        bench.tell(name);
        outcomes.push((name, measure(bench).map_or_else(Outcome::Failed, Outcome::Measured)));
    }
    let mut failures = Vec::new();
    for (name, measure) in LOADS.into_iter().filter(|(name, _)| is_wanted(name)) {
        bench.tell(name);
        failures.extend(measure(bench).err().map(|error| (name, error)));
    }
    let rows = ROWS.into_iter().filter(|kind| is_wanted(kind.name)).map(|kind| {
        let place = outcomes.iter().position(|(name, _)| *name == kind.name);
        let outcome = match place {
            Some(place) => outcomes.swap_remove(place).1,
            None => Outcome::NotYet("nothing measures it"),
        };
        Row { kind, outcome }
    });
    (rows.collect(), failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_measured() {
        let mut names: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let mut rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        rows.sort_unstable();
        assert_eq!(names, rows);
        assert_eq!(LOADS.map(|(name, _)| name), super::super::LOADS);
    }
}

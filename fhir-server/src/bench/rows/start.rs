//! The time from the start of the process to the first answered read.

use crate::bench::child::Child;
use crate::bench::load::median;
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};

/// How often the server is started.
const STARTS: usize = 5;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let folder = bench.large_folder()?;
    // Two servers cannot have one folder.
    bench.large = None;
    let path = format!("/fhir/Observation/{}", bench.population.observation_id(0));
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let server = Child::start(&folder)?;
        times.push(server.first_answer(&path)?.as_secs_f64() * 1000.0);
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(Measured {
        ours: median(times),
        note: format!(
            "{} resources; median of {STARTS} starts, the slowest {slowest:.0} ms; files in the system's cache",
            bench.population.resources()
        ),
        details: vec![("resources", bench.population.resources() as f64), ("slowestMs", slowest)],
        ..Measured::default()
    })
}

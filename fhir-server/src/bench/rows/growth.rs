//! What the search by patient and code takes when the data is ten times as much.

use super::search::{cycle, requests};
use crate::bench::child::Child;
use crate::bench::load::{compare, run};
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let large = bench.large()?;
    let (folder, population) = bench.small_folder()?;
    bench.tell("growth");
    let small = Child::start(&folder)?;
    let of_large = requests(large.address, bench.population);
    let of_small = requests(small.address, population);
    let connections = bench.options.connections;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(large.address, connections, time, &|n| Box::new(cycle(&of_large, n))),
        |time| run(small.address, connections, time, &|n| Box::new(cycle(&of_small, n))),
    )?;
    Ok(Measured {
        ours: ours.p50_ms,
        baseline: Some(baseline.p50_ms),
        note: format!(
            "{} and {} Observations, the same load",
            bench.population.observations(),
            population.observations()
        ),
        details: vec![
            ("rate", ours.rate),
            ("baselineRate", baseline.rate),
            ("p99Ms", ours.p99_ms),
            ("baselineP99Ms", baseline.p99_ms),
        ],
        ..Measured::default()
    })
}

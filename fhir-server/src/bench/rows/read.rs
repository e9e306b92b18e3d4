//! Reads by id, and the same answers from memory.

use std::rc::Rc;

use crate::bench::client::get;
use crate::bench::data::Population;
use crate::bench::load::{Cycle, compare, each, run};
use crate::bench::report::{Measured, Target};
use crate::bench::still::{Page, Pages, StillServer};
use crate::bench::{Bench, BenchError};

/// How many resources are read over and over.
const RESOURCES: usize = 10_000;

/// A prime, to go through them in no order.
const STEP: usize = 7919;

/// Returns paths of different Observations from all over the data, in no order.
pub(super) fn paths(population: Population) -> Vec<String> {
    let count = RESOURCES.min(population.observations());
    let number = |n: usize| n * STEP % count * population.observations() / count;
    (0..count).map(|n| format!("/fhir/Observation/{}", population.observation_id(number(n)))).collect()
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let server = bench.large()?;
    let paths = paths(bench.population);
    let requests: Rc<[Vec<u8>]> = paths.iter().map(|path| get(server.address, path)).collect();
    let mut pages = Pages::new();
    let mut bytes = 0;
    each(server.address, &requests, |number, answer| {
        answer.expect(200)?;
        bytes += answer.body.len();
        if let Some(path) = paths.get(number) {
            pages.insert(path.clone(), Page::of(answer));
        }
        Ok(())
    })?;
    let still = StillServer::start(pages)?;
    let from_memory: Rc<[Vec<u8>]> = paths.iter().map(|path| get(still.address, path)).collect();
    let connections = bench.options.connections;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(server.address, connections, time, &|n| Box::new(Cycle::new(&requests, n, 200))),
        |time| run(still.address, connections, time, &|n| Box::new(Cycle::new(&from_memory, n, 200))),
    )?;
    bench.figure("reads", "reads", ours.rate, "/s", Some(Target::AtLeast(8_000.0)));
    Ok(Measured {
        ours: ours.rate,
        baseline: Some(baseline.rate),
        note: format!(
            "{} resources of {} bytes; p50 {:.2} ms against {:.2} ms",
            paths.len(),
            bytes / paths.len().max(1),
            ours.p50_ms,
            baseline.p50_ms
        ),
        details: vec![
            ("p50Ms", ours.p50_ms),
            ("p99Ms", ours.p99_ms),
            ("baselineP50Ms", baseline.p50_ms),
            ("baselineP99Ms", baseline.p99_ms),
        ],
        ..Measured::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_is_another() {
        for observations in [200, 400, 100_000] {
            let paths = paths(Population::of(observations));
            assert_eq!(paths.len(), RESOURCES.min(observations));
            assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len());
        }
    }
}

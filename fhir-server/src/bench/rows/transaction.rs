//! Transactions over HTTP.

use std::rc::Rc;

use crate::bench::client::send;
use crate::bench::load::{Cycle, measure as measure_one, run};
use crate::bench::report::Target;
use crate::bench::{Bench, BenchError};

/// Entries of a transaction.
const ENTRIES: usize = 100;
/// How many transactions are sent over and over.
const BUNDLES: usize = 64;
/// Connections at most: each holds a transaction of a hundred resources.
const CONNECTIONS_MAX: usize = 16;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let server = bench.writes()?;
    let bundle = |n| send(server.address, "POST", "/fhir", &bench.population.transaction(n, ENTRIES));
    let requests: Rc<[Vec<u8>]> = (0..BUNDLES).map(bundle).collect();
    let connections = bench.options.connections.min(CONNECTIONS_MAX);
    let round = measure_one(bench.options.time, |time| {
        run(server.address, connections, time, &|n| Box::new(Cycle::new(&requests, n, 200)))
    })?;
    let what = format!("resources of transactions over HTTP, {ENTRIES} each, {connections} connections");
    let rate = round.rate * ENTRIES as f64;
    bench.figure("transactions", &what, rate, "resources/s", Some(Target::AtLeast(12_000.0)));
    Ok(())
}

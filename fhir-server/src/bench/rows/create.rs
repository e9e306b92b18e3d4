//! Creates, and plain inserts of the same bodies.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::bench::client::send;
use crate::bench::data::Population;
use crate::bench::load::{Cycle, compare, repeat, run};
use crate::bench::plain::PlainTable;
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};

/// How many bodies are created over and over.
const BODIES: usize = 10_000;

/// Returns the body of a create by its number.
fn body(population: Population, number: usize) -> String {
    let mut body = String::from(r#"{"resourceType":"Observation","#);
    let patient = population.patient_id(number / 10 % population.patients());
    population.write_after_id(number, &format!("Patient/{patient}"), &mut body);
    body
}

/// Returns the creates.
pub(super) fn requests(address: SocketAddr, population: Population) -> Rc<[Vec<u8>]> {
    let request = |n| send(address, "POST", "/fhir/Observation", &body(population, n));
    (0..BODIES.min(population.observations())).map(request).collect()
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let server = bench.writes()?;
    let population = bench.population;
    let creates = requests(server.address, population);
    let bodies: Vec<(String, Vec<u8>)> = (0..creates.len())
        .map(|n| (population.observation_id(n), body(population, n).into_bytes()))
        .collect();
    let mut table = PlainTable::create(&bench.folder.join("plain.sqlite"), bodies)?;
    let group = std::cell::Cell::new(1.0f64);
    let connections = bench.options.connections;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| {
            let before = (server.metric("lanterna_writes_total")?, server.metric("lanterna_commits_total")?);
            let round = run(server.address, connections, time, &|n| Box::new(Cycle::new(&creates, n, 201)))?;
            let writes = server.metric("lanterna_writes_total")? - before.0;
            let commits = server.metric("lanterna_commits_total")? - before.1;
            group.set((writes / commits.max(1.0)).max(1.0));
            Ok(round)
        },
        |time| repeat(time, || table.commit(group.get().round() as usize)),
    )?;
    bench.figure("creates", "creates, durable", ours.rate, "/s", None);
    Ok(Measured {
        ours: ours.rate,
        baseline: Some(baseline.rate),
        note: format!(
            "{connections} connections; {:.0} creates to a commit, both sides; p50 {:.2} ms, p99 {:.2} ms",
            group.get(),
            ours.p50_ms,
            ours.p99_ms
        ),
        details: vec![("group", group.get()), ("p50Ms", ours.p50_ms), ("p99Ms", ours.p99_ms)],
        ..Measured::default()
    })
}

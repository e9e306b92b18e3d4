//! Searches by patient and code that find twenty Observations.

use std::net::SocketAddr;
use std::rc::Rc;

use super::read;
use crate::bench::client::get;
use crate::bench::data::{MATCHES, Population, mix, token};
use crate::bench::load::{Cycle, compare, run};
use crate::bench::report::{Measured, Target};
use crate::bench::{Bench, BenchError};

/// How many searches are made over and over.
const SEARCHES: usize = 5_000;
/// How each answer begins.
const BEGINNING: &[u8] = br#"{"resourceType":"Bundle","type":"searchset","total":20,"#;

/// Returns the searches, for patients from all over the data.
pub(super) fn requests(address: SocketAddr, population: Population) -> Rc<[Vec<u8>]> {
    let search = |n: usize| {
        let patient = mix(n as u64) as usize % population.patients();
        let code = token(population.code_of(patient, n));
        let patient = population.patient_id(patient);
        get(address, &format!("/fhir/Observation?patient=Patient/{patient}&code={code}"))
    };
    (0..SEARCHES).map(search).collect()
}

/// Makes what a connection asks of such searches.
pub(super) fn cycle(requests: &Rc<[Vec<u8>]>, connection: usize) -> Cycle {
    debug_assert_eq!(MATCHES, 20, "as the beginning of the answers says");
    Cycle::new(requests, connection, 200).beginning(BEGINNING)
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let server = bench.large()?;
    let searches = requests(server.address, bench.population);
    let reads: Rc<[Vec<u8>]> =
        read::paths(bench.population).iter().map(|path| get(server.address, path)).collect();
    let connections = bench.options.connections;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(server.address, connections, time, &|n| Box::new(cycle(&searches, n))),
        |time| run(server.address, connections, time, &|n| Box::new(Cycle::new(&reads, n, 200))),
    )?;
    bench.figure("searches", "searches", ours.rate, "/s", Some(Target::AtLeast(8_000.0)));
    Ok(Measured {
        ours: ours.rate,
        baseline: Some(baseline.rate),
        note: format!("p50 {:.2} ms, p99 {:.2} ms", ours.p50_ms, ours.p99_ms),
        details: vec![("p50Ms", ours.p50_ms), ("p99Ms", ours.p99_ms)],
        ..Measured::default()
    })
}

//! `Patient/$match` among many Patients, and reads by id of the same.

use std::rc::Rc;

use crate::bench::child::Child;
use crate::bench::client::{get, send};
use crate::bench::fill::fill;
use crate::bench::load::{Cycle, compare, run};
use crate::bench::matching;
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};

/// How many persons are asked about over and over.
const ASKED: usize = 5_000;
/// How many Patients are read: more than are kept in memory, for those who are asked about are looked up among all.
const READ: usize = 100_000;
/// How the answers begin.
const BEGINNING: &[u8] = br#"{"resourceType":"Bundle","type":"searchset","total":"#;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let folder = bench.folder.join("persons");
    let file = folder.with_extension("ndjson");
    bench.tell_filling("storing persons");
    let ids =
        matching::write_records(&file, bench.options.scale).map_err(BenchError::io("writing the data"))?;
    bench.bar.set_length(std::fs::metadata(&file).map_or(0, |m| m.len()));
    let filled = fill(&folder, std::slice::from_ref(&file), &bench.bar)?;
    std::fs::remove_file(&file).map_err(BenchError::io("removing the data"))?;
    if let Some((count, why)) = filled.refused {
        return Err(BenchError::Load(format!("{count} refused, such as {why}")));
    }
    bench.tell("match");
    // What was just stored would be tied meanwhile.
    let server = Child::start_with(&folder, "[identity]\nlink = \"off\"\n")?;
    let step = (ids.len() / READ).max(1);
    let reads: Rc<[Vec<u8>]> =
        ids.iter().step_by(step).map(|id| get(server.address, &format!("/fhir/Patient/{id}"))).collect();
    let matches: Rc<[Vec<u8>]> = matching::described(bench.options.scale, ASKED)
        .iter()
        .map(|patient| send(server.address, "POST", "/fhir/Patient/$match", patient))
        .collect();
    // One connection, so that what is compared is how long an answer takes.
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(server.address, 1, time, &|n| Box::new(Cycle::new(&matches, n, 200).beginning(BEGINNING))),
        |time| run(server.address, 1, time, &|n| Box::new(Cycle::new(&reads, n, 200))),
    )?;
    bench.figure("matches", "Patient/$match, one connection", ours.rate, "/s", None);
    Ok(Measured {
        ours: ours.p50_ms,
        baseline: Some(baseline.p50_ms),
        note: format!("{} Patients; p99 {:.2} ms", ids.len(), ours.p99_ms),
        details: vec![("patients", ids.len() as f64), ("p99Ms", ours.p99_ms)],
        ..Measured::default()
    })
}

//! The import of transaction Bundles, and a parse of the same bytes.

use std::path::PathBuf;
use std::time::Instant;

use crate::bench::data::Population;
use crate::bench::fill::{Filled, fill};
use crate::bench::load::median;
use crate::bench::report::{Measured, Target};
use crate::bench::{Bench, BenchError};
use crate::import::source::{documents, files};

/// How often both sides are measured.
const ROUNDS: usize = 3;
/// Entries of a Bundle that is made where there are none of Synthea.
const ENTRIES: usize = 300;
/// How many of those are made at most.
const BUNDLES_MAX: usize = 110;
/// What bounds the bytes that are held for the parse.
const BYTES_MAX: usize = 2 << 30;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let given = bench.options.synthea.clone();
    let paths = match &given {
        Some(path) => files(std::slice::from_ref(path)),
        None => vec![generated(bench)?],
    };
    let bodies = read(&paths)?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let on_disk = paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|m| m.len()).sum();
    let (mut imports, mut parses, mut last) = (Vec::new(), Vec::new(), None);
    for round in 0..ROUNDS {
        bench.tell_filling("import");
        bench.bar.set_length(on_disk);
        let folder = bench.folder.join(format!("import-{round}"));
        let filled = fill(&folder, &paths, &bench.bar)?;
        std::fs::remove_dir_all(&folder).map_err(BenchError::io("removing what was imported"))?;
        imports.push(filled.seconds);
        bench.tell("import: parse");
        parses.push(parse(&bodies)?);
        last = Some(filled);
    }
    let (ours, baseline) = (median(imports), median(parses));
    let Some(filled) = last else { return Err(BenchError::Load("no round was run".to_owned())) };
    let rate = filled.resources as f64 / ours.max(1e-9);
    figures(bench, &filled, rate, given.is_some());
    let mut note = format!(
        "{} resources, {:.1} MB of JSON, {rate:.0} resources/s; parse at {:.0} MB/s",
        filled.resources,
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / baseline.max(1e-9)
    );
    if let Some((count, why)) = &filled.refused {
        note.push_str(&format!("; {count} refused, such as {why}"));
    }
    if given.is_none() {
        note.push_str(
            "; of generated Bundles: the figure to reach is of Synthea's, give them with --synthea",
        );
    }
    let details = vec![
        ("resources", filled.resources as f64),
        ("jsonBytes", bytes as f64),
        ("resourcesPerSecond", rate),
        ("diskBytesEach", filled.bytes_each()),
    ];
    Ok(Measured { ours, baseline: Some(baseline), undecided: given.is_none(), note, details })
}

fn figures(bench: &mut Bench<'_>, filled: &Filled, rate: f64, is_synthea: bool) {
    let whose = if is_synthea { "Synthea's" } else { "generated" };
    let target = |target| is_synthea.then_some(target);
    let what = format!("import of {whose} transaction Bundles");
    bench.figure("import", &what, rate, "resources/s", target(Target::AtLeast(12_000.0)));
    let what = format!("on disk, {whose} Bundles, every index");
    bench.figure("importSize", &what, filled.bytes_each(), "bytes each", target(Target::AtMost(1_250.0)));
}

/// Makes Bundles of about as many resources as the scale says.
pub(super) fn generated(bench: &Bench<'_>) -> Result<PathBuf, BenchError> {
    let path = bench.folder.join("bundles.ndjson");
    let count = (bench.options.scale / ENTRIES).clamp(2, BUNDLES_MAX);
    let population = Population::of(count * ENTRIES);
    let lines: Vec<String> = (0..count).map(|n| population.transaction(n, ENTRIES)).collect();
    std::fs::write(&path, lines.join("\n")).map_err(BenchError::io("writing the Bundles"))?;
    Ok(path)
}

/// Reads all documents into memory, unpacked.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, BenchError> {
    let (mut bodies, mut failure, mut bytes) = (Vec::new(), None, 0);
    for path in paths {
        documents(path, |_| {}, &mut |document| {
            match document.content {
                Ok(content) => {
                    bytes += content.len();
                    bodies.push(content);
                }
                Err(why) => failure = Some(BenchError::Load(format!("{}: {why}", document.name))),
            }
            failure.is_none() && bytes <= BYTES_MAX
        });
    }
    match failure {
        Some(failure) => Err(failure),
        None if bytes > BYTES_MAX => Err(BenchError::Load("more than 2 GiB: give fewer Bundles".to_owned())),
        None => Ok(bodies),
    }
}

/// Parses all documents one after another; returns the seconds.
pub(super) fn parse(bodies: &[Vec<u8>]) -> Result<f64, BenchError> {
    let begin = Instant::now();
    for body in bodies {
        let value: serde_json::Value =
            serde_json::from_slice(body).map_err(|e| BenchError::Load(e.to_string()))?;
        std::hint::black_box(&value);
    }
    Ok(begin.elapsed().as_secs_f64())
}

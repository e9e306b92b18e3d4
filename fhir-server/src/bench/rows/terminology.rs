//! Looking codes up and expanding value sets, over a code system of many codes.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_model::json;
use profiles::definitions::Definitions;
use profiles::terminology::expand::Expand;
use profiles::terminology::{CodingRef, Terminology};

use crate::bench::{Bench, BenchError};

/// How many codes the code system has: about as many as LOINC.
const CODES: usize = 100_000;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let mut concepts = String::new();
    for number in 0..CODES {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(concepts, r#"{comma}{{"code":"{number}-{}","display":"Term {number}"}}"#, number % 10);
    }
    let system = format!(
        r#"{{"resourceType":"CodeSystem","url":"http://c","status":"active","content":"complete","concept":[{concepts}]}}"#
    );
    let value_set = r#"{"resourceType":"ValueSet","url":"http://v","status":"active","compose":{"include":[{"system":"http://c"}]}}"#;
    let mut definitions = Definitions::new();
    for text in [system, value_set.to_owned()] {
        definitions.add_resource(json::read(text).map_err(|error| BenchError::Load(error.to_string()))?);
    }
    let terminology = Terminology::new(Arc::new(definitions));
    let time = bench.options.time;
    let code = |number: usize| format!("{}-{}", number % CODES, number % CODES % 10);
    let lookups = rate(time, |number| {
        let code = code(number * 7919);
        let coding = CodingRef { system: Some("http://c"), version: None, code: &code, display: None };
        terminology.lookup(&coding, &[]).map(drop).map_err(|error| BenchError::Load(error.to_string()))
    })?;
    bench.figure("lookup", "$lookup in a code system of 100,000, one thread", lookups, "lookups/s", None);
    let members = rate(time, |number| {
        let code = code(number * 7919);
        let coding = CodingRef { system: Some("http://c"), version: None, code: &code, display: None };
        std::hint::black_box(terminology.validate("http://v", &coding));
        Ok(())
    })?;
    bench.figure("member", "membership of a value set of 100,000, one thread", members, "codes/s", None);
    let expansions = rate(time, |number| {
        let how =
            Expand { filter: Some(format!("term {}", number % 1000)), count: Some(20), ..Expand::default() };
        terminology.expand("http://v", &how).map(drop).map_err(|error| BenchError::Load(error.to_string()))
    })?;
    bench.figure(
        "expand",
        "$expand of it with a text filter, 20 codes, one thread",
        expansions,
        "expansions/s",
        None,
    );
    Ok(())
}

/// Repeats `work` for so long; returns how often a second.
fn rate(time: Duration, mut work: impl FnMut(usize) -> Result<(), BenchError>) -> Result<f64, BenchError> {
    let begin = Instant::now();
    let mut done = 0;
    while begin.elapsed() < time {
        work(done)?;
        done += 1;
    }
    Ok(done as f64 / begin.elapsed().as_secs_f64())
}

//! Validation against the base specification, and a parse of the same bytes.

use std::sync::Arc;
use std::time::Instant;

use fhir_model::json;
use profiles::definitions::Definitions;
use profiles::terminology::Terminology;
use profiles::validate::{Finding, Options, Validator};

use super::import::{generated, parse, read};
use crate::bench::load::median;
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};
use crate::import::source::files;

/// How often both sides are measured.
const ROUNDS: usize = 3;

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let given = bench.options.synthea.clone();
    let paths = match &given {
        Some(path) => files(std::slice::from_ref(path)),
        None => vec![generated(bench)?],
    };
    let bodies = read(&paths)?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let definitions = Arc::new(Definitions::new());
    let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
    let validator = Validator::new(definitions, terminology, Options::default());
    let (mut validations, mut parses, mut errors) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        bench.tell("validation");
        let begin = Instant::now();
        errors = 0;
        for body in &bodies {
            let resource = json::read(body.clone()).map_err(|error| BenchError::Load(error.to_string()))?;
            errors += validator.validate(&resource, &[]).iter().filter(|f| Finding::is_error(f)).count();
        }
        validations.push(begin.elapsed().as_secs_f64());
        bench.tell("validation: parse");
        parses.push(parse(&bodies)?);
    }
    let (ours, baseline) = (median(validations), median(parses));
    let rate = bytes as f64 / 1e6 / ours.max(1e-9);
    let note = format!(
        "{} Bundles, {:.1} MB of JSON, read and validated at {rate:.0} MB/s in one thread, {errors} errors found",
        bodies.len(),
        bytes as f64 / 1e6
    );
    let details = vec![("jsonBytes", bytes as f64), ("errors", errors as f64)];
    Ok(Measured { ours, baseline: Some(baseline), undecided: given.is_none(), note, details })
}

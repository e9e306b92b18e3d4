//! Counts of the code that a tenth of the Observations have.

use std::path::Path;
use std::rc::Rc;

use fhir_model::json;

use crate::bench::client::{Answer, get};
use crate::bench::data::{Population, token};
use crate::bench::load::{Exchange, compare, measure as measure_one, repeat, run};
use crate::bench::plain::Database;
use crate::bench::report::{Measured, Target};
use crate::bench::{Bench, BenchError, cores};
use crate::index::extract::extract;
use crate::search::registry::Definitions;

/// Asks for one count over and over.
struct Counting {
    request: Rc<[u8]>,
    beginning: Rc<str>,
}

impl Exchange for Counting {
    fn request(&mut self) -> &[u8] {
        &self.request
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        answer.expect(200)?;
        match answer.body.starts_with(self.beginning.as_bytes()) {
            true => Ok(1),
            false => Err(BenchError::Wrong(String::from_utf8_lossy(answer.body).into_owned())),
        }
    }
}

/// Returns the value in the index by which the Observations with the common
/// code are found: one that the index holds of such an Observation, and of as
/// many resources as have the code.
pub(super) fn index_value(database: &mut Database, population: Population) -> Result<i64, BenchError> {
    let mut text = String::new();
    population.write_observation(0, &mut text);
    let resource = json::read(text.into_bytes()).map_err(|e| BenchError::Load(e.to_string()))?;
    let definitions = Definitions::standard().map_err(|e| BenchError::Load(e.to_string()))?;
    for value in extract(&definitions, &resource, &[]).equal {
        if database.count(value.0)? == population.with_common_code() as u64 {
            return Ok(value.0);
        }
    }
    Err(BenchError::Wrong("the index has no value for the code".to_owned()))
}

/// Opens the database of the data beside the server.
pub(super) fn database(folder: &Path, population: Population) -> Result<(Database, i64), BenchError> {
    let mut database = Database::open(folder)?;
    let value = index_value(&mut database, population)?;
    Ok((database, value))
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let (server, folder) = (bench.large()?, bench.large_folder()?);
    let matches = bench.population.with_common_code();
    let request: Rc<[u8]> =
        get(server.address, &format!("/fhir/Observation?code={}&_summary=count", token(0))).into();
    let beginning: Rc<str> =
        format!(r#"{{"resourceType":"Bundle","type":"searchset","total":{matches},"#).into();
    let counting = |_| -> Box<dyn Exchange> {
        Box::new(Counting { request: Rc::clone(&request), beginning: Rc::clone(&beginning) })
    };
    let (mut database, value) = database(&folder, bench.population)?;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(server.address, 1, time, &counting),
        |time| repeat(time, || database.count(value).map(|_| 1)),
    )?;
    let connections = cores();
    let on_all = measure_one(bench.options.time, |time| run(server.address, connections, time, &counting))?;
    let what = format!("resources counted, {connections} connections");
    bench.figure("counts", &what, on_all.rate * matches as f64, "/s", Some(Target::AtLeast(7e6)));
    Ok(Measured {
        ours: ours.rate,
        baseline: Some(baseline.rate),
        note: format!(
            "{matches} matches of {} Observations; one connection, one thread",
            bench.population.observations()
        ),
        details: vec![
            ("matches", matches as f64),
            ("resourcesPerSecond", ours.rate * matches as f64),
            ("p50Ms", ours.p50_ms),
            ("baselineP50Ms", baseline.p50_ms),
        ],
        ..Measured::default()
    })
}

//! Create, read, update and delete by turns, as other benchmarks mix them.

use std::net::SocketAddr;

use crate::bench::client::{Answer, get, send};
use crate::bench::data::Population;
use crate::bench::load::{Exchange, measure as measure_one, run};
use crate::bench::report::Target;
use crate::bench::{Bench, BenchError};

/// Where the life of a resource is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Create,
    Read,
    Update,
    Delete,
}

/// The lives of Observations, one after another.
struct Lives {
    address: SocketAddr,
    population: Population,
    number: usize,
    turn: Turn,
    /// The path of the Observation that lives now.
    path: String,
    request: Vec<u8>,
}

impl Lives {
    fn body(&self, id: Option<&str>) -> String {
        let mut body = String::from(r#"{"resourceType":"Observation","#);
        if let Some(id) = id {
            body.push_str(&format!(r#""id":"{id}","#));
        }
        let patient = self.population.patient_id(self.number % self.population.patients());
        // An update has another value, or it would change nothing.
        let number = self.number + usize::from(id.is_some());
        self.population.write_after_id(number, &format!("Patient/{patient}"), &mut body);
        body
    }
}

impl Exchange for Lives {
    fn request(&mut self) -> &[u8] {
        self.request = match self.turn {
            Turn::Create => send(self.address, "POST", "/fhir/Observation", &self.body(None)),
            Turn::Read => get(self.address, &self.path),
            Turn::Update => {
                let id = self.path.rsplit('/').next();
                send(self.address, "PUT", &self.path, &self.body(id))
            }
            Turn::Delete => send(self.address, "DELETE", &self.path, ""),
        };
        &self.request
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        let status = match self.turn {
            Turn::Create => 201,
            Turn::Read | Turn::Update => 200,
            Turn::Delete => 204,
        };
        answer.expect(status)?;
        self.turn = match self.turn {
            Turn::Create => {
                let location = answer.header("location").and_then(path_of);
                self.path = location.ok_or(BenchError::Response("a create without a location"))?;
                Turn::Read
            }
            Turn::Read => Turn::Update,
            Turn::Update => Turn::Delete,
            Turn::Delete => {
                self.number += 1;
                Turn::Create
            }
        };
        Ok(1)
    }
}

/// Returns the path of the resource that a location with its version names.
fn path_of(location: &str) -> Option<String> {
    let (resource, _) = location.split_once("/_history/")?;
    Some(resource.get(resource.find("/fhir/")?..)?.to_owned())
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let server = bench.writes()?;
    let (address, population, connections) = (server.address, bench.population, bench.options.connections);
    let lives = |n: usize| -> Box<dyn Exchange> {
        let (path, request) = (String::new(), Vec::new());
        Box::new(Lives { address, population, number: n * 1_000, turn: Turn::Create, path, request })
    };
    let round = measure_one(bench.options.time, |time| run(address, connections, time, &lives))?;
    let what = "create, read, update, delete by turns";
    bench.figure("crud", what, round.rate, "requests/s", Some(Target::AtLeast(8_000.0)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_locations() {
        for (location, expected) in [
            ("http://h:1/fhir/Observation/a/_history/1", Some("/fhir/Observation/a")),
            ("http://h:1/fhir/Observation/a", None),
            ("http://h:1/other/a/_history/1", None),
        ] {
            assert_eq!(path_of(location).as_deref(), expected, "{location}");
        }
    }
}

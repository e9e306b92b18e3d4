//! What recording costs: reads, searches and creates on servers that differ in
//! what of FHIR they record, by turns.

use std::rc::Rc;

use super::{create, read, search};
use crate::bench::child::Child;
use crate::bench::client::get;
use crate::bench::data::Population;
use crate::bench::fill::{self, Form};
use crate::bench::load::{Cycle, Exchange, Round, by_turns, run};
use crate::bench::{Bench, BenchError};

/// The settings: nothing is recorded, documents are, everything is.
const SETTINGS: [&str; 3] = ["off", "documents", "all"];

/// A server of a setting, and what it is asked.
struct Side {
    server: Child,
    reads: Rc<[Vec<u8>]>,
    searches: Rc<[Vec<u8>]>,
    creates: Rc<[Vec<u8>]>,
}

/// A load: what it is called, and what a connection asks.
type Load = (&'static str, fn(&Side, usize) -> Box<dyn Exchange>);

const LOADS: [Load; 3] = [
    ("reads by id", |side, n| Box::new(Cycle::new(&side.reads, n, 200))),
    ("searches, 20 matches", |side, n| Box::new(search::cycle(&side.searches, n))),
    ("creates", |side, n| Box::new(Cycle::new(&side.creates, n, 201))),
];

fn side(bench: &Bench<'_>, population: Population, setting: &str) -> Result<Side, BenchError> {
    let folder = bench.folder.join(format!("audit-{setting}"));
    fill::fill_with(&folder, population, Form::Transactions, &bench.bar)?;
    let server = Child::start_with(&folder, &format!("[audit]\nfhir = \"{setting}\"\n"))?;
    let address = server.address;
    let reads = read::paths(population).iter().map(|path| get(address, path)).collect();
    let (searches, creates) = (search::requests(address, population), create::requests(address, population));
    Ok(Side { server, reads, searches, creates })
}

/// Measures each load on all servers by turns.
pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let population = Population::of(bench.population.observations() / 10);
    let sides =
        SETTINGS.iter().map(|setting| side(bench, population, setting)).collect::<Result<Vec<_>, _>>()?;
    let connections = bench.options.connections;
    for (load, exchange) in LOADS {
        let mut turns: Vec<_> = sides
            .iter()
            .map(|side| move |time| run(side.server.address, connections, time, &|n| exchange(side, n)))
            .collect();
        let rounds = by_turns(bench.options.time, &mut turns)?;
        for (setting, Round { rate, .. }) in SETTINGS.iter().zip(rounds) {
            bench.figure("audit", &format!("{load}, recorded: {setting}"), rate, "/s", None);
        }
    }
    Ok(())
}

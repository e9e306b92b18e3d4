//! The memory of a server under all kinds of load at once.

use std::rc::Rc;

use super::download::Paging;
use super::{create, read, search};
use crate::bench::client::{Answer, get};
use crate::bench::data::mix;
use crate::bench::load::{Cycle, Exchange, run};
use crate::bench::report::Measured;
use crate::bench::{Bench, BenchError};

/// The number of bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// By turns: eight reads, four searches, two creates, two counts.
struct Mixed {
    reads: Cycle,
    searches: Cycle,
    creates: Cycle,
    counts: Cycle,
    turn: usize,
}

impl Mixed {
    fn now(&mut self) -> &mut Cycle {
        match self.turn % 16 {
            0..8 => &mut self.reads,
            8..12 => &mut self.searches,
            12..14 => &mut self.creates,
            _ => &mut self.counts,
        }
    }
}

impl Exchange for Mixed {
    fn request(&mut self) -> &[u8] {
        self.turn += 1;
        self.now().request()
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        self.now().answered(answer)
    }
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    // A server of its own, so that the figure does not depend on other rows.
    bench.large = None;
    let server = bench.large()?;
    let (address, population) = (server.address, bench.population);
    let at_rest = server.memory()?.0;
    let reads: Rc<[Vec<u8>]> = read::paths(population).iter().map(|path| get(address, path)).collect();
    let searches = search::requests(address, population);
    let creates = create::requests(address, population);
    let count = |n: usize| {
        let patient = population.patient_id(mix(n as u64) as usize % population.patients());
        get(address, &format!("/fhir/Observation?patient=Patient/{patient}&_summary=count"))
    };
    let counts: Rc<[Vec<u8>]> = (0..1000).map(count).collect();
    let exchanges = |n: usize| -> Box<dyn Exchange> {
        if n == 0 {
            return Box::new(Paging::new(address, population.with_common_code()).while_others_write());
        }
        Box::new(Mixed {
            reads: Cycle::new(&reads, n, 200),
            // What is created may be found as well: the number of matches is not looked at.
            searches: Cycle::new(&searches, n, 200),
            creates: Cycle::new(&creates, n, 201),
            counts: Cycle::new(&counts, n, 200),
            turn: n,
        })
    };
    let load = run(address, bench.options.connections, bench.options.time, &exchanges)?;
    let (resident, peak) = server.memory()?;
    drop(server);
    // The data is not as it was.
    bench.large = None;
    Ok(Measured {
        ours: peak / MIB,
        note: format!(
            "{} resources; reads, searches, creates, counts, and pages of 1,000 on one connection; {:.0} MiB before, {:.0} MiB after",
            population.resources(),
            at_rest / MIB,
            resident / MIB
        ),
        details: vec![
            ("resources", population.resources() as f64),
            ("beforeMib", at_rest / MIB),
            ("afterMib", resident / MIB),
            ("unitsPerSecond", load.rate),
        ],
        ..Measured::default()
    })
}

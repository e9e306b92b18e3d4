//! Measures who is taken for the same person: makes persons and what sources know of
//! them, stores that as `lanterna import` does, and asks of each record who else it may be. Who it is,
//! is known here, so that precision and recall can be told.

mod page;
mod people;
mod random;
mod records;
mod tables;
mod tally;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;

use super::Folder;
use super::error::BenchError;
use super::fill::fill;
use crate::identity::candidates::{Depth, Found};
use crate::identity::compare::Agreements;
use crate::identity::rules::{Rule, held_by};
use crate::identity::weights::{Field, Level, Weights};
use crate::identity::{Decision, Features, Matcher};
use crate::storage::{Reader, Reads, RenderedSql, Store, StoreSettings, persons};

pub use tally::{Curve, Share, Tally};

/// From what persons are made for the table of figures.
const SEED: u64 = 1;

/// What is measured.
#[derive(Debug, Clone)]
pub struct MatchingOptions {
    /// How many persons.
    pub persons: usize,
    /// From what they are made.
    pub seed: u64,
    /// What agreements weigh.
    pub weights: Weights,
    /// Where the folder with the data is made, and removed in the end.
    pub beside: PathBuf,
}

/// Two records that may be one person.
#[derive(Debug, Clone)]
struct Pair {
    /// The places of the records.
    records: (usize, usize),
    /// What speaks for it, in bits.
    sum: f64,
    decision: Decision,
    held: Option<Rule>,
    /// What of two persons agrees who are linked.
    wrong: Option<String>,
}

/// The records that are stored.
struct Records {
    /// Their numbers in the database, in order.
    numbers: Vec<i64>,
    /// Whose they are.
    persons: Vec<usize>,
}

/// Measures.
///
/// # Errors
/// When the data cannot be made or stored.
pub fn run(options: &MatchingOptions) -> Result<Tally, BenchError> {
    let folder = Folder::make(&options.beside)?;
    let file = folder.0.join("records.ndjson");
    let persons = people::People::made(options.persons, options.seed);
    write(&file, &persons, options.seed).map_err(BenchError::io("writing the records"))?;
    let data = folder.0.join("data");
    let filled = fill(&data, std::slice::from_ref(&file), &ProgressBar::hidden())?;
    if let Some((count, why)) = filled.refused {
        return Err(BenchError::Load(format!("{count} refused, such as {why}")));
    }
    let store = Arc::new(Store::open(&StoreSettings::of(&data))?);
    let matcher = Matcher::new(options.weights.clone());
    let records = Records::read(&mut store.reader()?)?;
    let begin = Instant::now();
    let pairs = pairs(&store, &matcher, &records)?;
    let seconds = begin.elapsed().as_secs_f64();
    store.close();
    Ok(Tally::of(&records.persons, &pairs, &options.weights, seconds))
}

/// Writes what sources know of persons, a Patient in each line.
fn write(path: &Path, persons: &[people::Person], seed: u64) -> std::io::Result<Vec<String>> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = random::Random::new(!seed);
    let mut ids = Vec::new();
    for (number, person) in persons.iter().enumerate() {
        for record in 0..records::count(&mut random) {
            writeln!(file, "{}", records::written(person, number, record, &mut random))?;
            ids.push(records::id(number, record));
        }
    }
    file.flush()?;
    Ok(ids)
}

/// Writes so many Patients, and some more or fewer; returns their ids.
pub(super) fn write_records(path: &Path, patients: usize) -> std::io::Result<Vec<String>> {
    write(path, &people::People::made(persons_of(patients), SEED), SEED)
}

/// Returns Patients who describe persons among so many Patients, as yet another source knows them.
pub(super) fn described(patients: usize, count: usize) -> Vec<String> {
    let mut random = random::Random::new(SEED + 1);
    let persons = people::People::made(persons_of(patients), SEED);
    let step = (persons.len() / count.max(1)).max(1);
    let numbered = persons.iter().enumerate().step_by(step);
    numbered.map(|(number, person)| records::written(person, number, 9, &mut random).to_string()).collect()
}

/// Returns of how many persons there are so many records.
fn persons_of(patients: usize) -> usize {
    (patients * 13 / 20).max(1)
}

impl Records {
    fn read(reader: &mut Reader) -> Result<Records, BenchError> {
        let sql =
            "SELECT r.key, r.id FROM person p JOIN resource r ON r.key = p.key ORDER BY r.key".to_owned();
        let statement = RenderedSql { sql, ..RenderedSql::default() };
        let (mut numbers, mut persons) = (Vec::new(), Vec::new());
        for (number, id) in reader.integers_with_text(&statement)? {
            let person = id.strip_prefix('p').and_then(|id| id.split_once('-')?.0.parse().ok());
            numbers.push(number);
            persons.push(person.ok_or_else(|| BenchError::Load(format!("`{id}` is no record of ours")))?);
        }
        Ok(Records { numbers, persons })
    }
}

/// Asks of each record who else it may be, of those that were stored before it.
fn pairs(store: &Arc<Store>, matcher: &Matcher, records: &Records) -> Result<Vec<Pair>, BenchError> {
    let threads = super::cores().min(4);
    let places: Vec<usize> = (0..records.numbers.len()).collect();
    let share = places.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let ask = |places| move || pairs_of(&mut store.reader()?, matcher, records, places);
        let asking: Vec<_> = places.chunks(share).map(|places| scope.spawn(ask(places))).collect();
        let mut all = Vec::new();
        for thread in asking {
            let found =
                thread.join().map_err(|_| BenchError::Load("the matching has panicked".to_owned()))?;
            all.extend(found?);
        }
        Ok(all)
    })
}

/// Says what of two agrees, but for what says little: by this, mistakes of one kind are told together.
fn told(why: &Agreements) -> String {
    let telling = [Field::Fiscal, Field::Identifier, Field::Family, Field::Given, Field::Birth, Field::Sex];
    let further = [Field::Mother, Field::Address, Field::Phone];
    let level = |field: Field| Some(format!("{} {}", field.code(), why.level(field)?.code()));
    let agrees = |field: &Field| why.level(*field).is_some_and(|level| level == Level::Exact);
    let mut all: Vec<String> = telling.into_iter().filter_map(level).collect();
    all.push(format!(
        "{} of address, telephone, mother",
        further.iter().filter(|field| agrees(field)).count()
    ));
    all.join(", ")
}

fn pairs_of(
    reader: &mut Reader,
    matcher: &Matcher,
    records: &Records,
    places: &[usize],
) -> Result<Vec<Pair>, BenchError> {
    let mut pairs = Vec::new();
    for place in places {
        let number = records.numbers.get(*place).copied().unwrap_or_default();
        let Some((_, packed)) = persons(reader, &[number])?.pop() else { continue };
        let Some(features) = Features::unpack(&packed) else { continue };
        let found = matcher.find(reader, &features, Depth::All)?.unwrap_or_default();
        for Found { number: other, compared, features: of_other } in found {
            let Ok(before) = records.numbers.binary_search(&other) else { continue };
            if before < *place {
                let held = held_by(&features, &of_other, &compared.why);
                let (sum, decision) = (compared.why.sum(), compared.decision);
                let are_two = records.persons.get(before) != records.persons.get(*place);
                let wrong = (are_two && decision == Decision::Link).then(|| told(&compared.why));
                pairs.push(Pair { records: (before, *place), sum, decision, held, wrong });
            }
        }
    }
    Ok(pairs)
}

//! Fills data folders through the gate that `lanterna import` uses.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;

use super::data::Population;
use super::error::BenchError;
use crate::import::load::{Progress, load};
use crate::interaction::Server;
use crate::limits::Limits;
use crate::search::registry::Definitions;
use crate::search::{Search, SearchLimits};
use crate::storage::{Store, StoreSettings};

/// Resources of a transaction by which a population is loaded.
const TRANSACTION_ENTRIES: usize = 2_000;

/// What a load led to.
#[derive(Debug, Clone)]
pub(super) struct Filled {
    /// How many resources were stored.
    pub(super) resources: u64,
    /// How long that took.
    pub(super) seconds: f64,
    /// What the data folder takes on disk.
    pub(super) disk_bytes: u64,
    /// How many were refused, and the first reason.
    pub(super) refused: Option<(u64, String)>,
}

impl Filled {
    /// Returns the resources stored a second.
    pub(super) fn rate(&self) -> f64 {
        self.resources as f64 / self.seconds.max(1e-9)
    }

    /// Returns the bytes on disk of a resource.
    pub(super) fn bytes_each(&self) -> f64 {
        self.disk_bytes as f64 / (self.resources.max(1)) as f64
    }
}

struct Told<'b>(&'b ProgressBar);

impl Progress for Told<'_> {
    fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn stored(&self, _resources: u64) {}
}

/// Loads files into a data folder as `lanterna import` does; the time is that
/// of the load, without opening and closing the database.
///
/// # Errors
/// When the data folder cannot be used or nothing was stored.
pub(super) fn fill(folder: &Path, files: &[PathBuf], bar: &ProgressBar) -> Result<Filled, BenchError> {
    let store = Arc::new(Store::open(&StoreSettings::of(folder))?);
    let definitions = Definitions::standard().map_err(|e| BenchError::Load(e.to_string()))?;
    let search = Search::new(Arc::new(definitions), Vec::new(), SearchLimits::default());
    let limits = Limits { bundle_entries_max: usize::MAX, ..Limits::default() };
    let api = Server::new(Arc::clone(&store), search, limits, Vec::new())
        .map_err(|issue| BenchError::Load(issue.to_string()))?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let begin = Instant::now();
    let loaded = load(&api, files, cores * 2, &Told(bar)).map_err(BenchError::io("loading"))?;
    let seconds = begin.elapsed().as_secs_f64();
    drop(api);
    store.close();
    drop(store);
    let first = loaded.refused.first().map(|(name, why)| format!("{name}: {why}"));
    let refused = first.map(|why| (loaded.refused_count, why));
    if loaded.total() == 0 {
        return Err(BenchError::Load(refused.map_or("nothing is there".to_owned(), |(_, why)| why)));
    }
    Ok(Filled { resources: loaded.total(), seconds, disk_bytes: disk_bytes(folder), refused })
}

/// How a population is written for the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A resource in each line.
    Resources,
    /// A transaction of many resources in each line: fewer, larger commits.
    Transactions,
}

/// Loads a population into a data folder, by way of a file beside it.
///
/// # Errors
/// As [`fill`], and when something was refused.
pub(super) fn fill_with(
    folder: &Path,
    population: Population,
    form: Form,
    bar: &ProgressBar,
) -> Result<Filled, BenchError> {
    let file = folder.with_extension("ndjson");
    write_population(&file, population, form).map_err(BenchError::io("writing the data"))?;
    bar.set_length(std::fs::metadata(&file).map_or(0, |m| m.len()));
    let filled = fill(folder, std::slice::from_ref(&file), bar).and_then(|filled| match filled.refused {
        Some((count, why)) => Err(BenchError::Load(format!("{count} refused, such as {why}"))),
        None => Ok(filled),
    });
    std::fs::remove_file(&file).map_err(BenchError::io("removing the data"))?;
    if filled.is_err() {
        // A part of the data is of no use, and must not pass for the whole.
        let _ = std::fs::remove_dir_all(folder);
    }
    filled
}

fn write_population(path: &Path, population: Population, form: Form) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut line = String::new();
    let resources = population.resources();
    for number in 0..resources {
        let before = match (form, number % TRANSACTION_ENTRIES) {
            (Form::Resources, _) => "",
            (Form::Transactions, 0) => {
                r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":"#
            }
            (Form::Transactions, _) => r#",{"resource":"#,
        };
        line.push_str(before);
        let url = match number.checked_sub(population.patients()) {
            None => {
                population.write_patient(number, &mut line);
                format!("Patient/{}", population.patient_id(number))
            }
            Some(observation) => {
                population.write_observation(observation, &mut line);
                format!("Observation/{}", population.observation_id(observation))
            }
        };
        let is_last = number + 1 == resources || (number + 1) % TRANSACTION_ENTRIES == 0;
        if form == Form::Transactions {
            let _ = write!(line, r#","request":{{"method":"PUT","url":"{url}"}}}}"#);
            line.push_str(if is_last { "]}" } else { "" });
        }
        if is_last || form == Form::Resources {
            line.push('\n');
        }
        file.write_all(line.as_bytes())?;
        line.clear();
    }
    file.flush()
}

/// Adds up the files of a folder.
fn disk_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_population_in_either_form() {
        let folder = tempfile::tempdir().expect("folder");
        let population = Population::of(2_200);
        let bar = ProgressBar::hidden();
        for (form, name, lines) in
            [(Form::Resources, "one", population.resources()), (Form::Transactions, "many", 2)]
        {
            let folder = folder.path().join(name);
            let file = folder.with_extension("txt");
            write_population(&file, population, form).expect("written");
            assert_eq!(std::fs::read_to_string(file).expect("text").lines().count(), lines);
            let filled = fill_with(&folder, population, form, &bar).expect("stored");
            assert_eq!((filled.resources, filled.refused.is_none()), (2_211, true));
            assert!(filled.bytes_each() > 500.0 && filled.rate() > 1.0, "{filled:?}");
        }
    }
}

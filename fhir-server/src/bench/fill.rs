//! Fills data folders through the gate that `lanterna import` uses.

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
    let api = Server::new(Arc::clone(&store), search, limits, Vec::new());
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

/// Loads a population into a data folder, by way of a file beside it.
///
/// # Errors
/// As [`fill`], and when something was refused.
pub(super) fn fill_with(
    folder: &Path,
    population: Population,
    bar: &ProgressBar,
) -> Result<Filled, BenchError> {
    let file = folder.with_extension("ndjson");
    write_population(&file, population).map_err(BenchError::io("writing the data"))?;
    bar.set_length(std::fs::metadata(&file).map_or(0, |m| m.len()));
    let filled = fill(folder, std::slice::from_ref(&file), bar)?;
    std::fs::remove_file(&file).map_err(BenchError::io("removing the data"))?;
    match filled.refused {
        Some((count, why)) => Err(BenchError::Load(format!("{count} refused, such as {why}"))),
        None => Ok(filled),
    }
}

fn write_population(path: &Path, population: Population) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut line = String::new();
    for number in 0..population.resources() {
        line.clear();
        match number.checked_sub(population.patients()) {
            None => population.write_patient(number, &mut line),
            Some(observation) => population.write_observation(observation, &mut line),
        }
        line.push('\n');
        file.write_all(line.as_bytes())?;
    }
    file.flush()
}

/// Adds up the files of a folder.
fn disk_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
}

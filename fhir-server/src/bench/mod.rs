//! Measures the table of figures against their baselines, in one run.
//!
//! Each row has a file under `rows`. A row compares the server, which runs as
//! a process of its own, with something simpler that does the same: the same
//! answers from memory, the same bodies inserted without an index, one SQL
//! statement. Both sides are measured by turns, three times each, and the
//! medians count. Load comes from one thread of this process.

mod child;
mod client;
mod data;
mod error;
mod fill;
mod load;
pub mod matching;
mod plain;
mod report;
mod rows;
mod still;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub use error::BenchError;
pub use report::{Figure, Measured, Outcome, ROWS, Report, Row, RowKind, Target};

use child::Child;
use data::Population;
use fill::Form;

/// The loads beside the table, which have no baseline.
pub const LOADS: [&str; 9] =
    ["crud", "transaction", "bulk", "documents", "patients", "terminology", "transform", "audit", "messages"];

/// How it is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Observations for the rows that ask for many.
    pub scale: usize,
    /// How long each load takes.
    pub time: Duration,
    /// Connections of the loads.
    pub connections: usize,
    /// The rows to measure; all when empty.
    pub only: Vec<String>,
    /// Synthea's transaction Bundles.
    pub synthea: Option<PathBuf>,
    /// Where the folder with the data is made, and removed in the end.
    pub beside: PathBuf,
}

/// Measures.
///
/// # Errors
/// When a row is asked for that there is not, or no folder can be made; what
/// happens in a row is told in its place.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let names = || ROWS.iter().map(|row| row.name).chain(LOADS);
    if let Some(given) = options.only.iter().find(|given| !names().any(|name| name == *given)) {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(BenchError::NoRow { given: given.clone(), known });
    }
    if let Some(path) = options.synthea.as_ref().filter(|path| !path.exists()) {
        return Err(BenchError::Load(format!("`{}` is not there", path.display())));
    }
    let folder = Folder::make(&options.beside)?;
    let mut bench = Bench::new(options, &folder.0);
    let (rows, failures) = rows::measure(&mut bench);
    bench.bar.finish_and_clear();
    Ok(Report {
        cores: cores(),
        observations: bench.population.observations(),
        connections: options.connections,
        seconds: options.time.as_secs_f64(),
        rows,
        figures: std::mem::take(&mut bench.figures),
        failures,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// A folder of our own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(beside: &Path) -> Result<Folder, BenchError> {
        std::fs::create_dir_all(beside).map_err(BenchError::io("making the folder of the data"))?;
        let beside = beside.canonicalize().map_err(BenchError::io("finding the folder of the data"))?;
        let path = beside.join(format!("lanterna-bench-{}", std::process::id()));
        // Never one that is there: it is removed in the end.
        std::fs::create_dir(&path).map_err(BenchError::io("making the folder of the data"))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("lanterna: `{}` cannot be removed: {error}", self.0.display());
        }
    }
}

/// What the rows share: data folders that are filled when first asked for.
struct Bench<'o> {
    options: &'o Options,
    folder: &'o Path,
    bar: ProgressBar,
    /// The Observations that the scale asks for.
    population: Population,
    /// The server over that folder.
    large: Option<Rc<Child>>,
    /// The server over a folder that began empty, for writes.
    writes: Option<Rc<Child>>,
    figures: Vec<Figure>,
}

impl<'o> Bench<'o> {
    fn new(options: &'o Options, folder: &'o Path) -> Bench<'o> {
        Bench {
            options,
            folder,
            bar: ProgressBar::new(0),
            population: Population::of(options.scale),
            large: None,
            writes: None,
            figures: Vec::new(),
        }
    }

    /// Tells what is being done now.
    fn tell(&self, what: &str) {
        self.bar.set_length(0);
        self.bar.set_position(0);
        self.bar.set_style(ProgressStyle::default_spinner());
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// Tells of a load, with a bar of its bytes.
    fn tell_filling(&self, what: &str) {
        self.tell(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} (left: {eta})")
        {
            self.bar.set_style(style);
        }
    }

    /// Returns the folder with the data, filled.
    fn large_folder(&mut self) -> Result<PathBuf, BenchError> {
        let folder = self.folder.join("large");
        if !folder.exists() {
            self.tell_filling("storing the data");
            let filled = fill::fill_with(&folder, self.population, Form::Transactions, &self.bar)?;
            let what = "import of generated resources, transactions of 2,000";
            self.figure("fill", what, filled.rate(), "resources/s", None);
            let what = "on disk, generated Observations, every index";
            self.figure("size", what, filled.bytes_each(), "bytes each", None);
        }
        Ok(folder)
    }

    /// Returns the folder with a tenth of the data, filled.
    fn small_folder(&mut self) -> Result<(PathBuf, Population), BenchError> {
        let folder = self.folder.join("small");
        let population = Population::of(self.population.observations() / 10);
        if !folder.exists() {
            self.tell_filling("storing a tenth of the data");
            let filled = fill::fill_with(&folder, population, Form::Resources, &self.bar)?;
            let what = "bulk import, NDJSON of single resources";
            self.figure("bulk", what, filled.rate(), "resources/s", Some(Target::AtLeast(30_000.0)));
        }
        Ok((folder, population))
    }

    /// Returns the server over the data.
    fn large(&mut self) -> Result<Rc<Child>, BenchError> {
        if let Some(child) = &self.large {
            return Ok(Rc::clone(child));
        }
        let folder = self.large_folder()?;
        let child = Rc::new(Child::start(&folder)?);
        self.large = Some(Rc::clone(&child));
        Ok(child)
    }

    /// Returns the server over a folder that began empty.
    fn writes(&mut self) -> Result<Rc<Child>, BenchError> {
        if let Some(child) = &self.writes {
            return Ok(Rc::clone(child));
        }
        let child = Rc::new(Child::start(&self.folder.join("writes"))?);
        self.writes = Some(Rc::clone(&child));
        Ok(child)
    }

    fn figure(
        &mut self,
        name: &'static str,
        what: &str,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) {
        self.figures.push(Figure { name, what: what.to_owned(), value, unit, target });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_there_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let options = Options {
            scale: 200,
            time: Duration::ZERO,
            connections: 1,
            only: vec!["read".to_owned(), "raed".to_owned()],
            synthea: None,
            beside: folder.path().to_owned(),
        };
        let error = run(&options).expect_err("no row").to_string();
        assert!(error.starts_with("`raed` is no row; there are read, create"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn only_a_folder_of_our_own_is_removed() {
        let around = tempfile::tempdir().expect("folder");
        let folder = Folder::make(around.path()).expect("made");
        assert!(Folder::make(around.path()).is_err(), "it is there already");
        assert!(folder.0.is_dir());
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists() && around.path().exists());
    }
}

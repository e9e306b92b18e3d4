//! `lanterna import`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Settings;
use crate::import::load::{Loaded, Progress, load};
use crate::import::source::files;

/// How many refusals are shown.
const REFUSALS_SHOWN: usize = 20;

/// What `lanterna import` takes.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Files and folders: Bundles, single resources, NDJSON; JSON or XML; also in .tar, .tgz, .gz, .zst
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write all that was refused, and why, to this file as NDJSON
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Documents prepared at once [default: two for each core]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
}

struct Bar {
    bar: ProgressBar,
    stored: AtomicU64,
}

impl Progress for Bar {
    fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn stored(&self, resources: u64) {
        let stored = self.stored.fetch_add(resources, Ordering::Relaxed) + resources;
        self.bar.set_message(format!("{stored} resources"));
    }
}

/// Loads files into the data folder. No server may run on it meanwhile.
///
/// Ends with 0 when everything was stored, 1 when something was refused.
///
/// # Errors
/// When the data cannot be opened, or there is nothing to read.
pub fn import(
    settings: &Settings,
    arguments: &ImportArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let files = files(&arguments.paths);
    let bytes: u64 = files.iter().filter_map(|f| std::fs::metadata(f).ok()).map(|m| m.len()).sum();
    if bytes == 0 {
        return Err("there is nothing to read at the paths given".into());
    }
    let mut settings = settings.clone();
    // Who imports stands at the machine: only memory bounds a Bundle.
    settings.limits.bundle_entries_max = usize::MAX;
    let (_store, api) = super::open(&settings, settings.base.clone().into_iter().collect())?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {elapsed} (left: {eta})")?;
    let progress = Bar { bar: ProgressBar::new(bytes).with_style(style), stored: AtomicU64::new(0) };
    let begin = Instant::now();
    let loaded = load(&api, &files, arguments.threads.unwrap_or(cores * 2), &progress)?;
    progress.bar.finish_and_clear();
    report(&loaded, begin.elapsed().as_secs_f64());
    if let Some(path) = &arguments.refused {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for (name, why) in &loaded.refused {
            writeln!(file, "{}", serde_json::json!({ "where": name, "why": why }))?;
        }
        file.flush()?;
    }
    Ok(if loaded.refused_count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn report(loaded: &Loaded, seconds: f64) {
    for (of, count) in &loaded.stored {
        println!("{count:>10}  {of}");
    }
    let total = loaded.total();
    println!("{total:>10}  stored in {seconds:.2} s, {:.0} a second", total as f64 / seconds.max(1e-9));
    println!("{:>10}  refused", loaded.refused_count);
    for (name, why) in loaded.refused.iter().take(REFUSALS_SHOWN) {
        println!("  {name}: {why}");
    }
    if loaded.refused_count > REFUSALS_SHOWN as u64 {
        println!("  ... and more; --refused FILE writes them");
    }
}

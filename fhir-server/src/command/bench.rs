//! `lanterna bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::bench::matching::{self, MatchingOptions};
use crate::bench::{Options, run};
use crate::identity::settings::weights;

/// What is measured besides the table of figures.
#[derive(Debug, Subcommand)]
enum What {
    /// Measures who is taken for the same person, on persons that are made up
    #[command(
        after_help = "Examples:\n  lanterna bench matching\n  lanterna bench matching --persons 20000 --weights weights.toml --page matching.html"
    )]
    Matching(MatchingArguments),
}

/// What `lanterna bench matching` takes.
#[derive(Debug, Args)]
struct MatchingArguments {
    /// Persons that are made up
    #[arg(long, value_name = "NUMBER", default_value_t = 200_000,
          value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    persons: u64,
    /// From what they are made: the same number makes the same persons
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Weights, as `[identity] weights` takes them
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Writes a page with the curve
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// What `lanterna bench` takes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Observations stored for the rows that ask for many
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(200..=100_000_000))]
    scale: u64,
    /// Seconds of each load
    #[arg(long, value_name = "NUMBER", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections that ask at once
    #[arg(long, value_name = "NUMBER", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    connections: u64,
    /// Only these rows, separated by commas
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<String>,
    /// Transaction Bundles of Synthea, as `lanterna import` takes them
    #[arg(long, value_name = "PATH")]
    synthea: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures the server against its baselines, on data of its own in a new
/// folder that is removed in the end: in the data folder when one is given,
/// otherwise in the folder where it is run.
///
/// Ends with 0 when everything was measured, whether or not the figures are
/// reached, and with 1 when something could not be.
///
/// # Errors
/// When nothing can be measured.
pub fn bench(
    beside: Option<PathBuf>,
    arguments: &BenchArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(What::Matching(arguments)) = &arguments.what {
        return measure_matching(beside, arguments);
    }
    let options = Options {
        scale: usize::try_from(arguments.scale)?,
        time: Duration::from_secs(arguments.seconds),
        connections: usize::try_from(arguments.connections)?,
        only: arguments.only.clone(),
        synthea: arguments.synthea.clone(),
        beside: beside.unwrap_or_else(|| ".".into()),
    };
    let report = run(&options)?;
    match arguments.json {
        true => println!("{:#}", report.json()),
        false => print!("{}", report.text()),
    }
    Ok(if report.has_failed() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn measure_matching(
    beside: Option<PathBuf>,
    arguments: &MatchingArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let weights = weights(arguments.weights.as_deref())?;
    let options = MatchingOptions {
        persons: usize::try_from(arguments.persons)?,
        seed: arguments.seed,
        weights: weights.clone(),
        beside: beside.unwrap_or_else(|| ".".into()),
    };
    let tally = matching::run(&options)?;
    print!("{}", tally.text());
    if let Some(path) = &arguments.page {
        std::fs::write(path, tally.page(&weights))?;
    }
    Ok(ExitCode::SUCCESS)
}

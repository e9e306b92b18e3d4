//! Runs the official suites and compares them with the committed table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use conformance::suite::SUITES;
use conformance::table;

/// Official test material, run against Lanterna
#[derive(Parser)]
#[command(name = "conformance")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every public suite at hand and compares with docs/conformance/README.md
    Official {
        /// Write the table instead of comparing with it
        #[arg(long)]
        write: bool,
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
        /// The document with the table
        #[arg(long, default_value = "docs/conformance/README.md")]
        table: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Official { write, testdata, table } = Arguments::parse().command;
    let bar = indicatif::ProgressBar::new(SUITES.len() as u64);
    let mut run = Vec::new();
    let mut absent = Vec::new();
    for suite in SUITES {
        bar.set_message(suite.name);
        match (suite.run)(&testdata) {
            Ok(tally) => run.push((suite.name, tally)),
            Err(why) => absent.push(format!("{}: {why}", suite.name)),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{:<20}{:>8}{:>8}{:>8}{:>16}", "suite", "cases", "passed", "failed", "not applicable");
    for (name, tally) in &run {
        let (failed, not_applicable) = (tally.failures.len(), tally.not_applicable.len());
        println!("{name:<20}{:>8}{:>8}{failed:>8}{not_applicable:>16}", tally.cases(), tally.passed);
    }
    for (name, tally) in &run {
        for failure in tally.failures.iter().take(20) {
            println!("failed: {name}: {failure}");
        }
    }
    for why in &absent {
        println!("not run: {why}");
    }
    if write {
        return match std::fs::write(&table, table::document(&run)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", table.display());
                ExitCode::from(2)
            }
        };
    }
    let written = std::fs::read_to_string(&table).unwrap_or_default();
    let back = table::steps_back(&written, &run);
    for line in &back {
        println!("step back: {line}");
    }
    if back.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

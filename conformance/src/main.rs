//! Runs the official suites and compares them with the committed table.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use conformance::fuzz::{self, TARGETS, Target};
use conformance::peer::ana::{AnaPeer, Person};
use conformance::suite::{SUITES, nist, snapshots, valid_examples, validator};
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
    /// Generates the snapshots of the core package anew, and prints what differs from the published ones
    Snapshots {
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
    },
    /// Executes the NIST test plans against the server, and prints what is not as expected
    Nist {
        /// Plans whose name begins so; every plan without
        plan: Option<String>,
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
    },
    /// Validates every example of the specification, and prints what is wrong by rule
    ValidExamples {
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
    },
    /// Breaks the official material in every way, to find what panics or never ends
    ///
    /// Example: conformance fuzz fhirpath --seconds 600
    Fuzz {
        /// What to fuzz; every target in turn without
        target: Option<String>,
        /// How long, for each target
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The same number makes the same inputs
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
        /// Where inputs that fail are put
        #[arg(long, default_value = "target/fuzz")]
        failures: PathBuf,
    },
    /// Stands for the national registry of assisted persons (ANA), with two persons in it, until it is stopped
    ///
    /// Example: conformance ana --listen 127.0.0.1:9090
    Ana {
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:9090")]
        listen: SocketAddr,
    },
    /// Prints, case by case, where validation differs from the reference validator
    Validator {
        /// One case by its name; every case without
        case: Option<String>,
        /// Folder of the test material
        #[arg(long, default_value = "../shared/testdata")]
        testdata: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Official { write, testdata, table } => official(write, &testdata, &table),
        Command::Snapshots { testdata } => list_snapshots(&testdata),
        Command::Nist { plan, testdata } => list_plans(plan.as_deref().unwrap_or(""), &testdata),
        Command::ValidExamples { testdata } => list_faults(&testdata),
        Command::Fuzz { target, seconds, seed, testdata, failures } => {
            fuzz(target.as_deref(), seconds, seed, &testdata, &failures)
        }
        Command::Ana { listen } => serve_ana(listen),
        Command::Validator { case, testdata } => compare_validator(case.as_deref(), &testdata),
    }
}

fn serve_ana(listen: SocketAddr) -> ExitCode {
    let peer = AnaPeer::listen(listen);
    for (number, tax_code, given) in [(1, "RSSMRA80A01D969P", "MARIO"), (2, "RSSMRA80A41D969T", "MARIA")] {
        println!("it knows {tax_code}");
        let (ana, tax_code, given) = (format!("ANA{number}"), tax_code.to_owned(), given.to_owned());
        let (family, birth) = ("ROSSI".to_owned(), "1980-01-01".to_owned());
        peer.know(Person { ana, tax_code, family, given, birth, ..Person::default() });
    }
    println!("[ana]\nurl = \"{}\"", peer.url());
    loop {
        std::thread::park();
    }
}

fn list_snapshots(testdata: &Path) -> ExitCode {
    match snapshots::compare(testdata) {
        Ok((count, different)) => {
            print!("{}", snapshots::document(&different));
            println!("{count} profiles, {} with another snapshot", different.len());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn list_plans(prefix: &str, testdata: &Path) -> ExitCode {
    match nist::run(testdata) {
        Ok(tally) => {
            for (sign, plans) in [("-", &tally.not_applicable), ("failed:", &tally.failures)] {
                plans.iter().filter(|p| p.starts_with(prefix)).for_each(|plan| println!("{sign} {plan}"));
            }
            let (failed, others) = (tally.failures.len(), tally.not_applicable.len());
            println!("{} plans passed, {failed} failed, {others} not applicable", tally.passed);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn list_faults(testdata: &Path) -> ExitCode {
    match valid_examples::validate(testdata) {
        Ok((count, faults)) => {
            print!("{}", valid_examples::document(&faults));
            println!("{count} examples, {} errors", faults.len());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn compare_validator(case: Option<&str>, testdata: &Path) -> ExitCode {
    match validator::compare(testdata, case) {
        Ok(compared) => {
            print!("{}", validator::differences(&compared));
            let applicable = compared.iter().filter(|c| c.ours.is_ok());
            let (mut all, mut verdicts, mut places) = (0, 0, 0);
            for case in applicable {
                all += 1;
                verdicts += usize::from(case.same_verdict());
                places += usize::from(case.same_places());
            }
            println!(
                "{all} applicable, {verdicts} with the same verdict, {places} with errors in the same places"
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(target: Option<&str>, seconds: u64, seed: u64, testdata: &Path, failures: &Path) -> ExitCode {
    let chosen: Vec<&Target> = TARGETS.iter().filter(|t| target.is_none_or(|name| name == t.name)).collect();
    if chosen.is_empty() {
        eprintln!("there is no such target; there are:");
        TARGETS.iter().for_each(|t| eprintln!("  {:<10}{}", t.name, t.what));
        return ExitCode::from(2);
    }
    let mut failed = false;
    for target in chosen {
        let bar = indicatif::ProgressBar::new(seconds).with_message(target.name);
        let began = Instant::now();
        let told = fuzz::run(target, testdata, Duration::from_secs(seconds), seed, |report| {
            bar.set_position(began.elapsed().as_secs());
            bar.set_message(format!("{}: {} cases", target.name, report.cases));
        });
        bar.finish_and_clear();
        match told {
            Err(why) => println!("not run: {}: {why}", target.name),
            Ok(report) => {
                println!(
                    "{:<10}{:>12} cases, {} accepted, the longest {:?}, {} failures",
                    target.name,
                    report.cases,
                    report.accepted,
                    report.longest,
                    report.failures.len()
                );
                failed |= !report.failures.is_empty();
                for (at, (input, what)) in report.failures.iter().enumerate() {
                    let file = failures.join(format!("{}-{at}", target.name));
                    let kept = std::fs::create_dir_all(failures).and_then(|()| std::fs::write(&file, input));
                    let place = kept.map_or_else(|e| e.to_string(), |()| file.display().to_string());
                    println!("  {what}: {place}");
                }
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

fn official(write: bool, testdata: &Path, table: &Path) -> ExitCode {
    let bar = indicatif::ProgressBar::new(SUITES.len() as u64);
    let mut run = Vec::new();
    let mut absent = Vec::new();
    for suite in SUITES {
        bar.set_message(suite.name);
        match (suite.run)(testdata) {
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
        return match std::fs::write(table, table::document(&run)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", table.display());
                ExitCode::from(2)
            }
        };
    }
    let written = std::fs::read_to_string(table).unwrap_or_default();
    let back = table::steps_back(&written, &run);
    for line in &back {
        println!("step back: {line}");
    }
    if back.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

//! `lanterna ana`.

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ihe_adapters::italy::ana::registry::Aligned;
use indicatif::{ProgressBar, ProgressStyle};

use crate::alignment::{Alignment, Report, Scope, Watch};
use crate::config::Settings;

/// The parts of the progress bar.
const PARTS: u64 = 1000;

/// What `lanterna ana` takes.
#[derive(Debug, Args)]
pub struct AnaArguments {
    #[command(subcommand)]
    command: AnaCommand,
}

#[derive(Debug, Subcommand)]
enum AnaCommand {
    /// Asks ANA for the patients who changed since the last time, and takes over what differs
    Align {
        /// All patients
        #[arg(long)]
        all: bool,
        /// Only tell what differs
        #[arg(long)]
        dry_run: bool,
        /// Questions in a second at most [default: that of the settings]
        #[arg(long, value_name = "NUMBER")]
        rate: Option<u32>,
    },
}

/// Shows how far it has come, and what differs.
struct Bar {
    bar: ProgressBar,
    report: RefCell<(u64, u64)>,
    tells: bool,
}

impl Watch for Bar {
    fn aligned(&self, id: &str, aligned: &Aligned) {
        let mut counts = self.report.borrow_mut();
        counts.0 += 1;
        let (word, differences) = match aligned {
            Aligned::Updated(differences) => ("differs", differences.as_slice()),
            Aligned::Doubtful(differences) => ("may be somebody else", differences.as_slice()),
            Aligned::Unknown(why) => {
                self.bar.suspend(|| println!("Patient/{id}: {why}"));
                return;
            }
            Aligned::Gone | Aligned::Same | Aligned::Unidentified => return,
        };
        counts.1 += 1;
        if self.tells || matches!(aligned, Aligned::Doubtful(_)) {
            self.bar.suspend(|| {
                println!("Patient/{id} {word}:");
                for difference in differences {
                    println!(
                        "  {}: `{}` here, `{}` there",
                        difference.field, difference.ours, difference.theirs
                    );
                }
            });
        }
    }

    fn progress(&self, part: f64) {
        let (looked_at, differing) = *self.report.borrow();
        self.bar.set_position((part * PARTS as f64) as u64);
        self.bar.set_message(format!("{looked_at} patients, {differing} differ"));
    }
}

/// Aligns patients with ANA.
///
/// # Errors
/// When ANA or the data are away.
pub fn ana(settings: &Settings, arguments: &AnaArguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let AnaCommand::Align { all, dry_run, rate } = &arguments.command;
    let ana =
        settings.ana()?.ok_or("ANA has no address: set `url` in the section [ana] of the settings file")?;
    let bases: Vec<String> = settings.base.clone().into_iter().collect();
    let base = bases.first().cloned().unwrap_or_else(|| "http://localhost/fhir".to_owned());
    let (store, api) = super::open(settings, bases)?;
    let questions_per_second = rate.unwrap_or(ana.questions_per_second);
    let ana = Arc::new(ana.connect(Arc::new(api), base, (settings.recorder(), settings.domains()?)));
    let alignment = Alignment { store, ana, questions_per_second };
    let style = ProgressStyle::with_template("{bar:30} {percent}% {msg} {elapsed} (left: {eta})")?;
    let bar = ProgressBar::new(PARTS).with_style(style);
    let watch = Bar { bar, report: RefCell::default(), tells: *dry_run };
    let scope = Scope { is_all: *all, is_dry: *dry_run };
    let mut report = Report::default();
    let aligning = async {
        if !dry_run {
            alignment.take_variations().await?;
        }
        alignment.align(scope, &watch, &mut report).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let aligned = runtime.block_on(aligning);
    watch.bar.finish_and_clear();
    tell(&report, *dry_run);
    if let Err(why) = aligned {
        return Err(format!("{why}; the alignment goes on where it stopped when it is run again").into());
    }
    let is_whole = report.unknown == 0 && report.doubtful == 0;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn tell(report: &Report, is_dry: bool) {
    let updated = if is_dry { "differ from ANA" } else { "updated as ANA says" };
    for (count, what) in [
        (report.asked, "asked for"),
        (report.updated, updated),
        (report.unknown, "not known to ANA"),
        (report.unidentified, "without an identifier that ANA knows"),
        (report.doubtful, "perhaps somebody else: look at them"),
    ] {
        println!("{count:>10}  {what}");
    }
}

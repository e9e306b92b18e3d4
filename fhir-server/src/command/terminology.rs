//! `lanterna terminology`: tables of codes become an installed package.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use profiles::package::store::Store;
use profiles::package::{Manifest, PackageError};
use profiles::terminology::load::code_table::CodeTable;
use profiles::terminology::load::error::{Finding, LoadError, Notes};
use profiles::terminology::load::form::{Form, Loaded, files_of};

use super::packages_folder;
use crate::config::Settings;

/// How many notes on rows are shown.
const NOTES_SHOWN: usize = 20;

/// What `lanterna terminology` takes.
#[derive(Debug, Args)]
pub struct TerminologyArguments {
    #[command(subcommand)]
    command: TerminologyCommand,
}

#[derive(Debug, Subcommand)]
enum TerminologyCommand {
    /// Loads tables of codes as code systems, and installs them as a package
    #[command(
        after_help = "Examples:\n  lanterna terminology load Loinc_2.78/ --version 2.78\n  lanterna terminology load Loinc.csv itIT10LinguisticVariant.csv\n  lanterna terminology load terminology/            (national tables, each file named by its OID)\n  lanterna terminology load --as icd-9-cm icd9cm.csv --version 2007\n  lanterna terminology load confezioni.csv --version 2026-11-24\n  lanterna package list\n\nThe tables are CSV with a header, `,` `;` or tab between columns, in UTF-8 or Windows-1252.\nEnds with 0 when every row was loaded, 1 when some were left out, 2 when nothing could be done."
    )]
    Load(LoadArguments),
}

#[derive(Debug, Args)]
struct LoadArguments {
    /// Tables, or folders of them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    tables: Vec<PathBuf>,
    /// What they are; by their header where it is not given
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<FormName>,
    /// The version of the code system; national tables have theirs in each row, and it is of the package alone
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Replace what was loaded before under the same version
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// `version,code,description,release_date`; the name of the file is the OID
    National,
    /// `Loinc.csv` of a release, and linguistic variants
    Loinc,
    /// Diagnoses and procedures: code, description
    #[value(name = "icd-9-cm")]
    Icd9Cm,
    /// Code, description
    Atc,
    /// The list of packs of medicines that AIFA publishes
    Aic,
}

impl From<FormName> for Form {
    fn from(name: FormName) -> Form {
        match name {
            FormName::National => Form::National,
            FormName::Loinc => Form::Loinc,
            FormName::Icd9Cm => Form::Icd9Cm,
            FormName::Atc => Form::Atc,
            FormName::Aic => Form::Aic,
        }
    }
}

/// Loads tables of codes. A server that runs sees them when it is started again.
///
/// # Errors
/// When a table cannot be read, or the folder of packages not be written.
pub fn terminology(
    settings: &Settings,
    arguments: &TerminologyArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let TerminologyCommand::Load(load) = &arguments.command;
    let files = files_of(&load.tables)?;
    let form = match load.form {
        Some(form) => form.into(),
        None => Form::of_files(&files).map_err(|error| match error {
            LoadError::Unknown(_) => format!("{error} with --as"),
            _ => error.to_string(),
        })?,
    };
    let loaded = read(form, &files, load.version.as_deref())?;
    if loaded.tables.is_empty() {
        return Err("no row of the tables has a code; nothing is loaded".into());
    }
    let version = load.version.clone().or_else(|| version_of(&loaded.tables));
    let version = version.ok_or("the tables do not tell their version; give it with --version")?;
    let manifest = Manifest { name: package_name(form).to_owned(), version, ..Manifest::default() };
    let store = Store::new(packages_folder(settings));
    let store = if load.replace { store.replacing() } else { store };
    let style = ProgressStyle::with_template("{spinner} storing {pos}/{len} code systems {elapsed}")?;
    let bar = ProgressBar::new(loaded.tables.len() as u64).with_style(style);
    let resources = bar.wrap_iter(loaded.tables.iter().map(CodeTable::to_json));
    store.install_made(&manifest, resources).map_err(|error| told(&error))?;
    bar.finish_and_clear();
    tell(&manifest, &loaded);
    Ok(if loaded.notes.left_out == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read(form: Form, files: &[PathBuf], version: Option<&str>) -> Result<Loaded, Box<dyn std::error::Error>> {
    let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |found| found.len());
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {elapsed} (left: {eta})")?;
    let bar = ProgressBar::new(files.iter().map(size).sum()).with_style(style);
    let loaded = form.load(files, version, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    Ok(loaded)
}

/// The version of the package: that of the one code system, else the date of
/// the newest.
fn version_of(tables: &[CodeTable]) -> Option<String> {
    if let [table] = tables
        && table.naming.version.is_some()
    {
        return table.naming.version.clone();
    }
    tables.iter().filter_map(|table| table.naming.date.clone()).max()
}

fn package_name(form: Form) -> &'static str {
    match form {
        Form::National => "terminology.it.national",
        Form::Loinc => "terminology.loinc",
        Form::Icd9Cm => "terminology.icd-9-cm",
        Form::Atc => "terminology.atc",
        Form::Aic => "terminology.it.aic",
    }
}

/// Says what is wrong, and what can be done.
fn told(error: &PackageError) -> String {
    let hint = match error {
        PackageError::Changed(_) => "; --replace puts this one in its place",
        PackageError::Name(_) => "; give --version with letters, digits and `.-_+` alone",
        _ => "",
    };
    format!("{error}{hint}")
}

fn tell(manifest: &Manifest, loaded: &Loaded) {
    let codes: usize = loaded.tables.iter().map(CodeTable::len).sum();
    let Notes { left_out, repeated, count, kept } = &loaded.notes;
    println!("{}#{} is installed", manifest.name, manifest.version);
    println!(
        "{} code systems, {codes} codes of {} rows; {repeated} repeated, {left_out} left out",
        loaded.tables.len(),
        loaded.rows
    );
    // What was left out matters most, what is only there twice least.
    let mut shown: Vec<_> = kept.iter().collect();
    shown.sort_by_key(|note| match note.finding {
        Finding::Repeated(_) => 2,
        _ => u8::from(!note.finding.is_loss()),
    });
    for note in shown.into_iter().take(NOTES_SHOWN) {
        println!("  {note}");
    }
    if *count > NOTES_SHOWN {
        println!("  and {} more", count - NOTES_SHOWN);
    }
}

//! `lanterna validate`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use fhir_model::json::Reading;
use fhir_model::outcome::{Issue, Severity};
use fhir_model::{json, xml};
use profiles::definitions::Definitions;
use profiles::package::Package;
use profiles::package::store::Store;
use profiles::terminology::Terminology;
use profiles::validate::location::Locations;
use profiles::validate::{DocumentPlace, Finding, Language, Options, Validator, outcome};

use super::packages_folder;
use super::validation_page::page;
use crate::config::Settings;

/// What `lanterna validate` takes.
#[derive(Debug, Args)]
pub struct ValidateArguments {
    /// Resources in JSON or XML; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Packages, or single definitions, besides those installed
    #[arg(long, value_name = "FILE")]
    package: Vec<PathBuf>,
    /// Profiles to hold the resources against, besides those that they claim
    #[arg(long, value_name = "CANONICAL")]
    profile: Vec<String>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Language of the texts
    #[arg(long, value_enum, default_value = "en")]
    language: TextLanguage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each finding
    Text,
    /// An OperationOutcome for each file, one a line
    Json,
    /// A page to look at
    Html,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TextLanguage {
    /// English
    En,
    /// Italian
    It,
}

/// A file, and what was found.
pub(super) struct Validated {
    pub(super) file: String,
    /// Severity, place, text.
    pub(super) findings: Vec<(Severity, String, String)>,
}

impl Validated {
    pub(super) fn is_valid(&self) -> bool {
        self.findings.iter().all(|f| f.0 < Severity::Error)
    }
}

/// Validates files against the installed packages, and those given.
///
/// Ends with 0 when all are valid, 1 when one is not.
///
/// # Errors
/// When a package or a file cannot be read.
pub fn validate(
    settings: &Settings,
    arguments: &ValidateArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut definitions = Store::new(packages_folder(settings)).definitions()?;
    for package in &arguments.package {
        add(package, &mut definitions).map_err(|error| format!("{}: {error}", package.display()))?;
    }
    let definitions = Arc::new(definitions);
    let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
    let validator = Validator::new(definitions, terminology, Options::default());
    let profiles: Vec<&str> = arguments.profile.iter().map(String::as_str).collect();
    let language = match arguments.language {
        TextLanguage::En => Language::English,
        TextLanguage::It => Language::Italian,
    };
    let mut all = Vec::new();
    for path in &arguments.files {
        let file = path.display().to_string();
        let bytes = read(path).map_err(|error| format!("{file}: {error}"))?;
        let reading = if is_xml(path, &bytes) { xml::read_all(bytes) } else { json::read_all(bytes) };
        let findings = reading.resource.as_ref().map(|resource| validator.validate(resource, &profiles));
        let findings = findings.unwrap_or_default();
        if arguments.output == Output::Json {
            println!("{}", String::from_utf8_lossy(&as_outcome(&reading, &findings)));
        }
        let validated = Validated { file, findings: told(&reading, &findings, language) };
        if arguments.output == Output::Text {
            print(&validated);
        }
        all.push(validated);
    }
    if arguments.output == Output::Html {
        print!("{}", page(&all, language));
    }
    Ok(if all.iter().all(Validated::is_valid) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn as_outcome(reading: &Reading, findings: &[Finding]) -> Vec<u8> {
    let place = |(line, column)| DocumentPlace { line, column };
    let faults: Vec<(Issue, Option<DocumentPlace>)> = reading
        .faults
        .iter()
        .map(|fault| {
            let at = u32::try_from(fault.offset).unwrap_or(u32::MAX);
            (Issue::from(fault.clone()), Some(place(reading.place_of(at))))
        })
        .collect();
    outcome(reading.resource.as_ref(), &faults, findings, Some(&|node| reading.place(node).map(place)))
}

/// Returns what is told: severity, place with line and column, text; the worst first.
fn told(reading: &Reading, findings: &[Finding], language: Language) -> Vec<(Severity, String, String)> {
    let faults = reading.faults.iter().map(|fault| {
        let (line, column) = reading.place_of(u32::try_from(fault.offset).unwrap_or(u32::MAX));
        (Severity::Error, format!("{} [{line}:{column}]", fault.location), fault.kind.to_string())
    });
    let mut told: Vec<(Severity, String, String)> = faults.collect();
    if let Some(resource) = &reading.resource {
        let locations = Locations::of(resource);
        told.extend(findings.iter().map(|finding| {
            let at = locations.expression(finding.node);
            let at = match reading.place(finding.node) {
                Some((line, column)) => format!("{at} [{line}:{column}]"),
                None => at,
            };
            (finding.severity, at, finding.text(language))
        }));
    }
    told.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity));
    told
}

fn print(validated: &Validated) {
    let count = |severity| validated.findings.iter().filter(|f| f.0 == severity).count();
    let errors = count(Severity::Error) + count(Severity::Fatal);
    let verdict = if validated.is_valid() { "valid" } else { "not valid" };
    println!("{}: {verdict}: {errors} errors, {} warnings", validated.file, count(Severity::Warning));
    for (severity, at, text) in &validated.findings {
        println!("  {} {at}: {text}", severity.code());
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_xml(path: &Path, bytes: &[u8]) -> bool {
    let begins_as_xml = || bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<');
    path.extension().map_or_else(begins_as_xml, |e| e == "xml")
}

/// Adds a package, or a single definition.
fn add(path: &Path, definitions: &mut Definitions) -> Result<(), Box<dyn std::error::Error>> {
    if path.extension().is_some_and(|e| e == "tgz") {
        for resource in Package::read(std::fs::File::open(path)?)?.resources {
            definitions.add_resource(resource);
        }
        return Ok(());
    }
    let bytes = std::fs::read(path)?;
    let resource = if is_xml(path, &bytes) { xml::read(bytes)? } else { json::read(bytes)? };
    if !definitions.add_resource(resource) {
        return Err("it has no url, so it is no definition".into());
    }
    Ok(())
}

//! The commands of `lanterna`.

pub mod ana;
pub mod bench;
pub mod check;
pub mod explain;
pub mod fhirpath;
pub mod import;
pub mod inbox;
pub mod outbox;
pub mod package;
pub mod serve;
pub mod terminology;
pub mod transform;
pub mod validate;
mod validation_page;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::config::{ServeArguments, Settings, SettingsArguments};
use crate::interaction::Server;
use crate::knowledge::Knowledge;
use crate::search::registry::Definitions;
use crate::search::{Search, SearchLimits};
use crate::storage::{Store, StoreSettings};

/// Lanterna: an HL7 FHIR R4 server and interoperability gateway.
#[derive(Parser)]
#[command(
    name = "lanterna",
    version,
    about,
    after_help = "Start with:\n  lanterna serve\nand look at http://127.0.0.1:8080/fhir/metadata"
)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves FHIR over HTTP until it is asked to end
    #[command(
        after_help = "Examples:\n  lanterna serve\n  lanterna serve --listen 0.0.0.0:8443 --tls-certificate chain.pem --tls-key key.pem\n  LANTERNA_DATA=/srv/fhir lanterna serve --config /etc/lanterna.toml"
    )]
    Serve(ServeArguments),
    /// Loads files into the data folder, through the same gate as HTTP
    #[command(
        after_help = "Examples:\n  lanterna import bundles.tar.zst\n  lanterna import folder/ patients.ndjson --refused refused.ndjson\n\nEnds with 0 when everything was stored, 1 when something was refused, 2 when nothing could be done."
    )]
    Import(import::ImportArguments),
    /// Tells how a search would be answered
    #[command(
        after_help = "Example:\n  lanterna explain 'Observation?patient=1&code=http://loinc.org|8302-2'"
    )]
    Explain(explain::ExplainArguments),
    /// Installs, lists and removes packages of profiles, value sets and other definitions
    #[command(
        after_help = "Examples:\n  lanterna package install hl7.fhir.r4.core-4.0.1.tgz\n  lanterna package install hl7.fhir.it.base.tgz --from packages/\n  lanterna package list\n  lanterna package remove hl7.fhir.it.base#0.1.0\n\nEnds with 0 when all is there, 1 when something that a package needs is missing."
    )]
    Package(package::PackageArguments),
    /// Loads tables of codes: LOINC, ICD-9-CM, ATC, AIC, national tables
    Terminology(terminology::TerminologyArguments),
    /// Validates files against the base specification and profiles
    #[command(
        after_help = "Examples:\n  lanterna validate patient.json\n  lanterna validate *.xml --package hl7.fhir.r4.core-4.0.1.tgz --profile http://hl7.org/fhir/StructureDefinition/bp\n  lanterna validate patient.json --output html --language it > report.html\n\nEnds with 0 when all are valid, 1 when one is not, 2 when something cannot be read."
    )]
    Validate(validate::ValidateArguments),
    /// Transforms a CDA document or a resource by a map
    #[command(
        after_help = "Examples:\n  lanterna transform --map RefertodiRadiologiaBody.map --with maps/ --input report.xml\n  lanterna transform --map map.json --input questionnaire-response.json --output xml"
    )]
    Transform(transform::TransformArguments),
    /// Evaluates a FHIRPath expression on files
    #[command(
        after_help = "Examples:\n  lanterna fhirpath 'name.given' patient.json\n  lanterna fhirpath \"Bundle.entry.resource.ofType(Patient).birthDate\" *.json --json"
    )]
    Fhirpath(fhirpath::FhirpathArguments),
    /// Shows what has to reach others, and decides about what did not
    #[command(
        after_help = "Examples:\n  lanterna outbox list --dead\n  lanterna outbox show 17\n  lanterna outbox retry 17\n  lanterna outbox retry --all\n  lanterna outbox drop 17\n\nWorks beside a server that runs, and without one."
    )]
    Outbox(outbox::OutboxArguments),
    /// Shows messages of HL7 v2 that could not be performed, and decides about them
    #[command(
        after_help = "Examples:\n  lanterna inbox list\n  lanterna inbox show 17\n  lanterna inbox retry 17\n  lanterna inbox retry --all\n  lanterna inbox drop 17\n\nWorks beside a server that runs, and without one."
    )]
    Inbox(inbox::InboxArguments),
    /// Aligns patients with ANA, the national registry of assisted persons
    #[command(
        after_help = "Examples:\n  lanterna ana align --dry-run\n  lanterna ana align\n  lanterna ana align --all --rate 50\n\nGoes on where it was stopped. No server may run on the data meanwhile: it aligns by itself at night.\nEnds with 0 when all were aligned, 1 when some have to be looked at, 2 when ANA or the data are away."
    )]
    Ana(ana::AnaArguments),
    /// Checks that the data is whole
    Check,
    /// Measures this server against simpler things that do the same
    #[command(
        after_help = "Examples:\n  lanterna bench\n  lanterna bench --scale 1000000 --synthea bundles.tar.zst --json\n  lanterna bench --only read,search --seconds 10\n\nThe data is made in a new folder below --data (or where it is run) and removed in the end.\nEnds with 0 when everything was measured, 1 when something could not be."
    )]
    Bench(bench::BenchArguments),
}

/// Runs the command that was given.
pub fn run(arguments: Arguments) -> ExitCode {
    let given_data = arguments.settings.data.clone();
    let mut settings = match Settings::of(&arguments.settings) {
        Ok(settings) => settings,
        Err(error) => return failed(&error),
    };
    if matches!(arguments.command, Command::Bench(_)) && arguments.settings.log.is_none() {
        // What it does with its own data is of no interest.
        settings.log_level = "error".to_owned();
    }
    crate::logging::start(&settings);
    let result = match arguments.command {
        Command::Serve(serve) => serve::serve(&settings, &serve),
        Command::Import(import) => import::import(&settings, &import),
        Command::Bench(bench) => bench::bench(given_data, &bench),
        Command::Package(package) => package::package(&settings, &package),
        Command::Terminology(terminology) => terminology::terminology(&settings, &terminology),
        Command::Validate(validate) => validate::validate(&settings, &validate),
        Command::Transform(transform) => transform::transform(&settings, &transform),
        Command::Fhirpath(fhirpath) => fhirpath::fhirpath(&fhirpath),
        Command::Inbox(inbox) => inbox::inbox(&settings, &inbox),
        Command::Outbox(outbox) => outbox::outbox(&settings, &outbox),
        Command::Ana(ana) => ana::ana(&settings, &ana),
        Command::Check => check::check(&settings),
        Command::Explain(explain) => explain::explain(&settings, &explain),
    };
    match result {
        Ok(code) => code,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("lanterna: {error}");
    ExitCode::from(2)
}

/// Opens the data, and makes the server over it.
fn open(settings: &Settings, bases: Vec<String>) -> Result<(Arc<Store>, Server), Box<dyn std::error::Error>> {
    let (store, search) = open_search(settings, bases.clone())?;
    let server = Server::new(Arc::clone(&store), search, settings.limits.clone(), bases)?;
    let server = server.with_validation(settings.validation.clone());
    let server = match settings.identity().index(&settings.matcher)? {
        Some(index) => server.with_index(index)?,
        None => server,
    };
    Ok((store, server))
}

/// Returns the folder of the installed packages.
fn packages_folder(settings: &Settings) -> PathBuf {
    settings.data.join("packages")
}

/// Opens the data, and the search over it.
fn open_search(
    settings: &Settings,
    bases: Vec<String>,
) -> Result<(Arc<Store>, Search), Box<dyn std::error::Error>> {
    let store = Arc::new(Store::open(&StoreSettings::of(&settings.data))?);
    let definitions = Arc::new(Definitions::standard()?);
    let knowledge = Knowledge::new(Some(packages_folder(settings)));
    let search = Search::new(definitions, bases, SearchLimits::default())
        .with_knowledge(knowledge)
        .with_matcher(settings.matcher.clone())
        .with_survivorship(settings.survivorship.clone());
    Ok((store, search))
}

//! `lanterna`: the one binary.

use std::process::ExitCode;

use clap::Parser;
use fhir_server::command::{Arguments, run};

fn main() -> ExitCode {
    run(Arguments::parse())
}

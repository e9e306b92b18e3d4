//! Generates `fhir-model/src/generated/` from the FHIR R4 core package.
//!
//! Facts only: names, types, cardinalities, bindings, invariant and
//! search-parameter expressions. No prose of the specification is taken.

mod package;
mod search_parameters;
mod source;
mod structures;
mod value_sets;

use std::path::PathBuf;

use clap::Parser;

/// Generates the tables of fhir-model from the FHIR R4 core package.
#[derive(Parser)]
struct Arguments {
    /// The package hl7.fhir.r4.core-4.0.1.tgz.
    #[arg(long, default_value = "../shared/testdata/fhir/hl7.fhir.r4.core-4.0.1.tgz")]
    package: PathBuf,
    /// The folder to write.
    #[arg(long, default_value = "fhir-model/src/generated")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let package = package::Package::read(&arguments.package)?;
    let mut files = structures::generate(&package)?;
    files.extend(search_parameters::generate(&package)?);
    files.extend(value_sets::generate(&package)?);
    std::fs::create_dir_all(arguments.out.join("types"))?;
    let count = files.len();
    for (name, text) in files {
        std::fs::write(arguments.out.join(name), text)?;
    }
    eprintln!("{count} files written to {}", arguments.out.display());
    Ok(())
}

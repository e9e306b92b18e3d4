//! `lanterna transform`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use fhir_model::{json, xml};
use profiles::mapping::{CdaDocument, Compiled, Map, Options, Place, TransformSource};
use profiles::package::store::Store;

use super::packages_folder;
use crate::config::Settings;

/// What `lanterna transform` takes.
#[derive(Debug, Args)]
pub struct TransformArguments {
    /// The map: FHIR Mapping Language, or a StructureMap in JSON or XML
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The document: CDA R2 in XML, or a FHIR resource in JSON or XML; `-` is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Maps that it imports: files, or folders of `.map` files
    #[arg(long, value_name = "FILE|FOLDER")]
    with: Vec<PathBuf>,
    /// The form of the result
    #[arg(long, value_enum, default_value = "json")]
    output: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// FHIR JSON
    Json,
    /// FHIR XML
    Xml,
}

/// Transforms a document by a map, and prints the resource that it makes. What
/// the map logs goes to standard error.
///
/// # Errors
/// When a map is not valid, the document cannot be read, or the transform
/// cannot be done.
pub fn transform(
    settings: &Settings,
    arguments: &TransformArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let main = read_map(&arguments.map)?;
    let mut others = Vec::new();
    for path in &arguments.with {
        if path.is_dir() {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(path)?.filter_map(|e| Some(e.ok()?.path())).collect();
            files.retain(|file| file.extension().is_some_and(|e| e == "map") && *file != arguments.map);
            files.sort();
            for file in files {
                others.push(read_map(&file)?);
            }
        } else {
            others.push(read_map(path)?);
        }
    }
    let definitions = Store::new(packages_folder(settings)).definitions()?;
    let compiled = Compiled::new(&main, &others, &definitions)?;
    let text = read(&arguments.input)?;
    let mut log = |place: &Place, text: &str| eprintln!("{place}: {text}");
    let options = Options { log: Some(&mut log), ..Options::default() };
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", arguments.input.display());
    let made = match CdaDocument::read(&text) {
        Ok(document) => compiled.transform(TransformSource::Cda(&document), options)?,
        Err(cda) => {
            let is_xml = text.trim_start().starts_with('<');
            let resource = if is_xml {
                // What is neither is most likely meant to be the first.
                xml::read(text).map_err(|_| failed(&cda))?
            } else {
                json::read(text).map_err(|error| failed(&error))?
            };
            compiled.transform(TransformSource::Resource(&resource), options)?
        }
    };
    let text = match arguments.output {
        Form::Json => json::pretty(&json::to_json(&made)),
        Form::Xml => xml::to_xml_pretty(&made),
    };
    println!("{}", String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}

fn read_map(path: &Path) -> Result<Map, Box<dyn std::error::Error>> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    let map = match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Map::from_resource(&json::read(bytes).map_err(|error| failed(&error))?),
        Some(b'<') => Map::from_resource(&xml::read(bytes).map_err(|error| failed(&error))?),
        _ => Map::parse(&String::from_utf8(bytes).map_err(|error| failed(&error))?),
    };
    Ok(map.map_err(|error| failed(&error))?)
}

fn read(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into());
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

//! `lanterna fhirpath`.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use fhir_model::fhirpath::{Context, Expression, ParseError, Value};
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use profiles::validate::location::Locations;
use serde_json::json;

/// What `lanterna fhirpath` takes.
#[derive(Debug, Args)]
pub struct FhirpathArguments {
    /// The expression
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    /// Resources in JSON or XML; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object for each value
    #[arg(long)]
    json: bool,
}

/// Evaluates an expression on resources, and prints each value with its type
/// and, where it is an element, its place.
///
/// # Errors
/// When the expression is none, cannot be evaluated, or a file is no resource.
pub fn fhirpath(arguments: &FhirpathArguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let expression = Expression::parse(&arguments.expression)
        .map_err(|error| format!("{error}\n{}", pointed(&arguments.expression, &error)))?;
    for path in &arguments.files {
        let file = path.display().to_string();
        let resource = read(path).map_err(|error| format!("{file}: {error}"))?;
        let context = Context::new(resource.root());
        let found =
            expression.evaluate(&context, resource.root()).map_err(|error| format!("{file}: {error}"))?;
        let locations = Locations::of(&resource);
        for value in &found {
            let at = value.element().map(|e| locations.expression(e.id()));
            let info = value.type_info();
            let type_name = format!("{}.{}", info.namespace.name(), info.name);
            let text = text(value);
            if arguments.json {
                println!("{}", json!({ "file": file, "type": type_name, "at": at, "value": text }));
            } else {
                println!("{type_name}\t{}\t{text}", at.unwrap_or_default());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows where in the expression an error is.
fn pointed(expression: &str, error: &ParseError) -> String {
    let before = expression.get(..error.byte).unwrap_or(expression);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = expression[line_start..].lines().next().unwrap_or_default();
    let column = before[line_start..].chars().count();
    format!("  {line}\n  {}^", " ".repeat(column))
}

fn text(value: &Value<'_>) -> String {
    match value.element() {
        Some(element) if element.value().is_none() => {
            let mut out = Vec::new();
            json::write::write_element(element, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        Some(element) => element.value().unwrap_or_default().to_owned(),
        None => value.to_string(),
    }
}

fn read(path: &PathBuf) -> Result<Resource, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path)?;
    }
    let is_xml = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<');
    Ok(if is_xml { xml::read(bytes)? } else { json::read(bytes)? })
}

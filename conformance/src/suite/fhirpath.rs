//! The official FHIRPath suite.
//!
//! Spec: <https://github.com/FHIR/fhir-test-cases/tree/master/r4/fhirpath>

use std::collections::HashMap;
use std::path::Path;

use fhir_model::fhirpath::{Conformance, Context, Expression, Namespace, Value};
use fhir_model::schema::TypeId;
use fhir_model::tree::{Element, Resource};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::Tally;

#[derive(Default)]
struct Case {
    name: String,
    input: String,
    expression: String,
    /// At which stage the case is to fail: `syntax`, `semantic`, `execution`.
    invalid: Option<String>,
    is_predicate: bool,
    is_ordered: bool,
    /// Type and text of each item.
    outputs: Vec<(Option<String>, String)>,
}

/// Reads the cases of the suite.
fn cases(text: &str) -> Result<Vec<Case>, String> {
    let attribute = |start: &BytesStart<'_>, name: &str| {
        let found = start.try_get_attribute(name).ok()??;
        Some(found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned())
    };
    let mut reader = Reader::from_str(text);
    let mut out = Vec::new();
    let mut case: Option<Case> = None;
    let mut content = String::new();
    let mut output_type = None;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Eof => return Ok(out),
            Event::Start(start) => {
                content.clear();
                match start.name().as_ref() {
                    "test" => {
                        case = Some(Case {
                            name: attribute(&start, "name").unwrap_or_default(),
                            input: attribute(&start, "inputfile").unwrap_or("patient-example.xml".into()),
                            is_predicate: attribute(&start, "predicate").as_deref() == Some("true"),
                            is_ordered: attribute(&start, "ordered").as_deref() != Some("false"),
                            ..Case::default()
                        });
                    }
                    "expression" => {
                        if let Some(case) = &mut case {
                            case.invalid = attribute(&start, "invalid");
                        }
                    }
                    "output" => output_type = attribute(&start, "type"),
                    _ => {}
                }
            }
            Event::Text(text) => content.push_str(&text),
            Event::GeneralRef(reference) => content.push_str(match reference.as_ref() {
                "lt" => "<",
                "gt" => ">",
                "amp" => "&",
                "quot" => "\"",
                "apos" => "'",
                other => return Err(format!("the suite has the unknown entity {other}")),
            }),
            Event::End(end) => match end.name().as_ref() {
                "test" => out.extend(case.take()),
                "expression" => {
                    if let Some(case) = &mut case {
                        case.expression = content.trim().to_owned();
                    }
                }
                "output" => {
                    if let Some(case) = &mut case {
                        case.outputs.push((output_type.take(), content.clone()));
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Knows the base profiles: an element conforms to its own type's.
struct BaseProfiles;

impl Conformance for BaseProfiles {
    fn conforms_to(&self, element: Element<'_>, profile: &str) -> Option<bool> {
        let name = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        TypeId::named(name).map(|ty| element.ty().is_a(ty))
    }
}

fn matches(value: &Value<'_>, (ty, text): &(Option<String>, String)) -> bool {
    let info = value.type_info();
    let name = match (info.namespace, ty.as_deref()) {
        (Namespace::System, Some(wanted)) if wanted != "Quantity" => {
            let mut name = info.name.to_owned();
            name[..1].make_ascii_lowercase();
            name
        }
        _ => info.name.to_owned(),
    };
    if ty.as_ref().is_some_and(|wanted| *wanted != name) {
        return false;
    }
    let written = match value.system() {
        Some(Value::Date(_) | Value::DateTime(_)) => format!("@{value}"),
        Some(Value::Time(_)) => format!("@T{value}"),
        _ => value.to_string(),
    };
    let same_number = || match value {
        // Zero with a sign is zero.
        Value::Decimal(found) => text
            .parse::<rust_decimal::Decimal>()
            .is_ok_and(|wanted| wanted == *found && (ty.is_some() || wanted.scale() == found.scale())),
        _ => false,
    };
    written == *text || same_number()
}

/// Runs a case; the error says in what it failed.
fn run(case: &Case, resource: &Resource) -> Result<(), String> {
    let stage = |stage: &str, error: String| match case.invalid.as_deref() {
        Some("syntax") if stage != "syntax" => Err(format!("fails in {stage}, not in syntax: {error}")),
        Some(_) => Ok(()),
        None => Err(error),
    };
    let expression = match Expression::parse(&case.expression) {
        Ok(expression) => expression,
        Err(error) => return stage("syntax", error.to_string()),
    };
    if let Err(error) = expression.check(resource.resource_type()) {
        return stage("semantic", error.to_string());
    }
    let context = Context::new(resource.root()).conformance(&BaseProfiles).strict();
    if case.is_predicate {
        let found = expression.evaluate_boolean(&context, resource.root());
        let found = found.map_err(|e| e.to_string())?.unwrap_or(false);
        let wanted = case.outputs.first().is_some_and(|(_, text)| text == "true");
        return if found == wanted { Ok(()) } else { Err(format!("found {found}")) };
    }
    let found = match expression.evaluate(&context, resource.root()) {
        Ok(found) => found,
        Err(error) => return stage("execution", error.to_string()),
    };
    let shown = || {
        let items: Vec<String> = found.iter().map(|v| format!("{}:{v}", v.type_info().name)).collect();
        format!("gives {items:?}")
    };
    if let Some(invalid) = &case.invalid {
        return Err(format!("should fail ({invalid}), {}", shown()));
    }
    let mut unmatched: Vec<&Value<'_>> = found.iter().collect();
    for (at, output) in case.outputs.iter().enumerate() {
        let place = unmatched.iter().position(|value| matches(value, output));
        match place {
            Some(place) if place == 0 || !case.is_ordered => {
                unmatched.remove(place);
            }
            _ => return Err(format!("item {at} should be {output:?}, {}", shown())),
        }
    }
    if unmatched.is_empty() { Ok(()) } else { Err(format!("more items than expected, {}", shown())) }
}

/// Reads an input file, in XML or JSON.
fn read(folder: &Path, name: &str) -> Result<Resource, String> {
    let bytes = [folder.join(name), folder.join("examples").join(name)]
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .ok_or_else(|| format!("{name} is absent"))?;
    if name.ends_with(".json") {
        return fhir_model::json::read(bytes).map_err(|e| e.to_string());
    }
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    fhir_model::xml::read(in_order(&text)).map_err(|e| e.to_string())
}

/// Moves an extension that stands behind the status before it: the suite's
/// observation has them out of the schema's order, which the reader refuses.
fn in_order(text: &str) -> String {
    let parts = || {
        let status = text.find("</text>")? + "</text>".len();
        let start = status + text[status..].find("<extension ")?;
        let end = start + text[start..].find("</extension>")? + "</extension>".len();
        let between = &text[status..start];
        let is_next = between.starts_with("<status ") && between.matches('<').count() == 1;
        is_next.then(|| [&text[..status], &text[start..end], between, &text[end..]].concat())
    };
    parts().unwrap_or_else(|| text.to_owned())
}

const SUITE: &str = "fhir/test-cases/r4/fhirpath/tests-fhir-r4.xml";

/// Returns the expressions of the suite.
///
/// # Errors
/// When the suite is absent or cannot be read.
pub fn expressions(testdata: &Path) -> Result<Vec<String>, String> {
    let path = testdata.join(SUITE);
    let suite = std::fs::read_to_string(&path).map_err(|_| super::absent(&path))?;
    Ok(cases(&suite)?.into_iter().map(|case| case.expression).collect())
}

/// Returns the resources that the expressions of the suite are evaluated on.
///
/// # Errors
/// When one is absent.
pub fn inputs(testdata: &Path) -> Result<Vec<Resource>, String> {
    let folder = testdata.join("fhir/test-cases/r4");
    ["patient-example.xml", "observation-example.xml"].iter().map(|name| read(&folder, name)).collect()
}

/// Runs the suite.
///
/// # Errors
/// When the suite is absent or cannot be read.
pub fn run_suite(testdata: &Path) -> Result<Tally, String> {
    let folder = testdata.join("fhir/test-cases/r4");
    let path = testdata.join(SUITE);
    let suite = std::fs::read_to_string(&path).map_err(|_| super::absent(&path))?;
    let mut tally = Tally::default();
    let mut inputs: HashMap<String, Result<Resource, String>> = HashMap::new();
    for case in cases(&suite)? {
        let input = inputs.entry(case.input.clone()).or_insert_with(|| read(&folder, &case.input));
        match input {
            Err(reason) => tally.not_applicable(format!("{}: {reason}", case.name)),
            Ok(resource) => match run(&case, resource) {
                Ok(()) => tally.passed += 1,
                Err(reason) => tally.failed(format!("{}: {}: {reason}", case.name, case.expression)),
            },
        }
    }
    Ok(tally)
}

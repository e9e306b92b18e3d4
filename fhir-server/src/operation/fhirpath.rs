//! `$fhirpath`: an expression evaluated on a resource that is sent with it.
//!
//! The parameters are those that evaluators of the community have in common:
//! `expression`, `resource`, `context`, `variables`; the answer has a part
//! `result` for each context, with a typed value for each item, and a `trace`
//! for each call of `trace()`.
//!
//! Spec: <https://github.com/brianpos/fhirpath-lab/blob/develop/server-api.md>,
//! <https://hl7.org/fhir/R4/fhirpath.html>

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fhir_model::fhirpath::{Collection, Context, EvaluateError, Expression, Limits, Unit, Value};
use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::json::{to_json, write_element};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::check;
use fhir_model::schema::{JsonForm, TypeId, name, ty};
use fhir_model::tree::{Element, Resource};
use profiles::validate::location::Locations;
use serde_json::{Value as Json, json};

use super::parameters::Given;
use crate::interaction::unit::View;

/// Bounds on one evaluation asked for over the wire.
const LIMITS: Limits = Limits { steps_max: 2_000_000, items_max: 100_000, text_bytes_max: 4 << 20 };

/// The greatest number of elements that one call evaluates the expression on.
const CONTEXTS_MAX: usize = 1_000;

/// How long one call may evaluate: no further context is begun behind it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// The greatest length of all values that one call answers with, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;

const RESOURCE_PATH: &str = "http://fhir.forms-lab.com/StructureDefinition/resource-path";
const JSON_VALUE: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";
const XML_VALUE: &str = "http://fhir.forms-lab.com/StructureDefinition/xml-value";

/// Answers with what the expression gives.
pub(super) fn fhirpath(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(
        call,
        &["expression", "resource", "context", "variables", "validate", "terminologyserver"],
    )?;
    let text = given.text("expression").ok_or_else(|| {
        Issue::error(IssueType::Required).at("expression").text("the parameter `expression` is needed")
    })?;
    let expression = parsed(text, "expression")?;
    let resource = resource(&given)?;
    let variables = variables(&given)?;
    let known = view.knowledge()?;
    let answer =
        Answer { resource: &resource, locations: Locations::of(&resource), bytes: AtomicUsize::new(0) };
    let traced: Mutex<Vec<Json>> = Mutex::default();
    let trace = |name: &str, values: &[Value<'_>]| {
        // What is too much is told when the values themselves are written.
        if let Some(values) = answer.parts(values) {
            let report = with_parts(json!({ "name": "trace", "valueString": name }), values);
            traced.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        }
    };
    let context = || {
        let context =
            Context::new(resource.root()).limits(LIMITS).terminology(&*known.terminology).trace(&trace);
        variables.iter().fold(context, |context, (name, value)| context.variable(*name, value.clone()))
    };
    let mut echoed = vec![
        json!({ "name": "evaluator", "valueString": concat!("Lanterna ", env!("CARGO_PKG_VERSION"), " (R4)") }),
        json!({ "name": "expression", "valueString": text }),
    ];
    let begin = Instant::now();
    let foci = match given.text("context") {
        None => vec![(None, resource.root())],
        Some(text) => {
            echoed.push(json!({ "name": "context", "valueString": text }));
            let found =
                parsed(text, "context")?.evaluate(&context(), resource.root()).map_err(failed("context"))?;
            let elements = found.iter().filter_map(Value::element);
            elements.filter_map(|e| Some((Some(answer.place(e)?), e))).collect()
        }
    };
    if foci.len() > CONTEXTS_MAX {
        let text = format!("`context` gives {} elements; {CONTEXTS_MAX} are evaluated at most", foci.len());
        return Err(Issue::error(IssueType::TooCostly).at("context").text(text));
    }
    echoed.push(json!({ "name": "resource", "resource": written(&to_json(&resource)) }));
    let mut parameters = vec![json!({ "name": "parameters", "part": echoed })];
    for (place, focus) in foci {
        if begin.elapsed() > TIME_MAX {
            let text = format!("this takes longer than {} seconds", TIME_MAX.as_secs());
            return Err(Issue::error(IssueType::TooCostly).at("expression").text(text));
        }
        let found = expression.evaluate(&context(), focus).map_err(failed("expression"))?;
        let mut parts = answer.parts(&found).ok_or_else(|| {
            let text = format!("the values take more than {ANSWER_BYTES_MAX} bytes");
            Issue::error(IssueType::TooCostly).at("expression").text(text)
        })?;
        parts.append(&mut traced.lock().unwrap_or_else(PoisonError::into_inner));
        let mut result = json!({ "name": "result" });
        if let Some(place) = place {
            result["valueString"] = place.into();
        }
        parameters.push(with_parts(result, parts));
    }
    let parameters = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Performed::json(parameters.to_string().into_bytes()))
}

fn parsed(text: &str, at: &'static str) -> Result<Expression, Issue> {
    Expression::parse(text).map_err(|error| Issue::error(IssueType::Invalid).at(at).text(error.to_string()))
}

fn failed(at: &'static str) -> impl Fn(EvaluateError) -> Issue {
    move |error| {
        Issue::error(IssueType::Processing).because(Reason::Unprocessable).at(at).text(error.to_string())
    }
}

/// Returns the resource that is sent: as such, or as text in an extension.
fn resource(given: &Given<'_>) -> Result<Resource, Issue> {
    let needed = || {
        Issue::error(IssueType::Required)
            .at("resource")
            .text("the parameter `resource` is needed, with a resource")
    };
    let Some(parameter) = given.parameters("resource").next() else { return Err(needed()) };
    if let Some(resource) = parameter.child(name::RESOURCE) {
        return Ok(parameter.resource().extract(resource.id()));
    }
    for extension in parameter.children_named(name::EXTENSION) {
        let Some(text) = extension.text_of(name::VALUE) else { continue };
        let read = match extension.text_of(name::URL) {
            Some(JSON_VALUE) => fhir_model::json::read(text),
            Some(XML_VALUE) => fhir_model::xml::read(text),
            _ => continue,
        };
        return read.map_err(Issue::from);
    }
    Err(needed())
}

/// Returns the variables that are sent, each a part with a name and a value or resource.
fn variables<'c>(given: &Given<'c>) -> Result<Vec<(&'c str, Collection<'c>)>, Issue> {
    let mut variables: Vec<(&str, Collection<'_>)> = Vec::new();
    for part in given.parameters("variables").flat_map(|p| p.children_named(name::PART)) {
        let Some(named) = part.text_of(name::NAME) else {
            return Err(Issue::error(IssueType::Required).at("variables").text("a variable needs a name"));
        };
        let value = part.child(name::VALUE).or_else(|| part.child(name::RESOURCE));
        let values = value.map(Value::Element);
        match variables.iter_mut().find(|(known, _)| *known == named) {
            Some((_, known)) => known.extend(values),
            None => variables.push((named, values.into_iter().collect())),
        }
    }
    Ok(variables)
}

fn with_parts(mut parameter: Json, parts: Vec<Json>) -> Json {
    if !parts.is_empty() {
        parameter["part"] = parts.into();
    }
    parameter
}

fn written(json: &[u8]) -> Json {
    serde_json::from_slice(json).unwrap_or(Json::Null)
}

/// What writes values for the answer.
struct Answer<'r> {
    resource: &'r Resource,
    locations: Locations<'r>,
    /// The length of what was written so far.
    bytes: AtomicUsize,
}

impl Answer<'_> {
    /// Returns where an element is; `None` when it is not of the resource.
    fn place(&self, element: Element<'_>) -> Option<String> {
        std::ptr::eq(element.resource(), self.resource).then(|| self.locations.expression(element.id()))
    }

    /// Writes values as parts; `None` when that is too much.
    fn parts(&self, values: &[Value<'_>]) -> Option<Vec<Json>> {
        let mut parts = Vec::new();
        for value in values {
            if self.bytes.load(Ordering::Relaxed) > ANSWER_BYTES_MAX {
                return None;
            }
            let part = match value.element() {
                Some(element) => element_part(element, self.place(element)),
                None => system_part(value),
            };
            self.bytes.fetch_add(part.to_string().len(), Ordering::Relaxed);
            parts.push(part);
        }
        // A report without values counts too.
        self.bytes.fetch_add(32, Ordering::Relaxed);
        Some(parts)
    }
}

/// Writes an element as a part: named by its type, with its place.
fn element_part(element: Element<'_>, place: Option<String>) -> Json {
    let mut part = json!({ "name": element.ty().name() });
    let mut extensions = Vec::new();
    if let Some(place) = place {
        extensions.push(json!({ "url": RESOURCE_PATH, "valueString": place }));
    }
    match (value_name(element.ty()), element.definition().json_form()) {
        (Some(name), Some(form)) => {
            if let Some(text) = element.value() {
                let is_text = form == JsonForm::String;
                part[name] = if is_text { text.into() } else { written(text.as_bytes()) };
            }
            // What a primitive has besides its value: id and extensions.
            if element.children().next().is_some() {
                part[format!("_{name}")] = json_of(element);
            }
        }
        (Some(name), None) => part[name] = json_of(element),
        (None, _) if element.is_resource() => part["resource"] = json_of(element),
        // Backbone elements, and the text of narrative.
        (None, _) => {
            let json = element.value().map_or_else(|| json_of(element), Json::from);
            extensions.push(json!({ "url": JSON_VALUE, "valueString": json.to_string() }));
        }
    }
    if !extensions.is_empty() {
        part["extension"] = extensions.into();
    }
    part
}

fn json_of(element: Element<'_>) -> Json {
    let mut out = Vec::new();
    write_element(element, &mut out);
    written(&out)
}

/// Returns the property of a parameter that holds values of a type.
fn value_name(of: TypeId) -> Option<&'static str> {
    let mut properties = ty::PARAMETERS_PARAMETER.definition().properties.iter();
    properties.find(|p| p.element.name_id == name::VALUE && p.ty == of).map(|p| p.name)
}

/// Writes a value that is no element, with the type of FHIR that stands for it.
fn system_part(value: &Value<'_>) -> Json {
    let text = value.to_string();
    let of = match value {
        Value::Boolean(value) => return json!({ "name": "boolean", "valueBoolean": value }),
        Value::Quantity(quantity) => {
            let (unit, system, code) = match &quantity.unit {
                Unit::Calendar(unit) => (unit.name(), "http://unitsofmeasure.org", unit.ucum()),
                Unit::Ucum(code) => (&**code, "http://unitsofmeasure.org", &**code),
            };
            let value = written(quantity.value.to_string().as_bytes());
            let quantity = json!({ "value": value, "unit": unit, "system": system, "code": code });
            return json!({ "name": "Quantity", "valueQuantity": quantity });
        }
        Value::Integer(_) if check::is_valid(ty::INTEGER, &text) => ty::INTEGER,
        Value::Integer(_) | Value::Decimal(_) => ty::DECIMAL,
        Value::Date(_) => ty::DATE,
        Value::DateTime(_) => ty::DATE_TIME,
        Value::Time(_) => ty::TIME,
        _ => ty::STRING,
    };
    if text.is_empty() {
        return json!({ "name": "empty-string" });
    }
    // FHIR has no time without minutes, and no dateTime without a zone: they are told as text.
    let stands_for = if check::is_valid(of, &text) { of } else { ty::STRING };
    let is_number = stands_for == ty::INTEGER || stands_for == ty::DECIMAL;
    let json = if is_number { written(text.as_bytes()) } else { Json::String(text) };
    let mut part = json!({ "name": of.name() });
    part[value_name(stands_for).unwrap_or("valueString")] = json;
    part
}

//! `$fhirpath`: an expression evaluated on a resource that is sent with it.
//!
//! The parameters are those that evaluators of the community have in common:
//! `expression`, `resource`, `context`, `variables`; the answer has a part
//! `result` for each context, with a typed value for each item.
//!
//! Spec: <https://hl7.org/fhir/R4/fhirpath.html>

use std::sync::Mutex;

use fhir_model::fhirpath::{Context, Expression, Limits, Value};
use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::json::write_element;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::JsonForm;
use fhir_model::tree::Element;
use profiles::validate::location::Locations;
use serde_json::{Value as Json, json};

use super::parameters::Given;
use crate::interaction::unit::View;

/// Bounds on one evaluation asked for over the wire.
const LIMITS: Limits = Limits { steps_max: 2_000_000, items_max: 100_000, text_bytes_max: 4 << 20 };

/// Answers with what the expression gives.
pub(super) fn fhirpath(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["expression", "resource", "context", "validate", "terminologyserver"])?;
    let text = given.text("expression").ok_or_else(|| {
        Issue::error(IssueType::Required).at("expression").text("the parameter `expression` is needed")
    })?;
    let resource =
        given.resource("resource").filter(|r| r.resource_type() != fhir_model::schema::ty::PARAMETERS);
    let resource = resource.ok_or_else(|| {
        Issue::error(IssueType::Required)
            .at("resource")
            .text("the parameter `resource` is needed, with a resource")
    })?;
    let parse = |text: &str, at: &'static str| {
        Expression::parse(text)
            .map_err(|error| Issue::error(IssueType::Invalid).at(at).text(error.to_string()))
    };
    let expression = parse(text, "expression")?;
    let known = view.knowledge()?;
    let traced: Mutex<Vec<Json>> = Mutex::default();
    let trace = |name: &str, values: &[Value<'_>]| {
        let texts: Vec<String> = values.iter().take(100).map(|v| v.to_string()).collect();
        let part = json!({ "name": name, "valueString": texts.join(", ") });
        traced.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(part);
    };
    let context =
        || Context::new(resource.root()).limits(LIMITS).terminology(&*known.terminology).trace(&trace);
    let failed = |error: fhir_model::fhirpath::EvaluateError| {
        Issue::error(IssueType::Processing)
            .because(Reason::Unprocessable)
            .at("expression")
            .text(error.to_string())
    };
    let locations = Locations::of(&resource);
    let foci: Vec<Element<'_>> = match given.text("context") {
        None => vec![resource.root()],
        Some(text) => {
            let found = parse(text, "context")?.evaluate(&context(), resource.root()).map_err(failed)?;
            found.iter().filter_map(Value::element).collect()
        }
    };
    let mut parameters = vec![json!({ "name": "parameters", "part": [
        { "name": "evaluator", "valueString": concat!("Lanterna ", env!("CARGO_PKG_VERSION")) },
        { "name": "expression", "valueString": text },
    ] })];
    for focus in foci {
        let found = expression.evaluate(&context(), focus).map_err(failed)?;
        let mut parts: Vec<Json> = found.iter().map(|value| part(value, &locations)).collect();
        let traced = std::mem::take(&mut *traced.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if !traced.is_empty() {
            parts.push(json!({ "name": "trace", "part": traced }));
        }
        let mut result = json!({ "name": "result", "valueString": locations.expression(focus.id()) });
        if !parts.is_empty() {
            result["part"] = parts.into();
        }
        parameters.push(result);
    }
    let answer = json!({ "resourceType": "Parameters", "parameter": parameters });
    Ok(Performed::json(answer.to_string().into_bytes()))
}

/// Returns an element as JSON has it; of a primitive, its value.
fn as_json(element: Element<'_>) -> Option<Json> {
    match (element.definition().json_form(), element.value()) {
        (Some(JsonForm::String), Some(text)) => Some(json!(text)),
        (Some(_), Some(text)) => serde_json::from_str(text).ok(),
        (Some(_), None) => None,
        (None, _) => {
            let mut out = Vec::new();
            write_element(element, &mut out);
            serde_json::from_slice(&out).ok()
        }
    }
}

/// Writes a value as a part: named by its type, with its place where it is an element.
fn part(value: &Value<'_>, locations: &Locations<'_>) -> Json {
    const PATH: &str = "http://fhir.forms-lab.com/StructureDefinition/resource-path";
    const JSON: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";
    let info = value.type_info();
    let name = value.element().map_or(info.name, |e| e.ty().name());
    let mut part = json!({ "name": name });
    let mut extensions = Vec::new();
    if let Some(element) = value.element() {
        extensions.push(json!({ "url": PATH, "valueString": locations.expression(element.id()) }));
        let json = as_json(element);
        let property = fhir_model::schema::ty::PARAMETERS_PARAMETER
            .definition()
            .properties
            .iter()
            .find(|p| p.element.name == "value" && p.ty == element.ty());
        match (property, json) {
            (Some(property), Some(json)) => part[property.name] = json,
            (None, Some(json)) if element.is_resource() => part["resource"] = json,
            (None, Some(json)) => extensions.push(json!({ "url": JSON, "valueString": json.to_string() })),
            _ => {}
        }
    } else {
        match value {
            Value::Boolean(value) => part["valueBoolean"] = json!(value),
            Value::Integer(value) => part["valueInteger"] = json!(value),
            other => part["valueString"] = json!(other.to_string()),
        }
    }
    if !extensions.is_empty() {
        part["extension"] = extensions.into();
    }
    part
}

//! `$validate`: what is wrong with a resource, against the base specification,
//! the profiles that it claims, and one that is asked for.
//!
//! Spec: <https://hl7.org/fhir/R4/resource-operation-validate.html>

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType, operation_outcome_json};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;
use profiles::validate::{DocumentPlace, outcome};

use crate::interaction::unit::{View, current_or_gone};

/// What is to be validated, and how.
struct Asked {
    resource: Option<Resource>,
    profiles: Vec<String>,
    mode: Option<String>,
}

/// Answers with an OperationOutcome; 200 whatever it says, since the
/// validation itself was done.
pub(super) fn validate(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    if call.body.is_none() && !call.faults.is_empty() {
        return Ok(Performed::json(operation_outcome_json(&call.faults)));
    }
    let asked = asked(call)?;
    match asked.mode.as_deref() {
        None | Some("create" | "update" | "profile") => {}
        Some("delete") => return delete(view, call),
        Some(mode) => {
            let mode: String = mode.chars().take(32).collect();
            let text = format!("`{mode}` is no mode of validation: create, update, delete, profile");
            return Err(Issue::error(IssueType::Value).at("mode").text(text));
        }
    }
    let resource = match (asked.resource, &call.scope) {
        (Some(resource), _) => resource,
        (None, Scope::Instance(key)) => current_or_gone(view, key)?.resource()?,
        (None, _) => {
            let text =
                "the body has the resource to be validated, or a Parameters with the parameter `resource`";
            return Err(Issue::error(IssueType::Required).at("resource").text(text));
        }
    };
    let expected = type_of(&call.scope);
    if let Some(expected) = expected.filter(|e| *e != resource.resource_type()) {
        let text = format!("the URL is for {expected}, the resource is a {}", resource.resource_type());
        let issue = Issue::error(IssueType::Invalid).at("resourceType").text(text);
        return Ok(Performed::json(operation_outcome_json([&issue])));
    }
    if let (Scope::Instance(key), Some("update")) = (&call.scope, asked.mode.as_deref())
        && resource.id() != Some(key.id.as_str())
    {
        let text = "an update has the id of the URL";
        let issue = Issue::error(IssueType::Invalid).at(format!("{}.id", key.resource_type)).text(text);
        return Ok(Performed::json(operation_outcome_json([&issue])));
    }
    let known = view.knowledge()?;
    let profiles: Vec<&str> = asked.profiles.iter().map(String::as_str).collect();
    let findings = known.validator.validate(&resource, &profiles);
    let faults: Vec<(Issue, Option<DocumentPlace>)> = call.faults.iter().map(|f| (f.clone(), None)).collect();
    Ok(Performed::json(outcome(Some(&resource), &faults, &findings, None)))
}

/// A deletion is possible where there is something; nothing else is looked at.
fn delete(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let Scope::Instance(key) = &call.scope else {
        return Err(Issue::error(IssueType::Invalid)
            .at("mode")
            .text("mode `delete` is for a resource by its id"));
    };
    current_or_gone(view, key)?;
    let issue = Issue::information(IssueType::Informational).text("the resource can be deleted");
    Ok(Performed::json(operation_outcome_json([&issue])))
}

fn type_of(scope: &Scope) -> Option<TypeId> {
    match scope {
        Scope::Type(of) => Some(*of),
        Scope::Instance(key) => Some(key.resource_type),
        _ => None,
    }
}

fn asked(call: &OperationCall) -> Result<Asked, Issue> {
    let mut asked = Asked { resource: None, profiles: Vec::new(), mode: None };
    for (parameter, value) in &call.query {
        asked.take(parameter, value)?;
    }
    let Some(body) = &call.body else { return Ok(asked) };
    // A Parameters resource may itself be what is to be validated.
    let is_call = body.resource_type() == ty::PARAMETERS && type_of(&call.scope) != Some(ty::PARAMETERS);
    if !is_call {
        asked.resource = Some(body.clone());
        return Ok(asked);
    }
    for parameter in body.root().children_named(name::PARAMETER) {
        let called = parameter.text_of(name::NAME).unwrap_or_default();
        match (called, parameter.child(name::RESOURCE), parameter.child(name::VALUE).and_then(|v| v.value()))
        {
            ("resource", Some(resource), _) => asked.resource = Some(body.extract(resource.id())),
            (called, _, Some(value)) => asked.take(called, value)?,
            _ => {}
        }
    }
    Ok(asked)
}

impl Asked {
    fn take(&mut self, parameter: &str, value: &str) -> Result<(), Issue> {
        match parameter {
            "profile" => self.profiles.push(value.to_owned()),
            "mode" => self.mode = Some(value.to_owned()),
            "_format" | "_pretty" => {}
            other => {
                let other: String = other.chars().take(64).collect();
                let text =
                    format!("`$validate` has no parameter `{other}`; it takes resource, mode and profile");
                return Err(Issue::error(IssueType::NotSupported).at(other).text(text));
            }
        }
        Ok(())
    }
}

//! What FHIR adds to FHIRPath.
//!
//! Spec: <https://hl7.org/fhir/R4/fhirpath.html#functions>

use std::borrow::Cow;

use crate::fhirpath::context::Resolved;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_boolean, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Value};
use crate::schema::{TypeId, name, ty};
use crate::tree::Element;

type Result<T> = std::result::Result<T, EvaluateError>;

pub(super) fn call<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: Call<'_, 'r>) -> Result<Collection<'r>> {
    match call.function {
        Function::Extension => extensions(evaluator, &call),
        Function::HasExtension => Ok(of_boolean(Some(!extensions(evaluator, &call)?.is_empty()))),
        Function::HasValue => {
            Ok(of_boolean(Some(matches!(call.input.as_slice(), [value] if has_value(value)))))
        }
        Function::GetValue => Ok(match call.input.as_slice() {
            [value] if has_value(value) => of_value(value.system()),
            _ => Collection::new(),
        }),
        Function::Resolve => {
            let mut out = Collection::new();
            for value in &call.input {
                evaluator.step()?;
                out.extend(resolve(evaluator, value));
            }
            Ok(out)
        }
        Function::HtmlChecks => html_checks(&call),
        Function::MemberOf => member_of(evaluator, &call),
        Function::ConformsTo => conforms_to(evaluator, &call),
        _ => subsumes(evaluator, &call),
    }
}

fn extensions<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let Some(url) = evaluator.text_argument(call, 0)? else { return Ok(Collection::new()) };
    let elements = call.input.iter().filter_map(Value::element);
    Ok(elements
        .flat_map(|element| element.children_named(name::EXTENSION))
        .filter(|extension| extension.text_of(name::URL) == Some(&url))
        .map(Value::Element)
        .collect())
}

fn has_value(value: &Value<'_>) -> bool {
    match value {
        Value::Element(element) => element.definition().is_primitive() && element.value().is_some(),
        Value::Target(_) | Value::Type(_) => false,
        Value::External(node) => node.value().is_some(),
        _ => true,
    }
}

/// Finds what a reference means: what the context knows, what the resource
/// contains, else the type that the reference tells.
fn resolve<'r>(evaluator: &Evaluator<'_, 'r, '_>, value: &Value<'r>) -> Option<Value<'r>> {
    let context = evaluator.context;
    let (text, at): (Cow<'r, str>, _) = match value {
        Value::Element(element) if element.ty().is_a(ty::REFERENCE) => {
            let text = element.text_of(name::REFERENCE).unwrap_or_default();
            (Cow::Borrowed(text), Some(*element))
        }
        Value::Element(element) if element.definition().is_primitive() => {
            (Cow::Borrowed(element.value()?), Some(*element))
        }
        Value::String(text) => (text.clone(), None),
        _ => return None,
    };
    if !text.is_empty() {
        match context.resolver.and_then(|resolver| resolver.resolve(&text, at)) {
            Some(Resolved::Resource(element)) => return Some(Value::Element(element)),
            Some(Resolved::Type(ty)) => return Some(Value::Target(ty)),
            None => {}
        }
    }
    if let Some(fragment) = text.strip_prefix('#') {
        return contained(context.resource, fragment)
            .or_else(|| contained(context.root_resource, fragment))
            .map(Value::Element);
    }
    if context.root_resource.ty() == ty::BUNDLE
        && let Some(found) = entry(context.root_resource, &text)
    {
        return Some(Value::Element(found));
    }
    let told = at.filter(|element| element.ty().is_a(ty::REFERENCE));
    type_told(&text)
        .or_else(|| {
            let stated = told?.text_of(name::TYPE)?;
            TypeId::resource_named(
                stated.strip_prefix("http://hl7.org/fhir/StructureDefinition/").unwrap_or(stated),
            )
        })
        .map(Value::Target)
}

fn contained<'r>(resource: Element<'r>, id: &str) -> Option<Element<'r>> {
    if id.is_empty() {
        return Some(resource);
    }
    resource.children_named(name::CONTAINED).find(|contained| contained.text_of(name::ID) == Some(id))
}

/// Finds an entry by its fullUrl, or by `Type/id` at the end of it.
fn entry<'r>(bundle: Element<'r>, reference: &str) -> Option<Element<'r>> {
    if reference.is_empty() {
        return None;
    }
    let entry = bundle.children_named(name::ENTRY).find(|entry| {
        let Some(url) = entry.text_of(name::FULL_URL) else { return false };
        url == reference || url.strip_suffix(reference).is_some_and(|base| base.ends_with('/'))
    })?;
    entry.child(name::RESOURCE)
}

/// Returns the type in `[base/]Type/id[/_history/version]`.
fn type_told(reference: &str) -> Option<TypeId> {
    let path = reference.split_once("/_history/").map_or(reference, |(path, _)| path);
    let (before, id) = path.rsplit_once('/')?;
    let type_name = before.rsplit_once('/').map_or(before, |(_, name)| name);
    if id.is_empty() { None } else { TypeId::resource_named(type_name) }
}

/// Tells whether narrative keeps the rules of `txt-1`: no active content.
fn html_checks<'r>(call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let Some(value) = single(&call.input, "htmlChecks")? else { return Ok(Collection::new()) };
    let text = match value.system() {
        Some(Value::String(text)) => text,
        _ => return Err(EvaluateError::Type { what: "htmlChecks", given: value.type_name() }),
    };
    Ok(of_boolean(Some(super::narrative::is_safe(&text))))
}

fn member_of<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let (Some(coded), Some(value_set)) =
        (single(&call.input, "memberOf")?, evaluator.text_argument(call, 0)?)
    else {
        return Ok(Collection::new());
    };
    let terminology = evaluator
        .context
        .terminology
        .ok_or(EvaluateError::Unavailable { function: "memberOf", needs: "a terminology" })?;
    Ok(of_boolean(terminology.member_of(coded, &value_set)))
}

fn subsumes<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let function = call.function.name();
    let other = evaluator.argument(call, 0)?;
    let (Some(this), Some(other)) = (single(&call.input, function)?, single(&other, function)?) else {
        return Ok(Collection::new());
    };
    let terminology = evaluator
        .context
        .terminology
        .ok_or(EvaluateError::Unavailable { function, needs: "a terminology" })?;
    Ok(of_boolean(match call.function {
        Function::Subsumes => terminology.subsumes(this, other),
        _ => terminology.subsumes(other, this),
    }))
}

fn conforms_to<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let (Some(value), Some(profile)) =
        (single(&call.input, "conformsTo")?, evaluator.text_argument(call, 0)?)
    else {
        return Ok(Collection::new());
    };
    let Value::Element(element) = value else {
        return Err(EvaluateError::Type { what: "conformsTo", given: value.type_name() });
    };
    let conformance = evaluator
        .context
        .conformance
        .ok_or(EvaluateError::Unavailable { function: "conformsTo", needs: "the profiles" })?;
    match conformance.conforms_to(*element, &profile) {
        Some(conforms) => Ok(of_boolean(Some(conforms))),
        None => Err(EvaluateError::UnknownProfile(profile.into_owned())),
    }
}

//! `GET metadata`: the CapabilityStatement, made from the tables that route
//! and search, so that it cannot claim what is not there.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#capabilities>

use std::sync::OnceLock;

use fhir_model::interaction::Performed;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{TypeId, resource_types, ty};
use ihe_adapters::capabilities::GUIDES;
use serde_json::{Value, json};

use super::append_only::is_append_only;
use crate::operation;
use crate::rest::routes::{self, Level};
use crate::search::registry::Definitions;

/// When this build of the statement was first asked for.
static STARTED: OnceLock<Instant> = OnceLock::new();

/// Writes the CapabilityStatement.
pub(crate) fn capabilities(definitions: &Definitions, base: &str) -> Performed {
    let date = STARTED.get_or_init(|| Instant(jiff::Timestamp::now().as_microsecond()));
    let resources: Vec<Value> = resource_types().map(|of| resource(definitions, of)).collect();
    let compartments: Vec<String> = fhir_model::compartment::compartments()
        .iter()
        .map(|c| format!("http://hl7.org/fhir/CompartmentDefinition/{}", lower_first(c.focus.name())))
        .collect();
    let mut rest = json!({
        "mode": "server",
        "security": { "cors": true },
        "resource": resources,
        "interaction": coded(routes::codes(Level::System)),
        "searchParam": search_parameters(definitions, ty::RESOURCE),
        "compartment": compartments,
    });
    let operations = operations(None);
    if !operations.is_empty() {
        rest["operation"] = Value::Array(operations);
    }
    let instantiates: Vec<&str> = GUIDES.iter().flat_map(|guide| guide.instantiates).copied().collect();
    let guides: Vec<&str> = GUIDES.iter().map(|guide| guide.url).collect();
    let messages = GUIDES.iter().flat_map(|guide| guide.messages);
    let messages: Vec<Value> =
        messages.map(|(mode, url)| json!({ "mode": mode, "definition": url })).collect();
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date.to_string(),
        "kind": "instance",
        "instantiates": instantiates,
        "implementationGuide": guides,
        "software": { "name": "Lanterna", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Lanterna FHIR R4 server", "url": base },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
        "rest": [rest],
        "messaging": [{ "supportedMessage": messages }],
    });
    Performed::json(statement.to_string().into_bytes())
}

fn resource(definitions: &Definitions, of: TypeId) -> Value {
    let changes = !is_append_only(of);
    let mut interactions = routes::codes(Level::Type);
    interactions.retain(|code| changes || !routes::CHANGES.contains(code));
    let mut resource = json!({
        "type": of.name(),
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{of}"),
        "interaction": coded(interactions),
        "versioning": if changes { "versioned-update" } else { "versioned" },
        "readHistory": true,
        "updateCreate": changes,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": changes,
        "conditionalDelete": if changes { "single" } else { "not-supported" },
        "referencePolicy": ["literal", "logical"],
        "searchInclude": includes(definitions, of),
        "searchRevInclude": reverse_includes(definitions, of),
        "searchParam": search_parameters(definitions, of),
    });
    let profiles = GUIDES.iter().flat_map(|guide| guide.supported_profiles);
    let profiles: Vec<&str> = profiles.filter(|(on, _)| *on == of).map(|(_, url)| *url).collect();
    if !profiles.is_empty() {
        resource["supportedProfile"] = json!(profiles);
    }
    let operations = operations(Some(of));
    if !operations.is_empty() {
        resource["operation"] = Value::Array(operations);
    }
    resource
}

fn coded(codes: Vec<&str>) -> Vec<Value> {
    codes.into_iter().map(|code| json!({ "code": code })).collect()
}

fn search_parameters(definitions: &Definitions, of: TypeId) -> Vec<Value> {
    let mut parameters: Vec<Value> = definitions
        .of(of)
        .map(|p| {
            let mut told = json!({ "name": p.code, "definition": p.url, "type": p.kind.code() });
            if !p.is_ready() {
                told["documentation"] = json!("being indexed: searched by when that is done");
            }
            told
        })
        .collect();
    parameters.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    parameters
}

fn includes(definitions: &Definitions, of: TypeId) -> Vec<String> {
    let mut out: Vec<String> =
        definitions.of(of).filter(|p| p.is_reference()).map(|p| format!("{of}:{}", p.code)).collect();
    out.sort();
    out.insert(0, "*".to_owned());
    out
}

fn reverse_includes(definitions: &Definitions, of: TypeId) -> Vec<String> {
    let mut out: Vec<String> = resource_types()
        .flat_map(|source| {
            definitions
                .of(source)
                .filter(|p| p.is_reference() && p.may_target(of))
                .map(move |p| format!("{source}:{}", p.code))
        })
        .collect();
    out.sort();
    out
}

fn operations(of: Option<TypeId>) -> Vec<Value> {
    let ours = operation::OPERATIONS.iter().filter(|o| o.is_listed_on(of)).map(|o| (o.name, o.definition));
    let of_guides = GUIDES.iter().flat_map(|guide| guide.operations).filter(|o| o.on == of);
    let of_adapters = of_guides.map(|o| (o.name, o.definition));
    ours.chain(of_adapters)
        .map(|(name, definition)| json!({ "name": name, "definition": definition }))
        .collect()
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

//! What the tests of identity ask of a server in process.

use fhir_model::interaction::{Body, Interaction, OperationCall, Performed, ReadRequest, ResourceKey, Scope};
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, ty};
use serde_json::{Value, json};

use crate::interaction::tests::running::{Running, tree};
use crate::rest::outcome::status;

pub(super) fn body(performed: &Performed) -> Value {
    match &performed.body {
        Body::Json(json) => serde_json::from_slice(json).expect("JSON"),
        Body::Empty => Value::Null,
    }
}

/// Makes the value of a parameter, by what it is named.
fn parameter((name, value): &(&str, Value)) -> Value {
    let typed = match value {
        Value::Bool(_) => "valueBoolean",
        Value::Object(object) if object.contains_key("resourceType") => "resource",
        Value::Object(object) if object.contains_key("reference") => "valueReference",
        Value::Object(_) => "valueIdentifier",
        _ if *name == "recorded" => "valueDateTime",
        _ => "valueString",
    };
    let mut parameter = json!({ "name": name });
    parameter[typed] = value.clone();
    parameter
}

impl Running {
    pub(super) fn call(&self, name: &str, parameters: &[(&str, Value)]) -> Result<Performed, Issue> {
        let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        self.perform(Interaction::Operation(OperationCall {
            name: name.to_owned(),
            scope: Scope::Type(ty::PATIENT),
            query: Vec::new(),
            body: Some(tree(&body)),
            faults: Vec::new(),
            safe: false,
        }))
    }

    /// Calls what is refused: its status, and the code that adapters tell it by.
    pub(super) fn refused(&self, name: &str, parameters: &[(&str, Value)]) -> (u16, Option<&'static str>) {
        let issue = self.call(name, parameters).expect_err("refused");
        (status(&issue), issue.detail)
    }

    pub(super) fn read(&self, of: TypeId, id: &str) -> Value {
        let key = ResourceKey { resource_type: of, id: ResourceId::parse(id).expect("an id") };
        let request = ReadRequest { key, if_none_match: None, if_modified_since: None };
        body(&self.perform(Interaction::Read(request)).expect("read"))
    }

    pub(super) fn patient(&self, id: &str) -> Value {
        self.read(ty::PATIENT, id)
    }
}

/// A reference to a patient.
pub(super) fn of(id: &str) -> Value {
    json!({ "reference": format!("Patient/{id}") })
}

/// The two whom a merge is about.
pub(super) fn pair(source: &str, target: &str) -> Vec<(&'static str, Value)> {
    vec![("source-patient", of(source)), ("target-patient", of(target))]
}

/// A patient with one identifier.
pub(super) fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id,
        "identifier": [{ "system": "urn:oid:1.2.3", "value": id.to_uppercase() }] })
}

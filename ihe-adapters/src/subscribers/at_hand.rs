//! What resources refer to and messages of HL7 v2 tell of: who takes part, and where it is.

use std::collections::BTreeMap;

use fhir_model::outcome::Issue;
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, ty};
use serde_json::Value as Json;

use crate::fhir_client::Fhir;
use crate::pix::told::as_value;

/// The types of what messages tell of by more than its reference.
const TYPES: &[TypeId] = &[ty::PRACTITIONER, ty::LOCATION];
/// How many are read for a message.
const READ_MAX: usize = 200;

/// Resources by the references that lead to them.
pub(super) struct AtHand(BTreeMap<String, Option<Json>>);

impl AtHand {
    /// Reads what resources refer to, and what that refers to: a bed is in a room of a ward.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn of(fhir: &Fhir<'_>, resources: &[&Json]) -> Result<AtHand, Issue> {
        let mut pending: Vec<String> = Vec::new();
        resources.iter().for_each(|resource| references(resource, &mut pending));
        let mut read = BTreeMap::new();
        while let Some(reference) = pending.pop() {
            if read.len() >= READ_MAX || read.contains_key(&reference) {
                continue;
            }
            let Some(literal) = Literal::parse(&reference) else { continue };
            let is_here = literal.base.is_none_or(|base| base == fhir.caller.base);
            if !is_here || !TYPES.contains(&literal.key.resource_type) {
                continue;
            }
            let found = fhir.read(literal.key.resource_type, literal.key.id.as_str()).await?;
            let found = found.as_ref().map(as_value).transpose()?;
            found.iter().for_each(|found| references(found, &mut pending));
            read.insert(reference, found);
        }
        Ok(AtHand(read))
    }

    /// Returns what a reference leads to.
    pub(super) fn resource(&self, reference: &str) -> Option<Json> {
        self.0.get(reference).cloned().flatten()
    }
}

/// Adds the references of an element and those within it.
fn references(element: &Json, out: &mut Vec<String>) {
    match element {
        Json::Array(items) => items.iter().for_each(|item| references(item, out)),
        Json::Object(elements) => {
            out.extend(elements.get("reference").and_then(Json::as_str).map(str::to_owned));
            elements.values().for_each(|element| references(element, out));
        }
        _ => {}
    }
}

//! HD: who assigns, as the system of an Identifier, or as its assigner.
//!
//! Spec: HL7 v2.5.1 section 2.A.33

use serde_json::{Map, Value as Json, json};

use super::put;
use crate::hl7v2::context::Authority;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// Returns the system of what an authority assigns, without reading it; an
/// authority that is not named is the sender's own.
pub(in crate::hl7v2) fn system(work: &Work<'_>, authority: Option<Value<'_>>) -> Option<String> {
    let part = |number| authority.and_then(|authority| authority.peek_of(number)).unwrap_or_default();
    let (namespace, id, id_type) = (part(1), part(2), part(3));
    let authority = Authority { namespace: &namespace, universal_id: &id, universal_id_type: &id_type };
    (work.context.system)(authority, &work.header.sender)
}

/// Says in an Identifier who assigned it.
pub(in crate::hl7v2) fn assign(work: &Work<'_>, identifier: &mut Map<String, Json>, authority: Value<'_>) {
    let system = system(work, Some(authority));
    let display = match system {
        // The name is for a reader; who it is, the system says.
        Some(_) => {
            authority.note_all();
            authority.text_of(1)
        }
        None if authority.peek_of(2).is_none() => authority.text(),
        None => Some(authority.written()),
    };
    put(identifier, "system", system);
    put(identifier, "assigner", display.map(|display| json!({ "display": display })));
}

//! HD: who assigns, as the system of an Identifier, or as its assigner.
//!
//! Spec: HL7 v2.5.1 section 2.A.33

use serde_json::{Map, Value as Json, json};

use super::put;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;
use crate::pix::domains::{Authority, DomainError};
use crate::xds::values::is_oid;

/// Returns the system of the identifiers of patients that an authority assigns,
/// without reading it; those without one are of the sender's own domain.
pub(in crate::hl7v2) fn domain(work: &Work<'_>, authority: Option<Value<'_>>) -> Result<String, DomainError> {
    let domains = work.context.domains;
    let part = |number| authority.and_then(|authority| authority.peek_of(number)).unwrap_or_default();
    let (namespace, id, id_type) = (part(1), part(2), part(3));
    let authority = Authority { namespace: &namespace, universal_id: &id, universal_id_type: &id_type };
    let found = match authority.is_empty() {
        true => domains.of_source(&work.header.sender).ok_or(DomainError::Missing),
        false => domains.named(authority),
    };
    found.map(|domain| domain.system())
}

/// Returns the system of what an authority assigns: that of its domain, or
/// else the OID, UUID or URI that it has, whoever knows it.
pub(in crate::hl7v2) fn system(work: &Work<'_>, authority: Authority<'_>) -> Option<String> {
    let Authority { universal_id: id, universal_id_type, .. } = authority;
    let by_id = || match universal_id_type {
        "ISO" => is_oid(id).then(|| format!("urn:oid:{id}")),
        "UUID" | "GUID" => uuid::Uuid::try_parse(id).ok().map(|id| format!("urn:uuid:{id}")),
        "URI" => (id.contains(':') && !id.contains(char::is_whitespace)).then(|| id.to_owned()),
        _ => None,
    };
    work.context.domains.named(authority).ok().map(|domain| domain.system()).or_else(by_id)
}

/// Says in an Identifier who assigned it.
pub(in crate::hl7v2) fn assign(work: &Work<'_>, identifier: &mut Map<String, Json>, authority: Value<'_>) {
    let part = |number| authority.peek_of(number).unwrap_or_default();
    let (namespace, id, id_type) = (part(1), part(2), part(3));
    let named = Authority { namespace: &namespace, universal_id: &id, universal_id_type: &id_type };
    let system = system(work, named);
    let display = match system {
        // The name is for a reader; who it is, the system says.
        Some(_) => {
            authority.note_all();
            authority.text_of(1)
        }
        None if id.is_empty() => authority.text(),
        None => Some(authority.written()),
    };
    put(identifier, "system", system);
    put(identifier, "assigner", display.map(|display| json!({ "display": display })));
}

/// Says in an Identifier who assigned it, where namespace, universal id and its
/// type are parts of a value themselves.
pub(in crate::hl7v2) fn assign_parts(
    work: &Work<'_>,
    identifier: &mut Map<String, Json>,
    value: Value<'_>,
    parts: &[usize],
) {
    let part = |at: usize| parts.get(at).and_then(|part| value.peek_of(*part)).unwrap_or_default();
    let (namespace, id, id_type) = (part(0), part(1), part(2));
    let system =
        system(work, Authority { namespace: &namespace, universal_id: &id, universal_id_type: &id_type });
    let told = || parts.iter().filter_map(|part| value.part(*part));
    let display = match system {
        None if !id.is_empty() => {
            let written: Vec<String> = told().map(Value::written).collect();
            Some(written.join("^"))
        }
        _ => parts.first().and_then(|part| value.text_of(*part)),
    };
    if system.is_some() {
        told().for_each(Value::note_all);
    }
    put(identifier, "system", system);
    put(identifier, "assigner", display.map(|display| json!({ "display": display })));
}

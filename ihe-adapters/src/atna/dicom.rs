//! AuditEvents as DICOM audit messages.
//!
//! Spec: DICOM PS3.15 A.5.1, ITI TF-2 3.20.7.1

use fhir_model::primitive::base64;
use fhir_model::schema::{NameId, name};
use fhir_model::tree::{Element as Node, Resource};

use super::{DCM, IHE_TRANSACTIONS, RFC_3881, XDS_METADATA};
use crate::wire::xml::Element;

/// Writes an AuditEvent as an `AuditMessage`; what DICOM has no place for is left out.
pub fn audit_message(audit: &Resource) -> String {
    let root = audit.root();
    let text =
        |of: &'static str| root.child_named(of).and_then(|element| element.value()).unwrap_or_default();
    let mut event = Element::new("", "EventIdentification")
        .with_attribute_if("EventActionCode", Some(text("action")).filter(|action| !action.is_empty()))
        .with_attribute("EventDateTime", text("recorded"))
        .with_attribute("EventOutcomeIndicator", text("outcome"));
    event = event.with_children(root.child_named("type").map(|coding| code("EventID", coding)));
    let subtypes = children(root, "subtype");
    event = event.with_children(subtypes.map(|coding| code("EventTypeCode", coding)));
    let why = Some(text("outcomeDesc")).filter(|why| !why.is_empty());
    event = event.with_children(why.map(|why| Element::new("", "EventOutcomeDescription").with_text(why)));
    let purposes = children(root, "purposeOfEvent").flat_map(|concept| children(concept, "coding"));
    event = event.with_children(purposes.map(|coding| code("PurposeOfUse", coding)));
    Element::new("", "AuditMessage")
        .with_child(event)
        .with_children(children(root, "agent").map(participant))
        .with_children(root.child_named("source").map(source))
        .with_children(children(root, "entity").map(|entity| object(entity, root.child_named("subtype"))))
        .to_xml()
}

fn children<'r>(element: Node<'r>, named: &'static str) -> impl Iterator<Item = Node<'r>> {
    let name = NameId::of(named);
    element.children().filter(move |child| child.name_id().is_some() && child.name_id() == name)
}

fn value<'r>(element: Node<'r>, path: &[&str]) -> Option<&'r str> {
    let mut at = element;
    for part in path {
        at = at.child_named(part)?;
    }
    at.value()
}

/// Returns what a code system is called in audit messages.
fn system_name(system: &str) -> &str {
    match system {
        DCM => "DCM",
        IHE_TRANSACTIONS => "IHE Transactions",
        RFC_3881 => "RFC-3881",
        XDS_METADATA => "IHE XDS Metadata",
        other => other.strip_prefix("urn:oid:").unwrap_or(other),
    }
}

fn code(element: &str, coding: Node<'_>) -> Element {
    let code = value(coding, &["code"]).unwrap_or_default();
    let system = value(coding, &["system"]).unwrap_or_default();
    Element::new("", element)
        .with_attribute("csd-code", code)
        .with_attribute("codeSystemName", system_name(system))
        .with_attribute("originalText", value(coding, &["display"]).unwrap_or(code))
}

/// Returns who somebody is: `<user@issuer>` of whom an issuer tells (ITI TF-2 3.40.4.2).
fn who(of: Node<'_>) -> String {
    let id = value(of, &["identifier", "value"]);
    match (id, value(of, &["identifier", "system"])) {
        (Some(id), Some(issuer)) => format!("<{id}@{issuer}>"),
        (Some(id), None) => id.to_owned(),
        (None, _) => {
            let other = value(of, &["reference"]).or(value(of, &["display"]));
            other.unwrap_or("unknown").to_owned()
        }
    }
}

fn participant(agent: Node<'_>) -> Element {
    let address = value(agent, &["network", "address"]);
    let id = agent.child_named("who").map_or_else(|| "unknown".to_owned(), who);
    let roles = agent.child_named("type").into_iter().chain(children(agent, "role"));
    let codings = roles.flat_map(|role| children(role, "coding")).collect::<Vec<_>>();
    Element::new("", "ActiveParticipant")
        .with_attribute("UserID", id)
        .with_attribute_if("AlternativeUserID", value(agent, &["altId"]))
        .with_attribute_if("UserName", value(agent, &["name"]))
        .with_attribute("UserIsRequestor", value(agent, &["requestor"]).unwrap_or("false"))
        .with_attribute_if("NetworkAccessPointID", address)
        .with_attribute_if("NetworkAccessPointTypeCode", value(agent, &["network", "type"]))
        .with_children(codings.into_iter().map(|coding| code("RoleIDCode", coding)))
}

fn source(source: Node<'_>) -> Element {
    let observer = source.child_named("observer");
    let id = observer.map_or_else(|| "unknown".to_owned(), who);
    let types = children(source, "type");
    Element::new("", "AuditSourceIdentification")
        .with_attribute_if("AuditEnterpriseSiteID", value(source, &["site"]))
        .with_attribute("AuditSourceID", id)
        .with_children(types.map(|coding| code("AuditSourceTypeCode", coding)))
}

/// What an object may be: a person, a thing of a system, an organization, something else.
const OBJECT_TYPES: &[&str] = &["1", "2", "3", "4"];

/// Writes an object; `event` is what happened, by which a query without an id is known.
fn object(entity: Node<'_>, event: Option<Node<'_>>) -> Element {
    let what = entity.child_named("what");
    let is_person = value(entity, &["type", "code"]) == Some("1");
    let id = what.map_or_else(String::new, |what| {
        let id = value(what, &["identifier", "value"]);
        let oid = value(what, &["identifier", "system"]).and_then(|system| system.strip_prefix("urn:oid:"));
        match (id, oid) {
            (Some(id), Some(oid)) if is_person => format!("{id}^^^&{oid}&ISO"),
            (Some(id), _) => id.to_owned(),
            (None, _) => value(what, &["reference"]).unwrap_or_default().to_owned(),
        }
    });
    let query = value(entity, &["query"]);
    let event = event.filter(|_| query.is_some() && what.is_none());
    let id = event.and_then(|event| value(event, &["code"])).map_or(id, str::to_owned);
    let of_type = value(entity, &["type", "code"]);
    let is_known = of_type.is_none_or(|code| OBJECT_TYPES.contains(&code));
    let id_type =
        what.and_then(|what| what.child_named("identifier")?.child_named("type")?.child(name::CODING));
    let id_type = id_type.or(event).or_else(|| entity.child_named("type").filter(|_| !is_known));
    // Every object has to say what its id is.
    let id_type = id_type.map_or_else(
        || {
            let (code, text) = if is_person { ("2", "Patient Number") } else { ("12", "URI") };
            Element::new("", "ParticipantObjectIDTypeCode")
                .with_attribute("csd-code", code)
                .with_attribute("codeSystemName", "RFC-3881")
                .with_attribute("originalText", text)
        },
        |coding| code("ParticipantObjectIDTypeCode", coding),
    );
    // Of a name and a query there is one.
    let named = value(entity, &["name"]).filter(|_| query.is_none());
    let details = children(entity, "detail").filter_map(|detail| {
        let text = value(detail, &["valueString"]).map(|text| base64::encode(text.as_bytes()));
        let text = text.or_else(|| value(detail, &["valueBase64Binary"]).map(str::to_owned))?;
        let kind = value(detail, &["type"]).unwrap_or_default();
        Some(
            Element::new("", "ParticipantObjectDetail")
                .with_attribute("type", kind)
                .with_attribute("value", text),
        )
    });
    Element::new("", "ParticipantObjectIdentification")
        .with_attribute("ParticipantObjectID", id)
        .with_attribute_if("ParticipantObjectTypeCode", of_type.map(|code| if is_known { code } else { "2" }))
        .with_attribute_if("ParticipantObjectTypeCodeRole", value(entity, &["role", "code"]))
        .with_child(id_type)
        .with_children(named.map(|named| Element::new("", "ParticipantObjectName").with_text(named)))
        .with_children(query.map(|query| Element::new("", "ParticipantObjectQuery").with_text(query)))
        .with_children(details)
}

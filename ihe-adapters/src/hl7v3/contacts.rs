//! Those whom a person has: contacts, guardians, care givers, relatives.

use serde_json::{Map, Value, json};

use super::addresses::{address, contact_point, read_address, read_contact_point};
use super::codes::{ROLE_CLASSES, ROLES, coded_concept, concept};
use super::names::{entity_name, human_name};
use super::{EXTENSIONS, period, time_interval};
use crate::wire::hl7v3::address::Address;
use crate::wire::hl7v3::coded::Coded;
use crate::wire::hl7v3::name::{EntityName, PartKind};
use crate::wire::hl7v3::telecom::Telecom;
use crate::wire::hl7v3::time::Interval;
use crate::wire::hl7v3::{all, at, element};
use crate::wire::xml::Element;

/// A way in which somebody is somebody's.
struct Role {
    element: &'static str,
    /// The code of the class.
    class: &'static str,
    person: &'static str,
    organization: Option<&'static str>,
}

const CONTACT: Role = Role {
    element: "contactParty",
    class: "CON",
    person: "contactPerson",
    organization: Some("contactOrganization"),
};
const GUARDIAN: Role = Role {
    element: "guardian",
    class: "GUARD",
    person: "guardianPerson",
    organization: Some("guardianOrganization"),
};
const CARE_GIVER: Role =
    Role { element: "careGiver", class: "CAREGIVER", person: "careGiverPerson", organization: None };
const RELATIVE: Role =
    Role { element: "personalRelationship", class: "PRS", person: "relationshipHolder1", organization: None };

/// In the order in which they stand in a person.
const ALL: &[&Role] = &[&CONTACT, &GUARDIAN, &RELATIVE, &CARE_GIVER];

const MOTHER: &str = "MTH";
/// The OID of the codes of roles.
const ROLE_CODES: &str = "2.16.840.1.113883.5.111";

fn mothers_maiden_name() -> String {
    format!("{EXTENSIONS}patient-mothersMaidenName")
}

/// Those of a person, as FHIR has them.
#[derive(Default)]
pub(super) struct Contacts {
    pub(super) contacts: Vec<Value>,
    /// Extensions of the Patient.
    pub(super) extensions: Vec<Value>,
    /// What of them has no place: XPaths below the person.
    pub(super) left_out: Vec<String>,
}

/// Reads all whom a person has.
pub(super) fn contacts(person: &Element) -> Contacts {
    let mut found = Contacts::default();
    for role in ALL {
        for (number, of) in all(person, role.element).enumerate() {
            let place = format!("hl7:{}[{}]", role.element, number + 1);
            read(role, of, &place, &mut found);
        }
    }
    found
}

fn read(role: &Role, of: &Element, place: &str, found: &mut Contacts) {
    let relation = at(of, &["code"]).map(Coded::of);
    let mut names: Vec<EntityName> =
        at(of, &[role.person]).into_iter().flat_map(|p| all(p, "name")).map(EntityName::of).collect();
    names.retain(|name| !name.is_null());
    let mut points = all(of, "telecom").map(Telecom::of).filter_map(|telecom| contact_point(&telecom));
    let points: Vec<Value> = points.by_ref().collect();
    let mut addresses = all(of, "addr").map(Address::of).filter_map(|of| address(&of));
    let first = addresses.next();
    if addresses.next().is_some() {
        found.left_out.push(format!("{place}/hl7:addr[2]"));
    }
    let is_mother = relation.as_ref().is_some_and(|code| code.code.as_deref() == Some(MOTHER));
    if is_mother && let Some(family) = names.first().and_then(maiden_name) {
        found.extensions.push(super::extension(&mothers_maiden_name(), "valueString", &family));
        let is_all = points.is_empty() && first.is_none() && names.len() == 1 && names[0].parts.len() == 1;
        if is_all {
            return;
        }
    }
    if names.len() > 1 {
        found.left_out.push(format!("{place}/hl7:{}[1]/hl7:name[2]", role.person));
    }
    let mut contact = Map::new();
    let class = json!({ "coding": [{ "system": ROLE_CLASSES, "code": role.class }] });
    let relation = relation.and_then(|code| concept(&code, ROLES));
    contact.insert("relationship".to_owned(), std::iter::once(class).chain(relation).collect());
    if let Some(name) = names.first().and_then(human_name) {
        contact.insert("name".to_owned(), name);
    }
    if !points.is_empty() {
        contact.insert("telecom".to_owned(), Value::Array(points));
    }
    if let Some(address) = first {
        contact.insert("address".to_owned(), address);
    }
    let organization = role.organization.and_then(|local| at(of, &[local, "name"]));
    if let Some(name) = organization.map(EntityName::of).filter(|name| !name.is_null()) {
        contact.insert("organization".to_owned(), json!({ "display": name.text() }));
    }
    if let Some(period) = at(of, &["effectiveTime"]).map(Interval::of).and_then(|time| period(&time)) {
        contact.insert("period".to_owned(), period);
    }
    // Somebody of whom nothing is known but the role is nobody.
    if contact.len() > 1 {
        found.contacts.push(Value::Object(contact));
    }
}

/// Returns the name that somebody was born with.
fn maiden_name(name: &EntityName) -> Option<String> {
    let families: Vec<_> = name.of_kind(PartKind::Family).collect();
    let of_birth = families.iter().find(|part| part.qualifiers.iter().any(|q| q == "BR"));
    of_birth.or(families.first()).map(|part| part.text.clone())
}

/// Writes the relatives of a Patient: the others have no place in what IHE
/// lets be told of a person.
pub(super) fn relatives(patient: &Value) -> Vec<Element> {
    let contacts = patient["contact"].as_array().into_iter().flatten();
    let written = contacts.filter_map(|contact| Some((relation(contact)?, contact)));
    let mut all: Vec<(Coded, Element)> = written.map(|(code, contact)| relative(code, contact)).collect();
    let knows_mother = all.iter().any(|(code, _)| code.code.as_deref() == Some(MOTHER));
    let url = mothers_maiden_name();
    if !knows_mother && let Some(family) = super::extension_texts(patient, &url).next() {
        let name = element("name").with_child(element("family").with_text(family));
        let holder = holder().with_child(name);
        let mother = Coded {
            code_system_name: Some("PersonalRelationshipRoleType".to_owned()),
            ..Coded::new(MOTHER, ROLE_CODES)
        };
        let of = relationship().with_child(mother.to_element("code")).with_child(holder);
        all.push((mother, of));
    }
    all.into_iter().map(|(_, relative)| relative).collect()
}

fn relationship() -> Element {
    element(RELATIVE.element).with_attribute("classCode", RELATIVE.class)
}

fn holder() -> Element {
    element(RELATIVE.person).with_attribute("classCode", "PSN").with_attribute("determinerCode", "INSTANCE")
}

/// Returns what somebody is to a patient, by a code of HL7 v3; `None` when it is none.
fn relation(contact: &Value) -> Option<Coded> {
    let concepts = contact["relationship"].as_array().into_iter().flatten();
    let mut codes = concepts.filter_map(coded_concept);
    codes.find(|code| code.code_system.as_deref() == Some(ROLE_CODES))
}

fn relative(code: Coded, contact: &Value) -> (Coded, Element) {
    let addresses =
        contact["address"].is_object().then(|| read_address(&contact["address"]).to_element("addr"));
    let points = contact["telecom"].as_array().into_iter().flatten().filter_map(read_contact_point);
    let time = time_interval(&contact["period"]);
    let name = match contact["name"].is_object() {
        true => entity_name(&contact["name"]).to_element("name"),
        false => element("name").with_attribute("nullFlavor", "UNK"),
    };
    let of = relationship()
        .with_child(code.to_element("code"))
        .with_children(addresses)
        .with_children(points.map(|point| point.to_element("telecom")))
        .with_children((!time.is_empty()).then(|| time.to_element("effectiveTime")))
        .with_child(holder().with_child(name));
    (code, of)
}

//! People and organizations: authors, who signed, and the patient as the
//! source knows him. The parts of HL7 v2 become contained resources for
//! readers of FHIR; what was sent stands beside them.

use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;
use serde_json::{Map, Value, json};

use super::{extension, read_slots, slots};
use crate::wire::ebrim::{Classification, Slot};
use crate::xds::values::{dtm_to_date_time, is_oid};

const PERSON: &str = "authorPerson";
const INSTITUTION: &str = "authorInstitution";
const ROLE: &str = "authorRole";
const SPECIALTY: &str = "authorSpecialty";

/// Writes an author as contained resources; returns the reference to the first.
pub(super) fn author(author: &Classification, number: usize, contained: &mut Vec<Value>) -> Value {
    let id = format!("author{number}");
    let mut role = Map::new();
    role.insert("resourceType".to_owned(), json!("PractitionerRole"));
    role.insert("id".to_owned(), json!(id));
    role.insert("extension".to_owned(), Value::Array(slots(&author.slots)));
    if let Some(person) = author.slot(PERSON).first().filter(|p| !p.trim().is_empty()) {
        let person_id = format!("{id}-person");
        contained.push(practitioner(person, &person_id));
        role.insert("practitioner".to_owned(), json!({ "reference": format!("#{person_id}") }));
    }
    if let Some(institution) = author.slot(INSTITUTION).first().filter(|i| !i.trim().is_empty()) {
        let organization_id = format!("{id}-organization");
        contained.push(organization(institution, &organization_id));
        role.insert("organization".to_owned(), json!({ "reference": format!("#{organization_id}") }));
    }
    for (slot, element) in [(ROLE, "code"), (SPECIALTY, "specialty")] {
        let texts = author.slot(slot).iter().filter(|text| !text.trim().is_empty());
        let concepts: Vec<Value> = texts.map(|text| concept(text)).collect();
        if !concepts.is_empty() {
            role.insert(element.to_owned(), Value::Array(concepts));
        }
    }
    contained.push(Value::Object(role));
    json!({ "reference": format!("#{id}") })
}

/// Reads an author: what was sent, or what the resource says.
pub(super) fn read_author(root: Element<'_>, reference: Element<'_>, scheme: &str) -> Classification {
    let display = reference.text_of(name::DISPLAY);
    let text = display.or(reference.child(name::IDENTIFIER).and_then(|i| i.text_of(name::VALUE)));
    let resource = contained(root, reference);
    let mut slots = resource.map(read_slots).unwrap_or_default();
    if slots.is_empty() {
        slots = resource.map(|resource| author_of_resource(root, resource)).unwrap_or_default();
    }
    if slots.is_empty() {
        slots.extend(text.map(|text| slot(PERSON, format!("^{text}"))));
    }
    Classification { scheme: Some(scheme.to_owned()), slots, ..Classification::default() }
}

/// Says who an author is that FHIR clients contained.
fn author_of_resource(root: Element<'_>, resource: Element<'_>) -> Vec<Slot> {
    match resource.ty() {
        ty::PRACTITIONER | ty::PATIENT | ty::RELATED_PERSON => {
            read_person(resource).into_iter().map(|person| slot(PERSON, person)).collect()
        }
        ty::ORGANIZATION => vec![slot(INSTITUTION, read_organization(resource))],
        ty::PRACTITIONER_ROLE => {
            let referred = |element: &str| {
                let reference = resource.child_named(element)?;
                Some(contained(root, reference).map(|of| author_of_resource(root, of)).unwrap_or_default())
            };
            let mut slots = referred("practitioner").unwrap_or_default();
            slots.extend(referred("organization").unwrap_or_default());
            for (element, name) in [("code", ROLE), ("specialty", SPECIALTY)] {
                let of_name =
                    resource.children().filter(|c| c.name_id().is_some_and(|n| n.as_str() == element));
                let texts: Vec<String> = of_name.filter_map(read_concept).collect();
                if !texts.is_empty() {
                    slots.push(Slot { name: name.to_owned(), slot_type: None, values: texts });
                }
            }
            slots
        }
        _ => Vec::new(),
    }
}

fn slot(name: &str, value: String) -> Slot {
    Slot { name: name.to_owned(), slot_type: None, values: vec![value] }
}

/// Returns the contained resource that a reference means.
pub(super) fn contained<'r>(root: Element<'r>, reference: Element<'_>) -> Option<Element<'r>> {
    let id = reference.text_of(name::REFERENCE)?.strip_prefix('#')?;
    root.children_named(name::CONTAINED).find(|resource| resource.text_of(name::ID) == Some(id))
}

/// Writes who signed, as a contained Practitioner; returns the reference to it.
pub(super) fn authenticator(person: &str, contained: &mut Vec<Value>) -> Value {
    let mut practitioner = practitioner(person, "authenticator");
    practitioner["extension"] = json!([extension("as-sent", "valueString", person)]);
    contained.push(practitioner);
    json!({ "reference": "#authenticator" })
}

/// Reads who signed.
pub(super) fn read_authenticator(root: Element<'_>, reference: Element<'_>) -> Option<String> {
    let resource = contained(root, reference);
    let sent = resource.and_then(super::sent).map(str::to_owned);
    let display = || reference.text_of(name::DISPLAY).map(|text| format!("^{text}"));
    sent.or_else(|| resource.and_then(read_person)).or_else(display)
}

/// Writes the patient as the source knows him, as a contained Patient.
pub(super) fn source_patient(info: &[String], contained: &mut Vec<Value>) -> Value {
    let field = |number: &'static str| {
        info.iter().filter_map(move |line| {
            line.strip_prefix("PID-")?
                .strip_prefix(number)?
                .strip_prefix('|')
                .filter(|v| !v.trim().is_empty())
        })
    };
    let raw = Slot { name: "sourcePatientInfo".to_owned(), slot_type: None, values: info.to_vec() };
    let mut patient = Map::new();
    patient.insert("resourceType".to_owned(), json!("Patient"));
    patient.insert("id".to_owned(), json!("sourcePatient"));
    patient.insert("extension".to_owned(), Value::Array(slots([&raw])));
    let identifiers: Vec<Value> = field("3").filter_map(identifier_of_cx).collect();
    if !identifiers.is_empty() {
        patient.insert("identifier".to_owned(), Value::Array(identifiers));
    }
    if let Some(name) = field("5").next().and_then(|name| human_name(&name.split('^').collect::<Vec<_>>())) {
        patient.insert("name".to_owned(), json!([name]));
    }
    let gender = field("8").next().and_then(|sex| match sex {
        "M" => Some("male"),
        "F" => Some("female"),
        "O" | "A" => Some("other"),
        "U" | "N" => Some("unknown"),
        _ => None,
    });
    if let Some(gender) = gender {
        patient.insert("gender".to_owned(), json!(gender));
    }
    let birth = field("7").next().and_then(|dtm| dtm_to_date_time(dtm.get(..dtm.len().min(8))?));
    if let Some(birth) = birth {
        patient.insert("birthDate".to_owned(), json!(birth));
    }
    contained.push(Value::Object(patient));
    json!("#sourcePatient")
}

/// Reads the patient as the source knows him.
pub(super) fn read_source_patient(patient: Element<'_>) -> Vec<String> {
    if let Some(sent) = read_slots(patient).into_iter().find(|slot| slot.name == "sourcePatientInfo") {
        return sent.values;
    }
    let mut info = Vec::new();
    if let Some(name) = patient.child(name::NAME) {
        let given: Vec<&str> = name.children_named(name::GIVEN).filter_map(Element::value).collect();
        let (first, others) = given.split_first().map_or(("", String::new()), |(f, o)| (*f, o.join(" ")));
        info.push(format!("PID-5|{}^{first}^{others}", name.text_of(name::FAMILY).unwrap_or_default()));
    }
    if let Some(birth) = patient.text_of(name::BIRTH_DATE) {
        info.push(format!("PID-7|{}", birth.replace('-', "")));
    }
    if let Some(gender) = patient.text_of(name::GENDER) {
        let sex = match gender {
            "male" => "M",
            "female" => "F",
            "other" => "O",
            _ => "U",
        };
        info.push(format!("PID-8|{sex}"));
    }
    info
}

/// Writes a person (XCN): id, family, given, others, suffix, prefix ... authority.
fn practitioner(xcn: &str, id: &str) -> Value {
    let parts: Vec<&str> = xcn.split('^').collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let mut practitioner = Map::new();
    practitioner.insert("resourceType".to_owned(), json!("Practitioner"));
    practitioner.insert("id".to_owned(), json!(id));
    let authority = part(8).split('&').nth(1).filter(|oid| is_oid(oid));
    if !part(0).trim().is_empty() {
        let mut identifier = json!({ "value": part(0) });
        if let Some(oid) = authority {
            identifier["system"] = json!(format!("urn:oid:{oid}"));
        }
        practitioner.insert("identifier".to_owned(), json!([identifier]));
    }
    if let Some(name) = parts.get(1..).and_then(human_name) {
        practitioner.insert("name".to_owned(), json!([name]));
    }
    Value::Object(practitioner)
}

/// Writes a name: family, given, others, suffix, prefix.
fn human_name(parts: &[&str]) -> Option<Value> {
    let part = |at: usize| parts.get(at).map(|p| p.trim()).filter(|p| !p.is_empty());
    let mut name = Map::new();
    if let Some(family) = part(0) {
        name.insert("family".to_owned(), json!(family));
    }
    let given: Vec<&str> = [part(1), part(2)].into_iter().flatten().collect();
    if !given.is_empty() {
        name.insert("given".to_owned(), json!(given));
    }
    for (at, element) in [(3, "suffix"), (4, "prefix")] {
        if let Some(text) = part(at) {
            name.insert(element.to_owned(), json!([text]));
        }
    }
    (!name.is_empty()).then_some(Value::Object(name))
}

fn read_person(resource: Element<'_>) -> Option<String> {
    let identifier = resource.child(name::IDENTIFIER);
    let id = identifier.and_then(|i| i.text_of(name::VALUE)).unwrap_or_default();
    let oid = identifier.and_then(|i| i.text_of(name::SYSTEM)?.strip_prefix("urn:oid:"));
    let authority = oid.map(|oid| format!("&{oid}&ISO")).unwrap_or_default();
    let human = resource.child(name::NAME);
    let family = human.and_then(|n| n.text_of(name::FAMILY).or(n.text_of(name::TEXT))).unwrap_or_default();
    let given = human.and_then(|n| n.text_of(name::GIVEN)).unwrap_or_default();
    if id.is_empty() && family.is_empty() && given.is_empty() {
        return None;
    }
    Some(format!("{id}^{family}^{given}^^^^^^{authority}").trim_end_matches('^').to_owned())
}

/// Writes an organization (XON): name ... authority ... id.
fn organization(xon: &str, id: &str) -> Value {
    let parts: Vec<&str> = xon.split('^').collect();
    let part = |at: usize| parts.get(at).map(|p| p.trim()).filter(|p| !p.is_empty());
    let mut organization = Map::new();
    organization.insert("resourceType".to_owned(), json!("Organization"));
    organization.insert("id".to_owned(), json!(id));
    if let Some(value) = part(9) {
        let authority = part(5).and_then(|a| a.split('&').nth(1)).filter(|oid| is_oid(oid));
        let identifier = match authority {
            Some(oid) => json!({ "system": format!("urn:oid:{oid}"), "value": value }),
            None if is_oid(value) => json!({ "system": super::URIS, "value": format!("urn:oid:{value}") }),
            None => json!({ "value": value }),
        };
        organization.insert("identifier".to_owned(), json!([identifier]));
    }
    if let Some(name) = part(0) {
        organization.insert("name".to_owned(), json!(name));
    }
    Value::Object(organization)
}

fn read_organization(resource: Element<'_>) -> String {
    let name = resource.text_of(name::NAME).unwrap_or_default();
    let Some(identifier) = resource.child(name::IDENTIFIER) else { return name.to_owned() };
    let value = identifier.text_of(name::VALUE).unwrap_or_default();
    match identifier.text_of(name::SYSTEM).and_then(|s| s.strip_prefix("urn:oid:")) {
        Some(oid) => format!("{name}^^^^^&{oid}&ISO^^^^{value}"),
        None => format!("{name}^^^^^^^^^{}", value.trim_start_matches("urn:oid:")),
    }
}

/// Writes an identifier (CX) as far as it goes.
fn identifier_of_cx(cx: &str) -> Option<Value> {
    let mut parts = cx.split('^');
    let id = parts.next().filter(|id| !id.trim().is_empty())?;
    let oid = parts.nth(2).and_then(|authority| authority.split('&').nth(1)).filter(|oid| is_oid(oid));
    Some(match oid {
        Some(oid) => json!({ "system": format!("urn:oid:{oid}"), "value": id }),
        None => json!({ "value": id }),
    })
}

/// Writes what may be a code with its system (CE), or plain text.
fn concept(text: &str) -> Value {
    let mut parts = text.split('^');
    let code = parts.next().unwrap_or_default().trim();
    let oid = parts.nth(1).and_then(|authority| authority.split('&').nth(1)).filter(|oid| is_oid(oid));
    match oid {
        Some(oid) if !code.is_empty() => {
            json!({ "coding": [{ "system": format!("urn:oid:{oid}"), "code": code }] })
        }
        _ => json!({ "text": text }),
    }
}

fn read_concept(concept: Element<'_>) -> Option<String> {
    let coding = concept.child(name::CODING);
    let of_coding = || {
        let coding = coding?;
        let code = coding.text_of(name::CODE)?;
        let oid = coding.text_of(name::SYSTEM).and_then(|s| s.strip_prefix("urn:oid:"));
        Some(oid.map_or_else(|| code.to_owned(), |oid| format!("{code}^^&{oid}&ISO")))
    };
    concept.text_of(name::TEXT).map(str::to_owned).or_else(of_coding)
}

//! The header of a CDA R2 document, as metadata.
//!
//! Spec: PCC TF-2 4.1.1, table 4.1.1-1

use fhir_model::outcome::Issue;
use serde_json::{Map, Value, json};

use super::generate_metadata::{Generated, refused};
use crate::wire::xml::{Element, Limits};
use crate::xds::values::{dtm_to_date_time, is_oid};

const CDA: &str = "urn:hl7-org:v3";

/// Reads the header.
///
/// # Errors
/// When it is no CDA document, or says neither what it is nor of whom.
pub(super) fn read(bytes: &[u8]) -> Result<Generated, Issue> {
    let root = Element::parse(bytes, &Limits::default());
    let root = root.map_err(|error| refused(format!("the document is no XML: {error}")))?;
    if !root.is(CDA, "ClinicalDocument") {
        return Err(refused("the document is no CDA R2 document"));
    }
    let id = root.child(CDA, "id").and_then(instance);
    let (authority, extension) = id.ok_or_else(|| refused("the document has no `id` with an OID"))?;
    let unique_id = extension.map_or_else(|| authority.clone(), |id| format!("{authority}^{id}"));
    let mut reference = Map::new();
    let mut put = |element: &str, value: Option<Value>| {
        if let Some(value) = value {
            reference.insert(element.to_owned(), value);
        }
    };
    let patient = at(&root, &["recordTarget", "patientRole"]);
    let patient = patient.ok_or_else(|| refused("the document has no `recordTarget`"))?;
    let identifier = patient.children_named(CDA, "id").find_map(identifier);
    put("subject", identifier.map(|identifier| json!({ "identifier": identifier })));
    put("type", root.child(CDA, "code").and_then(concept));
    put("securityLabel", root.child(CDA, "confidentialityCode").and_then(concept).map(|c| json!([c])));
    let mut contained = vec![source_patient(patient)];
    let authors: Vec<Value> = root
        .children_named(CDA, "author")
        .filter_map(|author| author.child(CDA, "assignedAuthor"))
        .enumerate()
        .filter_map(|(number, author)| {
            let id = format!("author{}", number + 1);
            contained.push(practitioner(author, &id)?);
            Some(json!({ "reference": format!("#{id}") }))
        })
        .collect();
    put("author", (!authors.is_empty()).then(|| Value::Array(authors)));
    let signer = at(&root, &["legalAuthenticator", "assignedEntity"]);
    let signer = signer.and_then(|signer| practitioner(signer, "authenticator"));
    put("authenticator", signer.is_some().then(|| json!({ "reference": "#authenticator" })));
    contained.extend(signer);
    put("contained", Some(Value::Array(contained)));
    put("context", Some(context(&root)));
    let mut attachment = Map::new();
    let title = root.child(CDA, "title").map(|title| title.text().trim().to_owned());
    let language = root.child(CDA, "languageCode").and_then(|language| language.attribute("code"));
    for (element, text) in [
        ("title", title.filter(|title| !title.is_empty())),
        ("language", language.map(str::to_owned)),
        ("creation", root.child(CDA, "effectiveTime").and_then(time)),
    ] {
        attachment.extend(text.map(|text| (element.to_owned(), json!(text))));
    }
    Ok(Generated { unique_id, reference, attachment })
}

fn at<'e>(root: &'e Element, path: &[&str]) -> Option<&'e Element> {
    path.iter().try_fold(root, |element, step| element.child(CDA, step))
}

/// Reads an instance identifier: its OID and what is told apart by it.
fn instance(id: &Element) -> Option<(String, Option<String>)> {
    let root = id.attribute("root").filter(|root| is_oid(root))?;
    let extension = id.attribute("extension").filter(|extension| !extension.is_empty());
    Some((root.to_owned(), extension.map(str::to_owned)))
}

fn identifier(id: &Element) -> Option<Value> {
    let (root, extension) = instance(id)?;
    Some(json!({ "system": format!("urn:oid:{root}"), "value": extension? }))
}

/// Reads a code; what is meant by the OIDs of LOINC and the like is told in FHIR's words.
fn concept(code: &Element) -> Option<Value> {
    let text = code.attribute("code").filter(|code| !code.is_empty())?;
    let system = code.attribute("codeSystem").filter(|system| is_oid(system))?;
    let system = match SYSTEMS.iter().find(|(oid, _)| *oid == system) {
        Some((_, url)) => (*url).to_owned(),
        None => format!("urn:oid:{system}"),
    };
    let mut coding = json!({ "system": system, "code": text });
    if let Some(display) = code.attribute("displayName") {
        coding["display"] = json!(display);
    }
    Some(json!({ "coding": [coding] }))
}

/// The code systems whose names in FHIR are no OIDs.
///
/// Spec: <https://terminology.hl7.org/external_terminologies.html>
const SYSTEMS: &[(&str, &str)] = &[
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.5.25", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
    ("2.16.840.1.113883.5.4", "http://terminology.hl7.org/CodeSystem/v3-ActCode"),
];

/// Reads a timestamp: `YYYYMMDDhhmmss+ZZZZ` and its beginnings.
fn time(element: &Element) -> Option<String> {
    let text = element.attribute("value")?;
    let (stamp, zone) = match text.find(['+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let stamp = stamp.split('.').next().unwrap_or(stamp);
    let made = dtm_to_date_time(stamp)?;
    let hours = zone.get(..3).zip(zone.get(3..5));
    Some(match (made.strip_suffix('Z'), hours) {
        (Some(local), Some((hours, minutes))) => format!("{local}{hours}:{minutes}"),
        _ => made,
    })
}

fn human_name(name: &Element) -> Option<Value> {
    let text = |of: &Element| of.text().trim().to_owned();
    let given: Vec<String> =
        name.children_named(CDA, "given").map(text).filter(|given| !given.is_empty()).collect();
    let family = name.child(CDA, "family").map(text).filter(|family| !family.is_empty());
    let mut human = Map::new();
    human.extend(family.map(|family| ("family".to_owned(), json!(family))));
    if !given.is_empty() {
        human.insert("given".to_owned(), json!(given));
    }
    (!human.is_empty()).then_some(Value::Object(human))
}

fn source_patient(role: &Element) -> Value {
    let mut patient = json!({ "resourceType": "Patient", "id": "source" });
    let identifiers: Vec<Value> = role.children_named(CDA, "id").filter_map(identifier).collect();
    if !identifiers.is_empty() {
        patient["identifier"] = Value::Array(identifiers);
    }
    let Some(person) = role.child(CDA, "patient") else { return patient };
    if let Some(name) = person.child(CDA, "name").and_then(human_name) {
        patient["name"] = json!([name]);
    }
    let gender = person.child(CDA, "administrativeGenderCode").and_then(|code| code.attribute("code"));
    let gender = match gender {
        Some("M") => Some("male"),
        Some("F") => Some("female"),
        Some("UN") => Some("other"),
        _ => None,
    };
    if let Some(gender) = gender {
        patient["gender"] = json!(gender);
    }
    let birth = person.child(CDA, "birthTime").and_then(time);
    if let Some(birth) = birth.as_deref().and_then(|birth| birth.get(..10.min(birth.len()))) {
        patient["birthDate"] = json!(birth);
    }
    patient
}

fn practitioner(assigned: &Element, id: &str) -> Option<Value> {
    let mut practitioner = json!({ "resourceType": "Practitioner", "id": id });
    let identifiers: Vec<Value> = assigned.children_named(CDA, "id").filter_map(identifier).collect();
    let name = at(assigned, &["assignedPerson", "name"]).and_then(human_name);
    if identifiers.is_empty() && name.is_none() {
        return None;
    }
    if !identifiers.is_empty() {
        practitioner["identifier"] = Value::Array(identifiers);
    }
    if let Some(name) = name {
        practitioner["name"] = json!([name]);
    }
    Some(practitioner)
}

fn context(root: &Element) -> Value {
    let mut context = json!({ "sourcePatientInfo": { "reference": "#source" } });
    let events: Vec<&Element> = root
        .children_named(CDA, "documentationOf")
        .filter_map(|documented| documented.child(CDA, "serviceEvent"))
        .collect();
    let codes: Vec<Value> =
        events.iter().filter_map(|event| event.child(CDA, "code")).filter_map(concept).collect();
    if !codes.is_empty() {
        context["event"] = Value::Array(codes);
    }
    let interval = events.iter().find_map(|event| event.child(CDA, "effectiveTime"));
    let mut period = Map::new();
    for (end, element) in [("low", "start"), ("high", "end")] {
        let at = interval.and_then(|interval| interval.child(CDA, end)).and_then(time);
        period.extend(at.map(|at| (element.to_owned(), json!(at))));
    }
    if !period.is_empty() {
        context["period"] = Value::Object(period);
    }
    let facility =
        at(root, &["componentOf", "encompassingEncounter", "location", "healthCareFacility", "code"]);
    if let Some(facility) = facility.and_then(concept) {
        context["facilityType"] = facility;
    }
    context
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read() {
        let document = r#"<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="D1"/>
            <code code="11502-2" codeSystem="2.16.840.1.113883.6.1" displayName="Referto"/><title>Referto</title>
            <effectiveTime value="20260102030405+0100"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
            <languageCode code="it-IT"/><recordTarget><patientRole><id root="1.2.4" extension="P1"/><patient>
            <name><given>Maria</given><family>Rossi</family></name><administrativeGenderCode code="F"/>
            <birthTime value="19600102"/></patient></patientRole></recordTarget>
            <author><assignedAuthor><id root="1.2.5" extension="A1"/></assignedAuthor></author>
            <documentationOf><serviceEvent><effectiveTime><low value="202601"/></effectiveTime></serviceEvent></documentationOf>
            </ClinicalDocument>"#;
        let generated = read(document.as_bytes()).expect("a header");
        assert_eq!(generated.unique_id, "1.2.3^D1");
        let reference = Value::Object(generated.reference);
        assert_eq!(reference["subject"]["identifier"], json!({ "system": "urn:oid:1.2.4", "value": "P1" }));
        assert_eq!(reference["type"]["coding"][0]["system"], "http://loinc.org");
        assert_eq!(reference["contained"][0]["birthDate"], "1960-01-02");
        assert_eq!(reference["author"], json!([{ "reference": "#author1" }]));
        assert_eq!(reference["context"]["period"], json!({ "start": "2026-01" }));
        let attachment = Value::Object(generated.attachment);
        let expected =
            json!({ "title": "Referto", "language": "it-IT", "creation": "2026-01-02T03:04:05+01:00" });
        assert_eq!(attachment, expected);
    }

    #[test]
    fn what_is_no_cda_document_is_refused() {
        for document in ["", "x", "<a/>", "<ClinicalDocument xmlns='urn:hl7-org:v3'/>"] {
            assert!(read(document.as_bytes()).is_err(), "{document}");
        }
    }
}

//! A Patient as a patient of HL7 v3, as answers and notifications have it:
//! without the roles that IHE leaves out of them.
//!
//! Spec: ITI TF-2 3.47.4.2.2.2, 3.55.4.2.2.2

use serde_json::Value;

use super::addresses::{read_address, read_contact_point};
use super::codes::{GENDERS, coded, coded_concept, v3_of};
use super::contacts::relatives;
use super::names::entity_name;
use super::patient::{CODED_STRING, CONCEPTS, IMPORTANCE};
use super::{EXTENSIONS, extensions, time_interval};
use crate::pix::groups::{self, Group};
use crate::wire::hl7v3::coded::Coded;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::{code, element, time, value};
use crate::wire::namespaces::XSI;
use crate::wire::xml::Element;

/// How a patient is identified in a message.
#[derive(Debug, Clone, Default)]
pub struct Identified {
    /// The identifiers of the patient.
    pub ids: Vec<InstanceIdentifier>,
    /// Other identifiers of the person.
    pub others: Vec<InstanceIdentifier>,
    /// The OIDs of domains that were asked for, of which none is known.
    pub missing: Vec<String>,
}

/// Writes a Patient. `provider`: the OID of who is said to take care of him
/// where the Patient does not tell; `None` when nobody is to be told.
pub fn patient_element(patient: &Value, identified: &Identified, provider: Option<&str>) -> Element {
    let labels = patient["meta"]["security"].as_array().into_iter().flatten().map(coded);
    let importance = concept_extensions(patient, IMPORTANCE).next();
    element("patient")
        .with_attribute("classCode", "PAT")
        .with_children(identified.ids.iter().map(|id| id.to_element("id")))
        .with_child(code("statusCode", "active"))
        .with_children(labels.map(|label| label.to_element("confidentialityCode")))
        .with_children(importance.map(|code| code.to_element("veryImportantPersonCode")))
        .with_child(person(patient, identified))
        .with_children(provider.map(|provider| provider_element(patient, provider)))
}

/// Adds to a patient how well he matches, in percent.
#[must_use]
pub fn with_degree(patient: Element, degree: u8) -> Element {
    let degree = value("value", &degree.to_string()).with_attribute_of(XSI, "type", "hl7:INT");
    let observation = element("queryMatchObservation")
        .with_attribute("classCode", "COND")
        .with_attribute("moodCode", "EVN")
        .with_child(code("code", "IHE_PDQ"))
        .with_child(degree);
    patient.with_child(element("subjectOf1").with_child(observation))
}

fn list<'p>(patient: &'p Value, member: &str) -> impl Iterator<Item = &'p Value> {
    patient[member].as_array().into_iter().flatten()
}

fn concept_extensions<'p>(patient: &'p Value, name: &str) -> impl Iterator<Item = Coded> + 'p {
    let url = format!("{EXTENSIONS}{name}");
    let of = patient["extension"].as_array().into_iter().flatten().filter(move |e| e["url"] == url.as_str());
    of.filter_map(|extension| coded_concept(&extension["valueCodeableConcept"]))
}

/// Writes the person, whose elements have an order.
fn person(patient: &Value, identified: &Identified) -> Element {
    let mut names: Vec<Element> = list(patient, "name")
        .map(entity_name)
        .filter(|name| !name.is_null())
        .map(|name| name.to_element("name"))
        .collect();
    if names.is_empty() {
        names.push(element("name").with_attribute("nullFlavor", "NA"));
    }
    let telecoms = list(patient, "telecom").filter_map(read_contact_point);
    let addresses = list(patient, "address").map(read_address).filter(|address| !address.parts.is_empty());
    let marital = coded_concept(&patient["maritalStatus"]);
    let mut to = element("patientPerson")
        .with_attribute("classCode", "PSN")
        .with_attribute("determinerCode", "INSTANCE")
        .with_children(names)
        .with_children(telecoms.map(|telecom| telecom.to_element("telecom")))
        .with_children(gender(patient).map(|code| code.to_element("administrativeGenderCode")))
        .with_children(birth_time(patient).map(|born| value("birthTime", &born)));
    to = with_life(to, patient)
        .with_children(addresses.map(|address| address.to_element("addr")))
        .with_children(marital.map(|code| code.to_element("maritalStatusCode")));
    // Disabilities stand before religions.
    for (local, name, _) in CONCEPTS.iter().rev() {
        to = to.with_children(concept_extensions(patient, name).map(|code| code.to_element(local)));
    }
    for (local, of) in [("raceCode", groups::RACE), ("ethnicGroupCode", groups::ETHNICITY)] {
        to = to.with_children(group(patient, of).into_iter().map(|code| code.to_element(local)));
    }
    to.with_children(citizenships(patient))
        .with_children(other_ids(identified))
        .with_children(relatives(patient))
        .with_children(birth_place(patient))
        .with_children(languages(patient))
}

fn gender(patient: &Value) -> Option<Coded> {
    const SYSTEM: &str = "2.16.840.1.113883.5.1";
    let exact = extensions(&patient["_gender"], CODED_STRING).next().map(|e| coded(&e["valueCoding"]));
    let of_fhir = patient["gender"].as_str()?;
    exact.or_else(|| match v3_of(GENDERS, of_fhir) {
        Some("U") | None => Some(Coded { null_flavor: Some("UNK".to_owned()), ..Coded::default() }),
        Some(code) => Some(Coded::new(code, SYSTEM)),
    })
}

fn birth_time(patient: &Value) -> Option<String> {
    let url = format!("{EXTENSIONS}patient-birthTime");
    let exact = extensions(&patient["_birthDate"], &url).find_map(|e| e["valueDateTime"].as_str());
    time::from_fhir(exact.or_else(|| patient["birthDate"].as_str())?)
}

/// Adds what is known of death and birth.
fn with_life(to: Element, patient: &Value) -> Element {
    let died = patient["deceasedDateTime"].as_str().and_then(time::from_fhir);
    let is_dead = patient["deceasedBoolean"].as_bool().or(died.as_ref().map(|_| true));
    let order = patient["multipleBirthInteger"].as_i64();
    let is_multiple = patient["multipleBirthBoolean"].as_bool().or(order.map(|_| true));
    let url = format!("{EXTENSIONS}patient-cadavericDonor");
    let is_donor = extensions(patient, &url).find_map(|e| e["valueBoolean"].as_bool());
    let said = |local: &str, is_so: Option<bool>| is_so.map(|is_so| value(local, &is_so.to_string()));
    to.with_children(said("deceasedInd", is_dead))
        .with_children(died.map(|died| value("deceasedTime", &died)))
        .with_children(said("multipleBirthInd", is_multiple))
        .with_children(order.map(|order| value("multipleBirthOrderNumber", &order.to_string())))
        .with_children(said("organDonorInd", is_donor))
}

/// Reads races or ethnic groups.
fn group(patient: &Value, group: Group) -> Vec<Coded> {
    let codes: Vec<Coded> = group.codings(patient).map(coded).collect();
    if !codes.is_empty() {
        return codes;
    }
    let null = |text: &str| Coded {
        original_text: Some(text.to_owned()),
        null_flavor: Some("OTH".to_owned()),
        ..Coded::default()
    };
    group.text(patient).map(null).into_iter().collect()
}

fn citizenships(patient: &Value) -> Vec<Element> {
    let url = format!("{EXTENSIONS}patient-citizenship");
    let of = |extension: &Value| {
        let part = |url: &str| list(extension, "extension").find(|part| part["url"] == url);
        let nation = coded_concept(&part("code")?["valueCodeableConcept"])?;
        let time = part("period").map(|part| time_interval(&part["valuePeriod"])).unwrap_or_default();
        let nation = element("politicalNation")
            .with_attribute("classCode", "NAT")
            .with_attribute("determinerCode", "INSTANCE")
            .with_child(nation.to_element("code"));
        let citizen = element("asCitizen")
            .with_attribute("classCode", "CIT")
            .with_children((!time.is_empty()).then(|| time.to_element("effectiveTime")));
        Some(citizen.with_child(nation))
    };
    extensions(patient, &url).filter_map(of).collect()
}

/// Writes the other identifiers, each with who assigned it.
fn other_ids(identified: &Identified) -> Vec<Element> {
    let scoped = |id: Element, root: &InstanceIdentifier| {
        let organization = element("scopingOrganization")
            .with_attribute("classCode", "ORG")
            .with_attribute("determinerCode", "INSTANCE")
            .with_child(root.to_element("id"));
        element("asOtherIDs").with_attribute("classCode", "PAT").with_child(id).with_child(organization)
    };
    let root = |id: &InstanceIdentifier| InstanceIdentifier { extension: None, ..id.clone() };
    let known = identified.others.iter().map(|id| scoped(id.to_element("id"), &root(id)));
    let missing = identified.missing.iter().map(|oid| {
        let none = element("id").with_attribute("nullFlavor", "NI");
        scoped(none, &InstanceIdentifier::of_root(oid.as_str()))
    });
    known.chain(missing).collect()
}

fn birth_place(patient: &Value) -> Option<Element> {
    let url = format!("{EXTENSIONS}patient-birthPlace");
    let born = extensions(patient, &url).find_map(|e| e.get("valueAddress"))?;
    let name = born["text"].as_str().map(|text| {
        element("birthplace")
            .with_attribute("classCode", "PLC")
            .with_attribute("determinerCode", "INSTANCE")
            .with_child(element("name").with_text(text))
    });
    let mut address = read_address(born);
    // A text alone is the name of the place.
    address.parts.retain(|(kind, _)| !kind.is_empty());
    let address = (!address.parts.is_empty()).then(|| address.to_element("addr"));
    let is_empty = address.is_none() && name.is_none();
    let place = element("birthPlace").with_attribute("classCode", "BIRTHPL");
    (!is_empty).then(|| place.with_children(address).with_children(name))
}

fn languages(patient: &Value) -> Vec<Element> {
    let of = |communication: &Value| {
        let language = coded_concept(&communication["language"])?.to_element("languageCode");
        let preferred = communication["preferred"].as_bool();
        let preferred = preferred.map(|is_so| value("preferenceInd", &is_so.to_string()));
        Some(element("languageCommunication").with_child(language).with_children(preferred))
    };
    list(patient, "communication").filter_map(of).collect()
}

/// Writes who takes care of the patient.
fn provider_element(patient: &Value, provider: &str) -> Element {
    let reference = &patient["managingOrganization"];
    let contained = list(patient, "contained").find(|of| {
        let id = reference["reference"].as_str().and_then(|reference| reference.strip_prefix('#'));
        id.is_some() && of["id"].as_str() == id
    });
    let told = &reference["identifier"];
    let urn = told["value"].as_str().filter(|_| told["system"] == "urn:ietf:rfc:3986");
    let oid = urn.and_then(|urn| urn.strip_prefix("urn:oid:"));
    let id = InstanceIdentifier::of_root(oid.unwrap_or(provider));
    let name = reference["display"].as_str().map(|name| element("name").with_text(name));
    let points = contained.into_iter().flat_map(|of| list(of, "telecom")).filter_map(read_contact_point);
    let contact = element("contactParty")
        .with_attribute("classCode", "CON")
        .with_children(points.map(|point| point.to_element("telecom")));
    element("providerOrganization")
        .with_attribute("classCode", "ORG")
        .with_attribute("determinerCode", "INSTANCE")
        .with_child(id.to_element("id"))
        .with_children(name)
        .with_child(contact)
}

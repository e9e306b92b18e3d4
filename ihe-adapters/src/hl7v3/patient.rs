//! A patient of HL7 v3 as a Patient.

use serde_json::{Map, Value, json};

use super::addresses::{address, contact_point};
use super::codes::{
    CONFIDENTIALITY, GENDERS, LANGUAGES, MARITAL_STATUS, NATIONS, PATIENT_IMPORTANCE, RELIGIONS, codings,
    concept, fhir_of,
};
use super::contacts::contacts;
use super::identifiers::fhir_identifier;
use super::names::human_name;
use super::unmapped::unmapped;
use super::{EXTENSIONS, period};
use crate::pix::domains::Domains;
use crate::pix::groups::{self, Group};
use crate::wire::hl7v3::address::Address;
use crate::wire::hl7v3::coded::Coded;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::name::EntityName;
use crate::wire::hl7v3::telecom::Telecom;
use crate::wire::hl7v3::time::{self, Interval};
use crate::wire::hl7v3::{all, at, attribute};
use crate::wire::xml::Element;

/// What says what is not only `male`, `female` ...
pub(super) const CODED_STRING: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-codedString";

/// The extensions of a Patient that hold a concept: of which element, below
/// the person or the patient, and in which system its codes are.
pub(super) const CONCEPTS: &[(&str, &str, &str)] = &[
    ("religiousAffiliationCode", "patient-religion", RELIGIONS),
    ("disabilityCode", "patient-disability", "http://terminology.hl7.org/CodeSystem/v3-PersonDisabilityType"),
];
/// The extension of who is important.
pub(super) const IMPORTANCE: &str = "patient-importance";

/// A patient, as far as FHIR has places.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The Patient.
    pub patient: Value,
    /// What has no place in it: XPaths in the message.
    pub unmapped: Vec<String>,
}

/// What is gathered of a Patient.
struct Gathered<'d> {
    domains: &'d Domains,
    patient: Map<String, Value>,
    extensions: Vec<Value>,
    /// XPaths below the patient.
    unmapped: Vec<String>,
}

/// Makes a Patient of a patient; `place`: its XPath in the message.
pub fn patient(from: &Element, place: &str, domains: &Domains) -> Mapped {
    let (patient, extensions, unmapped_) = Default::default();
    let mut to = Gathered { domains, patient, extensions, unmapped: unmapped_ };
    to.put("resourceType", json!("Patient"));
    to.identifiers(from);
    to.role(from);
    if let Some(person) = at(from, &["patientPerson"]) {
        to.demographics(person);
        to.life(person);
        to.background(person);
        to.others(person);
    }
    to.provider(from);
    let Gathered { mut patient, extensions, unmapped: left_out, .. } = to;
    if !extensions.is_empty() {
        patient.insert("extension".to_owned(), Value::Array(extensions));
    }
    let mut places = unmapped(from, place);
    places.extend(left_out.into_iter().map(|below| format!("{place}/{below}")));
    Mapped { patient: Value::Object(patient), unmapped: places }
}

fn code_of<'e>(from: &'e Element, local: &str) -> Option<&'e str> {
    at(from, &[local]).and_then(|element| attribute(element, "code"))
}

fn value_of<'e>(from: &'e Element, local: &str) -> Option<&'e str> {
    at(from, &[local]).and_then(|element| attribute(element, "value"))
}

/// Reads a BL.
fn indicator(from: &Element, local: &str) -> Option<bool> {
    value_of(from, local).map(|value| matches!(value, "true" | "1"))
}

impl Gathered<'_> {
    fn put(&mut self, member: &str, value: Value) {
        self.patient.insert(member.to_owned(), value);
    }

    /// Adds values to a list.
    fn add(&mut self, member: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let list = self.patient.entry(member.to_owned()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            for value in values {
                if !list.contains(&value) {
                    list.push(value);
                }
            }
        }
    }

    fn extend(&mut self, name: &str, member: &str, value: Value) {
        let mut extension = json!({ "url": format!("{EXTENSIONS}{name}") });
        extension[member] = value;
        self.extensions.push(extension);
    }

    /// Notes what is no value of its type.
    fn unreadable(&mut self, path: &str) {
        self.unmapped.push(path.to_owned());
    }

    fn identifiers(&mut self, from: &Element) {
        let domains = self.domains;
        let of = |element: &Element, assigner: Option<&str>| {
            fhir_identifier(&InstanceIdentifier::of(element), assigner, domains)
        };
        let person = at(from, &["patientPerson"]);
        let own = all(from, "id").chain(person.into_iter().flat_map(|person| all(person, "id")));
        let mut found: Vec<Value> = own.filter_map(|id| of(id, None)).collect();
        for other in person.into_iter().flat_map(|person| all(person, "asOtherIDs")) {
            let name =
                at(other, &["scopingOrganization", "name"]).map(EntityName::of).map(|name| name.text());
            let name = name.filter(|name| !name.is_empty());
            found.extend(all(other, "id").filter_map(|id| of(id, name.as_deref())));
        }
        self.add("identifier", found);
    }

    fn role(&mut self, from: &Element) {
        if let Some(status) = code_of(from, "statusCode") {
            self.put("active", json!(status == "active"));
        }
        self.points(from);
        let confidential = all(from, "confidentialityCode").map(Coded::of);
        let labels: Vec<Value> = confidential.flat_map(|code| codings(&code, CONFIDENTIALITY)).collect();
        if !labels.is_empty() {
            self.put("meta", json!({ "security": labels }));
        }
        let important = at(from, &["veryImportantPersonCode"]).map(Coded::of);
        if let Some(concept) = important.and_then(|code| concept(&code, PATIENT_IMPORTANCE)) {
            self.extend(IMPORTANCE, "valueCodeableConcept", concept);
        }
    }

    fn points(&mut self, from: &Element) {
        self.add("telecom", all(from, "telecom").map(Telecom::of).filter_map(|of| contact_point(&of)));
        self.add("address", all(from, "addr").map(Address::of).filter_map(|of| address(&of)));
    }

    fn demographics(&mut self, person: &Element) {
        self.add("name", all(person, "name").map(EntityName::of).filter_map(|name| human_name(&name)));
        self.points(person);
        if let Some(gender) = at(person, &["administrativeGenderCode"]).map(Coded::of) {
            self.gender(&gender);
        }
        if let Some(born) = value_of(person, "birthTime") {
            match time::to_fhir(born) {
                Some((text, is_cut)) => {
                    let date = text.split('T').next().unwrap_or_default().to_owned();
                    if date != text {
                        let of = json!([{ "url": format!("{EXTENSIONS}patient-birthTime"), "valueDateTime": text }]);
                        self.put("_birthDate", json!({ "extension": of }));
                    }
                    self.put("birthDate", json!(date));
                    if is_cut {
                        self.unreadable("hl7:patientPerson[1]/hl7:birthTime[1]");
                    }
                }
                None => self.unreadable("hl7:patientPerson[1]/hl7:birthTime[1]"),
            }
        }
        if let Some(concept) =
            at(person, &["maritalStatusCode"]).map(Coded::of).and_then(|code| concept(&code, MARITAL_STATUS))
        {
            self.put("maritalStatus", concept);
        }
    }

    fn gender(&mut self, gender: &Coded) {
        let Some(code) = gender.code.as_deref() else {
            if gender.null_flavor.is_some() {
                self.put("gender", json!("unknown"));
            }
            return;
        };
        let of_fhir = fhir_of(GENDERS, code);
        self.put("gender", json!(of_fhir.unwrap_or("unknown")));
        // What several codes mean is told by the code itself.
        if !matches!(code, "F" | "M" | "UN" | "U") {
            let coding = codings(gender, "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender");
            let exact =
                coding.into_iter().map(|coding| json!({ "url": CODED_STRING, "valueCoding": coding }));
            self.put("_gender", json!({ "extension": exact.collect::<Vec<Value>>() }));
        }
    }

    /// What is known of birth and death.
    fn life(&mut self, person: &Element) {
        match value_of(person, "deceasedTime").map(time::to_fhir) {
            Some(Some((text, is_cut))) => {
                self.put("deceasedDateTime", json!(text));
                if is_cut {
                    self.unreadable("hl7:patientPerson[1]/hl7:deceasedTime[1]");
                }
            }
            unreadable => {
                if unreadable.is_some() {
                    self.unreadable("hl7:patientPerson[1]/hl7:deceasedTime[1]");
                }
                if let Some(is_dead) = indicator(person, "deceasedInd") {
                    self.put("deceasedBoolean", json!(is_dead));
                }
            }
        }
        let order = value_of(person, "multipleBirthOrderNumber").and_then(|order| order.parse::<i32>().ok());
        match (order, indicator(person, "multipleBirthInd")) {
            (Some(order), _) => self.put("multipleBirthInteger", json!(order)),
            (None, Some(is_multiple)) => self.put("multipleBirthBoolean", json!(is_multiple)),
            (None, None) => {}
        }
        if let Some(is_donor) = indicator(person, "organDonorInd") {
            self.extend("patient-cadavericDonor", "valueBoolean", json!(is_donor));
        }
        let Some(place) = at(person, &["birthPlace"]) else { return };
        let born = at(place, &["addr"]).map(Address::of).and_then(|of| address(&of));
        let name = at(place, &["birthplace", "name"]).map(EntityName::of).map(|name| name.text());
        let mut born = born.unwrap_or_else(|| json!({}));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            born["text"] = json!(name);
        }
        if born.as_object().is_some_and(|born| !born.is_empty()) {
            self.extend("patient-birthPlace", "valueAddress", born);
        }
    }

    /// What somebody is and believes, and where he belongs.
    fn background(&mut self, person: &Element) {
        for (local, name, system) in CONCEPTS {
            for concept in all(person, local).map(Coded::of).filter_map(|code| concept(&code, system)) {
                self.extend(name, "valueCodeableConcept", concept);
            }
        }
        for (local, group) in [("raceCode", groups::RACE), ("ethnicGroupCode", groups::ETHNICITY)] {
            let codes: Vec<Coded> =
                all(person, local).map(Coded::of).filter(|code| !code.is_null()).collect();
            self.extensions.extend(group_extension(&codes, group));
        }
        for citizen in all(person, "asCitizen") {
            let Some(nation) = at(citizen, &["politicalNation"]) else { continue };
            let mut of = at(nation, &["code"]).map(Coded::of).unwrap_or_default();
            let name = at(nation, &["name"]).map(EntityName::of).map(|name| name.text());
            of.original_text = of.original_text.or(name.filter(|name| !name.is_empty()));
            let Some(concept) = concept(&of, NATIONS) else { continue };
            let since = at(citizen, &["effectiveTime"]).map(Interval::of).and_then(|time| period(&time));
            let mut parts = vec![json!({ "url": "code", "valueCodeableConcept": concept })];
            parts.extend(since.map(|period| json!({ "url": "period", "valuePeriod": period })));
            let url = format!("{EXTENSIONS}patient-citizenship");
            self.extensions.push(json!({ "url": url, "extension": parts }));
        }
        let languages = all(person, "languageCommunication").filter_map(|of| {
            let language = concept(&Coded::of(at(of, &["languageCode"])?), LANGUAGES)?;
            let mut communication = json!({ "language": language });
            if let Some(is_preferred) = indicator(of, "preferenceInd") {
                communication["preferred"] = json!(is_preferred);
            }
            Some(communication)
        });
        self.add("communication", languages);
    }

    fn others(&mut self, person: &Element) {
        let contacts = contacts(person);
        self.extensions.extend(contacts.extensions);
        self.unmapped.extend(contacts.left_out.iter().map(|below| format!("hl7:patientPerson[1]/{below}")));
        self.add("contact", contacts.contacts);
    }

    /// Who takes care of the patient: an organization by its identifier, with
    /// what else is known of it.
    fn provider(&mut self, from: &Element) {
        let Some(provider) = at(from, &["providerOrganization"]) else { return };
        let ids = all(provider, "id").map(InstanceIdentifier::of).filter(|id| !id.is_null());
        let ids: Vec<Value> = ids.filter_map(|id| organization_identifier(&id)).collect();
        let name = at(provider, &["name"]).map(EntityName::of).map(|name| name.text());
        let name = name.filter(|name| !name.is_empty());
        let contact = at(provider, &["contactParty"]);
        let points = all(provider, "telecom").chain(contact.into_iter().flat_map(|of| all(of, "telecom")));
        let points: Vec<Value> = points.map(Telecom::of).filter_map(|of| contact_point(&of)).collect();
        let places: Vec<Value> =
            all(provider, "addr").map(Address::of).filter_map(|of| address(&of)).collect();
        let mut reference = Map::new();
        if let Some(first) = ids.first() {
            reference.insert("identifier".to_owned(), first.clone());
        }
        if let Some(name) = &name {
            reference.insert("display".to_owned(), json!(name));
        }
        if reference.is_empty() {
            return;
        }
        if ids.len() > 1 || !points.is_empty() || !places.is_empty() {
            let mut organization = json!({ "resourceType": "Organization", "id": "provider" });
            let members = [("telecom", points), ("address", places), ("identifier", ids)];
            for (member, values) in members.into_iter().filter(|(_, values)| !values.is_empty()) {
                organization[member] = Value::Array(values);
            }
            if let Some(name) = name {
                organization["name"] = json!(name);
            }
            reference.insert("reference".to_owned(), json!("#provider"));
            self.put("contained", json!([organization]));
        }
        self.put("managingOrganization", Value::Object(reference));
    }
}

/// Writes the identifier of an organization: mostly an OID alone.
fn organization_identifier(id: &InstanceIdentifier) -> Option<Value> {
    let urn = |root: &str| {
        let kind = if root.contains('-') { "uuid" } else { "oid" };
        format!("urn:{kind}:{root}")
    };
    match (&id.root, &id.extension) {
        (Some(root), None) => Some(json!({ "system": "urn:ietf:rfc:3986", "value": urn(root) })),
        (Some(root), Some(extension)) => Some(json!({ "system": urn(root), "value": extension })),
        (None, Some(extension)) => Some(json!({ "value": extension })),
        (None, None) => None,
    }
}

/// Writes races or ethnic groups.
fn group_extension(codes: &[Coded], group: Group) -> Option<Value> {
    let codings: Vec<Value> = codes.iter().flat_map(|code| codings(code, groups::CODES)).collect();
    let text = |code: &Coded| {
        code.original_text.clone().or_else(|| code.display_name.clone()).or_else(|| code.code.clone())
    };
    group.extension(codings, &codes.iter().filter_map(text).collect::<Vec<String>>())
}

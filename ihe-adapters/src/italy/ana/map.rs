//! A Patient, and what ANA says of the person: what differs, and whose word counts.

use fhir_model::fold::fold;
use serde_json::{Value, json};

use super::HEALTH_AUTHORITY;
use super::message::{Assisted, Authority, Identity, Practitioner, Scheme};
use crate::pix::domains::Domains;

/// Whose word counts where two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// That of ANA.
    Ana,
    /// Ours, where there is one: to differ is to be somebody else.
    Ours,
}

/// An element of a Patient that ANA says something of. Texts are compared as persons read them.
struct Field {
    name: &'static str,
    word: Word,
    ours: fn(&Value, &Domains) -> String,
    /// `None` where ANA says nothing.
    theirs: fn(&Assisted) -> Option<String>,
    put: fn(&mut Value, &Assisted, &Domains),
}

/// The survivorship of ANA.
const FIELDS: &[Field] = &[
    Field {
        name: "identifier of ANA",
        word: Word::Ana,
        ours: |patient, domains| identifier(patient, Scheme::Ana, domains).unwrap_or_default(),
        theirs: |assisted| said(&assisted.ana),
        put: |patient, assisted, domains| put_identifier(patient, (Scheme::Ana, &assisted.ana), domains),
    },
    Field {
        name: "tax code",
        word: Word::Ours,
        ours: |patient, domains| identifier(patient, Scheme::TaxCode, domains).unwrap_or_default(),
        theirs: |assisted| said(&assisted.tax_code),
        put: |patient, assisted, domains| {
            put_identifier(patient, (Scheme::TaxCode, &assisted.tax_code), domains)
        },
    },
    Field {
        name: "family name",
        word: Word::Ana,
        ours: |patient, _| name(patient).map_or(String::new(), |name| text(&name["family"])),
        theirs: |assisted| said(&assisted.family),
        put: |patient, assisted, _| put_name(patient, "family", json!(assisted.family)),
    },
    Field {
        name: "given names",
        word: Word::Ana,
        ours: |patient, _| name(patient).map_or(String::new(), |name| joined(&name["given"])),
        theirs: |assisted| said(&assisted.given),
        put: |patient, assisted, _| {
            put_name(patient, "given", assisted.given.split_whitespace().map(Value::from).collect());
        },
    },
    Field {
        name: "sex",
        word: Word::Ana,
        ours: |patient, _| text(&patient["gender"]),
        theirs: |assisted| gender(&assisted.sex).map(str::to_owned),
        put: |patient, assisted, _| patient["gender"] = json!(gender(&assisted.sex)),
    },
    Field {
        name: "date of birth",
        word: Word::Ana,
        ours: |patient, _| text(&patient["birthDate"]),
        theirs: |assisted| assisted.birth.map(|date| date.to_string()),
        put: |patient, assisted, _| patient["birthDate"] = json!(assisted.birth.map(|date| date.to_string())),
    },
    Field {
        name: "date of death",
        word: Word::Ana,
        ours: |patient, _| text(&patient["deceasedDateTime"]).chars().take(10).collect(),
        theirs: |assisted| assisted.death.map(|date| date.to_string()),
        put: |patient, assisted, _| {
            remove(patient, "deceasedBoolean");
            patient["deceasedDateTime"] = json!(assisted.death.map(|date| date.to_string()));
        },
    },
    Field {
        name: "residence",
        word: Word::Ana,
        ours: |patient, _| home(patient).map_or(String::new(), |at| at_text(&patient["address"][at])),
        theirs: |assisted| assisted.residence.is_some().then(|| at_text(&address(assisted))),
        put: |patient, assisted, _| {
            let address = address(assisted);
            match home(patient) {
                Some(at) => patient["address"][at] = address,
                None => push(patient, "address", address),
            }
        },
    },
    Field {
        name: "health authority",
        word: Word::Ana,
        ours: |patient, _| {
            let identifier = &patient["managingOrganization"]["identifier"];
            if identifier["system"] == HEALTH_AUTHORITY { text(&identifier["value"]) } else { String::new() }
        },
        theirs: |assisted| assisted.authority.as_ref().and_then(|authority| said(&code_of(authority))),
        put: |patient, assisted, _| {
            let code = assisted.authority.as_ref().map(code_of).unwrap_or_default();
            patient["managingOrganization"] =
                json!({ "identifier": { "system": HEALTH_AUTHORITY, "value": code } });
        },
    },
    Field {
        name: "general practitioner",
        word: Word::Ana,
        ours: |patient, domains| practitioner(patient, domains).unwrap_or_default(),
        // Whom a health authority assists without a practitioner has none.
        theirs: |assisted| match (&assisted.practitioner, &assisted.authority) {
            (None, None) => None,
            (practitioner, _) => Some(practitioner.as_ref().map(|p| p.tax_code.clone()).unwrap_or_default()),
        },
        put: |patient, assisted, domains| {
            let chosen = assisted.practitioner.as_ref().map(|chosen| reference(chosen, domains));
            put_practitioner(patient, chosen);
        },
    },
];

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub field: &'static str,
    /// What stands here; empty for nothing.
    pub ours: String,
    /// What ANA says; empty for nothing.
    pub theirs: String,
    /// Whether the word of ANA counts.
    pub is_taken: bool,
}

/// Returns what differs between a Patient and what ANA says.
pub fn differences(patient: &Value, assisted: &Assisted, domains: &Domains) -> Vec<Difference> {
    let differing = FIELDS.iter().filter_map(|field| {
        let (ours, theirs) = ((field.ours)(patient, domains), (field.theirs)(assisted)?);
        let is_taken = field.word == Word::Ana || ours.is_empty();
        let is_same = folded(&ours) == folded(&theirs);
        (!is_same).then_some(Difference { field: field.name, ours, theirs, is_taken })
    });
    differing.collect()
}

/// Tells whether what differs makes it doubtful that it is the same person: another tax code, or
/// another family name and another date of birth.
pub fn is_doubtful(differences: &[Difference]) -> bool {
    let differs = |field: &str| differences.iter().any(|d| d.field == field && !d.ours.is_empty());
    let is_other = differences.iter().any(|difference| !difference.is_taken);
    is_other || (differs("family name") && differs("date of birth"))
}

/// Puts what ANA says into a Patient, where its word counts.
pub fn survive(patient: &mut Value, assisted: &Assisted, differences: &[Difference], domains: &Domains) {
    let is_taken = |field: &&Field| differences.iter().any(|d| d.field == field.name && d.is_taken);
    for field in FIELDS.iter().filter(is_taken) {
        (field.put)(patient, assisted, domains);
    }
}

/// Returns by what ANA is asked for a patient.
pub fn identity(patient: &Value, domains: &Domains) -> Option<Identity> {
    let found =
        |scheme: &Scheme| Some(Identity { scheme: *scheme, value: identifier(patient, *scheme, domains)? });
    Scheme::ALL.iter().find_map(found)
}

/// Returns by what ANA knows a person.
pub fn identities(assisted: &Assisted) -> Vec<Identity> {
    let known = [(Scheme::Ana, &assisted.ana), (Scheme::TaxCode, &assisted.tax_code)];
    let said = known.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(scheme, value)| Identity { scheme, value: value.clone() }).collect()
}

/// Returns the tax code of a patient's general practitioner.
pub fn practitioner(patient: &Value, domains: &Domains) -> Option<String> {
    let practitioners = patient["generalPractitioner"].as_array()?;
    practitioners.iter().find_map(|p| code_of_practitioner(&p["identifier"], domains))
}

/// Returns the tax code that an identifier of a practitioner is.
pub(super) fn code_of_practitioner(identifier: &Value, domains: &Domains) -> Option<String> {
    Scheme::TaxCode
        .is_of(&identifier["system"], domains)
        .then(|| text(&identifier["value"]))
        .filter(|code| !code.is_empty())
}

/// Writes a reference to a practitioner, by the tax code.
pub fn reference(practitioner: &Practitioner, domains: &Domains) -> Value {
    let identifier = json!({ "system": Scheme::TaxCode.system(domains), "value": practitioner.tax_code });
    let mut reference = json!({ "type": "Practitioner", "identifier": identifier });
    if !practitioner.name.is_empty() {
        reference["display"] = json!(practitioner.name);
    }
    reference
}

/// Says who is the general practitioner of a patient; organizations that stand there stay.
pub fn put_practitioner(patient: &mut Value, practitioner: Option<Value>) {
    let is_organization = |p: &&Value| {
        p["type"] == "Organization" || text(&p["reference"]).split('/').rev().nth(1) == Some("Organization")
    };
    let before = patient["generalPractitioner"].as_array().cloned().unwrap_or_default();
    let organizations = before.iter().filter(is_organization).cloned();
    let all: Vec<Value> = practitioner.into_iter().chain(organizations).collect();
    if all.is_empty() {
        remove(patient, "generalPractitioner");
    } else {
        patient["generalPractitioner"] = json!(all);
    }
}

/// Compares texts as persons do: without case, accents, apostrophes and blanks.
fn folded(text: &str) -> String {
    fold(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn joined(values: &Value) -> String {
    let texts = values.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(" ")
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn remove(patient: &mut Value, element: &str) {
    if let Some(members) = patient.as_object_mut() {
        members.remove(element);
    }
}

fn push(patient: &mut Value, element: &str, item: Value) {
    match patient[element].as_array_mut() {
        Some(items) => items.push(item),
        None => patient[element] = json!([item]),
    }
}

fn identifier(patient: &Value, scheme: Scheme, domains: &Domains) -> Option<String> {
    let identifiers = patient["identifier"].as_array()?.iter();
    let mut current = identifiers.filter(|i| i["use"] != "old" && scheme.is_of(&i["system"], domains));
    current.find_map(|i| said(&text(&i["value"])))
}

fn put_identifier(patient: &mut Value, (scheme, value): (Scheme, &str), domains: &Domains) {
    if let Some(identifiers) = patient["identifier"].as_array_mut() {
        // That by which the person was known before is one by which messages may still come.
        for before in identifiers.iter_mut().filter(|i| scheme.is_of(&i["system"], domains)) {
            before["use"] = json!("old");
        }
    }
    let system = scheme.system(domains);
    push(patient, "identifier", json!({ "use": "official", "system": system, "value": value }));
}

/// Returns the name that counts: the official one, or the first that is not old.
fn name(patient: &Value) -> Option<&Value> {
    at_of(patient, "name", "official").map(|at| &patient["name"][at])
}

fn home(patient: &Value) -> Option<usize> {
    let addresses = patient["address"].as_array()?;
    addresses.iter().position(|address| address["use"] == "home")
}

/// Returns where the item of a use stands, or the first that is not old.
fn at_of(patient: &Value, element: &str, use_code: &str) -> Option<usize> {
    let items = patient[element].as_array()?;
    let of_use = items.iter().position(|item| item["use"] == use_code);
    of_use.or_else(|| items.iter().position(|item| item["use"] != "old" && item["use"] != "maiden"))
}

fn put_name(patient: &mut Value, part: &str, value: Value) {
    match at_of(patient, "name", "official") {
        Some(at) => {
            let name = &mut patient["name"][at];
            name[part] = value;
            // It was written of the parts.
            remove(name, "text");
        }
        None => push(patient, "name", json!({ "use": "official", part: value })),
    }
}

fn gender(sex: &str) -> Option<&'static str> {
    match sex {
        "M" => Some("male"),
        "F" => Some("female"),
        _ => None,
    }
}

fn address(assisted: &Assisted) -> Value {
    let Some(at) = &assisted.residence else { return Value::Null };
    let mut address = json!({ "use": "home", "type": "physical", "country": "IT" });
    if !at.street.is_empty() {
        address["line"] = json!([at.street]);
    }
    for (part, value) in [("city", &at.town), ("district", &at.province), ("postalCode", &at.postal_code)] {
        if !value.is_empty() {
            address[part] = json!(value);
        }
    }
    address
}

fn at_text(address: &Value) -> String {
    let parts = ["postalCode", "city", "district"].map(|part| text(&address[part]));
    let all = std::iter::once(joined(&address["line"])).chain(parts);
    all.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn code_of(authority: &Authority) -> String {
    [authority.region.as_str(), authority.asl.as_str()].concat()
}

#[cfg(test)]
#[path = "map/tests.rs"]
mod tests;

//! CWE, CE, CNE, CF, ID, IS: codes, as CodeableConcept, Coding or code.
//!
//! Spec: HL7 v2.5.1 sections 2.A.12, 2.A.13; table 0396

use serde_json::{Map, Value as Json, json};

use super::{filled, put};
use crate::hl7v2::code_systems;
use crate::hl7v2::map::codes::{self, Codes, table_system};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, alternate_code};
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;
use crate::xds::values::is_oid;

/// A coded value, as CodeableConcept.
pub(in crate::hl7v2) const CWE: As = As::Of(concept);

/// A coded value, as Identifier.
pub(in crate::hl7v2) const CWE_IDENTIFIER: As = As::Of(identifier);

/// Code systems of table 0396, and their URIs.
const SYSTEMS: &[(&str, &str)] = &[
    ("LN", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SCT2", "http://snomed.info/sct"),
    ("SNM", "http://snomed.info/sct"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I9", "urn:oid:2.16.840.1.113883.6.42"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CP", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ATC", "http://www.whocc.no/atc"),
    ("WC", "http://www.whocc.no/atc"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("MDC", "urn:iso:std:iso:11073:10101"),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("IETF", "urn:ietf:bcp:47"),
    ("EDQM", "http://standardterms.edqm.eu"),
    ("MVX", "http://hl7.org/fhir/sid/mvx"),
    ("NCI", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
    ("UNII", "http://fdasis.nlm.nih.gov"),
    ("ISO4217", "urn:iso:std:iso:4217"),
    // Not in the table, and written by many.
    ("LOINC", "http://loinc.org"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("SNOMEDCT", "http://snomed.info/sct"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD-10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD9CM", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD-9-CM", "http://hl7.org/fhir/sid/icd-9-cm"),
];

/// The places of a coding: code, text, system, version, OID of the system.
const CODINGS: [[usize; 5]; 3] = [[1, 2, 3, 7, 14], [4, 5, 6, 8, 17], [10, 11, 12, 13, 20]];

/// Returns the URI of a code system by what a message calls it: what is set up here, table 0396, what
/// is a URI or an OID already, or else what is local to the sender.
pub(in crate::hl7v2) fn system(work: &Work<'_>, name: &str) -> Option<String> {
    known(work, name).or_else(|| local(work, name))
}

fn known(work: &Work<'_>, name: &str) -> Option<String> {
    let set_up = work.context.code_systems.uri(name, &work.header.sender).map(str::to_owned);
    let is_uri = name.starts_with("urn:") || name.starts_with("http://") || name.starts_with("https://");
    let is_oid = name.matches('.').count() > 3 && is_oid(name);
    set_up
        .or_else(|| SYSTEMS.iter().find(|(known, _)| *known == name).map(|(_, uri)| (*uri).to_owned()))
        .or_else(|| table_of(name).map(|table| table_system(&table)))
        .or_else(|| (is_uri && !name.contains(char::is_whitespace)).then(|| name.to_owned()))
        .or_else(|| is_oid.then(|| format!("urn:oid:{name}")))
}

fn local(work: &Work<'_>, name: &str) -> Option<String> {
    (!name.is_empty()).then(|| code_systems::local(name, &work.header.sender))
}

/// Returns the name in table 0396 of a code system; one that is local to a sender has its URI, since its name
/// would be that of a system of who sends it on.
pub(in crate::hl7v2) fn name_of(uri: &str) -> Option<String> {
    let known = SYSTEMS.iter().find(|(_, known)| *known == uri).map(|(name, _)| (*name).to_owned());
    let of_table =
        || uri.strip_prefix(codes::TERMINOLOGY)?.strip_prefix("v2-").map(|table| format!("HL7{table}"));
    known.or_else(of_table).or_else(|| code_systems::is_local(uri).then(|| uri.to_owned()))
}

/// Returns the number of a table that `HL70123` names.
fn table_of(name: &str) -> Option<String> {
    let number = name.strip_prefix("HL7")?;
    (number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.to_owned())
}

pub(in crate::hl7v2) fn concept(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    made(work, value, None, None)
}

/// Makes a concept of a field whose codes are of a table of HL7 v2.
pub(in crate::hl7v2) fn translated(work: &mut Work<'_>, value: Value<'_>, table: &Codes) -> Option<Json> {
    let translation = value.peek().and_then(|code| table.coding(&code));
    made(work, value, translation, Some(table.table))
}

/// Makes the one code of a concept.
pub(in crate::hl7v2) fn one(work: &mut Work<'_>, value: Value<'_>, table: &Codes) -> Option<Json> {
    if let Some(translation) = value.peek().and_then(|code| table.coding(&code)) {
        let mut translation = translation;
        value.text()?;
        if let Some(display) = value.text_of(2) {
            translation["display"] = json!(display);
        }
        return Some(translation);
    }
    coding(work, value, CODINGS[0], Some(table.table))
}

fn made(
    work: &mut Work<'_>,
    value: Value<'_>,
    translation: Option<Json>,
    table: Option<&str>,
) -> Option<Json> {
    let mut concept = Map::new();
    let mut codings: Vec<Json> = translation.into_iter().collect();
    let own_table = |at: usize| table.filter(|_| at == 0);
    codings.extend(
        CODINGS.iter().enumerate().filter_map(|(at, places)| coding(work, value, *places, own_table(at))),
    );
    codings.dedup();
    put(&mut concept, "coding", (!codings.is_empty()).then_some(codings));
    // A text without a code is what the code would have said.
    let bare = |number: usize| value.peek_of(number).and_then(|_| value.text_of(number));
    let text = value.text_of(9).or_else(|| if value.peek_of(1).is_none() { bare(2) } else { None });
    put(&mut concept, "text", text);
    filled(concept)
}

fn coding(work: &mut Work<'_>, value: Value<'_>, places: [usize; 5], table: Option<&str>) -> Option<Json> {
    let [code, text, name, version, oid] = places;
    let mut coding = Map::new();
    let code_text = value.text_of(code)?;
    let (told, oid) = (value.part(name), value.part(oid));
    let by_oid = oid.and_then(|oid| oid.peek()).map(|oid| format!("urn:oid:{oid}"));
    let name = told.and_then(Value::peek).map(|name| name.trim().to_owned());
    let by_name = name.as_deref().and_then(|name| known(work, name));
    // An OID tells more than a name that nobody here knows.
    let is_by_oid = by_name.is_none() && by_oid.is_some();
    let by_name = by_name.or_else(|| local(work, name.as_deref()?).filter(|_| !is_by_oid));
    if by_name.is_some() {
        told.into_iter().for_each(Value::note_all);
    } else if is_by_oid {
        oid.into_iter().for_each(Value::note_all);
    }
    let system = by_name.or(by_oid).or_else(|| table.filter(|_| told.is_none()).map(table_system));
    put(&mut coding, "system", system);
    put(&mut coding, "version", value.text_of(version));
    // Spaces in a code are not allowed to stand at its ends, or two together.
    let code: Vec<&str> = code_text.split_whitespace().collect();
    coding.insert("code".to_owned(), json!(code.join(" ")));
    put(&mut coding, "display", value.text_of(text));
    Some(Json::Object(coding))
}

fn identifier(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut identifier = Map::new();
    if let Some(name) = value.part(3)
        && let Some(system) = name.peek().and_then(|name| system(work, name.trim()))
    {
        name.note_all();
        identifier.insert("system".to_owned(), json!(system));
    }
    put(&mut identifier, "value", value.text_of(1));
    identifier.contains_key("value").then_some(Json::Object(identifier))
}

/// Puts the code of a table into an object. What FHIR's own code does not tell
/// stands beside it.
pub(super) fn put_code(object: &mut Map<String, Json>, name: &str, value: Option<Value<'_>>, table: &Codes) {
    let Some(code) = value.and_then(Value::text) else { return };
    let code = code.trim();
    put(object, name, table.code(code));
    if !table.is_whole(code) {
        object.insert(format!("_{name}"), json!({ "extension": [alternate_code(table.table, code)] }));
    }
}

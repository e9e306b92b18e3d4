//! What is wrong with submitted metadata, as far as that can be told without
//! what is registered. Every fault is told, not the first alone.
//!
//! Spec: ITI TF-2 3.42.4.1.3, TF-3 4.2.3

use std::collections::{HashMap, HashSet};

use super::attributes::{Attribute, Format, Of, Place, Required, attributes_of};
use super::submission::Submission;
use super::values::{Cx, dtm_bounds, is_dtm, is_oid, is_uuid_urn};
use super::vocabulary::{
    HAS_MEMBER, IS_SNAPSHOT_OF, LIMITED_METADATA, ON_DEMAND, RELATIONSHIPS, STABLE, document_entry,
};
use crate::wire::ebrim::{Classification, Ends, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};

/// How many characters of a value are told.
const TOLD_MAX: usize = 200;

/// Who takes a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    /// A registry, which wants to know all.
    Registry,
    /// A recipient, which takes what says of itself that its metadata are limited.
    Recipient,
}

/// Checks a submission.
pub fn check(submission: &Submission, taker: Taker) -> Vec<RegistryError> {
    let mut faults = Faults(Vec::new());
    check_ids(submission, &mut faults);
    object(&submission.submission_set, Of::SubmissionSet, taker, &mut faults);
    for document in &submission.documents {
        object(document, Of::DocumentEntry, taker, &mut faults);
        service_times(document, &mut faults);
        if !matches!(document.object_type.as_deref(), Some(STABLE | ON_DEMAND)) {
            faults.add(document, "objectType", "is neither that of a stable document nor of one on demand");
        }
    }
    for folder in &submission.folders {
        object(folder, Of::Folder, taker, &mut faults);
    }
    patients(submission, &mut faults);
    unique_ids(submission, &mut faults);
    associations(submission, &mut faults);
    faults.0
}

struct Faults(Vec<RegistryError>);

impl Faults {
    fn add(&mut self, object: &RegistryObject, attribute: &str, problem: &str) {
        let error = RegistryError::new(ErrorCode::RegistryMetadata, format!("{attribute} {problem}"));
        self.0.push(error.at(format!("{}/{attribute}", clip(&object.id))));
    }

    fn push(&mut self, code: ErrorCode, object: &RegistryObject, context: String) {
        self.0.push(RegistryError::new(code, context).at(clip(&object.id)));
    }
}

fn clip(text: &str) -> String {
    text.chars().take(TOLD_MAX).collect()
}

fn check_ids(submission: &Submission, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for object in submission.objects() {
        if object.id.starts_with("urn:") && !is_uuid_urn(&object.id) {
            faults.add(object, "id", "is neither a symbol nor `urn:uuid:` with a UUID in small letters");
        }
        if !seen.insert(&object.id) {
            faults.add(object, "id", "stands on two objects of the submission");
        }
    }
}

fn object(object: &RegistryObject, of: Of, taker: Taker, faults: &mut Faults) {
    let is_limited = LIMITED_METADATA.iter().any(|node| object.is_of_node(node));
    let is_limited = is_limited && taker == Taker::Recipient;
    let is_on_demand = object.object_type.as_deref() == Some(ON_DEMAND);
    for attribute in attributes_of(of) {
        let count = match attribute.place {
            Place::Slot(name) => slot(object, attribute, name, faults),
            Place::Code(scheme) => {
                object.classified_by(scheme).map(|c| code(object, attribute, c, faults)).count()
            }
            Place::Author(scheme) => {
                object.classified_by(scheme).map(|c| author(object, attribute, c, faults)).count()
            }
            Place::Identifier(scheme) => {
                let found = object.external_identifiers.iter().filter(|i| i.scheme == scheme);
                found.map(|i| value(object, attribute, &i.value, faults)).count()
            }
            Place::MimeType => {
                object.mime_type.iter().map(|text| value(object, attribute, text, faults)).count()
            }
            Place::Name => object.name.iter().filter(|name| !name.value.is_empty()).count(),
        };
        let is_required = match attribute.required {
            Required::Always => true,
            Required::Yes => !is_limited,
            Required::Stable => !is_on_demand && !is_limited,
            Required::No => false,
        };
        if count == 0 && is_required {
            faults.add(object, attribute.name, "is missing");
        } else if count > 1 && !attribute.many {
            faults.add(object, attribute.name, "is there more than once");
        }
    }
    slots_are_there_once(object, faults);
}

fn slots_are_there_once(object: &RegistryObject, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for slot in &object.slots {
        if !seen.insert(&slot.name) {
            faults.add(object, &clip(&slot.name), "stands in two slots");
        }
    }
}

/// Checks a slot, and returns how many values it has.
fn slot(object: &RegistryObject, attribute: &Attribute, name: &str, faults: &mut Faults) -> usize {
    let values = object.slot(name);
    let is_there = object.slots.iter().any(|slot| slot.name == name);
    if is_there && values.is_empty() {
        faults.add(object, attribute.name, "is a slot without a value");
    }
    for text in values {
        value(object, attribute, text, faults);
        let is_pid = |text: &str| {
            text.strip_prefix("PID-")
                .and_then(|rest| rest.split_once('|'))
                .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        if name == "sourcePatientInfo" && !text.is_empty() && !is_pid(text) {
            faults.add(object, attribute.name, "has a value that is no field of PID: `PID-n|value`");
        }
    }
    values.len()
}

fn code(object: &RegistryObject, attribute: &Attribute, code: &Classification, faults: &mut Faults) {
    if code.representation.is_empty() {
        faults.add(object, attribute.name, "has no code: `nodeRepresentation` is missing");
    }
    match code.slot("codingScheme") {
        [scheme] if !scheme.is_empty() => {}
        _ => faults.add(object, attribute.name, "needs one slot `codingScheme` with one value"),
    }
}

fn author(object: &RegistryObject, attribute: &Attribute, author: &Classification, faults: &mut Faults) {
    if author.slot("authorPerson").len() > 1 {
        faults.add(object, attribute.name, "has more than one `authorPerson`");
    }
    let parts =
        ["authorPerson", "authorInstitution", "authorRole", "authorSpecialty", "authorTelecommunication"];
    if parts.iter().all(|part| author.slot(part).iter().all(String::is_empty)) {
        faults.add(object, attribute.name, "says nothing of the author");
    }
}

fn value(object: &RegistryObject, attribute: &Attribute, text: &str, faults: &mut Faults) {
    let problem = match attribute.format {
        Format::Text => None,
        Format::Cx => Cx::parse(text).is_none().then_some("is no identifier of the form `id^^^&oid&ISO`"),
        Format::Dtm => (!is_dtm(text)).then_some("is no time of the form `YYYY[MM[DD[hh[mm[ss]]]]]`"),
        Format::Oid => (!is_oid(text)).then_some("is no OID"),
        Format::DocumentId => (!is_document_id(text)).then_some("is no OID, OID with `^` and more, or URN"),
        Format::Sha1 => {
            let is_hash = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
            (!is_hash).then_some("is no SHA-1 in hexadecimal")
        }
        Format::Size => {
            let is_size = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
            (!is_size).then_some("is no number of bytes")
        }
        Format::Language => {
            let is_part =
                |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
            (!text.split('-').all(is_part)).then_some("is no language")
        }
        Format::MediaType => {
            let is_type = text.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
            (!is_type || text.contains(char::is_whitespace)).then_some("is no media type")
        }
    };
    if let Some(problem) = problem {
        faults.add(object, attribute.name, &format!("`{}` {problem}", clip(text)));
    }
}

fn is_document_id(text: &str) -> bool {
    let is_local = |rest: &str| (1..=16).contains(&rest.len()) && !rest.contains('^');
    match text.split_once('^') {
        Some((root, rest)) => is_oid(root) && is_local(rest),
        None => is_oid(text) || (text.starts_with("urn:") && text.len() <= 128),
    }
}

fn service_times(document: &RegistryObject, faults: &mut Faults) {
    let time = |name: &str| document.slot_value(name).filter(|time| is_dtm(time));
    if let (Some(start), Some(stop)) = (time("serviceStartTime"), time("serviceStopTime"))
        && dtm_bounds(start).0 > dtm_bounds(stop).1
    {
        faults.add(document, "serviceStartTime", "is later than serviceStopTime");
    }
}

/// The schemes of the identifiers of patients, by what they stand at.
const PATIENT_IDS: [&str; 3] = [
    document_entry::PATIENT_ID,
    super::vocabulary::submission_set::PATIENT_ID,
    super::vocabulary::folder::PATIENT_ID,
];

/// Returns the patient of an object, whatever it is.
pub(crate) fn patient_id(object: &RegistryObject) -> Option<&str> {
    PATIENT_IDS.iter().find_map(|scheme| object.identifier(scheme))
}

/// Puts another patient in the place of the one that an object has.
pub(super) fn set_patient_id(object: &mut RegistryObject, patient: String) {
    let mut all = object.external_identifiers.iter_mut();
    if let Some(known) = all.find(|i| PATIENT_IDS.contains(&i.scheme.as_str())) {
        known.value = patient;
    }
}

/// Returns the unique id of an object, whatever it is.
pub(crate) fn unique_id(object: &RegistryObject) -> Option<&str> {
    use super::vocabulary::{folder, submission_set};
    let schemes = [document_entry::UNIQUE_ID, submission_set::UNIQUE_ID, folder::UNIQUE_ID];
    schemes.iter().find_map(|scheme| object.identifier(scheme))
}

fn patients(submission: &Submission, faults: &mut Faults) {
    let Some(expected) = patient_id(&submission.submission_set).and_then(Cx::parse) else { return };
    for object in submission.documents.iter().chain(&submission.folders) {
        if let Some(patient) = patient_id(object).and_then(Cx::parse).filter(|patient| *patient != expected) {
            let context = format!("{patient} is not the patient of the SubmissionSet, {expected}");
            faults.push(ErrorCode::PatientIdDoesNotMatch, object, context);
        }
    }
}

fn unique_ids(submission: &Submission, faults: &mut Faults) {
    let mut seen: HashMap<&str, &RegistryObject> = HashMap::new();
    for object in submission.described() {
        let Some(id) = unique_id(object) else { continue };
        if seen.insert(id, object).is_some() {
            let context = format!("the unique id {} stands on two objects of the submission", clip(id));
            faults.push(ErrorCode::RegistryDuplicateUniqueIdInMessage, object, context);
        }
    }
}

fn associations(submission: &Submission, faults: &mut Faults) {
    let set = &submission.submission_set.id;
    let mut members: HashSet<&str> = HashSet::new();
    for association in &submission.associations {
        let Some(ends) = &association.ends else { continue };
        if ends.kind == HAS_MEMBER {
            has_member(submission, association, ends, faults);
            if ends.source == *set {
                members.insert(&ends.target);
            }
            continue;
        }
        if !RELATIONSHIPS.iter().any(|(kind, _)| *kind == ends.kind) {
            let problem = format!("`{}` is not known", clip(&ends.kind));
            faults.add(association, "associationType", &problem);
        } else if !submission.documents.iter().any(|document| document.id == ends.source) {
            let context = format!("the source {} is no document of the submission", clip(&ends.source));
            faults.push(ErrorCode::UnresolvedReference, association, context);
        }
        let is_here = submission.objects().any(|object| object.id == ends.target);
        let must_be_registered = ends.kind.ends_with("RPLC") || ends.kind == IS_SNAPSHOT_OF;
        if is_here && must_be_registered {
            let context = format!("the target {} has to be registered before", clip(&ends.target));
            faults.push(ErrorCode::UnresolvedReference, association, context);
        }
        if !is_here && !is_uuid_urn(&ends.target) {
            let context = format!("the target {} is nowhere", clip(&ends.target));
            faults.push(ErrorCode::UnresolvedReference, association, context);
        }
    }
    for object in submission.documents.iter().chain(&submission.folders) {
        if !members.contains(object.id.as_str()) {
            let problem = "is missing: each document and folder is a member of the SubmissionSet";
            faults.add(object, "HasMember", problem);
        }
    }
}

fn has_member(submission: &Submission, association: &RegistryObject, ends: &Ends, faults: &mut Faults) {
    let is_here = |id: &str| submission.objects().any(|object| object.id == id);
    for end in [&ends.source, &ends.target] {
        if !is_here(end) && !is_uuid_urn(end) {
            let context = format!("{} is nowhere", clip(end));
            faults.push(ErrorCode::UnresolvedReference, association, context);
        }
    }
    let is_document = submission.documents.iter().any(|document| document.id == ends.target);
    if ends.source == ends.target {
        faults.add(association, "targetObject", "is the package itself, which is no member of itself");
        return;
    }
    if ends.source == submission.submission_set.id {
        let status = association.slot_value("SubmissionSetStatus");
        match status {
            Some("Original") if is_here(&ends.target) => {}
            Some("Reference") if !is_here(&ends.target) => {}
            // Only documents need it.
            None if !is_document && is_here(&ends.target) => {}
            _ => faults.add(
                association,
                "SubmissionSetStatus",
                "is `Original` for what is submitted, and `Reference` for what is registered",
            ),
        }
    }
}

#[cfg(test)]
mod tests;

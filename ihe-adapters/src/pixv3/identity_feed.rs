//! ITI-44, Patient Identity Feed HL7 V3: a source tells of its records, and
//! that two of them are of one person.
//!
//! Spec: ITI TF-2 3.44

use bytes::Bytes;
use fhir_model::interaction::Carried;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::refusal::{detail, is_ours};
use crate::hl7v3::{Mapped, identifier, patient};
use crate::pix::records::{Feed, Replaces};
use crate::pix::refusal::Refusal;
use crate::pix::{Identifier, PatientIndex};
use crate::wire::hl7v3::acknowledgement::{AcknowledgementType, Detail, accept_acknowledgement};
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::{Problem, Transmission, location};
use crate::wire::hl7v3::registration::{patient_of, registrations, replaced};
use crate::wire::hl7v3::time::{self, Interval};
use crate::wire::hl7v3::{all, at, attribute};
use crate::wire::xml::Element;

/// The message that says that two records are of one person.
pub const DUPLICATES_RESOLVED: &str = "PRPA_IN201304UV02";

/// The elements above a patient.
const PATIENT: &[&str] = &["controlActProcess", "subject[1]", "registrationEvent", "subject1", "patient"];
/// Where an identifier that is replaced stands.
const REPLACED: &[&str] = &[
    "controlActProcess",
    "subject[1]",
    "registrationEvent",
    "replacementOf[1]",
    "priorRegistration",
    "subject1",
    "priorRegisteredRole",
    "id",
];
/// The extension of a Provenance that names what had no place in a resource.
pub const UNMAPPED: &str = "urn:lanterna:hl7v3:unmapped";

/// Performs a feed, and returns its acknowledgement.
pub async fn patient_identity_feed(index: &PatientIndex<'_>, message: &Element) -> Element {
    let asked = Transmission::of(message);
    let done = match asked.problem(message) {
        Some(problem) => Err(vec![problem.into()]),
        None if message.local == DUPLICATES_RESOLVED => merge(index, message).await.map(|()| Vec::new()),
        None => feed(index, message, &asked).await,
    };
    match done {
        Ok(details) => accept_acknowledgement(&asked, AcknowledgementType::CommitAccept, &details),
        Err(details) => accept_acknowledgement(&asked, AcknowledgementType::CommitError, &details),
    }
}

/// Returns the one registration of a message and its patient.
fn subject(message: &Element) -> Result<(&Element, &Element), Problem> {
    let problem = |path: &[&str], text: &str| Problem::new(&message.local, path, text);
    let mut all = registrations(message);
    let missing = || problem(&["controlActProcess", "subject"], "the message has no registration");
    let registration = all.next().ok_or_else(missing)?;
    if all.next().is_some() {
        return Err(problem(&["controlActProcess", "subject[2]"], "a message tells of one patient"));
    }
    let missing = || problem(PATIENT, "the registration is of no patient");
    Ok((registration, patient_of(registration).ok_or_else(missing)?))
}

/// Tells whether a refusal is to be told as one of the record, or of what came in between.
fn refused(refusal: &Refusal, place: String) -> Vec<Detail> {
    if is_ours(refusal) {
        tracing::error!(why = %refusal, "a feed cannot be stored");
    }
    vec![detail(refusal, vec![place])]
}

/// Stores a record; returns what is to be known of it.
async fn feed(
    index: &PatientIndex<'_>,
    message: &Element,
    asked: &Transmission,
) -> Result<Vec<Detail>, Vec<Detail>> {
    let (_, of) = subject(message).map_err(|problem| vec![problem.into()])?;
    let place = location(&message.local, PATIENT);
    let Mapped { patient, unmapped } = patient(of, &place, index.domains);
    let full_url = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let (beside, contents) = match unmapped.is_empty() {
        true => (Vec::new(), Vec::new()),
        false => kept(message, asked, &full_url, &unmapped),
    };
    let (replaces, deleted, deleted_identifiers) = (Replaces::All, Vec::new(), Vec::new());
    let at = event_time(message);
    let feed = Feed { patient, replaces, deleted, deleted_identifiers, at, full_url, beside, contents };
    let ids = format!("{place}/hl7:id");
    let fed = index.feed(&feed).await.map_err(|refusal| refused(&refusal, ids))?;
    let mut details = Vec::new();
    if !unmapped.is_empty() {
        let text = "what stands there is kept as it came: it has no place in the record";
        details.push(Detail::warning(text, unmapped));
    }
    if fed.is_outdated {
        let text = "something newer was told before: the record stays as it is";
        details.push(Detail::warning(text, vec![location(&message.local, &["controlActProcess"])]));
    }
    Ok(details)
}

/// Makes the entries that keep a message beside what was made of it.
fn kept(
    message: &Element,
    asked: &Transmission,
    patient: &str,
    unmapped: &[String],
) -> (Vec<Value>, Vec<(String, Carried)>) {
    let binary = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let places = unmapped.iter().map(|place| json!({ "url": UNMAPPED, "valueString": place }));
    let who = match asked.sender.root() {
        Some(root) => {
            json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{root}") } })
        }
        None => json!({ "display": "an application that does not say which it is" }),
    };
    let provenance = json!({
        "resourceType": "Provenance",
        "extension": places.collect::<Vec<Value>>(),
        "target": [{ "reference": patient }],
        "recorded": Timestamp::now().to_string(),
        "agent": [{ "who": who }],
        "entity": [{ "role": "source", "what": { "reference": binary } }],
    });
    let entry = |full_url: &str, resource: Value, of: &str| json!({ "fullUrl": full_url, "resource": resource, "request": { "method": "POST", "url": of } });
    let own = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let raw = json!({ "resourceType": "Binary", "contentType": "application/hl7-v3+xml" });
    let bytes = Carried::Here(Bytes::from(message.to_xml()));
    let entries = vec![entry(&binary, raw, "Binary"), entry(&own, provenance, "Provenance")];
    (entries, vec![(binary, bytes)])
}

/// Returns when it happened at the source, or else when the message was made.
fn event_time(message: &Element) -> Option<Timestamp> {
    let act = at(message, &["controlActProcess", "effectiveTime"]).map(Interval::of).unwrap_or_default();
    let made = at(message, &["creationTime"]).and_then(|time| attribute(time, "value"));
    let told = act.value.or(act.low).or_else(|| made.map(str::to_owned))?;
    moment(&told)
}

/// Reads a moment; without a zone it is of the one that this machine is in.
fn moment(value: &str) -> Option<Timestamp> {
    let zoned = time::to_fhir(value).filter(|(text, is_cut)| !is_cut && text.contains('T'));
    if let Some((text, _)) = zoned {
        return text.parse().ok();
    }
    let digits: String = value.split(['.', '+', '-', 'Z']).next()?.chars().take(14).collect();
    if digits.len() < 4 {
        return None;
    }
    let whole = format!("{digits}{}", "00000101000000".get(digits.len()..)?);
    let local = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &whole).ok()?;
    TimeZone::system().to_timestamp(local).ok()
}

/// What a message merges: the identifier that goes, and the one that stays.
pub(crate) fn merged(message: &Element) -> Result<(InstanceIdentifier, InstanceIdentifier), Problem> {
    let (registration, of) = subject(message)?;
    let problem = |path: &[&str], text: &str| Problem::new(&message.local, path, text);
    let gone = replaced(registration);
    let [gone] = gone.as_slice() else {
        let text = match gone.is_empty() {
            true => "the message does not say which identifier is replaced",
            false => "a message replaces one identifier",
        };
        return Err(problem(REPLACED, text));
    };
    let ids: Vec<InstanceIdentifier> =
        all(of, "id").map(InstanceIdentifier::of).filter(|id| !id.is_null()).collect();
    // Of several the one that is of the same domain is meant.
    let stays = ids.iter().find(|id| id.root == gone.root).or(ids.first());
    let missing = || {
        let path: Vec<&str> = PATIENT.iter().copied().chain(["id"]).collect();
        problem(&path, "the patient who stays has no identifier")
    };
    Ok((gone.clone(), stays.ok_or_else(missing)?.clone()))
}

async fn merge(index: &PatientIndex<'_>, message: &Element) -> Result<(), Vec<Detail>> {
    let (gone, stays) = merged(message).map_err(|problem| vec![problem.into()])?;
    let places = [location(&message.local, REPLACED), location(&message.local, PATIENT) + "/hl7:id"];
    let read = |id: &InstanceIdentifier, place: &String| -> Result<Identifier, Vec<Detail>> {
        identifier(id, index.domains).map_err(|error| refused(&error.into(), place.clone()))
    };
    let (subsumed, survivor) = (read(&gone, &places[0])?, read(&stays, &places[1])?);
    match index.merge(&subsumed, &survivor, event_time(message)).await {
        Ok(()) => Ok(()),
        // Of which of the two it is true, is told.
        Err(refusal @ (Refusal::UnknownIdentifier | Refusal::Subsumed | Refusal::Ambiguous)) => {
            let known = index.records_with(&subsumed).await.is_ok_and(|records| !records.is_empty());
            let [of_gone, of_stays] = places;
            Err(refused(&refusal, if known { of_stays } else { of_gone }))
        }
        Err(refusal) => Err(refused(&refusal, places[0].clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_a_zone_or_that_of_the_machine() {
        for (value, expected) in [
            ("20260102030405+0100", "2026-01-02T02:04:05Z"),
            ("20260102030405.5+0000", "2026-01-02T03:04:05.5Z"),
        ] {
            assert_eq!(moment(value).map(|at| at.to_string()).as_deref(), Some(expected));
        }
        let local = TimeZone::system().to_datetime(moment("202601020304").expect("a moment"));
        assert_eq!(local.to_string(), "2026-01-02T03:04:00");
        assert_eq!((moment("ieri"), moment("")), (None, None));
    }
}

//! ITI-10, PIX Update Notification: who is interested in domains is told when
//! the identifiers of a person change.
//!
//! Which persons a change of a record concerns is the same for every wire
//! ([`updates`]); [`notification`] writes it as HL7 v2 does.
//!
//! Spec: ITI TF-2 3.10

use std::collections::BTreeSet;

use fhir_model::schema::ty;
use fhir_model::tree::Element;
use jiff::Timestamp;

use super::cx::{cx, grouped};
use super::domains::Domains;
use super::persons::{Person, is_subsumed, ties};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX, identifiers};
use crate::wire::hl7v2::acknowledgement::time;
use crate::wire::hl7v2::compose::repetitions;
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::segment::Segment;

/// A change of a record.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'c> {
    /// The id of the record.
    pub id: &'c str,
    /// The record before; `None` when it is new.
    pub before: Option<Element<'c>>,
    /// The record after; `None` when it was deleted.
    pub after: Option<Element<'c>>,
}

impl Changed<'_> {
    /// Returns its identifiers that are known before or after.
    fn known(of: Option<Element<'_>>, interesting: &[String]) -> BTreeSet<Identifier> {
        let counts = of.filter(|record| !is_subsumed(*record));
        let all = counts.into_iter().flat_map(identifiers);
        all.filter(|of| interesting.is_empty() || interesting.contains(&of.system)).collect()
    }

    fn ties(of: Option<Element<'_>>) -> BTreeSet<String> {
        of.into_iter().flat_map(ties).map(str::to_owned).collect()
    }
}

/// Returns the identifiers of each person whose identifiers a change of a record changes, as
/// they are now. `interesting`: systems; none for all.
///
/// # Errors
/// When FHIR cannot be asked.
pub async fn updates(
    index: &PatientIndex<'_>,
    changed: &Changed<'_>,
    interesting: &[String],
) -> Result<Vec<Vec<Identifier>>, Refusal> {
    let (before, after) = (Changed::ties(changed.before), Changed::ties(changed.after));
    let is_known_otherwise =
        Changed::known(changed.before, interesting) != Changed::known(changed.after, interesting);
    if before == after && !is_known_otherwise {
        return Ok(Vec::new());
    }
    // Whose record was deleted is left with the others.
    let of: Vec<String> = match changed.after {
        Some(_) => vec![changed.id.to_owned()],
        None => before.iter().cloned().collect(),
    };
    let mut updates = Vec::new();
    for id in of {
        let found = index.fhir.search(ty::PATIENT, &[("_id", &id)], RECORDS_MAX).await?;
        for person in index.persons(&found).await? {
            let is_told = !is_known_otherwise
                && before.is_subset(&after)
                && after.difference(&before).all(|other| tells(&person, other, changed.id));
            let mut identifiers = person.identifiers();
            identifiers.retain(|of| interesting.is_empty() || interesting.contains(&of.system));
            let identifiers = grouped(identifiers);
            if !is_told && !identifiers.is_empty() && !updates.contains(&identifiers) {
                updates.push(identifiers);
            }
        }
    }
    Ok(updates)
}

/// Tells whether the other record of a tie, which was changed as well, tells of it.
fn tells(person: &Person, other: &str, id: &str) -> bool {
    let is_tied = person.record(other).is_some_and(|record| ties(record.root()).any(|to| to == id));
    is_tied && other < id
}

/// From whom to whom a message is, and when.
#[derive(Debug, Clone)]
pub struct Envelope<'e> {
    /// MSH-3, MSH-4.
    pub sender: [&'e str; 2],
    /// MSH-5, MSH-6.
    pub receiver: [&'e str; 2],
    /// MSH-10.
    pub control_id: &'e str,
    /// When it happened.
    pub at: Timestamp,
}

/// Writes ADT^A31: identifiers that are of one person.
pub fn notification(identifiers: &[Identifier], envelope: &Envelope<'_>, domains: &Domains) -> Message {
    let by = Delimiters::default();
    let at = time(envelope.at);
    let header = Segment::header(&by)
        .with(3, envelope.sender[0])
        .with(4, envelope.sender[1])
        .with(5, envelope.receiver[0])
        .with(6, envelope.receiver[1])
        .with(7, &at)
        .with_components(9, &["ADT", "A31", "ADT_A05"])
        .with(10, envelope.control_id)
        .with(11, "P")
        .with(12, "2.5")
        .with(18, "UNICODE UTF-8");
    let mut message = Message::new(&by);
    message.segments_mut("MSH").for_each(|first| *first = header.clone());
    message.push(Segment::new("EVN", &by).with(1, "A31").with(2, &at));
    let written: Vec<String> = identifiers.iter().map(|of| cx(of, None, domains, &by)).collect();
    let mut patient = Segment::new("PID", &by);
    patient.set_written(3, &repetitions(&written, &by));
    // Which name would be the right one nobody knows.
    message.push(patient.with(5, " "));
    message.push(Segment::new("PV1", &by).with(2, "N"));
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pix::stored::{Stored, whole};
    use serde_json::{Value, json};

    const DOMAINS: &[(&str, &str)] = &[("A", "1.2.1"), ("B", "1.2.2"), ("C", "1.2.3")];

    fn record(id: &str, oid: &str, links: &[(&str, &str)]) -> Value {
        let links: Vec<Value> = links
            .iter()
            .map(|(kind, to)| json!({ "type": kind, "other": { "reference": format!("Patient/{to}") } }))
            .collect();
        let identifier = json!([{ "system": format!("urn:oid:{oid}"), "value": id }]);
        whole(json!({ "resourceType": "Patient", "id": id, "identifier": identifier, "link": links }))
    }

    /// Returns what consumers are told when a record changes, which is stored already.
    async fn told(all: &[Value], before: Option<Value>, after: Option<&Value>, of: &[&str]) -> Vec<String> {
        let stored = Stored::new(json!(all), DOMAINS);
        let read = |value: &Value| fhir_model::json::read(value.to_string()).expect("a Patient");
        let (before, after) = (before.as_ref().map(read), after.map(read));
        let record = before.as_ref().or(after.as_ref()).expect("a record");
        let changed = Changed {
            id: record.id().expect("an id"),
            before: before.as_ref().map(|of| of.root()),
            after: after.as_ref().map(|of| of.root()),
        };
        let interesting: Vec<String> = of.iter().map(|oid| format!("urn:oid:{oid}")).collect();
        let told = updates(&stored.index(), &changed, &interesting).await.expect("told");
        let values =
            |all: &Vec<Identifier>| all.iter().map(|of| of.value.clone()).collect::<Vec<_>>().join(" ");
        told.iter().map(values).collect()
    }

    /// The example of ITI TF-2 3.10.4.1.2, and what else can happen.
    #[tokio::test]
    async fn a_change_concerns_persons() {
        let (a, b) = (record("a", "1.2.1", &[]), record("b", "1.2.2", &[]));
        let (linked_a, linked_b) =
            (record("a", "1.2.1", &[("seealso", "b")]), record("b", "1.2.2", &[("seealso", "a")]));
        let new = told(std::slice::from_ref(&a), None, Some(&a), &["1.2.1", "1.2.2"]).await;
        assert_eq!(new, ["a"]);
        // Both records of a link are written: it is told once.
        let linked = [linked_a.clone(), linked_b.clone()];
        assert_eq!(told(&linked, Some(a.clone()), Some(&linked_a), &[]).await, ["a b"]);
        assert_eq!(told(&linked, Some(b.clone()), Some(&linked_b), &[]).await, Vec::<String>::new());
        // Who has one domain only is told of that one.
        assert_eq!(told(&linked, Some(a.clone()), Some(&linked_a), &["1.2.2"]).await, ["b"]);
        assert_eq!(told(&linked, Some(a.clone()), Some(&linked_a), &["1.2.3"]).await, Vec::<String>::new());
        // No link any more: each of the two is told.
        let apart = [a.clone(), b.clone()];
        assert_eq!(told(&apart, Some(linked_a.clone()), Some(&a), &[]).await, ["a"]);
        assert_eq!(told(&apart, Some(linked_b.clone()), Some(&b), &[]).await, ["b"]);
        // A merge: the identifiers of who is merged are not known any more.
        let merged =
            [record("a", "1.2.1", &[("replaced-by", "b")]), record("b", "1.2.2", &[("replaces", "a")])];
        assert_eq!(told(&merged, Some(a.clone()), Some(&merged[0]), &[]).await, ["b"]);
        // An address is nothing to be told.
        let mut moved = a.clone();
        moved["address"] = json!([{ "city": "Savona" }]);
        assert_eq!(told(&[moved.clone()], Some(a.clone()), Some(&moved), &[]).await, Vec::<String>::new());
        let mut renamed = a.clone();
        renamed["identifier"][0]["value"] = json!("z");
        assert_eq!(told(&[renamed.clone()], Some(a), Some(&renamed), &[]).await, ["z"]);
        // A record that was deleted leaves the others.
        assert_eq!(told(&[b], Some(linked_a), None, &[]).await, ["b"]);
    }

    #[test]
    fn a_notification_has_identifiers_and_no_name() {
        let stored = Stored::new(json!([]), DOMAINS);
        let identifiers = [Identifier::new("urn:oid:1.2.1", "1"), Identifier::new("urn:oid:1.2.2", "2")];
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        let envelope = Envelope { sender: ["LANTERNA", "R"], receiver: ["LIS", "H1"], control_id: "42", at };
        let written = notification(&identifiers, &envelope, stored.index().domains).write();
        assert_eq!(
            written,
            "MSH|^~\\&|LANTERNA|R|LIS|H1|20260102030405+0000||ADT^A31^ADT_A05|42|P|2.5||||||UNICODE UTF-8\r\
             EVN|A31|20260102030405+0000\r\
             PID|||1^^^A&1.2.1&ISO^PI~2^^^B&1.2.2&ISO^PI|| \rPV1||N\r"
        );
    }
}

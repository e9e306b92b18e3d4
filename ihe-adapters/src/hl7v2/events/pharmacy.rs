//! RDE and RAS: medications are ordered and given.
//!
//! Spec: HL7 v2.5.1 sections 4.13.6, 4.13.14; HL7 v2-to-FHIR, RXO, RXR, TQ1, ORC

use serde_json::{Value as Json, json};

use super::Family;
use super::subject::{groups, subject};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::{nte, obx, rxa, rxe, rxr, tq1};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

pub(super) const ENCODED_ORDER: Family = Family { message: "RDE", events: &["O11", "O25"], read: ordered };
pub(super) const ORDER: Family = Family { message: "OMP", events: &["O09"], read: ordered };
pub(super) const ADMINISTRATION: Family = Family { message: "RAS", events: &["O17"], read: administered };

fn ordered(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let visit = subject(work, mapped)?.map(|visit| visit.reference);
    let groups = groups(work.source.segments(), "ORC");
    if groups.is_empty() {
        return Err(Refused::segment("ORC", "there is no order"));
    }
    for group in groups {
        request(work, group, visit.as_ref());
    }
    Ok(())
}

/// Adds the MedicationRequest of a group; the reference to it.
pub(super) fn request(work: &mut Work<'_>, group: &[Segment<'_>], visit: Option<&Json>) -> Option<Json> {
    let order = group.first().filter(|segment| segment.name == "ORC")?;
    // What the pharmacy encoded counts before what was asked for.
    let encoded = group.iter().find(|segment| segment.name == "RXE");
    let asked = group.iter().find(|segment| segment.name == "RXO");
    encoded.or(asked)?;
    let components: Vec<&Segment<'_>> = group.iter().filter(|segment| segment.name == "RXC").collect();
    let mut request = rxe::request(work, order);
    for segment in encoded.into_iter().chain(asked) {
        rxe::ordered(work, &mut request, segment, &components);
    }
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    for segment in group {
        match segment.name {
            "TQ1" => tq1::of_medication(work, &mut request, segment),
            "RXR" => rxr::route(work, &mut request, segment),
            "NTE" => comments.push(segment),
            "OBX" => {
                let setting = obx::Setting { encounter: visit.cloned(), ..obx::Setting::default() };
                if let Some(observation) = obx::observation(work, segment, &[], &setting) {
                    request.put("supportingInformation", observation);
                }
            }
            _ => {}
        }
    }
    nte::annotations(work, &mut request, &comments);
    if let Some(visit) = visit {
        request.put("encounter", visit.clone());
    }
    if ["medicationCodeableConcept", "medicationReference"].iter().all(|name| request.element(name).is_null())
    {
        request.put("medicationCodeableConcept", json!({ "text": "unknown" }));
    }
    let (key, known) = known(work, &request, "RXE");
    Some(work.add(request, &key, known))
}

fn administered(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let visit = subject(work, mapped)?.map(|visit| visit.reference);
    let groups = groups(work.source.segments(), "ORC");
    if groups.is_empty() {
        return Err(Refused::segment("ORC", "there is no order"));
    }
    for group in groups {
        let encoded = group.iter().any(|segment| matches!(segment.name, "RXE" | "RXO"));
        // Ways and times that stand before what was given are those of the order.
        let given_at = group.iter().position(|segment| segment.name == "RXA").unwrap_or(group.len());
        let (order, given) = group.split_at(given_at);
        let request = if encoded { request(work, order, visit.as_ref()) } else { None };
        administrations(work, order.first(), given, (request, visit.as_ref()));
    }
    Ok(())
}

/// Adds what was given: each RXA with the RXR, OBX and NTE behind it.
fn administrations(
    work: &mut Work<'_>,
    order: Option<&Segment<'_>>,
    given: &[Segment<'_>],
    (request, visit): (Option<Json>, Option<&Json>),
) {
    // The way of all stands behind the last.
    let ways: Vec<&Segment<'_>> = given.iter().filter(|segment| segment.name == "RXR").collect();
    let each = groups(given, "RXA");
    let is_one_way_for_all = ways.len() == 1;
    for group in each {
        let Some(segment) = group.first() else { continue };
        let mut administration = rxa::administration(work, segment);
        let own = group.iter().filter(|segment| segment.name == "RXR");
        let all: Vec<&Segment<'_>> = if is_one_way_for_all { ways.clone() } else { own.collect() };
        all.iter().for_each(|way| rxr::route(work, &mut administration, way));
        let comments: Vec<&Segment<'_>> = group.iter().filter(|segment| segment.name == "NTE").collect();
        nte::annotations(work, &mut administration, &comments);
        if let Some(visit) = visit {
            administration.put("context", visit.clone());
        }
        let number = order.and_then(|order| of_order(work, &mut administration, order, request.as_ref()));
        let what = number.unwrap_or_else(|| administration.element("medicationCodeableConcept").to_string());
        let when =
            ["effectiveDateTime", "effectivePeriod"].map(|name| administration.element(name).to_string());
        let counters =
            [1, 2].map(|field| work.source.value(segment, field).and_then(Value::peek).unwrap_or_default());
        let key = work.key_of_patient(&["RXA", &what, &when.concat(), &counters.join("|")]);
        let reference = work.add(administration, &key, Known::Own);
        for observed in group.iter().filter(|segment| segment.name == "OBX") {
            let setting = obx::Setting { key: &key, encounter: visit.cloned(), ..obx::Setting::default() };
            if let Some(observation) = obx::observation(work, observed, &[], &setting) {
                work.change(&observation, |resource| resource["partOf"] = json!([reference]));
            }
        }
    }
}

/// Says by which order something was given; returns what the order is known by.
fn of_order(
    work: &mut Work<'_>,
    administration: &mut Draft,
    order: &Segment<'_>,
    request: Option<&Json>,
) -> Option<String> {
    let source = work.source;
    let number = [2, 3].into_iter().find_map(|field| {
        let value = source.value(order, field)?;
        work.convert(administration, value, &EI)
    });
    let reference = match (request, &number) {
        (Some(request), _) => request.clone(),
        (None, Some(number)) => json!({ "type": "MedicationRequest", "identifier": number }),
        (None, None) => return None,
    };
    administration.put("request", reference);
    number.map(|number| ei::key(work, &number))
}

/// How an order is found again.
fn known(work: &Work<'_>, request: &Draft, segment: &str) -> (String, Known) {
    let Some(number) = ei::number(request, &["PLAC", "FILL"]) else {
        let medication = request.element("medicationCodeableConcept").to_string();
        let when = request.element("authoredOn").to_string();
        return (work.key_of_patient(&[segment, &medication, &when]), Known::Own);
    };
    (work.key_of_patient(&[segment, &ei::key(work, &number)]), ei::known(work, &number))
}

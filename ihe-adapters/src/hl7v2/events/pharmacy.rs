//! RDE and RAS: medications are ordered and given.
//!
//! Spec: HL7 v2.5.1 sections 4.13.6, 4.13.14; HL7 v2-to-FHIR, RXO, RXR, TQ1, ORC

use serde_json::{Value as Json, json};

use super::Family;
use super::subject::{groups, subject};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::pv1::Visit;
use crate::hl7v2::map::segments::{nte, obx, orc, rxa, rxe, rxr, tq1};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};

pub(super) const ENCODED_ORDER: Family = Family { message: "RDE", events: &["O11", "O25"], read: ordered };
pub(super) const ORDER: Family = Family { message: "OMP", events: &["O09"], read: ordered };
pub(super) const ADMINISTRATION: Family = Family { message: "RAS", events: &["O17"], read: administered };

fn ordered(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let visit = subject(work, mapped)?;
    let groups = groups(work.source.segments(), "ORC");
    if groups.is_empty() {
        return Err(Refused::segment("ORC", "there is no order"));
    }
    for group in groups {
        request(work, group, visit.as_ref())?;
    }
    Ok(())
}

/// Adds the MedicationRequest of a group; the reference to it.
///
/// # Errors
/// When the pharmacy does not say what it encoded.
pub(super) fn request(
    work: &mut Work<'_>,
    group: &[Segment<'_>],
    visit: Option<&Visit>,
) -> Result<Option<Json>, Refused> {
    let Some(order) = group.first().filter(|segment| segment.name == "ORC") else { return Ok(None) };
    // What the pharmacy encoded counts before what was asked for.
    let encoded = group.iter().find(|segment| segment.name == "RXE");
    let asked = group.iter().find(|segment| segment.name == "RXO");
    if encoded.or(asked).is_none() {
        return Ok(None);
    }
    if let Some(encoded) = encoded.filter(|encoded| work.source.value(encoded, 2).is_none()) {
        let place = Place { occurrence: encoded.occurrence, ..Place::field("RXE", 2) };
        return Err(Refused::new(Fault::RequiredField, place, "it is not told what is to be given"));
    }
    let components: Vec<&Segment<'_>> = group.iter().filter(|segment| segment.name == "RXC").collect();
    let intent = if encoded.is_some() { "order" } else { "original-order" };
    let mut request = rxe::request(work, order, intent);
    for segment in encoded.into_iter().chain(asked) {
        rxe::ordered(work, &mut request, segment, &components);
    }
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    for segment in group {
        match segment.name {
            "RXR" => rxr::route(work, &mut request, segment),
            "NTE" => comments.push(segment),
            "OBX" => {
                let setting = obx::Setting {
                    encounter: visit.and_then(Visit::reference).cloned(),
                    ..obx::Setting::default()
                };
                if let Some(observation) = obx::observation(work, segment, &[], &setting) {
                    request.put("supportingInformation", observation);
                }
            }
            _ => {}
        }
    }
    let older: Vec<(&Segment<'_>, usize)> =
        encoded.map(|encoded| (encoded, 1)).into_iter().chain([(order, 7)]).collect();
    let times = tq1::Told::of(work.source, group, &older);
    tq1::of_medication(work, &mut request, &times);
    nte::annotations(work, &mut request, &comments);
    if let Some(visit) = visit {
        visit.put(&mut request, "encounter");
    }
    if ["medicationCodeableConcept", "medicationReference"].iter().all(|name| request.element(name).is_null())
    {
        request.put("medicationCodeableConcept", json!({ "text": "unknown" }));
    }
    let (key, known) = known(work, &request, "RXE");
    Ok(Some(work.add(request, &key, known)))
}

fn administered(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let visit = subject(work, mapped)?;
    let groups = groups(work.source.segments(), "ORC");
    if groups.is_empty() {
        return Err(Refused::segment("ORC", "there is no order"));
    }
    for group in groups {
        let encoded = group.iter().any(|segment| matches!(segment.name, "RXE" | "RXO"));
        // Ways and times that stand before what was given are those of the order.
        let given_at = group.iter().position(|segment| segment.name == "RXA").unwrap_or(group.len());
        let (order, given) = group.split_at(given_at);
        let request = if encoded { request(work, order, visit.as_ref())? } else { None };
        administrations(work, order.first(), given, (request, visit.as_ref()))?;
    }
    Ok(())
}

/// Adds what was given: each RXA with the RXR, OBX and NTE behind it.
fn administrations(
    work: &mut Work<'_>,
    order: Option<&Segment<'_>>,
    given: &[Segment<'_>],
    (request, visit): (Option<Json>, Option<&Visit>),
) -> Result<(), Refused> {
    // The way of all stands behind the last.
    let ways: Vec<&Segment<'_>> = given.iter().filter(|segment| segment.name == "RXR").collect();
    let each = groups(given, "RXA");
    let is_one_way_for_all = ways.len() == 1;
    for group in each {
        let Some(segment) = group.first() else { continue };
        let mut administration = rxa::administration(work, segment)?;
        if let Some(order) = order {
            orc::event(work, &mut administration, order);
        }
        let own = group.iter().filter(|segment| segment.name == "RXR");
        let all: Vec<&Segment<'_>> = if is_one_way_for_all { ways.clone() } else { own.collect() };
        all.iter().for_each(|way| rxr::route(work, &mut administration, way));
        let comments: Vec<&Segment<'_>> = group.iter().filter(|segment| segment.name == "NTE").collect();
        nte::annotations(work, &mut administration, &comments);
        if let Some(visit) = visit {
            visit.put(&mut administration, "context");
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
            let setting = obx::Setting {
                key: &key,
                encounter: visit.and_then(Visit::reference).cloned(),
                ..obx::Setting::default()
            };
            if let Some(observation) = obx::observation(work, observed, &[], &setting) {
                work.change(&observation, |resource| resource["partOf"] = json!([reference]));
            }
        }
    }
    Ok(())
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

//! VXU: vaccinations.
//!
//! Spec: HL7 v2.5.1 section 4.17.4; HL7 v2-to-FHIR, VXU_V04

use serde_json::json;

use super::Family;
use super::subject::{groups, subject};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::pv1::Visit;
use crate::hl7v2::map::segments::{nte, obx, rxa, rxr};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::ei;
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

pub(super) const FAMILY: Family = Family { message: "VXU", events: &["V04"], read };

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let visit = subject(work, mapped)?;
    // Older messages have no order around a vaccination.
    let by_order = groups(source.segments(), "ORC");
    let of_group = if by_order.is_empty() { groups(source.segments(), "RXA") } else { by_order };
    for group in of_group {
        vaccination(work, group, visit.as_ref())?;
    }
    Ok(())
}

fn vaccination(work: &mut Work<'_>, group: &[Segment<'_>], visit: Option<&Visit>) -> Result<(), Refused> {
    let source = work.source;
    let order = group.iter().find(|segment| segment.name == "ORC");
    let Some(given) = group.iter().find(|segment| segment.name == "RXA") else { return Ok(()) };
    let mut immunization = rxa::immunization(work, order, given)?;
    if let Some(order) = order {
        // What is done with the order is nothing of the vaccination.
        let control = source.value(order, 1).filter(|value| value.peek().as_deref() == Some("RE"));
        control.into_iter().for_each(Value::note_all);
    }
    for segment in group.iter().filter(|segment| segment.name == "RXR") {
        rxr::route(work, &mut immunization, segment);
    }
    let mut observations: Vec<(&Segment<'_>, Vec<&Segment<'_>>)> = Vec::new();
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    for segment in group {
        match segment.name {
            "OBX" if !rxa::of_group(work, &mut immunization, segment) => {
                observations.push((segment, Vec::new()))
            }
            "NTE" => match observations.last_mut() {
                Some((_, of_observation)) => of_observation.push(segment),
                None => comments.push(segment),
            },
            _ => {}
        }
    }
    nte::annotations(work, &mut immunization, &comments);
    rxa::refused(&mut immunization);
    if let Some(visit) = visit {
        visit.put(&mut immunization, "encounter");
    }
    let (key, known) = known(work, &immunization);
    let reference = work.add(immunization, &key, known);
    for (segment, comments) in observations {
        let setting = obx::Setting {
            key: &key,
            encounter: visit.and_then(Visit::reference).cloned(),
            ..obx::Setting::default()
        };
        if let Some(observation) = obx::observation(work, segment, &comments, &setting) {
            work.change(&observation, |resource| resource["partOf"] = json!([reference]));
        }
    }
    Ok(())
}

/// How a vaccination is found again: by the number of who gave it, or else by what was given when.
fn known(work: &Work<'_>, immunization: &Draft) -> (String, Known) {
    let Some(number) = ei::number(immunization, &["FILL", "PLAC"]) else {
        let code = immunization.element("vaccineCode").to_string();
        let when = immunization.element("occurrenceDateTime").to_string();
        return (work.key_of_patient(&["RXA", &code, &when]), Known::Own);
    };
    (work.key_of_patient(&["RXA", &ei::key(work, &number)]), ei::known(work, &number))
}

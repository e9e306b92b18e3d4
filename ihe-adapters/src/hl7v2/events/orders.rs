//! OML, OMG, OMI and ORM: services are ordered, changed and taken back.
//!
//! Spec: HL7 v2.5.1 sections 4.4.1, 4.4.4, 4.4.6, 4.4.8; HL7 v2-to-FHIR, OML_O21

use serde_json::{Value as Json, json};

use super::Family;
use super::pharmacy;
use super::subject::{groups, subject};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::pv1::Visit;
use crate::hl7v2::map::segments::{dg1, ipc, nte, obr, obx, orc, spm, tq1};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::ei;
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

pub(super) const LABORATORY: Family = Family { message: "OML", events: &["O21"], read };
pub(super) const GENERAL: Family = Family { message: "OMG", events: &["O19"], read };
pub(super) const IMAGING: Family = Family { message: "OMI", events: &["O23"], read };
pub(super) const ANY: Family = Family { message: "ORM", events: &["O01"], read };

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let visit = subject(work, mapped)?;
    let of_group = groups(source.segments(), "ORC");
    if of_group.is_empty() {
        return Err(Refused::segment("ORC", "there is no order"));
    }
    for group in of_group {
        let is_of_medication = group.iter().any(|segment| segment.name == "RXO");
        let is_told = is_of_medication || group.iter().any(|segment| segment.name == "OBR");
        if !is_told {
            return Err(Refused::segment("OBR", "the order does not say what is ordered"));
        }
        if is_of_medication {
            pharmacy::request(work, group, visit.as_ref())?;
        }
        let (order, details) = group.split_at(1);
        for detail in groups(details, "OBR") {
            service(work, (order, details), detail, visit.as_ref());
        }
    }
    Ok(())
}

/// Adds the ServiceRequest of an OBR, and what stands behind it.
fn service(
    work: &mut Work<'_>,
    (order, details): (&[Segment<'_>], &[Segment<'_>]),
    detail: &[Segment<'_>],
    visit: Option<&Visit>,
) {
    let source = work.source;
    let (Some(common), Some(asked)) = (order.first(), detail.first()) else { return };
    source.values(asked, 1).into_iter().for_each(Value::note_all);
    let mut request = Draft::new("ServiceRequest");
    orc::fill(work, &mut request, common);
    work.fill(&mut request, asked, obr::REQUEST);
    // Times stand before OBR in some versions, and behind it in others.
    let times = tq1::Told::of(source, details, &[(common, 7), (asked, 27)]);
    if let Some(first) = times.first() {
        tq1::of_service(work, &mut request, *first);
    }
    for images in detail.iter().filter(|segment| segment.name == "IPC") {
        ipc::procedure(work, &mut request, images);
    }
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    let mut observed: Vec<(&Segment<'_>, Vec<&Segment<'_>>)> = Vec::new();
    for segment in detail {
        match (segment.name, observed.last_mut()) {
            ("OBX", _) => observed.push((segment, Vec::new())),
            ("NTE", Some((_, of_observation))) => of_observation.push(segment),
            ("NTE", None) => comments.push(segment),
            _ => {}
        }
    }
    nte::annotations(work, &mut request, &comments);
    if let Some(visit) = visit {
        visit.put(&mut request, "encounter");
    }
    obr::complete(work, &mut request, &[("intent", json!("order")), ("status", json!("active"))]);
    let (key, known) = known(work, &request);
    let setting = key.clone();
    let reference = json!({ "reference": work.full_url("ServiceRequest", &key) });
    let specimens = specimens(work, detail, &setting, &reference);
    let supporting = supporting(work, observed, &setting, visit);
    for (element, all) in [("specimen", specimens), ("supportingInfo", supporting)] {
        if !all.is_empty() {
            request.set(element, json!(all));
        }
    }
    for reason in detail.iter().filter(|segment| segment.name == "DG1") {
        dg1::diagnosis(work, reason, visit);
    }
    work.add(request, &key, known);
}

/// Adds the material: SPM, or what OBR says of it.
fn specimens(work: &mut Work<'_>, detail: &[Segment<'_>], setting: &str, request: &Json) -> Vec<Json> {
    let told = detail.iter().filter(|segment| segment.name == "SPM");
    let mut specimens: Vec<Json> =
        told.map(|segment| spm::specimen(work, segment, setting, Some(request))).collect();
    if specimens.is_empty() {
        specimens.extend(detail.first().and_then(|asked| obr::specimen(work, asked, setting)));
    }
    specimens
}

/// Adds what is told beside the order.
fn supporting(
    work: &mut Work<'_>,
    observed: Vec<(&Segment<'_>, Vec<&Segment<'_>>)>,
    setting: &str,
    visit: Option<&Visit>,
) -> Vec<Json> {
    let mut all = Vec::new();
    for (segment, comments) in observed {
        let encounter = visit.and_then(Visit::reference).cloned();
        let setting = obx::Setting { key: setting, encounter, ..obx::Setting::default() };
        all.extend(obx::observation(work, segment, &comments, &setting));
    }
    all
}

/// How an order is found again: by the number of who placed it, or else of who fills it.
fn known(work: &Work<'_>, request: &Draft) -> (String, Known) {
    let query = ei::number(request, &["PLAC", "FILL"]).and_then(|number| work.by_number(&number));
    match query {
        // Several tests of one order may have its number: the first is found by it.
        Some(query) if !work.has("ServiceRequest", &query) => (query.clone(), Known::By(query)),
        Some(query) => (work.key_of_patient(&["ORDER", &query, &obr::code_key(request)]), Known::Own),
        None => {
            let control_id = work.header.control_id.clone();
            (work.key_of_patient(&["ORDER", &control_id, &obr::code_key(request)]), Known::Own)
        }
    }
}

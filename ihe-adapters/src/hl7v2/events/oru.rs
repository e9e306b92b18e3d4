//! ORU: results of what was ordered.
//!
//! Spec: HL7 v2.5.1 chapter 7; HL7 v2-to-FHIR, ORU_R01

use serde_json::{Value as Json, json};
use sha1::{Digest, Sha1};

use super::Family;
use super::subject::subject;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::pv1::Visit;
use crate::hl7v2::map::segments::{document, nte, obr, obx, orc, spm, tq1};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::types::{ed, ei};
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

pub(super) const FAMILY: Family =
    Family { message: "ORU", events: &["R01", "R30", "R31", "R32", "W01"], read };

const REPORT_NOTE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.note";

/// An order and what was observed for it.
struct Group<'s, 'm> {
    common: Option<&'s Segment<'m>>,
    order: &'s Segment<'m>,
    times: Vec<&'s Segment<'m>>,
    comments: Vec<&'s Segment<'m>>,
    observations: Vec<(&'s Segment<'m>, Vec<&'s Segment<'m>>)>,
    specimens: Vec<&'s Segment<'m>>,
}

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let groups = groups(source);
    if groups.is_empty() {
        return Err(Refused::segment("OBR", "there is no report"));
    }
    let visit = subject(work, mapped)?;
    for group in &groups {
        report(work, group, visit.as_ref());
    }
    Ok(())
}

/// Takes the orders apart: what stands behind OBR belongs to it, ORC before it too.
fn groups<'s, 'm>(source: &'s Source<'m>) -> Vec<Group<'s, 'm>> {
    let mut groups: Vec<Group<'s, 'm>> = Vec::new();
    let mut common = None;
    for segment in source.segments() {
        match (segment.name, groups.last_mut()) {
            ("ORC", _) => common = Some(segment),
            ("OBR", _) => groups.push(Group {
                common: common.take(),
                order: segment,
                times: Vec::new(),
                comments: Vec::new(),
                observations: Vec::new(),
                specimens: Vec::new(),
            }),
            ("OBX", Some(group)) => group.observations.push((segment, Vec::new())),
            ("SPM", Some(group)) => group.specimens.push(segment),
            ("TQ1", Some(group)) => group.times.push(segment),
            ("NTE", Some(group)) if group.specimens.is_empty() => match group.observations.last_mut() {
                Some((_, comments)) => comments.push(segment),
                None => group.comments.push(segment),
            },
            _ => {}
        }
    }
    groups
}

/// Adds the DiagnosticReport of an order, with all that it refers to.
fn report(work: &mut Work<'_>, group: &Group<'_, '_>, visit: Option<&Visit>) {
    let source = work.source;
    source.values(group.order, 1).into_iter().for_each(Value::note_all);
    let mut report = Draft::new("DiagnosticReport");
    work.fill(&mut report, group.order, obr::REPORT);
    if let Some(common) = group.common {
        work.fill(&mut report, common, orc::NUMBERS);
    }
    let numbers: Vec<Json> = report.element("identifier").as_array().cloned().unwrap_or_default();
    let request = request(work, group, visit);
    let effective = obr::effective(work, group.order);
    // What has no number is told apart by when it was, or else by its message.
    let number = numbers.first().map(|number| ei::key(work, number));
    let when =
        || effective.as_ref().map_or_else(|| work.header.control_id.clone(), |(_, when)| when.to_string());
    let number = number.unwrap_or_else(when);
    let (setting_key, key) = key(work, &number, &obr::code_key(&report));
    let specimens = specimens(work, group, &setting_key, request.as_ref());
    let setting = obx::Setting {
        key: &setting_key,
        encounter: visit.and_then(Visit::reference).cloned(),
        based_on: request.clone(),
        specimen: specimens.first().cloned(),
        effective: effective.clone(),
    };
    let reference = json!({ "reference": work.full_url("DiagnosticReport", &key) });
    let results = results(work, group, &setting, &mut report, &reference);
    if !results.is_empty() {
        report.set("result", json!(results));
    }
    for specimen in specimens {
        report.put("specimen", specimen);
    }
    if let Some((element, when)) = effective {
        report.put(element, when);
    }
    if let Some(request) = request {
        report.put("basedOn", request);
    }
    if let Some(visit) = visit {
        visit.put(&mut report, "encounter");
    }
    comments(work, &mut report, &group.comments);
    obr::complete(work, &mut report, &[("status", json!("unknown"))]);
    work.add(report, &key, Known::Own);
}

/// Returns what tells a report apart within its patient, and its key: reports
/// of one number and code are told apart by their places.
fn key(work: &mut Work<'_>, number: &str, code: &str) -> (String, String) {
    let place = work.place_of(format!("OBR|{number}|{code}"));
    let setting = format!("{number}|{code}|{place}");
    let key = work.key_of_patient(&["OBR", &setting]);
    (setting, key)
}

/// Comments on the whole: R4 has no element for them.
fn comments(work: &mut Work<'_>, report: &mut Draft, segments: &[&Segment<'_>]) {
    let mut told = Draft::new("Observation");
    nte::annotations(work, &mut told, segments);
    for note in told.element("note").as_array().into_iter().flatten() {
        report.put("extension", json!({ "url": REPORT_NOTE, "valueAnnotation": note }));
    }
    for contained in told.element("contained").as_array().into_iter().flatten() {
        report.put("contained", contained.clone());
    }
}

/// Adds the ServiceRequest that a report answers: one that is known stays as it is.
fn request(work: &mut Work<'_>, group: &Group<'_, '_>, visit: Option<&Visit>) -> Option<Json> {
    let mark = work.source.mark();
    let mut request = Draft::new("ServiceRequest");
    if let Some(common) = group.common {
        orc::fill(work, &mut request, common);
    }
    work.fill(&mut request, group.order, obr::REQUEST);
    let older: Vec<(&Segment<'_>, usize)> =
        group.common.map(|common| (common, 7)).into_iter().chain([(group.order, 27)]).collect();
    let times = tq1::Told::of(work.source, group.times.iter().copied(), &older);
    if let Some(first) = times.first() {
        tq1::of_service(work, &mut request, *first);
    }
    let number = request.element("identifier")[0].clone();
    let Some(query) = work.by_number(&number) else {
        work.source.forget_since(mark);
        return None;
    };
    obr::complete(work, &mut request, &[("intent", json!("order")), ("status", json!("unknown"))]);
    if let Some(visit) = visit {
        visit.put(&mut request, "encounter");
    }
    // Several tests of one order may have its number: the first is found by it.
    if !work.has("ServiceRequest", &query) {
        return Some(work.add(request, &query, Known::StaysBy(query.clone())));
    }
    let key = work.key_of_patient(&["ORDER", &query, &obr::code_key(&request)]);
    Some(work.add(request, &key, Known::Own))
}

fn specimens(work: &mut Work<'_>, group: &Group<'_, '_>, setting: &str, request: Option<&Json>) -> Vec<Json> {
    let mut specimens: Vec<Json> =
        group.specimens.iter().map(|segment| spm::specimen(work, segment, setting, request)).collect();
    specimens.extend(obr::specimen(work, group.order, setting));
    specimens
}

/// Adds what was observed; documents become documents, and what shows the report.
fn results(
    work: &mut Work<'_>,
    group: &Group<'_, '_>,
    setting: &obx::Setting<'_>,
    report: &mut Draft,
    reference: &Json,
) -> Vec<Json> {
    let mut results = Vec::new();
    for (segment, comments) in &group.observations {
        if document::is_cda(work, segment) {
            document::document(work, segment, setting, reference);
            continue;
        }
        let shown = presented(work, segment);
        let Some(result) = obx::observation(work, segment, comments, setting) else { continue };
        if let Some((mut attachment, told)) = shown {
            if let Some(title) = obx::title(work, segment) {
                attachment["title"] = json!(title);
            }
            report.put("presentedForm", attachment);
            work.change(&result, |observation| told_of_attachment(observation, &told));
        }
        results.push(result);
    }
    results
}

/// Returns the attachment of a segment, and what the observation tells of it:
/// the bytes are stored once.
fn presented(work: &Work<'_>, segment: &Segment<'_>) -> Option<(Json, Json)> {
    let source = work.source;
    let is_data = source.value(segment, 2).and_then(Value::peek).as_deref() == Some("ED");
    let value = source.value(segment, 5).filter(|_| is_data)?;
    let attachment = ed::attachment(work, value)?;
    let bytes = fhir_model::primitive::base64::decode(attachment["data"].as_str()?)?;
    let hash = fhir_model::primitive::base64::encode(&Sha1::digest(&bytes));
    let told = json!({ "contentType": attachment["contentType"], "size": bytes.len(), "hash": hash });
    Some((attachment, told))
}

fn told_of_attachment(observation: &mut Json, told: &Json) {
    let extensions = observation.get_mut("extension").and_then(Json::as_array_mut);
    for extension in extensions.into_iter().flatten() {
        if extension["valueAttachment"].is_object() {
            extension["valueAttachment"] = told.clone();
        }
    }
}

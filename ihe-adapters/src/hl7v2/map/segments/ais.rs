//! AIS, AIG, AIL, AIP: services, things, places and people of an appointment.
//!
//! Spec: HL7 v2-to-FHIR, AIS[Appointment], AIG[Appointment], AIL[Appointment], AIP[Appointment]

use serde_json::{Value as Json, json};

use super::note;
use super::sch::{Times, instant, minutes};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::statuses::PARTICIPATION_STATUS;
use crate::hl7v2::map::types::coded::{self, CWE};
use crate::hl7v2::map::types::pl::PL;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::Work;

/// Where each of the segments has what.
struct Places {
    segment: &'static str,
    actor: Option<(usize, As)>,
    kind: Option<usize>,
    /// Begin, how long after that of the appointment with its units, duration with its units, status.
    start: usize,
    offset: [usize; 2],
    duration: [usize; 2],
    status: usize,
}

const SEGMENTS: &[Places] = &[
    Places {
        segment: "AIS",
        actor: None,
        kind: None,
        start: 4,
        offset: [5, 6],
        duration: [7, 8],
        status: 10,
    },
    Places {
        segment: "AIG",
        actor: Some((3, As::Of(thing))),
        kind: Some(4),
        start: 8,
        offset: [9, 10],
        duration: [11, 12],
        status: 14,
    },
    Places {
        segment: "AIL",
        actor: Some((3, PL)),
        kind: Some(4),
        start: 6,
        offset: [7, 8],
        duration: [9, 10],
        status: 12,
    },
    Places {
        segment: "AIP",
        actor: Some((3, XCN)),
        kind: Some(4),
        start: 6,
        offset: [7, 8],
        duration: [9, 10],
        status: 12,
    },
];

const SERVICE_ROWS: &[Row] = &[("AIS-3", "serviceType", CWE)];

/// Reads a segment into the appointment; returns when it says that it is. `known`: what is
/// told already.
pub(in crate::hl7v2) fn resource(
    work: &mut Work<'_>,
    appointment: &mut Draft,
    segment: &Segment<'_>,
    known: &Times,
) -> Times {
    let source = work.source;
    let Some(places) = SEGMENTS.iter().find(|places| places.segment == segment.name) else {
        return Times::default();
    };
    if is_taken_away(source, segment) {
        return Times::default();
    }
    note(source, segment, &[1]);
    let Some((field, kind)) = &places.actor else {
        work.fill(appointment, segment, SERVICE_ROWS);
        return of_service(work, segment, places, known);
    };
    let times = times(work, segment, places, known);
    for value in source.values(segment, *field) {
        let Some(actor) = work.convert(appointment, value, kind) else { continue };
        let mut participant = Draft::part("Appointment.participant");
        participant.put("actor", actor);
        if let Some(kind) = places.kind.and_then(|kind| source.value(segment, kind))
            && let Some(kind) = work.convert(&mut participant, kind, &CWE)
        {
            participant.put("type", kind);
        }
        let mut period = serde_json::Map::new();
        period.extend(times.start.clone().map(|start| ("start".to_owned(), json!(start))));
        period.extend(times.end.clone().map(|end| ("end".to_owned(), json!(end))));
        if !period.is_empty() {
            participant.put("period", Json::Object(period));
        }
        status(work, &mut participant, segment, places.status);
        participant.put("status", json!("accepted"));
        appointment.put("participant", participant.finish());
    }
    times
}

/// AIS-2 and its like: what is deleted takes no part any more; all else is told as it is now.
fn is_taken_away(source: &Source<'_>, segment: &Segment<'_>) -> bool {
    let Some(action) = source.value(segment, 2) else { return false };
    let code = action.peek();
    if matches!(code.as_deref(), Some("A" | "D" | "U" | "X")) {
        action.note_all();
    }
    code.as_deref() == Some("D")
}

/// When a service is: that of the appointment, where nothing else tells it; what says the same again is read.
fn of_service(work: &Work<'_>, segment: &Segment<'_>, places: &Places, known: &Times) -> Times {
    let mark = work.source.mark();
    let times = times(work, segment, places, known);
    if known.start.is_none() {
        return times;
    }
    let is_same =
        times.start == known.start && (times.end.is_none() || times.end == known.clone().complete().end);
    if !is_same {
        work.source.forget_since(mark);
    }
    Times::default()
}

/// What the resource says of taking part.
fn status(work: &mut Work<'_>, draft: &mut Draft, segment: &Segment<'_>, field: usize) {
    let Some(value) = work.source.value(segment, field) else { return };
    if let Some(status) = work.convert(draft, value, &As::Code(&PARTICIPATION_STATUS)) {
        draft.put("status", status);
    }
}

/// When it is wanted: how long says something where it is told from when on.
fn times(work: &Work<'_>, segment: &Segment<'_>, places: &Places, known: &Times) -> Times {
    let source = work.source;
    let own = instant(work, source.value(segment, places.start));
    let start = own.or_else(|| {
        let [offset, units] = places.offset.map(|field| source.value(segment, field));
        known.after(minutes(offset, units)?)
    });
    let Some(start) = start else { return Times::default() };
    let [length, units] = places.duration.map(|field| source.value(segment, field));
    Times { start: Some(start), end: None, minutes: minutes(length, units) }.complete()
}

/// A thing that is needed, as what refers to it.
fn thing(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut reference = json!({ "type": "Device" });
    if let Some(code) = value.text_of(1) {
        let mut identifier = json!({ "value": code.trim() });
        let name = value.part(3);
        let system = name.and_then(Value::peek).and_then(|name| coded::system(work, name.trim()));
        if let Some(system) = system {
            name.into_iter().for_each(Value::note_all);
            identifier["system"] = json!(system);
        }
        reference["identifier"] = identifier;
    }
    if let Some(display) = value.text_of(2) {
        reference["display"] = json!(display);
    }
    let is_named = reference["identifier"].is_object() || reference["display"].is_string();
    is_named.then_some(reference)
}

//! SIU: appointments are booked, moved and cancelled.
//!
//! Spec: HL7 v2.5.1 chapter 10; HL7 v2-to-FHIR, SIU messages

use serde_json::{Value as Json, json};

use super::Family;
use super::subject::subject_by;
use crate::hl7v2::code_systems;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::segments::pv1::{Teller, Visit};
use crate::hl7v2::map::segments::sch::{self, Times, is_contact};
use crate::hl7v2::map::segments::{ais, nte};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::statuses::FILLER_STATUS;
use crate::hl7v2::map::types::coded::CWE_IDENTIFIER;
use crate::hl7v2::map::types::ei;
use crate::hl7v2::map::work::{Known, Work, by_identifier};
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};

pub(super) const FAMILY: Family = Family { message: "SIU", events: TRIGGERS, read };

const TRIGGERS: &[&str] =
    &["S12", "S13", "S14", "S15", "S16", "S17", "S18", "S19", "S20", "S21", "S22", "S23", "S24", "S26"];

/// What an event says of the appointment, where the message does not, and of
/// the time that it takes of a schedule.
struct Event {
    trigger: &'static str,
    /// `None`: there is no appointment, only time.
    appointment: Option<&'static str>,
    slot: &'static str,
}

const fn event(trigger: &'static str, appointment: &'static str, slot: &'static str) -> Event {
    Event { trigger, appointment: Some(appointment), slot }
}

const EVENTS: &[Event] = &[
    event("S12", "booked", "busy"),
    event("S13", "booked", "busy"),
    event("S14", "booked", "busy"),
    event("S15", "cancelled", "free"),
    event("S16", "cancelled", "free"),
    event("S17", "entered-in-error", "free"),
    event("S18", "booked", "busy"),
    event("S19", "booked", "busy"),
    event("S20", "booked", "busy"),
    event("S21", "booked", "busy"),
    event("S22", "booked", "busy"),
    Event { trigger: "S23", appointment: None, slot: "busy-unavailable" },
    Event { trigger: "S24", appointment: None, slot: "free" },
    event("S26", "noshow", "busy"),
];

/// What FHIR lets stand without a beginning and an end.
const TIMELESS: &[&str] = &["proposed", "cancelled", "waitlist"];

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let event = EVENTS.iter().find(|event| event.trigger == work.header.trigger);
    let event = event.ok_or_else(|| Refused::segment("MSH", "this event is not taken"))?;
    let schedule = source.first("SCH").ok_or_else(|| Refused::segment("SCH", "there is no appointment"))?;
    let mut visit = None;
    if source.first("PID").is_some() {
        // The visit that it is for has not begun.
        let is_off = matches!(event.appointment, Some("cancelled" | "noshow" | "entered-in-error"));
        let status = if is_off { "cancelled" } else { "planned" };
        visit = subject_by(work, mapped, Some(status), Teller::Apart)?;
    }
    let Some(status) = event.appointment else { return time_alone(work, schedule, event) };
    let mut appointment = sch::appointment(work, schedule, status);
    let number = sch::number(&appointment).ok_or_else(|| {
        Refused::new(Fault::RequiredField, Place::field("SCH", 2), "the appointment has no number")
    })?;
    let mut times = sch::times(work, schedule);
    let comments = beside(work, &mut appointment, &mut times);
    source.named("RGS").for_each(|group| grouped(source, group));
    let times = times.complete();
    let comment = nte::text(work, &comments);
    if !comment.trim().is_empty() {
        appointment.put("comment", json!(comment));
    }
    let key = ei::key(work, &number);
    stands(work, schedule, &mut appointment);
    match slot(work, schedule, &appointment, &times, (event, &key)) {
        Some(slot) => {
            appointment.put("slot", slot);
        }
        None => released(work, event, &key),
    }
    let otherwise = timed(&mut appointment, times);
    if appointment.element("status") != "cancelled" {
        // What is not cancelled any more has no reason for it either.
        work.delete("Appointment", "cancelationReason");
    }
    if appointment.element("participant").is_null() {
        // Who takes part is as it was: only the patient is told.
        work.assume("Appointment", "participant");
    }
    if let Some(patient) = work.patient.clone() {
        appointment.put("participant", json!({ "actor": patient, "status": "accepted" }));
    }
    if appointment.element("participant").is_null() {
        return Err(Refused::segment("PID", "nobody takes part in the appointment"));
    }
    let known = work.by_number(&number).map_or(Known::Own, Known::By);
    let key = format!("{}\u{1f}SCH\u{1f}{key}", work.header.source);
    let reference = work.add(appointment, &key, known);
    if let Some(otherwise) = otherwise {
        work.otherwise(&reference, otherwise);
    }
    if let Some(encounter) = visit.as_ref().and_then(Visit::reference) {
        work.change(encounter, |encounter| encounter["appointment"] = json!([reference]));
    }
    Ok(())
}

/// Reads what stands behind SCH: who and what takes part, and when. Returns the comments on the whole.
fn beside<'s>(work: &mut Work<'s>, appointment: &mut Draft, times: &mut Times) -> Vec<&'s Segment<'s>> {
    let source = work.source;
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    let mut is_of_schedule = true;
    for segment in source.segments() {
        let told = match segment.name {
            "TQ1" if times.start.is_none() => of_timing(work, segment),
            "AIS" | "AIG" | "AIL" | "AIP" => ais::resource(work, appointment, segment, times),
            "NTE" if is_of_schedule => {
                comments.push(segment);
                continue;
            }
            _ => Times::default(),
        };
        is_of_schedule &= !matches!(segment.name, "PID" | "RGS" | "AIS" | "AIG" | "AIL" | "AIP");
        *times = std::mem::take(times).or(told);
    }
    comments
}

/// RGS: the number of a group, and that it is there.
fn grouped(source: &Source<'_>, group: &Segment<'_>) {
    source.values(group, 1).into_iter().for_each(Value::note_all);
    let action = source.value(group, 2);
    if let Some(action) = action.filter(|action| matches!(action.peek().as_deref(), Some("A" | "U" | "X"))) {
        action.note_all();
    }
}

/// AIS-10: how a service stands, as the appointment does where SCH-25 does not say it.
fn stands(work: &mut Work<'_>, schedule: &Segment<'_>, appointment: &mut Draft) {
    let source = work.source;
    let told = source.value(schedule, 25).map(Value::raw);
    let services = source.named("AIS").filter_map(|service| source.value(service, 10));
    for (at, value) in services.enumerate() {
        if told.as_ref() == Some(&value.raw()) {
            value.note_all();
        } else if told.is_none()
            && at == 0
            && appointment.element("cancelationReason").is_null()
            && let Some(status) = work.convert(appointment, value, &As::Code(&FILLER_STATUS))
        {
            appointment.set("status", status);
        }
    }
}

/// Gives the time back that an appointment took, where the message does not say which.
fn released(work: &mut Work<'_>, event: &Event, number: &str) {
    if event.slot != "free" {
        return;
    }
    let id = work.full_url("Slot", &slot_key(work, number));
    let mut slot = Draft::new("Slot");
    slot.put("status", json!(event.slot));
    work.amend(slot, &format!("_id={}", id.trim_start_matches("urn:uuid:")));
}

/// Returns what the time of an appointment is known by: it stays the same when the appointment moves.
fn slot_key(work: &Work<'_>, number: &str) -> String {
    format!("{}\u{1f}slot\u{1f}{number}", work.header.source)
}

/// S23, S24: time that is taken or given back, and is no appointment.
fn time_alone(work: &mut Work<'_>, schedule: &Segment<'_>, event: &Event) -> Result<(), Refused> {
    let source = work.source;
    let mark = source.mark();
    let mut whose = sch::appointment(work, schedule, "booked");
    let number = sch::number(&whose).ok_or_else(|| {
        Refused::new(Fault::RequiredField, Place::field("SCH", 2), "the time that is blocked has no number")
    })?;
    let resources = source.segments().iter().filter(|segment| matches!(segment.name, "AIG" | "AIL" | "AIP"));
    resources.clone().for_each(|segment| {
        ais::resource(work, &mut whose, segment, &Times::default());
    });
    // Of all that, whose time it is and its number are what is stored.
    source.forget_since(mark);
    resources.flat_map(|segment| source.values(segment, 3)).for_each(Value::note_all);
    if let Some(told) = [2, 1].into_iter().find_map(|field| source.value(schedule, field)) {
        // What it is told apart by: who gave it, or else how he is called.
        let parts: &[usize] = if number["system"].is_string() { &[1, 3, 4] } else { &[1, 2] };
        parts.iter().filter_map(|part| told.part(*part)).for_each(Value::note_all);
    }
    let times = sch::times(work, schedule).complete();
    let key = ei::key(work, &number);
    match slot(work, schedule, &whose, &times, (event, &key)) {
        Some(_) => Ok(()),
        None => Err(Refused::new(
            Fault::RequiredField,
            Place::field("SCH", 5),
            "whose time is blocked, and from when to when, is not told",
        )),
    }
}

/// TQ1-7 and TQ1-8 of an appointment.
fn of_timing(work: &Work<'_>, segment: &Segment<'_>) -> Times {
    let source = work.source;
    let minutes = source.value(segment, 6).and_then(|length| sch::minutes(length.part(1), length.part(2)));
    source.value(segment, 1).into_iter().for_each(Value::note_all);
    Times {
        start: sch::instant(work, source.value(segment, 7)),
        end: sch::instant(work, source.value(segment, 8)),
        minutes,
    }
}

/// Says when it is; without that FHIR has it only as proposed or cancelled, unless what is stored says it: what it
/// is otherwise.
fn timed(appointment: &mut Draft, times: Times) -> Option<Json> {
    if let Some(minutes) = times.minutes {
        appointment.put("minutesDuration", json!(minutes));
    }
    let Times { start, end, .. } = times;
    if let (Some(start), Some(end)) = (&start, end) {
        appointment.put("start", json!(start));
        appointment.put("end", json!(end));
        return None;
    }
    if let Some(start) = start {
        appointment.put("requestedPeriod", json!({ "start": start }));
    }
    let is_timeless = appointment.element("status").as_str().is_some_and(|s| TIMELESS.contains(&s));
    let was_never = matches!(appointment.element("status").as_str(), Some("entered-in-error" | "noshow"));
    let status = if was_never { "cancelled" } else { "proposed" };
    (!is_timeless).then(|| json!({ "status": status }))
}

/// SCH-5: the schedule, and the time that is taken of it.
fn slot(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
    appointment: &Draft,
    times: &Times,
    (event, number): (&Event, &str),
) -> Option<Json> {
    let source = work.source;
    let (start, end) = (times.start.as_ref()?, times.end.as_ref()?);
    let actors: Vec<Json> = {
        let participants = appointment.element("participant").as_array();
        let of_schedule = participants.into_iter().flatten().filter(|participant| !is_contact(participant));
        let references = of_schedule.map(|participant| participant["actor"].clone());
        // Who stands inside of the appointment cannot be referred to from elsewhere.
        references
            .filter(|actor| !actor["reference"].as_str().is_some_and(|reference| reference.starts_with('#')))
            .collect()
    };
    let value = source.value(segment, 5).filter(|_| !actors.is_empty())?;
    let mut schedule = Draft::new("Schedule");
    let mut identifier = work.convert(&mut schedule, value, &CWE_IDENTIFIER)?;
    if identifier["system"].is_null() {
        // The sender's own name of it.
        identifier["system"] = json!(code_systems::local("SCH-5", &work.header.sender));
    }
    let query = by_identifier(&identifier)?;
    schedule.put("identifier", identifier);
    schedule.set("actor", json!(actors));
    if let Some(name) = value.text_of(2) {
        schedule.put("comment", json!(name));
    }
    // Whose it is does not change with each appointment.
    let schedule = work.add(schedule, &query, Known::StaysBy(query.clone()));
    let mut slot = Draft::new("Slot");
    slot.put("schedule", schedule);
    slot.put("status", json!(event.slot));
    slot.put("start", json!(start));
    slot.put("end", json!(end));
    let key = slot_key(work, number);
    Some(work.add(slot, &key, Known::Own))
}

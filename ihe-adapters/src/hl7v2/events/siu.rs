//! SIU: appointments are booked, moved and cancelled.
//!
//! Spec: HL7 v2.5.1 chapter 10; HL7 v2-to-FHIR, SIU messages

use serde_json::{Value as Json, json};

use super::Family;
use super::subject::subject;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::sch::{self, Times};
use crate::hl7v2::map::segments::{ais, nte};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::coded::CWE_IDENTIFIER;
use crate::hl7v2::map::types::ei;
use crate::hl7v2::map::work::{Known, Work};
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
    if source.first("PID").is_some() {
        subject(work, mapped)?;
    }
    let Some(status) = event.appointment else { return time_alone(work, schedule, event) };
    let mut appointment = sch::appointment(work, schedule, status);
    let number = sch::number(&appointment).ok_or_else(|| {
        Refused::new(Fault::RequiredField, Place::field("SCH", 2), "the appointment has no number")
    })?;
    let mut times = sch::times(work, schedule);
    let mut comments: Vec<&Segment<'_>> = Vec::new();
    let mut is_of_schedule = true;
    for segment in source.segments() {
        match segment.name {
            "TQ1" if times.start.is_none() => times = times.or(of_timing(work, segment)),
            "NTE" if is_of_schedule => comments.push(segment),
            "AIS" | "AIG" | "AIL" | "AIP" => {
                is_of_schedule = false;
                let is_known = times.start.is_some();
                times = times.or(ais::resource(work, &mut appointment, segment, is_known));
            }
            "PID" | "RGS" => is_of_schedule = false,
            _ => {}
        }
    }
    source.named("RGS").flat_map(|group| source.values(group, 1)).for_each(Value::note_all);
    let times = times.complete();
    let comment = nte::text(work, &comments);
    if !comment.trim().is_empty() {
        appointment.put("comment", json!(comment));
    }
    let key = ei::key(work, &number);
    let slot = slot(work, schedule, &appointment, &times, (event, &key));
    if let Some(slot) = slot {
        appointment.put("slot", slot);
    }
    timed(&mut appointment, times);
    if let Some(patient) = work.patient.clone() {
        appointment.put("participant", json!({ "actor": patient, "status": "accepted" }));
    }
    if appointment.element("participant").is_null() {
        return Err(Refused::segment("PID", "nobody takes part in the appointment"));
    }
    let known = ei::known(work, &number);
    let key = format!("{}\u{1f}SCH\u{1f}{key}", work.header.source);
    work.add(appointment, &key, known);
    Ok(())
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
        ais::resource(work, &mut whose, segment, true);
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

/// Says when it is; without that FHIR has it only as proposed.
fn timed(appointment: &mut Draft, times: Times) {
    if let Some(minutes) = times.minutes {
        appointment.put("minutesDuration", json!(minutes));
    }
    let Times { start, end, .. } = times;
    if let (Some(start), Some(end)) = (&start, end) {
        appointment.put("start", json!(start));
        appointment.put("end", json!(end));
        return;
    }
    if let Some(start) = start {
        appointment.put("requestedPeriod", json!({ "start": start }));
    }
    let is_timeless = appointment.element("status").as_str().is_some_and(|s| TIMELESS.contains(&s));
    if !is_timeless {
        appointment.set("status", json!("proposed"));
    }
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
        let of_schedule = participants.into_iter().flatten().filter(|participant| {
            let kinds = participant["type"][0]["coding"][0]["system"].as_str();
            !kinds.is_some_and(|system| system.starts_with("urn:lanterna:"))
        });
        let references = of_schedule.map(|participant| participant["actor"].clone());
        // Who stands inside of the appointment cannot be referred to from elsewhere.
        references
            .filter(|actor| !actor["reference"].as_str().is_some_and(|reference| reference.starts_with('#')))
            .collect()
    };
    let value = source.value(segment, 5).filter(|_| !actors.is_empty())?;
    let mut schedule = Draft::new("Schedule");
    let identifier = work.convert(&mut schedule, value, &CWE_IDENTIFIER)?;
    schedule.put("identifier", identifier.clone());
    schedule.set("actor", json!(actors));
    let name = ei::key(work, &identifier);
    let key = format!("{}\u{1f}schedule\u{1f}{name}", work.header.source);
    let schedule = work.add(schedule, &key, Known::Own);
    let mut slot = Draft::new("Slot");
    slot.put("schedule", schedule);
    slot.put("status", json!(event.slot));
    slot.put("start", json!(start));
    slot.put("end", json!(end));
    let key = format!("{}\u{1f}slot\u{1f}{name}\u{1f}{number}", work.header.source);
    Some(work.add(slot, &key, Known::Own))
}

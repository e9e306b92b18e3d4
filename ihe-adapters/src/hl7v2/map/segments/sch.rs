//! SCH: an appointment, as Appointment.
//!
//! Spec: HL7 v2-to-FHIR, SCH[Appointment]

use serde_json::{Value as Json, json};

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::statuses::FILLER_STATUS;
use crate::hl7v2::map::tables::same;
use crate::hl7v2::map::types::dtm;
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::Work;

const CONTACTS: &str = "urn:lanterna:hl7v2:appointment-participant";
const ENTERERS: &str = "provenance-participant-type";

/// Somebody whom one can ask, and on whose side.
macro_rules! contact {
    ($system:expr, $code:literal) => {
        As::Or(
            &As::Within("actor", &XCN, &[("type", Constant::Concepts($system, $code))]),
            "status",
            Constant::Text("accepted"),
        )
    };
}

const ROWS: &[Row] = &[
    ("SCH-1", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "PLAC"))),
    ("SCH-2", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "FILL"))),
    ("SCH-7", "reasonCode", As::Concept(&same("0276"))),
    ("SCH-8", "appointmentType", As::Concept(&same("0277"))),
    ("SCH-12", "participant", contact!(CONTACTS, "placer-contact")),
    ("SCH-16", "participant", contact!(CONTACTS, "filler-contact")),
    ("SCH-20", "participant", contact!(ENTERERS, "enterer")),
    ("SCH-26", "basedOn", As::Within("identifier", &EI, &[("type", Constant::Text("ServiceRequest"))])),
    ("SCH-27", "basedOn", As::Within("identifier", &EI, &[("type", Constant::Text("ServiceRequest"))])),
];

/// Why something happened to an appointment.
const REASON: As = As::Concept(&same("0276"));

/// When an appointment is, as far as it is told.
#[derive(Debug, Clone, Default)]
pub(in crate::hl7v2) struct Times {
    /// When it begins, an instant.
    pub(in crate::hl7v2) start: Option<String>,
    /// When it ends.
    pub(in crate::hl7v2) end: Option<String>,
    /// How long it is, in minutes.
    pub(in crate::hl7v2) minutes: Option<i64>,
}

impl Times {
    /// Takes what another says where this says nothing.
    pub(in crate::hl7v2) fn or(self, other: Times) -> Times {
        Times {
            start: self.start.or(other.start),
            end: self.end.or(other.end),
            minutes: self.minutes.or(other.minutes),
        }
    }

    /// Returns when so many minutes after the beginning are over.
    pub(in crate::hl7v2) fn after(&self, minutes: i64) -> Option<String> {
        Times { start: self.start.clone(), end: None, minutes: Some(minutes) }.complete().end
    }

    /// Works out the end of what has a beginning and a length.
    #[must_use]
    pub(in crate::hl7v2) fn complete(self) -> Times {
        let begins = self.start.as_deref().and_then(|start| start.parse::<jiff::Timestamp>().ok());
        let span = self.minutes.and_then(|minutes| jiff::Span::new().try_minutes(minutes).ok());
        let ends = begins.zip(span).and_then(|(begins, span)| begins.checked_add(span).ok());
        // The offset of the beginning is the one of the place.
        let offset = self.start.as_deref().and_then(|start| start.get(start.len().checked_sub(6)?..));
        let offset = offset.and_then(|offset| dtm::offset(&offset.replace(':', "")));
        let written = ends.map(|ends| match offset {
            Some(offset) => ends.display_with_offset(offset).to_string(),
            None => ends.to_string(),
        });
        Times { end: self.end.or(written), ..self }
    }
}

/// Begins the Appointment of a segment: its status, or else what the event says.
pub(in crate::hl7v2) fn appointment(work: &mut Work<'_>, segment: &Segment<'_>, status: &str) -> Draft {
    let source = work.source;
    let mut appointment = Draft::new("Appointment");
    work.fill(&mut appointment, segment, ROWS);
    let told = source.value(segment, 25).filter(|value| !value.is_null());
    let kind = As::Code(&FILLER_STATUS);
    let told = told.and_then(|value| work.convert(&mut appointment, value, &kind));
    appointment.put("status", told.unwrap_or_else(|| json!(status)));
    if let Some(reason) = source.value(segment, 6) {
        // Why an event happened says of an appointment why it is cancelled. R4 lets no other have a reason: its
        // rule for those to which nobody came (app-4) names a status that there is none of.
        let is_off = appointment.element("status") == "cancelled";
        if is_off && let Some(reason) = work.convert(&mut appointment, reason, &REASON) {
            appointment.put("cancelationReason", reason);
        }
    }
    appointment
}

/// Reads when it is: SCH-9 and SCH-10, SCH-11.
pub(in crate::hl7v2) fn times(work: &mut Work<'_>, segment: &Segment<'_>) -> Times {
    let source = work.source;
    let minutes = minutes(source.value(segment, 9), source.value(segment, 10));
    let Some(timing) = source.value(segment, 11) else {
        return Times { minutes, ..Times::default() };
    };
    let instant = |part| instant(work, timing.part(part));
    Times { start: instant(4), end: instant(5), minutes }
}

/// Reads a time that is precise enough for an appointment.
pub(in crate::hl7v2) fn instant(work: &Work<'_>, value: Option<Value<'_>>) -> Option<String> {
    let mark = work.source.mark();
    let time = dtm::read(work, value).filter(|time| time.contains('T'));
    if time.is_none() {
        work.source.forget_since(mark);
    }
    time
}

/// Reads a length of time as minutes, where its units tell that it is some.
pub(in crate::hl7v2) fn minutes(value: Option<Value<'_>>, units: Option<Value<'_>>) -> Option<i64> {
    let number: i64 = value?.peek()?.trim().parse().ok().filter(|number| *number > 0)?;
    let unit = units.and_then(Value::peek).map(|unit| unit.trim().to_ascii_lowercase());
    let minutes = match unit.as_deref() {
        Some("s" | "sec" | "seconds") if number % 60 == 0 => number / 60,
        Some("m" | "min" | "mins" | "minute" | "minutes") | None => number,
        Some("h" | "hr" | "hour" | "hours") => number.checked_mul(60)?,
        Some("d" | "day" | "days") => number.checked_mul(1440)?,
        _ => return None,
    };
    value?.text()?;
    units.into_iter().for_each(Value::note_all);
    Some(minutes)
}

/// Tells whether a participant is somebody to ask, and nobody whose time it takes.
pub(in crate::hl7v2) fn is_contact(participant: &Json) -> bool {
    let system = participant["type"][0]["coding"][0]["system"].as_str().unwrap_or_default();
    system == CONTACTS || system.ends_with(ENTERERS)
}

/// Returns what an appointment is known by: the number of who fills it, or else of who
/// asked for it.
pub(in crate::hl7v2) fn number(appointment: &Draft) -> Option<Json> {
    ei::number(appointment, &["FILL", "PLAC"])
}

//! TQ1: when and how often.
//!
//! Spec: HL7 v2-to-FHIR, TQ1[MedicationRequest], TQ1[ServiceRequest]

use serde_json::{Map, Value as Json, json};

use super::note;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::PRIORITY;
use crate::hl7v2::map::types::dtm::{DTM, period};
use crate::hl7v2::map::types::quantity::{self, CQ};
use crate::hl7v2::map::types::text::{ST, ST_CONCEPT};
use crate::hl7v2::map::work::Work;

/// Units of time, as senders write them and as FHIR does.
const UNITS: &[(&str, &str)] = &[
    ("s", "s"),
    ("sec", "s"),
    ("m", "min"),
    ("min", "min"),
    ("h", "h"),
    ("hr", "h"),
    ("d", "d"),
    ("day", "d"),
    ("w", "wk"),
    ("wk", "wk"),
    ("l", "mo"),
    ("mo", "mo"),
    ("y", "a"),
    ("a", "a"),
];

const REQUEST: &[Row] = &[
    ("TQ1-2", "dosageInstruction.doseAndRate.doseQuantity", CQ),
    ("TQ1-9", "priority", As::Code(&PRIORITY)),
    ("TQ1-10", "dosageInstruction.additionalInstruction", ST_CONCEPT),
    ("TQ1-11", "dosageInstruction.text", ST),
];

const SERVICE: &[Row] = &[
    ("TQ1-2", "quantityQuantity", CQ),
    ("TQ1-9", "priority", As::Code(&PRIORITY)),
    ("TQ1-11", "patientInstruction", ST),
];

/// Reads a segment into a request of a medication.
pub(in crate::hl7v2) fn of_medication(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>) {
    note(work.source, segment, &[1]);
    work.fill(request, segment, REQUEST);
    if request.takes("dosageInstruction.timing")
        && let Some(timing) = timing(work, segment)
    {
        request.put("dosageInstruction.timing", timing);
    }
}

/// Reads a segment into a request of a service: when it is to be done.
pub(in crate::hl7v2) fn of_service(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>) {
    let source = work.source;
    note(source, segment, &[1]);
    work.fill(request, segment, SERVICE);
    if !request.takes("occurrenceDateTime") {
        return;
    }
    let is_repeated = [3, 5, 6, 13, 14].iter().any(|field| source.value(segment, *field).is_some());
    if is_repeated {
        if let Some(timing) = timing(work, segment) {
            request.put("occurrenceTiming", timing);
        }
        return;
    }
    let (start, end) = (source.value(segment, 7), source.value(segment, 8));
    if end.is_some() {
        if let Some(period) = period(work, start, end) {
            request.put("occurrencePeriod", period);
        }
    } else if let Some(at) = start.and_then(|start| work.convert(request, start, &DTM)) {
        request.put("occurrenceDateTime", at);
    }
}

/// Makes the Timing of what a segment tells.
fn timing(work: &mut Work<'_>, segment: &Segment<'_>) -> Option<Json> {
    let source = work.source;
    let mut repeat = Map::new();
    let (start, end) = (source.value(segment, 7), source.value(segment, 8));
    if let Some(bounds) = period(work, start, end) {
        repeat.insert("boundsPeriod".to_owned(), bounds);
    } else if let Some(length) = source.value(segment, 6)
        && let Some((value, unit)) = length_of_time(length.part(1), length.part(2))
    {
        let duration =
            json!({ "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit });
        repeat.insert("boundsDuration".to_owned(), duration);
    }
    if let Some(length) = source.value(segment, 13)
        && let Some((value, unit)) = length_of_time(length.part(1), length.part(2))
    {
        repeat.insert("duration".to_owned(), value);
        repeat.insert("durationUnit".to_owned(), json!(unit));
    }
    if let Some(count) = source.value(segment, 14)
        && let Some(count) = count.peek().and_then(|text| text.trim().parse::<u32>().ok()).filter(|n| *n > 0)
    {
        note(source, segment, &[14]);
        repeat.insert("count".to_owned(), json!(count));
    }
    let mut timing = Map::new();
    if let Some(pattern) = source.value(segment, 3) {
        often(pattern, &mut repeat, &mut timing);
    }
    if !repeat.is_empty() {
        timing.insert("repeat".to_owned(), Json::Object(repeat));
    }
    (!timing.is_empty()).then_some(Json::Object(timing))
}

/// RPT: how often. Patterns of table 0335 that say it in numbers are numbers;
/// all others stay as they are called.
fn often(pattern: Value<'_>, repeat: &mut Map<String, Json>, timing: &mut Map<String, Json>) {
    // RPT.1 is coded, and its code is what it begins with.
    let Some(code) = pattern.text_of(1) else { return };
    let code = code.trim();
    let period = |unit: &str| {
        let rest = code.strip_prefix('Q')?.strip_suffix(unit)?;
        rest.parse::<u32>().ok().filter(|n| *n > 0)
    };
    let said = match code {
        "QD" => Some((1, 1, "d")),
        "BID" => Some((2, 1, "d")),
        "TID" => Some((3, 1, "d")),
        "QID" => Some((4, 1, "d")),
        "QOD" => Some((1, 2, "d")),
        _ => [("S", "s"), ("M", "min"), ("H", "h"), ("D", "d"), ("W", "wk"), ("L", "mo")]
            .iter()
            .find_map(|(end, unit)| Some((1, period(end)?, *unit))),
    };
    match said {
        Some((frequency, every, unit)) => {
            repeat.insert("frequency".to_owned(), json!(frequency));
            repeat.insert("period".to_owned(), json!(every));
            repeat.insert("periodUnit".to_owned(), json!(unit));
        }
        None => {
            timing.insert("code".to_owned(), json!({ "text": code }));
        }
    }
}

fn length_of_time(value: Option<Value<'_>>, units: Option<Value<'_>>) -> Option<(Json, &'static str)> {
    let unit = units?.peek()?.trim().to_ascii_lowercase();
    let unit = UNITS.iter().find(|(told, _)| unit == *told).map(|(_, unit)| *unit)?;
    let number = quantity::number(&value?.peek()?)?;
    value.into_iter().chain(units).for_each(Value::note_all);
    Some((number, unit))
}

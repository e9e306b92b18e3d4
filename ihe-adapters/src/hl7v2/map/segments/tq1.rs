//! TQ1, and TQ of older versions: when and how often.
//!
//! Spec: HL7 v2-to-FHIR, TQ1[MedicationRequest], TQ1[ServiceRequest], TQ[ServiceRequest]

use jiff::{Span, civil};
use serde_json::{Map, Value as Json, json};

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::tables::PRIORITY;
use crate::hl7v2::map::types::dtm::{DTM, TM, period};
use crate::hl7v2::map::types::quantity::{self, CQ};
use crate::hl7v2::map::types::text::{ANNOTATION, ST, ST_CONCEPT};
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

/// Where TQ has what TQ1 has: the field of TQ1, the component of TQ.
const OLDER: &[(usize, usize)] =
    &[(2, 1), (3, 2), (7, 4), (8, 5), (9, 6), (10, 7), (11, 8), (13, 11), (14, 12)];

/// How long in TQ: `D7` is seven days, `X3` three times.
const OLDER_LENGTH: usize = 3;

const SERVICE: &[(usize, &str, As)] = &[
    (2, "quantityQuantity", CQ),
    (9, "priority", As::Code(&PRIORITY)),
    (10, "asNeededCodeableConcept", ST_CONCEPT),
    (11, "note", ANNOTATION),
];

const REQUEST: &[(usize, &str, As)] = &[(9, "priority", As::Code(&PRIORITY))];

const DOSAGE: &[(usize, &str, As)] = &[(10, "additionalInstruction", ST_CONCEPT), (11, "text", ST)];

/// What tells when and how often: TQ1, or TQ of older versions (ORC-7, OBR-27, RXE-1).
#[derive(Clone, Copy)]
pub(in crate::hl7v2) enum Told<'a> {
    /// TQ1.
    Segment(&'a Segment<'a>),
    /// TQ.
    Older(Value<'a>),
}

impl<'a> Told<'a> {
    /// Finds what tells of an order: TQ1 among its segments, or else what fields of these are TQ.
    pub(in crate::hl7v2) fn of(
        source: &'a Source<'a>,
        segments: impl IntoIterator<Item = &'a Segment<'a>>,
        older: &[(&'a Segment<'a>, usize)],
    ) -> Vec<Told<'a>> {
        let found = segments.into_iter().filter(|segment| segment.name == "TQ1").map(Told::Segment);
        let found: Vec<Told<'a>> = found.collect();
        if !found.is_empty() {
            return found;
        }
        let mut fields = older.iter().map(|(segment, field)| source.values(segment, *field));
        let told = fields.by_ref().find(|values| !values.is_empty()).unwrap_or_default();
        for again in fields {
            // OBR often says once more what ORC said.
            let is_same = again.iter().map(|value| value.raw()).eq(told.iter().map(|value| value.raw()));
            again.into_iter().filter(|_| is_same).for_each(Value::note_all);
        }
        told.into_iter().map(Told::Older).collect()
    }

    fn values<'v>(self, source: &'v Source<'v>, field: usize) -> Vec<Value<'v>>
    where
        'a: 'v,
    {
        match self {
            Told::Segment(segment) => source.values(segment, field),
            Told::Older(value) => {
                let part = OLDER.iter().find(|(newer, _)| *newer == field);
                part.and_then(|(_, part)| value.part(*part)).into_iter().collect()
            }
        }
    }

    fn value<'v>(self, source: &'v Source<'v>, field: usize) -> Option<Value<'v>>
    where
        'a: 'v,
    {
        self.values(source, field).into_iter().next()
    }

    /// Reads how long it goes on: how many of which unit of FHIR.
    fn length(self, source: &Source<'_>) -> Option<(Json, &'static str)> {
        let Told::Older(value) = self else {
            let length = self.value(source, 6)?;
            return length_of_time(length.part(1), length.part(2));
        };
        let (unit, number) = older_length(value)?;
        let unit = UNITS.iter().find(|(told, _)| unit.eq_ignore_ascii_case(told)).map(|(_, unit)| *unit)?;
        value.text_of(OLDER_LENGTH);
        Some((json!(number), unit))
    }

    /// Reads how often at most.
    fn count(self, source: &Source<'_>) -> Option<u32> {
        let told = self.value(source, 14);
        let count = told.and_then(Value::peek).and_then(|text| text.trim().parse::<u32>().ok());
        if let Some(count) = count.filter(|count| *count > 0) {
            told.into_iter().for_each(Value::note_all);
            return Some(count);
        }
        let Told::Older(value) = self else { return None };
        let (_, number) = older_length(value).filter(|(unit, _)| unit == "X")?;
        value.text_of(OLDER_LENGTH);
        Some(number)
    }
}

/// Takes `D7` apart.
fn older_length(value: Value<'_>) -> Option<(String, u32)> {
    let text = value.peek_of(OLDER_LENGTH)?;
    let (unit, number) = text.trim().split_at_checked(1)?;
    Some((unit.to_owned(), number.parse().ok().filter(|number| *number > 0)?))
}

fn tell(work: &mut Work<'_>, draft: &mut Draft, told: Told<'_>, rows: &[(usize, &str, As)]) {
    let source = work.source;
    for (field, element, kind) in rows {
        for value in told.values(source, *field) {
            work.tell(draft, value, element, kind);
        }
    }
    told.values(source, 1).into_iter().for_each(Value::note_all);
}

/// Says in a request of a medication when it is to be taken: each of what is told is a dosage of its own, in
/// its order, with dose and way of the whole.
pub(in crate::hl7v2) fn of_medication(work: &mut Work<'_>, request: &mut Draft, all: &[Told<'_>]) {
    let source = work.source;
    let whole = request.element("dosageInstruction")[0].clone();
    let mut dosages: Vec<Json> = Vec::new();
    for (at, told) in all.iter().enumerate() {
        if at == 0 {
            tell(work, request, *told, REQUEST);
        } else if let Some(first) = all.first() {
            said_again(source, *first, *told, REQUEST);
        }
        let mut dosage = Draft::part("Dosage");
        if all.len() > 1 {
            dosage.put("sequence", json!(at + 1));
        }
        tell(work, &mut dosage, *told, DOSAGE);
        if let Some(quantity) = told.value(source, 2)
            && let Some(quantity) = work.convert(&mut dosage, quantity, &CQ)
        {
            dosage.put("doseAndRate", json!({ "doseQuantity": quantity }));
        }
        if let Some(timing) = timing(work, *told) {
            dosage.put("timing", timing);
        }
        dosages.push(joined(&whole, dosage.finish()));
    }
    dosages.retain(|dosage| dosage.as_object().is_some_and(|members| !members.is_empty()));
    if !dosages.is_empty() {
        request.set("dosageInstruction", json!(dosages));
    }
}

/// Notes what of an order is said again with each dosage.
fn said_again(source: &Source<'_>, first: Told<'_>, told: Told<'_>, rows: &[(usize, &str, As)]) {
    for (field, _, _) in rows {
        let before: Vec<String> = first.values(source, *field).into_iter().map(Value::raw).collect();
        let again = told.values(source, *field);
        again.into_iter().filter(|value| before.contains(&value.raw())).for_each(Value::note_all);
    }
}

/// Puts what is told of a dosage beside what is told of all.
fn joined(whole: &Json, told: Json) -> Json {
    let mut all = whole.as_object().cloned().unwrap_or_default();
    let Json::Object(told) = told else { return whole.clone() };
    for (name, value) in told {
        match (all.get_mut(&name), value) {
            (Some(Json::Array(items)), Json::Array(more)) => items.extend(more),
            (_, value) => {
                all.insert(name, value);
            }
        }
    }
    Json::Object(all)
}

/// Says in a request of a service when it is to be done.
pub(in crate::hl7v2) fn of_service(work: &mut Work<'_>, request: &mut Draft, told: Told<'_>) {
    let source = work.source;
    tell(work, request, told, SERVICE);
    if !request.takes("occurrenceDateTime") {
        return;
    }
    let (start, end) = (told.value(source, 7), told.value(source, 8));
    let is_older_length = matches!(told, Told::Older(value) if value.part(OLDER_LENGTH).is_some());
    let is_repeated = [3, 4, 6, 13, 14].iter().any(|field| told.value(source, *field).is_some());
    if is_repeated || is_older_length {
        if let Some(timing) = timing(work, told) {
            request.put("occurrenceTiming", timing);
        }
    } else if end.is_some() {
        if let Some(period) = period(work, start, end) {
            request.put("occurrencePeriod", period);
        }
    } else if let Some(at) = start.and_then(|start| work.convert(request, start, &DTM)) {
        request.put("occurrenceDateTime", at);
    }
}

/// Makes the Timing of what is told.
fn timing(work: &mut Work<'_>, told: Told<'_>) -> Option<Json> {
    let source = work.source;
    let mut repeat = Map::new();
    bounds(work, told, &mut repeat);
    if let Some(length) = told.value(source, 13)
        && let Some((value, unit)) = length_of_time(length.part(1), length.part(2))
    {
        repeat.insert("duration".to_owned(), value);
        repeat.insert("durationUnit".to_owned(), json!(unit));
    }
    if let Some(count) = told.count(source) {
        repeat.insert("count".to_owned(), json!(count));
    }
    let mut timing = Map::new();
    if let Some(pattern) = told.value(source, 3) {
        often(pattern, &mut repeat, &mut timing);
    }
    let mut unused = Draft::part("Timing");
    let times = told.values(source, 4);
    let times: Vec<Json> =
        times.into_iter().filter_map(|time| work.convert(&mut unused, time, &TM)).collect();
    if !times.is_empty() {
        repeat.insert("timeOfDay".to_owned(), json!(times));
    }
    if !repeat.is_empty() {
        timing.insert("repeat".to_owned(), Json::Object(repeat));
    }
    (!timing.is_empty()).then_some(Json::Object(timing))
}

/// From when to when, or for how long: a beginning and a length tell when it ends.
fn bounds(work: &Work<'_>, told: Told<'_>, repeat: &mut Map<String, Json>) {
    let source = work.source;
    let (start, end) = (told.value(source, 7), told.value(source, 8));
    let Some(mut bounds) = period(work, start, end) else {
        if let Some((value, unit)) = told.length(source) {
            let length =
                json!({ "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit });
            repeat.insert("boundsDuration".to_owned(), length);
        }
        return;
    };
    if let (Some(start), true) = (bounds["start"].as_str(), bounds["end"].is_null()) {
        let mark = source.mark();
        let length = told.length(source);
        match length.and_then(|(number, unit)| after(work, start, number.as_i64()?, unit)) {
            Some(end) => bounds["end"] = json!(end),
            None => source.forget_since(mark),
        }
    }
    repeat.insert("boundsPeriod".to_owned(), bounds);
}

/// Returns when a length of time after a dateTime of FHIR is over; `None` where that is more precise than the
/// beginning.
fn after(work: &Work<'_>, start: &str, number: i64, unit: &str) -> Option<String> {
    let span = match unit {
        "s" => Span::new().try_seconds(number),
        "min" => Span::new().try_minutes(number),
        "h" => Span::new().try_hours(number),
        "d" => Span::new().try_days(number),
        "wk" => Span::new().try_weeks(number),
        "mo" => Span::new().try_months(number),
        _ => Span::new().try_years(number),
    }
    .ok()?;
    let Some((_, time)) = start.split_once('T') else {
        let is_of_days = matches!(unit, "d" | "wk" | "mo" | "a");
        let day: civil::Date = start.parse().ok().filter(|_| is_of_days && start.len() == 10)?;
        // A period of FHIR has its last day in it.
        return Some(day.checked_add(span).ok()?.yesterday().ok()?.to_string());
    };
    let zone_at = start.len() - time.len() + time.find(['+', '-', 'Z'])?;
    let (clock, offset) = start.split_at_checked(zone_at)?;
    let clock: civil::DateTime = clock.parse().ok()?;
    // Where the zone is that of the place, a day is a day there, however many hours it has.
    let here = work.zone.to_zoned_datetime(clock).ok()?;
    let written = |at: civil::DateTime| at.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string();
    if here.strftime("%:z").to_string() == offset {
        let end = here.checked_add(span).ok()?;
        return Some(format!("{}{}", written(end.datetime()), end.strftime("%:z")));
    }
    Some(format!("{}{offset}", written(clock.checked_add(span).ok()?)))
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

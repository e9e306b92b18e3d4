//! DTM, TS, DT, TM, DR: times, as precise as they were told.
//!
//! Spec: HL7 v2.5.1 sections 2.A.21, 2.A.22, 2.A.77; FHIR R4 dateTime

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value as Json, json};

use super::{filled, put};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// A point in time.
pub(in crate::hl7v2) const DTM: As = As::Of(as_date_time);

/// A day; the time of day, if there is one, stays unread with it.
pub(in crate::hl7v2) const DATE: As = As::Of(as_date);

/// An instant: nothing less precise than a minute.
pub(in crate::hl7v2) const INSTANT: As = As::Of(as_instant);

/// A time of day.
pub(in crate::hl7v2) const TM: As = As::Of(as_time);

/// A range of times (DR), as Period.
pub(in crate::hl7v2) const DR: As = As::Of(as_period);

/// A time, taken apart.
struct Told {
    date: String,
    /// Hour, minute, second and what is less, as FHIR writes them.
    time: Option<String>,
    offset: Option<Offset>,
    day: Option<civil::DateTime>,
}

/// Takes a time apart: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`.
fn told(text: &str) -> Option<Told> {
    let text = text.trim();
    let zone_at = text.rfind(['+', '-']).unwrap_or(text.len());
    let (stamp, zone) = text.split_at(zone_at);
    let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
    let (digits, fraction) = match stamp.split_once('.') {
        Some((digits, fraction)) => (digits, Some(fraction)),
        None => (stamp, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_whole = matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) && is_number(digits);
    let has_fraction = fraction.is_none_or(|f| is_number(f) && f.len() <= 9 && digits.len() == 14);
    if !is_whole || !has_fraction {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|text| text.parse::<i16>().ok());
    let (year, month, day) = (number(0, 4)?, number(4, 6), number(6, 8));
    let part = |number: Option<i16>| number.and_then(|number| i8::try_from(number).ok());
    let (month, day) = (part(month), part(day));
    // What is not told is taken as the first, to see whether there is such a day.
    let date = civil::Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok().filter(|_| year > 0)?;
    let (hour, minute, second) = (part(number(8, 10)), part(number(10, 12)), part(number(12, 14)));
    let time = civil::Time::new(hour.unwrap_or(0), minute.unwrap_or(0), second.unwrap_or(0), 0).ok()?;
    let written = match (month, day) {
        (None, _) => format!("{year:04}"),
        (Some(month), None) => format!("{year:04}-{month:02}"),
        (Some(month), Some(day)) => format!("{year:04}-{month:02}-{day:02}"),
    };
    let time_written = hour.map(|_| {
        let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
        format!("{}{fraction}", time.strftime("%H:%M:%S"))
    });
    let at = civil::DateTime::from_parts(date, time);
    Some(Told { date: written, time: time_written, offset, day: day.map(|_| at) })
}

/// Reads `+ZZZZ`.
pub(in crate::hl7v2) fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = (text.get(..1)?, text.get(1..).filter(|d| d.len() == 4)?);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i32>().ok());
    let (hours, minutes) = (number(digits.get(..2))?, number(digits.get(2..))?);
    let is_offset = hours <= 14 && minutes < 60 && digits.bytes().all(|b| b.is_ascii_digit());
    let seconds = (hours * 60 + minutes) * 60;
    is_offset.then(|| Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok())?
}

/// Returns the offset that a time says it has.
pub(in crate::hl7v2) fn zone_of(text: &str) -> Option<TimeZone> {
    told(text)?.offset.map(TimeZone::fixed)
}

/// Returns a dateTime of FHIR; a time of day has the zone that it says, or `zone`.
pub(in crate::hl7v2) fn date_time(text: &str, zone: &TimeZone) -> Option<String> {
    let told = told(text)?;
    let Some(time) = told.time else { return Some(told.date) };
    let offset = match told.offset {
        Some(offset) => offset,
        None => zone.to_zoned_datetime(told.day?).ok()?.offset(),
    };
    let seconds = offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    Some(format!("{}T{time}{sign}{:02}:{:02}", told.date, minutes / 60, minutes % 60))
}

/// Returns the day of a time.
pub(in crate::hl7v2) fn date(text: &str) -> Option<String> {
    Some(told(text)?.date)
}

/// Reads a time and returns it as a dateTime of FHIR.
pub(in crate::hl7v2) fn read(work: &Work<'_>, value: Option<Value<'_>>) -> Option<String> {
    let value = value?;
    let time = date_time(&precise(value)?, &work.zone)?;
    value.text()?;
    value.text_of(2);
    Some(time)
}

/// Returns a time as precise as TS.2 says that it is.
fn precise(value: Value<'_>) -> Option<String> {
    let text = value.peek()?;
    let length = match value.peek_of(2).as_deref() {
        Some("Y") => 4,
        Some("L") => 6,
        Some("D") => 8,
        _ => text.len(),
    };
    Some(text.get(..length).unwrap_or(&text).to_owned())
}

/// Makes a Period of two times.
pub(in crate::hl7v2) fn period(
    work: &Work<'_>,
    start: Option<Value<'_>>,
    end: Option<Value<'_>>,
) -> Option<Json> {
    let mut period = Map::new();
    put(&mut period, "start", read(work, start));
    put(&mut period, "end", read(work, end));
    filled(period)
}

fn as_date_time(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    read(work, Some(value)).map(Json::from)
}

fn as_date(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let text = precise(value)?;
    let date = date(&text).filter(|_| told(&text).is_some_and(|told| told.time.is_none()))?;
    value.text()?;
    value.text_of(2);
    Some(json!(date))
}

fn as_instant(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    read(work, Some(value)).filter(|time| time.contains('T')).map(Json::from)
}

fn as_time(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    // A time of day is what stands behind the day; a zone is no part of it.
    let told = told(&format!("20000101{}", value.peek()?)).filter(|told| told.offset.is_none())?;
    value.text()?;
    told.time.map(Json::from)
}

fn as_period(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    period(work, value.part(1), value.part(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_precise_as_they_were() {
        let rome = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        for (text, expected) in [
            ("2024", Some("2024")),
            ("202402", Some("2024-02")),
            ("20240229", Some("2024-02-29")),
            ("20240229103000", Some("2024-02-29T10:30:00+01:00")),
            ("202407291030", Some("2024-07-29T10:30:00+02:00")),
            ("2024072910", Some("2024-07-29T10:00:00+02:00")),
            ("20240229103000.1234", Some("2024-02-29T10:30:00.1234+01:00")),
            ("20240229103000-0500", Some("2024-02-29T10:30:00-05:00")),
            ("20240229+0100", Some("2024-02-29")),
            ("20230229", None),
            ("20241301", None),
            ("2024022925", None),
            ("202402291", None),
            ("20240229103000.", None),
            ("20240229103000+1", None),
            ("0000", None),
            ("ieri", None),
            ("", None),
        ] {
            assert_eq!(date_time(text, &rome).as_deref(), expected, "{text}");
        }
    }
}

//! Points in time (TS) and intervals of them (IVL_TS).

use jiff::Timestamp;

use super::{at, attribute, element};
use crate::wire::xml::Element;

/// Writes a moment, in UTC.
pub fn written(at: Timestamp) -> String {
    format!("{}+0000", at.strftime("%Y%m%d%H%M%S"))
}

/// Reads the value of an element as FHIR writes it: a date, or a date and time
/// where the value has a zone. A time without one is its date, and `true`
/// beside it says that something is left out.
///
/// `None` when it is no time.
pub fn to_fhir(value: &str) -> Option<(String, bool)> {
    let (local, zone) = match value.find(['+', '-', 'Z']) {
        Some(at) => (&value[..at], Some(&value[at..])),
        None => (value, None),
    };
    let (whole, fraction) = local.split_once('.').map_or((local, None), |(whole, part)| (whole, Some(part)));
    if !is_time(whole) || fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let zone = match zone {
        Some(zone) => Some(offset(zone)?),
        None => None,
    };
    let part = |from: usize, to: usize| whole.get(from..to);
    let mut date = part(0, 4)?.to_owned();
    for part in [part(4, 6), part(6, 8)].into_iter().flatten() {
        date.push('-');
        date.push_str(part);
    }
    let Some(hour) = part(8, 10) else { return Some((date, false)) };
    let Some(zone) = zone else { return Some((date, true)) };
    let (minute, second) = (part(10, 12).unwrap_or("00"), part(12, 14).unwrap_or("00"));
    let fraction = fraction.map(|part| format!(".{}", &part[..part.len().min(9)])).unwrap_or_default();
    Some((format!("{date}T{hour}:{minute}:{second}{fraction}{zone}"), false))
}

/// Tells whether digits are a time: `YYYY[MM[DD[hh[mm[ss]]]]]`.
fn is_time(digits: &str) -> bool {
    if !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let number = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<i8>().ok());
    let year = digits.get(..4).and_then(|year| year.parse().ok()).unwrap_or(-1);
    jiff::civil::Date::new(year, number(4).unwrap_or(1), number(6).unwrap_or(1)).is_ok()
        && number(8).is_none_or(|hour| hour < 24)
        && [10, 12].into_iter().all(|at| number(at).is_none_or(|part| part < 60))
}

/// Reads `Z`, `+01`, `+0100` or `-0330` as FHIR writes it.
fn offset(zone: &str) -> Option<String> {
    if zone == "Z" {
        return Some("Z".to_owned());
    }
    let digits = zone.get(1..).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let is_real = hours.parse::<u8>().is_ok_and(|h| h <= 14) && minutes.parse::<u8>().is_ok_and(|m| m < 60);
    is_real.then(|| format!("{}{hours}:{minutes}", &zone[..1]))
}

/// Writes a date or time of FHIR as a value; `None` when it is none.
pub fn from_fhir(text: &str) -> Option<String> {
    let Some((date, time)) = text.split_once('T') else {
        let value: String = text.chars().filter(|c| *c != '-').collect();
        return is_time(&value).then_some(value);
    };
    let (clock, zone) = match time.find(['+', '-', 'Z']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let (clock, fraction) = clock.split_once('.').map_or((clock, ""), |(clock, fraction)| (clock, fraction));
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let whole = [digits(date), digits(clock)].concat();
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let zone = if zone == "Z" { "+0000".to_owned() } else { zone.replace(':', "") };
    is_time(&whole).then(|| [whole, fraction, zone].concat())
}

/// From when to when; either may be open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interval {
    /// Its begin, as it is written.
    pub low: Option<String>,
    /// Its end, as it is written.
    pub high: Option<String>,
    /// A moment or day that it is, as it is written.
    pub value: Option<String>,
}

impl Interval {
    /// Reads one.
    pub fn of(element: &Element) -> Interval {
        let bound = |local| at(element, &[local]).and_then(|bound| attribute(bound, "value"));
        Interval {
            low: bound("low").map(str::to_owned),
            high: bound("high").map(str::to_owned),
            value: attribute(element, "value").or_else(|| bound("center")).map(str::to_owned),
        }
    }

    /// Tells whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        *self == Interval::default()
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let bound = |local: &str, value: &Option<String>| {
            value.as_deref().map(|value| element(local).with_attribute("value", value))
        };
        element(local)
            .with_attribute_if("value", self.value.as_deref())
            .with_children(bound("low", &self.low))
            .with_children(bound("high", &self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_in_both_ways_of_writing() {
        for (value, fhir, back) in [
            ("1977", "1977", "1977"),
            ("197712", "1977-12", "197712"),
            ("19771208", "1977-12-08", "19771208"),
            ("197712081430+0100", "1977-12-08T14:30:00+01:00", "19771208143000+0100"),
            ("19771208143001.25-0330", "1977-12-08T14:30:01.25-03:30", "19771208143001.25-0330"),
            ("19771208143001Z", "1977-12-08T14:30:01Z", "19771208143001+0000"),
        ] {
            assert_eq!(to_fhir(value), Some((fhir.to_owned(), false)), "{value}");
            assert_eq!(from_fhir(fhir).as_deref(), Some(back), "{fhir}");
        }
        assert_eq!(to_fhir("197712081430"), Some(("1977-12-08".to_owned(), true)));
        for wrong in [
            "",
            "1977-12-08",
            "19771308",
            "ieri",
            "19771208.x",
            "1977120814.",
            "é",
            "+01",
            "197712081430+9900",
        ] {
            assert_eq!(to_fhir(wrong), None, "{wrong}");
        }
        assert_eq!((from_fhir("ieri"), from_fhir("1977-13-01")), (None, None));
    }

    #[test]
    fn an_interval_has_bounds_or_a_value() {
        let bound = |local| element(local).with_attribute("value", "1977");
        for whole in [
            element("value").with_child(bound("low")).with_child(bound("high")),
            bound("value"),
            element("value").with_child(bound("high")),
        ] {
            assert_eq!(Interval::of(&whole).to_element("value"), whole);
        }
        assert!(Interval::of(&element("value")).is_empty());
        let center = Interval::of(&element("value").with_child(bound("center")));
        assert_eq!(center.value.as_deref(), Some("1977"));
    }
}

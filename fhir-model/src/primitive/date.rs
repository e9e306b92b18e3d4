//! `date`, `dateTime` and `instant`: points in time with a precision, and the
//! interval that each covers.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#dateTime>

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// To what unit a date is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-02`
    Month,
    /// `2024-02-29`
    Day,
    /// `2024-02-29T10`, in searches and FHIRPath only.
    Hour,
    /// `2024-02-29T10:30`, in searches and FHIRPath only.
    Minute,
    /// `2024-02-29T10:30:00`
    Second,
    /// `2024-02-29T10:30:00.123`, with so many digits (at most 9).
    Fraction(u8),
}

/// A date that may be partial, with or without time and zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialDate {
    /// The first moment it covers, in local time.
    pub local: DateTime,
    /// To what unit it is known.
    pub precision: Precision,
    /// The zone, where one is given.
    pub offset: Option<Offset>,
}

impl PartialDate {
    /// Parses `YYYY[-MM[-DD[Thh[:mm[:ss[.f]]][zone]]]]`; `None` for anything else.
    ///
    /// Wider than `dateTime`, since searches may leave out seconds and zone;
    /// see [`PartialDate::is_date_time`].
    pub fn parse(text: &str) -> Option<PartialDate> {
        let b = text.as_bytes();
        let year = digits(b.get(0..4)?)?;
        if year == 0 {
            return None;
        }
        let (mut month, mut day) = (1, 1);
        let mut precision = Precision::Year;
        let mut at = 4;
        if b.get(4) == Some(&b'-') {
            month = digits(b.get(5..7)?)?;
            precision = Precision::Month;
            at = 7;
            if b.get(7) == Some(&b'-') {
                day = digits(b.get(8..10)?)?;
                precision = Precision::Day;
                at = 10;
            }
        }
        let date = Date::new(year as i16, month as i8, day as i8).ok()?;
        if at == b.len() {
            return Some(PartialDate {
                local: date.to_datetime(jiff::civil::Time::midnight()),
                precision,
                offset: None,
            });
        }
        if precision != Precision::Day || b[at] != b'T' {
            return None;
        }
        let (time, precision, used) = parse_time(&b[at + 1..])?;
        let offset = parse_offset(&b[at + 1 + used..])?;
        Some(PartialDate { local: date.to_datetime(time), precision, offset })
    }

    /// Tells whether it has a time of day.
    pub fn has_time(&self) -> bool {
        self.precision > Precision::Day
    }

    /// Tells whether it is in the grammar of `dateTime`: a time has seconds and a zone.
    pub fn is_date_time(&self) -> bool {
        !self.has_time() || (self.precision >= Precision::Second && self.offset.is_some())
    }

    /// Tells whether it is in the grammar of `instant`.
    pub fn is_instant(&self) -> bool {
        self.has_time() && self.is_date_time()
    }

    /// Returns the half-open UTC interval that it covers, in microseconds
    /// since 1970. Without a zone it is read as UTC.
    ///
    /// `2024-02` covers `[2024-02-01T00:00:00Z, 2024-03-01T00:00:00Z)`.
    ///
    /// Spec: <https://hl7.org/fhir/R4/search.html#date>
    pub fn interval(&self) -> (i64, i64) {
        let low = self.utc_micros(self.local);
        let date = self.local.date();
        let high = match self.precision {
            Precision::Year => self.utc_micros(next_month(date.year(), 12)),
            Precision::Month => self.utc_micros(next_month(date.year(), date.month())),
            Precision::Day => low + DAY_MICROS,
            Precision::Hour => low + 3_600_000_000,
            Precision::Minute => low + 60_000_000,
            Precision::Second => low + 1_000_000,
            Precision::Fraction(digits) => low + 10i64.pow(6 - u32::from(digits.min(6))),
        };
        (low, high)
    }

    fn utc_micros(&self, local: DateTime) -> i64 {
        let zone = self.offset.unwrap_or(Offset::UTC);
        // At the ends of the calendar the zone may lead out of it: then the zone is left out.
        let instant = zone.to_timestamp(local).or_else(|_| Offset::UTC.to_timestamp(local));
        instant.map_or(i64::MAX - DAY_MICROS, |t| t.as_microsecond())
    }
}

/// The first moment of the month after `year`-`month`; past the calendar, its last moment.
fn next_month(year: i16, month: i8) -> DateTime {
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Date::new(year, month, 1).map_or(DateTime::MAX, |d| d.to_datetime(jiff::civil::Time::midnight()))
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value, b| b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0')))
}

/// Parses `hh[:mm[:ss[.f]]]`; returns the bytes used.
pub(crate) fn parse_time(b: &[u8]) -> Option<(jiff::civil::Time, Precision, usize)> {
    let hour = digits(b.get(0..2)?)?;
    let (mut minute, mut second, mut nanos) = (0, 0, 0);
    let mut precision = Precision::Hour;
    let mut used = 2;
    if b.get(2) == Some(&b':') {
        minute = digits(b.get(3..5)?)?;
        precision = Precision::Minute;
        used = 5;
        if b.get(5) == Some(&b':') {
            second = digits(b.get(6..8)?)?;
            precision = Precision::Second;
            used = 8;
            if b.get(8) == Some(&b'.') {
                let fraction = b[9..].iter().take_while(|b| b.is_ascii_digit()).count();
                if fraction == 0 {
                    return None;
                }
                let kept = fraction.min(9);
                nanos = digits(&b[9..9 + kept])? * 10u32.pow(9 - kept as u32);
                precision = Precision::Fraction(kept as u8);
                used = 9 + fraction;
            }
        }
    }
    // A leap second is read as the last second it follows.
    let time = jiff::civil::Time::new(
        hour as i8,
        minute as i8,
        second.min(59 + u32::from(second > 60)) as i8,
        nanos as i32,
    );
    Some((time.ok()?, precision, used))
}

/// Parses `Z`, `+hh:mm`, `-hh:mm` or nothing; the outer `None` is an error.
fn parse_offset(b: &[u8]) -> Option<Option<Offset>> {
    match b {
        [] => Some(None),
        [b'Z'] => Some(Some(Offset::UTC)),
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hours, minutes) = (digits(&rest[0..2])?, digits(&rest[3..5])?);
            if hours > 14 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 3600 + minutes * 60) as i32;
            Offset::from_seconds(if *sign == b'-' { -seconds } else { seconds }).ok().map(Some)
        }
        _ => None,
    }
}

/// Tells whether `text` is in the grammar of `time`.
pub fn is_time(text: &str) -> bool {
    parse_time(text.as_bytes())
        .is_some_and(|(_, precision, used)| used == text.len() && precision >= Precision::Second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::instant::Instant;

    #[test]
    fn intervals() {
        for (text, low, high) in [
            ("2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("2024-02-29T10:30+01:00", "2024-02-29T09:30:00Z", "2024-02-29T09:31:00Z"),
            ("2024-02-29T10:30:15Z", "2024-02-29T10:30:15Z", "2024-02-29T10:30:16Z"),
            ("2024-02-29T10:30:15.5Z", "2024-02-29T10:30:15.5Z", "2024-02-29T10:30:15.6Z"),
        ] {
            let interval = PartialDate::parse(text).map(|d| d.interval());
            let expected = Instant::parse(low).zip(Instant::parse(high)).map(|(l, h)| (l.0, h.0));
            assert_eq!(interval, expected, "{text}");
            assert!(interval.is_some(), "{text}");
        }
    }

    #[test]
    fn ends_of_the_calendar_do_not_panic() {
        for text in ["0001", "9999", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"] {
            let (low, high) = PartialDate::parse(text).map_or((0, 0), |d| d.interval());
            assert!(low < high, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[0-9TZ:.+-]{0,32}") {
            if let Some(date) = PartialDate::parse(&text) {
                let (low, high) = date.interval();
                proptest::prop_assert!(low <= high);
            }
        }
    }
}

//! Dates and times: comparison with regard to precision, arithmetic, and the
//! boundaries of what a partial value covers.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#datetime>

use std::cmp::Ordering;

use jiff::civil::{DateTime, Time};
use jiff::tz::Offset;
use jiff::{Span, ToSpan};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::fhirpath::value::{CalendarUnit, PartialTime};
use crate::primitive::date::{PartialDate, Precision};

const SECOND_NANOS: i128 = 1_000_000_000;
/// How far the zone of a value without one may be from UTC.
const ZONE_SLACK_NANOS: i128 = 14 * 3600 * SECOND_NANOS;

/// Compares two dates; `None` when their precision does not tell.
///
/// Each covers an interval; a second or finer counts as a moment. A value
/// without zone, compared with one that has a zone, may lie in any zone.
pub(super) fn compare_dates(a: &PartialDate, b: &PartialDate) -> Option<Ordering> {
    let slack = |this: &PartialDate, other: &PartialDate| match (this.offset, other.offset) {
        (None, Some(_)) => ZONE_SLACK_NANOS,
        _ => 0,
    };
    let (a_slack, b_slack) = (slack(a, b), slack(b, a));
    let ((a_low, a_high), (b_low, b_high)) = (span(a), span(b));
    compare_spans((a_low - a_slack, a_high + a_slack), (b_low - b_slack, b_high + b_slack))
}

/// Compares two times of day; `None` when their precision does not tell.
pub(super) fn compare_times(a: &PartialTime, b: &PartialTime) -> Option<Ordering> {
    let span = |time: &PartialTime| {
        let low = time_nanos(time.time);
        (low, low + width(time.precision))
    };
    compare_spans(span(a), span(b))
}

fn compare_spans(a: (i128, i128), b: (i128, i128)) -> Option<Ordering> {
    if a.1 <= b.0 {
        Some(Ordering::Less)
    } else if a.0 >= b.1 {
        Some(Ordering::Greater)
    } else if a == b {
        Some(Ordering::Equal)
    } else {
        None
    }
}

/// Returns the half-open interval that a date covers, in nanoseconds since 1970.
fn span(date: &PartialDate) -> (i128, i128) {
    let offset = date.offset.map_or(0, |offset| i128::from(offset.seconds()) * SECOND_NANOS);
    let low = nanos(date.local);
    let high = match date.precision {
        Precision::Year => nanos(next_month(date.local, 12)),
        Precision::Month => nanos(next_month(date.local, date.local.month())),
        precision => low + width(precision),
    };
    (low - offset, high - offset)
}

/// A number that is the same for dates that are equal.
pub(super) fn date_key(date: &PartialDate) -> i128 {
    span(date).0
}

/// A number that is the same for times that are equal.
pub(super) fn time_key(time: &PartialTime) -> i128 {
    time_nanos(time.time)
}

fn next_month(local: DateTime, month: i8) -> DateTime {
    local
        .with()
        .month(month)
        .day(1)
        .build()
        .ok()
        .and_then(|m| m.checked_add(1.month()).ok())
        .unwrap_or(DateTime::MAX)
}

/// The nanoseconds that a day or a part of it covers.
fn width(precision: Precision) -> i128 {
    match precision {
        Precision::Year | Precision::Month | Precision::Day => 86_400 * SECOND_NANOS,
        Precision::Hour => 3600 * SECOND_NANOS,
        Precision::Minute => 60 * SECOND_NANOS,
        Precision::Second | Precision::Fraction(_) => 1,
    }
}

fn nanos(local: DateTime) -> i128 {
    Offset::UTC.to_timestamp(local).map_or(i128::MAX / 2, |t| t.as_nanosecond())
}

fn time_nanos(time: Time) -> i128 {
    (i128::from(time.hour()) * 3600 + i128::from(time.minute()) * 60 + i128::from(time.second()))
        * SECOND_NANOS
        + i128::from(time.subsec_nanosecond())
}

/// Adds a duration of the calendar to a date; `None` where that leaves the
/// calendar. A fraction of a unit is left out, and so is what the date's
/// precision cannot show: `@2014 + 23 months` is `@2015`.
pub(super) fn add_to_date(date: &PartialDate, value: Decimal, unit: CalendarUnit) -> Option<PartialDate> {
    let whole = value.trunc().to_i64()?;
    let span = match (date.precision, unit) {
        (_, CalendarUnit::Year) => Span::new().try_years(whole).ok()?,
        (Precision::Year, CalendarUnit::Month) => Span::new().try_years(whole / 12).ok()?,
        (_, CalendarUnit::Month) => Span::new().try_months(whole).ok()?,
        (precision, unit) => {
            let millis = whole.checked_mul(unit.millis()?)?;
            let days = millis / 86_400_000;
            match precision {
                Precision::Year => Span::new().try_years(days / 365).ok()?,
                Precision::Month => Span::new().try_months(days / 30).ok()?,
                Precision::Day => Span::new().try_days(days).ok()?,
                precision => {
                    let kept = (width(precision) / 1_000_000).max(match precision {
                        Precision::Second => 1000,
                        _ => 1,
                    });
                    let kept = i64::try_from(kept).ok()?;
                    Span::new().try_milliseconds(millis / kept * kept).ok()?
                }
            }
        }
    };
    let local = date.local.checked_add(span).ok()?;
    (local.year() >= 1).then_some(PartialDate { local, ..*date })
}

/// Adds a duration to a time of day, around midnight; `None` for units
/// longer than an hour.
pub(super) fn add_to_time(time: &PartialTime, value: Decimal, unit: CalendarUnit) -> Option<PartialTime> {
    if unit < CalendarUnit::Hour {
        return None;
    }
    let millis = value.trunc().to_i64()?.checked_mul(unit.millis()?)?;
    let moved = time.time.wrapping_add(Span::new().try_milliseconds(millis).ok()?);
    Some(PartialTime { time: moved, ..*time })
}

/// Which end of what a partial value covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The first moment.
    Low,
    /// The last moment.
    High,
}

/// Returns how many digits a date of that precision has: 4 for a year to 17
/// for milliseconds.
pub(super) fn date_digits(precision: Precision) -> i64 {
    match precision {
        Precision::Year => 4,
        Precision::Month => 6,
        Precision::Day => 8,
        Precision::Hour => 10,
        Precision::Minute => 12,
        Precision::Second => 14,
        Precision::Fraction(digits) => 14 + i64::from(digits),
    }
}

fn precision_of_digits(digits: i64) -> Option<Precision> {
    Some(match digits {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 => Precision::Second,
        17 => Precision::Fraction(3),
        _ => return None,
    })
}

/// Returns the first or last moment of what a date covers, to so many digits.
pub(super) fn date_boundary(date: &PartialDate, digits: i64, end: End) -> Option<PartialDate> {
    let precision = precision_of_digits(digits)?;
    let local = match end {
        End::Low => date.local,
        End::High => last_moment(date),
    };
    let offset = match (date.offset, end) {
        _ if precision <= Precision::Day => None,
        (Some(offset), _) => Some(offset),
        (None, End::Low) => Offset::from_seconds(14 * 3600).ok(),
        (None, End::High) => Offset::from_seconds(-12 * 3600).ok(),
    };
    Some(PartialDate { local: cut(local, precision)?, precision, offset })
}

/// The last millisecond of what a date covers. An hour counts as its first
/// minute, as in the specification's own example of `highBoundary`.
fn last_moment(date: &PartialDate) -> DateTime {
    let millisecond = 1_000_000;
    let nanos = match date.precision {
        Precision::Fraction(_) => return date.local,
        Precision::Year => nanos(next_month(date.local, 12)),
        Precision::Month => nanos(next_month(date.local, date.local.month())),
        Precision::Day => nanos(date.local) + 86_400 * SECOND_NANOS,
        Precision::Hour | Precision::Minute => nanos(date.local) + 60 * SECOND_NANOS,
        Precision::Second => nanos(date.local) + SECOND_NANOS,
    };
    jiff::Timestamp::from_nanosecond(nanos - millisecond).map_or(date.local, |t| Offset::UTC.to_datetime(t))
}

/// Takes away what a precision does not show.
fn cut(local: DateTime, precision: Precision) -> Option<DateTime> {
    let with = local.with();
    match precision {
        Precision::Year => with.month(1).day(1).time(Time::midnight()),
        Precision::Month => with.day(1).time(Time::midnight()),
        Precision::Day => with.time(Time::midnight()),
        precision => with.time(cut_time(local.time(), precision)?),
    }
    .build()
    .ok()
}

fn cut_time(time: Time, precision: Precision) -> Option<Time> {
    let with = time.with();
    match precision {
        Precision::Hour => with.minute(0).second(0).subsec_nanosecond(0),
        Precision::Minute => with.second(0).subsec_nanosecond(0),
        Precision::Second => with.subsec_nanosecond(0),
        Precision::Fraction(_) | Precision::Year | Precision::Month | Precision::Day => {
            with.subsec_nanosecond(time.subsec_nanosecond() / 1_000_000 * 1_000_000)
        }
    }
    .build()
    .ok()
}

/// Returns the first or last moment of what a time covers, to so many digits:
/// 2 for hours to 9 for milliseconds.
pub(super) fn time_boundary(time: &PartialTime, digits: i64, end: End) -> Option<PartialTime> {
    let precision = match digits {
        2 => Precision::Hour,
        4 => Precision::Minute,
        6 => Precision::Second,
        9 => Precision::Fraction(3),
        _ => return None,
    };
    let full = match (end, time.precision) {
        (End::Low, _) | (End::High, Precision::Fraction(_)) => time.time,
        (End::High, known) => {
            let with = time.time.with().subsec_nanosecond(999_000_000);
            match known {
                Precision::Second => with,
                _ => with.second(59),
            }
            .build()
            .ok()?
        }
    };
    Some(PartialTime { time: cut_time(full, precision)?, precision })
}

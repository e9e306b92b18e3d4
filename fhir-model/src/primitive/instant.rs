//! A point in time with microseconds, as this server stamps versions.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#instant>

use std::fmt;

use jiff::Timestamp;

/// Microseconds since 1970-01-01T00:00:00Z.
///
/// The server's stamps grow strictly, so an instant also names a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub i64);

impl Instant {
    /// Parses an RFC 3339 time with zone; `None` when `text` is not one.
    pub fn parse(text: &str) -> Option<Instant> {
        text.parse::<Timestamp>().ok().map(|t| Instant(t.as_microsecond()))
    }

    /// Writes the 27 bytes of `2026-11-23T13:05:44.123456Z` to `out`.
    ///
    /// Years past 9999 do not fit; the clock never gives them.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let (days, in_day) = (self.0.div_euclid(86_400_000_000), self.0.rem_euclid(86_400_000_000));
        let (year, month, day) = civil_from_days(days);
        let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        let mut buffer = *b"0000-00-00T00:00:00.000000Z";
        put(&mut buffer[0..4], year);
        put(&mut buffer[5..7], month);
        put(&mut buffer[8..10], day);
        put(&mut buffer[11..13], seconds / 3600);
        put(&mut buffer[14..16], seconds / 60 % 60);
        put(&mut buffer[17..19], seconds % 60);
        put(&mut buffer[20..26], micros);
        out.extend_from_slice(&buffer);
    }
}

fn put(digits: &mut [u8], mut value: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970-01-01 to year, month, day of the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(27);
        self.write_to(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_jiff_writes_them() {
        for micros in [0, 1, 951_782_400_000_000, 1_795_439_144_123_456, 4_102_444_799_999_999] {
            let text = Instant(micros).to_string();
            assert_eq!(text.len(), 27);
            assert_eq!(Instant::parse(&text), Some(Instant(micros)), "{text}");
        }
        assert_eq!(Instant(951_782_400_000_000).to_string(), "2000-02-29T00:00:00.000000Z");
    }
}

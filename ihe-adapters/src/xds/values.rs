//! The types of values of document metadata.
//!
//! Spec: ITI TF-3 4.2.3.1.7

/// An identifier with its assigning authority: `id^^^&oid&ISO`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cx {
    /// The identifier.
    pub id: String,
    /// The OID of who assigned it.
    pub authority: String,
}

impl Cx {
    /// Parses an identifier; `None` when it has no id or no OID of an authority.
    pub fn parse(text: &str) -> Option<Cx> {
        let mut parts = text.split('^');
        let id = parts.next().filter(|id| !id.trim().is_empty())?;
        let authority = parts.nth(2)?;
        let mut parts = authority.split('&');
        let (_, oid, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = kind == "ISO" && is_oid(oid);
        is_whole.then(|| Cx { id: id.to_owned(), authority: oid.to_owned() })
    }

    /// Returns the system of the identifier in FHIR.
    pub fn system(&self) -> String {
        format!("urn:oid:{}", self.authority)
    }
}

impl std::fmt::Display for Cx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}^^^&{}&ISO", self.id, self.authority)
    }
}

/// Tells whether a text is an OID: numbers without leading zeros, joined by
/// points, at most 64 characters. That the first is 0, 1 or 2 is not asked:
/// the test data of IHE itself go beyond.
pub fn is_oid(text: &str) -> bool {
    let is_number =
        |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && (n == "0" || !n.starts_with('0'));
    text.len() <= 64 && text.contains('.') && text.split('.').all(is_number)
}

/// Tells whether a text is `urn:uuid:` and a UUID in small letters.
pub fn is_uuid_urn(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(is_uuid)
}

/// Tells whether a text is a UUID in small letters.
pub fn is_uuid(text: &str) -> bool {
    let is_in_place = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_in_place)
}

/// Tells whether a text is a time as HL7 v2 writes it, in UTC:
/// `YYYY[MM[DD[hh[mm[ss]]]]]`.
pub fn is_dtm(text: &str) -> bool {
    if !matches!(text.len(), 4 | 6 | 8 | 10 | 12 | 14) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let part = |from: usize| text.get(from..from + 2).and_then(|p| p.parse::<u8>().ok());
    let within = |from: usize, least: u8, most: u8| part(from).is_none_or(|p| (least..=most).contains(&p));
    let is_day = match (text.get(..4).and_then(|y| y.parse().ok()), part(4), part(6)) {
        (Some(year), Some(month), Some(day)) => {
            jiff::civil::Date::new(year, month.try_into().unwrap_or(0), day.try_into().unwrap_or(0)).is_ok()
        }
        _ => true,
    };
    within(4, 1, 12) && is_day && within(8, 0, 23) && within(10, 0, 59) && within(12, 0, 59)
}

/// Returns a time as FHIR writes it; what FHIR cannot say without it (minutes,
/// seconds) is taken as zero.
pub fn dtm_to_date_time(dtm: &str) -> Option<String> {
    if !is_dtm(dtm) {
        return None;
    }
    let part = |from: usize, to: usize| dtm.get(from..to);
    let mut text = part(0, 4)?.to_owned();
    for (from, to) in [(4, 6), (6, 8)] {
        if let Some(part) = part(from, to) {
            text.push('-');
            text.push_str(part);
        }
    }
    if let Some(hour) = part(8, 10) {
        let (minute, second) = (part(10, 12).unwrap_or("00"), part(12, 14).unwrap_or("00"));
        text.push_str(&format!("T{hour}:{minute}:{second}Z"));
    }
    Some(text)
}

/// Returns a time of FHIR as HL7 v2 writes it, in UTC; fractions of seconds are
/// left out. `None` when it is no time.
pub fn date_time_to_dtm(text: &str) -> Option<String> {
    if text.contains('T') {
        let instant: jiff::Timestamp = text.parse().ok()?;
        return Some(instant.strftime("%Y%m%d%H%M%S").to_string());
    }
    let dtm: String = text.chars().filter(|c| *c != '-').collect();
    is_dtm(&dtm).then_some(dtm)
}

/// Completes a time to its first or last second, for comparing.
pub fn dtm_bounds(dtm: &str) -> (String, String) {
    let complete = |filler: &str| {
        let rest = filler.get(dtm.len().min(14)..).unwrap_or_default();
        format!("{dtm}{rest}")
    };
    (complete("00000101000000"), complete("99991231235959"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_an_authority() {
        let cx = Cx { id: "1".into(), authority: "1.2.3".into() };
        for (text, expected) in [
            ("1^^^&1.2.3&ISO", Some(&cx)),
            ("1^^^name&1.2.3&ISO^PI", Some(&cx)),
            ("1^^^&1.2.3&DNS", None),
            ("1^^^1.2.3", None),
            ("^^^&1.2.3&ISO", None),
            ("1^^^&1.02.3&ISO", None),
            ("1", None),
        ] {
            assert_eq!(Cx::parse(text).as_ref(), expected, "{text}");
        }
        assert_eq!((cx.to_string(), cx.system()), ("1^^^&1.2.3&ISO".into(), "urn:oid:1.2.3".into()));
    }

    #[test]
    fn identifiers_are_told_from_others() {
        for (text, oid) in [
            ("1.2.3", true),
            ("2.999", true),
            ("1", false),
            ("3.4.5", true),
            (".1", false),
            ("1.", false),
            ("1.02", false),
            ("1..2", false),
        ] {
            assert_eq!(is_oid(text), oid, "{text}");
        }
        for (text, uuid) in [
            ("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", true),
            ("urn:uuid:7EDCA82F-054d-47f2-a032-9b2a5b5186c1", false),
            ("7edca82f-054d-47f2-a032-9b2a5b5186c1", false),
            ("urn:uuid:7edca82f054d47f2a0329b2a5b5186c1", false),
        ] {
            assert_eq!(is_uuid_urn(text), uuid, "{text}");
        }
    }

    #[test]
    fn times_are_the_same_in_both_ways_of_writing() {
        for (dtm, date_time, back) in [
            ("2004", "2004", "2004"),
            ("200412", "2004-12", "200412"),
            ("20041223", "2004-12-23", "20041223"),
            ("2004122308", "2004-12-23T08:00:00Z", "20041223080000"),
            ("200412230801", "2004-12-23T08:01:00Z", "20041223080100"),
            ("20041223080102", "2004-12-23T08:01:02Z", "20041223080102"),
        ] {
            assert_eq!(dtm_to_date_time(dtm).as_deref(), Some(date_time));
            assert_eq!(date_time_to_dtm(date_time).as_deref(), Some(back));
        }
        for wrong in ["", "200", "20041", "20041301", "20040230", "2004122324", "20041223T08", "2004-12"] {
            assert_eq!((is_dtm(wrong), dtm_to_date_time(wrong)), (false, None), "{wrong}");
        }
        assert_eq!(date_time_to_dtm("2004-12-23T08:01:02.5+02:00").as_deref(), Some("20041223060102"));
        assert_eq!(date_time_to_dtm("ieri"), None);
        assert_eq!(dtm_bounds("200412"), ("20041201000000".into(), "20041231235959".into()));
    }
}

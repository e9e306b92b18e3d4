//! Code systems that are known by a URL and by an OID.
//!
//! Documents of CDA name a code system by its OID, resources by its URL; a
//! table loaded under one answers for the other.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies-systems.html>

/// URL and OID.
const NAMES: [(&str, &str); 3] = [
    ("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "urn:oid:2.16.840.1.113883.6.103"),
    ("http://www.whocc.no/atc", "urn:oid:2.16.840.1.113883.6.73"),
];

/// Returns the other name of a code system, with the version that was asked for.
pub(super) fn other_name(canonical: &str) -> Option<String> {
    let (url, rest) = canonical.split_at(canonical.find('|').unwrap_or(canonical.len()));
    let other = NAMES.iter().find_map(|(name, oid)| match url {
        _ if url == *name => Some(oid),
        _ if url == *oid => Some(name),
        _ => None,
    })?;
    Some(format!("{other}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_the_other() {
        for (name, other) in [
            ("http://loinc.org", Some("urn:oid:2.16.840.1.113883.6.1")),
            ("urn:oid:2.16.840.1.113883.6.73|2024", Some("http://www.whocc.no/atc|2024")),
            ("urn:oid:1.2.3", None),
        ] {
            assert_eq!(other_name(name).as_deref(), other, "{name}");
        }
    }
}

//! Code systems that are known by a URL and by an OID.
//!
//! Documents of CDA name a code system by its OID, resources by its URL; a
//! table loaded under one answers for the other.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies-systems.html>

/// What a code system is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    /// Its canonical URL.
    pub(super) url: &'static str,
    /// Its OID.
    pub(super) oid: &'static str,
}

/// LOINC.
pub(super) const LOINC: Names = Names { url: "http://loinc.org", oid: "2.16.840.1.113883.6.1" };
/// ICD-9-CM.
pub(super) const ICD_9_CM: Names =
    Names { url: "http://hl7.org/fhir/sid/icd-9-cm", oid: "2.16.840.1.113883.6.103" };
/// ATC.
pub(super) const ATC: Names = Names { url: "http://www.whocc.no/atc", oid: "2.16.840.1.113883.6.73" };

const NAMES: [Names; 3] = [LOINC, ICD_9_CM, ATC];

/// Returns the other name of a code system, with the version that was asked for.
pub(super) fn other_name(canonical: &str) -> Option<String> {
    let (url, rest) = canonical.split_at(canonical.find('|').unwrap_or(canonical.len()));
    NAMES.iter().find_map(|names| match url.strip_prefix("urn:oid:") {
        Some(oid) => (oid == names.oid).then(|| format!("{}{rest}", names.url)),
        None => (url == names.url).then(|| format!("urn:oid:{}{rest}", names.oid)),
    })
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

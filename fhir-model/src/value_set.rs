//! The codes of the value sets that R4 elements are bound to with strength
//! `required`, as facts of the tables.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies.html#required>

use crate::generated::value_sets::VALUE_SETS;

/// The codes of a value set.
#[derive(Debug)]
pub struct ValueSetCodes {
    /// Its canonical URL, without version.
    pub url: &'static str,
    /// Its code systems, and the codes of each in alphabetical order.
    pub systems: &'static [(&'static str, &'static [&'static str])],
}

impl ValueSetCodes {
    /// Finds the codes of a value set; `None` for those that are not in the
    /// tables, because nothing requires them or they cannot be enumerated.
    pub fn of(url: &str) -> Option<&'static ValueSetCodes> {
        VALUE_SETS.binary_search_by(|v| v.url.cmp(url)).ok().map(|at| &VALUE_SETS[at])
    }

    /// Tells whether a code is in the value set; without `system`, of any of its systems.
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        self.systems
            .iter()
            .filter(|(own, _)| system.is_none_or(|system| system == *own))
            .any(|(_, codes)| codes.binary_search(&code).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_codes_are_known() {
        for (value_set, system, code, is_in) in [
            ("http://hl7.org/fhir/ValueSet/administrative-gender", None, "female", true),
            ("http://hl7.org/fhir/ValueSet/administrative-gender", None, "donna", false),
            (
                "http://hl7.org/fhir/ValueSet/administrative-gender",
                Some("http://hl7.org/fhir/administrative-gender"),
                "male",
                true,
            ),
            ("http://hl7.org/fhir/ValueSet/administrative-gender", Some("http://x"), "male", false),
            ("http://hl7.org/fhir/ValueSet/observation-status", None, "final", true),
        ] {
            let codes = ValueSetCodes::of(value_set).expect("in the tables");
            assert_eq!(codes.contains(system, code), is_in, "{value_set} {code}");
        }
        assert!(ValueSetCodes::of("http://hl7.org/fhir/ValueSet/none").is_none());
        assert!(VALUE_SETS.is_sorted_by(|a, b| a.url < b.url));
    }
}

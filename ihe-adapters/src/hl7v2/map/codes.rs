//! Codes of HL7 v2 tables and what they are in FHIR.

use serde_json::{Value as Json, json};

/// A table of HL7 v2, as codes of FHIR.
///
/// Where several codes become the same, the first is the one that FHIR means.
#[derive(Debug)]
pub(in crate::hl7v2) struct Codes {
    /// Its number in HL7 v2.
    pub(in crate::hl7v2) table: &'static str,
    /// Code of HL7 v2, code system and code of FHIR. Systems of HL7 terminology
    /// are without what they all begin with.
    pub(in crate::hl7v2) rows: &'static [(&'static str, &'static str, &'static str)],
}

/// What the code systems of HL7 terminology begin with.
pub(in crate::hl7v2) const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem/";

/// Returns the code system of a table of HL7 v2.
pub(in crate::hl7v2) fn table_system(table: &str) -> String {
    format!("{TERMINOLOGY}v2-{table}")
}

/// Makes a Coding of a system of HL7 terminology.
pub(in crate::hl7v2) fn coding(system: &str, code: &str) -> Json {
    json!({ "system": whole_system(system), "code": code })
}

/// Makes a CodeableConcept of a system of HL7 terminology.
pub(in crate::hl7v2) fn concept(system: &str, code: &str) -> Json {
    json!({ "coding": [coding(system, code)] })
}

fn whole_system(system: &str) -> String {
    if system.contains(':') { system.to_owned() } else { format!("{TERMINOLOGY}{system}") }
}

impl Codes {
    fn row(&self, code: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
        self.rows.iter().find(|(v2, _, _)| *v2 == code)
    }

    /// Returns the code of FHIR.
    pub(in crate::hl7v2) fn code(&self, code: &str) -> Option<&'static str> {
        self.row(code).map(|(_, _, fhir)| *fhir)
    }

    /// Returns the Coding of FHIR.
    pub(in crate::hl7v2) fn coding(&self, code: &str) -> Option<Json> {
        self.row(code).map(|(_, system, fhir)| coding(system, fhir))
    }

    /// Tells whether FHIR's code tells all that this one does.
    pub(in crate::hl7v2) fn is_whole(&self, code: &str) -> bool {
        let fhir = self.code(code);
        let first = self.rows.iter().find(|(_, _, other)| Some(*other) == fhir);
        first.is_some_and(|(v2, _, _)| *v2 == code)
    }

    /// Returns the code of HL7 v2 for one of FHIR.
    pub(in crate::hl7v2) fn v2(&self, fhir: &str) -> Option<&'static str> {
        self.rows.iter().find(|(_, _, other)| *other == fhir).map(|(v2, _, _)| *v2)
    }
}

//! Vital signs: observations with certain codes must conform to the profiles
//! of the specification, whether they claim it or not.
//!
//! Spec: <https://hl7.org/fhir/R4/observation-vitalsigns.html>

use std::collections::BTreeSet;

use fhir_model::outcome::Severity;
use fhir_model::schema::{name, ty};

use super::{Place, Run};

const LOINC: &str = "http://loinc.org";
const SNOMED_CT: &str = "http://snomed.info/sct";

/// The LOINC codes, and the profile of each.
const BY_LOINC: &[(&str, &str)] = &[
    ("85353-1", "vitalspanel"),
    ("9279-1", "resprate"),
    ("8867-4", "heartrate"),
    ("2708-6", "oxygensat"),
    ("8310-5", "bodytemp"),
    ("8302-2", "bodyheight"),
    ("9843-4", "headcircum"),
    ("29463-7", "bodyweight"),
    ("39156-5", "bmi"),
    ("85354-9", "bp"),
];

/// The codes of SNOMED CT for the same: a code of another system may stand
/// beside that of LOINC, not in its place.
const BY_SNOMED_CT: &[(&str, &str)] = &[
    ("46680005", "vitalspanel"),
    ("86290005", "resprate"),
    ("364075005", "heartrate"),
    ("103228002", "oxygensat"),
    ("386725007", "bodytemp"),
    ("276885007", "bodytemp"),
    ("50373000", "bodyheight"),
    ("363812007", "headcircum"),
    ("27113001", "bodyweight"),
    ("60621009", "bmi"),
    ("75367002", "bp"),
];

impl<'r> Run<'_, 'r> {
    /// Holds an Observation against the profile that its code asks for.
    pub(super) fn vital_signs(&mut self, place: Place<'r>) {
        let observation = place.resource;
        let codings = observation.child(name::CODE).into_iter().flat_map(|c| c.children_named(name::CODING));
        let asked: BTreeSet<&str> = codings
            .filter_map(|coding| {
                let code = coding.text_of(name::CODE)?;
                let known = match coding.text_of(name::SYSTEM)? {
                    LOINC => BY_LOINC,
                    SNOMED_CT => BY_SNOMED_CT,
                    _ => return None,
                };
                known.iter().find(|(known, _)| *known == code).map(|(_, profile)| *profile)
            })
            .collect();
        for profile in asked {
            let canonical = format!("http://hl7.org/fhir/StructureDefinition/{profile}");
            // Without the core package the profiles are not there to be held to.
            if self.validator.profiles.definitions().find(ty::STRUCTURE_DEFINITION, &canonical).is_some() {
                self.named_profile(place, observation, &canonical, Severity::Information);
            }
        }
    }
}

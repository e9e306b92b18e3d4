//! The data: made from numbers, the same in every run.
//!
//! A patient has 200 Observations of ten codes, twenty of each. They come in
//! visits, one Observation of each code, and the visits of all patients are
//! interleaved as time goes: the twenty that a search by patient and code
//! finds lie in twenty places of the database, as they do after years of use.
//! The first of a patient's codes is the same for all of them, so that a
//! tenth of all Observations have it; the others are drawn from 299.

use std::fmt::Write;

/// Observations of a patient with a code.
pub(super) const MATCHES: usize = 20;
/// Codes that a patient has.
const PATIENT_CODES: usize = 10;
/// Observations of a patient.
const PATIENT_OBSERVATIONS: usize = MATCHES * PATIENT_CODES;
/// Codes beside the one that all patients have.
const OTHER_CODES: usize = 299;
/// The system of the codes.
const SYSTEM: &str = "http://loinc.org";
/// The identifiers of a profile, as real data carries them.
const PROFILE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab";

/// Words of the displays.
const WORDS: [&str; 16] = [
    "Hemoglobin",
    "Leukocytes",
    "Glucose",
    "Calcium",
    "Sodium",
    "Creatinine",
    "Cholesterol",
    "Bilirubin",
    "[Mass/volume]",
    "[#/volume]",
    "[Moles/volume]",
    "in Blood",
    "in Serum or Plasma",
    "in Urine",
    "by Automated count",
    "by calculation",
];

/// Units of the values.
const UNITS: [&str; 8] = ["mg/dL", "mmol/L", "g/dL", "10*3/uL", "U/L", "kg", "mm[Hg]", "%"];

/// A number that looks random and depends on `number` alone (SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns the word at a place of a list that wraps around.
fn pick(list: &[&'static str], at: u64) -> &'static str {
    let at = usize::try_from(at % list.len().max(1) as u64).unwrap_or(0);
    list.get(at).copied().unwrap_or_default()
}

/// An id in the form of a UUID, of the kind of thing and its number.
fn uuid(kind: u64, number: u64) -> String {
    let (a, b) = (mix(kind << 56 | number), mix(!(kind << 56 | number)));
    let (a, b) = (a & !0xf000 | 0x4000, b & !(3 << 62) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b << 16 >> 16
    )
}

/// Returns the code with a number: 0 is the one that all patients have.
pub(super) fn code(number: usize) -> String {
    format!("{}-{}", 1000 + number * 37, number % 10)
}

/// Returns a token as it stands in the query of a URL.
pub(super) fn token(number: usize) -> String {
    format!("{SYSTEM}%7C{}", code(number))
}

/// Patients and their Observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Population {
    patients: usize,
}

impl Population {
    /// Makes a population with at most so many Observations, and whole
    /// patients: at least one.
    pub(super) fn of(observations: usize) -> Population {
        Population { patients: (observations / PATIENT_OBSERVATIONS).max(1) }
    }

    /// Counts the patients.
    pub(super) fn patients(self) -> usize {
        self.patients
    }

    /// Counts the Observations.
    pub(super) fn observations(self) -> usize {
        self.patients * PATIENT_OBSERVATIONS
    }

    /// Counts all resources.
    pub(super) fn resources(self) -> usize {
        self.patients + self.observations()
    }

    /// Counts the Observations with the code that all patients have.
    pub(super) fn with_common_code(self) -> usize {
        self.observations() / PATIENT_CODES
    }

    /// Returns the id of a patient.
    pub(super) fn patient_id(self, patient: usize) -> String {
        uuid(1, patient as u64)
    }

    /// Returns the id of an Observation.
    pub(super) fn observation_id(self, number: usize) -> String {
        uuid(2, number as u64)
    }

    /// Returns the number of the code in a slot of a patient; slot 0 is the common one.
    pub(super) fn code_of(self, patient: usize, slot: usize) -> usize {
        match slot % PATIENT_CODES {
            0 => 0,
            other => 1 + (patient * (PATIENT_CODES - 1) + other - 1) % OTHER_CODES,
        }
    }

    /// Writes a Patient as one line of JSON.
    pub(super) fn write_patient(self, patient: usize, out: &mut String) {
        let random = mix(patient as u64);
        let gender = if random & 1 == 0 { "male" } else { "female" };
        let _ = write!(
            out,
            r#"{{"resourceType":"Patient","id":"{}","name":[{{"family":"Family{}","given":["Given{}"]}}],"gender":"{gender}","birthDate":"19{:02}-{:02}-{:02}"}}"#,
            self.patient_id(patient),
            random >> 8 & 0xffff,
            random >> 24 & 0xff,
            40 + (random >> 32) % 60,
            1 + (random >> 40) % 12,
            1 + (random >> 48) % 28,
        );
    }

    /// Writes an Observation as one line of JSON.
    pub(super) fn write_observation(self, number: usize, out: &mut String) {
        let patient = (number / PATIENT_CODES) % self.patients;
        let subject = format!("Patient/{}", self.patient_id(patient));
        out.push_str(r#"{"resourceType":"Observation","#);
        let _ = write!(out, r#""id":"{}","#, self.observation_id(number));
        self.write_after_id(number, &subject, out);
    }

    /// Writes an Observation without its beginning and its id.
    pub(super) fn write_after_id(self, number: usize, subject: &str, out: &mut String) {
        let (visit, slot) = (number / PATIENT_CODES, number % PATIENT_CODES);
        let (patient, of_patient) = (visit % self.patients, visit / self.patients);
        let code_number = self.code_of(patient, slot);
        let (kind, random) = (mix(code_number as u64), mix(number as u64));
        let code = code(code_number);
        let display =
            [pick(&WORDS, kind % 8), pick(&WORDS, 8 + kind / 8 % 3), pick(&WORDS, 11 + kind / 64 % 5)]
                .join(" ");
        let unit = pick(&UNITS, kind >> 16);
        let month = 1 + (of_patient + patient) % 12;
        let time = format!(
            "20{:02}-{month:02}-{:02}T{:02}:{:02}:{:02}",
            of_patient % 25,
            1 + random % 28,
            (random >> 8) % 24,
            (random >> 16) % 60,
            (random >> 24) % 60
        );
        let _ = write!(
            out,
            r#""meta":{{"profile":["{PROFILE}"]}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}}]}}],"code":{{"coding":[{{"system":"{SYSTEM}","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"{subject}"}},"encounter":{{"reference":"Encounter/{}"}},"effectiveDateTime":"{time}+01:00","issued":"{time}.{:03}+01:00","performer":[{{"reference":"Practitioner/{}","display":"Dr. Practitioner{}"}}],"valueQuantity":{{"value":{}.{:04},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}}}"#,
            uuid(3, visit as u64),
            (random >> 30) % 1000,
            uuid(4, patient as u64 % 97),
            patient % 97,
            (random >> 32) % 300,
            (random >> 44) % 10_000,
        );
    }

    /// Writes a transaction that creates a patient and Observations of them.
    pub(super) fn transaction(self, number: usize, entries: usize) -> String {
        let mut out = String::from(r#"{"resourceType":"Bundle","type":"transaction","entry":["#);
        let full_url = format!("urn:uuid:{}", uuid(5, number as u64));
        let _ = write!(out, r#"{{"fullUrl":"{full_url}","resource":"#);
        self.write_patient(number, &mut out);
        out.push_str(r#","request":{"method":"POST","url":"Patient"}}"#);
        for entry in 1..entries {
            let observation = number * entries + entry;
            let _ = write!(
                out,
                r#",{{"fullUrl":"urn:uuid:{}","resource":{{"resourceType":"Observation","#,
                uuid(6, observation as u64)
            );
            self.write_after_id(observation, &full_url, &mut out);
            out.push_str(r#","request":{"method":"POST","url":"Observation"}}"#);
        }
        out.push_str("]}");
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    fn observations(population: Population) -> Vec<Value> {
        let make = |number| {
            let mut text = String::new();
            population.write_observation(number, &mut text);
            serde_json::from_str(&text).expect("JSON")
        };
        (0..population.observations()).map(make).collect()
    }

    #[test]
    fn sizes_are_rounded_to_whole_patients() {
        for (asked, patients, observations) in [(0, 1, 200), (500, 2, 400), (100_000, 500, 100_000)] {
            let population = Population::of(asked);
            assert_eq!((population.patients(), population.observations()), (patients, observations));
            assert_eq!(population.resources(), patients + observations);
        }
    }

    #[test]
    fn a_search_by_patient_and_code_has_twenty_matches() {
        let population = Population::of(2000);
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut common = 0;
        for observation in observations(population) {
            let code_of = observation["code"]["coding"][0]["code"].as_str().expect("code").to_owned();
            let subject = observation["subject"]["reference"].as_str().expect("subject").to_owned();
            common += usize::from(code_of == code(0));
            *counts.entry((subject, code_of)).or_default() += 1;
        }
        assert_eq!(counts.len(), population.patients() * 10);
        assert!(counts.values().all(|count| *count == MATCHES), "{counts:?}");
        assert_eq!(common, population.with_common_code());
        let first = format!("Patient/{}", population.patient_id(3));
        assert!(counts.contains_key(&(first, code(population.code_of(3, 4)))));
    }

    #[test]
    fn observations_are_resources_of_about_a_kilobyte() {
        let population = Population::of(400);
        let (mut ids, mut bytes) = (BTreeSet::new(), 0);
        for number in 0..400 {
            let mut text = String::new();
            population.write_observation(number, &mut text);
            bytes += text.len();
            let resource = fhir_model::json::read(text.into_bytes()).expect("a resource");
            let id = resource.id().expect("id");
            assert!(fhir_model::primitive::id::ResourceId::parse(id).is_some() && id.len() == 36, "{id}");
            ids.insert(id.to_owned());
        }
        assert_eq!(ids.len(), 400);
        assert!((900..1200).contains(&(bytes / 400)), "{} bytes", bytes / 400);
    }

    #[test]
    fn a_transaction_is_a_bundle_with_its_entries() {
        let bundle: Value = serde_json::from_str(&Population::of(400).transaction(1, 5)).expect("JSON");
        let entries = bundle["entry"].as_array().expect("entries");
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[0]["resource"]["resourceType"], "Patient");
        for entry in &entries[1..] {
            assert_eq!(entry["resource"]["subject"]["reference"], entries[0]["fullUrl"]);
            assert_eq!(entry["request"]["method"], "POST");
        }
        let bytes = serde_json::to_vec(&bundle).expect("JSON");
        assert!(fhir_model::json::read(bytes).is_ok());
    }

    #[test]
    fn the_same_in_every_run() {
        let mut text = String::new();
        Population::of(400).write_patient(1, &mut text);
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        let mut again = String::new();
        Population::of(400).write_patient(1, &mut again);
        assert_eq!(text, again);
    }
}

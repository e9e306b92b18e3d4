//! Races and ethnic groups of persons. HL7 v2-to-FHIR leaves the extension for
//! them to where one is; those of US Core are what systems know of, and both
//! wires write and read them here.
//!
//! Spec: <https://hl7.org/fhir/us/core/StructureDefinition-us-core-race.html>

use serde_json::{Value, json};

/// The system of the codes that do not say theirs.
pub(crate) const CODES: &str = "urn:oid:2.16.840.1.113883.6.238";

/// A kind of groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    url: &'static str,
    /// The codes that are categories; the others are details of them.
    categories: &'static [&'static str],
}

/// Races.
pub(crate) const RACE: Group = Group {
    url: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
    categories: &["1002-5", "2028-9", "2054-5", "2076-8", "2106-3"],
};
/// Ethnic groups.
pub(crate) const ETHNICITY: Group = Group {
    url: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
    categories: &["2135-2", "2186-5"],
};

impl Group {
    /// Writes the groups that somebody is of; `None` when nothing is said of any.
    pub(crate) fn extension(self, codings: Vec<Value>, texts: &[String]) -> Option<Value> {
        if texts.is_empty() {
            return None;
        }
        let mut parts: Vec<Value> = Vec::with_capacity(codings.len() + 1);
        for coding in codings {
            let is_category = coding["code"].as_str().is_some_and(|code| self.categories.contains(&code));
            let part = if is_category { "ombCategory" } else { "detailed" };
            parts.push(json!({ "url": part, "valueCoding": coding }));
        }
        parts.push(json!({ "url": "text", "valueString": texts.join(", ") }));
        Some(json!({ "url": self.url, "extension": parts }))
    }

    /// Returns the codings of the groups that somebody is of.
    pub(crate) fn codings(self, patient: &Value) -> impl Iterator<Item = &Value> {
        self.parts(patient).filter_map(|part| part.get("valueCoding"))
    }

    /// Returns what the groups are called, where that is all that is said.
    pub(crate) fn text(self, patient: &Value) -> Option<&str> {
        self.parts(patient).find_map(|part| part["valueString"].as_str())
    }

    fn parts(self, patient: &Value) -> impl Iterator<Item = &Value> {
        let all = patient["extension"].as_array().into_iter().flatten();
        let of = all.filter(move |extension| extension["url"] == self.url);
        of.flat_map(|extension| extension["extension"].as_array().into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_written_and_read() {
        let coding = |code: &str| json!({ "system": CODES, "code": code });
        let texts = ["White".to_owned(), "1004-1".to_owned()];
        let written = RACE.extension(vec![coding("2106-3"), coding("1004-1")], &texts).expect("groups");
        assert_eq!(written["extension"][0]["url"], "ombCategory");
        assert_eq!(written["extension"][1]["url"], "detailed");
        let patient = json!({ "extension": [written] });
        assert_eq!(RACE.codings(&patient).collect::<Vec<_>>(), [&coding("2106-3"), &coding("1004-1")]);
        assert_eq!(RACE.text(&patient), Some("White, 1004-1"));
        assert_eq!((ETHNICITY.codings(&patient).count(), ETHNICITY.text(&patient)), (0, None));
        assert_eq!(ETHNICITY.extension(Vec::new(), &[]), None);
    }
}

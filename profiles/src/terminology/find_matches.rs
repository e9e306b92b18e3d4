//! `$find-matches`: the concepts that have given properties.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem-operation-find-matches.html>

use serde_json::{Value, json};

use super::Terminology;
use super::code_system::{CodeSystem, ConceptId};
use super::error::TerminologyError;

/// The greatest number of matches told.
const MATCHES_MAX: usize = 100;

/// The greatest number of properties asked for.
pub const PROPERTIES_MAX: usize = 32;

/// A property that concepts are looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought<'a> {
    /// Its code: one of the code system's, or `code`, `display`, `definition`, `parent`, `child`, `inactive`.
    pub code: &'a str,
    /// Its value; of a Coding, the code.
    pub value: &'a str,
}

impl Terminology {
    /// Finds the concepts that have all properties; where `is_exact` is not
    /// asked, those that have some as well, with what they have not. Those
    /// that have most come first. Returns Parameters in JSON.
    ///
    /// # Errors
    /// When the code system is not known or not whole here, and when no
    /// property is given, or too many.
    pub fn find_matches(
        &self,
        system: Option<&str>,
        version: Option<&str>,
        properties: &[Sought<'_>],
        is_exact: bool,
    ) -> Result<Value, TerminologyError> {
        if properties.is_empty() || properties.len() > PROPERTIES_MAX {
            let text = format!("give 1 to {PROPERTIES_MAX} properties, each with `code` and `value`");
            return Err(TerminologyError::Invalid(text));
        }
        let system = self.held(system, version)?;
        if !system.is_complete() {
            return Err(TerminologyError::Incomplete(system.url().to_owned()));
        }
        let mut found: Vec<(usize, ConceptId)> = system
            .concepts()
            .filter_map(|concept| {
                let missing = properties.iter().filter(|p| !has(&system, concept, p)).count();
                let is_match = missing == 0 || !is_exact && missing < properties.len();
                is_match.then_some((missing, concept))
            })
            .collect();
        found.sort_unstable();
        found.truncate(MATCHES_MAX);
        let matches: Vec<Value> =
            found.into_iter().map(|(_, concept)| told(&system, concept, properties)).collect();
        Ok(json!({ "resourceType": "Parameters", "parameter": matches }))
    }
}

fn has(system: &CodeSystem, concept: ConceptId, sought: &Sought<'_>) -> bool {
    let is_code = |other: &ConceptId| system.code(*other) == sought.value;
    match sought.code {
        "code" => system.code(concept) == sought.value,
        "display" => system.display(concept).is_some() && system.has_display(concept, sought.value),
        "definition" => system.definition(concept) == Some(sought.value),
        "parent" => system.parents(concept).iter().any(is_code),
        "child" => system.children(concept).iter().any(is_code),
        "inactive" => system.is_inactive(concept).to_string() == sought.value,
        code => system.properties(concept).iter().any(|p| *p.code == *code && *p.value == *sought.value),
    }
}

fn told(system: &CodeSystem, concept: ConceptId, properties: &[Sought<'_>]) -> Value {
    let mut coding = json!({ "system": system.url(), "code": system.code(concept) });
    if let Some(version) = system.version() {
        coding["version"] = json!(version);
    }
    if let Some(display) = system.display(concept) {
        coding["display"] = json!(display);
    }
    let unmatched = properties.iter().filter(|p| !has(system, concept, p)).map(|p| {
        json!({ "name": "unmatched", "part": [
            { "name": "code", "valueCode": p.code }, { "name": "value", "valueString": p.value },
        ] })
    });
    let parts: Vec<Value> =
        std::iter::once(json!({ "name": "code", "valueCoding": coding })).chain(unmatched).collect();
    json!({ "name": "match", "part": parts })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_model::json;

    use super::*;
    use crate::definitions::Definitions;
    use crate::terminology::expand::Expand;

    const SYSTEM: &str = r#"{"resourceType":"CodeSystem","url":"http://c","status":"active","content":"complete",
            "property":[{"code":"kind","type":"code"}],
            "concept":[
                {"code":"a","display":"Alpha","property":[{"code":"kind","valueCode":"x"}],
                 "concept":[{"code":"b","display":"Beta one","property":[{"code":"kind","valueCode":"x"}]}]},
                {"code":"c","display":"Beta two","property":[{"code":"kind","valueCode":"y"}]}]}"#;

    fn terminology() -> Terminology {
        let mut definitions = Definitions::new();
        assert!(definitions.add_resource(json::read(SYSTEM).expect("a code system")));
        Terminology::new(Arc::new(definitions))
    }

    #[test]
    fn concepts_by_their_properties() {
        let terminology = terminology();
        for (properties, is_exact, expected) in [
            (&[("kind", "x")][..], true, &["a", "b"][..]),
            (&[("kind", "x"), ("parent", "a")], true, &["b"]),
            (&[("kind", "x"), ("parent", "a")], false, &["b", "a"]),
            (&[("display", "BETA  two")], true, &["c"]),
            (&[("child", "b")], true, &["a"]),
            (&[("kind", "z")], false, &[]),
        ] {
            let sought: Vec<Sought<'_>> =
                properties.iter().map(|(code, value)| Sought { code, value }).collect();
            let found =
                terminology.find_matches(Some("http://c"), None, &sought, is_exact).expect("an answer");
            let codes: Vec<&str> = found["parameter"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|m| m["part"][0]["valueCoding"]["code"].as_str())
                .collect();
            assert_eq!(codes, expected, "{properties:?} {is_exact}");
        }
        assert!(terminology.find_matches(Some("http://c"), None, &[], true).is_err());
        let sought = [Sought { code: "kind", value: "x" }];
        assert!(terminology.find_matches(Some("http://other"), None, &sought, true).is_err());
    }

    #[test]
    fn supplements_tell_more_of_the_codes() {
        let supplement = |url: &str, version: &str| {
            format!(
                r#"{{"resourceType":"CodeSystem","url":"{url}","status":"active","content":"supplement","language":"it",
                    "supplements":"http://c{version}","concept":[
                        {{"code":"c","display":"Beta due","property":[{{"code":"kind","valueCode":"it"}}]}},
                        {{"code":"unknown","display":"x"}}]}}"#
            )
        };
        let mut definitions = Definitions::new();
        for definition in [SYSTEM, &supplement("http://s", ""), &supplement("http://other", "|9")] {
            assert!(definitions.add_resource(json::read(definition).expect("a code system")));
        }
        let terminology = Terminology::new(Arc::new(definitions));
        let how = Expand {
            filter: Some("two".to_owned()),
            display_language: Some("it".to_owned()),
            include_designations: true,
            ..Expand::default()
        };
        let found = terminology.expand("http://c?fhir_vs", &how).expect("an expansion");
        let [entry] = found.entries.as_slice() else { panic!("{found:?}") };
        assert_eq!(entry.display.as_deref(), Some("Beta due"));
        assert_eq!(entry.designations, [(Some("it".to_owned()), "Beta due".to_owned())]);
        let sought = [Sought { code: "kind", value: "it" }];
        let matches = terminology.find_matches(Some("http://c"), None, &sought, true).expect("an answer");
        assert_eq!(matches["parameter"].as_array().map(Vec::len), Some(1));
        assert!(terminology.code_system("http://c").is_some_and(|s| s.concept("unknown").is_none()));
    }

    /// The index of words finds what looking at every code would.
    #[test]
    fn a_text_filter_finds_what_has_every_word() {
        let terminology = terminology();
        for (filter, expected) in [
            ("beta", &["b", "c"][..]),
            ("TWO beta", &["c"]),
            ("a", &["a", "b", "c"]),
            ("lph", &["a"]),
            ("", &["a", "b", "c"]),
            ("none", &[]),
        ] {
            let how = Expand { filter: Some(filter.to_owned()), ..Expand::default() };
            let found = terminology.expand("http://c?fhir_vs", &how).expect("an expansion");
            let codes: Vec<&str> = found.entries.iter().map(|e| e.code.as_str()).collect();
            assert_eq!(codes, expected, "{filter}");
        }
    }
}

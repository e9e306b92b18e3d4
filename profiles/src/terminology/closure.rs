//! What `$closure` tells: how the concepts of a client's table are related,
//! so that the client can search for what is below a concept by itself.
//!
//! Spec: <https://hl7.org/fhir/R4/terminology-service.html#closure>

use std::collections::{HashMap, HashSet};

use super::code_system::ConceptId;
use super::error::TerminologyError;
use super::lookup::shortened;
use super::{CodingRef, Terminology};

/// That a concept of a table is below another of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Below {
    /// The place of the narrower concept.
    pub special: usize,
    /// The place of the wider one.
    pub general: usize,
}

impl Terminology {
    /// Tells what is new among the concepts of a table once those from place
    /// `present` on are added: each pair of which one is above the other, at
    /// whatever distance, and one is added. Each concept is there once.
    ///
    /// # Errors
    /// When a code that is added, or its code system, is not known. What was
    /// added before and is not known any more is passed over.
    pub fn closure(&self, table: &[CodingRef<'_>], present: usize) -> Result<Vec<Below>, TerminologyError> {
        let mut by_system: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, coding) in table.iter().enumerate() {
            by_system.entry(coding.system.unwrap_or_default()).or_default().push(at);
        }
        let mut below = Vec::new();
        for (system, places) in by_system {
            let is_new = |at: usize| at >= present;
            if !places.iter().any(|at| is_new(*at)) {
                continue;
            }
            let version = places.iter().rev().find_map(|at| table[*at].version);
            let held = self.held(Some(system).filter(|s| !s.is_empty()), version)?;
            let mut place_of: HashMap<ConceptId, usize> = HashMap::new();
            for &at in &places {
                match held.concept(table[at].code) {
                    Some(concept) => _ = place_of.insert(concept, at),
                    None if !is_new(at) => {}
                    None => {
                        let code = shortened(table[at].code);
                        return Err(TerminologyError::NotFound(format!("the code '{code}' of {system}")));
                    }
                }
            }
            for (&concept, &special) in &place_of {
                let mut waiting = held.parents(concept).to_vec();
                let mut seen: HashSet<ConceptId> = HashSet::from([concept]);
                while let Some(above) = waiting.pop() {
                    if !seen.insert(above) {
                        continue;
                    }
                    waiting.extend(held.parents(above));
                    if let Some(&general) = place_of.get(&above)
                        && (is_new(special) || is_new(general))
                    {
                        below.push(Below { special, general });
                    }
                }
            }
        }
        below.sort_unstable();
        Ok(below)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_model::json;

    use super::*;
    use crate::definitions::Definitions;

    fn terminology() -> Terminology {
        let system = r#"{"resourceType":"CodeSystem","url":"http://s","status":"active","content":"complete",
            "hierarchyMeaning":"is-a","concept":[{"code":"a","concept":[
              {"code":"b","concept":[{"code":"c"}]},{"code":"d"}]},{"code":"e"}]}"#;
        let mut definitions = Definitions::new();
        definitions.add_resource(json::read(system).expect("readable"));
        Terminology::new(Arc::new(definitions))
    }

    fn coding(code: &str) -> CodingRef<'_> {
        CodingRef { system: Some("http://s"), version: None, code, display: None }
    }

    #[test]
    fn each_pair_is_told_when_the_second_of_it_comes() {
        let terminology = terminology();
        for (codes, present, pairs) in [
            ("a", 0, ""),
            ("ae", 0, ""),
            ("abc", 0, "ba ca cb"),
            ("ac", 1, "ca"),
            ("acb", 2, "ba cb"),
            ("cdab", 3, "ba cb"),
            ("cd", 2, ""),
        ] {
            let table: Vec<CodingRef<'_>> =
                (0..codes.len()).filter_map(|at| codes.get(at..=at)).map(coding).collect();
            let below = terminology.closure(&table, present).expect("known");
            let mut told: Vec<String> =
                below.iter().map(|b| format!("{}{}", table[b.special].code, table[b.general].code)).collect();
            told.sort_unstable();
            assert_eq!(told.join(" "), pairs, "{codes} from {present}");
        }
    }

    #[test]
    fn a_code_that_is_added_has_to_be_known() {
        let terminology = terminology();
        let added = terminology.closure(&[coding("a"), coding("x")], 1);
        assert!(matches!(added, Err(TerminologyError::NotFound(text)) if text.contains("'x'")));
        assert_eq!(terminology.closure(&[coding("x"), coding("a")], 1), Ok(vec![]));
        let elsewhere = CodingRef { system: Some("http://other"), ..coding("a") };
        assert!(matches!(terminology.closure(&[elsewhere], 0), Err(TerminologyError::NotFound(_))));
        let nowhere = CodingRef { system: None, ..coding("a") };
        assert!(matches!(terminology.closure(&[nowhere], 0), Err(TerminologyError::Invalid(_))));
    }
}

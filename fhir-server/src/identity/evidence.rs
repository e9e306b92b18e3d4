//! What speaks for two records being of one person.
//!
//! [`Identifiers`] counts nothing but the identifiers of persons, also those of
//! domains that only the settings know.

use std::sync::Arc;

use fhir_model::outcome::Issue;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use ihe_adapters::fhir_client::token;
use ihe_adapters::pix::domains::{Domain, Domains, Kind};
use serde_json::Value;

use super::held::Held;
use super::links::array;
use super::review::{Ground, Grounds};
use super::weights::Level;

/// How many records with the same identifier are looked at.
const FOUND_MAX: usize = 200;

/// What follows from what two records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are of one person.
    Link,
    /// Somebody has to look.
    Review,
    /// Nothing speaks for it, or too much against.
    No,
}

/// A record that may be of the same person.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its id.
    pub(crate) other: String,
    /// What follows.
    pub(crate) verdict: Verdict,
    /// Why.
    pub(crate) grounds: Grounds,
}

/// Compares records.
pub(crate) trait Evidence: Send + Sync {
    /// Tells whether a record says anything by which others could be found.
    fn speaks(&self, identifiers: &[(&str, &str)]) -> bool;

    /// Finds the records that may be of the same person as one, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    fn candidates(&self, held: &mut Held<'_>, id: &str) -> Result<Vec<Found>, Issue>;

    /// Compares two records.
    ///
    /// # Errors
    /// When the database fails.
    fn compare(&self, held: &mut Held<'_>, one: &str, other: &str) -> Result<Found, Issue>;
}

/// Returns the identifiers of a record that are in use: system and value.
pub(crate) fn identifiers(patient: &Value) -> Vec<(&str, &str)> {
    let in_use = array(patient, "identifier").iter().filter(|identifier| identifier["use"] != "old");
    in_use
        .filter_map(|identifier| Some((identifier["system"].as_str()?, identifier["value"].as_str()?)))
        .collect()
}

/// As [`identifiers`], of a resource that is about to be stored.
pub(crate) fn identifiers_of(patient: &Resource) -> Vec<(&str, &str)> {
    if patient.resource_type() != ty::PATIENT {
        return Vec::new();
    }
    let all = patient.root().children_named(name::IDENTIFIER);
    let in_use = all.filter(|identifier| identifier.text_of(name::USE) != Some("old"));
    in_use
        .filter_map(|identifier| Some((identifier.text_of(name::SYSTEM)?, identifier.text_of(name::VALUE)?)))
        .collect()
}

/// Two records are of one person when they have an identifier of a person in
/// common, and none of them says otherwise.
pub(crate) struct Identifiers {
    /// Who assigns identifiers.
    pub(crate) domains: Arc<Domains>,
}

/// An identifier of a person, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfPerson {
    domain: Arc<Domain>,
    value: String,
}

impl Identifiers {
    fn of_person(&self, identifiers: &[(&str, &str)]) -> Vec<OfPerson> {
        let of_person = |(system, value): &(&str, &str)| {
            let domain = self.domains.by_system(system).filter(|domain| domain.kind == Kind::Person)?;
            let value = value.trim().to_uppercase();
            is_valid(&domain, &value).then_some(OfPerson { domain, value })
        };
        identifiers.iter().filter_map(of_person).collect()
    }

    fn verdict(&self, one: &Value, other: &Value) -> (Verdict, Grounds) {
        let (one, other) = (self.of_person(&identifiers(one)), self.of_person(&identifiers(other)));
        let (mut grounds, mut common, mut contrary) = (Grounds::default(), 0, 0);
        for identifier in &one {
            let mut of_domain = other.iter().filter(|other| other.domain == identifier.domain).peekable();
            if of_domain.peek().is_none() {
                continue;
            }
            let is_common = of_domain.any(|other| other.value == identifier.value);
            *(if is_common { &mut common } else { &mut contrary }) += 1;
            let how = if is_common { Level::Exact } else { Level::Differs }.code();
            grounds.agreements.push(Ground { what: identifier.domain.system(), how, weight: None });
        }
        let verdict = match (common, contrary) {
            (0, _) => Verdict::No,
            (_, 0) => Verdict::Link,
            _ => Verdict::Review,
        };
        grounds.score = (verdict == Verdict::Link).then_some(1.0);
        (verdict, grounds)
    }
}

/// Tells whether a value can be an identifier of a domain at all.
fn is_valid(domain: &Domain, value: &str) -> bool {
    // What stands for nothing known is no identifier: `0000000000000000`, `XXXXXX`.
    let mut characters = value.chars();
    let first = characters.next();
    !domain.system().is_empty() && first.is_some() && characters.any(|character| Some(character) != first)
}

impl Evidence for Identifiers {
    fn speaks(&self, identifiers: &[(&str, &str)]) -> bool {
        !self.of_person(identifiers).is_empty()
    }

    fn candidates(&self, held: &mut Held<'_>, id: &str) -> Result<Vec<Found>, Issue> {
        let Some(patient) = held.patient(id)?.cloned() else { return Ok(Vec::new()) };
        let mut all: Vec<Found> = Vec::new();
        for OfPerson { domain, value } in self.of_person(&identifiers(&patient)) {
            let oid = (!domain.oid.is_empty()).then(|| format!("urn:oid:{}", domain.oid));
            let mut systems: Vec<String> = domain.aliases.iter().cloned().chain(oid).collect();
            systems.push(domain.system());
            systems.sort_unstable();
            systems.dedup();
            let tokens: Vec<String> = systems.iter().map(|system| token(system, &value)).collect();
            for other in held.found(ty::PATIENT, &[("identifier", &tokens.join(","))], FOUND_MAX)? {
                if other != id && all.iter().all(|found| found.other != other) {
                    all.push(self.compare(held, id, &other)?);
                }
            }
        }
        all.retain(|found| found.verdict != Verdict::No);
        Ok(all)
    }

    fn compare(&self, held: &mut Held<'_>, one: &str, other: &str) -> Result<Found, Issue> {
        let first = held.patient(one)?.cloned().unwrap_or_default();
        let (verdict, grounds) = match held.patient(other)? {
            Some(second) => self.verdict(&first, second),
            None => (Verdict::No, Grounds::default()),
        };
        Ok(Found { other: other.to_owned(), verdict, grounds })
    }
}

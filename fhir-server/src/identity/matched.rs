//! What speaks for two records being of one person, as [`Matcher`] weighs it,
//! and identifiers of persons that only the settings know.

use std::sync::Arc;

use fhir_model::outcome::Issue;
use fhir_model::tree::Resource;
use ihe_adapters::pix::domains::Domains;
use serde_json::Value;

use super::candidates::{Depth, Wanted};
use super::commonness::Commonness;
use super::compare::Agreement;
use super::evidence::{Evidence, Found, Identifiers, Verdict};
use super::features::Features;
use super::held::Held;
use super::matching::{Compared, Decision, Matcher};
use super::review::{Ground, Grounds};
use super::rules::Rule;

/// How many candidates are looked at.
const FOUND_MAX: usize = 200;

/// Weighs all that records say.
pub(crate) struct Matched {
    matcher: Matcher,
    domains: Arc<Domains>,
    identifiers: Identifiers,
}

impl Matched {
    /// Weighs by a matcher.
    pub(crate) fn new(matcher: Matcher, domains: Arc<Domains>) -> Matched {
        Matched { matcher, identifiers: Identifiers { domains: Arc::clone(&domains) }, domains }
    }

    fn found(&self, other: String, compared: &Compared) -> Found {
        let verdict = match compared.decision {
            Decision::Link => Verdict::Link,
            Decision::Review => Verdict::Review,
            Decision::No => Verdict::No,
        };
        let ground = |agreement: &Agreement| Ground {
            what: agreement.field.code().to_owned(),
            how: agreement.level.code(),
            weight: Some(agreement.weight),
        };
        let agreements = compared.why.0.iter().map(ground).collect();
        let score = (self.matcher.probability(compared.score) * 10_000.0).round() / 10_000.0;
        let grounds = Grounds { score: Some(score), agreements, remark: compared.held.map(Rule::remark) };
        Found { other, verdict, grounds }
    }

    /// Brings together what the weights say, and what identifiers do that they do not know.
    fn together(&self, mut weighed: Found, compared: &Compared, by_identifiers: Found) -> Found {
        let is_contrary = compared.held.is_some() || compared.score < 0.0;
        let by_identifiers = match by_identifiers.verdict {
            Verdict::Link if is_contrary => Verdict::Review,
            verdict => verdict,
        };
        weighed.verdict = match (weighed.verdict, by_identifiers) {
            (Verdict::Link, _) | (_, Verdict::Link) => Verdict::Link,
            (Verdict::Review, _) | (_, Verdict::Review) => Verdict::Review,
            (Verdict::No, Verdict::No) => Verdict::No,
        };
        weighed
    }
}

fn features(patient: &Value) -> Result<Features, Issue> {
    let patient: Resource = fhir_model::json::read(patient.to_string().into_bytes())?;
    Ok(Features::of(&patient))
}

impl Evidence for Matched {
    fn speaks(&self, identifiers: &[(&str, &str)]) -> bool {
        // Where nothing is set up, nobody asked that patients be compared by their names.
        !self.domains.is_open() || self.identifiers.speaks(identifiers)
    }

    fn candidates(&self, held: &mut Held<'_>, id: &str) -> Result<Vec<Found>, Issue> {
        let Some(patient) = held.patient(id)?.cloned() else { return Ok(Vec::new()) };
        let wanted = Wanted { only_certain: false, count: FOUND_MAX, depth: Depth::All };
        let mut identified = held.view.identify(&features(&patient)?, &wanted)?.found;
        // The oldest first: with too many, all are tied to the same.
        identified.sort_by_key(|(stored, ..)| stored.number);
        let mut all: Vec<Found> = identified
            .iter()
            .filter(|(stored, ..)| stored.key.id.as_str() != id)
            .map(|(stored, _, compared)| self.found(stored.key.id.as_str().to_owned(), compared))
            .collect();
        for found in self.identifiers.candidates(held, id)? {
            if all.iter().all(|one| one.other != found.other) {
                all.push(self.compare(held, id, &found.other)?);
            }
        }
        all.retain(|found| found.verdict != Verdict::No);
        Ok(all)
    }

    fn compare(&self, held: &mut Held<'_>, one: &str, other: &str) -> Result<Found, Issue> {
        let by_identifiers = self.identifiers.compare(held, one, other)?;
        let Some(first) = held.patient(one)?.cloned() else { return Ok(by_identifiers) };
        let Some(second) = held.patient(other)? else { return Ok(by_identifiers) };
        let compared = self.matcher.compare(&features(&first)?, &features(second)?, &Commonness::default());
        let weighed = self.found(other.to_owned(), &compared);
        Ok(self.together(weighed, &compared, by_identifiers))
    }
}

//! A patient whom a call names, by a reference or by his identifiers.

use fhir_model::outcome::{Issue, IssueType};
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;
use ihe_adapters::fhir_client::token;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::parameters::Given;
use crate::identity::held::Held;
use crate::identity::links::{array, is_subsumed};
use crate::identity::refusal::Refusal;

/// How many patients with the same identifiers are looked at.
const FOUND_MAX: usize = 50;

/// The parameters that name a patient: by a reference, or by identifiers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    /// The parameter with a reference.
    pub(super) reference: &'static str,
    /// The parameter with identifiers, all of which he has.
    pub(super) identifier: &'static str,
}

/// The patient who is merged away.
pub(super) const SOURCE: Naming =
    Naming { reference: "source-patient", identifier: "source-patient-identifier" };
/// The patient who is left.
pub(super) const TARGET: Naming =
    Naming { reference: "target-patient", identifier: "target-patient-identifier" };

/// Which records are meant, where several have the identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Those that count, before those that were merged away.
    Current,
    /// Those that were merged away.
    Subsumed,
}

impl Naming {
    /// Tells whether a call says anything of this patient.
    pub(super) fn is_given(self, given: &Given<'_>) -> bool {
        given.value(self.reference).is_some() || given.parameters(self.identifier).next().is_some()
    }

    /// Returns the id of the patient.
    ///
    /// # Errors
    /// 400 unless he is named in one way, 422 when the identifiers are those of nobody, or of several.
    pub(super) fn find(
        self,
        given: &Given<'_>,
        held: &mut Held<'_>,
        base: &str,
        among: Among,
    ) -> Result<String, Issue> {
        let reference = given.value(self.reference);
        let mut identifiers: Vec<Element<'_>> =
            given.parameters(self.identifier).filter_map(|p| p.child(name::VALUE)).collect();
        let by_reference = reference.and_then(|reference| reference.text_of(name::REFERENCE));
        match (by_reference, identifiers.is_empty()) {
            (Some(reference), true) => return self.id(reference, base),
            (Some(_), false) => {
                let text = format!("give either `{}` or `{}`", self.reference, self.identifier);
                return Err(Issue::error(IssueType::Invalid).at(self.reference).text(text));
            }
            (None, _) => {}
        }
        // A reference may have an identifier, and nothing else.
        identifiers.extend(reference.and_then(|reference| reference.child(name::IDENTIFIER)));
        let pair = |identifier: &Element<'_>| {
            let system = identifier.text_of(name::SYSTEM)?.to_owned();
            Some((system, identifier.text_of(name::VALUE)?.to_owned()))
        };
        let pairs: Option<Vec<(String, String)>> = identifiers.iter().map(pair).collect();
        let pairs = pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(|| {
            let text = format!(
                "say which patient: `{}` is a reference, `{}` an Identifier with `system` and `value`",
                self.reference, self.identifier
            );
            Issue::error(IssueType::Required).at(self.reference).text(text)
        })?;
        self.by_identifiers(&pairs, held, among)
    }

    fn id(self, reference: &str, base: &str) -> Result<String, Issue> {
        let literal = Literal::parse(reference).filter(|literal| {
            literal.key.resource_type == ty::PATIENT && literal.base.is_none_or(|given| given == base)
        });
        literal.map(|literal| literal.key.id.as_str().to_owned()).ok_or_else(|| {
            let text = format!("`{}` is a reference to a Patient of this server", self.reference);
            Issue::error(IssueType::Value).at(self.reference).text(text)
        })
    }

    fn by_identifiers(
        self,
        pairs: &[(String, String)],
        held: &mut Held<'_>,
        among: Among,
    ) -> Result<String, Issue> {
        let tokens: Vec<String> = pairs.iter().map(|(system, value)| token(system, value)).collect();
        let criteria: Vec<(&str, &str)> = tokens.iter().map(|token| ("identifier", token.as_str())).collect();
        let (mut current, mut subsumed) = (Vec::new(), Vec::new());
        for id in held.found(ty::PATIENT, &criteria, FOUND_MAX)? {
            let Some(patient) = held.patient(&id)? else { continue };
            if pairs.iter().all(|pair| has(patient, pair)) {
                let found = if is_subsumed(patient) { &mut subsumed } else { &mut current };
                found.push(id);
            }
        }
        let mut found = match among {
            Among::Current if !current.is_empty() => current,
            Among::Current | Among::Subsumed => subsumed,
        };
        match (found.pop(), found.is_empty()) {
            (Some(id), true) => Ok(id),
            (Some(_), false) => Err(Refusal::Ambiguous(self.identifier).into()),
            (None, _) => Err(Refusal::Unknown(self.identifier).into()),
        }
    }
}

/// Tells whether a patient has an identifier that is in use.
fn has(patient: &Value, (system, value): &(String, String)) -> bool {
    array(patient, "identifier").iter().any(|identifier| {
        identifier["use"] != "old"
            && identifier["system"] == system.as_str()
            && identifier["value"] == value.as_str()
    })
}

/// Returns when something happened: a time with its zone, or a day.
///
/// # Errors
/// When it is neither.
pub(super) fn moment(given: &Given<'_>, named: &'static str) -> Result<Option<Timestamp>, Issue> {
    let Some(text) = given.text(named) else { return Ok(None) };
    let day = || TimeZone::UTC.to_timestamp(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).ok();
    text.parse::<Timestamp>().ok().or_else(day).map(Some).ok_or_else(|| {
        let text = format!("`{named}` is a time with its zone, such as 2026-11-27T10:00:00+01:00");
        Issue::error(IssueType::Value).at(named).text(text)
    })
}

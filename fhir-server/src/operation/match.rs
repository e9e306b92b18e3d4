//! `Patient/$match`: who of those stored may be the person who is described.
//!
//! The answer has those who are to be linked or reviewed, the likeliest first, each with a score and a grade.
//! Whoever is replaced by another is not offered. Where somebody is found for certain, nobody is looked for who would
//! have to be described wrongly. `onlyCertainMatches` gives several only when they are one person
//! themselves. As ITI-119 of PDQm has it.
//!
//! Spec: <https://hl7.org/fhir/R4/patient-operation-match.html>,
//! <https://profiles.ihe.net/ITI/PDQm/ITI-119.html>

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;

use super::parameters::Given;
use crate::identity::Features;
use crate::identity::candidates::{Depth, Identified, Wanted};
use crate::interaction::unit::View;
use crate::search::searchset::{Scored, Searchset};

/// How many are answered where `count` does not ask for fewer.
const ANSWERED_MAX: usize = 50;

/// Answers with a Bundle of those who may be the person described.
pub(super) fn find(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["resource", "onlyCertainMatches", "count"])?;
    let only_certain = match given.text("onlyCertainMatches") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let text = "`onlyCertainMatches` is true or false";
            return Err(Issue::error(IssueType::Value).at("onlyCertainMatches").text(text));
        }
    };
    let count = given.number("count")?.unwrap_or(ANSWERED_MAX).min(ANSWERED_MAX);
    let asked = Features::of(&described(&given)?);
    // Whether the certain ones are one person is known only when all of them are.
    let depth = if only_certain { Depth::All } else { Depth::UntilCertain };
    let wanted = Wanted { only_certain, count, depth };
    let Identified { is_described, total, found } = view.identify(&asked, &wanted)?;
    if !is_described {
        let text = "too little is said of the person: an identifier, a telephone, or names, or a name and the date \
                    of birth are needed";
        let issue = Issue::error(IssueType::Required).because(Reason::Unprocessable);
        return Err(issue.at("Patient").text(text));
    }
    let scores: Vec<Scored> = found
        .iter()
        .map(|(_, score, compared)| Scored { score: *score, grade: compared.grade.code() })
        .collect();
    let matches: Vec<_> = found.into_iter().map(|(stored, ..)| stored).collect();
    let set = Searchset {
        base: view.base(),
        total: Some(total as u64),
        matches: &matches,
        scores: &scores,
        ..Searchset::default()
    };
    Ok(Performed::json(set.to_json()?))
}

/// Returns the Patient that describes who is looked for.
fn described(given: &Given<'_>) -> Result<Resource, Issue> {
    let patient = given.resource("resource").ok_or_else(|| {
        let text =
            "a Patient who describes the person is needed: the parameter `resource`, or the body itself";
        Issue::error(IssueType::Required).at("resource").text(text)
    })?;
    if patient.resource_type() != ty::PATIENT {
        let text = format!("the person is described by a Patient, and this is a {}", patient.resource_type());
        return Err(Issue::error(IssueType::Invalid).at("resource").text(text));
    }
    // They may change what everything else means.
    for (of, path) in
        [(name::IMPLICIT_RULES, "implicitRules"), (name::MODIFIER_EXTENSION, "modifierExtension")]
    {
        if patient.root().child(of).is_some() {
            let text = format!("a Patient with `{path}` cannot be matched: nobody knows it here");
            return Err(Issue::error(IssueType::NotSupported).at(format!("Patient.{path}")).text(text));
        }
    }
    Ok(patient)
}

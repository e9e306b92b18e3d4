//! `$everything` of a patient: the whole compartment and what it refers to,
//! paged.
//!
//! Spec: <https://hl7.org/fhir/R4/patient-operation-everything.html>

use fhir_model::interaction::{Handling, Interaction, OperationCall, Performed, Scope, SearchRequest};
use fhir_model::outcome::{Issue, IssueType};

use crate::interaction::unit::{View, current_or_gone};

/// The parameters that are passed on to the search; the rest of the
/// operation's own (`start`, `end`) are not known to this server.
const PASSED_ON: &[&str] = &["_count", "_type", "_since", "_elements", "_summary", "_cursor"];

/// Answers with the patient, all that belongs to the compartment, and what
/// that refers to.
pub(super) fn everything(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let Scope::Instance(focus) = &call.scope else {
        return Err(Issue::error(IssueType::NotSupported).text("`$everything` is called on a patient"));
    };
    current_or_gone(view, focus)?;
    // What the compartment refers to belongs to it: practitioners, medications.
    let mut parameters = vec![("_include".to_owned(), "*".to_owned())];
    for (name, value) in &call.query {
        if !PASSED_ON.contains(&name.as_str()) {
            let text = format!("`$everything` does not know `{}` here", crate::interaction::url::clip(name));
            return Err(Issue::error(IssueType::NotSupported).at(name.clone()).text(text));
        }
        match name.as_str() {
            "_since" => parameters.push(("_lastUpdated".to_owned(), format!("ge{value}"))),
            _ => parameters.push((name.clone(), value.clone())),
        }
    }
    let scope = Scope::Compartment { focus: focus.clone(), member: None };
    view.read(&Interaction::Search(SearchRequest { scope, parameters, handling: Handling::Strict }))
}

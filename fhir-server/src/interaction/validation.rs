//! Validation of what is written: off, told in the answer, or a condition, by
//! resource type.
//!
//! A resource is looked at when it is prepared, before the writer has it, and
//! against what it claims in `meta.profile` as well as the base.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::outcome::{Issue, Reason, Severity};
use fhir_model::schema::TypeId;
use fhir_model::tree::Resource;
use profiles::validate::location::Locations;
use profiles::validate::{Finding, Language, Validator};
use serde::Deserialize;

/// How many findings are told of one resource.
const TOLD_MAX: usize = 100;

/// What validation of a write leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is looked at beyond what reading a resource finds.
    #[default]
    Off,
    /// What is wrong is told, and the resource stored.
    Warn,
    /// A resource with errors is refused.
    Reject,
}

/// What validation of writes leads to, by resource type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    /// For the types that are not named.
    pub default: Mode,
    /// For those that are.
    pub by_type: HashMap<TypeId, Mode>,
}

impl Validation {
    /// Returns what it leads to for a type.
    pub fn of(&self, of: TypeId) -> Mode {
        self.by_type.get(&of).copied().unwrap_or(self.default)
    }

    /// Tells whether nothing is looked at.
    pub fn is_off(&self) -> bool {
        self.default == Mode::Off && self.by_type.values().all(|mode| *mode == Mode::Off)
    }
}

/// A validation of writes, with what it is held to.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) validation: Arc<Validation>,
    pub(crate) validator: Arc<Validator>,
}

impl Gate {
    /// Returns the remarks on a resource that may be stored.
    ///
    /// # Errors
    /// What is wrong with one that may not.
    pub(crate) fn check(&self, resource: &Resource) -> Result<Vec<Issue>, Issue> {
        let mode = self.validation.of(resource.resource_type());
        if mode == Mode::Off {
            return Ok(Vec::new());
        }
        let findings = self.validator.validate(resource, &[]);
        let told: Vec<&Finding> =
            findings.iter().filter(|f| f.severity >= Severity::Warning).take(TOLD_MAX).collect();
        if told.is_empty() {
            return Ok(Vec::new());
        }
        let is_refused = mode == Mode::Reject && findings.iter().any(Finding::is_error);
        let locations = Locations::of(resource);
        let issue = |finding: &Finding| {
            let code = finding.rule.issue_type();
            let issue =
                if finding.is_error() && is_refused { Issue::error(code) } else { Issue::warning(code) };
            issue.text(finding.text(Language::English)).at(locations.expression(finding.node))
        };
        if !is_refused {
            return Ok(told.into_iter().map(issue).collect());
        }
        // The errors come first: the first issue tells what the refusal is.
        let (errors, others): (Vec<&Finding>, Vec<&Finding>) = told.into_iter().partition(|f| f.is_error());
        let mut all = errors.into_iter().chain(others).map(issue);
        let Some(first) = all.next() else { return Ok(Vec::new()) };
        Err(all.fold(first.because(Reason::Unprocessable), Issue::and))
    }
}

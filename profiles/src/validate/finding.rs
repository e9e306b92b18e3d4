//! What validation finds: which rule, how bad, where.

use std::sync::Arc;

use fhir_model::outcome::{Issue, Severity};
use fhir_model::tree::{NodeId, Resource};

use crate::validate::location::Locations;
use crate::validate::rule::{Language, Rule};

/// One thing found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which rule is broken, and by what.
    pub rule: Rule,
    /// The element that breaks it; for a missing element, the one that misses it.
    pub node: NodeId,
    /// The profile that states the rule; `None` for the base specification.
    pub profile: Option<Arc<str>>,
}

impl Finding {
    /// Tells whether the resource is not valid because of it.
    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }

    /// Returns the text for a reader.
    pub fn text(&self, language: Language) -> String {
        let mut text = self.rule.text(language);
        if let Some(profile) = &self.profile {
            match language {
                Language::English => text.push_str(" (profile "),
                Language::Italian => text.push_str(" (profilo "),
            }
            text.push_str(profile);
            text.push(')');
        }
        text
    }
}

/// Puts findings as issues of an OperationOutcome, with FHIRPath locations.
pub fn issues(resource: &Resource, findings: &[Finding], language: Language) -> Vec<Issue> {
    let locations = Locations::of(resource);
    let issue = |finding: &Finding| {
        let code = finding.rule.issue_type();
        let issue = match finding.severity {
            Severity::Information => Issue::information(code),
            Severity::Warning => Issue::warning(code),
            Severity::Error => Issue::error(code),
            Severity::Fatal => Issue::fatal(code),
        };
        issue.text(finding.text(language)).at(locations.expression(finding.node))
    };
    findings.iter().map(issue).collect()
}

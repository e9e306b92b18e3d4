//! What validation finds: which rule, how bad, where.

use std::sync::Arc;

use fhir_model::outcome::{Issue, Severity};
use fhir_model::tree::{NodeId, Resource};
use serde_json::{Value, json};

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

/// Where an element stands in its document: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

fn put_place(issue: &mut Value, place: Option<Place>) {
    let Some(place) = place else { return };
    let of = |what: &str| format!("http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-{what}");
    issue["extension"] = json!([
        { "url": of("line"), "valueInteger": place.line },
        { "url": of("col"), "valueInteger": place.column },
    ]);
}

/// Tells where the elements of a resource stand in its document.
pub type Places<'p> = &'p dyn Fn(NodeId) -> Option<Place>;

/// The code system of the keys of rules.
const RULES: &str = "urn:lanterna:validation-rule";

/// Writes findings as an OperationOutcome in JSON: texts in English with the
/// Italian as translation, FHIRPath locations, and lines where `places` has
/// them. `faults` are those of the document, which come first.
///
/// Spec: <https://hl7.org/fhir/R4/operationoutcome.html>
pub fn outcome(
    resource: Option<&Resource>,
    faults: &[(Issue, Option<Place>)],
    findings: &[Finding],
    places: Option<Places<'_>>,
) -> Vec<u8> {
    let told = |(fault, at): &(Issue, Option<Place>)| {
        let mut issue = json!({
            "severity": fault.severity.code(), "code": fault.code.code(),
            "details": { "text": fault.diagnostics }, "expression": fault.expression,
        });
        put_place(&mut issue, *at);
        issue
    };
    let mut issues: Vec<Value> = faults.iter().map(told).collect();
    let locations = resource.map(Locations::of);
    issues.extend(findings.iter().map(|finding| {
        let translation = json!({ "extension": [{
                "url": "http://hl7.org/fhir/StructureDefinition/translation",
                "extension": [
                    { "url": "lang", "valueCode": "it" },
                    { "url": "content", "valueString": finding.text(Language::Italian) },
                ],
            }] });
        let mut issue = json!({
            "severity": finding.severity.code(),
            "code": finding.rule.issue_type().code(),
            "details": {
                "coding": [{ "system": RULES, "code": finding.rule.key() }],
                "text": finding.text(Language::English),
                "_text": translation,
            },
            "expression": locations.as_ref().map(|l| vec![l.expression(finding.node)]),
        });
        put_place(&mut issue, places.and_then(|p| p(finding.node)));
        issue
    }));
    if issues.is_empty() {
        issues.push(json!({
            "severity": "information", "code": "informational",
            "details": { "text": "nothing is wrong with it" },
        }));
    }
    json!({ "resourceType": "OperationOutcome", "issue": issues }).to_string().into_bytes()
}

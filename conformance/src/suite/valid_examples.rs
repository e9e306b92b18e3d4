//! Every example of the specification, validated against the core package.
//!
//! What is found is the examples' own fault; `docs/conformance/examples.md`
//! lists it, by rule.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use profiles::terminology::Terminology;
use profiles::validate::location::Locations;
use profiles::validate::{Language, Options, Validator};

use super::Tally;

/// An error in an example: the example, the rule, the place, the text.
pub struct Fault {
    /// Type and id of the example.
    pub example: String,
    /// The key of the rule.
    pub rule: &'static str,
    /// Where.
    pub at: String,
    /// What is wrong.
    pub text: String,
}

/// Validates every example; returns how many there are, and what is wrong.
///
/// # Errors
/// When the packages are absent.
pub fn validate(testdata: &Path) -> Result<(usize, Vec<Fault>), String> {
    let definitions = Arc::new(super::core_definitions(testdata)?);
    let examples = super::package(testdata, super::EXAMPLES)?.resources;
    let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
    let validator = Validator::new(definitions, terminology, Options::default());
    let mut faults = Vec::new();
    for example in &examples {
        let findings = validator.validate(example, &[]);
        let locations = Locations::of(example);
        faults.extend(findings.iter().filter(|f| f.is_error()).map(|f| Fault {
            example: format!("{}/{}", example.resource_type(), example.id().unwrap_or("?")),
            rule: f.rule.key(),
            at: locations.expression(f.node),
            text: f.text(Language::English),
        }));
    }
    Ok((examples.len(), faults))
}

/// Counts the examples without errors.
///
/// # Errors
/// When the packages are absent.
pub fn run(testdata: &Path) -> Result<Tally, String> {
    let (count, faults) = validate(testdata)?;
    let mut by_example: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in &faults {
        *by_example.entry(&fault.example).or_default() += 1;
    }
    let failures = by_example.iter().map(|(example, n)| format!("{example}: {n} errors")).collect();
    Ok(Tally { passed: count - by_example.len(), failures, not_applicable: Vec::new() })
}

/// Writes the faults by rule.
pub fn document(faults: &[Fault]) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    for fault in faults {
        by_rule.entry(fault.rule).or_default().push(fault);
    }
    let mut out = String::new();
    for (rule, faults) in by_rule {
        let _ = writeln!(out, "\n## {rule} ({})\n", faults.len());
        for fault in faults {
            let _ = writeln!(out, "- {}: `{}`: {}", fault.example, fault.at, fault.text);
        }
    }
    out
}

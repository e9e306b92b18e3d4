//! Validation: what is wrong with a resource, against the base
//! specification and any profiles.
//!
//! The base specification is the generated tables of `fhir_model::schema`,
//! so that no package is needed to validate against it; of a profile, only
//! what it adds to the base is checked again.
//!
//! - `walk`: structure, cardinality, invariants, bindings, element by element.
//! - `profile`: a profile compiled to rules, slicing, discriminators.
//! - one file for each kind of thing with rules of its own: `reference`,
//!   `extension`, `coding`, `bundle`, `narrative`, `uri` ...
//! - [`rule`]: every rule with its texts; [`finding`]: what is found.
//!
//! Spec: <https://hl7.org/fhir/R4/validation.html>

mod answer;
mod attachment;
mod bundle;
mod coding;
mod compare;
mod definition;
mod enable_when;
mod extension;
pub mod finding;
mod invariant;
pub mod location;
mod measure_report;
mod narrative;
mod narrative_control;
mod profile;
mod questionnaire;
mod questionnaire_response;
mod reference;
pub mod rule;
mod structure_definition;
#[cfg(test)]
mod tests;
mod uri;
mod vital_signs;
mod walk;

use std::sync::Arc;

use fhir_model::fhirpath;
use fhir_model::outcome::Severity;
use fhir_model::schema::name;
use fhir_model::tree::{Element, NodeId, Resource};

use crate::definitions::Definitions;
use crate::terminology::Terminology;
use bundle::Entries;
use compare::compare;
pub use finding::{Finding, Place as DocumentPlace, outcome};
use profile::{Profile, ProfileError, Profiles};
pub use rule::{Language, Rule};

/// The greatest number of elements and rules looked at for one resource.
const STEPS_MAX: u64 = 20_000_000;

/// The greatest number of findings told of one resource.
const FINDINGS_MAX: usize = 5_000;

/// The greatest depth of profiles within profiles.
const PROFILE_DEPTH_MAX: usize = 40;

/// What a validation is held to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Options {
    /// How bad an extension is that no package defines.
    pub unknown_extension: Severity,
    /// How bad a profile in `meta.profile` is that no package defines.
    pub unknown_profile: Severity,
    /// Whether `Patient/1` tells a profile that a Patient is meant, where the
    /// resource itself is not at hand.
    pub rest_references: bool,
    /// Whether references to `http://example.org` and the like are allowed.
    pub example_urls: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            unknown_extension: Severity::Information,
            unknown_profile: Severity::Warning,
            rest_references: true,
            example_urls: true,
        }
    }
}

/// Validates resources against the base specification and profiles.
///
/// It is made once and shared: profiles are compiled when first asked for.
pub struct Validator {
    profiles: Profiles,
    terminology: Arc<Terminology>,
    options: Options,
}

impl Validator {
    /// Makes a validator that knows these definitions.
    pub fn new(definitions: Arc<Definitions>, terminology: Arc<Terminology>, options: Options) -> Validator {
        Validator { profiles: Profiles::new(definitions), terminology, options }
    }

    /// Validates a resource against the base specification, the profiles that
    /// it claims in `meta.profile`, and `profiles` (canonicals).
    ///
    /// Findings come in no particular order; an empty list, or one without
    /// errors, means that the resource is valid.
    pub fn validate(&self, resource: &Resource, profiles: &[&str]) -> Vec<Finding> {
        let mut run = Run {
            validator: self,
            findings: Vec::new(),
            steps_left: STEPS_MAX,
            depth: 0,
            entries: Entries::of(resource.root()),
            checking: Vec::new(),
        };
        let place = Place::root(resource.root());
        run.resource(place);
        for profile in profiles {
            run.named_profile(place, resource.root(), profile, Severity::Error);
        }
        run.bundle(place);
        run.finish(resource)
    }
}

/// Where an element stands: which resource `%resource` and `%rootResource` are.
#[derive(Clone, Copy)]
struct Place<'r> {
    resource: Element<'r>,
    /// The container of a contained resource, otherwise the same.
    container: Element<'r>,
    /// The entry of a Bundle that it stands in.
    entry: Option<Element<'r>>,
}

impl<'r> Place<'r> {
    fn root(resource: Element<'r>) -> Place<'r> {
        Place { resource, container: resource, entry: None }
    }

    /// Returns the place within `child`, a resource that stands in this one.
    fn within(self, child: Element<'r>, parent: Element<'r>) -> Place<'r> {
        match child.name_id() {
            Some(name::CONTAINED) => Place { resource: child, ..self },
            _ => {
                let in_entry = parent.ty() == fhir_model::schema::ty::BUNDLE_ENTRY;
                Place {
                    resource: child,
                    container: child,
                    entry: if in_entry { Some(parent) } else { self.entry },
                }
            }
        }
    }
}

/// One validation, under way.
struct Run<'v, 'r> {
    validator: &'v Validator,
    findings: Vec<Finding>,
    steps_left: u64,
    depth: usize,
    /// The entries of the outermost Bundle, by fullUrl and by type and id.
    entries: Entries<'r>,
    /// What is being held against which profile, so that cycles end.
    checking: Vec<(NodeId, Arc<str>)>,
}

impl<'v, 'r> Run<'v, 'r> {
    fn find(&mut self, severity: Severity, node: Element<'r>, rule: Rule) {
        self.push(Finding { severity, rule, node: node.id(), profile: None });
    }

    fn error(&mut self, node: Element<'r>, rule: Rule) {
        self.find(Severity::Error, node, rule);
    }

    fn error_of(&mut self, profile: &Profile, node: Element<'r>, rule: Rule) {
        self.find_of(profile, Severity::Error, node, rule);
    }

    fn find_of(&mut self, profile: &Profile, severity: Severity, node: Element<'r>, rule: Rule) {
        self.push(Finding { severity, rule, node: node.id(), profile: Some(Arc::clone(&profile.url)) });
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Takes a step; tells whether there are any left.
    fn step(&mut self) -> bool {
        self.steps_left = self.steps_left.saturating_sub(1);
        self.steps_left > 0
    }

    /// Does something whose findings are not told; tells whether it found no error.
    fn trial(&mut self, attempt: impl FnOnce(&mut Run<'v, 'r>)) -> bool {
        !self.attempt(attempt).iter().any(Finding::is_error)
    }

    /// Does something, and returns what it finds instead of telling it.
    fn attempt(&mut self, attempt: impl FnOnce(&mut Run<'v, 'r>)) -> Vec<Finding> {
        let before = std::mem::take(&mut self.findings);
        attempt(self);
        std::mem::replace(&mut self.findings, before)
    }

    /// Holds an element against a profile that is named somewhere; `unknown`
    /// is how bad it is when there is no such profile.
    fn named_profile(&mut self, place: Place<'r>, element: Element<'r>, canonical: &str, unknown: Severity) {
        match self.validator.profiles.get(canonical) {
            Ok(profile) => self.profile(place, element, &profile),
            Err(ProfileError::Unknown) => {
                if profile::core_type(canonical).is_some_and(|ty| element.ty().is_a(ty)) {
                    return;
                }
                self.find(unknown, element, Rule::UnknownProfile { profile: canonical.to_owned() });
            }
            Err(ProfileError::Broken(reason)) => {
                self.find(
                    Severity::Error,
                    element,
                    Rule::BrokenProfile { profile: canonical.to_owned(), reason },
                );
            }
        }
    }

    fn finish(mut self, resource: &Resource) -> Vec<Finding> {
        if self.steps_left == 0 {
            let rule = Rule::Limit { what: format!("{STEPS_MAX} steps") };
            self.find_at_root(resource, rule);
        } else if self.findings.len() >= FINDINGS_MAX {
            self.findings.truncate(FINDINGS_MAX - 1);
            self.find_at_root(resource, Rule::Limit { what: format!("{FINDINGS_MAX} findings") });
        }
        let mut told: Vec<Finding> = Vec::with_capacity(self.findings.len());
        for finding in self.findings {
            let again = |f: &Finding| f.node == finding.node && f.rule == finding.rule;
            if !told.iter().any(again) {
                told.push(finding);
            }
        }
        told
    }

    fn find_at_root(&mut self, resource: &Resource, rule: Rule) {
        self.findings.push(Finding {
            severity: Severity::Error,
            rule,
            node: resource.root_id(),
            profile: None,
        });
    }

    /// Makes the context in which invariants of a place are evaluated.
    fn context<'c>(&self, place: Place<'r>) -> fhirpath::Context<'r, 'c>
    where
        'v: 'c,
    {
        fhirpath::Context::new(place.resource)
            .contained_in(place.container)
            .terminology(&*self.validator.terminology)
            .limits(invariant::limits())
    }
}

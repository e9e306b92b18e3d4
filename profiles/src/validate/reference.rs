//! References: their form, what they lead to, and what that may be.
//!
//! Spec: <https://hl7.org/fhir/R4/references.html>

use std::sync::Arc;

use fhir_model::outcome::Severity;
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::{Element, Resource};

use super::bundle::Found;
use super::profile::{Profile, TypeRule, core_type};
use super::uri::{is_absolute, names};
use super::{Place, Rule, Run};

/// How a reference leads to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Contained,
    Bundled,
    Referenced,
}

impl Way {
    fn code(self) -> &'static str {
        match self {
            Way::Contained => "contained",
            Way::Bundled => "bundled",
            Way::Referenced => "referenced",
        }
    }
}

/// What a reference leads to, as far as can be told here.
struct Target<'r> {
    way: Way,
    resource: Option<(Place<'r>, Element<'r>)>,
    ty: Option<TypeId>,
}

/// The definition that a resource answers to: contained in it, or known.
pub(super) enum Answered<'r> {
    Contained(Element<'r>),
    Known(Arc<Resource>),
}

impl Answered<'_> {
    pub(super) fn root(&self) -> Element<'_> {
        match self {
            Answered::Contained(root) => *root,
            Answered::Known(resource) => resource.root(),
        }
    }
}

impl<'r> Run<'_, 'r> {
    /// Finds the definition that `holder` names by a canonical, or by `#` and
    /// the id of a contained resource. Where it is not there, tells so:
    /// `unknown` of a canonical that no package at hand defines.
    pub(super) fn answered(
        &mut self,
        place: Place<'r>,
        holder: Element<'r>,
        canonical: &'r str,
        of: TypeId,
        unknown: Rule,
    ) -> Option<Answered<'r>> {
        if let Some(id) = canonical.strip_prefix('#') {
            let mut contained = place.container.children_named(name::CONTAINED);
            let found = contained.find(|c| c.text_of(name::ID) == Some(id) && c.ty() == of);
            if found.is_none() {
                self.error(holder, Rule::NotContained { reference: canonical.to_owned() });
            }
            return found.map(Answered::Contained);
        }
        let found = self.validator.profiles.definitions().resource(of, canonical).cloned();
        if found.is_none() {
            self.find(Severity::Warning, holder, unknown);
        }
        found.map(Answered::Known)
    }

    /// Holds a Reference to the base specification.
    pub(super) fn reference(&mut self, place: Place<'r>, reference: Element<'r>, targets: &[TypeId]) {
        let stated = reference.text_of(name::TYPE).and_then(TypeId::resource_named);
        let Some(text) = reference.text_of(name::REFERENCE) else {
            self.target_allowed(reference, stated, targets);
            return;
        };
        let target = self.target(place, text);
        match &target {
            None => {
                if text.starts_with('#') {
                    self.error(reference, Rule::NotContained { reference: text.to_owned() });
                } else {
                    // Elsewhere the reference may mean something to its sender.
                    let severity = if place.entry.is_some() { Severity::Error } else { Severity::Warning };
                    self.find(severity, reference, Rule::ReferenceForm { reference: text.to_owned() });
                }
            }
            Some(target) => {
                let told = Literal::parse(text).map(|l| l.key.resource_type);
                if let (Some(stated), Some(found)) = (stated.or(told), target.ty)
                    && stated != found
                {
                    let rule = Rule::TargetType { stated: stated.name().into(), found: found.name().into() };
                    self.error(reference, rule);
                }
                self.target_allowed(reference, target.ty.or(stated), targets);
            }
        }
    }

    fn target_allowed(&mut self, reference: Element<'r>, found: Option<TypeId>, targets: &[TypeId]) {
        if let Some(found) = found
            && !targets.is_empty()
            && !targets.iter().any(|t| found.is_a(*t))
        {
            let rule = Rule::Target { found: found.name().to_owned(), allowed: names(targets) };
            self.error(reference, rule);
        }
    }

    /// Finds what a reference leads to; `None` when its form is wrong, or
    /// what it names in its own resource is not there.
    fn target(&self, place: Place<'r>, text: &str) -> Option<Target<'r>> {
        if let Some(id) = text.strip_prefix('#') {
            let found = if id.is_empty() {
                place.container
            } else {
                let by_id = |e: &Element<'r>| e.text_of(name::ID) == Some(id);
                place.container.children_named(name::CONTAINED).find(by_id).or_else(|| {
                    // A contained resource may refer to its container by its id.
                    Some(place.container).filter(by_id)
                })?
            };
            let at = Place { resource: found, ..place };
            return Some(Target { way: Way::Contained, resource: Some((at, found)), ty: Some(found.ty()) });
        }
        if let Found::One(resource) | Found::ByIdentity(resource) = self.entries.find(place.entry, text) {
            let at = Place { resource, container: resource, entry: place.entry };
            return Some(Target {
                way: Way::Bundled,
                resource: Some((at, resource)),
                ty: Some(resource.ty()),
            });
        }
        let literal = Literal::parse(text);
        let conditional = || {
            let (kind, query) = text.split_once('?')?;
            TypeId::resource_named(kind).filter(|_| query.contains('='))
        };
        let ty = literal.as_ref().map(|l| l.key.resource_type).or_else(conditional);
        if ty.is_none() && !is_absolute(text) {
            return None;
        }
        Some(Target { way: Way::Referenced, resource: None, ty })
    }

    /// Finds the resource that a reference leads to, for discriminators and FHIRPath.
    pub(super) fn resolve(&self, place: Place<'r>, text: &str) -> Option<(Place<'r>, Element<'r>)> {
        self.target(place, text)?.resource
    }

    /// Holds a Reference to what a profile says of its target.
    pub(super) fn reference_rule(
        &mut self,
        place: Place<'r>,
        reference: Element<'r>,
        rule: &TypeRule,
        profile: &Profile,
    ) {
        let Some(text) = reference.text_of(name::REFERENCE) else { return };
        let Some(target) = self.target(place, text) else { return };
        if place.entry.is_some()
            && !rule.aggregation.is_empty()
            && !rule.aggregation.iter().any(|a| a == target.way.code())
        {
            let rule =
                Rule::Aggregation { found: target.way.code().into(), allowed: rule.aggregation.join(", ") };
            self.error_of(profile, reference, rule);
        }
        if rule.targets.is_empty() {
            return;
        }
        if target.resource.is_none() && !self.validator.options.rest_references {
            return;
        }
        let Some(found) = target.ty else { return };
        let of_type: Vec<&String> = rule
            .targets
            .iter()
            .filter(|t| match self.target_type(t) {
                Some(ty) => found.is_a(ty),
                None => true,
            })
            .collect();
        if of_type.is_empty() {
            let allowed = rule.targets.join(", ");
            self.error_of(profile, reference, Rule::Target { found: found.name().into(), allowed });
            return;
        }
        if of_type.iter().any(|t| core_type(t).is_some()) {
            return;
        }
        let Some((at, resource)) = target.resource else { return };
        let conforms = of_type.iter().any(|canonical| {
            self.trial(|run| run.named_profile(at, resource, canonical, Severity::Information))
        });
        if !conforms {
            let profiles = of_type.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ");
            self.error_of(profile, reference, Rule::TargetProfile { reference: text.to_owned(), profiles });
        }
    }

    /// Returns the type that a target profile is for; `None` when it is not known.
    fn target_type(&self, canonical: &str) -> Option<TypeId> {
        core_type(canonical).or_else(|| self.validator.profiles.get(canonical).ok().map(|p| p.constrains))
    }
}

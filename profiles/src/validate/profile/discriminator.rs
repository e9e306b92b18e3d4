//! Discriminators: what a slice asks of the element at a path, and whether an
//! element has it.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html#discriminator>

use std::sync::Arc;

use fhir_model::outcome::Severity;
use fhir_model::schema::{BindingStrength, name, ty};
use fhir_model::tree::Element;

use super::check::{equal, has_pattern};
use super::{Discriminator, DiscriminatorKind, PathStep, Profile, RuleId, core_type};
use crate::validate::{Place, Run};

/// The greatest number of rules that a path may lead to.
const RULES_MAX: usize = 64;

/// A rule at the end of a path, in the profile that has it.
struct At {
    profile: Arc<Profile>,
    rule: RuleId,
}

/// What a path leads to.
enum End {
    Rule(At),
    /// A target of a reference, which must have this profile.
    Target(String),
}

impl<'r> Run<'_, 'r> {
    /// Tells whether the element has what the slice asks at the discriminator's path.
    pub(super) fn discriminates(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        profile: &Arc<Profile>,
        slice: RuleId,
        discriminator: &Discriminator,
    ) -> bool {
        let values = self.values(place, element, &discriminator.path);
        let ends = self.ends(profile, slice, &discriminator.path);
        match discriminator.kind {
            DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
                self.has_value(&values, &ends, discriminator)
            }
            DiscriminatorKind::Exists => {
                let rules = ends.iter().filter_map(End::rule);
                let (mut must, mut never) = (false, false);
                for rule in rules {
                    must |= rule.profile.rule(rule.rule).min > 0;
                    never |= rule.profile.rule(rule.rule).max == 0;
                }
                if never { values.is_empty() } else { !must || !values.is_empty() }
            }
            DiscriminatorKind::Type => {
                // What a slice at the path says of the type counts before what it slices.
                let is_slice =
                    |end: &&End| end.rule().is_some_and(|at| at.profile.rule(at.rule).slice_name.is_some());
                let sliced: Vec<&End> = ends.iter().filter(is_slice).collect();
                let asked: Vec<&End> = if sliced.is_empty() || discriminator.path.is_empty() {
                    ends.iter().collect()
                } else {
                    sliced
                };
                values.iter().any(|(_, value)| asked.iter().any(|end| self.has_type(*value, end)))
            }
            DiscriminatorKind::Profile => {
                let profiles: Vec<String> = ends.iter().flat_map(End::profiles).collect();
                let may_be_absent =
                    ends.iter().filter_map(End::rule).all(|at| at.profile.rule(at.rule).min == 0);
                if profiles.is_empty() || values.is_empty() && may_be_absent {
                    return true;
                }
                values.iter().any(|(at, value)| {
                    profiles.iter().any(|canonical| {
                        self.trial(|run| run.named_profile(*at, *value, canonical, Severity::Error))
                    })
                })
            }
        }
    }

    fn has_type(&self, value: Element<'r>, end: &End) -> bool {
        match end {
            End::Rule(at) => {
                let rule = at.profile.rule(at.rule);
                let own = (at.rule == Profile::ROOT).then_some(at.profile.constrains);
                rule.types.iter().map(|t| t.ty).chain(own).any(|t| value.ty().is_a(t))
            }
            End::Target(canonical) => match core_type(canonical) {
                Some(ty) => value.ty().is_a(ty),
                None => self.validator.profiles.get(canonical).is_ok_and(|p| value.ty().is_a(p.constrains)),
            },
        }
    }

    fn has_value(
        &self,
        values: &[(Place<'r>, Element<'r>)],
        ends: &[End],
        discriminator: &Discriminator,
    ) -> bool {
        let mut asked = false;
        let mut required = false;
        for at in ends.iter().filter_map(End::rule) {
            let rule = at.profile.rule(at.rule);
            required |= rule.min > 0;
            let pattern = rule.pattern.map(|n| at.profile.value(n));
            let fixed = rule.fixed.map(|n| at.profile.value(n));
            if let Some(fixed) = fixed {
                asked = true;
                if values.iter().any(|(_, v)| equal(*v, fixed)) {
                    return true;
                }
            } else if let Some(pattern) = pattern {
                asked = true;
                if values.iter().any(|(_, v)| has_pattern(*v, pattern)) {
                    return true;
                }
            } else if let Some(binding) =
                rule.binding.as_ref().filter(|b| b.strength == BindingStrength::Required)
            {
                asked = true;
                if values.iter().any(|(_, v)| self.in_value_set(*v, &binding.value_set) == Some(true)) {
                    return true;
                }
            } else if let Some(parts) = self.asked_within(at) {
                asked = true;
                if values.iter().any(|(_, v)| parts.iter().all(|part| has_part(*v, part))) {
                    return true;
                }
            }
        }
        // An extension without a definition here is told by the url of its profile.
        let by_url = discriminator.path.last() == Some(&PathStep::Child(name::URL));
        if !asked && by_url {
            return false;
        }
        !asked && (!required || !values.is_empty())
    }

    /// What the children of a rule fix, where the rule itself fixes nothing:
    /// `code` told by `code.coding.system` and `code.coding.code`.
    fn asked_within(&self, at: &At) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        collect_parts(at, at.rule, &mut Vec::new(), &mut parts, 0);
        (!parts.is_empty()).then_some(parts)
    }

    /// Returns what stands at a path in an element, with the place of each.
    fn values(
        &self,
        place: Place<'r>,
        element: Element<'r>,
        path: &[PathStep],
    ) -> Vec<(Place<'r>, Element<'r>)> {
        let mut at = vec![(place, element)];
        for step in path {
            at = at
                .into_iter()
                .flat_map(|(place, element)| -> Vec<(Place<'r>, Element<'r>)> {
                    match step {
                        PathStep::Child(name) => element
                            .children_named(*name)
                            .map(|c| (if c.is_resource() { place.within(c, element) } else { place }, c))
                            .collect(),
                        PathStep::Extension(url) => element
                            .children_named(name::EXTENSION)
                            .filter(|e| e.text_of(name::URL) == Some(url))
                            .map(|e| (place, e))
                            .collect(),
                        PathStep::OfType(ty) => {
                            if element.ty().is_a(*ty) {
                                vec![(place, element)]
                            } else {
                                Vec::new()
                            }
                        }
                        PathStep::Resolve => {
                            let text = match element.ty() {
                                ty::REFERENCE => element.text_of(name::REFERENCE),
                                _ => element.value(),
                            };
                            text.and_then(|t| self.resolve(place, t)).into_iter().collect()
                        }
                    }
                })
                .collect();
        }
        at
    }

    /// Returns the rules that a path leads to from a slice.
    fn ends(&self, profile: &Arc<Profile>, slice: RuleId, path: &[PathStep]) -> Vec<End> {
        let mut at = vec![End::Rule(At { profile: Arc::clone(profile), rule: slice })];
        // What an element's type profile fixes counts as well: at `$this` too.
        if path.is_empty() {
            let more = self.through_types(&at);
            at.extend(more);
        }
        for step in path {
            let more = self.through_types(&at);
            at.extend(more);
            at = at.iter().flat_map(|end| self.follow(end, step)).take(RULES_MAX).collect();
        }
        at
    }

    /// Returns the roots of the profiles that the types of rules name.
    fn through_types(&self, ends: &[End]) -> Vec<End> {
        let canonicals = ends.iter().flat_map(End::profiles);
        let found = canonicals.filter_map(|canonical| self.validator.profiles.get(&canonical).ok());
        found.map(|profile| End::Rule(At { profile, rule: Profile::ROOT })).collect()
    }

    fn follow(&self, end: &End, step: &PathStep) -> Vec<End> {
        let End::Rule(at) = end else { return Vec::new() };
        let rule = at.profile.rule(at.rule);
        let children = &rule.children;
        let here = |rule: RuleId| End::Rule(At { profile: Arc::clone(&at.profile), rule });
        match step {
            PathStep::Child(name) => children
                .iter()
                .filter(|c| at.profile.rule(**c).name == Some(*name))
                .flat_map(|c| at.profile.with_slices(*c))
                .map(here)
                .collect(),
            PathStep::Extension(url) => children
                .iter()
                .filter(|c| at.profile.rule(**c).name == Some(name::EXTENSION))
                .flat_map(|c| at.profile.rule(*c).slices.iter().copied())
                .filter(|s| at.profile.rule(*s).types.iter().any(|t| t.profiles.iter().any(|p| p == url)))
                .flat_map(|s| at.profile.with_slices(s))
                .map(here)
                .collect(),
            PathStep::OfType(ty) => {
                let slices: Vec<End> = rule
                    .slices
                    .iter()
                    .copied()
                    .filter(|s| at.profile.rule(*s).types.iter().any(|t| t.ty == *ty))
                    .map(here)
                    .collect();
                if slices.is_empty() { vec![here(at.rule)] } else { slices }
            }
            PathStep::Resolve => {
                rule.types.iter().flat_map(|t| t.targets.iter().cloned()).map(End::Target).collect()
            }
        }
    }
}

impl End {
    fn rule(&self) -> Option<&At> {
        match self {
            End::Rule(at) => Some(at),
            End::Target(_) => None,
        }
    }

    fn profiles(&self) -> Vec<String> {
        match self {
            End::Rule(at) => {
                at.profile.rule(at.rule).types.iter().flat_map(|t| t.profiles.iter().cloned()).collect()
            }
            End::Target(canonical) => vec![canonical.clone()],
        }
    }
}

/// A fixed value or pattern below a rule.
struct Part {
    path: Vec<fhir_model::schema::NameId>,
    profile: Arc<Profile>,
    fixed: Option<fhir_model::tree::NodeId>,
    pattern: Option<fhir_model::tree::NodeId>,
}

fn collect_parts(
    at: &At,
    rule: RuleId,
    path: &mut Vec<fhir_model::schema::NameId>,
    parts: &mut Vec<Part>,
    depth: usize,
) {
    if depth > 8 || parts.len() > RULES_MAX {
        return;
    }
    for child in &at.profile.rule(rule).children {
        let asked = at.profile.rule(*child);
        let Some(name) = asked.name else { continue };
        path.push(name);
        if asked.min > 0 && (asked.fixed.is_some() || asked.pattern.is_some()) {
            parts.push(Part {
                path: path.clone(),
                profile: Arc::clone(&at.profile),
                fixed: asked.fixed,
                pattern: asked.pattern,
            });
        } else if asked.min > 0 {
            collect_parts(at, *child, path, parts, depth + 1);
        }
        path.pop();
    }
}

fn has_part(element: Element<'_>, part: &Part) -> bool {
    let mut at = vec![element];
    for name in &part.path {
        at = at.into_iter().flat_map(|e| e.children_named(*name)).collect();
    }
    at.into_iter().any(|value| match (part.fixed, part.pattern) {
        (Some(fixed), _) => equal(value, part.profile.value(fixed)),
        (_, Some(pattern)) => has_pattern(value, part.profile.value(pattern)),
        _ => true,
    })
}

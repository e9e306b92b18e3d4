//! An element held against the rules of a profile.

use std::sync::Arc;

use fhir_model::outcome::Severity;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::{ElementRule, Profile, RuleId, TypeRule};
use crate::validate::{Finding, PROFILE_DEPTH_MAX, Place, Rule, Run, compare};

impl<'r> Run<'_, 'r> {
    /// Holds an element, or a resource, against a profile.
    pub(in crate::validate) fn profile(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        profile: &Arc<Profile>,
    ) {
        if !element.ty().is_a(profile.constrains) {
            let rule = Rule::ProfileType {
                profile: profile.url.to_string(),
                found: element.ty().name().to_owned(),
                of: profile.constrains.name().to_owned(),
            };
            self.error(element, rule);
            return;
        }
        // What is being held against a profile already is not held again within itself.
        let key = (element.id(), Arc::clone(&profile.url));
        if self.checking.contains(&key) || self.depth >= PROFILE_DEPTH_MAX {
            return;
        }
        if !profile.complaints.is_empty() {
            let rule = Rule::ProfileInPart {
                profile: profile.url.to_string(),
                reason: profile.complaints.join("; "),
            };
            self.find(Severity::Warning, element, rule);
        }
        self.checking.push(key);
        self.depth += 1;
        self.rule(place, None, element, profile, Profile::ROOT);
        self.depth -= 1;
        self.checking.pop();
    }

    /// Holds an element against one rule and the rules of its children. An
    /// invariant on a resource that stands in another (`parent`) sees the
    /// other one as `%resource`; the rules below see the inner one.
    pub(super) fn rule(
        &mut self,
        place: Place<'r>,
        parent: Option<Element<'r>>,
        element: Element<'r>,
        profile: &Arc<Profile>,
        id: RuleId,
    ) {
        if !self.step() {
            return;
        }
        let rule = profile.rule(id);
        let outer = place;
        let place = match parent {
            Some(parent) if element.is_resource() => place.within(element, parent),
            _ => place,
        };
        if !self.types(place, element, profile, rule) {
            return;
        }
        self.value(element, profile, rule);
        if let Some(binding) = &rule.binding {
            self.binding_rule(element, binding, profile);
        }
        if let Some(narrative) = &rule.narrative {
            self.narrative_rule(place, element, narrative, profile);
        }
        for invariant in &rule.invariants {
            let severity = if invariant.is_error { Severity::Error } else { Severity::Warning };
            let broken = match &invariant.expression {
                Ok(expression) => {
                    self.invariant(outer, element, &invariant.key, &invariant.human, expression)
                }
                Err(error) => Some(Rule::InvariantError { key: invariant.key.clone(), error: error.clone() }),
            };
            if let Some(broken) = broken {
                self.find_of(profile, severity, element, broken);
            }
        }
        // Where an element means the content of another, the base has checked it.
        for child in &rule.children {
            self.children(place, element, profile, *child);
        }
    }

    /// Holds the children of one name against their rule and its slices.
    fn children(&mut self, place: Place<'r>, parent: Element<'r>, profile: &Arc<Profile>, id: RuleId) {
        let rule = profile.rule(id);
        let Some(name) = rule.name else { return };
        let found: Vec<Element<'r>> = parent.children_named(name).collect();
        if !rule.same_cardinality {
            self.cardinality(parent, profile, rule, found.len());
        }
        for element in &found {
            self.rule(place, Some(parent), *element, profile, id);
        }
        if !rule.slices.is_empty() || rule.slicing.as_ref().is_some_and(|s| s.closed) {
            self.slices(place, parent, &found, profile, id);
        }
    }

    pub(super) fn cardinality(
        &mut self,
        parent: Element<'r>,
        profile: &Arc<Profile>,
        rule: &ElementRule,
        found: usize,
    ) {
        if found < rule.min as usize {
            self.error_of(profile, parent, Rule::Min { element: rule.id.clone(), min: rule.min, found });
        }
        if found > rule.max as usize {
            self.error_of(profile, parent, Rule::Max { element: rule.id.clone(), max: rule.max, found });
        }
    }

    /// Holds the element to the types of the rule; tells whether it has one of them.
    fn types(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        profile: &Arc<Profile>,
        rule: &ElementRule,
    ) -> bool {
        if rule.same_types || rule.types.is_empty() || rule.name.is_none() {
            return true;
        }
        let fits =
            |t: &&TypeRule| element.ty().is_a(t.ty) || t.ty.is_a(element.ty()) && !element.is_resource();
        let fitting: Vec<&TypeRule> = rule.types.iter().filter(fits).collect();
        if fitting.is_empty() {
            let allowed = rule.types.iter().map(|t| t.ty.name()).collect::<Vec<_>>().join(", ");
            let broken = Rule::Type { found: element.ty().name().to_owned(), allowed };
            self.error_of(profile, element, broken);
            return false;
        }
        if element.ty() == ty::REFERENCE
            && let [one] = fitting.as_slice()
        {
            self.reference_rule(place, element, one, profile);
        }
        let profiles: Vec<&String> = fitting.iter().flat_map(|t| &t.profiles).collect();
        match profiles.as_slice() {
            [] => {}
            // The definition of an extension is looked at wherever it stands.
            [_] if element.ty() == ty::EXTENSION && self.defined(element) => {}
            [one] => self.named_profile(place, element, one, Severity::Error),
            many => {
                let mut nearest: Option<Vec<Finding>> = None;
                for canonical in many {
                    let found =
                        self.attempt(|run| run.named_profile(place, element, canonical, Severity::Error));
                    let errors = |found: &[Finding]| found.iter().filter(|f| f.is_error()).count();
                    if errors(&found) == 0 {
                        return true;
                    }
                    if nearest.as_deref().is_none_or(|nearest| errors(&found) < errors(nearest)) {
                        nearest = Some(found);
                    }
                }
                // What keeps it from the profile that it is nearest to helps more than that none fits.
                if let Some(found) = nearest {
                    found.into_iter().filter(Finding::is_error).for_each(|finding| self.push(finding));
                    let profiles = many.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
                    self.error_of(profile, element, Rule::NoProfile { profiles });
                }
            }
        }
        true
    }

    fn defined(&self, extension: Element<'r>) -> bool {
        let definitions = self.validator.profiles.definitions();
        extension
            .text_of(name::URL)
            .is_some_and(|url| definitions.find(ty::STRUCTURE_DEFINITION, url).is_some())
    }

    /// Fixed value, pattern, and bounds.
    fn value(&mut self, element: Element<'r>, profile: &Arc<Profile>, rule: &ElementRule) {
        if let Some(fixed) = rule.fixed {
            let fixed = profile.value(fixed);
            if !equal(element, fixed) {
                let broken = Rule::Fixed { found: shown(element), fixed: shown(fixed) };
                self.error_of(profile, element, broken);
            }
        }
        if let Some(pattern) = rule.pattern {
            let pattern = profile.value(pattern);
            if !has_pattern(element, pattern) {
                self.error_of(profile, element, Rule::Pattern { pattern: shown(pattern) });
            }
        }
        if rule.value_required && element.value().is_none() {
            self.error_of(profile, element, Rule::NoValue {});
        }
        if !rule.value_alternatives.is_empty() && element.value().is_none() {
            let mut extensions = element.children_named(name::EXTENSION).filter_map(|e| e.text_of(name::URL));
            if !extensions.any(|url| rule.value_alternatives.iter().any(|allowed| allowed == url)) {
                let extensions = rule.value_alternatives.join(", ");
                self.error_of(profile, element, Rule::NoAlternative { extensions });
            }
        }
        let Some(text) = element.value() else {
            self.bounds(element, profile, rule);
            return;
        };
        let length = || text.chars().count();
        if let Some(max) = rule.max_length
            && length() > max
        {
            self.error_of(profile, element, Rule::MaxLength { length: length(), max });
        }
        if let Some(min) = rule.min_length
            && length() < min
        {
            self.error_of(profile, element, Rule::MinLength { length: length(), min });
        }
        self.bounds(element, profile, rule);
    }

    fn bounds(&mut self, element: Element<'r>, profile: &Arc<Profile>, rule: &ElementRule) {
        if let Some(min) = rule.min_value.map(|n| profile.value(n))
            && compare(element, min).is_some_and(|o| o.is_lt())
        {
            let broken = Rule::MinValue { found: shown(element), min: shown(min) };
            self.error_of(profile, element, broken);
        }
        if let Some(max) = rule.max_value.map(|n| profile.value(n))
            && compare(element, max).is_some_and(|o| o.is_gt())
        {
            let broken = Rule::MaxValue { found: shown(element), max: shown(max) };
            self.error_of(profile, element, broken);
        }
    }
}

/// Tells whether two elements are equal: the same values in the same order,
/// ids apart, which tooling adds.
pub(in crate::validate) fn equal(left: Element<'_>, right: Element<'_>) -> bool {
    if left.value() != right.value() {
        return false;
    }
    let content = |e: Element<'_>| e.children().filter(|c| c.name_id() != Some(name::ID)).count();
    content(left) == content(right)
        && left
            .children()
            .filter(|c| c.name_id() != Some(name::ID))
            .zip(right.children().filter(|c| c.name_id() != Some(name::ID)))
            .all(|(l, r)| l.name_id() == r.name_id() && l.ty() == r.ty() && equal(l, r))
}

/// Tells whether an element has at least what a pattern has.
///
/// Spec: <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_>
pub(super) fn has_pattern(element: Element<'_>, pattern: Element<'_>) -> bool {
    if pattern.value().is_some() && pattern.value() != element.value() {
        return false;
    }
    pattern.children().filter(|c| c.name_id() != Some(name::ID)).all(|part| {
        let Some(part_name) = part.name_id() else { return true };
        element.children_named(part_name).any(|child| child.ty() == part.ty() && has_pattern(child, part))
    })
}

/// Returns a value as a text shows it.
pub(in crate::validate) fn shown(element: Element<'_>) -> String {
    const SHOWN_MAX: usize = 300;
    let text = match element.value() {
        Some(value) => format!("'{value}'"),
        None => {
            let mut out = Vec::new();
            fhir_model::json::write::write_element(element, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

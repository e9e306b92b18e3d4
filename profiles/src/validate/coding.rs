//! Codes: bindings, code systems, displays.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies.html>

use fhir_model::outcome::Severity;
use fhir_model::schema::{BindingStrength, ElementDefinition, name, ty};
use fhir_model::tree::Element;

use super::profile::{BindingRule, Profile};
use super::{Rule, Run};
use crate::terminology::{CodingRef, Membership};

/// The greatest length of a code in a text.
const SHOWN_MAX: usize = 200;

impl<'r> Run<'_, 'r> {
    /// Holds an element to the binding of the base specification.
    pub(super) fn binding_of(&mut self, element: Element<'r>, statement: &'static ElementDefinition) {
        if let Some(binding) = statement.binding {
            self.bound(element, binding.strength, binding.value_set, None);
        }
    }

    /// Holds an element to the binding of a profile.
    pub(super) fn binding_rule(&mut self, element: Element<'r>, rule: &BindingRule, profile: &Profile) {
        if !rule.value_set.is_empty() {
            self.bound(element, rule.strength, &rule.value_set, Some(profile));
        }
        if let Some(greatest) = &rule.max_value_set {
            self.bound(element, BindingStrength::Required, greatest, Some(profile));
        }
        for (strength, value_set) in &rule.additional {
            self.bound(element, *strength, value_set, Some(profile));
        }
    }

    fn bound(
        &mut self,
        element: Element<'r>,
        strength: BindingStrength,
        value_set: &str,
        profile: Option<&Profile>,
    ) {
        let severity = match strength {
            BindingStrength::Required => Severity::Error,
            BindingStrength::Extensible => Severity::Warning,
            BindingStrength::Preferred => Severity::Information,
            BindingStrength::Example => return,
        };
        let answers: Vec<(String, Membership)> = match element.ty() {
            ty::CODEABLE_CONCEPT => {
                let codings =
                    element.children_named(name::CODING).filter(|c| c.text_of(name::CODE).is_some());
                codings.map(|coding| self.member(value_set, coding)).collect()
            }
            ty::CODING | ty::QUANTITY if element.text_of(name::CODE).is_some() => {
                vec![self.member(value_set, element)]
            }
            of if of.is_a(ty::QUANTITY) && of != ty::QUANTITY => return,
            ty::CODING | ty::QUANTITY => Vec::new(),
            _ => match element.value() {
                Some(code) => {
                    let coding = CodingRef { system: None, version: None, code, display: None };
                    vec![(format!("'{code}'"), self.validator.terminology.validate(value_set, &coding))]
                }
                None => Vec::new(),
            },
        };
        if let Some(rule) = verdict(answers, value_set, element, strength) {
            let severity = match rule {
                Rule::BindingUnknown { .. } => severity.min(Severity::Warning),
                _ => severity,
            };
            match profile {
                Some(profile) => self.find_of(profile, severity, element, rule),
                None => self.find(severity, element, rule),
            }
        }
    }

    fn member(&self, value_set: &str, coding: Element<'r>) -> (String, Membership) {
        let reference = coding_ref(coding);
        let answer = self.validator.terminology.validate(value_set, &reference);
        (shown(&reference), answer)
    }

    /// Tells whether an element's code is in a value set; `None` when that cannot be told.
    pub(super) fn in_value_set(&self, element: Element<'r>, value_set: &str) -> Option<bool> {
        let codings: Vec<Element<'r>> = match element.ty() {
            ty::CODEABLE_CONCEPT => element.children_named(name::CODING).collect(),
            ty::CODING | ty::QUANTITY => vec![element],
            _ => {
                let coding = CodingRef { system: None, version: None, code: element.value()?, display: None };
                return told(&self.validator.terminology.validate(value_set, &coding));
            }
        };
        let mut answer = Some(false);
        for coding in codings {
            match told(&self.validator.terminology.validate(value_set, &coding_ref(coding))) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => answer = None,
            }
        }
        answer
    }

    /// Holds a Coding to its code system.
    pub(super) fn coding(&mut self, coding: Element<'r>) {
        let Some(system) = coding.text_of(name::SYSTEM) else { return };
        if !system.contains(':') {
            self.error(part(coding, name::SYSTEM), Rule::SystemRelative { system: system.to_owned() });
            return;
        }
        let definitions = self.validator.profiles.definitions();
        if definitions.find(ty::CODE_SYSTEM, system).is_none()
            && definitions.find(ty::VALUE_SET, system).is_some()
        {
            self.error(part(coding, name::SYSTEM), Rule::SystemIsValueSet { system: system.to_owned() });
            return;
        }
        let is_supplement = || {
            let found = definitions.resource(ty::CODE_SYSTEM, system)?;
            let root = found.root();
            root.child(name::SUPPLEMENTS)
                .or(root.child(name::CONTENT).filter(|c| c.value() == Some("supplement")))
        };
        if is_supplement().is_some() {
            self.error(part(coding, name::SYSTEM), Rule::SystemIsSupplement { system: system.to_owned() });
            return;
        }
        self.code_of_system(coding, system);
    }

    /// Holds the coded unit of a Quantity to its code system.
    pub(super) fn quantity(&mut self, quantity: Element<'r>) {
        if let Some(system) = quantity.text_of(name::SYSTEM) {
            self.code_of_system(quantity, system);
        }
    }

    /// The code of a Coding or Quantity is one of its system, the display one of the code.
    fn code_of_system(&mut self, coded: Element<'r>, system: &str) {
        if coded.text_of(name::CODE).is_none() {
            return;
        }
        let reference = coding_ref(coded);
        match self.validator.terminology.validate_in_system(&reference) {
            Membership::NotMember { .. } => {
                let rule = Rule::UnknownCode { code: reference.code.to_owned(), system: system.to_owned() };
                self.error(part(coded, name::CODE), rule);
            }
            Membership::Member { display: Some(valid) } => {
                let rule = Rule::Display {
                    display: reference.display.unwrap_or_default().to_owned(),
                    code: shown(&reference),
                    valid,
                };
                self.error(part(coded, name::DISPLAY), rule);
            }
            Membership::Member { display: None } | Membership::Unknown { .. } => {}
        }
    }
}

/// Returns a part of a Coding, where there is one: that is where a fault is.
fn part<'r>(coding: Element<'r>, name: fhir_model::schema::NameId) -> Element<'r> {
    coding.child(name).unwrap_or(coding)
}

fn told(answer: &Membership) -> Option<bool> {
    match answer {
        Membership::Member { .. } => Some(true),
        Membership::NotMember { .. } => Some(false),
        Membership::Unknown { .. } => None,
    }
}

/// What the answers for the codes of one element mean: one that is in suffices.
fn verdict(
    answers: Vec<(String, Membership)>,
    value_set: &str,
    element: Element<'_>,
    strength: BindingStrength,
) -> Option<Rule> {
    let value_set = value_set.to_owned();
    if answers.is_empty() {
        // What is not coded, only told in words, breaks a required binding only.
        let told_otherwise = element.children_named(name::EXTENSION).next().is_some();
        let required = strength == BindingStrength::Required && !told_otherwise;
        return required.then_some(Rule::BindingNoCode { value_set });
    }
    let mut outside = None;
    let mut unknown = None;
    for (code, answer) in answers {
        match answer {
            Membership::Member { .. } => return None,
            Membership::NotMember { reason } => outside = Some((code, reason)),
            Membership::Unknown { reason } => unknown = Some((code, reason)),
        }
    }
    if let Some((code, reason)) = unknown {
        return Some(Rule::BindingUnknown { code, value_set, reason });
    }
    outside.map(|(code, reason)| Rule::Binding { code, value_set, reason })
}

/// Returns the parts of a Coding, or of a Quantity with a coded unit.
pub(super) fn coding_ref(coding: Element<'_>) -> CodingRef<'_> {
    CodingRef {
        system: coding.text_of(name::SYSTEM),
        version: coding.text_of(name::VERSION),
        code: coding.text_of(name::CODE).unwrap_or_default(),
        display: coding.text_of(name::DISPLAY),
    }
}

fn shown(coding: &CodingRef<'_>) -> String {
    let mut text = match coding.system {
        Some(system) => format!("{system}#{}", coding.code),
        None => format!("#{}", coding.code),
    };
    if text.len() > SHOWN_MAX {
        let end = (0..=SHOWN_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    format!("'{text}'")
}

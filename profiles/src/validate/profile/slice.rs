//! Slicing: which slice each repetition belongs to, and whether the slices
//! are as they must be.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html#slicing>

use std::sync::Arc;

use fhir_model::tree::Element;

use super::{Profile, RuleId, Slicing};
use crate::validate::{Place, Rule, Run};

impl<'r> Run<'_, 'r> {
    /// Holds the repetitions of an element against the slices of its rule.
    pub(super) fn slices(
        &mut self,
        place: Place<'r>,
        parent: Element<'r>,
        found: &[Element<'r>],
        profile: &Arc<Profile>,
        id: RuleId,
    ) {
        let sliced = profile.rule(id);
        let slices = &sliced.slices;
        let slicing = sliced.slicing.as_ref();
        let mut members: Vec<Vec<Element<'r>>> = vec![Vec::new(); slices.len()];
        let mut furthest: Option<usize> = None;
        let mut outside_seen = false;
        for element in found {
            let at = if element.is_resource() { place.within(*element, parent) } else { place };
            let fitting = self.fitting(at, *element, profile, slicing, slices);
            match fitting.as_slice() {
                [] => {
                    outside_seen = true;
                    if slicing.is_some_and(|s| s.closed) {
                        let rule = Rule::SlicingClosed { slicing: sliced.id.clone() };
                        self.error_of(profile, *element, rule);
                    }
                    continue;
                }
                [_] => {}
                many => {
                    let names: Vec<&str> = many.iter().map(|s| slice_name(profile, slices[*s])).collect();
                    self.error_of(profile, *element, Rule::SlicingAmbiguous { slices: names.join(", ") });
                }
            }
            let first = fitting[0];
            if slicing.is_some_and(|s| s.open_at_end) && outside_seen {
                let rule = Rule::SlicingOrder {
                    slice: slice_name(profile, slices[first]).to_owned(),
                    after: "what fits no slice".to_owned(),
                };
                self.error_of(profile, *element, rule);
            }
            if slicing.is_some_and(|s| s.ordered) {
                if let Some(before) = furthest.filter(|f| *f > first) {
                    let rule = Rule::SlicingOrder {
                        slice: slice_name(profile, slices[first]).to_owned(),
                        after: slice_name(profile, slices[before]).to_owned(),
                    };
                    self.error_of(profile, *element, rule);
                }
                furthest = furthest.max(Some(first));
            }
            members[first].push(*element);
        }
        for (slice, members) in slices.iter().zip(&members) {
            let rule = profile.rule(*slice);
            self.cardinality(parent, profile, rule, members.len());
            for element in members {
                self.rule(place, Some(parent), *element, profile, *slice);
            }
            if !rule.slices.is_empty() {
                self.slices(place, parent, members, profile, *slice);
            }
        }
    }

    /// Returns the places, in `slices`, of those that the element fits.
    fn fitting(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        profile: &Arc<Profile>,
        slicing: Option<&Slicing>,
        slices: &[RuleId],
    ) -> Vec<usize> {
        let discriminators = slicing.map_or(&[][..], |s| &s.discriminators);
        let mut fitting = Vec::new();
        for (at, slice) in slices.iter().enumerate() {
            let fits = if discriminators.is_empty() {
                self.fits_as_a_whole(place, element, profile, *slice)
            } else {
                discriminators.iter().all(|d| self.discriminates(place, element, profile, *slice, d))
            };
            if fits {
                fitting.push(at);
            }
        }
        fitting
    }

    /// Without discriminators, a choice is sliced by type, an extension by its
    /// url, and anything else by whether it conforms.
    fn fits_as_a_whole(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        profile: &Arc<Profile>,
        slice: RuleId,
    ) -> bool {
        let rule = profile.rule(slice);
        let is_choice = element.property().is_some_and(|p| p.element.is_choice);
        if is_choice {
            return rule.types.iter().any(|t| element.ty().is_a(t.ty));
        }
        self.trial(|run| run.rule(place, None, element, profile, slice))
    }
}

fn slice_name(profile: &Profile, slice: RuleId) -> &str {
    profile.rule(slice).slice_name.as_deref().unwrap_or("?")
}

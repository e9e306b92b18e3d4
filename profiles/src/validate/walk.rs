//! The base specification, element by element.

use std::collections::HashSet;

use fhir_model::schema::{ElementDefinition, TypeId, TypeKind, name, ty};
use fhir_model::tree::Element;

use super::{Place, Rule, Run};

impl<'r> Run<'_, 'r> {
    /// Validates a resource: its elements, then the profiles that it claims.
    pub(super) fn resource(&mut self, place: Place<'r>) {
        let resource = place.resource;
        self.element(place, resource);
        self.element_ids(resource);
        self.contained(resource);
        match resource.ty() {
            ty::OBSERVATION => self.vital_signs(place),
            ty::MEASURE_REPORT => self.measure_report(place),
            ty::QUESTIONNAIRE => self.questionnaire(resource),
            ty::QUESTIONNAIRE_RESPONSE => self.questionnaire_response(place),
            _ => self.definition(resource),
        }
        let claimed = resource.child(name::META).into_iter().flat_map(|m| m.children_named(name::PROFILE));
        for profile in claimed {
            if let Some(canonical) = profile.value() {
                let unknown = self.validator.options.unknown_profile;
                self.named_profile(place, resource, canonical, unknown);
            }
        }
    }

    fn element(&mut self, place: Place<'r>, element: Element<'r>) {
        if !self.step() {
            return;
        }
        let definition = element.definition();
        let statement = element.property().map(|p| p.element);
        if definition.kind != TypeKind::Resource && !self.has_content(element) {
            return;
        }
        for required in definition.elements.iter().filter(|e| e.min > 0) {
            self.required(element, required);
        }
        self.invariants(place, element);
        if let Some(statement) = statement {
            self.binding_of(element, statement);
        }
        self.by_type(place, element, statement);
        for child in element.children() {
            if child.is_resource() {
                self.resource(place.within(child, element));
            } else {
                self.element(place, child);
            }
        }
    }

    /// The invariant ele-1, and that a primitive has a value or says why not.
    fn has_content(&mut self, element: Element<'r>) -> bool {
        if element.value().is_some() {
            return true;
        }
        if element.children().all(|c| c.name_id() == Some(name::ID)) {
            let rule = if element.definition().is_primitive() { Rule::NoValue {} } else { Rule::Empty {} };
            self.error(element, rule);
            return false;
        }
        true
    }

    fn required(&mut self, element: Element<'r>, required: &ElementDefinition) {
        let found = element.children_named(required.name_id).count();
        if (found as u32) < required.min {
            let rule = if element.ty() == ty::EXTENSION {
                Rule::ExtensionUrl {}
            } else {
                Rule::Min { element: child_path(element.ty(), required), min: required.min, found }
            };
            self.error(element, rule);
        }
    }

    /// The ids of elements are unique within a resource; those of contained
    /// resources are theirs.
    fn element_ids(&mut self, resource: Element<'r>) {
        let mut seen = HashSet::new();
        let mut waiting = vec![resource.children()];
        while let Some(children) = waiting.last_mut() {
            let Some(element) = children.next() else {
                waiting.pop();
                continue;
            };
            // The elements of a definition have the same ids in snapshot and differential.
            if element.is_resource() || element.ty() == ty::ELEMENT_DEFINITION {
                continue;
            }
            if let Some(id) = element.text_of(name::ID)
                && !seen.insert(id)
            {
                let rule = Rule::Duplicate { what: "the id".to_owned(), value: id.to_owned() };
                self.error(element, rule);
            }
            waiting.push(element.children());
        }
    }

    /// What types have as rules of their own.
    fn by_type(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        statement: Option<&'static ElementDefinition>,
    ) {
        match element.ty() {
            ty::REFERENCE => self.reference(place, element, statement.map_or(&[], |s| s.targets)),
            ty::EXTENSION => self.extension(place, element),
            ty::CODING => self.coding(element),
            ty::ATTACHMENT => self.attachment(element),
            ty::EXPRESSION => self.expression(element),
            ty::NARRATIVE => self.narrative(place, element),
            ty::URI | ty::URL | ty::CANONICAL | ty::OID | ty::UUID => self.uri(place, element, statement),
            of if of.is_a(ty::QUANTITY) => self.quantity(element),
            _ => {}
        }
    }
}

/// Returns `Patient.contact` and the like, as texts name an element.
pub(super) fn child_path(of: TypeId, child: &ElementDefinition) -> String {
    format!("{of}.{}{}", child.name, if child.is_choice { "[x]" } else { "" })
}

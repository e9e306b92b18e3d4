//! A Questionnaire: what must hold together in it that invariants do not say.
//! That linkIds are unique, the invariant que-2 says.
//!
//! Spec: <https://hl7.org/fhir/R4/questionnaire.html>

use std::collections::HashMap;

use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::answer::types;
use super::{Rule, Run};

/// The items of a questionnaire: by linkId, and in the order of their depth.
struct Items<'r> {
    by_link_id: HashMap<&'r str, Element<'r>>,
    all: Vec<Element<'r>>,
}

impl<'r> Items<'r> {
    fn of(questionnaire: Element<'r>) -> Items<'r> {
        let mut items = Items { by_link_id: HashMap::new(), all: Vec::new() };
        let mut waiting: Vec<Element<'r>> = questionnaire.children_named(name::ITEM).collect();
        while let Some(item) = waiting.pop() {
            if let Some(link_id) = item.text_of(name::LINK_ID) {
                items.by_link_id.entry(link_id).or_insert(item);
            }
            waiting.extend(item.children_named(name::ITEM));
            items.all.push(item);
        }
        items
    }
}

impl<'r> Run<'_, 'r> {
    /// Checks a questionnaire.
    pub(super) fn questionnaire(&mut self, questionnaire: Element<'r>) {
        let items = Items::of(questionnaire);
        for item in &items.all {
            if !self.step() {
                return;
            }
            for condition in item.children_named(name::ENABLE_WHEN) {
                self.condition(&items, *item, condition);
            }
            let told = item.children_named(name::ANSWER_OPTION).chain(item.children_named(name::INITIAL));
            for value in told.filter_map(|holder| holder.child(name::VALUE)) {
                self.value_of_type(*item, value);
            }
        }
    }

    /// A condition asks for the answer to another question, of that question's type.
    fn condition(&mut self, items: &Items<'r>, item: Element<'r>, condition: Element<'r>) {
        let Some(question) = condition.text_of(name::QUESTION) else { return };
        let Some(asked) = items.by_link_id.get(question) else {
            let reason = format!("there is no item '{question}' for this item to depend on");
            self.error(condition, Rule::Definition { reason });
            return;
        };
        if *asked == item {
            let reason = format!("the item '{question}' depends on itself");
            self.error(condition, Rule::Definition { reason });
            return;
        }
        let is_about_existence = condition.text_of(name::OPERATOR) == Some("exists");
        if let Some(answer) = condition.child(name::ANSWER).filter(|_| !is_about_existence) {
            self.value_of_type(*asked, answer);
        }
    }

    /// An answer that a questionnaire tells has a type that the item allows.
    fn value_of_type(&mut self, item: Element<'r>, value: Element<'r>) {
        let kind = item.text_of(name::TYPE).unwrap_or_default();
        let mut allowed = match kind {
            // These have no answers, which invariants say of what may be told here.
            "" | "group" | "display" => return,
            // The options themselves make the types of a choice.
            "choice" | "open-choice" => {
                vec![ty::CODING, ty::STRING, ty::INTEGER, ty::DATE, ty::TIME, ty::REFERENCE]
            }
            _ => types(kind, item),
        };
        // Options have no `uri`: a url is told as a string.
        if kind == "url" {
            allowed.push(ty::STRING);
        }
        if !allowed.contains(&value.ty()) {
            self.refuse_type(item, value, &allowed);
        }
    }
}

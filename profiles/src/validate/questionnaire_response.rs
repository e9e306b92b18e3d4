//! A QuestionnaireResponse, held against its Questionnaire.
//!
//! Spec: <https://hl7.org/fhir/R4/questionnaireresponse.html#notes>

use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::enable_when::is_enabled;
use super::{Place, Rule, Run};

/// The greatest depth of items within items.
const DEPTH_MAX: usize = 50;

pub(super) const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A questionnaire as a response is held against it.
struct Form<'q> {
    /// Whether everything that is required must be there by now.
    is_complete: bool,
    root: Element<'q>,
}

impl<'r> Run<'_, 'r> {
    /// Holds a response against its questionnaire, where that is at hand.
    pub(super) fn questionnaire_response(&mut self, place: Place<'r>) {
        let response = place.resource;
        let Some(canonical) = response.text_of(name::QUESTIONNAIRE) else { return };
        let is_complete = matches!(response.text_of(name::STATUS), Some("completed" | "amended"));
        let unknown = Rule::UnknownQuestionnaire { url: canonical.to_owned() };
        if let Some(form) = self.answered(place, response, canonical, ty::QUESTIONNAIRE, unknown) {
            let form = Form { is_complete, root: form.root() };
            self.items(&form, form.root, response, &mut vec![response]);
        }
    }

    /// Holds the items below `holder` against those below `asked`. `scopes`
    /// are the elements that the holder stands in, itself last.
    fn items(
        &mut self,
        form: &Form<'_>,
        asked: Element<'_>,
        holder: Element<'r>,
        scopes: &mut Vec<Element<'r>>,
    ) {
        if scopes.len() > DEPTH_MAX || !self.step() {
            return;
        }
        let asked: Vec<Element<'_>> = asked.children_named(name::ITEM).collect();
        let given: Vec<Element<'r>> = holder.children_named(name::ITEM).collect();
        let mut furthest = 0;
        for item in &given {
            let link_id = item.text_of(name::LINK_ID).unwrap_or_default();
            match asked.iter().position(|a| a.text_of(name::LINK_ID) == Some(link_id)) {
                None => self.error(*item, Rule::UnknownItem { link_id: link_id.to_owned() }),
                Some(at) if at < furthest => {
                    self.error(*item, Rule::ItemOrder { link_id: link_id.to_owned() });
                }
                Some(at) => furthest = at,
            }
        }
        for asked in asked {
            let link_id = asked.text_of(name::LINK_ID).unwrap_or_default();
            let answers: Vec<Element<'r>> =
                given.iter().copied().filter(|g| g.text_of(name::LINK_ID) == Some(link_id)).collect();
            if !is_enabled(asked, scopes) {
                for item in answers
                    .iter()
                    .filter(|a| a.child(name::ANSWER).is_some() || a.child(name::ITEM).is_some())
                {
                    self.error(*item, Rule::ItemDisabled { link_id: link_id.to_owned() });
                }
                continue;
            }
            if answers.is_empty() && form.is_complete && is_true(asked, name::REQUIRED) {
                self.error(holder, Rule::ItemRequired { link_id: link_id.to_owned() });
            }
            for item in &answers {
                scopes.push(*item);
                self.item(form, asked, *item, scopes);
                scopes.pop();
            }
        }
    }

    fn item(
        &mut self,
        form: &Form<'_>,
        asked: Element<'_>,
        item: Element<'r>,
        scopes: &mut Vec<Element<'r>>,
    ) {
        let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
        let kind = asked.text_of(name::TYPE).unwrap_or_default();
        let answers: Vec<Element<'r>> = item.children_named(name::ANSWER).collect();
        let required = form.is_complete && is_true(asked, name::REQUIRED);
        match kind {
            "group" | "display" => {
                if !answers.is_empty() {
                    self.error(item, Rule::ItemNoAnswer { link_id: link_id.clone(), kind: kind.to_owned() });
                }
                if kind == "group" && required && item.child(name::ITEM).is_none() {
                    self.error(item, Rule::ItemRequired { link_id });
                }
            }
            _ => {
                if answers.is_empty() && required {
                    self.error(item, Rule::ItemRequired { link_id: link_id.clone() });
                }
                self.count(asked, item, answers.len(), form.is_complete);
                self.exclusive(asked, &answers);
                for answer in &answers {
                    if let Some(value) = answer.child(name::VALUE) {
                        let place = Place::root(scopes.first().copied().unwrap_or(item));
                        self.answer(place, form.root, asked, *answer, value);
                    }
                    scopes.push(*answer);
                    self.items(form, asked, *answer, scopes);
                    scopes.pop();
                }
            }
        }
        self.items(form, if kind == "group" { asked } else { item_without_items(asked) }, item, scopes);
    }

    /// How often a question may be answered.
    fn count(&mut self, asked: Element<'_>, item: Element<'r>, found: usize, is_complete: bool) {
        let number = |what: &str| extension(asked, what).and_then(|v| v.value()?.parse::<usize>().ok());
        let repeats = is_true(asked, name::REPEATS);
        let least = number("questionnaire-minOccurs").filter(|_| is_complete).unwrap_or(0);
        let most = number("questionnaire-maxOccurs").unwrap_or(if repeats { usize::MAX } else { 1 });
        if found < least || found > most {
            let allowed = match most {
                usize::MAX => format!("{least} or more"),
                most => format!("{least} to {most}"),
            };
            let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
            self.error(item, Rule::AnswerCount { link_id, found, allowed });
        }
    }

    /// An option that excludes the others stands alone.
    fn exclusive(&mut self, asked: Element<'_>, answers: &[Element<'r>]) {
        if answers.len() < 2 {
            return;
        }
        for option in asked.children_named(name::ANSWER_OPTION) {
            let excludes =
                extension(option, "questionnaire-optionExclusive").and_then(|v| v.value()) == Some("true");
            let Some(value) = option.child(name::VALUE).filter(|_| excludes) else { continue };
            for answer in answers {
                if answer.child(name::VALUE).is_some_and(|given| same_value(given, value)) {
                    let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
                    let reason = "this option excludes all others".to_owned();
                    self.error(*answer, Rule::AnswerValue { link_id, reason });
                }
            }
        }
    }
}

/// The items of a question stand below its answers, not beside them: beside
/// them there are none to be held against.
fn item_without_items(asked: Element<'_>) -> Element<'_> {
    asked.child(name::LINK_ID).unwrap_or(asked)
}

pub(super) fn is_true(element: Element<'_>, flag: fhir_model::schema::NameId) -> bool {
    element.text_of(flag) == Some("true")
}

/// Returns the value of an extension of the specification.
pub(super) fn extension<'q>(element: Element<'q>, what: &str) -> Option<Element<'q>> {
    let is_it = |e: &Element<'q>| e.text_of(name::URL).and_then(|u| u.strip_prefix(EXTENSIONS)) == Some(what);
    element.children_named(name::EXTENSION).find(is_it)?.child(name::VALUE)
}

/// Tells whether an answer is an option: codes by system and code, the rest by value.
pub(super) fn same_value(given: Element<'_>, option: Element<'_>) -> bool {
    match (given.ty(), option.ty()) {
        (ty::CODING, ty::CODING) => {
            given.text_of(name::CODE) == option.text_of(name::CODE)
                && given.text_of(name::SYSTEM) == option.text_of(name::SYSTEM)
        }
        (ty::REFERENCE, ty::REFERENCE) => given.text_of(name::REFERENCE) == option.text_of(name::REFERENCE),
        _ => given.value().is_some() && given.value() == option.value(),
    }
}

//! Who is known by such a name, birth date and the like: the question of
//! ITI-21, ITI-22, ITI-47 and ITI-55.
//!
//! A person is told of once, however many of his records match, and by the
//! one of them that comes first by its id, so that it is the same one whatever
//! page it is on.
//!
//! Spec: ITI TF-2 3.21.4.1.3, 3.47.4.1.3

use std::collections::HashMap;

use fhir_model::fold::fold;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::persons::{Person, TIES, is_subsumed};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, identifiers};
use crate::fhir_client::{Found, Page as FhirPage, code_token};

/// How many records are looked through for one page.
const LOOKED_THROUGH_MAX: usize = 20_000;
/// The extension that holds a mother's maiden name.
const MOTHERS_MAIDEN_NAME: &str = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";

/// A text that is asked for, whatever its case and accents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// All of it.
    Whole(String),
    /// Its beginning.
    Beginning(String),
}

impl Text {
    /// Reads a text that may end with the wildcard `*`; `None` when nothing is left.
    pub fn parse(text: &str) -> Option<Text> {
        let text = text.trim();
        let (text, is_beginning) = match text.strip_suffix('*') {
            Some(beginning) => (beginning.trim_end(), true),
            None => (text, false),
        };
        let is_said = !text.is_empty();
        is_said.then(|| {
            if is_beginning { Text::Beginning(text.to_owned()) } else { Text::Whole(text.to_owned()) }
        })
    }

    fn text(&self) -> &str {
        let (Text::Whole(text) | Text::Beginning(text)) = self;
        text
    }

    /// Tells whether a value is what is asked for.
    pub fn is(&self, value: &str) -> bool {
        let (asked, value) = (fold(self.text()), fold(value));
        match self {
            Text::Whole(_) => value == asked,
            Text::Beginning(_) => value.starts_with(&asked),
        }
    }
}

/// What is asked: everything that is said has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Identifiers, each of which the person has in one of his records.
    pub identifiers: Vec<Identifier>,
    /// The family name.
    pub family: Option<Text>,
    /// Given names.
    pub given: Vec<Text>,
    /// The date of birth, or its year or month, as FHIR writes it.
    pub birth_date: Option<String>,
    /// The first date of birth that is meant, of a range.
    pub born_from: Option<String>,
    /// The last one.
    pub born_to: Option<String>,
    /// The code of FHIR: `male`, `female`, `other`, `unknown`.
    pub gender: Option<String>,
    /// A line of an address.
    pub line: Option<Text>,
    /// The city.
    pub city: Option<Text>,
    /// The state or province.
    pub state: Option<Text>,
    /// The postal code.
    pub postal_code: Option<Text>,
    /// The country.
    pub country: Option<Text>,
    /// A telephone number or e-mail address.
    pub telecom: Option<String>,
    /// The family name that the mother was born with.
    pub mothers_maiden_name: Option<Text>,
    /// The ids of the records of which it has to be one.
    pub records: Option<Vec<String>>,
}

/// Which part of the answer is wanted.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many persons at the most.
    pub count: usize,
    /// Where the last page ended: [`Matches::next`].
    pub from: Option<Position>,
    /// What is to be found with the records, beside those that are tied to them: parameters of the search.
    pub with: &'static [(&'static str, &'static str)],
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The parameter by which FHIR goes on where its own page began: name, value; both empty at the first.
    pub cursor: (String, String),
    /// The last record that was told.
    pub record: String,
}

/// A person who matches.
#[derive(Debug, Clone)]
pub struct Match {
    /// The record that matches.
    pub record: Found,
    /// The person.
    pub person: Person,
}

/// A page of those who match.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    /// They.
    pub matches: Vec<Match>,
    /// What was found with them: [`Page::with`].
    pub others: Vec<Found>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Position>,
}

impl PatientIndex<'_> {
    /// Returns the persons of whom everything that is asked for holds.
    /// `wanted`: systems; only who has an identifier of one of them is told of.
    ///
    /// # Errors
    /// [`Refusal::EmptyQuestion`], [`Refusal::WantedDomain`], or what FHIR refuses.
    pub async fn find(
        &self,
        question: &Question,
        wanted: &[String],
        page: &Page,
    ) -> Result<Matches, Refusal> {
        for (at, system) in wanted.iter().enumerate() {
            if !self.knows(system).await? {
                return Err(Refusal::WantedDomain(at));
            }
        }
        let mut asked = question.parameters();
        if question.records.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Matches::default());
        }
        if asked.is_empty() {
            return Err(Refusal::EmptyQuestion);
        }
        // In the order of ids one goes on where one has ended, whatever came in between.
        asked.extend([("_sort".to_owned(), "_id".to_owned()), ("_count".to_owned(), "100".to_owned())]);
        let with =
            TIES.iter().chain(page.with).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        asked.extend(with);
        let from = page.from.as_ref();
        let mut cursor = from.map(|from| from.cursor.clone()).filter(|(name, _)| !name.is_empty());
        let (mut matches, mut looked_through) = (Matches::default(), 0);
        loop {
            let parameters = asked.iter().cloned().chain(cursor.clone()).collect();
            let found = self.fhir.page_of(ty::PATIENT, parameters).await?;
            looked_through += found.matches.len();
            let is_full = self.look_through(question, wanted, page, &found, &mut matches).await?;
            if is_full {
                if let (Some(next), Some(cursor)) = (&mut matches.next, cursor) {
                    next.cursor = cursor;
                }
                return Ok(matches);
            }
            if looked_through > LOOKED_THROUGH_MAX {
                let issue = Issue::error(IssueType::TooCostly);
                let text = format!("more than {LOOKED_THROUGH_MAX} records would have to be looked through");
                return Err(issue.because(Reason::Unprocessable).text(text).into());
            }
            let Some(next) = found.next else { return Ok(matches) };
            // What the next page is asked for by, beyond what is asked anyway.
            cursor = next.into_iter().find(|(name, _)| asked.iter().all(|(known, _)| known != name));
            if cursor.is_none() {
                let issue = Issue::fatal(IssueType::Exception).text("a page does not say where it goes on");
                return Err(issue.into());
            }
        }
    }

    /// Adds those of a page of FHIR who match; `true` when there are more than are wanted.
    async fn look_through(
        &self,
        question: &Question,
        wanted: &[String],
        page: &Page,
        found: &FhirPage,
        matches: &mut Matches,
    ) -> Result<bool, Refusal> {
        let fresh = found.matches.iter().filter(|record| !is_before(record, page.from.as_ref()));
        let fresh: Vec<Found> = fresh.filter(|record| question.holds_of(record)).cloned().collect();
        let (tied, others): (Vec<Found>, Vec<Found>) =
            found.included.iter().cloned().partition(|included| included.resource_type() == ty::PATIENT);
        matches.others.extend(others);
        let tied = found.matches.iter().cloned().chain(tied).collect();
        let persons = self.persons_among(&fresh, tied).await?;
        let of: HashMap<&str, &Person> = persons
            .iter()
            .flat_map(|person| person.records.iter().filter_map(move |record| Some((record.id()?, person))))
            .collect();
        for record in &fresh {
            let id = record.id().unwrap_or_default();
            let Some(person) = of.get(id) else { continue };
            let others = person.records.iter().filter(|other| question.holds_of(other));
            if others.filter_map(Found::id).min() != Some(id) {
                continue;
            }
            let has_wanted = person.identifiers().iter().any(|found| wanted.contains(&found.system));
            if !wanted.is_empty() && !has_wanted {
                continue;
            }
            if matches.matches.len() == page.count.max(1) {
                let last = matches.matches.last().and_then(|last| last.record.id()).unwrap_or_default();
                matches.next = Some(Position { record: last.to_owned(), ..Position::default() });
                return Ok(true);
            }
            matches.matches.push(Match { record: record.clone(), person: (*person).clone() });
        }
        Ok(false)
    }
}

fn is_before(record: &Found, from: Option<&Position>) -> bool {
    from.is_some_and(|from| record.id().is_some_and(|id| id <= from.record.as_str()))
}

impl Question {
    /// Returns what FHIR is asked, which finds all who match, and others.
    fn parameters(&self) -> Vec<(String, String)> {
        let mut asked: Vec<(String, String)> = Vec::new();
        let mut ask = |name: &str, value: String| asked.push((name.to_owned(), value));
        for identifier in &self.identifiers {
            ask("identifier", identifier.token());
        }
        let texts = [
            ("family", &self.family),
            ("address", &self.line),
            ("address-city", &self.city),
            ("address-state", &self.state),
            ("address-postalcode", &self.postal_code),
            ("address-country", &self.country),
        ];
        for (name, text) in texts {
            text.iter().for_each(|text| ask(name, code_token(text.text())));
        }
        for given in &self.given {
            ask("given", code_token(given.text()));
        }
        self.birth_date.iter().for_each(|date| ask("birthdate", date.clone()));
        self.born_from.iter().for_each(|date| ask("birthdate", format!("ge{date}")));
        self.born_to.iter().for_each(|date| ask("birthdate", format!("le{date}")));
        self.gender.iter().for_each(|code| ask("gender", code.clone()));
        self.telecom.iter().for_each(|value| ask("telecom", code_token(value)));
        self.records.iter().for_each(|ids| ask("_id", ids.join(",")));
        asked
    }

    /// Tells whether a record that counts is what is asked for. Of identifiers
    /// it is known already.
    fn holds_of(&self, record: &Found) -> bool {
        let root = record.root();
        !is_subsumed(root)
            && self.records.as_ref().is_none_or(|ids| ids.iter().any(|id| record.id() == Some(id)))
            && self.identifiers.iter().all(|asked| identifiers(root).any(|found| found == *asked))
            && root_names(root).any(|human| self.is_name(human))
            && self.gender.as_deref().is_none_or(|code| root.text_of(name::GENDER) == Some(code))
            && self.is_born(root)
            && self.is_at_home(root)
            && self.mothers_maiden_name.as_ref().is_none_or(|asked| {
                let extensions = root.children_named(name::EXTENSION);
                let mut named = extensions.filter(|e| e.text_of(name::URL) == Some(MOTHERS_MAIDEN_NAME));
                named.any(|e| e.children().filter_map(Element::value).any(|value| asked.is(value)))
            })
            && self.telecom.as_deref().is_none_or(|asked| {
                let mut telecoms = root.children_named(name::TELECOM);
                telecoms.any(|telecom| {
                    telecom.text_of(name::VALUE).is_some_and(|value| same_number(value, asked))
                })
            })
    }

    /// Tells whether a name is the one that is asked for; `None`: no name at all.
    fn is_name(&self, human: Option<Element<'_>>) -> bool {
        let family = human.and_then(|human| human.text_of(name::FAMILY));
        let mut given = self.given.iter();
        self.family.as_ref().is_none_or(|asked| family.is_some_and(|family| asked.is(family)))
            && given.all(|asked| {
                let names = human.into_iter().flat_map(|human| human.children_named(name::GIVEN));
                names.filter_map(Element::value).any(|name| asked.is(name))
            })
    }

    fn is_born(&self, root: Element<'_>) -> bool {
        let Some(asked) = &self.birth_date else { return true };
        root.text_of(name::BIRTH_DATE).is_some_and(|born| born.starts_with(asked.as_str()))
    }

    fn is_at_home(&self, root: Element<'_>) -> bool {
        let parts = [
            (&self.line, name::LINE),
            (&self.city, name::CITY),
            (&self.state, name::STATE),
            (&self.postal_code, name::POSTAL_CODE),
            (&self.country, name::COUNTRY),
        ];
        if parts.iter().all(|(asked, _)| asked.is_none()) {
            return true;
        }
        root.children_named(name::ADDRESS).any(|address| {
            parts.iter().all(|(asked, part)| {
                let values = address.children_named(*part).filter_map(Element::value);
                asked.as_ref().is_none_or(|asked| values.into_iter().any(|value| asked.is(value)))
            })
        })
    }
}

/// Returns the names of a record; one `None` where it has none.
fn root_names(root: Element<'_>) -> impl Iterator<Item = Option<Element<'_>>> {
    let none = root.children_named(name::NAME).next().is_none();
    root.children_named(name::NAME).map(Some).chain(none.then_some(None))
}

/// Tells whether two telephone numbers or addresses are the same.
fn same_number(one: &str, other: &str) -> bool {
    let bare = |text: &str| -> String {
        let text = text.strip_prefix("tel:").or_else(|| text.strip_prefix("mailto:")).unwrap_or(text);
        text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/')).collect()
    };
    fold(&bare(one)) == fold(&bare(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Found {
        fhir_model::json::read(json.to_owned()).expect("a Patient").into()
    }

    #[test]
    fn what_is_asked_for_holds_or_not() {
        let rossi = record(
            r#"{"resourceType":"Patient","id":"1","name":[{"family":"Rossi","given":["Nicolò","Maria"]},{"family":"Bianchi"}],
            "birthDate":"1980-02-03","gender":"female","address":[{"line":["Via Roma 1"],"city":"Genova"},{"city":"Savona"}],
            "telecom":[{"value":"+39 010 12-34"}],"identifier":[{"system":"urn:oid:1.2","value":"7"}],
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Verdi"}]}"#,
        );
        let text = |text: &str| Text::parse(text);
        let given = |all: &[&str]| all.iter().filter_map(|given| Text::parse(given)).collect::<Vec<_>>();
        let none = Question::default;
        for (question, expected) in [
            (Question { family: text("rossi"), ..none() }, true),
            (Question { family: text("ross"), ..none() }, false),
            (Question { family: text("ross*"), ..none() }, true),
            (Question { family: text("Rossi"), given: given(&["nicolo", "MARIA"]), ..none() }, true),
            (Question { family: text("Bianchi"), given: given(&["maria"]), ..none() }, false),
            (Question { birth_date: Some("1980".into()), ..none() }, true),
            (Question { birth_date: Some("1980-02-04".into()), ..none() }, false),
            (Question { gender: Some("male".into()), ..none() }, false),
            (Question { line: text("via roma*"), city: text("Genova"), ..none() }, true),
            (Question { line: text("via roma*"), city: text("Savona"), ..none() }, false),
            (Question { telecom: Some("tel:+390101234".into()), ..none() }, true),
            (Question { mothers_maiden_name: text("VERDI"), ..none() }, true),
            (Question { identifiers: vec![Identifier::new("urn:oid:1.2", "7")], ..none() }, true),
            (Question { identifiers: vec![Identifier::new("urn:oid:1.2", "8")], ..none() }, false),
        ] {
            assert_eq!(question.holds_of(&rossi), expected, "{question:?}");
        }
        assert_eq!(Text::parse(" * "), None);
    }
}

//! What a query by demographics asks.
//!
//! Spec: ITI TF-2 3.47.4.1.2, 3.55.4.1.2

use std::collections::HashSet;

use fhir_model::outcome::{Issue, IssueType, Reason};
use serde_json::Value;

use crate::fhir_client::Found;
use crate::hl7v3::{self, identifier};
use crate::pix::PatientIndex;
use crate::pix::demographics::{Match, Page, Question, Text};
use crate::pix::domains::Domains;
use crate::pix::refusal::Refusal;
use crate::wire::hl7v3::address::Address;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::Problem;
use crate::wire::hl7v3::name::{EntityName, NamePart, PartKind};
use crate::wire::hl7v3::query::QueryByParameter;
use crate::wire::hl7v3::telecom::Telecom;
use crate::wire::hl7v3::time::{self, Interval};
use crate::wire::hl7v3::{attribute, coded::Coded};
use crate::wire::xml::Element;

/// The greatest number of persons that are told of.
pub(crate) const MATCHES_MAX: usize = 1000;
/// How many persons are asked for at a time.
const PAGE: usize = 100;
/// The greatest number of alternatives of a query.
const ALTERNATIVES_MAX: usize = 32;

/// The parameters that are understood.
const PARAMETERS: &[&str] = &[
    "livingSubjectName",
    "livingSubjectAdministrativeGender",
    "livingSubjectBirthTime",
    "livingSubjectId",
    "patientAddress",
    "patientTelecom",
    "mothersMaidenName",
    "otherIDsScopingOrganization",
    "livingSubjectBirthPlaceName",
    "livingSubjectBirthPlaceAddress",
    "principalCareProviderId",
];

/// What a query asks.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Questions: who answers to one of them is meant.
    pub alternatives: Vec<Question>,
    /// Where somebody was born, as far as that is known of him.
    pub birth_places: Vec<Text>,
}

/// Adds the alternatives of a parameter to those that there are.
fn cross(all: Vec<Question>, with: &[impl Fn(&mut Question)]) -> Vec<Question> {
    if with.is_empty() {
        return all;
    }
    let mut crossed = Vec::with_capacity(all.len() * with.len());
    for question in &all {
        for change in with {
            let mut question = question.clone();
            change(&mut question);
            crossed.push(question);
        }
    }
    crossed
}

impl Asked {
    /// Reads what a query asks. `identifiers`: those that the person has to have.
    ///
    /// # Errors
    /// When it cannot be read, or asks by what is not understood.
    pub fn of(
        query: &QueryByParameter<'_>,
        identifiers: Vec<crate::pix::Identifier>,
    ) -> Result<Asked, Problem> {
        for name in query.parameter_names() {
            if !PARAMETERS.contains(&name) && query.parameters(name).any(|p| p.elements().next().is_some()) {
                let name: String = name.chars().take(60).collect();
                let text = format!("nobody is looked for here by `{name}`");
                return Err(Problem { text, location: query.location(&name, "value") });
            }
        }
        let mut all = vec![Question { identifiers, ..Question::default() }];
        all =
            cross(all, &by(query, "livingSubjectName", |of| Ok(named(&EntityName::of(of), is_search(of))))?);
        all = cross(all, &by(query, "livingSubjectAdministrativeGender", gender)?);
        all = cross(all, &by(query, "livingSubjectBirthTime", born)?);
        all = cross(all, &by(query, "patientAddress", |of| Ok(housed(&Address::of(of))))?);
        all = cross(all, &by(query, "patientTelecom", |of| Ok(reached(&Telecom::of(of))))?);
        all = cross(all, &by(query, "mothersMaidenName", |of| Ok(mother(&EntityName::of(of))))?);
        if all.len() > ALTERNATIVES_MAX {
            let text = format!("a query has {ALTERNATIVES_MAX} alternatives at most");
            return Err(Problem { text, location: query.location("*", "value") });
        }
        let names = query.values("livingSubjectBirthPlaceName").into_iter();
        let names = names.filter_map(|(of, _)| Text::parse(&EntityName::of(of).text()));
        let cities = query.values("livingSubjectBirthPlaceAddress").into_iter();
        let cities =
            cities.filter_map(|(of, _)| Text::parse(hl7v3::address(&Address::of(of))?["city"].as_str()?));
        Ok(Asked { alternatives: all, birth_places: names.chain(cities).collect() })
    }

    /// Tells whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.alternatives.iter().all(|question| *question == Question::default())
    }
}

/// Changes a question so that it asks for something.
type Change = Box<dyn Fn(&mut Question)>;

/// Reads the values of a parameter as alternatives. What says nothing is passed over.
fn by(
    query: &QueryByParameter<'_>,
    parameter: &'static str,
    read: impl Fn(&Element) -> Result<Option<Change>, String>,
) -> Result<Vec<Change>, Problem> {
    let mut changes = Vec::new();
    for (value, location) in values(query, parameter) {
        match read(value) {
            Ok(change) => changes.extend(change),
            Err(text) => return Err(Problem { text, location }),
        }
    }
    Ok(changes)
}

/// Returns the values of a parameter, as long as it is the one of the query.
fn values<'m>(query: &QueryByParameter<'m>, parameter: &'static str) -> Vec<(&'m Element, String)> {
    query.values(parameter)
}

fn is_search(value: &Element) -> bool {
    attribute(value, "use").is_some_and(|uses| uses.split_whitespace().any(|code| code == "SRCH"))
}

fn text(part: &str, is_search: bool) -> Option<Text> {
    match Text::parse(part)? {
        Text::Whole(whole) if is_search => Some(Text::Beginning(whole)),
        text => Some(text),
    }
}

/// Returns the parts of a kind by which somebody is looked for: the plain ones, or all where none is.
fn parts(name: &EntityName, kind: PartKind) -> Vec<&NamePart> {
    let plain: Vec<&NamePart> = name.of_kind(kind).filter(|part| part.qualifiers.is_empty()).collect();
    if plain.is_empty() { name.of_kind(kind).collect() } else { plain }
}

fn named(name: &EntityName, is_search: bool) -> Option<Change> {
    let of = |kind| parts(name, kind).into_iter().filter_map(|part| text(&part.text, is_search)).collect();
    let (mut families, given): (Vec<Text>, Vec<Text>) = (of(PartKind::Family), of(PartKind::Given));
    families.truncate(1);
    let family = families.pop();
    // A name that is not taken apart is at least that of a family.
    let family = family.or_else(|| text(&of_text(name)?, is_search));
    if family.is_none() && given.is_empty() {
        return None;
    }
    Some(Box::new(move |question| (question.family, question.given) = (family.clone(), given.clone())))
}

fn of_text(name: &EntityName) -> Option<String> {
    let is_plain = name.parts.iter().all(|part| part.kind == PartKind::Text);
    (is_plain && !name.is_null()).then(|| name.text())
}

fn gender(value: &Element) -> Result<Option<Change>, String> {
    let Some(code) = Coded::of(value).code else { return Ok(None) };
    let gender = hl7v3::gender(&code).ok_or("it is no code of administrative gender: F, M, UN")?;
    Ok(Some(Box::new(move |question| question.gender = Some(gender.to_owned()))))
}

fn born(value: &Element) -> Result<Option<Change>, String> {
    let Interval { low, high, value } = Interval::of(value);
    let date = |text: Option<String>| match text {
        Some(text) => {
            let (date, _) = time::to_fhir(&text).ok_or("it is no time: YYYY[MM[DD...]]")?;
            Ok(Some(date.split('T').next().unwrap_or_default().to_owned()))
        }
        None => Ok::<_, String>(None),
    };
    let (value, low, high) = (date(value)?, date(low)?, date(high)?);
    Ok(match (value, &low, &high) {
        (Some(date), _, _) => Some(Box::new(move |question| question.birth_date = Some(date.clone()))),
        (None, None, None) => None,
        (None, _, _) => Some(Box::new(move |q| (q.born_from, q.born_to) = (low.clone(), high.clone()))),
    })
}

fn housed(address: &Address) -> Option<Change> {
    let of_fhir = hl7v3::address(address)?;
    let part = |member: &str| of_fhir[member].as_str().and_then(Text::parse);
    let line = of_fhir["line"][0].as_str().and_then(Text::parse);
    let (city, state) = (part("city"), part("state"));
    let (postal_code, country) = (part("postalCode"), part("country"));
    Some(Box::new(move |question| {
        question.line = line.clone();
        question.city = city.clone();
        question.state = state.clone();
        question.postal_code = postal_code.clone();
        question.country = country.clone();
    }))
}

fn reached(telecom: &Telecom) -> Option<Change> {
    let value = hl7v3::contact_point(telecom)?["value"].as_str()?.to_owned();
    Some(Box::new(move |question| question.telecom = Some(value.clone())))
}

fn mother(name: &EntityName) -> Option<Change> {
    let of_birth = name.of_kind(PartKind::Family).next().map(|part| part.text.clone());
    let family = Text::parse(&of_birth.or_else(|| of_text(name))?)?;
    Some(Box::new(move |question| question.mothers_maiden_name = Some(family.clone())))
}

/// Reads the identifiers of a query that the person has to have; `None` when
/// one is of no domain that is known, so that nobody has it.
pub(crate) fn identifiers(
    query: &QueryByParameter<'_>,
    domains: &Domains,
) -> Option<Vec<crate::pix::Identifier>> {
    let values = query.values("livingSubjectId").into_iter();
    let ids = values.map(|(element, _)| InstanceIdentifier::of(element));
    let said = ids.filter(|id| id.extension.is_some());
    said.map(|id| identifier(&id, domains).ok()).collect()
}

/// Returns all persons who are meant, in the order of the ids of their records.
///
/// # Errors
/// When there are too many, or the index cannot be asked.
pub(crate) async fn find(
    index: &PatientIndex<'_>,
    asked: &Asked,
    wanted: &[String],
) -> Result<Vec<Match>, Refusal> {
    let mut matches: Vec<Match> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for question in &asked.alternatives {
        let mut page = Page { count: PAGE, ..Page::default() };
        loop {
            let found = index.find(question, wanted, &page).await?;
            for found in found.matches {
                let ids = found.person.records.iter().filter_map(Found::id).map(str::to_owned);
                // All of them are noted, whichever is new.
                let new = ids.filter(|id| seen.insert(id.clone())).count();
                if new > 0 && asked.is_born_there(&found.record) {
                    matches.push(found);
                }
            }
            if matches.len() > MATCHES_MAX {
                let text = format!("more than {MATCHES_MAX} persons match: ask for less");
                let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).text(text);
                return Err(issue.into());
            }
            match found.next {
                Some(from) => page.from = Some(from),
                None => break,
            }
        }
    }
    matches.sort_by(|one, other| one.record.id().cmp(&other.record.id()));
    Ok(matches)
}

impl Asked {
    /// Tells whether somebody was born where it is asked, or nobody knows where.
    fn is_born_there(&self, record: &Found) -> bool {
        if self.birth_places.is_empty() {
            return true;
        }
        let patient = as_json(record);
        let known: Vec<String> = hl7v3::birth_places(&patient);
        known.is_empty() || known.iter().any(|place| self.birth_places.iter().any(|asked| asked.is(place)))
    }
}

/// Returns a record as JSON of FHIR.
pub(crate) fn as_json(record: &Found) -> Value {
    // What was read from the store is written and read again.
    serde_json::from_slice(&record.to_json()).unwrap_or_default()
}

/// Returns records by their ids, in the order of the ids, each with its person.
///
/// # Errors
/// When the index cannot be asked.
pub(crate) async fn records(index: &PatientIndex<'_>, ids: &[String]) -> Result<Vec<Match>, Refusal> {
    let (found, persons) = index.records_with_persons(ids).await?;
    let of = |id: &String| {
        let record = found.iter().find(|record| record.id() == Some(id))?.clone();
        let person = persons.iter().find(|person| person.record(id).is_some())?.clone();
        Some(Match { record, person })
    };
    Ok(ids.iter().filter_map(of).collect())
}

//! What a query by demographics asks: parameters named after fields.
//!
//! Spec: ITI TF-2 3.21.4.1.2.3, 3.22.4.1.2.2.1

use jiff::civil::Date;

use crate::pix::cx::{self, Hd};
use crate::pix::demographics::{Question, Text};
use crate::pix::domains::DomainError;
use crate::pix::{Identifier, PatientIndex};
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::hl7v2::query::{Parameter, Query};

/// The longest value of a parameter.
const VALUE_MAX: usize = 1000;
/// How many identifiers may be asked for.
const IDENTIFIERS_MAX: usize = 100;

/// What a value is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// A part of the identifier, the account or the visit.
    Part(Numbered),
    Family,
    Given,
    MothersMaidenName,
    BirthDate,
    Sex,
    Line,
    City,
    State,
    PostalCode,
    Country,
    Telecom,
    /// Something of the visit.
    OfVisit,
    /// A kind of name, address or identifier: all kinds are looked through.
    AnyKind,
}

/// What has a number that somebody assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// The patient: PID-3.
    Patient,
    /// An account: PID-18.
    Account,
    /// A visit: PV1-19.
    Visit,
}

/// The places that can be asked for: segment, field, component.
const PLACES: &[((&str, usize, usize), Sought)] = &[
    (("PID", 3, 1), Sought::Part(Numbered::Patient)),
    (("PID", 3, 4), Sought::Part(Numbered::Patient)),
    (("PID", 3, 5), Sought::AnyKind),
    (("PID", 5, 1), Sought::Family),
    (("PID", 5, 2), Sought::Given),
    (("PID", 5, 3), Sought::Given),
    (("PID", 5, 7), Sought::AnyKind),
    (("PID", 6, 1), Sought::MothersMaidenName),
    (("PID", 7, 1), Sought::BirthDate),
    (("PID", 8, 1), Sought::Sex),
    (("PID", 11, 1), Sought::Line),
    (("PID", 11, 3), Sought::City),
    (("PID", 11, 4), Sought::State),
    (("PID", 11, 5), Sought::PostalCode),
    (("PID", 11, 6), Sought::Country),
    (("PID", 11, 7), Sought::AnyKind),
    (("PID", 13, 1), Sought::Telecom),
    (("PID", 13, 2), Sought::AnyKind),
    (("PID", 13, 3), Sought::AnyKind),
    (("PID", 13, 4), Sought::Telecom),
    (("PID", 13, 12), Sought::Telecom),
    (("PID", 18, 1), Sought::Part(Numbered::Account)),
    (("PID", 18, 4), Sought::Part(Numbered::Account)),
    (("PID", 18, 5), Sought::AnyKind),
    (("PV1", 2, 1), Sought::OfVisit),
    (("PV1", 3, 1), Sought::OfVisit),
    (("PV1", 3, 2), Sought::OfVisit),
    (("PV1", 3, 3), Sought::OfVisit),
    (("PV1", 3, 4), Sought::OfVisit),
    (("PV1", 3, 7), Sought::OfVisit),
    (("PV1", 3, 8), Sought::OfVisit),
    (("PV1", 7, 1), Sought::OfVisit),
    (("PV1", 7, 2), Sought::OfVisit),
    (("PV1", 7, 3), Sought::OfVisit),
    (("PV1", 8, 1), Sought::OfVisit),
    (("PV1", 8, 2), Sought::OfVisit),
    (("PV1", 8, 3), Sought::OfVisit),
    (("PV1", 9, 1), Sought::OfVisit),
    (("PV1", 9, 2), Sought::OfVisit),
    (("PV1", 9, 3), Sought::OfVisit),
    (("PV1", 17, 1), Sought::OfVisit),
    (("PV1", 17, 2), Sought::OfVisit),
    (("PV1", 17, 3), Sought::OfVisit),
    (("PV1", 19, 1), Sought::Part(Numbered::Visit)),
    (("PV1", 19, 4), Sought::Part(Numbered::Visit)),
];

/// Administrative sex (table 0001) as FHIR says it.
const SEX: &[(&str, &str)] =
    &[("F", "female"), ("M", "male"), ("O", "other"), ("A", "other"), ("N", "other"), ("U", "unknown")];

/// What a query asks.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// What is asked of the patient.
    pub question: Question,
    /// Numbers of accounts.
    pub accounts: Vec<Number>,
    /// Numbers of visits.
    pub visit_numbers: Vec<Number>,
    /// What else is asked of a visit.
    pub of_visit: Vec<Parameter>,
    /// What was not looked at.
    pub notes: Vec<Problem>,
}

/// A number, and who assigned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Who.
    pub authority: Hd,
    /// The number.
    pub value: String,
    /// In which repetition of the query it is asked for.
    repetition: usize,
}

impl Asked {
    /// Reads what a query asks. `with_visits`: of visits, too.
    ///
    /// # Errors
    /// When it asks for what cannot be asked for here, or a value is none.
    pub fn of(index: &PatientIndex<'_>, query: &Query<'_>, with_visits: bool) -> Result<Asked, Problem> {
        let mut asked = Asked::default();
        let mut patients = Vec::new();
        for parameter in query.parameters(3, VALUE_MAX)? {
            let sought =
                PLACES.iter().find(|(place, _)| *place == parameter.place()).map(|(_, sought)| *sought);
            let is_whole = parameter.subcomponent == 1 || matches!(sought, Some(Sought::Part(_)));
            let sought = sought.filter(|_| is_whole && (with_visits || parameter.segment != "PV1"));
            let sought = sought.ok_or_else(|| {
                let (segment, field, component) = parameter.place();
                let text = format!("nobody can be looked for by @{segment}.{field}.{component} here");
                at(&parameter, Condition::TableValue, &text)
            })?;
            match sought {
                Sought::Part(of) => {
                    let numbers = match of {
                        Numbered::Patient => &mut patients,
                        Numbered::Account => &mut asked.accounts,
                        Numbered::Visit => &mut asked.visit_numbers,
                    };
                    add_part(numbers, &parameter)?;
                }
                Sought::OfVisit => asked.of_visit.push(parameter),
                Sought::AnyKind => {
                    let text = "it was not looked at of which kind it is: all kinds were looked through";
                    let location = Location::field("QPD", 3).in_repetition(parameter.repetition);
                    asked.notes.push(Problem::warning(Condition::TableValue, text).at(location));
                }
                sought => put(&mut asked.question, sought, &parameter)?,
            }
        }
        for number in &patients {
            asked.question.identifiers.push(identifier(number, index, query)?);
        }
        let numbers = asked.accounts.iter().chain(&asked.visit_numbers);
        numbers.into_iter().try_for_each(|number| number.has_value())?;
        Ok(asked)
    }

    /// Tells whether visits are asked for.
    pub fn is_of_visits(&self) -> bool {
        !self.visit_numbers.is_empty() || !self.of_visit.is_empty()
    }
}

fn at(parameter: &Parameter, condition: Condition, text: &str) -> Problem {
    let location = Location::field("QPD", 3).in_repetition(parameter.repetition);
    Problem::error(condition, text).at(location)
}

/// Adds a part of a number. One that is there already begins the next number.
fn add_part(numbers: &mut Vec<Number>, parameter: &Parameter) -> Result<(), Problem> {
    let part = match (parameter.component, parameter.subcomponent) {
        (1, 1) => None,
        (4, part @ 1..=3) => Some(part - 1),
        _ => return Err(at(parameter, Condition::TableValue, "an identifier has no such part")),
    };
    let value = parameter.value.trim().to_owned();
    let is_there = |number: &Number| {
        let there = part.map_or(Some(&number.value), |part| number.authority.0.get(part));
        there.is_some_and(|there| !there.is_empty())
    };
    if numbers.last().is_none_or(is_there) {
        if numbers.len() == IDENTIFIERS_MAX {
            return Err(at(parameter, Condition::ValueTooLong, "too many identifiers are asked for"));
        }
        let repetition = parameter.repetition;
        numbers.push(Number { authority: Hd::default(), value: String::new(), repetition });
    }
    if let Some(number) = numbers.last_mut() {
        match part.and_then(|part| number.authority.0.get_mut(part)) {
            Some(there) => *there = value,
            None => number.value = value,
        }
    }
    Ok(())
}

impl Number {
    fn has_value(&self) -> Result<(), Problem> {
        if !self.value.is_empty() {
            return Ok(());
        }
        let problem =
            Problem::error(Condition::RequiredField, "an assigning authority without an identifier");
        Err(problem.at(self.location()))
    }

    fn location(&self) -> Location {
        Location::field("QPD", 3).in_repetition(self.repetition)
    }

    /// Returns what stands as system of what an authority numbers that need not be one of
    /// the index; `None` where only its name is known.
    pub fn system(&self, index: &PatientIndex<'_>) -> Option<String> {
        let [_, universal_id, kind] = &self.authority.0;
        match index.domains.named(self.authority.authority()) {
            Ok(domain) => Some(domain.system()),
            Err(_) if universal_id.is_empty() => None,
            Err(_) if kind == "ISO" || kind.is_empty() => Some(format!("urn:oid:{universal_id}")),
            Err(_) => Some(universal_id.clone()),
        }
    }
}

fn identifier(number: &Number, index: &PatientIndex<'_>, query: &Query<'_>) -> Result<Identifier, Problem> {
    number.has_value()?;
    let domain = cx::domain(&number.authority, query.message, index.domains);
    let domain = domain.map_err(|error| {
        let condition = match error {
            DomainError::Missing => Condition::RequiredField,
            DomainError::Unknown => Condition::UnknownKey,
            DomainError::Contradictory => Condition::DataType,
        };
        Problem::error(condition, error.to_string()).at(number.location())
    })?;
    Ok(Identifier::new(domain.system(), number.value.clone()))
}

/// Puts a value into the question.
fn put(question: &mut Question, sought: Sought, parameter: &Parameter) -> Result<(), Problem> {
    let value = parameter.value.trim();
    let twice = || at(parameter, Condition::DataType, "this is asked for twice");
    match sought {
        Sought::Given => question.given.extend(Text::parse(value)),
        Sought::BirthDate => {
            let date = date(value);
            let date =
                date.ok_or_else(|| at(parameter, Condition::DataType, "a date is written YYYYMMDD"))?;
            question.birth_date.replace(date).map_or(Ok(()), |_| Err(twice()))?;
        }
        Sought::Sex => {
            let code = SEX.iter().find(|(code, _)| *code == value).map(|(_, gender)| (*gender).to_owned());
            let code =
                code.ok_or_else(|| at(parameter, Condition::TableValue, "this is no sex of table 0001"))?;
            question.gender.replace(code).map_or(Ok(()), |_| Err(twice()))?;
        }
        Sought::Telecom => {
            question.telecom.replace(value.to_owned()).map_or(Ok(()), |_| Err(twice()))?;
        }
        _ => {
            let place = match sought {
                Sought::Family => &mut question.family,
                Sought::MothersMaidenName => &mut question.mothers_maiden_name,
                Sought::Line => &mut question.line,
                Sought::City => &mut question.city,
                Sought::State => &mut question.state,
                Sought::PostalCode => &mut question.postal_code,
                _ => &mut question.country,
            };
            if let Some(text) = Text::parse(value) {
                place.replace(text).map_or(Ok(()), |_| Err(twice()))?;
            }
        }
    }
    Ok(())
}

/// Reads a date, or its year or month, as FHIR writes it.
fn date(text: &str) -> Option<String> {
    let digits = text.get(..text.len().min(8))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i8>().ok();
    let year: i16 = digits.get(..4)?.parse().ok()?;
    match digits.len() {
        4 => Some(digits.to_owned()),
        6 => Date::new(year, number(4, 6)?, 1).ok().map(|date| date.strftime("%Y-%m").to_string()),
        8 => Date::new(year, number(4, 6)?, number(6, 8)?).ok().map(|date| date.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_fhir() {
        for (written, expected) in [
            ("1980", Some("1980")),
            ("198002", Some("1980-02")),
            ("19800203", Some("1980-02-03")),
            ("198002030405+0100", Some("1980-02-03")),
            ("19800230", None),
            ("198", None),
            ("1980020", None),
            ("abcdefgh", None),
            ("1980é", None),
        ] {
            assert_eq!(date(written).as_deref(), expected, "{written}");
        }
    }
}

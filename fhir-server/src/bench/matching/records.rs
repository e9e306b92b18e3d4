//! What sources know of persons: records with the mistakes that registries have.
//!
//! How often something is wrong stands in [`Faults`], for a record; sources differ by a factor.

use std::borrow::Cow;

use ihe_adapters::italy::identifiers::{Sex, oid};
use serde_json::{Value, json};

use super::people::{Address, Person};
use super::random::Random;
use super::tables::{FOR_SHORT, STREET_KINDS, WRITTEN_OTHERWISE};

/// How many sources there are.
const SOURCES: usize = 6;
/// By how much the mistakes of a source are more or fewer than those of others.
const CARELESSNESS: [f64; SOURCES] = [0.4, 0.7, 0.9, 1.0, 1.3, 1.8];

/// How often something is wrong or missing in a record.
#[derive(Debug, Clone, Copy)]
struct Faults {
    fiscal_missing: f64,
    fiscal_slip: f64,
    /// Of a child: that of a parent.
    fiscal_of_parent: f64,
    /// The one before homocodia was found, or the one after.
    homocodia: f64,
    /// A provisional one, in its place.
    provisional: f64,
    name_slip: f64,
    /// Written otherwise, or for short.
    name_otherwise: f64,
    second_name: f64,
    initial: f64,
    names_swapped: f64,
    /// The husband's name, alone or added.
    married_name: f64,
    birth_missing: f64,
    birth_slip: f64,
    birth_swapped: f64,
    birth_unknown: f64,
    sex_missing: f64,
    sex_wrong: f64,
    moved: f64,
    phone_changed: f64,
}

const FAULTS: Faults = Faults {
    fiscal_missing: 0.03,
    fiscal_slip: 0.008,
    fiscal_of_parent: 0.015,
    homocodia: 0.25,
    provisional: 0.002,
    name_slip: 0.012,
    name_otherwise: 0.006,
    second_name: 0.35,
    initial: 0.002,
    names_swapped: 0.004,
    married_name: 0.025,
    birth_missing: 0.005,
    birth_slip: 0.007,
    birth_swapped: 0.004,
    birth_unknown: 0.001,
    sex_missing: 0.01,
    sex_wrong: 0.003,
    moved: 0.12,
    phone_changed: 0.15,
};

/// How often something is told at all.
const ADDRESS_TOLD: f64 = 0.88;
const PHONE_TOLD: f64 = 0.7;
const BIRTH_PLACE_TOLD: f64 = 0.6;
const MOTHER_TOLD: f64 = 0.08;
const TEAM_TOLD: f64 = 0.1;
const TWIN_TOLD: f64 = 0.5;

/// Returns how many records there are of a person.
pub(super) fn count(random: &mut Random) -> usize {
    match random.share() {
        share if share < 0.62 => 1,
        share if share < 0.87 => 2,
        share if share < 0.97 => 3,
        _ => 4,
    }
}

/// Returns the id of a record of a person.
pub(super) fn id(person: usize, record: usize) -> String {
    format!("p{person}-{record}")
}

/// Writes what one source knows of a person, as a Patient.
pub(super) fn written(person: &Person, number: usize, record: usize, random: &mut Random) -> Value {
    let source = random.below(SOURCES);
    let mut writing = Writing { person, random, more: CARELESSNESS[source] };
    let id = id(number, record);
    let mut identifiers =
        vec![json!({ "system": format!("http://source-{source}.example/patients"), "value": id })];
    writing.add_identifiers(&mut identifiers);
    let mut patient = json!({ "resourceType": "Patient", "id": id, "identifier": identifiers });
    patient["name"] = writing.names();
    if let Some(sex) = writing.sex() {
        patient["gender"] = json!(sex);
    }
    if let Some(birth) = writing.birth() {
        patient["birthDate"] = json!(birth);
    }
    writing.add_contacts(&mut patient);
    writing.add_extensions(&mut patient);
    patient
}

struct Writing<'w> {
    person: &'w Person,
    random: &'w mut Random,
    /// By how much more is wrong than in others.
    more: f64,
}

impl Writing<'_> {
    fn is(&mut self, share: f64) -> bool {
        self.random.chance((share * self.more).min(0.9))
    }

    fn add_identifiers(&mut self, out: &mut Vec<Value>) {
        let mut add = |oid: &str, value: String| {
            out.push(json!({ "system": format!("urn:oid:{oid}"), "value": value }));
        };
        if let Some(beginning) = self.person.foreigner {
            // Whoever comes again is given another one after half a year.
            let seed = if self.random.chance(0.5) { self.random.next() } else { own_number(self.person) };
            let system = if beginning == "STP" { oid::STP } else { oid::ENI };
            add(system, format!("{beginning}070001{:07}", seed % 10_000_000));
        }
        if let Some(fiscal) = self.fiscal() {
            add(oid::CODICE_FISCALE, fiscal);
        }
        if self.person.fiscal.is_some() && self.random.chance(TEAM_TOLD) {
            add(oid::TEAM_CARD, self.person.team.clone());
        }
    }

    fn fiscal(&mut self) -> Option<String> {
        let own = self.person.fiscal?;
        if let Some(parent) = self.person.parent_fiscal
            && self.person.birth.0 > 2020
            && self.is(FAULTS.fiscal_of_parent)
        {
            return Some(parent.as_str().to_owned());
        }
        if self.is(FAULTS.fiscal_missing) {
            return None;
        }
        if self.is(FAULTS.provisional) {
            return Some(provisional(self.random.next()));
        }
        if own.is_homocode() && self.is(FAULTS.homocodia) {
            return Some(own.plain().to_owned());
        }
        let text = own.as_str().to_owned();
        Some(if self.is(FAULTS.fiscal_slip) { self.slip(&text) } else { text })
    }

    fn names(&mut self) -> Value {
        let (mut family, mut given) = (self.person.family.clone(), self.person.given.clone());
        let mut maiden = None;
        if let Some(husband) = &self.person.husband
            && self.is(FAULTS.married_name)
        {
            match self.random.below(3) {
                0 => family = husband.clone(),
                1 => family = format!("{family} {husband}"),
                _ => maiden = Some(std::mem::replace(&mut family, husband.clone())),
            }
        }
        if self.is(FAULTS.name_otherwise) {
            let lists = [WRITTEN_OTHERWISE, FOR_SHORT];
            if let Some((_, other)) = lists.into_iter().flatten().find(|(name, _)| *name == given) {
                given = (*other).to_owned();
            }
        }
        if let Some((first, _)) = given.split_once(' ')
            && self.is(FAULTS.second_name)
        {
            given = first.to_owned();
        }
        if self.is(FAULTS.name_slip) {
            family = self.slip(&family);
        }
        if self.is(FAULTS.name_slip) {
            given = self.slip(&given);
        }
        if self.is(FAULTS.initial) {
            given.truncate(given.chars().next().map_or(0, char::len_utf8));
        }
        if self.is(FAULTS.names_swapped) {
            std::mem::swap(&mut family, &mut given);
        }
        if self.random.chance(0.5) {
            (family, given) = (shouted(&family), shouted(&given));
        }
        // Some sources have each name apart, others all of them in one.
        let given: Vec<&str> =
            if self.random.chance(0.5) { given.split(' ').collect() } else { vec![given.as_str()] };
        let mut names = vec![json!({ "use": "official", "family": family, "given": given })];
        names.extend(maiden.map(|maiden| json!({ "use": "maiden", "family": maiden })));
        Value::Array(names)
    }

    fn sex(&mut self) -> Option<&'static str> {
        let is_female = (self.person.sex == Sex::Female) != self.is(FAULTS.sex_wrong);
        (!self.is(FAULTS.sex_missing)).then_some(if is_female { "female" } else { "male" })
    }

    fn birth(&mut self) -> Option<String> {
        let (mut year, mut month, mut day) = self.person.birth;
        if self.is(FAULTS.birth_missing) {
            return self.random.chance(0.3).then(|| year.to_string());
        }
        if self.is(FAULTS.birth_unknown) {
            (month, day) = (1, 1);
        } else if self.is(FAULTS.birth_swapped) && day <= 12 {
            (month, day) = (day, month);
        } else if self.is(FAULTS.birth_slip) {
            match self.random.below(4) {
                0 => year = (year + 1 + self.random.below(9) as u16).min(2026),
                1 => year = year - year % 100 + (year % 10) * 10 + year / 10 % 10,
                2 => month = 1 + self.random.below(12) as u8,
                _ => day = 1 + self.random.below(28) as u8,
            }
        }
        Some(format!("{year:04}-{month:02}-{day:02}"))
    }

    fn add_contacts(&mut self, patient: &mut Value) {
        if self.random.chance(ADDRESS_TOLD) {
            let address = match self.is(FAULTS.moved) {
                true => Cow::Owned(Address::made(self.random)),
                false => Cow::Borrowed(&self.person.address),
            };
            let (whole, short) = STREET_KINDS[address.kind];
            let kind = if self.random.chance(0.2) { short } else { whole };
            let after = ["", "", "", "/A", " int. 3"][self.random.below(5)];
            let line = format!("{kind} {} {}{after}", address.street, address.number);
            patient["address"] = json!([{ "line": [line], "city": address.city }]);
        }
        if self.random.chance(PHONE_TOLD) {
            let phone = match self.is(FAULTS.phone_changed) {
                true => format!("3{:09}", self.random.below(1_000_000_000)),
                false => self.person.phone.clone(),
            };
            patient["telecom"] = json!([{ "system": "phone", "value": phone }]);
        }
    }

    fn add_extensions(&mut self, patient: &mut Value) {
        let mut extensions = Vec::new();
        if self.random.chance(MOTHER_TOLD) {
            let url = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
            extensions.push(json!({ "url": url, "valueString": self.person.mother }));
        }
        if let (Some(city), _) = self.person.birth_place
            && self.random.chance(BIRTH_PLACE_TOLD)
        {
            let url = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
            extensions.push(json!({ "url": url, "valueAddress": { "city": city } }));
        }
        if !extensions.is_empty() {
            patient["extension"] = Value::Array(extensions);
        }
        if self.person.is_twin && self.random.chance(TWIN_TOLD) {
            patient["multipleBirthBoolean"] = json!(true);
        }
    }

    /// Returns a text with a slip of the hand: a letter less, more or another, or two exchanged.
    fn slip(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        if letters.len() < 2 {
            return text.to_owned();
        }
        let at = self.random.below(letters.len() - 1);
        let other = char::from(b'a' + self.random.below(26) as u8);
        let other = if letters[at].is_uppercase() { other.to_ascii_uppercase() } else { other };
        match self.random.below(4) {
            0 => {
                letters.remove(at);
            }
            1 => letters.insert(at, other),
            2 => letters[at] = other,
            _ => letters.swap(at, at + 1),
        }
        letters.into_iter().collect()
    }
}

/// A number that a person has always.
fn own_number(person: &Person) -> u64 {
    person.team.bytes().fold(7, |number, byte| number.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Makes a provisional codice fiscale.
fn provisional(seed: u64) -> String {
    let number = format!("{:010}", seed % 10_000_000_000);
    let sum: u32 = number
        .bytes()
        .enumerate()
        .map(|(at, byte)| match (at % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

/// Returns a name in capitals, accents as apostrophes, as old systems have it.
fn shouted(name: &str) -> String {
    let mut out = String::new();
    for letter in name.to_uppercase().chars() {
        match letter {
            'À' => out.push_str("A'"),
            'È' | 'É' => out.push_str("E'"),
            'Ì' => out.push_str("I'"),
            'Ò' => out.push_str("O'"),
            'Ù' => out.push_str("U'"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ihe_adapters::italy::identifiers;

    use super::super::people::People;
    use super::*;

    #[test]
    fn records_are_patients_and_the_same_in_every_run() {
        let persons = People::made(400, 7);
        let write = || {
            let mut random = Random::new(8);
            let write = |(number, person)| written(person, number, 0, &mut random).to_string();
            persons.iter().enumerate().map(write).collect::<Vec<String>>()
        };
        let records = write();
        assert_eq!(records, write());
        for record in records {
            let resource = fhir_model::json::read(record.clone().into_bytes());
            assert!(resource.is_ok(), "{record}");
        }
        assert!(persons.iter().any(|person| person.is_twin) && persons.iter().any(|p| p.foreigner.is_some()));
    }

    #[test]
    fn a_provisional_code_is_one() {
        for seed in 0..200 {
            let code = provisional(seed * 7_919_123);
            assert!(identifiers::provisional(&code).is_ok(), "{code}");
        }
    }
}

//! Persons that nobody is, by households: couples, children, twins, grandparents,
//! people who live alone, foreigners with papers and without, and homonyms.

use std::collections::HashMap;

use fhir_model::fold::fold;
use ihe_adapters::italy::identifiers::{self, CodiceFiscale, Sex};

use super::random::Random;
use super::tables::{
    BIRTH_PLACES, CITIES, COUNTRIES, Country, FAMILIES, FAMILY_ENDINGS, FAMILY_ROOTS, MEN, STREET_KINDS,
    STREETS, WOMEN,
};

/// The last year of birth.
const YEAR_MAX: u16 = 2026;

/// The date of birth, and the place.
type Born = ((u16, u8, u8), (Option<&'static str>, &'static str));

/// Somebody, as he is.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) family: String,
    pub(super) given: String,
    pub(super) sex: Sex,
    pub(super) birth: (u16, u8, u8),
    /// Where the person was born: the name, none for another country, and the code.
    pub(super) birth_place: (Option<&'static str>, &'static str),
    pub(super) fiscal: Option<CodiceFiscale>,
    /// STP or ENI, of who has no codice fiscale.
    pub(super) foreigner: Option<&'static str>,
    pub(super) mother: String,
    pub(super) husband: Option<String>,
    pub(super) parent_fiscal: Option<CodiceFiscale>,
    pub(super) address: Address,
    pub(super) phone: String,
    pub(super) is_twin: bool,
    pub(super) team: String,
}

/// Where somebody lives.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) kind: usize,
    pub(super) street: &'static str,
    pub(super) number: usize,
    pub(super) city: &'static str,
}

impl Address {
    pub(super) fn made(random: &mut Random) -> Address {
        Address {
            kind: random.below(STREET_KINDS.len()),
            street: random.text(STREETS, 1.0),
            number: 1 + random.below(180),
            city: random.text(CITIES, 2.2),
        }
    }
}

/// All persons, in the making.
pub(super) struct People {
    random: Random,
    /// How often a codice fiscale was given, but for homocodia.
    codes: HashMap<String, usize>,
    pub(super) persons: Vec<Person>,
}

/// What the members of a household share.
struct House {
    address: Address,
    phone: String,
}

impl People {
    /// Makes so many persons.
    pub(super) fn made(count: usize, seed: u64) -> Vec<Person> {
        let mut people = People { random: Random::new(seed), codes: HashMap::new(), persons: Vec::new() };
        while people.persons.len() < count {
            people.add_household();
            if people.random.chance(0.0015) {
                people.add_homonym();
            }
        }
        people.persons.truncate(count);
        people.persons
    }

    fn add_household(&mut self) {
        let address = Address::made(&mut self.random);
        let house = House { address, phone: format!("010 {:07}", self.random.below(10_000_000)) };
        if self.random.chance(0.12) {
            self.add_foreigners(&house);
        } else if self.random.chance(0.3) {
            let year = 1930 + self.random.below(75) as u16;
            let sex = self.sex();
            let family = self.family();
            self.add(&house, family, sex, year, None);
        } else {
            self.add_family(&house);
        }
    }

    fn add_family(&mut self, house: &House) {
        let year = 1935 + self.random.below(65) as u16;
        let family = self.family();
        let father = self.add(house, family.clone(), Sex::Male, year, None);
        let maiden = self.family();
        let born = year + self.random.below(6) as u16;
        let mother = self.add(house, maiden.clone(), Sex::Female, born, None);
        self.persons[mother].husband = Some(family.clone());
        let grandfather = self.random.chance(0.06).then(|| {
            let born = year.saturating_sub(28).max(1922);
            self.add(house, family.clone(), Sex::Male, born, None)
        });
        for _ in 0..self.random.below(4) {
            let born = (year + 22 + self.random.below(18) as u16).min(YEAR_MAX);
            let sex = self.sex();
            let child = self.add(house, family.clone(), sex, born, None);
            // Some are called after the father or his father.
            let elder = grandfather.filter(|_| self.random.chance(0.3)).or(Some(father));
            if let Some(elder) = elder.filter(|_| sex == Sex::Male && self.random.chance(0.03)) {
                self.persons[child].given = self.persons[elder].given.clone();
                self.assign_code(child);
            }
            let parent_fiscal = self.persons[mother].fiscal;
            let of_child = |person: &mut Person| {
                person.mother = maiden.clone();
                person.parent_fiscal = parent_fiscal;
            };
            of_child(&mut self.persons[child]);
            if self.random.chance(1.0 / 80.0) {
                let sex = if self.random.chance(0.65) { sex } else { self.sex() };
                let birth = self.persons[child].birth;
                let place = self.persons[child].birth_place;
                let twin = self.add(house, family.clone(), sex, born, Some((birth, place)));
                of_child(&mut self.persons[twin]);
                for one in [child, twin] {
                    self.persons[one].is_twin = true;
                }
            }
        }
    }

    fn add_foreigners(&mut self, house: &House) {
        let country = self.random.of(COUNTRIES, 1.4);
        let family = self.random.text(country.families, 1.2).to_owned();
        for _ in 0..1 + self.random.below(4) {
            let (sex, year) = (self.sex(), 1950 + self.random.below(75) as u16);
            let number = self.add(house, family.clone(), sex, year, None);
            self.make_foreigner(number, country);
        }
    }

    fn make_foreigner(&mut self, number: usize, country: &'static Country) {
        let is_without = self.random.chance(if country.is_european { 0.04 } else { 0.08 });
        let is_unknown = self.random.chance(0.06);
        let names = if self.persons[number].sex == Sex::Male { country.men } else { country.women };
        let given = self.random.text(names, 1.3).to_owned();
        let mother = self.random.text(country.families, 1.0).to_owned();
        let person = &mut self.persons[number];
        (person.given, person.mother, person.birth_place) = (given, mother, (None, country.code));
        if is_unknown {
            person.birth = (person.birth.0, 1, 1);
        }
        person.foreigner = is_without.then_some(if country.is_european { "ENI" } else { "STP" });
        self.assign_code(number);
    }

    /// Adds somebody who has the names and the date of birth of another.
    fn add_homonym(&mut self) {
        let of = self.random.below(self.persons.len());
        let mut twin = self.persons[of].clone();
        if twin.fiscal.is_none() {
            return;
        }
        twin.address = Address::made(&mut self.random);
        twin.phone = self.mobile();
        twin.mother = self.family();
        twin.team = self.team();
        (twin.is_twin, twin.husband, twin.parent_fiscal) = (false, None, None);
        if self.random.chance(0.7) {
            let (name, code) = *self.random.of(BIRTH_PLACES, 1.0);
            twin.birth_place = (Some(name), code);
        }
        self.persons.push(twin);
        self.assign_code(self.persons.len() - 1);
    }

    /// Adds somebody; a twin has the birth of another.
    fn add(&mut self, house: &House, family: String, sex: Sex, year: u16, born: Option<Born>) -> usize {
        let random = &mut self.random;
        let birth = (year.min(YEAR_MAX), 1 + random.below(12) as u8, 1 + random.below(28) as u8);
        let (name, code) = *random.of(BIRTH_PLACES, 2.5);
        let (birth, birth_place) = born.unwrap_or((birth, (Some(name), code)));
        let given = self.given(sex);
        let phone = if self.random.chance(0.35) { house.phone.clone() } else { self.mobile() };
        let (mother, team) = (self.family(), self.team());
        self.persons.push(Person {
            family,
            given,
            sex,
            birth,
            birth_place,
            fiscal: None,
            foreigner: None,
            mother,
            husband: None,
            parent_fiscal: None,
            address: house.address.clone(),
            phone,
            is_twin: false,
            team,
        });
        let number = self.persons.len() - 1;
        self.assign_code(number);
        number
    }

    /// Gives somebody his codice fiscale: another one when somebody has it already.
    fn assign_code(&mut self, number: usize) {
        let person = &mut self.persons[number];
        person.fiscal = None;
        if person.foreigner.is_some() {
            return;
        }
        let (family, given) = (fold(&person.family), fold(&person.given));
        let code =
            identifiers::codice_fiscale((&family, &given), person.birth, person.sex, person.birth_place.1);
        person.fiscal = code.map(|code| {
            let count = self.codes.entry(code.plain().to_owned()).or_default();
            *count += 1;
            identifiers::homocode(&code, *count - 1)
        });
    }

    fn sex(&mut self) -> Sex {
        if self.random.chance(0.5) { Sex::Female } else { Sex::Male }
    }

    fn family(&mut self) -> String {
        let random = &mut self.random;
        let mut rare = || {
            let (root, ending) = (random.text(FAMILY_ROOTS, 1.2), random.text(FAMILY_ENDINGS, 1.4));
            format!("{root}{ending}")
        };
        let name = rare();
        let other = rare();
        match self.random.share() {
            share if share < 0.35 => self.random.text(FAMILIES, 1.2).to_owned(),
            share if share < 0.38 => format!("De {name}"),
            share if share < 0.40 => format!("{name} {other}"),
            _ => name,
        }
    }

    fn given(&mut self, sex: Sex) -> String {
        let names = if sex == Sex::Male { MEN } else { WOMEN };
        let first = self.random.text(names, 1.6);
        if self.random.chance(0.08) {
            let second = self.random.text(names, 1.6);
            if second != first {
                return format!("{first} {second}");
            }
        }
        first.to_owned()
    }

    fn mobile(&mut self) -> String {
        format!("+39 3{:02} {:07}", 20 + self.random.below(79), self.random.below(10_000_000))
    }

    fn team(&mut self) -> String {
        format!("8038000070{:010}", self.random.next() % 10_000_000_000)
    }
}

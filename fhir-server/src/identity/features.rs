//! What of a Patient counts when it is told who is the same person.

use fhir_model::fold::fold;
use fhir_model::schema::name;
use fhir_model::tree::{Element, Resource};
use ihe_adapters::italy::identifiers::{self, CodiceFiscale, oid};
use smallvec::SmallVec;

use super::names::{Name, Names, normalized};
use super::packing;
use crate::index::row::{NameHash, short};

/// How many names of each kind are compared.
const NAMES_MAX: usize = 3;
/// How many identifiers are compared.
const IDENTIFIERS_MAX: usize = 8;
/// How many telephones, and how many addresses.
const CONTACTS_MAX: usize = 2;
/// So many digits from the right tell a telephone: what stands before is a prefix, which may be missing.
const PHONE_DIGITS: usize = 9;

pub(super) const MOTHERS_MAIDEN_NAME: &str =
    "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
pub(super) const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";

/// The sex, as far as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// A date of birth; what is not known of it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Birth {
    /// The year; 0 where there is no date.
    pub year: u16,
    /// The month.
    pub month: u8,
    /// The day.
    pub day: u8,
}

impl Birth {
    /// Reads a FHIR date; nothing where it is none.
    pub fn parse(text: &str) -> Birth {
        let mut parts = text.get(..text.len().min(10)).unwrap_or_default().split('-');
        let year = parts.next().and_then(|year| year.parse().ok()).unwrap_or(0);
        let mut two = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        let (month, day) = (two(), two());
        Birth { year, month, day }
    }

    /// Tells whether the day is known.
    pub fn is_full(self) -> bool {
        self.year > 0 && self.month > 0 && self.day > 0
    }

    /// Returns the digits of the whole date.
    pub fn digits(self) -> [u8; 8] {
        let number = u32::from(self.year) * 10_000 + u32::from(self.month) * 100 + u32::from(self.day);
        let mut out = [b'0'; 8];
        let mut rest = number;
        for place in out.iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out
    }
}

/// A codice fiscale as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fiscal {
    /// One that is well made.
    Code(CodiceFiscale),
    /// A provisional one.
    Provisional([u8; 11]),
    /// One that has a mistake in it.
    Faulty(Name),
}

/// Who assigned an identifier, as far as it matters what it says when two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// Anybody else.
    Other,
    /// TEAM, STP, ENI: given anew from time to time.
    Renewed,
    /// ANA, ANPR: a person has one.
    Lasting,
}

/// The systems of identifiers that have a meaning of their own here.
const NATIONAL: [(&str, Authority); 6] = [
    (oid::TEAM_CARD, Authority::Renewed),
    (oid::TEAM_PERSON, Authority::Renewed),
    (oid::STP, Authority::Renewed),
    (oid::ENI, Authority::Renewed),
    (oid::ANA, Authority::Lasting),
    (oid::ANPR, Authority::Lasting),
];

/// An identifier, by short hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifier {
    /// Who assigned it.
    pub authority: Authority,
    /// Its system.
    pub system: u32,
    /// Its value, under the system.
    pub value: u32,
}

/// An address, by short hashes; 0 for what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address {
    /// The city.
    pub city: u32,
    /// Street and number.
    pub street: u32,
}

/// What of a Patient counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// Family names, each as a whole.
    pub family: Names,
    /// Given names, each as a whole.
    pub given: Names,
    /// The mother's family name before she married.
    pub mother: Option<Name>,
    /// The date of birth.
    pub birth: Birth,
    /// The sex.
    pub sex: Option<Sex>,
    /// The codice fiscale.
    pub fiscal: Option<Fiscal>,
    /// All other identifiers.
    pub identifiers: SmallVec<[Identifier; 4]>,
    /// Telephones, by short hashes.
    pub phones: SmallVec<[u32; 2]>,
    /// Where the person lives.
    pub addresses: SmallVec<[Address; 2]>,
    /// Where the person was born, by a short hash.
    pub birth_place: Option<u32>,
    /// Whether the person has twins.
    pub is_multiple: bool,
    /// Whether the Patient is replaced by another.
    pub is_subsumed: bool,
}

impl Features {
    /// Takes what counts from a Patient.
    pub fn of(patient: &Resource) -> Features {
        let root = patient.root();
        let mut features = Features::default();
        root.children_named(name::NAME).for_each(|name| features.add_name(name));
        // What is not in use any more was wrong, or is somebody else's by now.
        let in_use = |identifier: &Element<'_>| identifier.text_of(name::USE) != Some("old");
        let identifiers = root.children_named(name::IDENTIFIER).filter(in_use);
        identifiers.for_each(|identifier| features.add_identifier(identifier));
        root.children_named(name::TELECOM).for_each(|telecom| features.add_telecom(telecom));
        root.children_named(name::ADDRESS).for_each(|address| features.add_address(address));
        for extension in root.children_named(name::EXTENSION) {
            let value = extension.child(name::VALUE);
            match extension.text_of(name::URL) {
                Some(MOTHERS_MAIDEN_NAME) => {
                    let mother = value.and_then(Element::value).map(normalized);
                    features.mother = mother.filter(|name| !name.is_empty());
                }
                Some(BIRTH_PLACE) => {
                    let city = value.and_then(|place| place.text_of(name::CITY));
                    features.birth_place = city.and_then(|city| hashed("city", city));
                }
                _ => {}
            }
        }
        features.birth = root.text_of(name::BIRTH_DATE).map(Birth::parse).unwrap_or_default();
        features.sex = match root.text_of(name::GENDER) {
            Some("female") => Some(Sex::Female),
            Some("male") => Some(Sex::Male),
            _ => None,
        };
        let multiple = root.child(name::MULTIPLE_BIRTH).and_then(Element::value);
        features.is_multiple = multiple.is_some_and(|value| value != "false");
        let is_replacing = |link: Element<'_>| link.text_of(name::TYPE) == Some("replaced-by");
        features.is_subsumed = root.children_named(name::LINK).any(is_replacing);
        features
    }

    fn add_name(&mut self, of: Element<'_>) {
        if of.text_of(name::USE) == Some("anonymous") {
            return;
        }
        if let Some(family) = of.text_of(name::FAMILY) {
            add(&mut self.family, normalized(family));
        }
        let mut given = String::new();
        for part in of.children_named(name::GIVEN).filter_map(Element::value) {
            given.push_str(if given.is_empty() { "" } else { " " });
            given.push_str(part);
        }
        add(&mut self.given, normalized(&given));
    }

    fn add_identifier(&mut self, of: Element<'_>) {
        let (Some(system), Some(value)) = (of.text_of(name::SYSTEM), of.text_of(name::VALUE)) else { return };
        let value: String = value.trim().to_uppercase();
        if value.is_empty() {
            return;
        }
        let bare = system.strip_prefix("urn:oid:").unwrap_or(system);
        if bare == oid::CODICE_FISCALE {
            // Forms have one place for all of them.
            let foreign = [(oid::STP, identifiers::stp(&value)), (oid::ENI, identifiers::eni(&value))];
            return match foreign.into_iter().find(|(_, read)| read.is_ok()) {
                Some((system, _)) => self.push_identifier(system, &value),
                None => self.set_fiscal(&value),
            };
        }
        self.push_identifier(bare, &value);
    }

    fn set_fiscal(&mut self, value: &str) {
        let read = match (CodiceFiscale::parse(value), identifiers::provisional(value)) {
            (Ok(code), _) => Fiscal::Code(code),
            (_, Ok(digits)) => Fiscal::Provisional(digits),
            _ => Fiscal::Faulty(normalized(value)),
        };
        // What is well made counts, of several.
        match (&self.fiscal, &read) {
            (Some(Fiscal::Code(_)), _) | (Some(Fiscal::Provisional(_)), Fiscal::Faulty(_)) => {}
            (_, Fiscal::Faulty(text)) if text.is_empty() => {}
            _ => self.fiscal = Some(read),
        }
    }

    fn push_identifier(&mut self, system: &str, value: &str) {
        let national = NATIONAL.iter().find(|(oid, _)| *oid == system);
        let authority = national.map_or(Authority::Other, |(_, authority)| *authority);
        let identifier = Identifier {
            authority,
            system: short("system", &[system]),
            value: short("value", &[system, value]),
        };
        if self.identifiers.len() < IDENTIFIERS_MAX && !self.identifiers.contains(&identifier) {
            self.identifiers.push(identifier);
        }
    }

    fn add_telecom(&mut self, of: Element<'_>) {
        let Some(value) = of.text_of(name::VALUE) else { return };
        let hash = match of.text_of(name::SYSTEM) {
            Some("phone" | "sms") => {
                let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
                let last = digits.get(digits.len().saturating_sub(PHONE_DIGITS)..).unwrap_or_default();
                let number: String = last.iter().collect();
                // Who has no telephone is given zeros, or nines.
                let is_one = last.len() >= 6 && last.iter().any(|digit| Some(digit) != last.first());
                is_one.then(|| short("phone", &[&number]))
            }
            Some("email") => hashed("email", value),
            _ => None,
        };
        if let Some(hash) =
            hash.filter(|hash| !self.phones.contains(hash) && self.phones.len() < CONTACTS_MAX)
        {
            self.phones.push(hash);
        }
    }

    fn add_address(&mut self, of: Element<'_>) {
        let city = of.text_of(name::CITY).and_then(|city| hashed("city", city)).unwrap_or(0);
        let lines: Vec<&str> = of.children_named(name::LINE).filter_map(Element::value).collect();
        let street = street(&lines.join(" ")).unwrap_or(0);
        let address = Address { city, street };
        let is_new = address != Address::default() && !self.addresses.contains(&address);
        if is_new && self.addresses.len() < CONTACTS_MAX {
            self.addresses.push(address);
        }
    }

    /// Returns the hashes under which its names are counted.
    pub fn name_hashes(&self) -> impl Iterator<Item = NameHash> + '_ {
        let family = self.family.iter().map(|name| family_hash(name));
        family.chain(self.given.iter().map(|name| given_hash(name)))
    }

    /// Packs it, in about a hundred bytes.
    pub fn pack(&self) -> Vec<u8> {
        packing::pack(self)
    }

    /// Unpacks it; `None` when the bytes are not what [`Features::pack`] made.
    pub fn unpack(bytes: &[u8]) -> Option<Features> {
        packing::unpack(bytes)
    }
}

/// Returns the hash under which a family name is counted.
pub fn family_hash(name: &[u8]) -> NameHash {
    NameHash::of("family", name)
}

/// Returns the hash under which a given name is counted.
pub fn given_hash(name: &[u8]) -> NameHash {
    NameHash::of("given", name)
}

fn add(names: &mut Names, name: Name) {
    if !name.is_empty() && names.len() < NAMES_MAX && !names.contains(&name) {
        names.push(name);
    }
}

/// Returns the hash of street and number. Of the street the last word before the number counts, and the number
/// without what follows it: `Via Giuseppe Garibaldi 12/A` is `V. Garibaldi, 12`.
fn street(line: &str) -> Option<u32> {
    let folded = fold(line);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let (mut street, mut number) = (None, None);
    for word in words {
        let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
        match (digits.is_empty(), street) {
            // In `Via XX Settembre 3` and `Piazza 5 Maggio 3` the last number is that of the house.
            (false, Some(_)) => number = Some(digits),
            (false, None) => {}
            (true, _) if word.len() > 1 && number.is_none() => street = Some(word),
            (true, _) if word.len() > 2 => (street, number) = (Some(word), None),
            _ => {}
        }
    }
    Some(short("street", &[street?, &number?]).max(1))
}

/// Returns the hash of a text, however it is written: letters and digits without case and accents.
fn hashed(kind: &str, text: &str) -> Option<u32> {
    let letters: String = fold(text).chars().filter(|c| c.is_alphanumeric() || *c == '@').collect();
    (!letters.is_empty()).then(|| short(kind, &[&letters]).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn features(patient: &Value) -> Features {
        Features::of(&fhir_model::json::read(patient.to_string().into_bytes()).expect("a resource"))
    }

    #[test]
    fn what_counts_of_a_patient() {
        let patient = json!({
            "resourceType": "Patient",
            "extension": [
                { "url": MOTHERS_MAIDEN_NAME, "valueString": "D'Amico" },
                { "url": BIRTH_PLACE, "valueAddress": { "city": "Genova" } },
            ],
            "identifier": [
                { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.2", "value": "rssmra85m01h501q" },
                { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.7", "value": "80380000700123456789" },
                { "system": "http://hospital.example/mpi", "value": "17" },
                { "system": "http://hospital.example/empty" },
            ],
            "name": [{ "family": "Rossi", "given": ["Mario", "Àngelo"] }, { "use": "old", "family": "De Rossi" }],
            "telecom": [
                { "system": "phone", "value": "+39 010 123456" },
                { "system": "phone", "value": "0000000000" },
                { "system": "email", "value": "Mario@Example.org" },
            ],
            "gender": "male",
            "birthDate": "1985-08-01",
            "multipleBirthInteger": 2,
            "address": [{ "line": ["Via Roma 1"], "city": "Genova" }],
            "link": [{ "other": { "reference": "Patient/2" }, "type": "replaced-by" }],
        });
        let found = features(&patient);
        let names =
            |names: &Names| names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>();
        assert_eq!(names(&found.family), ["rossi", "derossi"]);
        assert_eq!(names(&found.given), ["mario angelo"]);
        assert_eq!(found.mother.as_deref(), Some(b"damico".as_slice()));
        assert_eq!(found.birth, Birth { year: 1985, month: 8, day: 1 });
        assert_eq!(&found.birth.digits(), b"19850801");
        assert!(matches!(found.fiscal, Some(Fiscal::Code(code)) if code.as_str() == "RSSMRA85M01H501Q"));
        let authorities: Vec<Authority> = found.identifiers.iter().map(|i| i.authority).collect();
        assert_eq!(authorities, [Authority::Renewed, Authority::Other]);
        assert_eq!((found.phones.len(), found.addresses.len()), (2, 1));
        assert_eq!(found.birth_place, Some(found.addresses[0].city));
        assert!(found.is_multiple && found.is_subsumed && found.sex == Some(Sex::Male));
        let packed = found.pack();
        assert!(packed.len() < 140, "{} bytes", packed.len());
        assert_eq!(Features::unpack(&packed), Some(found));
    }

    #[test]
    fn what_stands_in_the_place_of_a_codice_fiscale() {
        let fiscal = |value: &str| {
            let system = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
            features(
                &json!({ "resourceType": "Patient", "identifier": [{ "system": system, "value": value }] }),
            )
        };
        assert!(matches!(fiscal("00743110157").fiscal, Some(Fiscal::Provisional(_))));
        assert!(matches!(fiscal("RSSMRA85M01H501X").fiscal, Some(Fiscal::Faulty(_))));
        let stp = fiscal("STP0700011234567");
        assert_eq!((stp.fiscal.is_none(), stp.identifiers.len()), (true, 1));
        let own = json!({ "resourceType": "Patient", "identifier": [
            { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.17", "value": "STP0700011234567" },
        ] });
        assert_eq!(features(&own).identifiers, stp.identifiers);
    }

    #[test]
    fn streets_however_they_are_written() {
        let same =
            ["Via Giuseppe Garibaldi 12", "V. Garibaldi, 12", "VIA GARIBALDI 12/A", "via garibaldi n. 12"];
        let hashes: Vec<Option<u32>> = same.iter().map(|line| street(line)).collect();
        assert!(hashes[0].is_some() && hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        for other in ["Via Garibaldi 13", "Via Mazzini 12", "Via Garibaldi", "12", ""] {
            assert_ne!(street(other), hashes[0], "{other}");
        }
        assert_eq!(street("Piazza 5 Maggio 3"), street("P.za 5 maggio, 3"));
    }

    #[test]
    fn dates_that_are_not_whole() {
        for (text, year, month, day) in
            [("1985", 1985, 0, 0), ("1985-08", 1985, 8, 0), ("", 0, 0, 0), ("19xx-08-01", 0, 8, 1)]
        {
            assert_eq!(Birth::parse(text), Birth { year, month, day }, "{text}");
        }
        assert!(!Birth::parse("19xx-08-01").is_full());
    }
}

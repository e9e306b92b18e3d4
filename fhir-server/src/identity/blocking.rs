//! In which blocks a person is looked for: few keys that two records of one
//! person mostly share, whatever is wrong with one of them.
//!
//! | block | finds in spite of |
//! | --- | --- |
//! | codice fiscale without homocodia | everything else |
//! | identifier | everything else |
//! | telephone | everything else |
//! | sound of the family name, year of birth, initial | slips in names, wrong day or month |
//! | date of birth, initial | another family name; asked also with day and month exchanged |
//! | sound of the family name, date of birth | another given name, no codice fiscale |
//! | sound of the family name, given name | no date of birth, a wrong one |
//!
//! Who asks is looked for with family and given names exchanged as well. What is
//! stored are rows of the index like those of searches: changing a key is a new making (`super::MAKING`).

use fhir_model::schema::ty;

use super::features::{Birth, Features, Fiscal};
use super::names::{Names, parts, sound};
use crate::index::row::{BranchCode, EqualHash};

/// How many parts of a name are looked for.
const PARTS_MAX: usize = 3;
/// How many blocks are looked into.
pub const BLOCKS_MAX: usize = 24;

/// Returns the blocks in which a Patient stands.
pub fn stored(features: &Features) -> Vec<EqualHash> {
    let mut blocks = Blocks::default();
    blocks.add_all(features, features.birth, (&sounds(&features.family), &words(&features.given)));
    blocks.add_certain(features);
    blocks.found
}

/// Returns the blocks in which a person is looked for; the surest first.
pub fn asked(features: &Features) -> Vec<EqualHash> {
    let mut blocks = Blocks::default();
    blocks.add_certain(features);
    let (sounds_of, words_of) = (sounds(&features.family), words(&features.given));
    blocks.add_all(features, features.birth, (&sounds_of, &words_of));
    let swapped = Birth { month: features.birth.day, day: features.birth.month, ..features.birth };
    if swapped.is_full() && swapped.month <= 12 && swapped != features.birth {
        blocks.add_date(swapped, &words_of);
    }
    let (sounds_of, words_of) = (sounds(&features.given), words(&features.family));
    blocks.add_all(features, features.birth, (&sounds_of, &words_of));
    blocks.found.truncate(BLOCKS_MAX);
    blocks.found
}

/// Returns how the parts of names sound.
fn sounds(names: &Names) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for sound in names.iter().flat_map(|name| parts(name)).map(sound) {
        if !sound.is_empty() && !found.contains(&sound) && found.len() < PARTS_MAX {
            found.push(sound);
        }
    }
    found
}

/// Returns the parts of names.
fn words(names: &Names) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in names.iter().flat_map(|name| parts(name)) {
        let word = String::from_utf8_lossy(part).into_owned();
        if !found.contains(&word) && found.len() < PARTS_MAX {
            found.push(word);
        }
    }
    found
}

#[derive(Default)]
struct Blocks {
    found: Vec<EqualHash>,
}

impl Blocks {
    fn add(&mut self, kind: &str, value: &[&str]) {
        let branch = BranchCode::of(ty::PATIENT, "block", "Patient");
        let hash = EqualHash::of(branch, kind, value);
        if !self.found.contains(&hash) {
            self.found.push(hash);
        }
    }

    fn add_certain(&mut self, features: &Features) {
        match &features.fiscal {
            // The control character goes with the digits.
            Some(Fiscal::Code(code)) => self.add("fiscal", &[code.plain().get(..15).unwrap_or_default()]),
            Some(Fiscal::Provisional(digits)) => {
                self.add("provisional", &[std::str::from_utf8(digits).unwrap_or_default()]);
            }
            Some(Fiscal::Faulty(_)) | None => {}
        }
        for identifier in &features.identifiers {
            self.add("identifier", &[&identifier.system.to_string(), &identifier.value.to_string()]);
        }
        for phone in &features.phones {
            self.add("phone", &[&phone.to_string()]);
        }
    }

    fn add_all(&mut self, features: &Features, birth: Birth, (sounds, words): (&[String], &[String])) {
        if birth.is_full() {
            self.add_date(birth, words);
            for sound in sounds {
                self.add("family-date", &[sound, &text(birth)]);
            }
        }
        let Some(word) = words.first() else { return };
        for sound in sounds {
            if features.birth.year > 0 {
                self.add("family-year", &[sound, &birth.year.to_string(), initial(word)]);
            }
        }
        if let Some(sound) = sounds.first() {
            self.add("names", &[sound, word]);
        }
    }

    fn add_date(&mut self, birth: Birth, words: &[String]) {
        for word in words {
            self.add("date", &[&text(birth), initial(word)]);
        }
    }
}

fn text(birth: Birth) -> String {
    String::from_utf8_lossy(&birth.digits()).into_owned()
}

fn initial(word: &str) -> &str {
    word.chars().next().and_then(|first| word.get(..first.len_utf8())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::names::normalized;

    fn person(family: &str, given: &str, birth: &str) -> Features {
        let names = |text: &str| [normalized(text)].into_iter().collect::<Names>();
        Features {
            family: names(family),
            given: names(given),
            birth: Birth::parse(birth),
            ..Features::default()
        }
    }

    #[test]
    fn who_is_found_in_spite_of_mistakes() {
        let stored = stored(&person("De Luca", "Maria Teresa", "1985-08-01"));
        for (family, given, birth, is_found) in [
            ("De Luca", "Maria Teresa", "1985-08-01", true),
            ("Deluca", "Mariateresa", "1985-08-01", true),
            ("De Luka", "Maria", "1985-11-21", true),
            ("Maria Teresa", "De Luca", "1985-08-01", true),
            ("Bianchi", "Teresa", "1985-08-01", true),
            ("Bianchi", "Maria", "1985-01-08", true),
            ("De Luca", "Anna", "1985-08-01", true),
            ("De Luca", "Maria", "", true),
            ("Deluca", "Maria", "1958-08-01", true),
            ("Bianchi", "Anna", "1985-08-01", false),
            ("Bianchi", "Anna", "1990-01-08", false),
            ("", "", "", false),
        ] {
            let asked = asked(&person(family, given, birth));
            assert_eq!(asked.iter().any(|hash| stored.contains(hash)), is_found, "{family} {given} {birth}");
            assert!(asked.len() <= BLOCKS_MAX);
        }
    }
}

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
//! Who asks is looked for with family and given names exchanged as well. Some blocks are those of a mistake: where the
//! whole date of birth is known, all but those of identifiers and of the date with the initial. Who wants one person and
//! not all looks into them only where nobody is certain.
//!
//! What is stored are rows of the index like those of searches: changing a key is a new making (`super::MAKING`).

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
    blocks.add_all(features.birth, (&sounds(&features.family), &words(&features.given)));
    blocks.add_certain(features);
    blocks.found
}

/// Returns the blocks in which a person is looked for, the surest first.
pub fn asked(features: &Features) -> Vec<EqualHash> {
    let mut blocks = likely(features);
    blocks.append(&mut unlikely(features, &blocks));
    blocks
}

/// Returns the blocks in which a person stands when all that is said is right.
pub fn likely(features: &Features) -> Vec<EqualHash> {
    let mut blocks = Blocks::default();
    blocks.add_certain(features);
    let words = words(&features.given);
    match features.birth.is_full() {
        true => blocks.add_date(features.birth, &words),
        false => blocks.add_names(features.birth, (&sounds(&features.family), &words)),
    }
    blocks.found.truncate(BLOCKS_MAX);
    blocks.found
}

/// Returns the blocks in which a person stands only when something of it is wrong, without the likely ones.
pub fn unlikely(features: &Features, likely: &[EqualHash]) -> Vec<EqualHash> {
    let mut blocks = Blocks { found: likely.to_vec() };
    let (sounds_of, words_of) = (sounds(&features.family), words(&features.given));
    blocks.add_family_date(features.birth, &sounds_of);
    blocks.add_names(features.birth, (&sounds_of, &words_of));
    let swapped = Birth { month: features.birth.day, day: features.birth.month, ..features.birth };
    if swapped.is_full() && swapped.month <= 12 && swapped != features.birth {
        blocks.add_date(swapped, &words_of);
    }
    let (sounds_of, words_of) = (sounds(&features.given), words(&features.family));
    blocks.add_all(features.birth, (&sounds_of, &words_of));
    blocks.found.truncate(BLOCKS_MAX);
    blocks.found.split_off(likely.len())
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

    fn add_all(&mut self, birth: Birth, (sounds, words): (&[String], &[String])) {
        self.add_date(birth, words);
        self.add_family_date(birth, sounds);
        self.add_names(birth, (sounds, words));
    }

    fn add_date(&mut self, birth: Birth, words: &[String]) {
        for word in words.iter().filter(|_| birth.is_full()) {
            self.add("date", &[&text(birth), initial(word)]);
        }
    }

    fn add_family_date(&mut self, birth: Birth, sounds: &[String]) {
        for sound in sounds.iter().filter(|_| birth.is_full()) {
            self.add("family-date", &[sound, &text(birth)]);
        }
    }

    fn add_names(&mut self, birth: Birth, (sounds, words): (&[String], &[String])) {
        let Some(word) = words.first() else { return };
        for sound in sounds.iter().filter(|_| birth.year > 0) {
            self.add("family-year", &[sound, &birth.year.to_string(), initial(word)]);
        }
        if let Some(sound) = sounds.first() {
            self.add("names", &[sound, word]);
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

    #[test]
    fn what_a_mistake_leads_to_is_apart() {
        let stored = stored(&person("De Luca", "Maria Teresa", "1985-08-01"));
        for (family, given, birth, is_likely) in [
            ("De Luca", "Maria Teresa", "1985-08-01", true),
            ("De Luka", "Teresa", "1985-08-01", true),
            ("De Luca", "Maria", "1985", true),
            ("De Luca", "Maria", "", true),
            ("De Luca", "Maria", "1958-08-01", false),
            ("Bianchi", "Maria", "1985-01-08", false),
            ("Maria Teresa", "De Luca", "1985-08-01", false),
        ] {
            let person = person(family, given, birth);
            let likely = likely(&person);
            let unlikely = unlikely(&person, &likely);
            let is_in = |blocks: &[EqualHash]| blocks.iter().any(|hash| stored.contains(hash));
            assert_eq!(is_in(&likely), is_likely, "{family} {given} {birth}");
            assert!(is_likely || is_in(&unlikely), "{family} {given} {birth}");
            assert!(likely.iter().all(|hash| !unlikely.contains(hash)));
        }
    }
}

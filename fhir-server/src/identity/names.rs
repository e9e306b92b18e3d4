//! Names as they are compared: small letters without accents and apostrophes,
//! particles joined to what follows, the parts of double names apart.
//!
//! | written | compared |
//! | --- | --- |
//! | `De Luca`, `DE LUCA`, `Deluca` | `deluca` |
//! | `D'Agostino`, `D’AGOSTINO`, `D Agostino` | `dagostino` |
//! | `Nicolò`, `NICOLO'` | `nicolo` |
//! | `Rossi-Bianchi` | `rossi bianchi` |
//! | `Maria Teresa` | `maria teresa` |

use fhir_model::fold::fold;
use smallvec::SmallVec;

use crate::search::parameter::phonetic::for_each_sound;

/// A name as it is compared, in bytes of UTF-8: its parts with a space between.
pub type Name = SmallVec<[u8; 24]>;

/// Names of one person, such as the one before and the one after a marriage.
pub type Names = SmallVec<[Name; 2]>;

/// How many bytes of a name are compared.
pub const NAME_BYTES_MAX: usize = 48;

/// What is joined to the word that follows it.
const PARTICLES: [&str; 24] = [
    "d", "da", "dal", "dalla", "de", "degli", "dei", "del", "dell", "della", "delle", "dello", "di", "el",
    "al", "la", "le", "li", "lo", "o", "san", "santa", "van", "von",
];

/// Returns a name as it is compared; empty when nothing is left of it.
pub fn normalized(text: &str) -> Name {
    let folded = fold(text);
    let mut out = Name::new();
    let mut is_joined = true;
    for word in folded.split(|c: char| !c.is_alphanumeric() && !is_apostrophe(c)) {
        let letters = word.chars().filter(|c| !is_apostrophe(*c));
        let start = out.len();
        if !is_joined {
            out.push(b' ');
        }
        let before = out.len();
        for letter in letters {
            let mut buffer = [0; 4];
            let bytes = letter.encode_utf8(&mut buffer).as_bytes();
            if out.len() + bytes.len() <= NAME_BYTES_MAX {
                out.extend_from_slice(bytes);
            }
        }
        if out.len() == before {
            out.truncate(start);
            continue;
        }
        let written = out.get(before..).unwrap_or_default();
        is_joined = PARTICLES.iter().any(|particle| particle.as_bytes() == written);
    }
    out
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´')
}

/// Returns the parts of a name.
pub fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| *byte == b' ').filter(|part| !part.is_empty())
}

/// Returns how the first words of a name sound, joined.
pub fn sound(name: &[u8]) -> String {
    let mut out = String::new();
    for_each_sound(std::str::from_utf8(name).unwrap_or_default(), |sound| out.push_str(sound));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(name: &str) -> String {
        String::from_utf8(normalized(name).to_vec()).expect("UTF-8")
    }

    #[test]
    fn names_as_they_are_compared() {
        for (written, compared) in [
            ("De Luca", "deluca"),
            ("DELUCA", "deluca"),
            ("De  La Torre", "delatorre"),
            ("D'Agostino", "dagostino"),
            ("D’ AGOSTINO", "dagostino"),
            ("Nicolò", "nicolo"),
            ("NICOLO'", "nicolo"),
            ("Rossi-Bianchi", "rossi bianchi"),
            (" Maria  Teresa ", "maria teresa"),
            ("Müller", "muller"),
            ("Ivanov (nata Petrova)", "ivanov nata petrova"),
            ("Di", "di"),
            ("", ""),
            ("--- '", ""),
        ] {
            assert_eq!(text(written), compared, "{written}");
        }
        assert_eq!(sound(b"rossi"), sound(b"rosi"));
        assert_eq!(parts(b"maria teresa").collect::<Vec<_>>(), [b"maria".as_slice(), b"teresa"]);
    }

    proptest! {
        #[test]
        fn what_is_compared_is_bounded_and_stays(name in "\\PC{0,80}") {
            let once = normalized(&name);
            prop_assert!(once.len() <= NAME_BYTES_MAX + 1);
            let text = std::str::from_utf8(&once).expect("UTF-8");
            prop_assert!(!text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  "), "{text:?}");
        }
    }
}

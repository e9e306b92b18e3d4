//! How words sound, so that `Rossi` is found by `Rosi`, `Filippo` by
//! `Philipo`, `Iacopo` by `Jacopo`.
//!
//! A plain fold made for Italian names that keeps foreign ones together, too:
//! consonants in classes of sound, doubled ones once, vowels only where a word
//! begins. What is not in the Latin alphabet is kept as it is. Sounds are
//! stored: changing the rules is a migration.
//!
//! | written | sound | |
//! | --- | --- | --- |
//! | `h` | none | *Ettore*, *Hettore* |
//! | `ph` | `f` | *Filippo*, *Philip* |
//! | `c`, `g` before `e`, `i`, `y` | `c`, `j` | *Cesare*, *Giorgio* |
//! | `c`, `ch`, `k`, `ck`, `q` otherwise | `k` | *Marco*, *Marko*, *Michele*, *Mikele* |
//! | `gh`, `g` otherwise | `g` | *Ghirardi*, *Girardi* differ |
//! | `sc` before `e`, `i`, `y`; `z` | `s` | *Scianna*, *Sianna* |
//! | `gn`, `gli` | `n`, `l` | *Bologna*, *Bolonia* |
//! | `w`, `x` | `v`, `ks` | *Walter*, *Valter* |
//! | `i`, `y` before a vowel at the beginning, `j` | `j` | *Iacopo*, *Jacopo* |

/// The form of the hashes of sounds.
pub(super) const FORM: &str = "sound";

/// The longest sound, in characters; what follows is not compared.
const SOUND_CHARS_MAX: usize = 32;

/// Calls `each` with the sound of every word of a folded text.
pub(crate) fn for_each_sound(folded: &str, mut each: impl FnMut(&str)) {
    for word in folded.split(|c: char| !c.is_alphanumeric() && !is_apostrophe(c)) {
        let sound = sound(word);
        if !sound.is_empty() {
            each(&sound);
        }
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '`')
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

/// Returns how a folded word sounds.
fn sound(word: &str) -> String {
    let letters: Vec<char> = word.chars().filter(|c| !is_apostrophe(*c)).take(4 * SOUND_CHARS_MAX).collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1).copied();
        let is_soft = |c: Option<char>| matches!(c, Some('e' | 'i' | 'y'));
        let (sound, used) = match (letter, next) {
            ('h', _) => ("", 1),
            ('p', Some('h')) => ("f", 2),
            ('s', Some('c')) if is_soft(letters.get(at + 2).copied()) => ("s", 2),
            ('c', Some('h' | 'k' | 'q')) => ("k", 2),
            ('c', Some('c')) => ("", 1),
            ('c', next) if is_soft(next) => ("c", 1),
            ('c' | 'k' | 'q', _) => ("k", 1),
            ('g', Some('n')) => ("n", 2),
            ('g', Some('l')) if letters.get(at + 2) == Some(&'i') => ("l", 2),
            ('g', Some('h')) => ("g", 2),
            ('g', Some('g')) => ("", 1),
            ('g', next) if is_soft(next) => ("j", 1),
            ('g', _) => ("g", 1),
            ('i' | 'y', Some(next)) if at == 0 && is_vowel(next) => ("j", 1),
            ('j', _) => ("j", 1),
            ('w', _) => ("v", 1),
            ('x', _) => ("ks", 1),
            ('z', _) => ("s", 1),
            (vowel, _) if is_vowel(vowel) => {
                if out.is_empty() {
                    out.push(if vowel == 'y' { 'i' } else { vowel });
                }
                ("", 1)
            }
            (other, _) => {
                if !out.ends_with(other) {
                    out.push(other);
                }
                ("", 1)
            }
        };
        if !out.ends_with(sound) {
            out.push_str(sound);
        }
        at += used;
    }
    out.chars().take(SOUND_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_model::fold::fold;

    fn sounds(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        for_each_sound(&fold(text), |sound| out.push(sound.to_owned()));
        out
    }

    #[test]
    fn what_sounds_alike() {
        for (one, other, alike) in [
            ("Rossi", "Rosi", true),
            ("Rossi", "Russo", true),
            ("Filippo", "Philipo", true),
            ("Iacopo", "Jacopo", true),
            ("Michele", "Mikele", true),
            ("Walter", "Valter", true),
            ("Ettore", "Hettore", true),
            ("Bologna", "Bolonia", true),
            ("D'Agostino", "Dagostino", true),
            ("Nicolò", "NICOLO", true),
            ("Ceccarelli", "Cecarelli", true),
            ("Smith", "Smyth", true),
            ("Marco", "Marcello", false),
            ("Ghirardi", "Girardi", false),
            ("Anna", "Enna", false),
            ("Rossi", "Bianchi", false),
            ("Иванов", "Иванова", false),
            ("Иванов", "иванов", true),
        ] {
            let (first, second) = (sounds(one), sounds(other));
            assert_eq!(first == second, alike, "{one} {other}: {first:?} {second:?}");
        }
        assert_eq!(sounds("Maria Teresa De-Luca 3"), ["mr", "trs", "d", "lk", "3"]);
        assert!(sounds("--- ' ?").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_is_bounded(text in "\\PC{0,200}") {
            for sound in sounds(&text) {
                proptest::prop_assert!(!sound.is_empty() && sound.chars().count() <= SOUND_CHARS_MAX);
            }
        }
    }
}

//! How the names of two persons stand to each other.

use super::names::{Name, Names, parts, sound};
use super::similarity::{Letters, jaro_winkler, slips};
use super::weights::Level;

/// From which likeness on names of some length are taken for one name with a slip.
const ALIKE_MIN: f64 = 0.94;
/// So long a name is before slips are looked for.
const SLIPS_LENGTH_MIN: usize = 4;
/// So many slips may be between two names that are one.
const SLIPS_MAX: u8 = 2;

/// A name of who is asked about.
pub(super) struct AskedName<'a> {
    text: &'a Name,
    letters: Letters,
    sound: String,
    /// The share of Patients that have it.
    pub(super) share: f64,
}

impl<'a> AskedName<'a> {
    /// Prepares a name that a share of Patients has.
    pub(super) fn new(text: &'a Name, share: f64) -> AskedName<'a> {
        AskedName { text, letters: Letters::of(text), sound: sound(text), share }
    }

    /// Compares it with the name of another.
    fn level(&self, other: &[u8]) -> Level {
        let one = self.text.as_slice();
        if one == other || parts(one).flatten().eq(parts(other).flatten()) {
            return Level::Exact;
        }
        if is_initial(one, other) || is_initial(other, one) {
            return Level::Initial;
        }
        if is_slip((one, self.letters), other) {
            return Level::Close;
        }
        if is_part(one, other) || is_part(other, one) {
            return Level::Part;
        }
        match one.len() >= SLIPS_LENGTH_MIN && self.sound == sound(other) {
            true => Level::Sound,
            false => Level::Differs,
        }
    }
}

/// Compares names: the best of all pairs counts. Returns also whose it is, of who is asked about.
pub(super) fn compare_names<'n>(
    asked: &'n [AskedName<'n>],
    others: &Names,
) -> Option<(Level, &'n AskedName<'n>)> {
    let order = |level: Level| match level {
        Level::Exact => 0,
        Level::Close => 1,
        Level::Part => 2,
        Level::Sound => 3,
        Level::Initial => 4,
        _ => 5,
    };
    let mut best: Option<(Level, &AskedName<'_>)> = None;
    for (one, other) in asked.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
        let level = one.level(other);
        if best.is_none_or(|(best, _)| order(level) < order(best)) {
            best = Some((level, one));
        }
        if level == Level::Exact {
            break;
        }
    }
    best
}

fn is_initial(one: &[u8], other: &[u8]) -> bool {
    one.len() == 1 && one.first() == other.first()
}

/// Tells whether all parts of one are parts of the other.
fn is_part(one: &[u8], other: &[u8]) -> bool {
    parts(one).all(|part| part.len() > 1 && parts(other).any(|of| of == part))
}

/// Tells whether two names, the first with its letters, are one name with a slip or two.
pub(super) fn is_slip((one, letters): (&[u8], Letters), other: &[u8]) -> bool {
    let shorter = one.len().min(other.len());
    let may_be =
        shorter >= SLIPS_LENGTH_MIN && letters.may_be_within(Letters::of(other), u32::from(SLIPS_MAX));
    match may_be.then(|| slips(one, other, usize::from(SLIPS_MAX))).flatten() {
        Some(0 | 1) => true,
        Some(_) => shorter >= 8 || (shorter >= 6 && jaro_winkler(one, other) >= ALIKE_MIN),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two() {
        for (one, other, level) in [
            ("rossi", "rossi", Level::Exact),
            ("gianfranco", "gian franco", Level::Exact),
            ("rossi", "rosssi", Level::Close),
            ("giuseppe", "giusepep", Level::Close),
            ("marco", "mario", Level::Close),
            ("maria teresa", "maria", Level::Part),
            ("maria teresa", "teresa", Level::Part),
            ("maria chiara", "maria teresa", Level::Differs),
            ("m", "maria", Level::Initial),
            ("philippa", "filipa", Level::Sound),
            ("rossi", "bianchi", Level::Differs),
            ("anna", "enzo", Level::Differs),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let (asked, stored) = (Name::from_slice(one.as_bytes()), Name::from_slice(other.as_bytes()));
                assert_eq!(AskedName::new(&asked, 0.5).level(&stored), level, "{one} {other}");
            }
        }
    }
}

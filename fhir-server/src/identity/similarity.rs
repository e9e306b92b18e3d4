//! How alike two texts are: Jaro and Winkler for names, Damerau and Levenshtein
//! for slips of the hand. On bytes: names are folded to letters without accents before.

/// The longest text that is compared, in bytes; what follows is left out.
const BYTES_MAX: usize = 64;

/// Returns how alike two texts are, from 0 to 1, by Jaro; a common beginning counts more, by Winkler.
pub fn jaro_winkler(one: &[u8], other: &[u8]) -> f64 {
    let jaro = jaro(one, other);
    let prefix = one.iter().zip(other).take(4).take_while(|(a, b)| a == b).count();
    jaro + prefix as f64 * 0.1 * (1.0 - jaro)
}

fn jaro(one: &[u8], other: &[u8]) -> f64 {
    let (one, other) = (cut(one), cut(other));
    if one == other {
        return if one.is_empty() { 0.0 } else { 1.0 };
    }
    let window = (one.len().max(other.len()) / 2).saturating_sub(1);
    // Which bytes of the other are taken, as bits.
    let mut taken = 0u64;
    let mut matched = [0u8; BYTES_MAX];
    let mut matches = 0usize;
    for (at, byte) in one.iter().enumerate() {
        let (from, to) = (at.saturating_sub(window), (at + window + 1).min(other.len()));
        let found = (from..to).find(|place| taken & (1 << place) == 0 && other[*place] == *byte);
        if let Some(place) = found {
            taken |= 1 << place;
            matched[matches] = *byte;
            matches += 1;
        }
    }
    if matches == 0 {
        return 0.0;
    }
    let in_other = other.iter().enumerate().filter(|(place, _)| taken & (1 << place) != 0);
    let moved = matched[..matches].iter().zip(in_other).filter(|(a, (_, b))| a != b).count();
    let matches = matches as f64;
    let share = |length: usize| matches / length as f64;
    (share(one.len()) + share(other.len()) + (matches - moved as f64 / 2.0) / matches) / 3.0
}

/// Returns how many slips lead from one text to the other, a letter more, less or another, or two
/// neighbours exchanged, none of them touched twice; `None` when there are more than `most`.
pub fn slips(one: &[u8], other: &[u8], most: usize) -> Option<usize> {
    let (one, other) = (cut(one), cut(other));
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    // No number is above the longest text, so that bytes do.
    let mut before = [0u8; BYTES_MAX + 1];
    let mut last = [0u8; BYTES_MAX + 1];
    let mut now = [0u8; BYTES_MAX + 1];
    for (place, slot) in last.iter_mut().enumerate() {
        *slot = place as u8;
    }
    for i in 1..=one.len() {
        now[0] = i as u8;
        let mut least_of_all = now[0];
        for j in 1..=other.len() {
            let same = one[i - 1] == other[j - 1];
            let mut least = (last[j] + 1).min(now[j - 1] + 1).min(last[j - 1] + u8::from(!same));
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            now[j] = least;
            least_of_all = least_of_all.min(least);
        }
        // Whatever follows, it does not become less.
        if usize::from(least_of_all) > most {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut now);
    }
    Some(usize::from(last[other.len()])).filter(|slips| *slips <= most)
}

/// Which letters a text has, as bits: few slips change few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letters(u32);

impl Letters {
    /// Returns those of a text.
    pub fn of(text: &[u8]) -> Letters {
        Letters(cut(text).iter().fold(0, |bits, byte| bits | 1 << (byte & 31)))
    }

    /// Tells whether so many slips may lead from one text to the other: each takes one letter away and
    /// brings another at most.
    pub fn may_be_within(self, other: Letters, slips: u32) -> bool {
        (self.0 ^ other.0).count_ones() <= 2 * slips
    }
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..BYTES_MAX).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_the_papers() {
        for (one, other, expected) in [
            ("martha", "marhta", 0.961),
            ("dwayne", "duane", 0.840),
            ("dixon", "dicksonx", 0.813),
            ("rossi", "rossi", 1.0),
            ("rossi", "", 0.0),
            ("", "", 0.0),
            ("abc", "xyz", 0.0),
        ] {
            let found = jaro_winkler(one.as_bytes(), other.as_bytes());
            assert!((found - expected).abs() < 0.001, "{one} {other}: {found}");
        }
    }

    #[test]
    fn slips_of_the_hand() {
        for (one, other, expected) in [
            ("rossi", "rossi", 0),
            ("rossi", "rosi", 1),
            ("rossi", "rossli", 1),
            ("rossi", "rissi", 1),
            ("rossi", "rosis", 1),
            ("ca", "abc", 3),
            ("", "abc", 3),
            ("bianchi", "verdi", 6),
        ] {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!(slips(one, other, expected), Some(expected), "{one:?} {other:?}");
            assert_eq!(slips(one, other, 9), Some(expected), "{one:?} {other:?}");
            if expected > 0 {
                assert_eq!(slips(one, other, expected - 1), None, "{one:?} {other:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_are_alike(one in "[a-d ]{0,70}", other in "[a-d ]{0,70}") {
            let (a, b) = (one.as_bytes(), other.as_bytes());
            let all = slips(a, b, BYTES_MAX).expect("no more than the longest text");
            prop_assert_eq!(slips(b, a, BYTES_MAX), Some(all));
            prop_assert!((0.0..=1.0).contains(&jaro_winkler(a, b)));
            prop_assert_eq!(slips(a, a, 0), Some(0));
            prop_assert!(all <= a.len().max(b.len()));
            for most in 0..5 {
                prop_assert_eq!(slips(a, b, most), Some(all).filter(|all| *all <= most));
            }
            prop_assert!(Letters::of(a).may_be_within(Letters::of(b), all as u32));
        }

        #[test]
        fn one_slip_is_one(text in "[a-z]{2,20}", at in any::<prop::sample::Index>()) {
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len() - 1);
            bytes.swap(at, at + 1);
            prop_assert!(slips(text.as_bytes(), &bytes, 1).is_some());
            bytes.remove(at);
            prop_assert!(slips(text.as_bytes(), &bytes, 2).is_some());
        }
    }
}

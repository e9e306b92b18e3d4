//! Inputs out of seeds: cut, doubled, swapped, joined, and with words and
//! bytes of the target's language put in.

use fastrand::Rng;

/// The greatest length of an input, in bytes.
const INPUT_BYTES_MAX: usize = 400_000;

pub(super) struct Mutator {
    random: Rng,
    dictionary: &'static [&'static str],
}

impl Mutator {
    pub(super) fn new(seed: u64, dictionary: &'static [&'static str]) -> Mutator {
        Mutator { random: Rng::with_seed(seed), dictionary }
    }

    /// Chooses a place for a new seed among those that stay, now and then.
    pub(super) fn place(&mut self, seeds: usize) -> Option<usize> {
        (self.random.u8(..) < 8 && seeds > 0).then(|| self.random.usize(..seeds))
    }

    /// Makes the next input.
    pub(super) fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.seed(seeds).to_vec();
        for _ in 0..1 + self.random.usize(..4) {
            self.mutate(&mut input, seeds);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn seed<'s>(&mut self, seeds: &'s [Vec<u8>]) -> &'s [u8] {
        seeds.get(self.random.usize(..seeds.len().max(1))).map_or(&[], Vec::as_slice)
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let begin = self.random.usize(..=length);
        // Short pieces more often than long ones.
        let most = (length - begin).min(1 << self.random.u32(..12));
        begin..begin + self.random.usize(..=most)
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.random.usize(..=input.len());
        match self.random.u8(..10) {
            0 => {
                input.drain(self.range(input.len()));
            }
            1 => {
                let piece = input[self.range(input.len())].to_vec();
                input.splice(at..at, piece);
            }
            2 => {
                let other = self.seed(seeds);
                let piece = other[self.range(other.len())].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let range = self.range(input.len());
                let other = self.seed(seeds);
                let piece = other[self.range(other.len())].to_vec();
                input.splice(range, piece);
            }
            4 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.random.u8(..8);
                }
            }
            5 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.random.u8(..);
                }
            }
            6 => input.truncate(at),
            7 => {
                // Nesting and repetition beyond what anyone writes.
                let piece = input[self.range(input.len())].to_vec();
                let times = 1 << self.random.u32(..10);
                if piece.len() * times < INPUT_BYTES_MAX {
                    input.splice(at..at, piece.repeat(times));
                }
            }
            _ => {
                let word = self.random.choice(self.dictionary).copied().unwrap_or("");
                let range = if self.random.bool() { self.range(input.len()) } else { at..at };
                input.splice(range, word.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let seeds = vec![b"name.given".to_vec(), b"Patient.name.where(use = 'x')".to_vec()];
        let made = |seed| {
            let mut mutator = Mutator::new(seed, &["(", ")"]);
            (0..500).map(|_| mutator.next(&seeds)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!(made(1).iter().filter(|i| seeds.contains(i)).count() < 50);
    }
}

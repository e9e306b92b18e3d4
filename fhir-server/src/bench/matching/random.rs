//! Numbers that look random and are the same in every run (SplitMix64).

/// A source of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::bench::data::mix(self.0)
    }

    /// Returns a number from 0 to 1, which is not reached.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a number below another.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// Takes one of a list, whose first ones come more often the greater `power` is; from 1 on.
    pub(super) fn of<'l, T>(&mut self, list: &'l [T], power: f64) -> &'l T {
        let at = (self.share().powf(power) * list.len() as f64) as usize;
        &list[at.min(list.len() - 1)]
    }

    /// As [`Random::of`], of texts.
    pub(super) fn text<'l>(&mut self, list: &[&'l str], power: f64) -> &'l str {
        self.of::<&'l str>(list, power)
    }
}

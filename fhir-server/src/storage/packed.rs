//! The index rows of a resource, packed beside its body: so that an update
//! removes and adds only what differs, and a reindex knows what is there.
//!
//! Lists one after another: a count, then the fields, numbers little-endian.

use crate::index::row::{BranchCode, EqualHash, IndexRows, Link, Pair, Span, TargetHash, Text};

/// Packs rows.
pub(super) fn pack(rows: &IndexRows) -> Vec<u8> {
    let numbers =
        rows.equal.len() * 8 + rows.links.len() * 12 + rows.pairs.len() * 16 + rows.spans.len() * 24;
    let mut out = Vec::with_capacity(numbers + rows.texts.len() * 24 + 20);
    count(rows.equal.len(), &mut out);
    for row in &rows.equal {
        out.extend_from_slice(&row.0.to_le_bytes());
    }
    count(rows.links.len(), &mut out);
    for row in &rows.links {
        out.extend_from_slice(&row.target.0.to_le_bytes());
        out.extend_from_slice(&row.branch.0.to_le_bytes());
    }
    count(rows.pairs.len(), &mut out);
    for row in &rows.pairs {
        out.extend_from_slice(&row.focus.0.to_le_bytes());
        out.extend_from_slice(&row.value.0.to_le_bytes());
    }
    count(rows.spans.len(), &mut out);
    for row in &rows.spans {
        out.extend_from_slice(&row.hash.0.to_le_bytes());
        out.extend_from_slice(&row.low.to_le_bytes());
        out.extend_from_slice(&row.high.to_le_bytes());
    }
    count(rows.texts.len(), &mut out);
    for row in &rows.texts {
        out.extend_from_slice(&row.branch.0.to_le_bytes());
        count(row.folded.len(), &mut out);
        out.extend_from_slice(row.folded.as_bytes());
    }
    out
}

fn count(value: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

/// Takes rows out of their packing; `None` when it is not what was packed.
pub(super) fn unpack(packed: &[u8]) -> Option<IndexRows> {
    let mut input = Input(packed);
    let rows = IndexRows {
        equal: input.list(8, |i| Some(EqualHash(i.long()?)))?,
        links: input
            .list(12, |i| Some(Link { target: TargetHash(i.long()?), branch: BranchCode(i.int()?) }))?,
        pairs: input.list(16, |i| Some(Pair { focus: EqualHash(i.long()?), value: EqualHash(i.long()?) }))?,
        spans: input
            .list(24, |i| Some(Span { hash: EqualHash(i.long()?), low: i.long()?, high: i.long()? }))?,
        texts: input.list(8, |i| Some(Text { branch: BranchCode(i.int()?), folded: i.text()? }))?,
    };
    input.0.is_empty().then_some(rows)
}

struct Input<'p>(&'p [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn long(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok().map(str::to_owned)
    }

    /// Reads a list; `size` is the least size of an item, so that a wrong
    /// count cannot ask for more memory than the input could fill.
    fn list<T>(&mut self, size: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count.checked_mul(size)? > self.0.len() {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }
}

/// Returns what stands in `a` and not in `b`; both sorted.
pub(super) fn only_in_first<'a, T: Ord>(a: &'a [T], b: &'a [T]) -> impl Iterator<Item = &'a T> {
    let mut others = b.iter().peekable();
    a.iter().filter(move |item| {
        while others.next_if(|other| other < item).is_some() {}
        others.peek() != Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpacking_undoes_packing(
            equal in prop::collection::vec(any::<i64>(), 0..5),
            links in prop::collection::vec((any::<i64>(), any::<i32>()), 0..5),
            spans in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>()), 0..5),
            texts in prop::collection::vec((any::<i32>(), "\\PC{0,9}"), 0..5),
        ) {
            let rows = IndexRows {
                equal: equal.into_iter().map(EqualHash).collect(),
                links: links.into_iter().map(|(t, b)| Link { target: TargetHash(t), branch: BranchCode(b) }).collect(),
                pairs: vec![Pair { focus: EqualHash(1), value: EqualHash(2) }],
                spans: spans.into_iter().map(|(h, low, high)| Span { hash: EqualHash(h), low, high }).collect(),
                texts: texts.into_iter().map(|(b, folded)| Text { branch: BranchCode(b), folded }).collect(),
            };
            prop_assert_eq!(unpack(&pack(&rows)), Some(rows));
        }

        #[test]
        fn whatever_lies_there_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = unpack(&bytes);
        }

        #[test]
        fn differences(a in prop::collection::btree_set(0u8..20, 0..10), b in prop::collection::btree_set(0u8..20, 0..10)) {
            let (a, b): (Vec<u8>, Vec<u8>) = (a.into_iter().collect(), b.into_iter().collect());
            let only: Vec<u8> = only_in_first(&a, &b).copied().collect();
            let expected: Vec<u8> = a.iter().filter(|x| !b.contains(x)).copied().collect();
            prop_assert_eq!(only, expected);
        }
    }
}

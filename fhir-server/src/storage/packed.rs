//! The index rows of one resource, packed to lie beside its body, so that an
//! update knows which rows to remove without looking for them.
//!
//! A form byte, then each list with its length in front, then a CRC-32 of it
//! all. Numbers are little-endian, lengths and places are LEB128. A pair names
//! its link and its value by their place in the lists before it (plus one), or
//! has 0 and the hash itself. No rows at all is no bytes at all.
//! Forms are not among them: nobody removes one.

use crate::index::row::{
    BranchCode, EqualHash, IndexRows, Link, NameHash, Pair, PersonRow, Span, TargetHash, Text,
};

const FORM: u8 = 1;
/// The form of those that have what is compared of a person behind the other lists.
const FORM_OF_PERSONS: u8 = 2;
const SUM_BYTES: usize = 4;

/// Packs rows; the lists have to be sorted, as [`IndexRows::normalize`] leaves them.
pub(super) fn pack(rows: &IndexRows) -> Vec<u8> {
    if *rows == IndexRows::default() {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(
        32 + rows.equal.len() * 8 + rows.links.len() * 12 + rows.pairs.len() * 2 + rows.spans.len() * 18,
    );
    let is_person = !rows.persons.is_empty() || !rows.names.is_empty();
    out.push(if is_person { FORM_OF_PERSONS } else { FORM });
    put_length(rows.equal.len(), &mut out);
    for hash in &rows.equal {
        put_i64(hash.0, &mut out);
    }
    put_length(rows.links.len(), &mut out);
    for link in &rows.links {
        put_i64(link.target.0, &mut out);
        out.extend_from_slice(&link.branch.0.to_le_bytes());
    }
    put_pairs(rows, &mut out);
    put_length(rows.spans.len(), &mut out);
    for span in &rows.spans {
        put_i64(span.hash.0, &mut out);
        put_i64(span.low, &mut out);
        put_varint(span.high.wrapping_sub(span.low) as u64, &mut out);
    }
    put_length(rows.texts.len(), &mut out);
    for text in &rows.texts {
        out.extend_from_slice(&text.branch.0.to_le_bytes());
        put_length(text.folded.len(), &mut out);
        out.extend_from_slice(text.folded.as_bytes());
    }
    if is_person {
        put_person(rows, &mut out);
    }
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn put_pairs(rows: &IndexRows, out: &mut Vec<u8>) {
    put_length(rows.pairs.len(), out);
    if rows.pairs.is_empty() {
        return;
    }
    let foci = foci(&rows.links);
    for pair in &rows.pairs {
        put_place_or_hash(foci.iter().position(|f| *f == pair.focus), pair.focus, out);
        put_place_or_hash(rows.equal.binary_search(&pair.value).ok(), pair.value, out);
    }
}

fn put_person(rows: &IndexRows, out: &mut Vec<u8>) {
    put_length(rows.persons.len(), out);
    for PersonRow(features) in &rows.persons {
        put_length(features.len(), out);
        out.extend_from_slice(features);
    }
    put_length(rows.names.len(), out);
    rows.names.iter().for_each(|name| put_i64(name.0, out));
}

fn foci(links: &[Link]) -> Vec<EqualHash> {
    links.iter().map(|link| EqualHash::of_link(link.branch, link.target)).collect()
}

fn put_place_or_hash(place: Option<usize>, hash: EqualHash, out: &mut Vec<u8>) {
    match place {
        Some(place) => put_length(place + 1, out),
        None => {
            out.push(0);
            put_i64(hash.0, out);
        }
    }
}

fn put_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    put_varint(length as u64, out);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Unpacks rows; `None` when the bytes are not what [`pack`] made.
pub(super) fn unpack(bytes: &[u8]) -> Option<IndexRows> {
    if bytes.is_empty() {
        return Some(IndexRows::default());
    }
    checked(bytes).and_then(|(form, rows)| read_rows(form, rows))
}

/// Returns the form, and what lies between it and the checksum.
fn checked(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (packed, sum) = bytes.split_last_chunk::<SUM_BYTES>()?;
    if u32::from_le_bytes(*sum) != crc32fast::hash(packed) {
        return None;
    }
    let (form, rest) = packed.split_first()?;
    [FORM, FORM_OF_PERSONS].contains(form).then_some((*form, rest))
}

fn read_rows(form: u8, bytes: &[u8]) -> Option<IndexRows> {
    let mut from = Source(bytes);
    let equal = from.list(|from| from.i64().map(EqualHash))?;
    let links =
        from.list(|from| Some(Link { target: TargetHash(from.i64()?), branch: BranchCode(from.i32()?) }))?;
    let mut known_foci: Option<Vec<EqualHash>> = None;
    let pairs = from.list(|from| {
        let known = known_foci.get_or_insert_with(|| foci(&links));
        Some(Pair { focus: from.place_or_hash(known)?, value: from.place_or_hash(&equal)? })
    })?;
    let spans = from.list(|from| {
        let hash = EqualHash(from.i64()?);
        let low = from.i64()?;
        Some(Span { hash, low, high: low.wrapping_add(from.varint()? as i64) })
    })?;
    let texts = from.list(|from| {
        let branch = BranchCode(from.i32()?);
        let length = from.length()?;
        let folded = std::str::from_utf8(from.take(length)?).ok()?.to_owned();
        Some(Text { branch, folded })
    })?;
    let mut rows = IndexRows { equal, links, pairs, spans, texts, ..IndexRows::default() };
    if form == FORM_OF_PERSONS {
        rows.persons = from.list(|from| {
            let length = from.length()?;
            from.take(length).map(|features| PersonRow(features.to_owned()))
        })?;
        rows.names = from.list(|from| from.i64().map(NameHash))?;
    }
    from.0.is_empty().then_some(rows)
}

/// Bytes that are yet to be read.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i64(&mut self) -> Option<i64> {
        self.chunk().map(i64::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.chunk().map(i32::from_le_bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.chunk()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.length()?;
        // Each item takes two bytes at least: a damaged count cannot ask for more.
        if count > self.0.len() / 2 {
            return None;
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn place_or_hash(&mut self, known: &[EqualHash]) -> Option<EqualHash> {
        match self.length()? {
            0 => self.i64().map(EqualHash),
            place => known.get(place - 1).copied(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any rows, of numbers that often meet.
    pub(in crate::storage) fn any_rows() -> impl Strategy<Value = IndexRows> {
        let number = prop_oneof![Just(i64::MIN), Just(i64::MAX), 0i64..40, any::<i64>()];
        let branch = prop_oneof![0i32..4, any::<i32>()];
        let equal = proptest::collection::vec(number.clone().prop_map(EqualHash), 0..12);
        let links = proptest::collection::vec(
            (number.clone(), branch.clone())
                .prop_map(|(t, b)| Link { target: TargetHash(t), branch: BranchCode(b) }),
            0..4,
        );
        let spans = proptest::collection::vec(
            (number.clone(), number.clone(), number.clone()).prop_map(|(h, a, b)| Span {
                hash: EqualHash(h),
                low: a.min(b),
                high: a.max(b),
            }),
            0..4,
        );
        let texts = proptest::collection::vec(
            (branch, "[a-zè%_]{0,12}").prop_map(|(b, folded)| Text { branch: BranchCode(b), folded }),
            0..4,
        );
        let persons = proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..20).prop_map(PersonRow),
            0..2,
        );
        let names = proptest::collection::vec(number.clone().prop_map(NameHash), 0..3);
        let strangers = proptest::collection::vec((number.clone(), number), 0..3);
        let person = (persons, names);
        (equal, links, spans, texts, strangers, person).prop_map(
            |(equal, links, spans, texts, strangers, person)| {
                let (persons, names) = person;
                let mut rows =
                    IndexRows { equal, links, spans, texts, persons, names, ..IndexRows::default() };
                for focus in foci(&rows.links) {
                    rows.pairs.extend(rows.equal.iter().map(|value| Pair { focus, value: *value }));
                }
                rows.pairs.extend(
                    strangers.iter().map(|(f, v)| Pair { focus: EqualHash(*f), value: EqualHash(*v) }),
                );
                rows.normalize();
                rows
            },
        )
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in any_rows()) {
            prop_assert_eq!(unpack(&pack(&rows)), Some(rows));
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = unpack(&bytes);
            let _ = (read_rows(FORM, &bytes), read_rows(FORM_OF_PERSONS, &bytes));
        }

        #[test]
        fn damage_is_noticed(rows in any_rows(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = pack(&rows);
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(unpack(&bytes), None);
        }
    }

    #[test]
    fn a_pair_of_known_hashes_takes_two_bytes() {
        let link = Link { target: TargetHash(7), branch: BranchCode(1) };
        let focus = EqualHash::of_link(link.branch, link.target);
        let mut rows = IndexRows { equal: vec![EqualHash(5)], links: vec![link], ..IndexRows::default() };
        let without = pack(&rows).len();
        rows.pairs.push(Pair { focus, value: EqualHash(5) });
        assert_eq!(pack(&rows).len(), without + 2);
        assert!(pack(&IndexRows::default()).is_empty());
    }
}

//! Where a page begins: the cursor in a `next` or `previous` link.
//!
//! A cursor says everything that the next page needs, so no state is kept
//! between pages and a link neither expires nor depends on a restart. It holds
//! positions, never rights: the search it belongs to is checked again.
//! See `docs/adr/0004-paging.md`.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::error::SearchError;

/// The name of the parameter that carries a cursor.
pub const CURSOR_PARAMETER: &str = "_cursor";

/// Told apart from later forms of the cursor.
const FORM: u8 = 1;
/// Arbitrary; finds accidents and meddling, and protects no secret.
const CHECK_KEYS: (u64, u64) = (0x7061_6765, 0x6375_7273_6f72);

/// On which side of the position the page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// After it, in the order of the search.
    Forward,
    /// Before it.
    Backward,
}

/// A value that rows are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SortValue {
    /// A date, a number, an instant.
    Integer(i64),
    /// Folded text.
    Text(String),
    /// The row has none; such rows come last in either direction.
    Missing,
}

/// A position in the order of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Where the page lies.
    pub direction: Direction,
    /// The instant of the first page, in microseconds: the order is that of
    /// then. Zero where the order cannot change.
    pub since: i64,
    /// The sort values of the row at the position; empty in the default order.
    pub values: Vec<SortValue>,
    /// The key of that row.
    pub key: i64,
}

impl Cursor {
    /// Writes the cursor for the search with this fingerprint, safe in a URL.
    pub fn encode(&self, fingerprint: u64) -> String {
        let mut bytes = vec![FORM, u8::from(self.direction == Direction::Backward)];
        bytes.extend(self.since.to_be_bytes());
        bytes.extend(self.key.to_be_bytes());
        for value in &self.values {
            match value {
                SortValue::Integer(number) => {
                    bytes.push(b'i');
                    bytes.extend(number.to_be_bytes());
                }
                SortValue::Text(text) => {
                    bytes.push(b't');
                    // Sort values are cut to far less than 64 KiB: `plan::SORT_TEXT_CHARS`.
                    bytes.extend((text.len() as u16).to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
                SortValue::Missing => bytes.push(b'm'),
            }
        }
        bytes.extend(check(&bytes, fingerprint).to_be_bytes());
        encode_url_safe(&bytes)
    }

    /// Reads a cursor of the search with this fingerprint.
    ///
    /// # Errors
    /// [`SearchError::BadCursor`] when it was not made by [`Cursor::encode`]
    /// for the same search.
    pub fn decode(text: &str, fingerprint: u64) -> Result<Cursor, SearchError> {
        read(text, fingerprint).ok_or(SearchError::BadCursor)
    }
}

fn read(text: &str, fingerprint: u64) -> Option<Cursor> {
    let bytes = decode_url_safe(text)?;
    let (content, sum) = bytes.split_last_chunk::<8>()?;
    if u64::from_be_bytes(*sum) != check(content, fingerprint) {
        return None;
    }
    let (&form, rest) = content.split_first()?;
    let (&direction, rest) = rest.split_first()?;
    let (since, rest) = rest.split_first_chunk::<8>()?;
    let (key, mut rest) = rest.split_first_chunk::<8>()?;
    if form != FORM {
        return None;
    }
    let mut values = Vec::new();
    while let Some((&tag, after)) = rest.split_first() {
        rest = match tag {
            b'i' => {
                let (number, after) = after.split_first_chunk::<8>()?;
                values.push(SortValue::Integer(i64::from_be_bytes(*number)));
                after
            }
            b't' => {
                let (length, after) = after.split_first_chunk::<2>()?;
                let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                values.push(SortValue::Text(std::str::from_utf8(text).ok()?.to_owned()));
                after
            }
            b'm' => {
                values.push(SortValue::Missing);
                after
            }
            _ => return None,
        };
    }
    Some(Cursor {
        direction: if direction == 0 { Direction::Forward } else { Direction::Backward },
        since: i64::from_be_bytes(*since),
        key: i64::from_be_bytes(*key),
        values,
    })
}

fn check(bytes: &[u8], fingerprint: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(CHECK_KEYS.0, CHECK_KEYS.1 ^ fingerprint);
    hasher.write(bytes);
    hasher.finish()
}

/// Returns a number that tells one search from another, whatever the page.
pub fn fingerprint<'p>(scope: &str, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(CHECK_KEYS.0, CHECK_KEYS.1);
    let mut part = |text: &str| {
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
    };
    part(scope);
    for (name, value) in parameters {
        part(name);
        part(value);
    }
    hasher.finish()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 base64url without padding.
fn encode_url_safe(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (at, &b)| word | u32::from(b) << (16 - 8 * at));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

fn decode_url_safe(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for (at, digit) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|a| a == digit)? as u32;
            word |= value << (18 - 6 * at);
        }
        let length = chunk.len().checked_sub(1).filter(|&l| l > 0)?;
        bytes.extend(word.to_be_bytes().iter().skip(1).take(length));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = SortValue> {
        prop_oneof![
            any::<i64>().prop_map(SortValue::Integer),
            "\\PC{0,20}".prop_map(SortValue::Text),
            Just(SortValue::Missing),
        ]
    }

    proptest! {
        #[test]
        fn comes_back_as_it_went(since in any::<i64>(), key in any::<i64>(), back in any::<bool>(),
                                 values in proptest::collection::vec(value(), 0..4), print in any::<u64>()) {
            let direction = if back { Direction::Backward } else { Direction::Forward };
            let cursor = Cursor { direction, since, values, key };
            let text = cursor.encode(print);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(Cursor::decode(&text, print), Ok(cursor));
            prop_assert_eq!(Cursor::decode(&text, print ^ 1), Err(SearchError::BadCursor));
        }

        #[test]
        fn any_change_is_noticed(at in 0usize..30, digit in 0usize..64) {
            let cursor = Cursor { direction: Direction::Forward, since: 7, values: vec![], key: 123_456 };
            let mut text = cursor.encode(9).into_bytes();
            let at = at % text.len();
            text[at] = ALPHABET[digit];
            let text = String::from_utf8(text).expect("text");
            let decoded = Cursor::decode(&text, 9);
            prop_assert!(decoded == Err(SearchError::BadCursor) || decoded == Ok(cursor));
        }

        #[test]
        fn garbage_is_refused(text in "\\PC{0,80}") {
            prop_assert_eq!(Cursor::decode(&text, 9), Err(SearchError::BadCursor));
        }
    }
}

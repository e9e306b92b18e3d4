//! How a body lies in the database.
//!
//! The first byte tells the form, the next four are a checksum (CRC-32,
//! little-endian) over form, hole and payload, then comes the payload:
//!
//! | form | payload |
//! | --- | --- |
//! | 0 | the bytes as they are |
//! | 1 | length of the bytes (4, little-endian), then a zstd frame |
//!
//! A form with a zstd dictionary will be another number; readers know which
//! form each body has, so bodies of all forms live side by side.

use std::cell::RefCell;

use fhir_model::interaction::VersionId;
use fhir_model::json::write::stamp;
use fhir_model::primitive::instant::Instant;

use super::error::StorageError;

const FORM_RAW: u8 = 0;
const FORM_ZSTD: u8 = 1;
/// Form and checksum.
const HEADER_BYTES: usize = 5;
/// The length in front of a zstd frame.
const LENGTH_BYTES: usize = 4;
/// Bodies below this are not worth the time of decompression at each read.
const COMPRESS_FROM_BYTES: usize = 1024;
const ZSTD_LEVEL: i32 = 1;
/// No body is larger than this; guards against a damaged length.
const BODY_BYTES_MAX: usize = 1 << 30;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A body in the form in which it is stored, and where in the JSON version
/// and time are put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// Form, checksum, payload.
    pub bytes: Vec<u8>,
    /// The byte offset behind `"meta":{`.
    pub hole: usize,
}

impl StoredBody {
    /// Puts JSON, as `write_unstamped` leaves it, into the form to store.
    pub fn new(json: &[u8], hole: usize) -> StoredBody {
        let mut bytes = vec![FORM_RAW; HEADER_BYTES];
        if !(json.len() >= COMPRESS_FROM_BYTES && compress(json, &mut bytes)) {
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(json);
        }
        let sum = checksum(&bytes, hole);
        if let Some(place) = bytes.get_mut(1..HEADER_BYTES) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        StoredBody { bytes, hole }
    }
}

/// Appends length and frame to `bytes` and sets the form; `false` when that
/// does not save an eighth.
fn compress(json: &[u8], bytes: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(json.len()) else { return false };
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let Some(compressor) = slot else { return false };
        let Ok(frame) = compressor.compress(json) else { return false };
        if frame.len() + LENGTH_BYTES > json.len() - json.len() / 8 {
            return false;
        }
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&frame);
        if let Some(form) = bytes.first_mut() {
            *form = FORM_ZSTD;
        }
        true
    })
}

fn checksum(bytes: &[u8], hole: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(hole as u64).to_le_bytes());
    hasher.update(bytes.get(..1).unwrap_or_default());
    hasher.update(bytes.get(HEADER_BYTES..).unwrap_or_default());
    hasher.finalize()
}

fn corrupt(what: &str) -> StorageError {
    StorageError::Corrupt(format!("body: {what}"))
}

/// Gives `then` the JSON of a stored body, without version and time.
///
/// # Errors
/// `Corrupt` when the bytes are not what was stored.
pub(super) fn with_json<R>(
    bytes: &[u8],
    hole: usize,
    then: impl FnOnce(&[u8]) -> R,
) -> Result<R, StorageError> {
    let (Some(form), Some(sum), Some(payload)) =
        (bytes.first(), bytes.get(1..HEADER_BYTES), bytes.get(HEADER_BYTES..))
    else {
        return Err(corrupt("too short"));
    };
    if sum != checksum(bytes, hole).to_le_bytes().as_slice() {
        return Err(corrupt("checksum differs"));
    }
    match *form {
        FORM_RAW => Ok(then(payload)),
        FORM_ZSTD => SCRATCH.with_borrow_mut(|scratch| {
            decompress(payload, scratch)?;
            Ok(then(scratch))
        }),
        _ => Err(corrupt("unknown form")),
    }
}

fn decompress(payload: &[u8], out: &mut Vec<u8>) -> Result<(), StorageError> {
    let (length, frame) = payload.split_first_chunk::<LENGTH_BYTES>().ok_or_else(|| corrupt("too short"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > BODY_BYTES_MAX {
        return Err(corrupt("impossible length"));
    }
    out.clear();
    out.reserve(length);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let decompressor = slot.as_mut().ok_or_else(|| corrupt("no decompressor"))?;
        match decompressor.decompress_to_buffer(frame, out) {
            Ok(written) if written == length => Ok(()),
            Ok(_) => Err(corrupt("length differs")),
            Err(_) => Err(corrupt("not a zstd frame")),
        }
    })
}

/// Writes the JSON of a stored body with version and time put in.
///
/// # Errors
/// `Corrupt` when the bytes are not what was stored.
pub(super) fn write_stamped(
    bytes: &[u8],
    hole: usize,
    version: VersionId,
    updated: Instant,
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    with_json(bytes, hole, |json| stamp(json, hole, version, updated, out))
}

/// Tells whether two stored bodies hold the same JSON.
pub(super) fn same(old: &[u8], old_hole: usize, new: &StoredBody) -> bool {
    if old_hole != new.hole {
        return false;
    }
    if old.first() == new.bytes.first() && old.len() == new.bytes.len() {
        return old == new.bytes;
    }
    // Of the same form and other length, they differ; of another form, look inside.
    old.first() != new.bytes.first()
        && with_json(old, old_hole, <[u8]>::to_vec)
            .is_ok_and(|old| with_json(&new.bytes, new.hole, |new| new == old).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(length: usize) -> Vec<u8> {
        let mut out = br#"{"resourceType":"Basic","id":"a","meta":{}"#.to_vec();
        out.extend(std::iter::repeat_n(b' ', length.saturating_sub(out.len() + 1)));
        out.push(b'}');
        out
    }

    #[test]
    fn bodies_come_back() {
        for length in [50, 1023, 1024, 5000, 300_000] {
            let json = json(length);
            let stored = StoredBody::new(&json, 40);
            assert_eq!(stored.bytes.len() < json.len(), length >= COMPRESS_FROM_BYTES, "{length}");
            let back = with_json(&stored.bytes, 40, <[u8]>::to_vec).map_err(|e| e.to_string());
            assert_eq!(back, Ok(json), "{length}");
        }
    }

    #[test]
    fn incompressible_bodies_stay_raw() {
        let mut noise = Vec::new();
        let mut state = 1u64;
        while noise.len() < 4096 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            noise.push((state >> 56) as u8);
        }
        let stored = StoredBody::new(&noise, 0);
        assert_eq!(stored.bytes.first(), Some(&FORM_RAW));
        assert_eq!(with_json(&stored.bytes, 0, <[u8]>::to_vec).ok(), Some(noise));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for length in [100, 2000] {
            let stored = StoredBody::new(&json(length), 40);
            for at in 0..stored.bytes.len() * 8 {
                let mut bytes = stored.bytes.clone();
                bytes[at / 8] ^= 1 << (at % 8);
                assert!(matches!(with_json(&bytes, 40, |_| ()), Err(StorageError::Corrupt(_))), "bit {at}");
            }
            assert!(with_json(&stored.bytes, 41, |_| ()).is_err(), "another hole");
            for end in 0..stored.bytes.len() {
                assert!(with_json(&stored.bytes[..end], 40, |_| ()).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn the_same_json_is_the_same_in_any_form() {
        let json = json(3000);
        let new = StoredBody::new(&json, 40);
        let mut raw = vec![FORM_RAW; HEADER_BYTES];
        raw.extend_from_slice(&json);
        let sum = checksum(&raw, 40);
        raw[1..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
        assert!(same(&raw, 40, &new));
        assert!(same(&new.bytes, 40, &new));
        assert!(!same(&new.bytes, 39, &new));
        assert!(!same(&StoredBody::new(b"{}", 1).bytes, 40, &new));
    }
}

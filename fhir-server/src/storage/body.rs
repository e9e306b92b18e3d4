//! How a body lies in the database.
//!
//! The first byte tells the form, the next four are a checksum (CRC-32,
//! little-endian) over form, hole and payload, then comes the payload:
//!
//! | form | payload |
//! | --- | --- |
//! | 0 | the bytes as they are |
//! | 1 | length of the bytes (4, little-endian), then a zstd frame |
//! | 2 | length of the bytes (4), id of a dictionary (4), then a zstd frame made with it |
//!
//! Readers know which form each body has, so bodies of all forms live side by side.

use std::cell::RefCell;

use super::dictionary::{Dictionary, known};
use fhir_model::interaction::VersionId;
use fhir_model::json::write::stamp;
use fhir_model::primitive::instant::Instant;

const FORM_RAW: u8 = 0;
const FORM_ZSTD: u8 = 1;
const FORM_DICTIONARY: u8 = 2;
/// Form and checksum.
const HEADER_BYTES: usize = 5;
/// The length in front of a zstd frame.
const LENGTH_BYTES: usize = 4;
/// The id of a dictionary.
const ID_BYTES: usize = 4;
/// Bodies below this are not worth the time of decompression at each read.
const COMPRESS_FROM_BYTES: usize = 512;
/// The same where there is a dictionary.
const COMPRESS_WITH_DICTIONARY_FROM_BYTES: usize = 128;
const ZSTD_LEVEL: i32 = 1;
/// No body is larger than this; guards against a damaged length.
const BODY_BYTES_MAX: usize = 1 << 30;
/// The room for decompression that a thread keeps.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A resource as JSON without `meta.versionId` and `meta.lastUpdated`, and
/// the place where they go; see [`fhir_model::json::write::write_unstamped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// Where version and time go, in bytes from the beginning.
    pub hole: usize,
}

/// Packs a body for the database; with a dictionary only when that is
/// durable there.
pub(super) fn pack(body: &StoredBody, dictionary: Option<&'static Dictionary>) -> Vec<u8> {
    let from = dictionary.map_or(COMPRESS_FROM_BYTES, |_| COMPRESS_WITH_DICTIONARY_FROM_BYTES);
    let mut bytes = vec![FORM_RAW; HEADER_BYTES];
    if body.bytes.len() < from || !compress(&body.bytes, dictionary, &mut bytes) {
        return raw(&body.bytes, body.hole);
    }
    seal(&mut bytes, body.hole);
    bytes
}

/// Turns a packed body into one that is not compressed; `None` when it is not
/// what was packed.
pub(super) fn unpack(packed: &[u8], hole: usize) -> Option<Vec<u8>> {
    with_json(packed, hole, |json| raw(json, hole))
}

fn raw(json: &[u8], hole: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + json.len());
    bytes.resize(HEADER_BYTES, FORM_RAW);
    bytes.extend_from_slice(json);
    seal(&mut bytes, hole);
    bytes
}

/// Puts the checksum in.
fn seal(bytes: &mut [u8], hole: usize) {
    let sum = checksum(bytes, hole);
    if let Some(place) = bytes.get_mut(1..HEADER_BYTES) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Appends length and frame to `bytes` and sets the form; `false` when that
/// does not save an eighth.
fn compress(json: &[u8], dictionary: Option<&'static Dictionary>, bytes: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(json.len()) else { return false };
    let compressed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let compressor = slot.as_mut()?;
        match dictionary {
            Some(dictionary) => compressor.set_prepared_dictionary(&dictionary.encoder).ok()?,
            None => compressor.set_dictionary(ZSTD_LEVEL, &[]).ok()?,
        }
        compressor.compress(json).ok()
    });
    let Some(frame) = compressed.filter(|f| f.len() + LENGTH_BYTES <= json.len() - json.len() / 8) else {
        return false;
    };
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(dictionary.map(|d| d.id.to_le_bytes()).into_iter().flatten());
    bytes.extend_from_slice(&frame);
    if let Some(form) = bytes.first_mut() {
        *form = if dictionary.is_some() { FORM_DICTIONARY } else { FORM_ZSTD };
    }
    true
}

fn checksum(bytes: &[u8], hole: usize) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(hole as u64).to_le_bytes());
    hasher.update(bytes.get(..1).unwrap_or_default());
    hasher.update(bytes.get(HEADER_BYTES..).unwrap_or_default());
    hasher.finalize()
}

/// Gives `then` the JSON of a packed body; `None` when it is not what was packed.
pub(super) fn with_json<R>(packed: &[u8], hole: usize, then: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let (form, sum, payload) = (packed.first()?, packed.get(1..HEADER_BYTES)?, packed.get(HEADER_BYTES..)?);
    if sum != checksum(packed, hole).to_le_bytes().as_slice() {
        return None;
    }
    match *form {
        FORM_RAW => Some(then(payload)),
        FORM_ZSTD | FORM_DICTIONARY => SCRATCH.with_borrow_mut(|scratch| {
            let result = decompress(payload, *form == FORM_DICTIONARY, scratch).then(|| then(scratch));
            // A rare large body must not hold its memory for ever.
            scratch.shrink_to(SCRATCH_BYTES_KEPT);
            result
        }),
        _ => None,
    }
}

fn decompress(payload: &[u8], has_dictionary: bool, out: &mut Vec<u8>) -> bool {
    out.clear();
    let Some((length, mut frame)) = payload.split_first_chunk::<LENGTH_BYTES>() else { return false };
    let mut dictionary = None;
    if has_dictionary {
        let Some((id, rest)) = frame.split_first_chunk::<ID_BYTES>() else { return false };
        dictionary = known(u32::from_le_bytes(*id));
        if dictionary.is_none() {
            return false;
        }
        frame = rest;
    }
    let length = u32::from_le_bytes(*length) as usize;
    if length > BODY_BYTES_MAX {
        return false;
    }
    out.reserve(length);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let Some(decompressor) = slot else { return false };
        let is_set = match dictionary {
            Some(dictionary) => decompressor.set_prepared_dictionary(&dictionary.decoder),
            None => decompressor.set_dictionary(&[]),
        };
        is_set.is_ok() && decompressor.decompress_to_buffer(frame, out).is_ok_and(|written| written == length)
    })
}

/// Appends the JSON of a packed body with version and time put in; `false`
/// when it is not what was packed.
pub(super) fn write_stamped(
    packed: &[u8],
    hole: usize,
    version: VersionId,
    updated: Instant,
    out: &mut Vec<u8>,
) -> bool {
    with_json(packed, hole, |json| stamp(json, hole, version, updated, out)).is_some()
}

/// Tells whether two packed bodies hold the same JSON.
pub(super) fn same(old: &[u8], new: &[u8], hole: usize) -> bool {
    if old == new {
        return true;
    }
    // Packed in different forms, or by different dictionaries: look inside.
    if old.first() == new.first() && old.first() != Some(&FORM_DICTIONARY) {
        return false;
    }
    with_json(old, hole, <[u8]>::to_vec)
        .is_some_and(|old| with_json(new, hole, |new| new == old) == Some(true))
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

    fn packed(json: &[u8], hole: usize) -> Vec<u8> {
        pack(&StoredBody { bytes: json.to_vec(), hole }, None)
    }

    #[test]
    fn bodies_come_back() {
        for length in [0, 50, COMPRESS_FROM_BYTES - 1, COMPRESS_FROM_BYTES, 5000, 3_000_000] {
            let json = json(length);
            let packed = packed(&json, 40);
            assert_eq!(packed.len() < json.len(), length >= COMPRESS_FROM_BYTES, "{length}");
            assert_eq!(with_json(&packed, 40, <[u8]>::to_vec), Some(json), "{length}");
        }
    }

    #[test]
    fn incompressible_bodies_stay_raw() {
        let mut noise = Vec::new();
        let mut state = 1u64;
        while noise.len() < 4096 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise.push((state >> 56) as u8);
        }
        let packed = packed(&noise, 0);
        assert_eq!(packed.first(), Some(&FORM_RAW));
        assert_eq!(with_json(&packed, 0, <[u8]>::to_vec), Some(noise));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for length in [100, 2000] {
            let packed = packed(&json(length), 40);
            for at in 0..packed.len() * 8 {
                let mut broken = packed.clone();
                broken[at / 8] ^= 1 << (at % 8);
                assert_eq!(with_json(&broken, 40, |_| ()), None, "bit {at}");
            }
            assert_eq!(with_json(&packed, 41, |_| ()), None, "another hole");
            for end in 0..packed.len() {
                assert_eq!(with_json(&packed[..end], 40, |_| ()), None, "cut at {end}");
            }
        }
    }

    #[test]
    fn the_same_json_is_the_same_in_any_form() {
        let json = json(3000);
        let new = packed(&json, 40);
        let raw = raw(&json, 40);
        assert_eq!(unpack(&new, 40).as_ref(), Some(&raw));
        assert!(same(&raw, &new, 40));
        assert!(same(&new, &new, 40));
        assert!(!same(&raw, &packed(&json[1..], 40), 40));
        assert!(!same(&packed(b"{}", 1), &new, 40));
    }

    proptest::proptest! {
        #[test]
        fn whatever_lies_there_does_not_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let _ = with_json(&bytes, 1, |_| ());
        }

        #[test]
        fn no_frame_causes_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let _ = decompress(&bytes, false, &mut Vec::new());
            let _ = decompress(&bytes, true, &mut Vec::new());
        }
    }
}

//! Bodies as they lie in the database: a format byte, a checksum, and the
//! JSON without version and time, compressed where that pays.

use std::borrow::Cow;

use super::error::StorageError;

/// Bodies from this size on are compressed.
const COMPRESS_BYTES_MIN: usize = 512;
/// zstd's level: higher ones cost more than they save here.
const COMPRESS_LEVEL: i32 = 1;
/// The greatest size that a body may decompress to.
const BODY_BYTES_MAX: usize = 1 << 30;

const FORMAT_PLAIN: u8 = 0;
const FORMAT_ZSTD: u8 = 1;
/// Format byte and checksum.
const HEAD_BYTES: usize = 5;

/// A resource as JSON without `meta.versionId` and `meta.lastUpdated`, and
/// the place where they go; see [`fhir_model::json::write::write_unstamped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// Where version and time go, in bytes from the beginning.
    pub hole: usize,
}

/// Packs JSON for the database.
pub(super) fn pack(json: &[u8]) -> Result<Vec<u8>, StorageError> {
    let mut out = Vec::with_capacity(HEAD_BYTES + json.len());
    out.push(FORMAT_PLAIN);
    out.extend_from_slice(&crc32fast::hash(json).to_le_bytes());
    if json.len() >= COMPRESS_BYTES_MIN {
        let compressed = zstd::bulk::compress(json, COMPRESS_LEVEL)
            .map_err(|e| StorageError::Unavailable(e.to_string()))?;
        if compressed.len() < json.len() {
            out[0] = FORMAT_ZSTD;
            out.extend_from_slice(&compressed);
            return Ok(out);
        }
    }
    out.extend_from_slice(json);
    Ok(out)
}

/// Takes JSON out of its packing.
///
/// # Errors
/// [`StorageError::Damaged`] when it is not what was packed.
pub(super) fn unpack(packed: &[u8], key: i64) -> Result<Cow<'_, [u8]>, StorageError> {
    let damaged = StorageError::Damaged { key };
    let Some((head, content)) = packed.split_at_checked(HEAD_BYTES) else { return Err(damaged) };
    let json: Cow<'_, [u8]> = match head[0] {
        FORMAT_PLAIN => Cow::Borrowed(content),
        FORMAT_ZSTD => {
            let size = zstd::zstd_safe::get_frame_content_size(content).ok().flatten().unwrap_or(0);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > BODY_BYTES_MAX {
                return Err(damaged);
            }
            match zstd::bulk::decompress(content, size) {
                Ok(json) => Cow::Owned(json),
                Err(_) => return Err(damaged),
            }
        }
        _ => return Err(damaged),
    };
    if crc32fast::hash(&json).to_le_bytes() != head[1..] {
        return Err(damaged);
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen() {
        for json in [vec![], b"{}".to_vec(), b"abc".repeat(1000)] {
            let packed = pack(&json).expect("packed");
            assert_eq!(unpack(&packed, 1).expect("unpacked").as_ref(), json.as_slice());
            for at in 0..packed.len() {
                let mut broken = packed.clone();
                broken[at] ^= 0x41;
                assert!(unpack(&broken, 7).is_err(), "{at}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_lies_there_does_not_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let _ = unpack(&bytes, 1);
        }
    }
}

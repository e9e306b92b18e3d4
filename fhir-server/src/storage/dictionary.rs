//! Dictionaries for bodies: what the resources of a type have in common,
//! learnt from the first that are stored. A short body compresses to a third
//! of what it takes alone, and unpacks faster, since the tables of the
//! compression come with the dictionary.
//!
//! A dictionary holds fragments of the bodies it was learnt from. It lies in
//! the same database, and is used only after it is durable there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, RwLock};

use super::body::{self, StoredBody};
use crate::index::row::TypeCode;

/// How large a dictionary may get.
const DICTIONARY_BYTES_MAX: usize = 16 << 10;
/// Bodies that a dictionary is learnt from: so many, or so many bytes of them.
const SAMPLES_MAX: usize = 1000;
const SAMPLES_BYTES_MAX: usize = 512 << 10;
/// A larger body has enough in common with itself.
const SAMPLE_BYTES_MAX: usize = 8 << 10;
const LEVEL: i32 = 1;

/// A dictionary that is ready for use.
pub(super) struct Dictionary {
    /// What bodies name it by.
    pub(super) id: u32,
    bytes: Vec<u8>,
    pub(super) encoder: zstd::dict::EncoderDictionary<'static>,
    pub(super) decoder: zstd::dict::DecoderDictionary<'static>,
}

/// The dictionaries of all stores of the process, by id; there are few, and
/// they live as long as it does.
static KNOWN: LazyLock<RwLock<HashMap<u32, &'static Dictionary>>> = LazyLock::new(RwLock::default);

/// Returns the dictionary that a body names.
pub(super) fn known(id: u32) -> Option<&'static Dictionary> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
}

/// Makes a dictionary known; `None` when another has, by chance, the same id.
fn register(bytes: Vec<u8>) -> Option<&'static Dictionary> {
    let id = crc32fast::hash(&bytes);
    let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&id) {
        return (known.bytes == bytes).then_some(known);
    }
    let encoder = zstd::dict::EncoderDictionary::copy(&bytes, LEVEL);
    let decoder = zstd::dict::DecoderDictionary::copy(&bytes);
    let dictionary: &'static Dictionary = Box::leak(Box::new(Dictionary { id, bytes, encoder, decoder }));
    all.insert(id, dictionary);
    Some(dictionary)
}

/// Bodies of a type, one after the other.
#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

/// What is known of a type.
enum Learning {
    Gathering(Samples),
    /// There are samples enough, and somebody is at work on them; or they had
    /// nothing in common.
    Given,
    Learnt(&'static Dictionary),
}

/// The dictionaries of a store, by type.
#[derive(Default)]
pub struct Dictionaries {
    of_type: RwLock<HashMap<TypeCode, Mutex<Learning>>>,
    ready: Mutex<Vec<(TypeCode, Samples)>>,
    is_any_ready: AtomicBool,
}

/// A dictionary that was learnt and is yet to be stored.
pub(super) struct Learnt {
    pub(super) type_code: TypeCode,
    pub(super) bytes: Vec<u8>,
}

impl Learnt {
    /// What bodies will name it by.
    pub(super) fn id(&self) -> u32 {
        crc32fast::hash(&self.bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dictionaries {
    /// Packs a body of a type, by its dictionary if there is one.
    pub(super) fn pack(&self, type_code: TypeCode, body: &StoredBody) -> Vec<u8> {
        let types = self.of_type.read().unwrap_or_else(PoisonError::into_inner);
        let Some(learning) = types.get(&type_code) else {
            drop(types);
            let mut types = self.of_type.write().unwrap_or_else(PoisonError::into_inner);
            types.entry(type_code).or_insert_with(|| Mutex::new(Learning::Gathering(Samples::default())));
            return body::pack(body, None);
        };
        let mut learning = lock(learning);
        match &mut *learning {
            Learning::Learnt(dictionary) => {
                let dictionary = *dictionary;
                drop(learning);
                return body::pack(body, Some(dictionary));
            }
            Learning::Given => {}
            Learning::Gathering(samples) => {
                if body.bytes.len() <= SAMPLE_BYTES_MAX {
                    samples.bytes.extend_from_slice(&body.bytes);
                    samples.lengths.push(body.bytes.len());
                }
                if samples.lengths.len() >= SAMPLES_MAX || samples.bytes.len() >= SAMPLES_BYTES_MAX {
                    lock(&self.ready).push((type_code, std::mem::take(samples)));
                    *learning = Learning::Given;
                    self.is_any_ready.store(true, Ordering::Release);
                }
            }
        }
        drop(learning);
        body::pack(body, None)
    }

    /// Tells whether something can be learnt now.
    pub(super) fn is_any_ready(&self) -> bool {
        self.is_any_ready.load(Ordering::Acquire)
    }

    /// Learns what can be learnt: takes some tenths of a second for a type.
    pub(super) fn learn(&self) -> Vec<Learnt> {
        self.is_any_ready.store(false, Ordering::Release);
        let ready = std::mem::take(&mut *lock(&self.ready));
        let learn = |(type_code, samples): (TypeCode, Samples)| {
            let bytes = zstd::dict::from_continuous(&samples.bytes, &samples.lengths, DICTIONARY_BYTES_MAX);
            let bytes = bytes.inspect_err(|error| tracing::debug!(%error, "nothing to learn from bodies"));
            bytes.ok().map(|bytes| Learnt { type_code, bytes })
        };
        ready.into_iter().filter_map(learn).collect()
    }

    /// Takes a dictionary into use that is in the database.
    pub(super) fn use_stored(&self, type_code: TypeCode, bytes: Vec<u8>) {
        let Some(dictionary) = register(bytes) else { return };
        let mut types = self.of_type.write().unwrap_or_else(PoisonError::into_inner);
        types.insert(type_code, Mutex::new(Learning::Learnt(dictionary)));
    }
}

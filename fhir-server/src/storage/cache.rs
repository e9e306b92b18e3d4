//! The current versions that were read last, so that reading them again asks
//! no database.
//!
//! What is kept is never older than what is committed: before a commit the
//! writer takes what it changes out, and until the commit has ended nobody
//! puts any of it in. Who reads the database notes before it the state of the
//! gate that the resource belongs to, and keeps what was read only if that is
//! still the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fhir_model::interaction::ResourceKey;
use moka::sync::Cache;

use super::resource::{Effect, StoredResource};
use crate::index::row::TargetHash;

/// How many bytes of bodies are kept.
const BYTES_MAX: u64 = 32 << 20;
/// What a resource takes besides its body.
const OVERHEAD_BYTES: usize = 300;
/// Larger bodies are not kept.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Resources that share a gate are kept out together.
const GATES: usize = 256;

/// Whether resources may be put in.
#[derive(Debug, Default)]
struct Gate {
    /// Commits under way that change one of them.
    commits: usize,
    /// Commits that have changed one of them.
    changes: u64,
}

/// The state of a gate when it was open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen(u64);

/// The resources kept, by the hash of type and id.
pub(super) struct ReadCache {
    resources: Cache<TargetHash, Arc<StoredResource>>,
    gates: Box<[Mutex<Gate>]>,
}

impl Default for ReadCache {
    fn default() -> ReadCache {
        let weigh = |_: &TargetHash, resource: &Arc<StoredResource>| {
            u32::try_from(resource.body_bytes() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        let resources = Cache::builder().max_capacity(BYTES_MAX).weigher(weigh).build();
        ReadCache { resources, gates: (0..GATES).map(|_| Mutex::default()).collect() }
    }
}

fn hash_of(key: &ResourceKey) -> TargetHash {
    TargetHash::of_resource(key.resource_type, key.id.as_str())
}

impl ReadCache {
    fn gate(&self, hash: TargetHash) -> Option<MutexGuard<'_, Gate>> {
        let gate = self.gates.get(hash.0.rem_euclid(GATES as i64) as usize)?;
        Some(gate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the current version of a resource, if it is kept.
    pub(super) fn get(&self, key: &ResourceKey) -> Option<StoredResource> {
        // The hash finds; type and id decide.
        let found = self.resources.get(&hash_of(key)).filter(|found| found.key == *key);
        found.map(|found| (*found).clone())
    }

    /// Returns what [`ReadCache::keep`] needs of what is about to be read;
    /// `None` when that is being changed.
    pub(super) fn look(&self, key: &ResourceKey) -> Option<Seen> {
        let gate = self.gate(hash_of(key))?;
        (gate.commits == 0).then_some(Seen(gate.changes))
    }

    /// Keeps what was read since [`ReadCache::look`], if nothing has changed.
    pub(super) fn keep(&self, read: &StoredResource, seen: Seen) {
        if read.deleted || read.body_bytes() > BODY_BYTES_MAX {
            return;
        }
        let Some(unpacked) = read.unpacked() else { return };
        let hash = hash_of(&read.key);
        let Some(gate) = self.gate(hash) else { return };
        if gate.commits == 0 && gate.changes == seen.0 {
            self.resources.insert(hash, Arc::new(unpacked));
        }
    }

    /// Takes out what a commit is about to change, and keeps it out until the
    /// returned value is dropped, when the commit has ended in either way.
    pub(super) fn changing(&self, effects: &[Effect]) -> Changing<'_> {
        let hashes: Vec<TargetHash> = effects.iter().map(|effect| hash_of(&effect.key)).collect();
        for hash in &hashes {
            if let Some(mut gate) = self.gate(*hash) {
                gate.commits += 1;
                self.resources.invalidate(hash);
            }
        }
        Changing { cache: self, hashes }
    }
}

/// A commit under way.
pub(super) struct Changing<'c> {
    cache: &'c ReadCache,
    hashes: Vec<TargetHash>,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        for hash in &self.hashes {
            if let Some(mut gate) = self.cache.gate(*hash) {
                gate.commits = gate.commits.saturating_sub(1);
                gate.changes = gate.changes.wrapping_add(1);
            }
        }
    }
}

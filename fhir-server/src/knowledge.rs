//! The definitions that this server knows: those of the packages installed in
//! its data folder, and those that are stored as resources.
//!
//! Validation, terminology and maps work on one unchanging set of them. A
//! write of a definition makes the set stale, and the next that asks gathers
//! it anew: definitions are written rarely and asked for all the time. The
//! packages are opened when they are first asked for, so that a start does not
//! wait for them, and again when one was installed or removed
//! ([`Knowledge::reload`]). What `interaction/publish.rs` stored of them as
//! resources is not gathered a second time, unless somebody changed it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{TypeId, ty};
use profiles::definitions::Definitions;
use profiles::package::store::Store as PackageStore;
use profiles::terminology::Terminology;
use profiles::validate::{Options, Validator};

use crate::storage::{Effect, Reads, own_resources_after};

/// The types of resources that are definitions.
const DEFINITIONS: &[TypeId] = &[
    ty::STRUCTURE_DEFINITION,
    ty::VALUE_SET,
    ty::CODE_SYSTEM,
    ty::CONCEPT_MAP,
    ty::STRUCTURE_MAP,
    ty::QUESTIONNAIRE,
];

/// How many resources, and bytes of them, are read at a time.
const BATCH: i64 = 1000;
const BATCH_BYTES_MAX: i64 = 64 << 20;

/// A set of definitions, and what works on it.
pub struct Known {
    /// The definitions.
    pub definitions: Arc<Definitions>,
    /// Their code systems and value sets.
    pub terminology: Arc<Terminology>,
    /// Validates against their profiles.
    pub validator: Arc<Validator>,
    /// How often definitions had changed when it was gathered.
    changes: u64,
}

/// Keeps what is known in step with what is installed and stored.
pub struct Knowledge {
    packages: Option<PackageStore>,
    installed: Mutex<Option<Arc<Definitions>>>,
    changes: AtomicU64,
    known: RwLock<Option<Arc<Known>>>,
    /// Held while gathering, so that it is done once.
    gathering: Mutex<()>,
}

impl std::fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knowledge").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Knowledge {
    /// Knows what is stored, and the packages installed in this folder.
    pub fn new(packages: Option<PathBuf>) -> Knowledge {
        Knowledge {
            packages: packages.map(PackageStore::new),
            installed: Mutex::new(None),
            changes: AtomicU64::new(0),
            known: RwLock::new(None),
            gathering: Mutex::new(()),
        }
    }

    /// Takes notice of what was committed.
    pub fn committed(&self, effects: &[Effect]) {
        if effects.iter().any(|e| DEFINITIONS.contains(&e.key.resource_type)) {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Returns what is known, gathered anew when a definition has changed.
    /// Blocks.
    ///
    /// # Errors
    /// When the packages or the stored definitions cannot be read.
    pub fn current(&self, data: &mut impl Reads) -> Result<Arc<Known>, Issue> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let _one_at_a_time = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        // Read before the data: what changes meanwhile makes it stale again.
        let changes = self.changes.load(Ordering::Acquire);
        let mut definitions = Definitions::clone(&*self.installed()?);
        for of in DEFINITIONS {
            add_stored(data, *of, &mut definitions)?;
        }
        let definitions = Arc::new(definitions);
        let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
        let validator =
            Arc::new(Validator::new(Arc::clone(&definitions), Arc::clone(&terminology), Options::default()));
        let known = Arc::new(Known { definitions, terminology, validator, changes });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    fn fresh(&self) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|k| k.changes == self.changes.load(Ordering::Acquire)).cloned()
    }

    /// Returns the installed packages.
    pub fn packages(&self) -> Option<&PackageStore> {
        self.packages.as_ref()
    }

    /// Opens the packages anew when they are next asked for.
    pub fn reload(&self) {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Returns the definitions of the installed packages. Blocks.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn installed(&self) -> Result<Arc<Definitions>, Issue> {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(installed) = &*installed {
            return Ok(Arc::clone(installed));
        }
        let read = match &self.packages {
            Some(store) => store.definitions().map_err(|error| {
                tracing::error!(%error, "the installed packages cannot be read");
                Issue::fatal(IssueType::Exception).text("the installed packages cannot be read")
            })?,
            None => Definitions::new(),
        };
        Ok(Arc::clone(installed.insert(Arc::new(read))))
    }
}

fn add_stored(data: &mut impl Reads, of: TypeId, definitions: &mut Definitions) -> Result<(), Issue> {
    let mut position = i64::MIN;
    loop {
        let batch = own_resources_after(data, of, position, BATCH, BATCH_BYTES_MAX)?;
        let Some(last) = batch.last() else { return Ok(()) };
        position = last.number;
        for stored in &batch {
            definitions.add_resource(stored.resource()?);
        }
    }
}

//! A profile as rules: what its snapshot asks of an element and its children.
//!
//! - `compile`: the rules out of the snapshot.
//! - `check`: an element held against the rules.
//! - `slice` and `discriminator`: which slice an element belongs to.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html>

mod check;
mod compile;
mod discriminator;
mod slice;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fhir_model::fhirpath::Expression;
use fhir_model::schema::{BindingStrength, NameId, TypeId, name, ty};
use fhir_model::tree::{Element, NodeId, Resource};

use crate::definitions::Definitions;
use crate::snapshot;
use crate::validate::narrative_control::NarrativeRule;

/// The number of a rule within its [`Profile`].
pub(super) type RuleId = usize;

/// A profile, compiled.
pub(super) struct Profile {
    /// Its canonical URL, with version where it has one.
    pub(super) url: Arc<str>,
    /// The type that it constrains.
    pub(super) constrains: TypeId,
    /// The StructureDefinition with its snapshot: fixed values and patterns are nodes of it.
    pub(super) definition: Arc<Resource>,
    /// Its rules; the first is that of the root.
    pub(super) rules: Vec<ElementRule>,
    /// What the snapshot says that cannot be used, told once.
    pub(super) complaints: Vec<String>,
}

impl Profile {
    pub(super) const ROOT: RuleId = 0;

    /// Returns the urls of the parts of an extension; `None` when it defines none.
    pub(super) fn extension_parts(&self) -> Option<Vec<&str>> {
        let root = self.rule(Profile::ROOT);
        let of_name =
            |rules: &[RuleId], name| rules.iter().copied().find(|c| self.rule(*c).name == Some(name));
        let slices = &self.rule(of_name(&root.children, name::EXTENSION)?).slices;
        let url = |slice: &RuleId| {
            let url = self.rule(of_name(&self.rule(*slice).children, name::URL)?);
            self.value(url.fixed?).value()
        };
        let urls: Vec<&str> = slices.iter().filter_map(url).collect();
        (!urls.is_empty()).then_some(urls)
    }

    pub(super) fn rule(&self, id: RuleId) -> &ElementRule {
        &self.rules[id]
    }

    /// Returns a rule, its slices, and theirs.
    pub(super) fn with_slices(&self, id: RuleId) -> Vec<RuleId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(rule) = all.get(at).copied() {
            all.extend(&self.rule(rule).slices);
            at += 1;
        }
        all
    }

    /// Returns a value of the definition: a fixed value, pattern, or bound.
    pub(super) fn value(&self, node: NodeId) -> Element<'_> {
        self.definition.element(node)
    }
}

/// What a profile asks of one element.
pub(super) struct ElementRule {
    /// `Observation.component:systolic.code`, for texts.
    pub(super) id: String,
    /// Its name without `[x]`; `None` for the root.
    pub(super) name: Option<NameId>,
    pub(super) slice_name: Option<String>,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Whether min and max are those of the base type: it checks them.
    pub(super) same_cardinality: bool,
    pub(super) types: Vec<TypeRule>,
    /// Whether the types, with targets and profiles, are those of the base type.
    pub(super) same_types: bool,
    pub(super) fixed: Option<NodeId>,
    pub(super) pattern: Option<NodeId>,
    pub(super) min_value: Option<NodeId>,
    pub(super) max_value: Option<NodeId>,
    pub(super) max_length: Option<usize>,
    pub(super) min_length: Option<usize>,
    pub(super) value_required: bool,
    /// The extensions of which one must be there where there is no value; empty: nothing is asked.
    pub(super) value_alternatives: Vec<String>,
    /// What is asked of a narrative.
    pub(super) narrative: Option<NarrativeRule>,
    pub(super) binding: Option<BindingRule>,
    pub(super) invariants: Vec<Invariant>,
    /// The rules of its children, slices apart.
    pub(super) children: Vec<RuleId>,
    pub(super) slicing: Option<Slicing>,
    pub(super) slices: Vec<RuleId>,
}

/// A type that an element may have.
pub(super) struct TypeRule {
    pub(super) ty: TypeId,
    pub(super) profiles: Vec<String>,
    pub(super) targets: Vec<String>,
    pub(super) aggregation: Vec<String>,
}

/// The value set of an element.
pub(super) struct BindingRule {
    pub(super) strength: BindingStrength,
    pub(super) value_set: String,
    /// The value set that codes must come from although the binding is not required.
    pub(super) max_value_set: Option<String>,
    /// The value sets that codes must come from as well.
    pub(super) additional: Vec<(BindingStrength, String)>,
}

/// An invariant that the base does not state.
pub(super) struct Invariant {
    pub(super) key: String,
    pub(super) human: String,
    pub(super) is_error: bool,
    pub(super) expression: Result<Expression, String>,
}

/// How an element is sliced.
pub(super) struct Slicing {
    pub(super) discriminators: Vec<Discriminator>,
    pub(super) closed: bool,
    pub(super) open_at_end: bool,
    pub(super) ordered: bool,
}

/// What tells slices apart.
pub(super) struct Discriminator {
    pub(super) kind: DiscriminatorKind,
    pub(super) path: Vec<PathStep>,
}

/// The kind of a discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiscriminatorKind {
    Value,
    Exists,
    Pattern,
    Type,
    Profile,
}

/// A step of a discriminator's path, the restricted FHIRPath of ElementDefinition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::validate) enum PathStep {
    Child(NameId),
    Extension(String),
    Resolve,
    OfType(TypeId),
}

/// Profiles by canonical, compiled when first asked for.
pub(super) struct Profiles {
    definitions: Arc<Definitions>,
    compiled: Mutex<HashMap<String, Result<Arc<Profile>, ProfileError>>>,
}

/// Why there is no such profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProfileError {
    Unknown,
    Broken(String),
}

impl Profiles {
    pub(super) fn new(definitions: Arc<Definitions>) -> Profiles {
        Profiles { definitions, compiled: Mutex::default() }
    }

    pub(super) fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// Finds a profile.
    pub(super) fn get(&self, canonical: &str) -> Result<Arc<Profile>, ProfileError> {
        let lock = || self.compiled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(canonical) {
            return known.clone();
        }
        // Compiled outside of the lock: generating a snapshot takes its time.
        let made = self.compile(canonical);
        lock().entry(canonical.to_owned()).or_insert(made).clone()
    }

    fn compile(&self, canonical: &str) -> Result<Arc<Profile>, ProfileError> {
        let found =
            self.definitions.resource(ty::STRUCTURE_DEFINITION, canonical).ok_or(ProfileError::Unknown)?;
        let has_snapshot = found.root().child_named("snapshot").is_some();
        let definition = if has_snapshot {
            Arc::clone(found)
        } else {
            let made = snapshot::generate(found, &self.definitions);
            Arc::new(made.map_err(|error| ProfileError::Broken(error.to_string()))?)
        };
        compile::compile(definition).map(Arc::new).map_err(ProfileError::Broken)
    }
}

pub(super) use check::{equal, shown};
pub(super) use compile::{choice, core_type, path as discriminator_path};

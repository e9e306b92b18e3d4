//! What an evaluation knows besides the focus.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::Offset;
use rust_decimal::Decimal;

use crate::fhirpath::value::{Collection, Value};
use crate::primitive::instant::Instant;
use crate::schema::TypeId;
use crate::tree::Element;

/// Bounds on an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest number of steps: nodes evaluated and items looked at.
    pub steps_max: u64,
    /// The greatest number of items in one collection.
    pub items_max: usize,
    /// The greatest length of a string that a function makes, in bytes.
    pub text_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps_max: 20_000_000, items_max: 1_000_000, text_bytes_max: 16 << 20 }
    }
}

/// What a reference was found to mean.
#[derive(Debug, Clone, Copy)]
pub enum Resolved<'r> {
    /// The resource itself.
    Resource(Element<'r>),
    /// Its type only.
    Type(TypeId),
}

/// Finds what references mean.
///
/// Without one, `resolve()` finds contained resources and entries of the
/// Bundle that is evaluated, and of others gives the type that the reference
/// itself tells.
pub trait Resolve<'r> {
    /// Returns what `reference` means; `at` is the element that it stands in,
    /// if it comes from one. `None` leaves it to what the resource tells.
    fn resolve(&self, reference: &str, at: Option<Element<'r>>) -> Option<Resolved<'r>>;
}

/// Answers questions about codes, for `memberOf` and `subsumes`.
pub trait Terminology {
    /// Tells whether the code, Coding or CodeableConcept is in the value set;
    /// `None` when that cannot be told.
    fn member_of(&self, coded: &Value<'_>, value_set: &str) -> Option<bool>;

    /// Tells whether the first concept subsumes the second; `None` when that
    /// cannot be told.
    fn subsumes(&self, general: &Value<'_>, special: &Value<'_>) -> Option<bool>;
}

/// Answers whether an element conforms to a profile, for `conformsTo`.
pub trait Conformance {
    /// Tells whether it conforms; `None` when the profile is not known.
    fn conforms_to(&self, element: Element<'_>, profile: &str) -> Option<bool>;
}

/// Converts units, where the small table of the engine does not know them.
pub trait Units {
    /// Returns the value in the canonical unit of its dimension, and a text
    /// that is equal for equal canonical units; `None` for unknown units.
    fn canonical(&self, value: Decimal, unit: &str) -> Option<(Decimal, String)>;
}

/// Gives values to names, where a host has names of its own: a map its variables.
///
/// They are known as `%name`, and as the first name of a path, where the focus
/// has no element of that name. A `%name` that has no value gives nothing.
pub trait Names<'r> {
    /// Returns the value of the name; `None` when it is not one of them.
    fn value(&self, name: &str) -> Option<Value<'r>>;
}

/// Takes what `trace()` reports.
pub type Trace<'c> = &'c (dyn Fn(&str, &[Value<'_>]) + Sync);

/// What an evaluation knows besides the focus.
pub struct Context<'r, 'c> {
    pub(super) resource: Element<'r>,
    pub(super) root_resource: Element<'r>,
    pub(super) variables: Vec<(String, Collection<'r>)>,
    pub(super) names: Option<&'c dyn Names<'r>>,
    pub(super) resolver: Option<&'c dyn Resolve<'r>>,
    pub(super) terminology: Option<&'c dyn Terminology>,
    pub(super) conformance: Option<&'c dyn Conformance>,
    pub(super) units: Option<&'c dyn Units>,
    pub(super) trace: Option<Trace<'c>>,
    pub(super) now: OnceLock<Instant>,
    pub(super) offset: Offset,
    pub(super) limits: Limits,
    pub(super) strict: bool,
}

impl<'r, 'c> Context<'r, 'c> {
    /// Makes the context of a resource: it is `%resource` and `%rootResource`.
    pub fn new(resource: Element<'r>) -> Context<'r, 'c> {
        Context {
            resource,
            root_resource: resource,
            variables: Vec::new(),
            names: None,
            resolver: None,
            terminology: None,
            conformance: None,
            units: None,
            trace: None,
            now: OnceLock::new(),
            offset: Offset::UTC,
            limits: Limits::default(),
            strict: false,
        }
    }

    /// Sets the resource that contains `%resource`.
    pub fn contained_in(mut self, root_resource: Element<'r>) -> Context<'r, 'c> {
        self.root_resource = root_resource;
        self
    }

    /// Defines `%name`.
    pub fn variable(mut self, name: impl Into<String>, value: Collection<'r>) -> Context<'r, 'c> {
        self.variables.push((name.into(), value));
        self
    }

    /// Sets what gives values to names.
    pub fn names(mut self, names: &'c dyn Names<'r>) -> Context<'r, 'c> {
        self.names = Some(names);
        self
    }

    /// Sets what finds references.
    pub fn resolver(mut self, resolver: &'c dyn Resolve<'r>) -> Context<'r, 'c> {
        self.resolver = Some(resolver);
        self
    }

    /// Sets what answers about codes.
    pub fn terminology(mut self, terminology: &'c dyn Terminology) -> Context<'r, 'c> {
        self.terminology = Some(terminology);
        self
    }

    /// Sets what answers about profiles.
    pub fn conformance(mut self, conformance: &'c dyn Conformance) -> Context<'r, 'c> {
        self.conformance = Some(conformance);
        self
    }

    /// Sets what converts units.
    pub fn units(mut self, units: &'c dyn Units) -> Context<'r, 'c> {
        self.units = Some(units);
        self
    }

    /// Sets what takes the reports of `trace()`; without, they go nowhere.
    pub fn trace(mut self, trace: Trace<'c>) -> Context<'r, 'c> {
        self.trace = Some(trace);
        self
    }

    /// Sets the instant of `now()` and `today()`, told in UTC. Without it
    /// the clock is read once, when first asked for.
    pub fn at(self, now: Instant) -> Context<'r, 'c> {
        Context { now: OnceLock::from(now), ..self }
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Context<'r, 'c> {
        self.limits = limits;
        self
    }

    /// Makes `as` on several items an error, as the specification of FHIRPath
    /// says. Without, it filters them: search parameters of R4 need that.
    pub fn strict(mut self) -> Context<'r, 'c> {
        self.strict = true;
        self
    }

    /// Returns the moment of the evaluation.
    pub(super) fn moment(&self) -> Timestamp {
        let now = *self.now.get_or_init(|| Instant(Timestamp::now().as_microsecond()));
        Timestamp::from_microsecond(now.0).unwrap_or_default()
    }
}

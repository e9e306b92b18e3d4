//! Terminology: code systems, value sets, concept maps, and what is asked of
//! them.
//!
//! [`Terminology`] answers over a set of definitions; code systems and value
//! sets are compiled when first asked for, and shared from then on. What it
//! cannot tell, because a code system is not at hand, it says so: "not in"
//! and "not known" are different answers.
//!
//! - [`code_system`]: a CodeSystem, compiled.
//! - [`value_set`]: a ValueSet, compiled; membership without expansion.
//! - [`expand`], [`lookup`], [`find_matches`], `validate_code`, [`translate`], [`closure`]: the operations.
//! - [`load`]: tables of codes as code systems.
//! - [`grammar`]: code systems that are grammars: languages, media types ...
//! - `builtin`: code systems that come with the program.
//!
//! Spec: <https://hl7.org/fhir/R4/terminology-module.html>

mod alias;
mod builtin;
pub mod closure;
pub mod code_system;
pub mod error;
pub mod expand;
pub mod find_matches;
pub mod grammar;
pub mod load;
pub mod lookup;
pub mod translate;
mod validate_code;
pub mod value_set;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use fhir_model::fhirpath::Value;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use fhir_model::value_set::ValueSetCodes;

use crate::definitions::{Definitions, split_canonical};
use code_system::CodeSystem;
use value_set::{Answer, ValueSet};

/// The greatest depth of value sets within value sets.
const DEPTH_MAX: usize = 32;

/// A code, with what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodingRef<'a> {
    /// The code system; `None` for a plain `code`, whose system the value set implies.
    pub system: Option<&'a str>,
    /// The version of the code system.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// The display that was given.
    pub display: Option<&'a str>,
}

/// Whether a code belongs to a value set or code system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// It does.
    Member {
        /// The right display, where the one given is wrong.
        display: Option<String>,
    },
    /// It does not.
    NotMember {
        /// Why, for a reader.
        reason: String,
    },
    /// That cannot be told here.
    Unknown {
        /// Why, for a reader.
        reason: String,
    },
}

/// Terminology over a set of definitions.
///
/// It does not change: where the definitions change, a new one is made.
pub struct Terminology {
    definitions: Arc<Definitions>,
    code_systems: RwLock<HashMap<String, Option<Arc<CodeSystem>>>>,
    value_sets: RwLock<HashMap<String, Option<Arc<ValueSet>>>>,
    /// The code systems by the value set that has all their codes.
    by_value_set: OnceLock<HashMap<String, String>>,
    /// The supplements by the code system that they are for, without version.
    supplements: OnceLock<HashMap<String, Vec<Arc<Resource>>>>,
}

impl Terminology {
    /// Makes the terminology of these definitions.
    pub fn new(definitions: Arc<Definitions>) -> Terminology {
        Terminology {
            definitions,
            code_systems: RwLock::default(),
            value_sets: RwLock::default(),
            by_value_set: OnceLock::new(),
            supplements: OnceLock::new(),
        }
    }

    /// Finds a code system by its canonical.
    pub fn code_system(&self, canonical: &str) -> Option<Arc<CodeSystem>> {
        kept(&self.code_systems, canonical, || {
            let find = |canonical: &str| self.definitions.resource(ty::CODE_SYSTEM, canonical);
            let mut system = match find(canonical).or_else(|| find(&alias::other_name(canonical)?)) {
                Some(resource) => CodeSystem::compile(resource),
                None => builtin::code_system(split_canonical(canonical).0)?,
            };
            for supplement in self.supplements_of(system.url()) {
                system.supplement(supplement);
            }
            Some(Arc::new(system))
        })
    }

    /// Returns the supplements of a code system.
    ///
    /// Spec: <https://hl7.org/fhir/R4/codesystem.html#supplements>
    fn supplements_of(&self, url: &str) -> &[Arc<Resource>] {
        let all = self.supplements.get_or_init(|| {
            let mut all: HashMap<String, Vec<Arc<Resource>>> = HashMap::new();
            let systems = self.definitions.of_type(ty::CODE_SYSTEM);
            for resource in systems.filter(|d| d.may_have("supplements")).filter_map(|d| d.resource()) {
                if let Some(base) = resource.root().text_of(name::SUPPLEMENTS) {
                    all.entry(split_canonical(base).0.to_owned()).or_default().push(Arc::clone(resource));
                }
            }
            all
        });
        all.get(url).map_or(&[], Vec::as_slice)
    }

    /// Finds a value set by its canonical.
    pub fn value_set(&self, canonical: &str) -> Option<Arc<ValueSet>> {
        kept(&self.value_sets, canonical, || {
            if let Some(resource) = self.definitions.resource(ty::VALUE_SET, canonical) {
                return Some(Arc::new(ValueSet::compile(resource)));
            }
            self.implicit(canonical).map(Arc::new)
        })
    }

    /// Makes the value sets that exist without being defined: all codes of a
    /// code system, and those of SNOMED CT and LOINC by their URL.
    ///
    /// Spec: <https://hl7.org/fhir/R4/valueset.html#implicit>
    fn implicit(&self, canonical: &str) -> Option<ValueSet> {
        if canonical == "http://loinc.org/vs" {
            return Some(ValueSet::of_system("http://loinc.org", None));
        }
        if let Some((system, which)) = canonical.split_once("?fhir_vs") {
            return match which.strip_prefix("=isa/") {
                Some(concept) => Some(ValueSet::of_system(system, Some(concept))),
                None => which.is_empty().then(|| ValueSet::of_system(system, None)),
            };
        }
        let (url, _, _) = split_canonical(canonical);
        let systems = self.by_value_set.get_or_init(|| {
            let systems = self.definitions.of_type(ty::CODE_SYSTEM).filter_map(|d| {
                let resource = d.resource()?;
                let value_set = resource.root().text_of(name::VALUE_SET)?;
                Some((split_canonical(value_set).0.to_owned(), d.url().to_owned()))
            });
            systems.collect()
        });
        systems.get(url).map(|system| ValueSet::of_system(system, None))
    }

    /// Tells whether a code is in a value set, for sure.
    pub fn contains(&self, value_set: &str, system: Option<&str>, code: &str, depth: usize) -> bool {
        self.in_value_set(value_set, system, None, code, depth.min(DEPTH_MAX)) == Answer::Yes
    }

    /// Tells whether a code is in a value set.
    pub fn validate(&self, value_set: &str, coding: &CodingRef<'_>) -> Membership {
        let answer = self.in_value_set(value_set, coding.system, coding.version, coding.code, DEPTH_MAX);
        match answer {
            Answer::Yes => Membership::Member { display: None },
            Answer::No => Membership::NotMember { reason: self.why_not(coding) },
            Answer::Unknown(reason) => Membership::Unknown { reason },
        }
    }

    /// Says why a code is not in a value set: it may not be a code at all.
    fn why_not(&self, coding: &CodingRef<'_>) -> String {
        if let Some(system) = coding.system
            && let Some(code_system) = self.code_system(system)
            && code_system.is_complete()
            && code_system.concept(coding.code).is_none()
        {
            return format!("the code system {system} has no such code");
        }
        "the value set does not include it".to_owned()
    }

    /// Tells whether a code is one of its code system, and its display right.
    pub fn validate_in_system(&self, coding: &CodingRef<'_>) -> Membership {
        let Some(system) = coding.system else {
            return Membership::Unknown { reason: "no code system is given".to_owned() };
        };
        if let Some(valid) = grammar::is_code(system, coding.code) {
            return if valid {
                Membership::Member { display: None }
            } else {
                Membership::NotMember { reason: format!("it is no code of {system}") }
            };
        }
        let canonical = match coding.version {
            Some(version) => format!("{system}|{version}"),
            None => system.to_owned(),
        };
        let Some(code_system) = self.code_system(&canonical).or_else(|| self.code_system(system)) else {
            return Membership::Unknown { reason: format!("the code system {system} is not known here") };
        };
        match code_system.concept(coding.code) {
            Some(concept) => {
                let right = coding.display.is_none_or(|display| code_system.has_display(concept, display));
                let display = code_system.display(concept).filter(|_| !right).map(str::to_owned);
                Membership::Member { display }
            }
            None if code_system.is_complete() => {
                Membership::NotMember { reason: format!("the code system {system} has no such code") }
            }
            None => {
                Membership::Unknown { reason: format!("of the code system {system} only a part is here") }
            }
        }
    }

    pub(super) fn in_value_set(
        &self,
        canonical: &str,
        system: Option<&str>,
        version: Option<&str>,
        code: &str,
        depth: usize,
    ) -> Answer {
        if depth == 0 {
            return Answer::Unknown(format!("the value set {canonical} includes itself, or too many others"));
        }
        match self.value_set(canonical) {
            Some(value_set) => value_set.contains(self, system, version, code, depth - 1),
            None => match of_the_tables(split_canonical(canonical).0, system, code) {
                Some(true) => Answer::Yes,
                Some(false) => Answer::No,
                None => Answer::Unknown(format!("the value set {canonical} is not known here")),
            },
        }
    }
}

/// Decides by what is known without any package; `None` when that is not enough.
fn of_the_tables(value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
    grammar::is_in_value_set(value_set, code)
        .or_else(|| ValueSetCodes::of(value_set).map(|codes| codes.contains(system, code)))
}

fn kept<T>(
    known: &RwLock<HashMap<String, Option<Arc<T>>>>,
    canonical: &str,
    make: impl FnOnce() -> Option<Arc<T>>,
) -> Option<Arc<T>> {
    if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(canonical) {
        return found.clone();
    }
    let made = make();
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    // What is not there is not remembered beyond a bound: anyone may ask for anything.
    if made.is_some() || known.len() < 100_000 {
        known.insert(canonical.to_owned(), made.clone());
    }
    made
}

impl fhir_model::fhirpath::Terminology for Terminology {
    fn member_of(&self, coded: &Value<'_>, value_set: &str) -> Option<bool> {
        let told = |answer| match answer {
            Answer::Yes => Some(true),
            Answer::No => Some(false),
            Answer::Unknown(_) => None,
        };
        let ask = |system: Option<&str>, version: Option<&str>, code: &str| {
            told(self.in_value_set(value_set, system, version, code, DEPTH_MAX))
        };
        let Some(element) = coded.element() else {
            let Some(Value::String(code)) = coded.system() else { return None };
            return ask(None, None, &code);
        };
        let of_coding = |coding: fhir_model::tree::Element<'_>| {
            let code = coding.text_of(name::CODE)?;
            ask(coding.text_of(name::SYSTEM), coding.text_of(name::VERSION), code)
        };
        match element.ty() {
            ty::CODEABLE_CONCEPT => {
                let answers: Vec<Option<bool>> =
                    element.children_named(name::CODING).map(of_coding).collect();
                if answers.contains(&Some(true)) {
                    Some(true)
                } else if answers.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            ty::CODING | ty::QUANTITY => of_coding(element),
            _ => ask(None, None, element.value()?),
        }
    }

    fn subsumes(&self, general: &Value<'_>, special: &Value<'_>) -> Option<bool> {
        let parts = |value: &Value<'_>| {
            let coding = value.element()?;
            Some((coding.text_of(name::SYSTEM)?.to_owned(), coding.text_of(name::CODE)?.to_owned()))
        };
        let ((system, general), (other, special)) = (parts(general)?, parts(special)?);
        if system != other {
            return Some(false);
        }
        let code_system = self.code_system(&system)?;
        let (general, special) = (code_system.concept(&general)?, code_system.concept(&special)?);
        Some(code_system.is_a(special, general))
    }
}

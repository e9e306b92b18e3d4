//! A ValueSet, compiled; whether a code is in it is told without expanding it.
//!
//! Spec: <https://hl7.org/fhir/R4/valueset.html>

use std::collections::HashSet;

use fhir_model::schema::name;
use fhir_model::tree::{Element, Resource};
use indexmap::IndexMap;
use regex::Regex;

use super::code_system::{CodeSystem, ConceptId};
use super::{Terminology, grammar};

/// The greatest size of a compiled pattern of a filter, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Whether a code is in a value set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// That cannot be told, and why.
    Unknown(String),
}

/// A value set, compiled.
#[derive(Debug)]
pub struct ValueSet {
    include: Vec<Component>,
    exclude: Vec<Component>,
    /// The codes of an expansion that came without a definition.
    expansion: Option<HashSet<(Box<str>, Box<str>)>>,
    allows_inactive: bool,
}

/// Codes that are listed, in the order of the value set, with their displays.
pub(super) type Codes = IndexMap<Box<str>, Option<Box<str>>>;

/// A part of a value set: all codes that meet everything said here.
#[derive(Debug)]
pub(super) struct Component {
    system: Option<String>,
    version: Option<String>,
    codes: Option<Codes>,
    filters: Vec<Filter>,
    value_sets: Vec<String>,
}

/// A filter on the properties of codes.
#[derive(Debug)]
struct Filter {
    property: String,
    operator: Operator,
    value: String,
}

/// The operators of filters.
#[derive(Debug)]
enum Operator {
    Equal,
    IsA,
    DescendentOf,
    IsNotA,
    Generalizes,
    In,
    NotIn,
    Exists,
    Regex(Option<Regex>),
    Other(String),
}

impl ValueSet {
    /// Compiles a ValueSet.
    pub fn compile(resource: &Resource) -> ValueSet {
        let root = resource.root();
        let compose = root.child(name::COMPOSE);
        let parts =
            |of| compose.into_iter().flat_map(move |c: Element<'_>| c.children_named(of)).map(component);
        let expansion = match compose {
            Some(_) => None,
            None => root.child(name::EXPANSION).map(expansion_codes),
        };
        ValueSet {
            include: parts(name::INCLUDE).collect(),
            exclude: parts(name::EXCLUDE).collect(),
            expansion,
            allows_inactive: compose.and_then(|c| c.text_of(name::INACTIVE)) != Some("false"),
        }
    }

    /// Makes the value set of all codes of a system, or of those that are a concept or below it.
    pub fn of_system(system: &str, below: Option<&str>) -> ValueSet {
        let filter = |concept: &str| Filter {
            property: "concept".to_owned(),
            operator: Operator::IsA,
            value: concept.to_owned(),
        };
        let include = Component {
            system: Some(system.to_owned()),
            version: None,
            codes: None,
            filters: below.map(filter).into_iter().collect(),
            value_sets: Vec::new(),
        };
        ValueSet { include: vec![include], exclude: Vec::new(), expansion: None, allows_inactive: true }
    }

    pub(super) fn include(&self) -> &[Component] {
        &self.include
    }

    pub(super) fn expansion(&self) -> Option<&HashSet<(Box<str>, Box<str>)>> {
        self.expansion.as_ref()
    }

    pub(super) fn allows_inactive(&self) -> bool {
        self.allows_inactive
    }

    /// Tells whether a code is taken out of the value set.
    pub(super) fn excludes(&self, terminology: &Terminology, system: &str, code: &str, depth: usize) -> bool {
        let asked = Asked { terminology, system: Some(system), version: None, code, depth };
        any(self.exclude.iter().map(|part| part.contains(&asked))) == Answer::Yes
    }

    /// Tells whether a code is in the value set. Without `system`, any of the
    /// systems that the value set draws on may be meant.
    pub fn contains(
        &self,
        terminology: &Terminology,
        system: Option<&str>,
        version: Option<&str>,
        code: &str,
        depth: usize,
    ) -> Answer {
        if let Some(codes) = &self.expansion {
            let found = codes.iter().any(|(s, c)| **c == *code && system.is_none_or(|system| system == &**s));
            return if found { Answer::Yes } else { Answer::No };
        }
        let asked = Asked { terminology, system, version, code, depth };
        let included = any(self.include.iter().map(|part| part.contains(&asked)));
        if included != Answer::Yes {
            return included;
        }
        match any(self.exclude.iter().map(|part| part.contains(&asked))) {
            Answer::Yes => Answer::No,
            Answer::No if !self.allows_inactive && asked.is_inactive() => Answer::No,
            Answer::No => Answer::Yes,
            unknown @ Answer::Unknown(_) => unknown,
        }
    }
}

/// A code that is asked for.
struct Asked<'a> {
    terminology: &'a Terminology,
    system: Option<&'a str>,
    version: Option<&'a str>,
    code: &'a str,
    depth: usize,
}

impl Asked<'_> {
    fn is_inactive(&self) -> bool {
        self.system.and_then(|s| self.terminology.code_system(s)).is_some_and(|system| {
            system.concept(self.code).is_some_and(|concept| system.is_inactive(concept))
        })
    }
}

/// One yes is a yes; otherwise one that cannot be told leaves it untold.
fn any(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut result = Answer::No;
    for answer in answers {
        match answer {
            Answer::Yes => return Answer::Yes,
            Answer::No => {}
            unknown @ Answer::Unknown(_) => result = unknown,
        }
    }
    result
}

/// One no is a no; otherwise one that cannot be told leaves it untold.
fn all(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut result = Answer::Yes;
    for answer in answers {
        match answer {
            Answer::No => return Answer::No,
            Answer::Yes => {}
            unknown @ Answer::Unknown(_) => result = unknown,
        }
    }
    result
}

fn yes_if(condition: bool) -> Answer {
    if condition { Answer::Yes } else { Answer::No }
}

impl Component {
    pub(super) fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(super) fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    pub(super) fn value_sets(&self) -> &[String] {
        &self.value_sets
    }

    pub(super) fn filters_hold(&self, system: &CodeSystem, concept: ConceptId) -> bool {
        self.filters.iter().all(|filter| filter.holds(system, concept) == Answer::Yes)
    }

    fn contains(&self, asked: &Asked<'_>) -> Answer {
        let in_system = self.system.as_deref().map(|own| self.in_system(own, asked));
        let in_value_sets = self.value_sets.iter().map(|canonical| {
            asked.terminology.in_value_set(canonical, asked.system, asked.version, asked.code, asked.depth)
        });
        all(in_system.into_iter().chain(in_value_sets))
    }

    fn in_system(&self, own: &str, asked: &Asked<'_>) -> Answer {
        if asked.system.is_some_and(|system| system != own) {
            return Answer::No;
        }
        if let (Some(own), Some(given)) = (&self.version, asked.version)
            && own != given
        {
            return Answer::No;
        }
        if let Some(codes) = &self.codes {
            if codes.contains_key(asked.code) {
                return Answer::Yes;
            }
            // Codes of a system where capitals do not matter.
            let folded = asked
                .terminology
                .code_system(own)
                .and_then(|s| Some(s.code(s.concept(asked.code)?).to_owned()));
            return yes_if(folded.is_some_and(|code| codes.contains_key(code.as_str())));
        }
        match grammar::is_code(own, asked.code) {
            Some(false) => return Answer::No,
            Some(true) if self.filters.is_empty() => return Answer::Yes,
            _ => {}
        }
        let canonical = match &self.version {
            Some(version) => format!("{own}|{version}"),
            None => own.to_owned(),
        };
        let Some(system) = asked.terminology.code_system(&canonical) else {
            return Answer::Unknown(format!("the code system {own} is not known here"));
        };
        let Some(concept) = system.concept(asked.code) else {
            return if system.is_complete() {
                Answer::No
            } else {
                Answer::Unknown(format!("of the code system {own} only a part is here"))
            };
        };
        all(self.filters.iter().map(|filter| filter.holds(&system, concept)))
    }
}

impl Filter {
    fn holds(&self, system: &CodeSystem, concept: ConceptId) -> Answer {
        let other = || system.concept(&self.value);
        let values =
            || system.properties(concept).iter().filter(|p| *p.code == *self.property).map(|p| &*p.value);
        match &self.operator {
            Operator::IsA => yes_if(other().is_some_and(|general| system.is_a(concept, general))),
            Operator::DescendentOf => {
                yes_if(other().is_some_and(|general| general != concept && system.is_a(concept, general)))
            }
            Operator::IsNotA => yes_if(other().is_none_or(|general| !system.is_a(concept, general))),
            Operator::Generalizes => yes_if(other().is_some_and(|special| system.is_a(special, concept))),
            Operator::In | Operator::NotIn => {
                let listed = |value: &str| self.value.split(',').any(|v| v.trim() == value);
                let found =
                    if self.is_on_code() { listed(system.code(concept)) } else { values().any(listed) };
                yes_if(found == matches!(self.operator, Operator::In))
            }
            Operator::Equal if self.is_on_code() => yes_if(system.code(concept) == self.value),
            Operator::Equal if self.property == "display" => {
                yes_if(system.display(concept) == Some(&self.value))
            }
            Operator::Equal if self.property == "parent" => {
                yes_if(system.parents(concept).iter().any(|p| system.code(*p) == self.value))
            }
            Operator::Equal if self.property == "child" => {
                yes_if(system.children(concept).iter().any(|c| system.code(*c) == self.value))
            }
            Operator::Equal => yes_if(values().any(|value| value == self.value)),
            Operator::Exists => yes_if(values().next().is_some() == (self.value == "true")),
            Operator::Regex(None) => Answer::Unknown(format!("`{}` is no pattern", self.value)),
            Operator::Regex(Some(pattern)) => yes_if(match self.property.as_str() {
                _ if self.is_on_code() => pattern.is_match(system.code(concept)),
                "display" => system.display(concept).is_some_and(|display| pattern.is_match(display)),
                _ => values().any(|value| pattern.is_match(value)),
            }),
            Operator::Other(operator) => {
                Answer::Unknown(format!("the filter operator `{operator}` is not known"))
            }
        }
    }

    fn is_on_code(&self) -> bool {
        matches!(self.property.as_str(), "code" | "concept")
    }
}

fn component(element: Element<'_>) -> Component {
    let codes: Codes = element
        .children_named(name::CONCEPT)
        .filter_map(|c| Some((c.text_of(name::CODE)?.into(), c.text_of(name::DISPLAY).map(Box::from))))
        .collect();
    Component {
        system: element.text_of(name::SYSTEM).map(str::to_owned),
        version: element.text_of(name::VERSION).map(str::to_owned),
        codes: (!codes.is_empty()).then_some(codes),
        filters: element.children_named(name::FILTER).filter_map(filter).collect(),
        value_sets: element
            .children_named(name::VALUE_SET)
            .filter_map(|v| v.value().map(str::to_owned))
            .collect(),
    }
}

fn filter(element: Element<'_>) -> Option<Filter> {
    let value = element.text_of(name::VALUE)?.to_owned();
    let operator = match element.text_of(name::OP)? {
        "=" => Operator::Equal,
        "is-a" => Operator::IsA,
        "descendent-of" => Operator::DescendentOf,
        "is-not-a" => Operator::IsNotA,
        "generalizes" => Operator::Generalizes,
        "in" => Operator::In,
        "not-in" => Operator::NotIn,
        "exists" => Operator::Exists,
        "regex" => {
            let anchored = format!("^(?:{value})$");
            Operator::Regex(regex::RegexBuilder::new(&anchored).size_limit(PATTERN_BYTES_MAX).build().ok())
        }
        other => Operator::Other(other.to_owned()),
    };
    Some(Filter { property: element.text_of(name::PROPERTY)?.to_owned(), operator, value })
}

fn expansion_codes(expansion: Element<'_>) -> HashSet<(Box<str>, Box<str>)> {
    let mut codes = HashSet::new();
    let mut waiting: Vec<Element<'_>> = expansion.children_named(name::CONTAINS).collect();
    while let Some(entry) = waiting.pop() {
        if let Some(code) = entry.text_of(name::CODE)
            && entry.text_of(name::ABSTRACT) != Some("true")
        {
            codes.insert((entry.text_of(name::SYSTEM).unwrap_or_default().into(), code.into()));
        }
        waiting.extend(entry.children_named(name::CONTAINS));
    }
    codes
}

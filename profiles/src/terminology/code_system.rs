//! A CodeSystem, compiled: concepts by code, their hierarchy and properties.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem.html>

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use fhir_model::schema::{NameId, name};
use fhir_model::tree::{Element, Resource};

use crate::definitions::split_canonical;

/// The number of a concept within its code system.
pub type ConceptId = u32;

/// How much of a code system is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Complete,
    /// A part, examples, or nothing.
    Partial,
    /// Displays and properties for the codes of another.
    Supplement,
}

/// A code system, compiled.
#[derive(Debug)]
pub struct CodeSystem {
    url: String,
    name: String,
    version: Option<String>,
    content: Content,
    is_case_sensitive: bool,
    concepts: Vec<Concept>,
    by_code: HashMap<Box<str>, ConceptId>,
    /// Code and display of each concept in lower case, made when first searched.
    folded: OnceLock<Vec<Box<str>>>,
}

/// A concept.
#[derive(Debug)]
struct Concept {
    code: Box<str>,
    display: Option<Box<str>>,
    definition: Option<Box<str>>,
    designations: Vec<Designation>,
    properties: Vec<Property>,
    parents: Vec<ConceptId>,
    children: Vec<ConceptId>,
}

/// A further display of a concept.
#[derive(Debug, Clone)]
pub struct Designation {
    /// Its language, BCP 47.
    pub language: Option<Box<str>>,
    /// What it is for.
    pub usage: Option<Box<str>>,
    /// The text.
    pub value: Box<str>,
}

/// A property of a concept.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its code.
    pub code: Box<str>,
    /// Its value as text; of a Coding, the code.
    pub value: Box<str>,
    /// The code system of a Coding.
    pub system: Option<Box<str>>,
    /// The FHIR type of the value.
    pub type_name: &'static str,
}

impl CodeSystem {
    /// Compiles a CodeSystem.
    pub fn compile(resource: &Resource) -> CodeSystem {
        let root = resource.root();
        let content = match root.text_of(name::CONTENT) {
            Some("complete") => Content::Complete,
            Some("supplement") => Content::Supplement,
            _ => Content::Partial,
        };
        let mut made = CodeSystem {
            url: root.text_of(name::URL).unwrap_or_default().to_owned(),
            name: root.text_of(name::TITLE).or(root.text_of(name::NAME)).unwrap_or_default().to_owned(),
            version: root.text_of(name::VERSION).map(str::to_owned),
            content,
            is_case_sensitive: root.text_of(name::CASE_SENSITIVE) != Some("false"),
            concepts: Vec::new(),
            by_code: HashMap::new(),
            folded: OnceLock::new(),
        };
        made.concepts_of(root);
        made.link_by_properties();
        made
    }

    /// Adds what a supplement tells of concepts that are here: its displays
    /// as further displays in its language, its designations and properties.
    /// One that is for another version adds nothing.
    pub fn supplement(&mut self, supplement: &Resource) {
        let root = supplement.root();
        let of_version = root.text_of(name::SUPPLEMENTS).and_then(|base| split_canonical(base).1);
        if of_version.is_some() && of_version != self.version.as_deref() {
            return;
        }
        let language = root.text_of(name::LANGUAGE);
        let mut waiting: Vec<Element<'_>> = root.children_named(name::CONCEPT).collect();
        while let Some(element) = waiting.pop() {
            waiting.extend(element.children_named(name::CONCEPT));
            let Some(code) = element.text_of(name::CODE) else { continue };
            let Some(known) = self.concept(code).and_then(|id| self.concepts.get_mut(id as usize)) else {
                continue;
            };
            let more = concept(element, code, None);
            known.designations.extend(more.display.map(|value| Designation {
                language: language.map(Box::from),
                usage: None,
                value,
            }));
            known.designations.extend(more.designations);
            known.properties.extend(more.properties);
        }
    }

    /// Takes the concepts in document order; nesting makes the hierarchy.
    fn concepts_of(&mut self, root: Element<'_>) {
        let mut waiting: Vec<(Element<'_>, Option<ConceptId>)> = Vec::new();
        let mut top: Vec<_> = root.children_named(name::CONCEPT).map(|c| (c, None)).collect();
        top.reverse();
        waiting.extend(top);
        while let Some((element, parent)) = waiting.pop() {
            let Some(code) = element.text_of(name::CODE) else { continue };
            let id = self.concepts.len() as ConceptId;
            self.by_code.entry(self.key(code)).or_insert(id);
            self.concepts.push(concept(element, code, parent));
            if let Some(parent) = parent {
                self.concepts[parent as usize].children.push(id);
            }
            let mut below: Vec<_> = element.children_named(name::CONCEPT).map(|c| (c, Some(id))).collect();
            below.reverse();
            waiting.extend(below);
        }
    }

    /// The properties `parent` and `child` make the hierarchy as well.
    fn link_by_properties(&mut self) {
        let mut links: Vec<(ConceptId, ConceptId)> = Vec::new();
        for (id, concept) in self.concepts.iter().enumerate() {
            for property in &concept.properties {
                let Some(other) = self.concept(&property.value) else { continue };
                match &*property.code {
                    "parent" | "subsumedBy" => links.push((other, id as ConceptId)),
                    "child" => links.push((id as ConceptId, other)),
                    _ => {}
                }
            }
        }
        for (parent, child) in links {
            if parent != child && !self.concepts[child as usize].parents.contains(&parent) {
                self.concepts[child as usize].parents.push(parent);
                self.concepts[parent as usize].children.push(child);
            }
        }
    }

    fn key(&self, code: &str) -> Box<str> {
        if self.is_case_sensitive { code.into() } else { code.to_lowercase().into() }
    }

    /// Returns its canonical URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its name for a reader.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its version.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns how much of it is at hand.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Tells whether every code of it is at hand.
    pub fn is_complete(&self) -> bool {
        self.content == Content::Complete
    }

    /// Returns the number of concepts.
    pub fn len(&self) -> usize {
        self.concepts.len()
    }

    /// Tells whether there are no concepts.
    pub fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }

    /// Finds a concept by its code.
    pub fn concept(&self, code: &str) -> Option<ConceptId> {
        if self.is_case_sensitive {
            return self.by_code.get(code).copied();
        }
        self.by_code.get(code.to_lowercase().as_str()).copied()
    }

    /// Returns every concept, in the order of the resource.
    pub fn concepts(&self) -> impl Iterator<Item = ConceptId> + use<> {
        0..self.concepts.len() as ConceptId
    }

    fn get(&self, id: ConceptId) -> Option<&Concept> {
        self.concepts.get(id as usize)
    }

    /// Returns the code of a concept.
    pub fn code(&self, id: ConceptId) -> &str {
        self.get(id).map_or("", |c| &c.code)
    }

    /// Returns the display of a concept.
    pub fn display(&self, id: ConceptId) -> Option<&str> {
        self.get(id)?.display.as_deref()
    }

    /// Returns the definition of a concept.
    pub fn definition(&self, id: ConceptId) -> Option<&str> {
        self.get(id)?.definition.as_deref()
    }

    /// Returns the further displays of a concept.
    pub fn designations(&self, id: ConceptId) -> &[Designation] {
        self.get(id).map_or(&[], |c| &c.designations)
    }

    /// Returns the properties of a concept.
    pub fn properties(&self, id: ConceptId) -> &[Property] {
        self.get(id).map_or(&[], |c| &c.properties)
    }

    /// Returns the concepts right above.
    pub fn parents(&self, id: ConceptId) -> &[ConceptId] {
        self.get(id).map_or(&[], |c| &c.parents)
    }

    /// Returns the concepts right below.
    pub fn children(&self, id: ConceptId) -> &[ConceptId] {
        self.get(id).map_or(&[], |c| &c.children)
    }

    /// Tells whether a text is a display of the concept, capitals and spaces apart.
    pub fn has_display(&self, id: ConceptId, display: &str) -> bool {
        let Some(concept) = self.get(id) else { return false };
        let same = |text: &str| {
            let words = |t: &str| t.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
            words(text) == words(display)
        };
        concept.display.as_deref().is_none_or(same) || concept.designations.iter().any(|d| same(&d.value))
    }

    /// Tells whether code and display of a concept have all of these words.
    pub fn has_words(&self, id: ConceptId, words: &Words) -> bool {
        words.is_empty() || self.folded().get(id as usize).is_some_and(|text| words.are_in(text.as_bytes()))
    }

    fn folded(&self) -> &[Box<str>] {
        self.folded.get_or_init(|| {
            let text = |c: &Concept| folded(&c.code, c.display.as_deref()).into_boxed_str();
            self.concepts.iter().map(text).collect()
        })
    }

    /// Tells whether a concept is no longer to be used.
    pub fn is_inactive(&self, id: ConceptId) -> bool {
        self.properties(id).iter().any(|p| match &*p.code {
            "inactive" => &*p.value == "true",
            "status" => matches!(&*p.value, "retired" | "inactive" | "deprecated"),
            _ => false,
        })
    }

    /// Tells whether a concept only groups others.
    pub fn is_abstract(&self, id: ConceptId) -> bool {
        self.properties(id)
            .iter()
            .any(|p| matches!(&*p.code, "notSelectable" | "abstract") && &*p.value == "true")
    }

    /// Tells whether `special` is `general`, or below it.
    pub fn is_a(&self, special: ConceptId, general: ConceptId) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = vec![special];
        while let Some(at) = waiting.pop() {
            if at == general {
                return true;
            }
            if seen.insert(at) {
                waiting.extend(self.parents(at));
            }
        }
        false
    }
}

/// Returns code and display as words are looked for in them.
fn folded(code: &str, display: Option<&str>) -> String {
    format!("{code} {}", display.unwrap_or_default()).to_lowercase()
}

/// The words of a text filter, capitals apart.
#[derive(Debug, Default)]
pub struct Words(Vec<memchr::memmem::Finder<'static>>);

impl Words {
    /// Takes a filter apart.
    pub fn of(filter: &str) -> Words {
        let words = filter.split_whitespace().map(str::to_lowercase);
        Words(words.map(|word| memchr::memmem::Finder::new(word.as_bytes()).into_owned()).collect())
    }

    /// Tells whether there are none, which every text has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether a code and its display have all of them.
    pub fn are_of(&self, code: &str, display: Option<&str>) -> bool {
        self.is_empty() || self.are_in(folded(code, display).as_bytes())
    }

    fn are_in(&self, folded: &[u8]) -> bool {
        self.0.iter().all(|word| word.find(folded).is_some())
    }
}

fn concept(element: Element<'_>, code: &str, parent: Option<ConceptId>) -> Concept {
    let text = |of: Element<'_>, part: NameId| of.text_of(part).map(Box::from);
    let designations = element.children_named(name::DESIGNATION).filter_map(|d| {
        Some(Designation {
            language: text(d, name::LANGUAGE),
            usage: d.child(name::USE).and_then(|u| text(u, name::CODE)),
            value: d.text_of(name::VALUE)?.into(),
        })
    });
    let properties = element.children_named(name::PROPERTY).filter_map(|p| {
        let value = p.child(name::VALUE)?;
        Some(Property {
            code: p.text_of(name::CODE)?.into(),
            value: value.value().or_else(|| value.text_of(name::CODE))?.into(),
            system: text(value, name::SYSTEM),
            type_name: value.ty().name(),
        })
    });
    Concept {
        code: code.into(),
        display: text(element, name::DISPLAY),
        definition: text(element, name::DEFINITION),
        designations: designations.collect(),
        properties: properties.collect(),
        parents: parent.into_iter().collect(),
        children: Vec::new(),
    }
}

//! The concepts of a table, and the CodeSystem they make.
//!
//! The concepts stand in one list; a `parent` property makes the hierarchy.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem.html>

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::error::{Finding, Notes};
use super::table::Row;
use crate::terminology::alias;

/// A property that the concepts of a table have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyDefinition {
    /// Its code.
    pub code: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Its type, of those a CodeSystem allows.
    pub kind: Kind,
}

impl PropertyDefinition {
    /// Defines a property that is a text.
    pub(super) const fn text(code: &'static str, description: &'static str) -> PropertyDefinition {
        PropertyDefinition { code, description, kind: Kind::Text }
    }
}

/// The type of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A code of the same code system.
    Code,
    /// A code of another code system, with this URL.
    Coding(&'static str),
    /// True or false.
    Boolean,
}

/// The code above in the hierarchy.
pub(super) const PARENT: PropertyDefinition =
    PropertyDefinition { code: "parent", description: "The concept right above", kind: Kind::Code };
/// No longer to be used.
pub(super) const INACTIVE: PropertyDefinition =
    PropertyDefinition { code: "inactive", description: "No longer to be used", kind: Kind::Boolean };

/// What a table of codes is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming {
    /// The canonical URL.
    pub url: String,
    /// The OID.
    pub oid: Option<String>,
    /// The version.
    pub version: Option<String>,
    /// The name for a program: a letter, then letters and digits.
    pub name: String,
    /// The name for a reader.
    pub title: String,
    /// Whose it is, and how it may be used.
    pub copyright: Option<&'static str>,
    /// When it was released.
    pub date: Option<String>,
    /// The language of the displays, BCP 47.
    pub language: Option<&'static str>,
}

/// A further display of a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Designation {
    pub(super) language: Option<String>,
    pub(super) usage: Option<&'static str>,
    pub(super) value: String,
}

/// What a table says of one code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Concept {
    pub(super) display: Option<String>,
    pub(super) definition: Option<String>,
    pub(super) designations: Vec<Designation>,
    pub(super) properties: Vec<(PropertyDefinition, String)>,
}

impl Concept {
    /// Makes a concept with a display alone.
    pub(super) fn of(display: Option<String>) -> Concept {
        Concept { display, ..Concept::default() }
    }

    /// Adds a property where it has a value.
    pub(super) fn set(&mut self, property: PropertyDefinition, value: Option<String>) {
        self.properties.extend(value.map(|value| (property, value)));
    }
}

/// A table of codes.
#[derive(Debug, Clone, Default)]
pub struct CodeTable {
    /// What it is called.
    pub naming: Naming,
    pub(super) concepts: IndexMap<String, Concept>,
}

impl CodeTable {
    /// Makes an empty table.
    pub fn new(naming: Naming) -> CodeTable {
        CodeTable { naming, concepts: IndexMap::new() }
    }

    /// Returns the number of codes.
    pub fn len(&self) -> usize {
        self.concepts.len()
    }

    /// Tells whether there are no codes.
    pub fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }

    /// Adds the concept of a row. Of a code that is there already the first
    /// stays, and another display becomes a designation.
    pub(super) fn add(&mut self, code: String, concept: Concept, row: &Row<'_>, notes: &mut Notes) {
        let Some(known) = self.concepts.get_mut(&code) else {
            self.concepts.insert(code, concept);
            return;
        };
        let new = concept.display.filter(|display| known.display.as_ref() != Some(display));
        match new {
            None => row.tell(Finding::Repeated(code), notes),
            Some(value) => {
                row.tell(Finding::OtherText(code), notes);
                if known.display.is_none() {
                    known.display = Some(value);
                } else if !known.designations.iter().any(|d| d.value == value) {
                    known.designations.push(Designation { language: None, usage: None, value });
                }
            }
        }
    }

    /// Puts each concept below the nearest that is there of those `above` it.
    pub(super) fn link(&mut self, above: impl Fn(&str) -> Vec<String>) {
        let find =
            |code: &String| above(code).into_iter().find(|c| c != code && self.concepts.contains_key(c));
        let parents: Vec<Option<String>> = self.concepts.keys().map(find).collect();
        for (concept, parent) in self.concepts.values_mut().zip(parents) {
            concept.set(PARENT, parent);
        }
    }

    /// Returns the CodeSystem, as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let naming = &self.naming;
        let mut defined: Vec<PropertyDefinition> = Vec::new();
        for (property, _) in self.concepts.values().flat_map(|c| &c.properties) {
            if !defined.contains(property) {
                defined.push(*property);
            }
        }
        let mut head = Map::new();
        let mut put = |part: &str, value: Option<Value>| {
            head.extend(value.map(|value| (part.to_owned(), value)));
        };
        put("resourceType", Some(json!("CodeSystem")));
        put("id", Some(json!(id_of(naming))));
        put("language", naming.language.map(Value::from));
        put("url", Some(json!(naming.url)));
        let oid = naming.oid.as_ref();
        put(
            "identifier",
            oid.map(|o| json!([{"system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{o}")}])),
        );
        put("version", naming.version.clone().map(Value::from));
        put("name", Some(json!(naming.name)));
        put("title", Some(json!(naming.title)));
        put("status", Some(json!("active")));
        put("experimental", Some(json!(false)));
        put("date", naming.date.clone().map(Value::from));
        put("copyright", naming.copyright.map(Value::from));
        put("caseSensitive", Some(json!(true)));
        put("hierarchyMeaning", defined.contains(&PARENT).then(|| json!("is-a")));
        put("content", Some(json!("complete")));
        put("count", Some(json!(self.concepts.len())));
        let properties = defined.iter().map(property_definition).collect::<Vec<_>>();
        put("property", Some(Value::from(properties)).filter(|_| !defined.is_empty()));
        let mut text = Value::Object(head).to_string().into_bytes();
        if !self.concepts.is_empty() {
            // Concepts are written one by one: as one value they would take many times the room.
            text.pop();
            text.extend_from_slice(b",\"concept\":[");
            for (at, (code, concept)) in self.concepts.iter().enumerate() {
                if at > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(concept_json(code, concept).to_string().as_bytes());
            }
            text.extend_from_slice(b"]}");
        }
        text
    }
}

fn property_definition(property: &PropertyDefinition) -> Value {
    let kind = match property.kind {
        Kind::Text => "string",
        Kind::Code => "code",
        Kind::Coding(_) => "Coding",
        Kind::Boolean => "boolean",
    };
    let mut value = json!({"code": property.code, "description": property.description, "type": kind});
    if matches!(property.code, "parent" | "inactive")
        && let Some(value) = value.as_object_mut()
    {
        let uri = format!("http://hl7.org/fhir/concept-properties#{}", property.code);
        value.insert("uri".to_owned(), uri.into());
    }
    value
}

fn concept_json(code: &str, concept: &Concept) -> Value {
    let mut value = Map::new();
    value.insert("code".to_owned(), code.into());
    for (part, text) in [("display", &concept.display), ("definition", &concept.definition)] {
        value.extend(text.clone().map(|text| (part.to_owned(), text.into())));
    }
    let designations = concept.designations.iter().map(|designation| {
        let mut value = Map::new();
        value.extend(designation.language.clone().map(|l| ("language".to_owned(), l.into())));
        let usage = designation.usage.map(|code| json!({"system": alias::LOINC.url, "code": code}));
        value.extend(usage.map(|usage| ("use".to_owned(), usage)));
        value.insert("value".to_owned(), designation.value.clone().into());
        Value::Object(value)
    });
    if !concept.designations.is_empty() {
        value.insert("designation".to_owned(), designations.collect());
    }
    let properties = concept.properties.iter().map(|(property, text)| match property.kind {
        Kind::Text => json!({"code": property.code, "valueString": text}),
        Kind::Code => json!({"code": property.code, "valueCode": text}),
        Kind::Coding(system) => {
            json!({"code": property.code, "valueCoding": {"system": system, "code": text}})
        }
        Kind::Boolean => json!({"code": property.code, "valueBoolean": text == "true"}),
    });
    if !concept.properties.is_empty() {
        value.insert("property".to_owned(), properties.collect());
    }
    Value::Object(value)
}

/// An id of at most 64 characters, of its OID or name, and version.
fn id_of(naming: &Naming) -> String {
    let base = naming.oid.as_deref().unwrap_or(&naming.name);
    let version = naming.version.as_deref().map(|v| format!("-{v}")).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("{base}{version}").chars().map(plain).take(64).collect()
}

//! The ebXML registry information model 3.0, as far as IHE uses it: registry
//! objects with slots, classifications and external identifiers, read without
//! loss and written in the order of the schema. What they mean stands in
//! [`crate::xds`].
//!
//! Spec: ebRIM 3.0, ITI TF-3 4.2.1

mod read;
mod write;

pub use read::read_objects;
pub use write::{write_object, write_object_ref};

/// A registry object: a document, a package (submission set or folder), or an
/// association of two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryObject {
    /// Which element it is.
    pub kind: ObjectKind,
    /// Its id: `urn:uuid:...`, or a symbol that holds within a submission.
    pub id: String,
    /// The id that its versions share.
    pub logical_id: Option<String>,
    /// The community that it is of, `urn:oid:...`.
    pub home: Option<String>,
    /// Its type: of a document stable or on demand.
    pub object_type: Option<String>,
    /// Its status as a whole URN.
    pub status: Option<String>,
    /// The media type of a document.
    pub mime_type: Option<String>,
    /// The name of its version.
    pub version: Option<String>,
    /// Its name.
    pub name: Vec<LocalizedString>,
    /// Its description.
    pub description: Vec<LocalizedString>,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// Its classifications.
    pub classifications: Vec<Classification>,
    /// Its external identifiers.
    pub external_identifiers: Vec<ExternalIdentifier>,
    /// What an association relates.
    pub ends: Option<Ends>,
}

/// Which element a registry object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectKind {
    /// A document.
    #[default]
    ExtrinsicObject,
    /// A submission set or a folder.
    RegistryPackage,
    /// An association.
    Association,
}

/// What an association relates, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ends {
    /// How, as a URN.
    pub kind: String,
    /// The id of the one.
    pub source: String,
    /// The id of the other.
    pub target: String,
}

/// A text in a language.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalizedString {
    /// The language, if it is said.
    pub lang: Option<String>,
    /// The text.
    pub value: String,
}

/// A named list of values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// What type its values have, if it is said.
    pub slot_type: Option<String>,
    /// Its values.
    pub values: Vec<String>,
}

/// A classification of an object: by a code of a scheme, or by a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classification {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The scheme; of the sort of code that it is.
    pub scheme: Option<String>,
    /// The node, instead of a scheme.
    pub node: Option<String>,
    /// The code.
    pub representation: String,
    /// The name of the code.
    pub name: Vec<LocalizedString>,
    /// Its slots: the system of the code, the parts of an author.
    pub slots: Vec<Slot>,
}

/// An identifier of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalIdentifier {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The sort of identifier that it is.
    pub scheme: String,
    /// The identifier.
    pub value: String,
    /// The name of its sort.
    pub name: Vec<LocalizedString>,
}

impl RegistryObject {
    /// Returns the values of a slot; none when it is not there.
    pub fn slot(&self, name: &str) -> &[String] {
        slot(&self.slots, name)
    }

    /// Returns the first value of a slot.
    pub fn slot_value(&self, name: &str) -> Option<&str> {
        self.slot(name).first().map(String::as_str)
    }

    /// Puts a slot of these values in the place of the one of its name.
    pub fn set_slot(&mut self, name: &str, values: Vec<String>) {
        self.slots.retain(|slot| slot.name != name);
        self.slots.push(Slot { name: name.to_owned(), slot_type: None, values });
    }

    /// Returns the classifications by a scheme.
    pub fn classified_by<'o>(&'o self, scheme: &'o str) -> impl Iterator<Item = &'o Classification> {
        self.classifications.iter().filter(move |c| c.scheme.as_deref() == Some(scheme))
    }

    /// Tells whether it is classified by a node.
    pub fn is_of_node(&self, node: &str) -> bool {
        self.classifications.iter().any(|c| c.node.as_deref() == Some(node))
    }

    /// Returns its identifier of a sort.
    pub fn identifier(&self, scheme: &str) -> Option<&str> {
        self.external_identifiers.iter().find(|i| i.scheme == scheme).map(|i| i.value.as_str())
    }
}

impl Classification {
    /// Returns the values of a slot; none when it is not there.
    pub fn slot(&self, name: &str) -> &[String] {
        slot(&self.slots, name)
    }
}

fn slot<'s>(slots: &'s [Slot], name: &str) -> &'s [String] {
    slots.iter().find(|slot| slot.name == name).map_or(&[], |slot| &slot.values)
}

#[cfg(test)]
mod tests;

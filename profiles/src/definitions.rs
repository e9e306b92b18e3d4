//! Definitions by canonical URL: what packages, a server's own resources and
//! files of a caller bring together, versions kept apart.
//!
//! A definition is kept as the bytes that it came in and read when it is
//! first asked for: of a package of thousands, a validation needs a handful.
//!
//! Spec: <https://hl7.org/fhir/R4/references.html#canonical>

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use fhir_model::json;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::Resource;

/// One definition: a StructureDefinition, ValueSet, CodeSystem, ConceptMap, StructureMap ...
#[derive(Debug)]
pub struct Definition {
    resource_type: TypeId,
    id: Option<String>,
    url: String,
    version: Option<String>,
    source: Source,
    read: OnceLock<Option<Arc<Resource>>>,
}

#[derive(Debug)]
enum Source {
    /// The JSON that it was packed as.
    Json(Vec<u8>),
    /// Where its JSON stands in a file: offset and length, in bytes.
    File(Arc<Path>, u64, usize),
    /// It came read, in `Definition::read`.
    Tree,
}

impl Definition {
    /// Makes a definition of a resource; `None` when it has no `url`.
    pub fn of(resource: Resource) -> Option<Definition> {
        let root = resource.root();
        Some(Definition {
            resource_type: resource.resource_type(),
            id: resource.id().map(str::to_owned),
            url: root.text_of(name::URL)?.to_owned(),
            version: root.text_of(name::VERSION).map(str::to_owned),
            source: Source::Tree,
            read: OnceLock::from(Some(Arc::new(resource))),
        })
    }

    /// Makes a definition that is read from JSON when it is first asked for.
    pub fn unread(
        resource_type: TypeId,
        id: Option<String>,
        url: String,
        version: Option<String>,
        json: Vec<u8>,
    ) -> Definition {
        Definition { resource_type, id, url, version, source: Source::Json(json), read: OnceLock::new() }
    }

    /// Makes a definition that is read from a part of a file when it is first asked for.
    pub fn in_file(
        resource_type: TypeId,
        id: Option<String>,
        url: String,
        version: Option<String>,
        (file, offset, length): (Arc<Path>, u64, usize),
    ) -> Definition {
        let source = Source::File(file, offset, length);
        Definition { resource_type, id, url, version, source, read: OnceLock::new() }
    }

    /// Returns its resource type.
    pub fn resource_type(&self) -> TypeId {
        self.resource_type
    }

    /// Returns its logical id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns its canonical URL, without version.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its business version, if it has one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Tells whether the definition may have an element of this name, by its
    /// bytes where it is not read yet: looking is cheaper than reading.
    pub fn may_have(&self, element: &str) -> bool {
        let key = format!("\"{element}\"");
        let has_key = |bytes: &[u8]| memchr::memmem::find(bytes, key.as_bytes()).is_some();
        match &self.source {
            Source::Json(bytes) => has_key(bytes),
            Source::File(file, offset, length) => {
                part_of_file(file, *offset, *length).is_ok_and(|bytes| has_key(&bytes))
            }
            Source::Tree => true,
        }
    }

    /// Returns the resource; `None` when what it was packed as cannot be read.
    pub fn resource(&self) -> Option<&Arc<Resource>> {
        self.read.get_or_init(|| self.read_packed().map(Arc::new)).as_ref()
    }

    /// Returns the resource, and does not keep it where it was not read yet:
    /// for who goes through all of a package.
    pub fn resource_once(&self) -> Option<Arc<Resource>> {
        match self.read.get() {
            Some(read) => read.clone(),
            None => self.read_packed().map(Arc::new),
        }
    }

    /// Returns how large its JSON is, in bytes; 0 where it came read.
    pub fn size(&self) -> usize {
        match &self.source {
            Source::Json(bytes) => bytes.len(),
            Source::File(_, _, length) => *length,
            Source::Tree => 0,
        }
    }

    fn read_packed(&self) -> Option<Resource> {
        match &self.source {
            Source::Json(bytes) => json::read(bytes.clone()).ok(),
            Source::File(file, offset, length) => json::read(part_of_file(file, *offset, *length).ok()?).ok(),
            Source::Tree => None,
        }
    }
}

fn part_of_file(path: &Path, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Splits a canonical reference in URL, version and fragment.
pub fn split_canonical(canonical: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, fragment) = match canonical.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (canonical, None),
    };
    match rest.split_once('|') {
        Some((url, version)) => (url, Some(version).filter(|v| !v.is_empty()), fragment),
        None => (rest, None, fragment),
    }
}

/// Compares business versions: numbers as numbers, a pre-release before its release.
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let part = |text: &str| -> (Vec<Result<u64, String>>, bool, String) {
        let (release, label) = text.split_once('-').map_or((text, ""), |(r, l)| (r, l));
        let numbers = release.split('.').map(|p| p.parse().map_err(|_| p.to_owned())).collect();
        (numbers, label.is_empty(), label.to_owned())
    };
    part(left).cmp(&part(right))
}

/// Definitions by canonical URL.
///
/// Later additions win over earlier ones of the same type, URL and version.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    by_url: HashMap<String, Vec<Arc<Definition>>>,
}

impl Definitions {
    /// Makes an empty set.
    pub fn new() -> Definitions {
        Definitions::default()
    }

    /// Adds a definition.
    pub fn add(&mut self, definition: Definition) {
        let definition = Arc::new(definition);
        let same_url = self.by_url.entry(definition.url.clone()).or_default();
        same_url.retain(|d| d.resource_type != definition.resource_type || d.version != definition.version);
        same_url.push(definition);
    }

    /// Adds a resource; tells whether it has a canonical URL, without which it
    /// is no definition.
    pub fn add_resource(&mut self, resource: Resource) -> bool {
        Definition::of(resource).map(|definition| self.add(definition)).is_some()
    }

    /// Removes the definition of that type, URL and version; tells whether there was one.
    pub fn remove(&mut self, resource_type: TypeId, url: &str, version: Option<&str>) -> bool {
        let Some(same_url) = self.by_url.get_mut(url) else { return false };
        let before = same_url.len();
        same_url.retain(|d| d.resource_type != resource_type || d.version.as_deref() != version);
        let removed = same_url.len() < before;
        if same_url.is_empty() {
            self.by_url.remove(url);
        }
        removed
    }

    /// Finds what a canonical, `url` or `url|version`, means. Without a
    /// version, or with the beginning of one (`4.0`), the newest is meant.
    pub fn find(&self, resource_type: TypeId, canonical: &str) -> Option<&Arc<Definition>> {
        let (url, version, _) = split_canonical(canonical);
        let of_type =
            || self.by_url.get(url).into_iter().flatten().filter(|d| d.resource_type == resource_type);
        let newest = |a: &&Arc<Definition>, b: &&Arc<Definition>| {
            compare_versions(a.version().unwrap_or(""), b.version().unwrap_or(""))
        };
        let Some(version) = version else { return of_type().max_by(newest) };
        let begins = |d: &&Arc<Definition>| {
            d.version().and_then(|v| v.strip_prefix(version)).is_some_and(|rest| rest.starts_with('.'))
        };
        of_type().find(|d| d.version() == Some(version)).or_else(|| of_type().filter(begins).max_by(newest))
    }

    /// Finds and reads what a canonical means.
    pub fn resource(&self, resource_type: TypeId, canonical: &str) -> Option<&Arc<Resource>> {
        self.find(resource_type, canonical)?.resource()
    }

    /// Returns the definitions of a type, in no particular order.
    pub fn of_type(&self, resource_type: TypeId) -> impl Iterator<Item = &Arc<Definition>> {
        self.iter().filter(move |d| d.resource_type == resource_type)
    }

    /// Returns every definition, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_url.values().flatten()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.by_url.values().map(Vec::len).sum()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_url.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use fhir_model::schema::ty;

    use super::*;

    fn value_set(version: &str) -> Resource {
        let json = format!(r#"{{"resourceType":"ValueSet","url":"http://x","version":"{version}"}}"#);
        json::read(json).expect("readable")
    }

    #[test]
    fn a_canonical_means_the_version_asked_for_or_the_newest() {
        let mut definitions = Definitions::new();
        for version in ["1.2.0", "1.10.0", "1.10.0-beta", "2.0.0-draft"] {
            assert!(definitions.add_resource(value_set(version)));
        }
        for (canonical, found) in [
            ("http://x", Some("2.0.0-draft")),
            ("http://x|1.2.0", Some("1.2.0")),
            ("http://x|1", Some("1.10.0")),
            ("http://x|1.10", Some("1.10.0")),
            ("http://x|3", None),
            ("http://y", None),
        ] {
            let version = definitions.find(ty::VALUE_SET, canonical).and_then(|d| d.version());
            assert_eq!(version, found, "{canonical}");
        }
        assert!(definitions.find(ty::CODE_SYSTEM, "http://x").is_none());
        assert!(definitions.remove(ty::VALUE_SET, "http://x", Some("2.0.0-draft")));
        assert_eq!(definitions.len(), 3);
    }

    #[test]
    fn a_definition_is_read_when_asked_for() {
        let unread = |json: &str| {
            Definition::unread(ty::VALUE_SET, None, "http://x".into(), None, json.as_bytes().to_vec())
        };
        assert!(unread(r#"{"resourceType":"ValueSet","url":"http://x"}"#).resource().is_some());
        assert!(unread("{").resource().is_none());
    }
}

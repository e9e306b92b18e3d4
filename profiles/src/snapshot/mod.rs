//! Snapshots: the whole of a profile, out of what it changes.
//!
//! The base's snapshot is copied, then each element of the differential is
//! applied to it in turn: where the element is not there yet, the types above
//! it are unfolded, and slices are made of the element that they slice.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html#snapshot>

mod merge;

use fhir_model::schema::{NameId, Property, TypeId, name, ty};
use fhir_model::tree::{Element, NodeId, Resource};

use crate::definitions::Definitions;
use merge::merge;

/// The greatest number of elements of a snapshot.
const ELEMENTS_MAX: usize = 20_000;

/// The greatest number of profiles that build on each other.
const DEPTH_MAX: usize = 32;

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not a StructureDefinition with what it takes.
    #[error("the structure definition has no {0}")]
    Incomplete(&'static str),
    /// What it builds on is not known.
    #[error("{0} is not known; install the package that defines it")]
    Missing(String),
    /// Profiles build on each other in a circle, or too deep.
    #[error("{0} builds on itself, or on more than {DEPTH_MAX} others")]
    Circular(String),
    /// An element of the differential cannot be placed.
    #[error("the element {0} is not in what the profile builds on")]
    NoElement(String),
    /// It would be larger than allowed.
    #[error("the snapshot would have more than {ELEMENTS_MAX} elements")]
    TooLarge,
}

/// Generates the snapshot of a StructureDefinition, as a copy that has it.
///
/// # Errors
/// When the base, or a type that is stepped into, is not known; when the
/// differential names what is not there; and beyond the limits.
pub fn generate(profile: &Resource, definitions: &Definitions) -> Result<Resource, SnapshotError> {
    generate_at(profile, definitions, 0)
}

fn generate_at(
    profile: &Resource,
    definitions: &Definitions,
    depth: usize,
) -> Result<Resource, SnapshotError> {
    let root = profile.root();
    let url = root.text_of(name::URL).unwrap_or_default().to_owned();
    if depth > DEPTH_MAX {
        return Err(SnapshotError::Circular(url));
    }
    let base_url = root.text_of(name::BASE_DEFINITION).ok_or(SnapshotError::Incomplete("baseDefinition"))?;
    let type_name = root.text_of(name::TYPE).ok_or(SnapshotError::Incomplete("type"))?.to_owned();
    let type_name = type_name.rsplit('/').next().unwrap_or_default().to_owned();
    let base = with_snapshot(base_url, definitions, depth)?;
    let mut made = profile.clone();
    made.remove_named(made.root_id(), NameId::of("snapshot").ok_or(SnapshotError::Incomplete("snapshot"))?);
    let property = property(ty::STRUCTURE_DEFINITION, "snapshot")?;
    let snapshot = made.add(made.root_id(), property, property.ty);
    let element = crate::snapshot::property(property.ty, "element")?;
    let mut generation = Generation { made, element, items: Vec::new(), definitions, depth };
    let base_root = base.root().text_of(name::TYPE).unwrap_or_default().to_owned();
    let base_root = base_root.rsplit('/').next().unwrap_or_default().to_owned();
    let base_definition = base.root().text_of(name::URL).unwrap_or_default().to_owned();
    let elements = snapshot_elements(base.root());
    for from in &elements {
        generation.copy(*from, &base_root, &type_name, None, &base_definition)?;
    }
    let is_specialization = root.text_of(name::DERIVATION) == Some("specialization");
    let differential = root.child_named("differential");
    let mut ids = Ids::default();
    for diff in differential.into_iter().flat_map(|d| d.children_named(name::ELEMENT)) {
        let id = ids.of(diff);
        generation.apply(diff, &id, is_specialization)?;
    }
    let Generation { mut made, items, .. } = generation;
    let order: Vec<NodeId> = items.iter().map(|i| i.node).collect();
    made.set_children(snapshot, &order);
    Ok(made)
}

fn property(of: TypeId, name: &'static str) -> Result<&'static Property, SnapshotError> {
    of.definition().property(name, 0).map(|(_, p)| p).ok_or(SnapshotError::Incomplete(name))
}

fn snapshot_elements(definition: Element<'_>) -> Vec<Element<'_>> {
    definition.child_named("snapshot").into_iter().flat_map(|s| s.children_named(name::ELEMENT)).collect()
}

/// Finds a definition, with its snapshot generated where it has none.
fn with_snapshot(
    canonical: &str,
    definitions: &Definitions,
    depth: usize,
) -> Result<std::sync::Arc<Resource>, SnapshotError> {
    let found = definitions
        .resource(ty::STRUCTURE_DEFINITION, canonical)
        .ok_or_else(|| SnapshotError::Missing(canonical.to_owned()))?;
    if found.root().child_named("snapshot").is_some() {
        return Ok(std::sync::Arc::clone(found));
    }
    generate_at(found, definitions, depth + 1).map(std::sync::Arc::new)
}

/// The ids of the elements of a differential, made where they are not given.
#[derive(Default)]
struct Ids {
    /// The id of the last element of each path.
    last: Vec<(String, String)>,
}

impl Ids {
    fn of(&mut self, diff: Element<'_>) -> String {
        let path = diff.text_of(name::PATH).unwrap_or_default().to_owned();
        let given = diff.text_of(name::ID).filter(|id| id.split('.').count() == path.split('.').count());
        let id = match given {
            Some(id) => id.to_owned(),
            None => {
                let own = match path.rsplit_once('.') {
                    Some((parent, last)) => {
                        let above =
                            self.last.iter().rev().find(|(p, _)| p == parent).map(|(_, id)| id.as_str());
                        format!("{}.{last}", above.unwrap_or(parent))
                    }
                    None => path.clone(),
                };
                match diff.text_of(name::SLICE_NAME) {
                    Some(slice) => format!("{own}:{slice}"),
                    None => own,
                }
            }
        };
        // What stood below an earlier element of this path is over.
        let below = format!("{path}.");
        self.last.retain(|(p, _)| *p != path && !p.starts_with(&below));
        self.last.push((path, id.clone()));
        id
    }
}

/// An element of the snapshot being made.
struct Item {
    id: String,
    path: String,
    node: NodeId,
}

struct Generation<'d> {
    made: Resource,
    element: &'static Property,
    items: Vec<Item>,
    definitions: &'d Definitions,
    depth: usize,
}

impl Generation<'_> {
    /// Copies an element with `from` at the beginning of its path replaced by
    /// `to` (an id), and puts it at `at`, or last.
    fn copy(
        &mut self,
        element: Element<'_>,
        from: &str,
        to: &str,
        at: Option<usize>,
        definition: &str,
    ) -> Result<(), SnapshotError> {
        if self.items.len() >= ELEMENTS_MAX {
            return Err(SnapshotError::TooLarge);
        }
        let path = element.text_of(name::PATH).unwrap_or_default();
        let id = element.text_of(name::ID).unwrap_or(path);
        let replaced = |text: &str, to: &str| match text.strip_prefix(from) {
            Some(rest) if rest.is_empty() || rest.starts_with(['.', ':']) => format!("{to}{rest}"),
            _ => text.to_owned(),
        };
        let id = replaced(id, to);
        let path = replaced(path, &path_of(to));
        let node = self.made.add_detached(self.element);
        self.made.copy_children(node, element);
        self.rename(node, &id, &path)?;
        merge::source(&mut self.made, node, definition);
        let item = Item { id, path, node };
        match at {
            Some(at) => self.items.insert(at, item),
            None => self.items.push(item),
        }
        Ok(())
    }

    fn rename(&mut self, node: NodeId, id: &str, path: &str) -> Result<(), SnapshotError> {
        for (property_name, text) in [("id", id), ("path", path)] {
            let property = property(self.element.ty, property_name)?;
            let held = self.made.element(node).child(property.element.name_id).map(|c| c.id());
            match held {
                Some(held) => self.made.set_value(held, text),
                None => {
                    let held = self.made.insert_first(node, property, property.ty);
                    self.made.set_value(held, text);
                }
            }
        }
        Ok(())
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.items.iter().position(|item| item.id == id)
    }

    /// Returns where the elements below, and the slices of, an element end.
    fn end_of(&self, at: usize, with_slices: bool) -> usize {
        let id = &self.items[at].id;
        let is_below = |other: &str| match other.strip_prefix(id.as_str()) {
            Some(rest) => rest.starts_with(['.', '/']) || with_slices && rest.starts_with(':'),
            None => false,
        };
        self.items[at + 1..]
            .iter()
            .position(|item| !is_below(&item.id))
            .map_or(self.items.len(), |n| at + 1 + n)
    }

    fn apply(&mut self, diff: Element<'_>, id: &str, is_new_allowed: bool) -> Result<(), SnapshotError> {
        let at = match self.find(id) {
            Ok(at) => at,
            Err(SnapshotError::NoElement(_)) if is_new_allowed => self.add_new(diff, id)?,
            Err(error) => return Err(error),
        };
        let node = self.items[at].node;
        merge(&mut self.made, node, diff);
        Ok(())
    }

    /// A specialization adds elements of its own, behind those of its parent.
    fn add_new(&mut self, diff: Element<'_>, id: &str) -> Result<usize, SnapshotError> {
        let parent = id.rsplit_once('.').map(|(parent, _)| parent);
        let after = match parent.and_then(|p| self.position(p)) {
            Some(parent) => self.end_of(parent, false),
            None => self.items.len(),
        };
        let path = diff.text_of(name::PATH).unwrap_or(id).to_owned();
        let node = self.made.add_detached(self.element);
        self.rename(node, id, &path)?;
        self.items.insert(after, Item { id: id.to_owned(), path, node });
        Ok(after)
    }

    /// Finds an element by its id, making it where what it stands in allows.
    fn find(&mut self, id: &str) -> Result<usize, SnapshotError> {
        if let Some(at) = self.position(id) {
            return Ok(at);
        }
        let missing = || SnapshotError::NoElement(id.to_owned());
        let (parent, last) = id.rsplit_once('.').ok_or_else(missing)?;
        let parent_at = self.find(parent)?;
        let parent = self.items[parent_at].id.clone();
        if let Some((own, slice)) = last.split_once(':') {
            let sliced = match slice.rsplit_once('/') {
                Some((outer, _)) => format!("{parent}.{own}:{outer}"),
                None => format!("{parent}.{own}"),
            };
            let sliced_at = self.find(&sliced)?;
            return self.slice(sliced_at, own, slice);
        }
        let canonical_id = format!("{parent}.{last}");
        if let Some(at) = self.position(&canonical_id) {
            return Ok(at);
        }
        let has_children = self.items.get(parent_at + 1).is_some_and(|i| is_child(&i.id, &parent));
        if !has_children {
            self.unfold(parent_at)?;
            if let Some(at) = self.position(&canonical_id) {
                return Ok(at);
            }
        }
        // `valueQuantity` is a slice of `value[x]`.
        let choice = self.items.iter().position(|item| {
            is_child(&item.id, &parent)
                && item.id[parent.len() + 1..]
                    .strip_suffix("[x]")
                    .is_some_and(|own| last.starts_with(own) && last.len() > own.len())
        });
        let choice = choice.ok_or_else(missing)?;
        let own = self.items[choice].id[parent.len() + 1..].to_owned();
        let slice_id = format!("{parent}.{own}:{last}");
        if let Some(at) = self.position(&slice_id) {
            return Ok(at);
        }
        self.slice(choice, &own, last)
    }

    /// Makes a slice of an element, behind the slices it has.
    fn slice(&mut self, sliced_at: usize, own: &str, slice: &str) -> Result<usize, SnapshotError> {
        let sliced = self.items[sliced_at].id.clone();
        let end = self.end_of(sliced_at, true);
        let own_end = self.end_of(sliced_at, false);
        let slice_id = match slice.rsplit_once('/') {
            Some(_) => {
                let base = sliced.rsplit_once(':').map_or(sliced.as_str(), |(base, _)| base);
                format!("{base}:{slice}")
            }
            None => format!("{sliced}:{slice}"),
        };
        merge::slicing(&mut self.made, self.items[sliced_at].node, own);
        let originals: Vec<NodeId> = self.items[sliced_at..own_end].iter().map(|i| i.node).collect();
        let snapshot = self.made.clone();
        for (offset, original) in originals.into_iter().enumerate() {
            let element = snapshot.element(original);
            // Paths stay what they are; ids get the name of the slice.
            self.copy(element, &sliced, &slice_id, Some(end + offset), "")?;
        }
        let node = self.items[end].node;
        merge::as_slice(&mut self.made, node, own, slice);
        Ok(end)
    }

    /// Puts the children of an element's type below it.
    fn unfold(&mut self, at: usize) -> Result<(), SnapshotError> {
        let Item { id, path, node } = &self.items[at];
        let (id, path) = (id.clone(), path.clone());
        let element = self.made.element(*node);
        if let Some(reference) = element.text_of(name::CONTENT_REFERENCE) {
            let target = reference.rsplit('#').next().unwrap_or_default().to_owned();
            let from = self.position(&target).ok_or(SnapshotError::NoElement(target.clone()))?;
            let end = self.end_of(from, false);
            let originals: Vec<NodeId> = self.items[from + 1..end].iter().map(|i| i.node).collect();
            let snapshot = self.made.clone();
            for (offset, original) in originals.into_iter().enumerate() {
                self.copy(snapshot.element(original), &target, &id, Some(at + 1 + offset), "")?;
            }
            return Ok(());
        }
        let types: Vec<Element<'_>> = element.children_named(name::TYPE).collect();
        let [one] = types.as_slice() else { return Err(SnapshotError::NoElement(format!("{path}.*"))) };
        let code = one.text_of(name::CODE).unwrap_or_default();
        let profiles: Vec<&str> = one.children_named(name::PROFILE).filter_map(Element::value).collect();
        let base = match profiles.as_slice() {
            [profile] if self.definitions.find(ty::STRUCTURE_DEFINITION, profile).is_some() => {
                (*profile).to_owned()
            }
            _ if code.contains('/') => code.to_owned(),
            _ => format!("http://hl7.org/fhir/StructureDefinition/{code}"),
        };
        let base = with_snapshot(&base, self.definitions, self.depth + 1)?;
        let elements = snapshot_elements(base.root());
        let Some(first) = elements.first() else { return Ok(()) };
        let from = first.text_of(name::PATH).unwrap_or_default().to_owned();
        let definition = base.root().text_of(name::URL).unwrap_or_default();
        for (offset, element) in elements.iter().skip(1).enumerate() {
            self.copy(*element, &from, &id, Some(at + 1 + offset), definition)?;
        }
        Ok(())
    }
}

fn is_child(id: &str, parent: &str) -> bool {
    id.strip_prefix(parent).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| !rest.contains('.'))
}

/// Returns the path that an id stands for: without the names of slices.
fn path_of(id: &str) -> String {
    id.split('.').map(|part| part.split(':').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

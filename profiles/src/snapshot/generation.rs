//! One snapshot being made.

use std::collections::HashSet;
use std::sync::Arc;

use fhir_model::schema::{Property, TypeId, name, ty};
use fhir_model::tree::{Element, NodeId, Resource};

use super::ids::{Ids, path_of};
use super::library::{CORE, Library};
use super::merge::{self, merge};
use super::{ELEMENTS_MAX, PATH_PARTS_MAX, SnapshotError, TEXT_BYTES_MAX};
use super::{differential_elements, links, slicing, snapshot_elements, template};

/// An element of the snapshot being made.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) node: NodeId,
}

/// Where copies come from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// The snapshot being made: a slice of one of its elements.
    Here,
    /// Another definition, by its URL.
    Definition(&'a str),
}

pub(super) struct Generation<'l, 'd> {
    pub(super) library: &'l mut Library<'d>,
    pub(super) base: Option<Arc<Resource>>,
    pub(super) made: Resource,
    /// `StructureDefinition.snapshot.element`.
    element: &'static Property,
    pub(super) items: Vec<Item>,
    /// The ids of the items.
    known: HashSet<String>,
    is_constraint: bool,
    is_resource: bool,
    text_bytes: usize,
    /// The choices of which the differential writes types out, and those types.
    pub(super) written_out: Vec<(NodeId, Vec<String>)>,
}

impl Generation<'_, '_> {
    /// Generates the snapshot of a definition.
    pub(super) fn run(profile: &Resource, library: &mut Library<'_>) -> Result<Resource, SnapshotError> {
        let root = profile.root();
        let is_constraint = root.text_of(name::DERIVATION) != Some("specialization");
        let base = match root.text_of(name::BASE_DEFINITION) {
            Some(base) if library.is_bare_base(base) => None,
            Some(base) => Some(library.with_snapshot(base)?),
            None if root.child(name::DERIVATION).is_none() => None,
            None => return Err(SnapshotError::Incomplete("baseDefinition")),
        };
        let differential = differential_elements(root);
        if base.is_none() && differential.is_empty() && root.child_named("snapshot").is_some() {
            // Built on nothing, it has nothing that could be generated.
            return Ok(profile.clone());
        }
        let mut made = profile.clone();
        let of_snapshot = property(ty::STRUCTURE_DEFINITION, "snapshot")?;
        made.remove_named(made.root_id(), of_snapshot.element.name_id);
        let snapshot = insert_snapshot(&mut made, of_snapshot);
        let element = property(of_snapshot.ty, "element")?;
        let mut generation = Generation {
            library,
            base: base.clone(),
            made,
            element,
            items: Vec::new(),
            known: HashSet::new(),
            is_constraint: is_constraint && base.is_some(),
            is_resource: root.text_of(name::KIND) == Some("resource"),
            text_bytes: 0,
            written_out: Vec::new(),
        };
        if differential.len() > ELEMENTS_MAX {
            return Err(SnapshotError::TooLarge("the elements of a differential"));
        }
        generation.copy_base(base.as_deref(), &root_name(root, &differential)?)?;
        let mut ids = Ids::default();
        for diff in differential {
            let id = ids.next(diff);
            generation.apply(diff, &id)?;
        }
        let Generation { mut made, items, written_out, .. } = generation;
        for (choice, type_names) in written_out {
            slicing::narrow(&mut made, choice, &type_names);
        }
        let order: Vec<NodeId> = items.iter().map(|i| i.node).collect();
        made.set_children(snapshot, &order);
        Ok(made)
    }

    fn copy_base(&mut self, base: Option<&Resource>, to: &str) -> Result<(), SnapshotError> {
        let Some(base) = base.map(Resource::root) else { return Ok(()) };
        let elements = snapshot_elements(base);
        let Some(from) = elements.first().and_then(|e| e.text_of(name::PATH)) else {
            return Err(SnapshotError::Incomplete("snapshot in its base"));
        };
        let origin = Origin::Definition(base.text_of(name::URL).unwrap_or_default());
        self.insert(0, &elements, from, to, origin)
    }

    /// Inserts copies of elements at a place, with `from` at the beginning of
    /// their ids replaced by `to`.
    pub(super) fn insert(
        &mut self,
        at: usize,
        elements: &[Element<'_>],
        from: &str,
        to: &str,
        origin: Origin<'_>,
    ) -> Result<(), SnapshotError> {
        if self.items.len() + elements.len() > ELEMENTS_MAX {
            return Err(SnapshotError::TooLarge("the elements of a snapshot"));
        }
        let mut copies = Vec::with_capacity(elements.len());
        for element in elements {
            copies.push(self.copy(*element, from, to, origin)?);
        }
        self.known.extend(copies.iter().map(|item| item.id.clone()));
        self.items.splice(at..at, copies);
        Ok(())
    }

    fn copy(
        &mut self,
        element: Element<'_>,
        from: &str,
        to: &str,
        origin: Origin<'_>,
    ) -> Result<Item, SnapshotError> {
        self.library.count()?;
        self.text_bytes += bytes_of(element) + to.len();
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(SnapshotError::TooLarge("the bytes of a snapshot"));
        }
        let old_path = element.text_of(name::PATH).unwrap_or_default();
        let old_id = element.text_of(name::ID).unwrap_or(old_path);
        let replaced = |text: &str, from: &str, to: &str| match text.strip_prefix(from) {
            Some(rest) if rest.is_empty() || rest.starts_with(['.', ':', '/']) => format!("{to}{rest}"),
            _ => text.to_owned(),
        };
        let id = replaced(old_id, from, to);
        let path = replaced(old_path, &path_of(from), &path_of(to));
        let node = self.made.add_detached(self.element);
        self.made.copy_children(node, element);
        self.rename(node, &id, &path);
        if let Origin::Definition(url) = origin {
            merge::base(&mut self.made, node, old_path);
            merge::source(&mut self.made, node, url);
            if !path.contains('.') {
                merge::disinherit(&mut self.made, node);
            }
            match self.is_constraint {
                true if url.starts_with(CORE) => links::make_absolute(&mut self.made, node),
                true => {}
                false => self.specialize(node, &path),
            }
        }
        Ok(Item { id, path, node })
    }

    /// What a new type changes in an element that it inherits: it is itself
    /// what its root is defined by, and leaves open how it is extended.
    fn specialize(&mut self, node: NodeId, path: &str) {
        if !path.contains('.') {
            self.made.remove_named(node, name::BASE);
            merge::base(&mut self.made, node, path);
        } else if self.is_resource && template::is_extension(path) {
            self.made.remove_named(node, name::SLICING);
        }
    }

    fn rename(&mut self, node: NodeId, id: &str, path: &str) {
        for (part, text) in [("id", id), ("path", path)] {
            merge::set(&mut self.made, node, self.element.ty.definition(), part, text);
        }
    }

    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.known.contains(id).then(|| self.items.iter().position(|item| item.id == id)).flatten()
    }

    /// Returns where the elements below, and the slices of, an element end.
    pub(super) fn end_of(&self, at: usize, with_slices: bool) -> usize {
        let Some((item, behind)) = self.items.get(at..).and_then(<[Item]>::split_first) else {
            return self.items.len();
        };
        let is_below = |other: &Item| match other.id.strip_prefix(item.id.as_str()) {
            Some(rest) => rest.starts_with('.') || with_slices && rest.starts_with([':', '/']),
            None => false,
        };
        let count = behind.iter().position(|other| !is_below(other)).unwrap_or(behind.len());
        at + 1 + count
    }

    fn apply(&mut self, diff: Element<'_>, id: &str) -> Result<(), SnapshotError> {
        if id.split('.').count() > PATH_PARTS_MAX {
            return Err(SnapshotError::TooLarge("the parts of a path"));
        }
        let at = match self.find(id) {
            Ok(at) => at,
            // It is new, or below an element of a type that nobody knows.
            Err(SnapshotError::NoElement(_) | SnapshotError::Missing(_)) if !self.is_constraint => {
                return self.add_new(diff, id);
            }
            Err(error) => return Err(error),
        };
        let node = self.node(at)?;
        if self.is_constraint {
            self.take_over(at, diff)?;
        }
        merge(&mut self.made, node, diff, !self.is_constraint);
        if !id.contains('.') {
            // An element that stands for the whole has no requirements (sdf-9).
            self.made.remove_named(node, name::REQUIREMENTS);
        }
        Ok(())
    }

    pub(super) fn node(&self, at: usize) -> Result<NodeId, SnapshotError> {
        self.items.get(at).map(|item| item.node).ok_or_else(|| SnapshotError::NoElement(String::new()))
    }

    /// Takes over what the profile of the type that a differential gives an
    /// element says of it.
    fn take_over(&mut self, at: usize, diff: Element<'_>) -> Result<(), SnapshotError> {
        let node = self.node(at)?;
        let types: Vec<Element<'_>> = diff.children_named(name::TYPE).collect();
        let profile = match types.as_slice() {
            [one] if one.text_of(name::CODE) != Some("Reference") => one.text_of(name::PROFILE),
            _ => None,
        };
        let found = match profile.filter(|profile| self.library.can_step_into(profile)) {
            Some(profile) => Some(self.library.with_snapshot(profile)?),
            None => None,
        };
        let root = found.as_ref().and_then(|f| snapshot_elements(f.root()).first().copied());
        if let Some(root) = root {
            template::put_under(&mut self.made, node, root);
            let url = found.as_ref().and_then(|f| f.root().text_of(name::URL));
            merge::source(&mut self.made, node, url.unwrap_or_default());
        }
        if self.items.get(at).is_some_and(|item| template::is_extension(&item.path)) {
            template::undocument_extension(&mut self.made, node);
        }
        if let Some(root) = root {
            template::document(&mut self.made, node, root);
        }
        Ok(())
    }

    /// A specialization adds elements of its own, behind those of its parent.
    fn add_new(&mut self, diff: Element<'_>, id: &str) -> Result<(), SnapshotError> {
        if self.items.len() >= ELEMENTS_MAX {
            return Err(SnapshotError::TooLarge("the elements of a snapshot"));
        }
        self.library.count()?;
        let parent = id.rsplit_once('.').map(|(parent, _)| parent);
        let after = match parent.and_then(|p| self.position(p)) {
            Some(parent) => self.end_of(parent, false),
            None => self.items.len(),
        };
        let path = diff.text_of(name::PATH).unwrap_or(id).to_owned();
        let node = self.made.add_detached(self.element);
        self.rename(node, id, &path);
        merge(&mut self.made, node, diff, true);
        merge::base(&mut self.made, node, &path);
        if self.base.is_some() && id.contains('.') {
            merge::of_element(&mut self.made, node);
        }
        self.known.insert(id.to_owned());
        self.items.insert(after, Item { id: id.to_owned(), path, node });
        Ok(())
    }
}

/// Returns the property of a type, which the tables have.
fn property(of: TypeId, name: &'static str) -> Result<&'static Property, SnapshotError> {
    of.definition().property(name, 0).map(|(_, p)| p).ok_or(SnapshotError::Incomplete(name))
}

/// Puts an empty snapshot before the differential.
fn insert_snapshot(made: &mut Resource, property: &'static Property) -> NodeId {
    let before = made
        .root()
        .children()
        .filter(|c| c.property().is_some_and(|p| p.element.order < property.element.order))
        .last()
        .map(|c| c.id());
    match before {
        Some(before) => made.insert_after(before, property, property.ty),
        None => made.insert_first(made.root_id(), property, property.ty),
    }
}

/// Returns the path of the first element: that of the differential, or the type.
fn root_name(root: Element<'_>, differential: &[Element<'_>]) -> Result<String, SnapshotError> {
    let path = differential.first().and_then(|first| first.text_of(name::PATH));
    let named = match path {
        Some(path) => path.split('.').next(),
        None => root.text_of(name::TYPE).and_then(|t| t.rsplit('/').next()),
    };
    named.filter(|n| !n.is_empty()).map(str::to_owned).ok_or(SnapshotError::Incomplete("type"))
}

/// Returns how many bytes of text an element has.
fn bytes_of(element: Element<'_>) -> usize {
    element.value().map_or(0, str::len) + element.children().map(bytes_of).sum::<usize>()
}

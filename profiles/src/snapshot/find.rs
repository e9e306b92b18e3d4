//! Finding the element that a differential means, which may have to be made:
//! as a slice, or by stepping into a type.

use fhir_model::schema::name;
use fhir_model::tree::{Element, NodeId, Resource};

use super::generation::{Generation, Item, Origin};
use super::ids::is_child;
use super::library::CORE;
use super::{SnapshotError, slicing, snapshot_elements};

impl Generation<'_, '_> {
    /// Finds an element by its id, making it where what it stands in allows.
    pub(super) fn find(&mut self, id: &str) -> Result<usize, SnapshotError> {
        if let Some(at) = self.position(id) {
            return Ok(at);
        }
        let missing = || SnapshotError::NoElement(id.to_owned());
        let (parent, last) = id.rsplit_once('.').ok_or_else(missing)?;
        let parent_at = self.find(parent)?;
        let parent = self.items.get(parent_at).map(|item| item.id.clone()).ok_or_else(missing)?;
        if let Some((own, slice)) = last.split_once(':') {
            let outer = slice.rsplit_once('/').map(|(outer, _)| outer);
            let sliced = match outer {
                Some(outer) => format!("{parent}.{own}:{outer}"),
                None => format!("{parent}.{own}"),
            };
            if outer.is_none() && self.position(&sliced).is_none() {
                // `valueQuantity` with a name of its own, or its usual one.
                self.unfold_once(parent_at)?;
                if let Some((choice, type_name)) = self.choice(&parent, own) {
                    return self.slice_of_choice(choice, slice, &type_name, false);
                }
            }
            let sliced_at = self.find(&sliced)?;
            return self.slice(sliced_at, slice, None);
        }
        let full = format!("{parent}.{last}");
        if let Some(at) = self.position(&full) {
            return Ok(at);
        }
        self.unfold_once(parent_at)?;
        if let Some(at) = self.position(&full) {
            return Ok(at);
        }
        let (choice, type_name) = self.choice(&parent, last).ok_or_else(missing)?;
        self.slice_of_choice(choice, last, &type_name, true)
    }

    /// Finds the choice of which `valueQuantity` is one type, and the type's name.
    fn choice(&self, parent: &str, last: &str) -> Option<(usize, String)> {
        let mut choices = self.items.iter().enumerate().filter(|(_, item)| item.id.ends_with("[x]"));
        choices.find_map(|(at, item)| {
            let own = is_child(&item.id, parent).then(|| item.id.get(parent.len() + 1..)).flatten()?;
            let type_name = last.strip_prefix(own.strip_suffix("[x]")?)?;
            let element = self.made.element(item.node);
            let mut codes = element.children_named(name::TYPE).filter_map(|t| t.text_of(name::CODE));
            codes.any(|code| slicing::is_type(code, type_name)).then(|| (at, type_name.to_owned()))
        })
    }

    /// Finds or makes the slice of a choice for one type.
    ///
    /// A choice of which types are written out (`valueQuantity`) without a
    /// word on slicing is closed to the others, as the published snapshots
    /// have it.
    fn slice_of_choice(
        &mut self,
        choice: usize,
        slice: &str,
        type_name: &str,
        is_written_out: bool,
    ) -> Result<usize, SnapshotError> {
        let node = self.node(choice)?;
        let id = self.items.get(choice).map(|item| item.id.clone()).unwrap_or_default();
        if let Some(at) = self.position(&format!("{id}:{slice}")) {
            return Ok(at);
        }
        let element = self.made.element(node);
        let is_sliced = element.child(name::SLICING).is_some();
        if is_written_out && !is_sliced && element.children_named(name::TYPE).count() == 1 {
            return Ok(choice);
        }
        if is_written_out {
            match self.written_out.iter_mut().find(|(known, _)| *known == node) {
                Some((_, types)) => types.push(type_name.to_owned()),
                None if !is_sliced => self.written_out.push((node, vec![type_name.to_owned()])),
                None => {}
            }
        }
        slicing::ensure(&mut self.made, node, "[x]", is_written_out);
        self.slice(choice, slice, Some(type_name))
    }

    /// Makes a slice of an element, behind the slices it has.
    fn slice(
        &mut self,
        sliced_at: usize,
        slice: &str,
        type_name: Option<&str>,
    ) -> Result<usize, SnapshotError> {
        let missing = || SnapshotError::NoElement(slice.to_owned());
        let sliced = self.items.get(sliced_at).map(|item| item.id.clone()).ok_or_else(missing)?;
        let end = self.end_of(sliced_at, true);
        let own_end = self.end_of(sliced_at, false);
        let last = sliced.rsplit('.').next().unwrap_or_default();
        let own = last.split(':').next().unwrap_or_default().to_owned();
        let slice_id = match last.contains(':') {
            true => format!(
                "{}{slice}",
                sliced.get(..sliced.len() - last.len() + own.len() + 1).unwrap_or_default()
            ),
            false => format!("{sliced}:{slice}"),
        };
        let node = self.node(sliced_at)?;
        if slicing::ensure(&mut self.made, node, &own, false) && super::template::is_extension(&own) {
            super::template::undocument_extension(&mut self.made, node);
        }
        let originals = self.lift(sliced_at, own_end);
        let originals: Vec<Element<'_>> = originals.iter().map(Resource::root).collect();
        self.insert(end, &originals, &sliced, &slice_id, Origin::Here)?;
        let node = self.node(end)?;
        slicing::name_slice(&mut self.made, node, slice);
        let named = own.strip_suffix("[x]").and_then(|own| slice.strip_prefix(own));
        if let Some(type_name) = type_name.or(named) {
            slicing::narrow(&mut self.made, node, &[type_name.to_owned()]);
        }
        Ok(end)
    }

    /// Copies elements of the snapshot being made.
    fn lift(&self, from: usize, to: usize) -> Vec<Resource> {
        let items: &[Item] = self.items.get(from..to).unwrap_or_default();
        items.iter().map(|item| self.made.extract(item.node)).collect()
    }

    /// Puts the children of an element's type below it, where it has none.
    fn unfold_once(&mut self, at: usize) -> Result<(), SnapshotError> {
        let has_children = match (self.items.get(at), self.items.get(at + 1)) {
            (Some(item), Some(next)) => is_child(&next.id, &item.id),
            _ => false,
        };
        if has_children { Ok(()) } else { self.unfold(at) }
    }

    fn unfold(&mut self, at: usize) -> Result<(), SnapshotError> {
        let Some(Item { id, path, node }) = self.items.get(at) else { return Ok(()) };
        let (id, path, node) = (id.clone(), path.clone(), *node);
        let element = self.made.element(node);
        if let Some(reference) = element.text_of(name::CONTENT_REFERENCE) {
            let target = reference.rsplit('#').next().unwrap_or_default().to_owned();
            return self.unfold_reference(at, node, &id, &target);
        }
        let Some(base) = self.type_of(element) else {
            return Err(SnapshotError::NoElement(format!("{path}.*")));
        };
        let base = self.library.with_snapshot(&base)?;
        let elements = snapshot_elements(base.root());
        let Some((first, below)) = elements.split_first() else { return Ok(()) };
        let from = first.text_of(name::PATH).unwrap_or_default();
        let origin = Origin::Definition(base.root().text_of(name::URL).unwrap_or_default());
        self.insert(at + 1, below, from, &id, origin)
    }

    /// Returns the canonical of what stands below an element: the profile of
    /// its type, or its type. Of several types, all have what an Element has.
    fn type_of(&self, element: Element<'_>) -> Option<String> {
        let types: Vec<Element<'_>> = element.children_named(name::TYPE).collect();
        let code = types.first()?.text_of(name::CODE)?;
        if types.iter().any(|t| t.text_of(name::CODE) != Some(code)) {
            return Some(format!("{CORE}Element"));
        }
        let mut profiles =
            types.iter().flat_map(|t| t.children_named(name::PROFILE)).filter_map(Element::value);
        Some(match (profiles.next(), profiles.next()) {
            (Some(profile), None) if self.library.can_step_into(profile) => profile.to_owned(),
            _ if code.starts_with("http://hl7.org/fhirpath/") => return None,
            _ if code.contains('/') => code.to_owned(),
            _ => format!("{CORE}{code}"),
        })
    }

    /// Gives an element the types and the content of the one it refers to,
    /// as the base has that.
    fn unfold_reference(
        &mut self,
        at: usize,
        node: NodeId,
        id: &str,
        target: &str,
    ) -> Result<(), SnapshotError> {
        let holds = |definition: &Resource| {
            snapshot_elements(definition.root()).iter().any(|e| e.text_of(name::ID) == Some(target))
        };
        let base = match self.base.clone().filter(|base| holds(base)) {
            Some(base) => base,
            None => {
                let type_name = target.split('.').next().unwrap_or_default();
                self.library.with_snapshot(&format!("{CORE}{type_name}"))?
            }
        };
        let elements = snapshot_elements(base.root());
        let is_target = |e: &&Element<'_>| e.text_of(name::ID).or(e.text_of(name::PATH)) == Some(target);
        let Some(meant) = elements.iter().find(is_target) else {
            return Err(SnapshotError::NoElement(target.to_owned()));
        };
        let is_below = |e: &&Element<'_>| {
            let id = e.text_of(name::ID).or(e.text_of(name::PATH)).unwrap_or_default();
            id.strip_prefix(target).is_some_and(|rest| rest.starts_with('.'))
        };
        let below: Vec<Element<'_>> = elements.iter().filter(is_below).copied().collect();
        self.made.remove_named(node, name::CONTENT_REFERENCE);
        if self.made.element(node).child(name::TYPE).is_none() {
            for of_target in meant.children_named(name::TYPE) {
                super::merge::insert(&mut self.made, node, of_target);
            }
        }
        let origin = Origin::Definition(base.root().text_of(name::URL).unwrap_or_default());
        self.insert(at + 1, &below, target, id, origin)
    }
}

//! Values of FHIRPath Patch: put where the type of the place allows them.

use super::Refusal;
use crate::json::read::shortened;
use crate::primitive::check;
use crate::schema::{NameId, Property, TypeId, TypeKind, name, ty};
use crate::tree::{Element, NodeId, Resource};

/// Returns the property that `called` means in a type, for a value, and the
/// type its element will have. `deceased` means `deceasedBoolean` for a
/// boolean.
///
/// # Errors
/// When the type has no such element, or none for such a value.
pub(super) fn property_for(
    of: TypeId,
    called: &str,
    value: Element<'_>,
) -> Result<(&'static Property, TypeId), Refusal> {
    let definition = of.definition();
    if let Some((_, property)) = definition.property(called, 0) {
        return match value.child(name::RESOURCE) {
            Some(resource) if property.ty == ty::RESOURCE => Ok((property, resource.ty())),
            None if property.ty != ty::RESOURCE => Ok((property, property.ty)),
            _ => Err(Refusal::WrongType),
        };
    }
    let choice = NameId::of(called).and_then(|id| definition.element(id)).filter(|e| e.is_choice);
    let Some(element) = choice else {
        return Err(Refusal::UnknownElement(shortened(called).to_owned()));
    };
    let given = value.child(name::VALUE).ok_or(Refusal::WrongType)?.ty();
    let fits = |p: &&Property| p.element.name_id == element.name_id && p.ty == given;
    definition.properties.iter().find(fits).map(|p| (p, p.ty)).ok_or(Refusal::WrongType)
}

/// Adds an empty element behind its repetitions, or where the
/// specification's order puts it.
pub(super) fn insert(
    resource: &mut Resource,
    parent: NodeId,
    property: &'static Property,
    of: TypeId,
) -> NodeId {
    let order = property.element.order;
    let before = |child: &Element<'_>| child.property().is_some_and(|p| p.element.order <= order);
    let last = resource.element(parent).children().filter(before).last().map(|child| child.id());
    match last {
        Some(last) => resource.insert_after(last, property, of),
        None => resource.insert_first(parent, property, of),
    }
}

/// Gives the new element `node` the value that a part of Parameters has: a
/// data type, a resource, or parts named like the elements of its type.
///
/// # Errors
/// When the value, or something in it, may not stand there.
pub(super) fn place(resource: &mut Resource, node: NodeId, part: Element<'_>) -> Result<(), Refusal> {
    if let Some(whole) = part.child(name::RESOURCE) {
        resource.copy_children(node, whole);
        return Ok(());
    }
    if let Some(value) = part.child(name::VALUE) {
        return graft(resource, node, value);
    }
    let mut is_empty = true;
    for inner in part.children_named(name::PART) {
        let called = inner.text_of(name::NAME).ok_or(Refusal::WrongType)?;
        let at = resource.element(node);
        let (property, of) = property_for(at.ty(), called, inner)?;
        if !property.element.is_array() && at.child(property.element.name_id).is_some() {
            return Err(Refusal::AlreadyThere);
        }
        let child = insert(resource, node, property, of);
        place(resource, child, inner)?;
        is_empty = false;
    }
    if is_empty { Err(Refusal::WrongType) } else { Ok(()) }
}

/// Copies a data type onto an element of its type or of a like one, such as
/// `code` onto `string`, or `Quantity` onto `Age`.
fn graft(resource: &mut Resource, node: NodeId, value: Element<'_>) -> Result<(), Refusal> {
    let of = resource.element(node).ty();
    let given = value.ty();
    // Parameters cannot carry xhtml: a string stands for it.
    let is_alike = of.is_a(given) || given.is_a(of) || (of == ty::XHTML && given == ty::STRING);
    if !is_alike || given.definition().kind == TypeKind::Resource {
        return Err(Refusal::WrongType);
    }
    if of == given {
        resource.copy_children(node, value);
        return Ok(());
    }
    if let Some(text) = value.value() {
        if !check::is_valid(of, text) {
            return Err(Refusal::WrongType);
        }
        resource.set_value(node, text);
    }
    let mut last = resource.element(node).children().last().map(|child| child.id());
    for child in value.children() {
        let called = child.property().map_or("", |p| p.name);
        let (_, property) = of.definition().property(called, 0).ok_or(Refusal::WrongType)?;
        if property.ty != child.ty() {
            return Err(Refusal::WrongType);
        }
        let copy = resource.append_after(node, last, property, child.ty());
        resource.copy_children(copy, child);
        last = Some(copy);
    }
    Ok(())
}

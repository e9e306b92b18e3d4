//! An element of a differential, merged into the element of the base.
//!
//! Spec: <https://hl7.org/fhir/R4/elementdefinition.html#interpretation>

use fhir_model::schema::{NameId, name};
use fhir_model::tree::{Element, NodeId, Resource};

/// What adds to the base instead of replacing it.
const ADDING: &[&str] = &["alias", "condition", "constraint", "mapping", "example", "extension"];

/// Puts what `diff` says into the element at `node`.
pub(super) fn merge(made: &mut Resource, node: NodeId, diff: Element<'_>) {
    let mut replaced: Vec<NameId> = Vec::new();
    for part in diff.children() {
        let Some(property) = part.property() else { continue };
        let own = property.element.name;
        let id = property.element.name_id;
        if own == "id" || own == "path" {
            continue;
        }
        if own == "sliceName" && made.element(node).child(id).is_some() {
            continue;
        }
        if ADDING.contains(&own) {
            if let Some(same) = same_of(made.element(node), part) {
                made.remove(node, same);
            }
        } else if !replaced.contains(&id) {
            if own == "binding" {
                keep_value_set(made, node, part, id);
                replaced.push(id);
                continue;
            }
            made.remove_named(node, id);
            replaced.push(id);
        }
        let held = insert_in_order(made, node, part);
        made.copy_children(held, part);
    }
}

/// A binding that names no value set keeps that of the base.
fn keep_value_set(made: &mut Resource, node: NodeId, diff: Element<'_>, id: NameId) {
    let before = made.element(node).child(id).and_then(|b| b.text_of(name::VALUE_SET)).map(str::to_owned);
    made.remove_named(node, id);
    let held = insert_in_order(made, node, diff);
    made.copy_children(held, diff);
    if diff.child(name::VALUE_SET).is_none()
        && let (Some(value_set), Some((_, property))) = (before, diff.definition().property("valueSet", 0))
    {
        made.add_value(held, property, &value_set);
    }
}

/// Adds an element where the specification's order has it.
fn insert_in_order(made: &mut Resource, node: NodeId, part: Element<'_>) -> NodeId {
    let Some(property) = part.property() else { return node };
    let before = made
        .element(node)
        .children()
        .filter(|c| c.property().is_some_and(|p| p.element.order <= property.element.order))
        .last()
        .map(|c| c.id());
    match before {
        Some(before) => made.insert_after(before, property, part.ty()),
        None => made.insert_first(node, property, part.ty()),
    }
}

/// Finds what of the base an addition stands for: the constraint of the same
/// key, the same mapping, condition, alias.
fn same_of(held: Element<'_>, part: Element<'_>) -> Option<NodeId> {
    let id = part.name_id()?;
    let keys: &[NameId] = match part.property()?.element.name {
        "constraint" => &[name::KEY],
        "mapping" => &[name::IDENTITY],
        "example" => &[name::LABEL],
        "extension" => &[name::URL],
        _ => &[],
    };
    let same = |other: &Element<'_>| match keys {
        [] => other.value() == part.value(),
        keys => keys.iter().all(|key| other.text_of(*key) == part.text_of(*key)),
    };
    held.children_named(id).find(same).map(|e| e.id())
}

/// Says of constraints that tell no source that they come from `definition`.
pub(super) fn source(made: &mut Resource, node: NodeId, definition: &str) {
    if definition.is_empty() {
        return;
    }
    let constraints: Vec<NodeId> =
        made.element(node).children_named(name::CONSTRAINT).map(|c| c.id()).collect();
    for constraint in constraints {
        add_source(made, constraint, definition);
    }
}

fn add_source(made: &mut Resource, constraint: NodeId, definition: &str) {
    let element = made.element(constraint);
    if element.child(name::SOURCE).is_none()
        && let Some((_, property)) = element.definition().property("source", 0)
    {
        made.add_value(constraint, property, definition);
    }
}

/// Makes sure that an element whose slices are named says how it is sliced:
/// a choice by type, extensions by url.
pub(super) fn slicing(made: &mut Resource, node: NodeId, own: &str) {
    let element = made.element(node);
    let by = match own {
        own if own.ends_with("[x]") => ("type", "$this"),
        "extension" | "modifierExtension" => ("value", "url"),
        _ => return,
    };
    if element.child(name::SLICING).is_some() {
        return;
    }
    let Some((_, property)) = element.definition().property("slicing", 0) else { return };
    let slicing = made.add(node, property, property.ty);
    let parts = property.ty.definition();
    let Some((_, discriminator)) = parts.property("discriminator", 0) else { return };
    let held = made.add(slicing, discriminator, discriminator.ty);
    for (part, text) in [("type", by.0), ("path", by.1)] {
        if let Some((_, property)) = discriminator.ty.definition().property(part, 0) {
            made.add_value(held, property, text);
        }
    }
    for (part, text) in [("ordered", "false"), ("rules", "open")] {
        if let Some((_, property)) = parts.property(part, 0) {
            made.add_value(slicing, property, text);
        }
    }
}

/// Turns the copy of a sliced element into a slice: it has a name, is not
/// sliced itself, and is optional until the differential says otherwise.
pub(super) fn as_slice(made: &mut Resource, node: NodeId, own: &str, slice: &str) {
    made.remove_named(node, name::SLICING);
    made.remove_named(node, name::SLICE_NAME);
    let definition = made.element(node).definition();
    let set = |made: &mut Resource, part: &str, text: &str| {
        if let Some((_, property)) = definition.property(part, 0) {
            made.remove_named(node, property.element.name_id);
            made.add_value(node, property, text);
        }
    };
    set(made, "sliceName", slice);
    set(made, "min", "0");
    if let Some(choice) = own.strip_suffix("[x]")
        && let Some(type_name) = slice.strip_prefix(choice)
    {
        narrow(made, node, type_name);
    }
}

/// `valueQuantity` has the type Quantity, `valueDateTime` the type dateTime.
fn narrow(made: &mut Resource, node: NodeId, type_name: &str) {
    let others: Vec<NodeId> = made
        .element(node)
        .children_named(name::TYPE)
        .filter(|t| !t.text_of(name::CODE).is_some_and(|code| code.eq_ignore_ascii_case(type_name)))
        .map(|t| t.id())
        .collect();
    if others.len() < made.element(node).children_named(name::TYPE).count() {
        for other in others {
            made.remove(node, other);
        }
    }
}

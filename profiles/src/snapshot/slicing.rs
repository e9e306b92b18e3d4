//! Slices: how an element is sliced, and its copies that are the slices.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html#slicing>

use fhir_model::schema::name;
use fhir_model::tree::{Element, NodeId, Resource};

use super::merge::{add, insert, set};

/// Merges what a differential says of the slicing into that of the element:
/// discriminators add up, the rest is replaced.
pub(super) fn merge(made: &mut Resource, node: NodeId, diff: Element<'_>) {
    let Some(held) = made.element(node).child(name::SLICING).map(|s| s.id()) else {
        insert(made, node, diff);
        return;
    };
    for part in diff.children() {
        let Some(property) = part.property() else { continue };
        if property.element.name_id == name::DISCRIMINATOR {
            let is_same = |other: Element<'_>| {
                [name::TYPE, name::PATH].iter().all(|key| other.text_of(*key) == part.text_of(*key))
            };
            if made.element(held).children_named(name::DISCRIMINATOR).any(is_same) {
                continue;
            }
        } else {
            made.remove_named(held, property.element.name_id);
        }
        insert(made, held, part);
    }
}

/// Makes sure that an element whose slices are named says how it is sliced:
/// a choice by type, extensions by url. Tells whether it did not before.
pub(super) fn ensure(made: &mut Resource, node: NodeId, own: &str, is_closed: bool) -> bool {
    let by = match own {
        own if own.ends_with("[x]") => ("type", "$this"),
        "extension" | "modifierExtension" => ("value", "url"),
        _ => return false,
    };
    if made.element(node).child(name::SLICING).is_some() {
        return false;
    }
    let Some(slicing) = add(made, node, "slicing") else { return false };
    if let Some(discriminator) = add(made, slicing, "discriminator") {
        let of = made.element(discriminator).definition();
        set(made, discriminator, of, "type", by.0);
        set(made, discriminator, of, "path", by.1);
    }
    let of = made.element(slicing).definition();
    set(made, slicing, of, "ordered", "false");
    set(made, slicing, of, "rules", if is_closed { "closed" } else { "open" });
    true
}

/// Turns the copy of a sliced element into a slice: it has a name, is not
/// sliced itself, and is optional until the differential says otherwise.
pub(super) fn name_slice(made: &mut Resource, node: NodeId, slice: &str) {
    made.remove_named(node, name::SLICING);
    let of = made.element(node).definition();
    set(made, node, of, "sliceName", slice);
    set(made, node, of, "min", "0");
}

/// Leaves an element the types of these names alone: of `Quantity`, or
/// `DateTime` for `dateTime`. None is left out where none would be left.
pub(super) fn narrow(made: &mut Resource, node: NodeId, type_names: &[String]) {
    let is_meant = |t: &Element<'_>| {
        let code = t.text_of(name::CODE).unwrap_or_default();
        type_names.iter().any(|name| is_type(code, name))
    };
    let (kept, others): (Vec<Element<'_>>, Vec<Element<'_>>) =
        made.element(node).children_named(name::TYPE).partition(is_meant);
    if kept.is_empty() {
        return;
    }
    let others: Vec<NodeId> = others.iter().map(|t| t.id()).collect();
    for other in others {
        made.remove(node, other);
    }
}

/// Tells whether `Quantity`, as at the end of `valueQuantity`, means the type.
pub(super) fn is_type(code: &str, capitalized: &str) -> bool {
    let mut parts = (code.chars(), capitalized.chars());
    match (parts.0.next(), parts.1.next()) {
        (Some(a), Some(b)) => a.to_ascii_uppercase() == b && parts.0.as_str() == parts.1.as_str(),
        _ => false,
    }
}

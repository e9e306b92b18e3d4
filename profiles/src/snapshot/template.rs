//! What an element takes over from the profile of its type: an extension's
//! own short, definition and invariants rather than those of `extension`.

use fhir_model::schema::name;
use fhir_model::tree::{Element, NodeId, Resource};

/// The parts that are of the place, never of the type that stands there.
const OF_THE_PLACE: &[&str] =
    &["id", "extension", "path", "sliceName", "slicing", "base", "min", "max", "type", "contentReference"];

/// The further parts in which the element wins over the root of the profile.
const OVERRIDING: &[&str] = &[
    "label",
    "code",
    "definition",
    "short",
    "comment",
    "requirements",
    "alias",
    "fixed",
    "pattern",
    "example",
    "minValue",
    "maxValue",
    "maxLength",
    "mustSupport",
    "binding",
];

/// The parts that document an element.
const DOCUMENTATION: &[&str] = &["short", "definition", "comment", "requirements", "alias", "mapping"];

fn name_of(part: Element<'_>) -> &'static str {
    part.property().map_or("", |p| p.element.name)
}

/// Gives the element these children instead of those it has, in the
/// specification's order.
fn replace_children(made: &mut Resource, node: NodeId, mut parts: Vec<Element<'_>>) {
    parts.sort_by_key(|part| part.property().map_or(0, |p| p.element.order));
    made.set_children(node, &[]);
    for part in parts {
        let Some(property) = part.property() else { continue };
        let held = made.add(node, property, part.ty());
        made.copy_children(held, part);
    }
}

/// Puts the root of the profile of the element's type under what the element
/// says itself.
pub(super) fn put_under(made: &mut Resource, node: NodeId, root: Element<'_>) {
    let own = made.extract(node);
    let own_has = |name: &str| own.root().children().any(|c| name_of(c) == name);
    let has_key = |of: Element<'_>, key: Option<&str>, sourced: bool| {
        of.children_named(name::CONSTRAINT)
            .any(|c| c.text_of(name::KEY) == key && (!sourced || c.child(name::SOURCE).is_some()))
    };
    let of_root = root.children().filter(|part| {
        let part_name = name_of(*part);
        if part_name == "constraint" && part.child(name::SOURCE).is_none() {
            return !has_key(own.root(), part.text_of(name::KEY), true);
        }
        let is_own = OVERRIDING.contains(&part_name) && own_has(part_name);
        !is_own && !OF_THE_PLACE.contains(&part_name)
    });
    let of_own = own.root().children().filter(|part| match name_of(*part) {
        // Of the same constraint twice, the one that tells where it is from.
        "constraint" => {
            let is_sourced = part.child(name::SOURCE).is_some();
            !has_key(root, part.text_of(name::KEY), is_sourced)
        }
        name => OF_THE_PLACE.contains(&name) || OVERRIDING.contains(&name),
    });
    let parts = of_root.chain(of_own).collect();
    replace_children(made, node, parts);
}

/// Documents the element as the root of the profile of its type is documented.
pub(super) fn document(made: &mut Resource, node: NodeId, root: Element<'_>) {
    let own = made.extract(node);
    let root_has = |name: &str| root.children().any(|c| name_of(c) == name);
    let is_taken =
        |name: &str| matches!(name, "alias" | "mapping") || DOCUMENTATION.contains(&name) && root_has(name);
    let of_own = own.root().children().filter(|part| !is_taken(name_of(*part)));
    let of_root = root.children().filter(|part| DOCUMENTATION.contains(&name_of(*part)));
    replace_children(made, node, of_own.chain(of_root).collect());
}

/// What is said of `extension` in general says nothing of one extension.
pub(super) fn undocument_extension(made: &mut Resource, node: NodeId) {
    let own = made.extract(node);
    let kept = own.root().children().filter(|part| !DOCUMENTATION.contains(&name_of(*part)));
    replace_children(made, node, kept.collect());
    let definition = made.element(node).definition();
    for (part, text) in [("definition", "An Extension"), ("short", "Extension")] {
        super::merge::set(made, node, definition, part, text);
    }
}

/// Tells whether an element is one of `extension` or `modifierExtension`, or an extension itself.
pub(super) fn is_extension(path: &str) -> bool {
    matches!(path.rsplit('.').next(), Some("extension" | "modifierExtension")) || path == "Extension"
}

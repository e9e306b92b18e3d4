//! An element of a differential, merged into the element of the base.
//!
//! Spec: <https://hl7.org/fhir/R4/elementdefinition.html#interpretation>

use fhir_model::schema::{NameId, TypeDefinition, name};
use fhir_model::tree::{Element, NodeId, Resource};

/// What adds to the base instead of replacing it.
const ADDING: &[&str] = &["alias", "code", "condition", "constraint", "mapping", "example", "extension"];

/// What a profile cannot change, but where it defines an extension.
const FIXED: &[&str] = &["isModifier", "isModifierReason"];

/// What a profile cannot change at all.
const OF_THE_BASE: &[&str] =
    &["base", "contentReference", "defaultValue", "meaningWhenMissing", "orderMeaning"];

/// Texts that a differential continues where it begins them with `...`.
const CONTINUED: &[&str] = &["definition", "comment", "requirements", "meaningWhenMissing"];

/// Puts what `diff` says into the element at `node`.
///
/// `is_new` tells that a specialization adds the element.
pub(super) fn merge(made: &mut Resource, node: NodeId, diff: Element<'_>, is_new: bool) {
    let mut replaced: Vec<NameId> = Vec::new();
    let path = made.element(node).text_of(name::PATH).unwrap_or_default();
    let is_extension = super::template::is_extension(path);
    for part in diff.children() {
        let Some(property) = part.property() else { continue };
        let own = property.element.name;
        let id = property.element.name_id;
        let is_fixed = FIXED.contains(&own) && !is_extension || OF_THE_BASE.contains(&own);
        if matches!(own, "id" | "path") || (is_fixed && !is_new) {
            continue;
        }
        match own {
            "sliceName" if made.element(node).child(id).is_some() => {}
            "slicing" => super::slicing::merge(made, node, part),
            "binding" => replace_binding(made, node, part, id),
            own if CONTINUED.contains(&own) && part.value().is_some_and(|v| v.starts_with("...")) => {
                continue_text(made, node, part);
            }
            own if ADDING.contains(&own) => {
                if !has(made.element(node), part) {
                    insert(made, node, part);
                }
            }
            _ => {
                if !replaced.contains(&id) {
                    made.remove_named(node, id);
                    replaced.push(id);
                }
                insert(made, node, part);
            }
        }
    }
}

/// `...more` stands for the text of the base, and then `more`.
fn continue_text(made: &mut Resource, node: NodeId, part: Element<'_>) {
    let more = part.value().unwrap_or_default().trim_start_matches("...");
    let held = part.name_id().and_then(|id| made.element(node).child(id));
    match held.and_then(|held| Some((held.id(), held.value()?.to_owned()))) {
        Some((held, text)) => made.set_value(held, &format!("{text}\r\n{more}")),
        None => {
            insert(made, node, part);
        }
    }
}

/// A binding that names no value set keeps that of the base.
fn replace_binding(made: &mut Resource, node: NodeId, diff: Element<'_>, id: NameId) {
    let before = made.element(node).child(id).and_then(|b| b.text_of(name::VALUE_SET)).map(str::to_owned);
    made.remove_named(node, id);
    let held = insert(made, node, diff);
    if diff.child(name::VALUE_SET).is_none()
        && let Some(value_set) = before
    {
        set(made, held, diff.definition(), "valueSet", &value_set);
    }
}

/// Puts a copy of an element where the specification's order has it.
pub(super) fn insert(made: &mut Resource, node: NodeId, part: Element<'_>) -> NodeId {
    let Some(property) = part.property() else { return node };
    let held = insert_in_order(made, node, property, part.ty());
    made.copy_children(held, part);
    held
}

fn insert_in_order(
    made: &mut Resource,
    node: NodeId,
    property: &'static fhir_model::schema::Property,
    ty: fhir_model::schema::TypeId,
) -> NodeId {
    let before = made
        .element(node)
        .children()
        .filter(|c| c.property().is_some_and(|p| p.element.order <= property.element.order))
        .last()
        .map(|c| c.id());
    match before {
        Some(before) => made.insert_after(before, property, ty),
        None => made.insert_first(node, property, ty),
    }
}

/// Sets a primitive part of an element of that type.
pub(super) fn set(made: &mut Resource, node: NodeId, of: &TypeDefinition, part: &str, text: &str) {
    let Some((_, property)) = of.property(part, 0) else { return };
    let held = match made.element(node).child(property.element.name_id) {
        Some(held) => held.id(),
        None => insert_in_order(made, node, property, property.ty),
    };
    made.set_value(held, text);
}

/// Adds a part of an element of that type, to be filled.
pub(super) fn add(made: &mut Resource, node: NodeId, part: &str) -> Option<NodeId> {
    let (_, property) = made.element(node).definition().property(part, 0)?;
    Some(insert_in_order(made, node, property, property.ty))
}

/// Tells whether an element has what a differential would add: the constraint
/// of the same key, the same mapping, condition, alias.
fn has(held: Element<'_>, part: Element<'_>) -> bool {
    let Some(id) = part.name_id() else { return true };
    let keys: &[NameId] = match part.property().map(|p| p.element.name) {
        Some("constraint") => &[name::KEY],
        Some("mapping") => &[name::IDENTITY, name::MAP],
        Some("example") => &[name::LABEL, name::VALUE],
        Some("extension") => &[name::URL, name::VALUE],
        Some("code") => &[name::SYSTEM, name::CODE],
        _ => &[],
    };
    held.children_named(id).any(|other| match keys {
        [] => other.value() == part.value(),
        keys => keys.iter().all(|key| other.text_of(*key) == part.text_of(*key)),
    })
}

/// Says of constraints that tell no source that they come from `definition`.
pub(super) fn source(made: &mut Resource, node: NodeId, definition: &str) {
    let constraints: Vec<NodeId> = made
        .element(node)
        .children_named(name::CONSTRAINT)
        .filter(|c| c.child(name::SOURCE).is_none())
        .map(|c| c.id())
        .collect();
    for constraint in constraints {
        let of = made.element(constraint).definition();
        set(made, constraint, of, "source", definition);
    }
}

/// The extensions that tell of the definition that they stand in, and of none made of it.
const NOT_INHERITED: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-fmm",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-wg",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-category",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-implements",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-security-category",
];

/// Takes away what an element of the base says of the base alone.
pub(super) fn disinherit(made: &mut Resource, node: NodeId) {
    let doomed: Vec<NodeId> = made
        .element(node)
        .children_named(name::EXTENSION)
        .filter(|e| e.text_of(name::URL).is_some_and(|url| NOT_INHERITED.contains(&url)))
        .map(|e| e.id())
        .collect();
    for extension in doomed {
        made.remove(node, extension);
    }
}

/// Says where an element was first defined, if it does not say so.
pub(super) fn base(made: &mut Resource, node: NodeId, path: &str) {
    let element = made.element(node);
    if element.child(name::BASE).is_some() {
        return;
    }
    let text = |part| element.text_of(part).map(str::to_owned);
    let (min, max) = (text(name::MIN), text(name::MAX));
    let Some(held) = add(made, node, "base") else { return };
    let of = made.element(held).definition();
    set(made, held, of, "path", path);
    set(made, held, of, "min", min.as_deref().unwrap_or("0"));
    set(made, held, of, "max", max.as_deref().unwrap_or("*"));
}

/// Says of a new element what is true of each that does not say otherwise.
pub(super) fn of_element(made: &mut Resource, node: NodeId) {
    let of = made.element(node).definition();
    for (part, id) in [("isModifier", name::IS_MODIFIER), ("isSummary", name::IS_SUMMARY)] {
        if made.element(node).child(id).is_none() {
            set(made, node, of, part, "false");
        }
    }
    let holds_resource = |t: Element<'_>| t.text_of(name::CODE) == Some("Resource");
    if made.element(node).children_named(name::TYPE).any(holds_resource) {
        return;
    }
    let constraints: Vec<Resource> =
        made.element(node).children_named(name::CONSTRAINT).map(|c| made.extract(c.id())).collect();
    if constraints.iter().any(|c| c.root().text_of(name::KEY) == Some("ele-1")) {
        return;
    }
    made.remove_named(node, name::CONSTRAINT);
    let Some(held) = add(made, node, "constraint") else { return };
    let of = made.element(held).definition();
    for (part, text) in [
        ("key", "ele-1"),
        ("severity", "error"),
        ("human", "All FHIR elements must have a @value or children"),
        ("expression", "hasValue() or (children().count() > id.count())"),
        ("xpath", "@value|f:*|h:div"),
        ("source", "http://hl7.org/fhir/StructureDefinition/Element"),
    ] {
        set(made, held, of, part, text);
    }
    for constraint in constraints {
        if let Some(held) = add(made, node, "constraint") {
            made.copy_children(held, constraint.root());
        }
    }
}

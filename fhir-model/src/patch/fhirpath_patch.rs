//! FHIRPath Patch: operations in a Parameters resource, their places told by
//! FHIRPath.
//!
//! Each operation sees what the ones before it made. Deleting the last
//! content of an element deletes the element too, since FHIR has no empty
//! ones; deleting what is not there changes nothing.
//!
//! Spec: <https://hl7.org/fhir/R4/fhirpatch.html>

use super::select::{limits, parent_of, select};
use super::value::{insert, place, property_for};
use super::{OPERATIONS_MAX, PatchError, Refusal};
use crate::fhirpath::Limits;
use crate::json;
use crate::schema::{NameId, name, ty};
use crate::tree::{Element, NodeId, Resource};

/// Applies a FHIRPath Patch to a resource.
///
/// # Errors
/// The first operation that cannot be applied, or what is wrong with the
/// Parameters or with the resource that would come out.
pub fn fhirpath_patch(resource: &Resource, parameters: &Resource) -> Result<Resource, PatchError> {
    if parameters.resource_type() != ty::PARAMETERS {
        return Err(PatchError::malformed("", "a Parameters resource expected"));
    }
    let all: Vec<Element<'_>> = parameters.root().children_named(name::PARAMETER).collect();
    if all.len() > OPERATIONS_MAX {
        return Err(PatchError::TooCostly("the patch has too many operations"));
    }
    let operations: Vec<Operation<'_>> = all
        .into_iter()
        .enumerate()
        .map(|(index, one)| Operation::parse(index, one))
        .collect::<Result<_, _>>()?;
    let mut patched = resource.clone();
    let limits = limits(operations.len());
    for operation in &operations {
        operation
            .apply(&mut patched, limits)
            .map_err(|why| PatchError::refused(operation.at.as_str(), operation.path, why))?;
    }
    // Read again: limits and grammar hold, and what the edits left behind is gone.
    json::read(json::to_json(&patched)).map_err(PatchError::Result)
}

struct Operation<'p> {
    /// Where it stands: `Parameters.parameter[2]`.
    at: String,
    path: &'p str,
    kind: Kind<'p>,
}

enum Kind<'p> {
    Add { name: &'p str, value: Element<'p> },
    Insert { index: usize, value: Element<'p> },
    Delete,
    Replace { value: Element<'p> },
    Move { source: usize, destination: usize },
}

impl<'p> Operation<'p> {
    fn parse(index: usize, operation: Element<'p>) -> Result<Operation<'p>, PatchError> {
        let at = format!("Parameters.parameter[{index}]");
        if operation.text_of(name::NAME) != Some("operation") {
            return Err(PatchError::malformed(at, "each parameter must be called `operation`"));
        }
        let parts = Parts::of(&at, operation)?;
        let path = parts.text("path")?;
        let kind = match parts.text("type")? {
            "add" => Kind::Add { name: parts.text("name")?, value: parts.need("value")? },
            "insert" => Kind::Insert { index: parts.index("index")?, value: parts.need("value")? },
            "delete" => Kind::Delete,
            "replace" => Kind::Replace { value: parts.need("value")? },
            "move" => Kind::Move { source: parts.index("source")?, destination: parts.index("destination")? },
            _ => {
                return Err(PatchError::malformed(at, "`type` must be add, insert, delete, replace or move"));
            }
        };
        Ok(Operation { at, path, kind })
    }

    fn apply(&self, resource: &mut Resource, limits: Limits) -> Result<(), Refusal> {
        let found = select(resource, self.path, limits)?;
        match &self.kind {
            Kind::Add { name, value } => add(resource, one(&found)?, name, *value),
            Kind::Insert { index, value } if found.is_empty() => {
                // An empty list has no place of its own: its owner has.
                let (owner, last) = self.path.trim().rsplit_once('.').ok_or(Refusal::NotFound)?;
                if *index > 0 {
                    return Err(Refusal::OutOfRange);
                }
                NameId::of(last).ok_or(Refusal::NotFound)?;
                let owner = one(&select(resource, owner, limits)?)?;
                add(resource, owner, last, *value)
            }
            Kind::Insert { index, value } => {
                let (parent, list) = one_list(resource, &found)?;
                if *index > found.len() {
                    return Err(Refusal::OutOfRange);
                }
                let (property, of) = property_for(resource.element(parent).ty(), list.as_str(), *value)?;
                if !property.element.is_array() {
                    return Err(Refusal::AlreadyThere);
                }
                let node = insert(resource, parent, property, of);
                place(resource, node, *value)?;
                let mut order = found;
                order.insert(*index, node);
                reorder(resource, parent, list, &order);
                Ok(())
            }
            Kind::Delete => match found.as_slice() {
                [] => Ok(()),
                [node] => delete(resource, *node),
                _ => Err(Refusal::ManyMatches),
            },
            Kind::Replace { value } => replace(resource, one(&found)?, *value),
            Kind::Move { source, destination } => {
                one(&found[..found.len().min(1)])?;
                let (parent, list) = one_list(resource, &found)?;
                let mut order = found;
                if *source >= order.len() || *destination >= order.len() {
                    return Err(Refusal::OutOfRange);
                }
                let moved = order.remove(*source);
                order.insert(*destination, moved);
                reorder(resource, parent, list, &order);
                Ok(())
            }
        }
    }
}

/// The parts of an operation.
struct Parts<'a, 'p> {
    at: &'a str,
    parts: Vec<(&'p str, Element<'p>)>,
}

impl<'a, 'p> Parts<'a, 'p> {
    fn of(at: &'a str, operation: Element<'p>) -> Result<Parts<'a, 'p>, PatchError> {
        let mut parts: Vec<(&str, Element<'_>)> = Vec::new();
        for part in operation.children_named(name::PART) {
            let called = part.text_of(name::NAME).unwrap_or_default();
            let known =
                matches!(called, "type" | "path" | "name" | "value" | "index" | "source" | "destination");
            if !known || parts.iter().any(|(name, _)| *name == called) {
                return Err(PatchError::malformed(at, "a part is unknown or stands there twice"));
            }
            parts.push((called, part));
        }
        Ok(Parts { at, parts })
    }

    fn need(&self, called: &str) -> Result<Element<'p>, PatchError> {
        let part = self.parts.iter().find(|(name, _)| *name == called);
        part.map(|(_, part)| *part)
            .ok_or_else(|| PatchError::malformed(self.at, format!("the part `{called}` is missing")))
    }

    fn text(&self, called: &str) -> Result<&'p str, PatchError> {
        let value = self.need(called)?.child(name::VALUE).and_then(|value| value.value());
        value.ok_or_else(|| PatchError::malformed(self.at, format!("the part `{called}` has no value")))
    }

    fn index(&self, called: &str) -> Result<usize, PatchError> {
        self.text(called)?
            .parse()
            .map_err(|_| PatchError::malformed(self.at, format!("the part `{called}` must be an index")))
    }
}

fn one(found: &[NodeId]) -> Result<NodeId, Refusal> {
    match found {
        [node] => Ok(*node),
        [] => Err(Refusal::NotFound),
        _ => Err(Refusal::ManyMatches),
    }
}

fn add(resource: &mut Resource, to: NodeId, called: &str, value: Element<'_>) -> Result<(), Refusal> {
    let (property, of) = property_for(resource.element(to).ty(), called, value)?;
    if !property.element.is_array() && resource.element(to).child(property.element.name_id).is_some() {
        return Err(Refusal::AlreadyThere);
    }
    let node = insert(resource, to, property, of);
    place(resource, node, value)
}

fn replace(resource: &mut Resource, node: NodeId, value: Element<'_>) -> Result<(), Refusal> {
    if node == resource.root_id() {
        let whole = value.child(name::RESOURCE).ok_or(Refusal::WrongType)?;
        *resource = whole.resource().extract(whole.id());
        return Ok(());
    }
    let parent = parent_of(resource, node).ok_or(Refusal::NotFound)?;
    let called = resource.element(node).name_id().ok_or(Refusal::Root)?;
    let (property, of) = property_for(resource.element(parent).ty(), called.as_str(), value)?;
    let new = resource.insert_after(node, property, of);
    resource.remove(parent, node);
    place(resource, new, value)
}

/// Takes an element out, and those around it that it leaves empty.
fn delete(resource: &mut Resource, node: NodeId) -> Result<(), Refusal> {
    let mut node = node;
    loop {
        let parent = parent_of(resource, node).ok_or(Refusal::Root)?;
        resource.remove(parent, node);
        let around = resource.element(parent);
        if around.is_resource() || !around.is_empty() {
            return Ok(());
        }
        node = parent;
    }
}

/// Returns the parent and the name of elements that are all repetitions of
/// one element.
fn one_list(resource: &Resource, found: &[NodeId]) -> Result<(NodeId, NameId), Refusal> {
    let first = found.first().ok_or(Refusal::NotFound)?;
    let parent = parent_of(resource, *first).ok_or(Refusal::Root)?;
    let list = resource.element(*first).name_id().ok_or(Refusal::Root)?;
    let all: Vec<NodeId> = resource.element(parent).children_named(list).map(|child| child.id()).collect();
    if all == found { Ok((parent, list)) } else { Err(Refusal::NotOneList) }
}

/// Puts the repetitions of an element into another order.
fn reorder(resource: &mut Resource, parent: NodeId, list: NameId, order: &[NodeId]) {
    let mut next = order.iter();
    let children: Vec<NodeId> = resource
        .element(parent)
        .children()
        .map(|child| match child.name_id() == Some(list) {
            true => next.next().copied().unwrap_or(child.id()),
            false => child.id(),
        })
        .collect();
    resource.set_children(parent, &children);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"1","name":[{"family":"F","given":["a","b"]},{"family":"G","given":["c"]}],"birthDate":"2000"}"#;

    /// Writes an operation: its parts, each ready-made or `name=text`.
    fn operation(parts: &[&str]) -> String {
        let parts: Vec<String> = parts
            .iter()
            .map(|part| match part.split_once('=') {
                Some((name @ ("index" | "source" | "destination"), number)) => {
                    format!(r#"{{"name":"{name}","valueInteger":{number}}}"#)
                }
                Some((name @ "type", code)) => format!(r#"{{"name":"{name}","valueCode":"{code}"}}"#),
                Some((name @ ("path" | "name"), text)) => {
                    format!(r#"{{"name":"{name}","valueString":"{text}"}}"#)
                }
                _ => format!(r#"{{"name":"value",{part}}}"#),
            })
            .collect();
        format!(r#"{{"name":"operation","part":[{}]}}"#, parts.join(","))
    }

    fn patched(parts: &[&str]) -> Result<String, PatchError> {
        let parameters = format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, operation(parts));
        let parameters = json::read(parameters).expect("valid");
        let resource = json::read(PATIENT).expect("valid");
        fhirpath_patch(&resource, &parameters)
            .map(|r| String::from_utf8_lossy(&json::to_json(&r)).into_owned())
    }

    #[test]
    fn applied() {
        for (parts, from, to) in [
            (&["type=delete", "path=Patient.gender"][..], "", ""),
            (&["type=delete", "path=Patient.name.where(family = 'G').given"], r#","given":["c"]"#, ""),
            (&["type=delete", "path=Patient.name.given.where($this = 'a')"], r#"["a","b"]"#, r#"["b"]"#),
            (&["type=replace", "path=name.last().family", r#""valueString":"H""#], r#""G""#, r#""H""#),
            (&["type=delete", "path=Patient.name[0].given[0]"], r#"["a","b"]"#, r#"["b"]"#),
            (
                &["type=add", "path=Patient", "name=deceased", r#""valueBoolean":false"#],
                r#""2000""#,
                r#""2000","deceasedBoolean":false"#,
            ),
            (
                &["type=add", "path=Patient", "name=deceasedDateTime", r#""valueDateTime":"2001""#],
                r#""2000""#,
                r#""2000","deceasedDateTime":"2001""#,
            ),
            (
                &["type=add", "path=Patient", "name=active", r#""valueBoolean":true"#],
                r#""1","#,
                r#""1","active":true,"#,
            ),
            (
                &["type=add", "path=Patient.name[0]", "name=given", r#""valueString":"d""#],
                r#""b""#,
                r#""b","d""#,
            ),
            (
                &[
                    "type=add",
                    "path=Patient",
                    "name=contact",
                    r#""part":[{"name":"name","valueHumanName":{"text":"n"}},{"name":"telecom","part":[{"name":"value","valueString":"1"}]}]"#,
                ],
                r#""2000""#,
                r#""2000","contact":[{"name":{"text":"n"},"telecom":[{"value":"1"}]}]"#,
            ),
            (
                &[
                    "type=add",
                    "path=Patient",
                    "name=contained",
                    r#""resource":{"resourceType":"Basic","id":"b"}"#,
                ],
                r#""1","#,
                r#""1","contained":[{"resourceType":"Basic","id":"b"}],"#,
            ),
            (
                &[
                    "type=add",
                    "path=Patient",
                    "name=extension",
                    r#""part":[{"name":"url","valueUri":"http://x"},{"name":"value","valueCode":"c"}]"#,
                ],
                r#""1","#,
                r#""1","extension":[{"url":"http://x","valueCode":"c"}],"#,
            ),
            (
                &["type=insert", "path=Patient.identifier", "index=0", r#""valueIdentifier":{"value":"v"}"#],
                r#""1","#,
                r#""1","identifier":[{"value":"v"}],"#,
            ),
            (
                &["type=insert", "path=Patient.name[0].given", "index=1", r#""valueString":"x""#],
                r#""a","#,
                r#""a","x","#,
            ),
            (&["type=replace", "path=Patient.birthDate", r#""valueDate":"1999""#], "2000", "1999"),
            (
                &["type=move", "path=Patient.name[0].given", "source=1", "destination=0"],
                r#"["a","b"]"#,
                r#"["b","a"]"#,
            ),
        ] {
            let expected = PATIENT.replace(from, to);
            assert_eq!(patched(parts), Ok(expected), "{parts:?}");
        }
    }

    #[test]
    fn refused() {
        for (parts, path, why) in [
            (
                &["type=add", "path=Patient.birthDate", "name=extension", r#""valueString":"x""#][..],
                "Patient.birthDate",
                Refusal::WrongType,
            ),
            (
                &["type=add", "path=Patient.contact", "name=gender", r#""valueCode":"male""#][..],
                "Patient.contact",
                Refusal::NotFound,
            ),
            (
                &["type=add", "path=Patient.name", "name=text", r#""valueString":"t""#],
                "Patient.name",
                Refusal::ManyMatches,
            ),
            (
                &["type=add", "path=Patient", "name=nme", r#""valueString":"t""#],
                "Patient",
                Refusal::UnknownElement("nme".to_owned()),
            ),
            (
                &["type=add", "path=Patient", "name=birthDate", r#""valueDate":"2001""#],
                "Patient",
                Refusal::AlreadyThere,
            ),
            (
                &["type=add", "path=Patient", "name=gender", r#""valueInteger":1"#],
                "Patient",
                Refusal::WrongType,
            ),
            (
                &["type=add", "path=Patient", "name=address", r#""valueHumanName":{"text":"t"}"#],
                "Patient",
                Refusal::WrongType,
            ),
            (
                &["type=replace", "path=Patient.gender", r#""valueCode":"male""#],
                "Patient.gender",
                Refusal::NotFound,
            ),
            (
                &["type=replace", "path=Patient.birthDate", r#""valueString":"soon""#],
                "Patient.birthDate",
                Refusal::WrongType,
            ),
            (&["type=delete", "path=Patient.name"], "Patient.name", Refusal::ManyMatches),
            (&["type=delete", "path=Patient"], "Patient", Refusal::Root),
            (&["type=delete", "path=Patient.name.count()"], "Patient.name.count()", Refusal::NoElement),
            (
                &["type=insert", "path=Patient.name", "index=3", r#""valueHumanName":{"text":"t"}"#],
                "Patient.name",
                Refusal::OutOfRange,
            ),
            (
                &["type=insert", "path=Patient.name.given", "index=1", r#""valueString":"t""#],
                "Patient.name.given",
                Refusal::NotOneList,
            ),
            (
                &["type=move", "path=Patient.name", "source=2", "destination=0"],
                "Patient.name",
                Refusal::OutOfRange,
            ),
            (
                &["type=move", "path=Patient.contact", "source=0", "destination=0"],
                "Patient.contact",
                Refusal::NotFound,
            ),
        ] {
            assert_eq!(
                patched(parts),
                Err(PatchError::refused("Parameters.parameter[0]", path, why)),
                "{parts:?}"
            );
        }
        for parts in [
            &["type=add"][..],
            &["path=Patient"],
            &["type=plus", "path=Patient"],
            &["type=add", "path=Patient", "name=active"],
            &["type=move", "path=Patient.name", "source=-1", "destination=0"],
            &["type=delete", "path=Patient", "path=Patient"],
        ] {
            assert!(matches!(patched(parts), Err(PatchError::Malformed { .. })), "{parts:?}");
        }
    }
}

//! A resource that is being made: elements are put where their paths say, as
//! lists where FHIR has lists.

use fhir_model::schema::{Property, TypeId};
use serde_json::{Map, Value as Json, json};

/// A resource that is being made.
#[derive(Debug, Clone)]
pub(in crate::hl7v2) struct Draft {
    resource_type: &'static str,
    members: Map<String, Json>,
}

impl Draft {
    /// Begins a resource of a type.
    pub(in crate::hl7v2) fn new(resource_type: &'static str) -> Draft {
        let mut members = Map::new();
        members.insert("resourceType".to_owned(), json!(resource_type));
        Draft { resource_type, members }
    }

    /// Begins an element that is itself made of elements: `Patient.contact`.
    pub(in crate::hl7v2) fn part(element_type: &'static str) -> Draft {
        Draft { resource_type: element_type, members: Map::new() }
    }

    /// Returns its type.
    pub(in crate::hl7v2) fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// Returns what stands at an element of the resource itself.
    pub(in crate::hl7v2) fn element(&self, name: &str) -> &Json {
        self.members.get(name).unwrap_or(&Json::Null)
    }

    /// Tells whether nothing was put in.
    pub(in crate::hl7v2) fn is_empty(&self) -> bool {
        self.members.keys().all(|name| name == "resourceType")
    }

    /// Returns the resource.
    pub(in crate::hl7v2) fn finish(self) -> Json {
        Json::Object(self.members)
    }

    /// Tells whether something can be put at a path: it is an element that is
    /// not there yet, or a list.
    pub(in crate::hl7v2) fn takes(&self, path: &str) -> bool {
        let Some(mut ty) = TypeId::named(self.resource_type) else { return false };
        let mut object = Some(&self.members);
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let Some(found) = member(ty, step) else { return false };
            if steps.peek().is_none() {
                return found.is_list || !object.is_some_and(|object| is_taken(object, ty, step));
            }
            let inner = object.and_then(|object| object.get(step));
            object = match inner {
                Some(Json::Array(items)) => items.first().and_then(Json::as_object),
                other => other.and_then(Json::as_object),
            };
            ty = found.ty;
        }
        false
    }

    /// Puts a value at a path; lists on the way have their first item entered.
    /// Tells whether it is there now: there is no place for it, or less is said of the same, otherwise.
    pub(in crate::hl7v2) fn put(&mut self, path: &str, value: Json) -> bool {
        if !self.takes(path) {
            return false;
        }
        let Some(mut ty) = TypeId::named(self.resource_type) else { return false };
        let mut object = &mut self.members;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let Some(found) = member(ty, step) else { return false };
            if steps.peek().is_none() {
                if !found.is_list {
                    object.insert(step.to_owned(), value);
                } else if let Some(items) = object.entry(step).or_insert_with(|| json!([])).as_array_mut() {
                    if let Some(same) = items.iter().find(|item| is_same(step, item, &value)) {
                        return says(same, &value);
                    }
                    items.push(value);
                }
                return true;
            }
            let empty = if found.is_list { json!([{}]) } else { json!({}) };
            let inner = object.entry(step).or_insert(empty);
            let inner = match inner {
                Json::Array(items) => items.first_mut(),
                other => Some(other),
            };
            let Some(next) = inner.and_then(Json::as_object_mut) else { return false };
            object = next;
            ty = found.ty;
        }
        false
    }

    /// Puts an element in the place of what was there.
    pub(in crate::hl7v2) fn set(&mut self, element: &str, value: Json) {
        self.members.insert(element.to_owned(), value);
    }

    /// Takes an element away.
    pub(in crate::hl7v2) fn remove(&mut self, element: &str) {
        self.members.remove(element);
    }

    /// Puts a resource inside this one and returns the reference to it. What it has inside itself
    /// stands beside it then.
    pub(in crate::hl7v2) fn contain(&mut self, mut resource: Json) -> Json {
        let inner = resource.as_object_mut().and_then(|members| members.remove("contained"));
        let mut renamed: Vec<(String, Json)> = Vec::new();
        for inside in inner.as_ref().and_then(Json::as_array).into_iter().flatten() {
            let before = inside["id"].as_str().map(|id| format!("#{id}")).unwrap_or_default();
            renamed.push((before, self.contain(without_id(inside))["reference"].clone()));
        }
        rename(&mut resource, &renamed);
        let contained = self.members.entry("contained").or_insert_with(|| json!([]));
        let Some(items) = contained.as_array_mut() else { return Json::Null };
        let known =
            items.iter().find(|item| without_id(item) == resource).and_then(|item| item["id"].as_str());
        if let Some(id) = known {
            return json!({ "reference": format!("#{id}") });
        }
        let name = resource["resourceType"].as_str().unwrap_or("resource").to_lowercase();
        let id = format!("{name}{}", items.len() + 1);
        resource["id"] = json!(id);
        items.push(resource);
        json!({ "reference": format!("#{id}") })
    }
}

/// Tells whether an item of a list says what another does. Identifiers are the
/// same when system and value are.
fn is_same(element: &str, item: &Json, other: &Json) -> bool {
    let is_identifier = element == "identifier" && item["system"].is_string();
    item == other || is_identifier && item["system"] == other["system"] && item["value"] == other["value"]
}

/// Tells whether an item of a list says all that another does.
fn says(item: &Json, other: &Json) -> bool {
    match (item.as_object(), other.as_object()) {
        (Some(item), Some(other)) => other.iter().all(|(name, value)| item.get(name) == Some(value)),
        _ => item == other,
    }
}

/// Refers to what has another id now.
fn rename(value: &mut Json, renamed: &[(String, Json)]) {
    match value {
        Json::Object(members) => {
            for (name, inner) in members {
                let now = renamed.iter().find(|(before, _)| name == "reference" && inner == before.as_str());
                match now {
                    Some((_, now)) => *inner = now.clone(),
                    None => rename(inner, renamed),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        _ => {}
    }
}

fn without_id(resource: &Json) -> Json {
    let mut resource = resource.clone();
    if let Some(members) = resource.as_object_mut() {
        members.remove("id");
    }
    resource
}

/// What a member of a type is.
struct Member {
    ty: TypeId,
    is_list: bool,
}

/// Finds a member by its name in JSON; `_birthDate` is what stands beside `birthDate`.
fn member(ty: TypeId, name: &str) -> Option<Member> {
    if let Some(primitive) = name.strip_prefix('_') {
        let (_, property) = ty.definition().property(primitive, 0)?;
        let element = TypeId::named("Element").filter(|_| property.ty.definition().is_primitive())?;
        return Some(Member { ty: element, is_list: property.element.is_array() });
    }
    let (_, property) = ty.definition().property(name, 0)?;
    Some(Member { ty: property.ty, is_list: property.element.is_array() })
}

/// Tells whether an element is there, in this or another of its types.
fn is_taken(object: &Map<String, Json>, ty: TypeId, name: &str) -> bool {
    if object.contains_key(name) {
        return true;
    }
    let Some((_, property)) = ty.definition().property(name, 0) else { return false };
    let is_sibling = |other: &&Property| std::ptr::eq(other.element, property.element);
    ty.definition().properties.iter().filter(is_sibling).any(|other| object.contains_key(other.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_stands_where_fhir_has_it() {
        let mut draft = Draft::new("Patient");
        for (path, value, is_taken) in [
            ("name", json!({ "family": "Rossi" }), true),
            ("name", json!({ "family": "Bianchi" }), true),
            ("gender", json!("male"), true),
            ("gender", json!("female"), false),
            ("deceasedDateTime", json!("2020"), true),
            ("deceasedBoolean", json!(true), false),
            ("communication.language", json!({ "text": "it" }), true),
            ("_birthDate.extension", json!({ "url": "x" }), true),
            ("no.such", json!(1), false),
        ] {
            assert_eq!(draft.put(path, value), is_taken, "{path}");
        }
        assert_eq!(
            draft.finish(),
            json!({
                "resourceType": "Patient",
                "name": [{ "family": "Rossi" }, { "family": "Bianchi" }],
                "gender": "male",
                "deceasedDateTime": "2020",
                "communication": [{ "language": { "text": "it" } }],
                "_birthDate": { "extension": [{ "url": "x" }] },
            })
        );
    }

    #[test]
    fn the_same_resource_is_contained_once() {
        let mut draft = Draft::new("Encounter");
        let one = draft.contain(json!({ "resourceType": "Practitioner", "name": [{ "family": "Verdi" }] }));
        let other = draft.contain(json!({ "resourceType": "Practitioner", "name": [{ "family": "Verdi" }] }));
        assert_eq!((&one, &other), (&json!({ "reference": "#practitioner1" }), &one));
        assert_eq!(draft.element("contained").as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn nothing_stands_inside_of_what_stands_inside() {
        let mut visit = Draft::new("Encounter");
        let somebody =
            visit.contain(json!({ "resourceType": "Practitioner", "name": [{ "family": "Neri" }] }));
        visit.put("participant.individual", somebody);
        let mut report = Draft::new("DiagnosticReport");
        report.contain(json!({ "resourceType": "Practitioner", "name": [{ "family": "Verdi" }] }));
        let reference = report.contain(visit.finish());
        assert_eq!(reference, json!({ "reference": "#encounter3" }));
        let inside = &report.element("contained");
        assert_eq!(inside[1]["id"], "practitioner2");
        assert_eq!(inside[2]["participant"][0]["individual"]["reference"], "#practitioner2");
        assert_eq!(inside[2]["contained"], Json::Null);
    }
}

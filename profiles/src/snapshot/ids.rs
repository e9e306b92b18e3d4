//! The ids of the elements of a differential: as given where they fit the
//! path, otherwise made of the paths and the names of slices.
//!
//! Spec: <https://hl7.org/fhir/R4/elementdefinition.html#id>

use fhir_model::schema::name;
use fhir_model::tree::Element;

/// Makes ids, element by element.
#[derive(Default)]
pub(super) struct Ids {
    /// The path and id of the last element, and of those above it.
    open: Vec<(String, String)>,
}

impl Ids {
    /// Returns the id of the next element of the differential.
    pub(super) fn next(&mut self, diff: Element<'_>) -> String {
        let path = diff.text_of(name::PATH).unwrap_or_default();
        let slice = diff.text_of(name::SLICE_NAME);
        let given = diff.text_of(name::ID).filter(|id| fits(id, path, slice));
        let parent = path.rsplit_once('.').map(|(parent, _)| parent);
        self.open.retain(|(open, _)| is_above(open, path));
        let id = match (given, path.rsplit_once('.')) {
            (Some(id), _) => id.to_owned(),
            (None, Some((above, last))) => {
                let above = self.above(above);
                match slice {
                    Some(slice) => format!("{above}.{last}:{slice}"),
                    None => format!("{above}.{last}"),
                }
            }
            (None, None) => path.to_owned(),
        };
        if parent.is_some() || self.open.is_empty() {
            self.open.push((path.to_owned(), id.clone()));
        }
        id
    }

    /// Returns the id for the path of a parent: of the nearest element that
    /// came before, and the rest as the path has it.
    fn above(&self, parent: &str) -> String {
        let nearest = self.open.iter().rev().find(|(open, _)| open == parent || is_above(open, parent));
        match nearest {
            Some((open, id)) => format!("{id}{}", parent.get(open.len()..).unwrap_or_default()),
            None => parent.to_owned(),
        }
    }
}

fn is_above(open: &str, path: &str) -> bool {
    path.strip_prefix(open).is_some_and(|rest| rest.starts_with('.'))
}

/// Tells whether an id says what path and slice say.
fn fits(id: &str, path: &str, slice: Option<&str>) -> bool {
    let own_slice = id.rsplit('.').next().and_then(|last| last.split_once(':')).map(|(_, slice)| slice);
    let same = |(part, of_path): (&str, &str)| {
        let own = part.split(':').next().unwrap_or(part);
        own == of_path || own.strip_suffix("[x]").is_some_and(|stem| of_path.starts_with(stem))
    };
    id.split('.').count() == path.split('.').count()
        && id.split('.').zip(path.split('.')).all(same)
        && (slice.is_none() || own_slice.is_none() || own_slice == slice)
        && (slice.is_none() || own_slice.is_some())
}

/// Returns the path that an id stands for: without the names of slices.
pub(crate) fn path_of(id: &str) -> String {
    id.split('.').map(|part| part.split(':').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

/// Tells whether an element stands right below another.
pub(super) fn is_child(id: &str, parent: &str) -> bool {
    id.strip_prefix(parent).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| !rest.contains('.'))
}

#[cfg(test)]
mod tests {
    use fhir_model::json;

    use super::*;

    #[test]
    fn ids_are_made_of_paths_and_slices() {
        let rows = [
            ("Observation", None, None, "Observation"),
            ("Observation.component", None, None, "Observation.component"),
            ("Observation.component", Some("a"), None, "Observation.component:a"),
            ("Observation.component.code", None, None, "Observation.component:a.code"),
            (
                "Observation.component.code.coding",
                Some("x"),
                Some("wrong"),
                "Observation.component:a.code.coding:x",
            ),
            (
                "Observation.component.code.coding.system",
                None,
                None,
                "Observation.component:a.code.coding:x.system",
            ),
            ("Observation.component", Some("a/b"), None, "Observation.component:a/b"),
            (
                "Observation.component.code",
                None,
                Some("Observation.component:c.code"),
                "Observation.component:c.code",
            ),
            (
                "Observation.valueQuantity",
                None,
                Some("Observation.value[x]:valueQuantity"),
                "Observation.value[x]:valueQuantity",
            ),
            ("Observation.valueQuantity.unit", None, None, "Observation.value[x]:valueQuantity.unit"),
            ("Observation.code", None, Some("Observation.method"), "Observation.code"),
        ];
        let mut ids = Ids::default();
        for (path, slice, given, expected) in rows {
            let mut element = serde_json::json!({"path": path});
            if let Some(slice) = slice {
                element["sliceName"] = slice.into();
            }
            if let Some(given) = given {
                element["id"] = given.into();
            }
            let text = serde_json::json!({
                "resourceType": "StructureDefinition", "differential": {"element": [element]},
            });
            let definition = json::read(text.to_string()).expect("readable");
            let element = super::super::differential_elements(definition.root())[0];
            assert_eq!(ids.next(element), expected);
        }
    }
}

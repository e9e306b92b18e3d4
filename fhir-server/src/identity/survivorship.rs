//! What holds of a person, out of what his records say.

use serde_json::Value;

/// The elements that a record may get from another.
const ELEMENTS: &[&str] = &[
    "name",
    "telecom",
    "gender",
    "birthDate",
    "deceased",
    "address",
    "maritalStatus",
    "multipleBirth",
    "photo",
    "contact",
    "communication",
    "generalPractitioner",
    "managingOrganization",
];
/// Elements that are of one type or another, which stands in their names.
const CHOICES: &[&str] = &["deceased", "multipleBirth"];

/// Returns the members of a record that are an element: one, with what
/// is said of a primitive beside it.
fn members<'p>(patient: &'p Value, element: &'p str) -> impl Iterator<Item = (&'p String, &'p Value)> {
    let is_choice = CHOICES.contains(&element);
    let is_it = move |name: &str| name == element || (is_choice && name.starts_with(element));
    let all = patient.as_object().into_iter().flatten();
    all.filter(move |(name, _)| is_it(name.strip_prefix('_').unwrap_or(name)))
}

/// Gives a record what it lacks and another has; returns the names of the elements.
pub(crate) fn fill(patient: &mut Value, from: &Value) -> Vec<&'static str> {
    let lacks = |element: &&&'static str| {
        members(patient, element).next().is_none() && members(from, element).next().is_some()
    };
    let filled: Vec<&'static str> = ELEMENTS.iter().filter(lacks).copied().collect();
    if let Some(elements) = patient.as_object_mut() {
        for element in &filled {
            elements.extend(members(from, element).map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    filled
}

/// Takes an element away that a record got from another, where it is still the same.
pub(crate) fn take_back(patient: &mut Value, from: &Value, element: &str) {
    let got: Vec<(String, Value)> = members(from, element).map(|(n, v)| (n.clone(), v.clone())).collect();
    let is_same = got.iter().all(|(name, value)| patient.get(name) == Some(value));
    if let (true, Some(elements)) = (is_same, patient.as_object_mut()) {
        got.iter().for_each(|(name, _)| _ = elements.remove(name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_filled_is_taken_back() {
        let from = json!({ "id": "s", "gender": "female", "birthDate": "1970", "_birthDate": { "id": "b" },
            "deceasedDateTime": "2020", "identifier": [{ "value": "1" }] });
        let before = json!({ "id": "t", "gender": "male", "multipleBirthBoolean": false });
        let mut patient = before.clone();
        let filled = fill(&mut patient, &from);
        assert_eq!(filled, ["birthDate", "deceased"]);
        assert_eq!((&patient["gender"], &patient["birthDate"]), (&json!("male"), &json!("1970")));
        assert_eq!((&patient["_birthDate"]["id"], &patient["identifier"]), (&json!("b"), &Value::Null));
        // What was said since stays.
        patient["deceasedDateTime"] = json!("2021");
        filled.iter().for_each(|element| take_back(&mut patient, &from, element));
        let mut expected = before;
        expected["deceasedDateTime"] = json!("2021");
        assert_eq!(patient, expected);
    }
}

//! What holds of a person, out of what his records say.

use std::cmp::Ordering;

use ihe_adapters::pix::records::EVENT_TIME;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::evidence::identifiers;
use super::links::array;

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

/// By what one record counts before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The national registry of assisted persons has verified it.
    Verified,
    /// Its source counts before others.
    Source,
    /// What it says happened later.
    Newest,
    /// It says more.
    Complete,
}

/// The names of orders.
const ORDERS: &[(&str, Order)] = &[
    ("verified", Order::Verified),
    ("source", Order::Source),
    ("newest", Order::Newest),
    ("complete", Order::Complete),
];

impl Order {
    /// Returns the order of a name.
    pub(crate) fn named(name: &str) -> Option<Order> {
        ORDERS.iter().find(|(known, _)| *known == name).map(|(_, order)| *order)
    }
}

/// The identifiers that say that the national registry has verified a record.
const VERIFIED: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.15";
/// Elements of which each record may say another part, all of which holds.
const UNITED: &[&str] = &["telecom", "communication"];

/// How records count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// By what; what is said first decides first.
    pub(crate) orders: Vec<Order>,
    /// The systems of identifiers of the sources that count before others, the best first.
    pub(crate) sources: Vec<String>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { orders: ORDERS.iter().map(|(_, order)| *order).collect(), sources: Vec::new() }
    }
}

impl Rules {
    /// Compares two records: the one that counts more is less.
    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        let by = |order: &Order| match order {
            Order::Verified => is_verified(other).cmp(&is_verified(one)),
            Order::Source => self.source(one).cmp(&self.source(other)),
            Order::Newest => told_at(other).cmp(&told_at(one)),
            Order::Complete => completeness(other).cmp(&completeness(one)),
        };
        let decided = self.orders.iter().map(by).find(|ordering| ordering.is_ne());
        // Otherwise the one that was there before counts, in each answer the same.
        decided.unwrap_or(Ordering::Equal).then_with(|| one["id"].as_str().cmp(&other["id"].as_str()))
    }

    fn source(&self, patient: &Value) -> usize {
        let systems: Vec<&str> = identifiers(patient).into_iter().map(|(system, _)| system).collect();
        let rank = self.sources.iter().position(|source| systems.contains(&source.as_str()));
        rank.unwrap_or(self.sources.len())
    }
}

fn is_verified(patient: &Value) -> bool {
    identifiers(patient).iter().any(|(system, _)| *system == VERIFIED)
}

/// Returns when what a record says happened at its source, or was stored.
fn told_at(patient: &Value) -> Option<Timestamp> {
    let told = array(patient, "extension").iter().find(|extension| extension["url"] == EVENT_TIME);
    let told = told.and_then(|extension| extension["valueInstant"].as_str());
    told.or(patient["meta"]["lastUpdated"].as_str())?.parse().ok()
}

fn completeness(patient: &Value) -> usize {
    ELEMENTS.iter().filter(|element| members(patient, element).next().is_some()).count()
}

/// Returns the best that is known of a person: each element of the record that
/// counts most of those that have it, and all identifiers in use.
pub(crate) fn best(mut records: Vec<Value>, rules: &Rules) -> Value {
    records.sort_by(|one, other| rules.compare(one, other));
    let mut person = json!({ "resourceType": "Patient" });
    let union = |named: &str, counts: fn(&Value) -> bool| {
        let mut all: Vec<Value> = Vec::new();
        for one in records.iter().flat_map(|record| array(record, named)).filter(|one| counts(one)) {
            if !all.contains(one) {
                all.push(one.clone());
            }
        }
        Value::Array(all)
    };
    let mut put = |named: &str, value: Value| {
        if value.as_array().is_none_or(|all| !all.is_empty()) {
            person[named] = value;
        }
    };
    put("identifier", union("identifier", |identifier| identifier["use"] != "old"));
    put("active", json!(true));
    for element in ELEMENTS {
        if UNITED.contains(element) {
            put(element, union(element, |_| true));
            continue;
        }
        // That somebody is not dead says nothing against who says that he is.
        let says = |record: &&Value| {
            members(record, element).any(|(name, value)| name != "deceasedBoolean" || *value == true)
        };
        let from = records.iter().find(says);
        for (name, value) in from.into_iter().flat_map(|record| members(record, element)) {
            put(name, value.clone());
        }
    }
    let link = |record: &Value| {
        let id = record["id"].as_str()?;
        Some(json!({ "other": { "reference": format!("Patient/{id}") }, "type": "seealso" }))
    };
    put("link", Value::Array(records.iter().filter_map(link).collect()));
    person
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_record_counts_element_by_element() {
        let record = |id: &str, system: &str, updated: &str, more: Value| {
            let mut record = json!({ "id": id, "identifier": [{ "system": system, "value": id }],
                "meta": { "lastUpdated": updated } });
            if let Some((record, more)) = record.as_object_mut().zip(more.as_object()) {
                record.extend(more.clone());
            }
            record
        };
        let phone = json!({ "value": "010" });
        let records = vec![
            record(
                "a",
                "urn:a",
                "2026-01-01T00:00:00Z",
                json!({ "gender": "male", "birthDate": "1970",
                "telecom": [phone], "deceasedBoolean": false }),
            ),
            record(
                "b",
                "urn:b",
                "2026-01-02T00:00:00Z",
                json!({ "gender": "female", "telecom": [phone, { "value": "020" }] }),
            ),
            record(
                "c",
                VERIFIED,
                "2025-01-01T00:00:00Z",
                json!({ "name": [{ "family": "Rossi" }],
                "deceasedDateTime": "2024" }),
            ),
        ];
        let person = best(records.clone(), &Rules::default());
        assert_eq!((&person["gender"], &person["birthDate"]), (&json!("female"), &json!("1970")));
        assert_eq!(
            (&person["name"][0]["family"], &person["deceasedDateTime"]),
            (&json!("Rossi"), &json!("2024"))
        );
        assert_eq!(person["deceasedBoolean"], Value::Null);
        let count = |named: &str| array(&person, named).len();
        assert_eq!((count("identifier"), count("telecom"), count("link")), (3, 2, 3));
        // The verified one is told first.
        assert_eq!(person["link"][0]["other"]["reference"], "Patient/c");
        let rules = |orders: &[Order]| Rules { orders: orders.to_vec(), sources: vec!["urn:a".to_owned()] };
        assert_eq!(best(records.clone(), &rules(&[Order::Source]))["gender"], "male");
        assert_eq!(best(records.clone(), &rules(&[Order::Complete]))["gender"], "male");
        assert_eq!(best(records, &rules(&[Order::Newest, Order::Source]))["gender"], "female");
    }

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

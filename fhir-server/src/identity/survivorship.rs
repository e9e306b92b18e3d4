//! What holds of a person, out of what his records say.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use ihe_adapters::pix::records::EVENT_TIME;
use jiff::Timestamp;
use serde::Deserialize;
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

/// Elements of which a record has one value.
const SINGLE: &[&str] =
    &["gender", "birthDate", "deceased", "maritalStatus", "multipleBirth", "managingOrganization"];

/// Tells whether a record may have several values of an element.
pub(super) fn is_list(element: &str) -> bool {
    !SINGLE.contains(&element)
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The national registry of assisted persons has verified it.
    Verified,
    /// Its source counts before others.
    Source,
    /// More records say the same.
    Frequent,
    /// What it says happened later.
    Newest,
    /// It says more.
    Complete,
}

/// The names of orders.
const ORDERS: &[(&str, Order)] = &[
    ("verified", Order::Verified),
    ("source", Order::Source),
    ("frequent", Order::Frequent),
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
/// Elements that do not change while somebody lives: who says another value has made a mistake, and
/// the last mistake is not the truth.
const LASTING: &[&str] = &["gender", "birthDate", "multipleBirth"];

/// How records count for an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// By what; what is said first decides first.
    pub orders: Vec<Order>,
    /// The sources that count before others, the best first: the systems of the identifiers of each.
    pub sources: Vec<Vec<String>>,
    /// Whether what all records say holds, and not one of them alone.
    pub is_united: bool,
}

/// How the best that is known of a person is found, element by element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survivorship {
    /// For records as a whole.
    pub(super) of_records: Rule,
    /// For elements, by their names.
    pub(super) by_element: BTreeMap<&'static str, Rule>,
}

impl Default for Survivorship {
    fn default() -> Survivorship {
        Survivorship::of(&[Order::Verified, Order::Source, Order::Newest, Order::Complete])
    }
}

impl Survivorship {
    /// Makes the one in which all elements go by one order, but for those that are of another kind.
    pub(super) fn of(orders: &[Order]) -> Survivorship {
        let rule = |is_united| Rule { orders: orders.to_vec(), sources: Vec::new(), is_united };
        let of = |element: &&'static str| {
            let mut rule = rule(UNITED.contains(element));
            if LASTING.contains(element) && !rule.orders.contains(&Order::Frequent) {
                let newest = rule.orders.iter().position(|order| *order == Order::Newest);
                rule.orders.insert(newest.unwrap_or(rule.orders.len()), Order::Frequent);
            }
            (*element, rule)
        };
        Survivorship { of_records: rule(false), by_element: ELEMENTS.iter().map(of).collect() }
    }

    /// Returns the rule of an element; `None` for what no record gets from another.
    pub(super) fn of_element(&mut self, element: &str) -> Option<&mut Rule> {
        self.by_element.get_mut(element)
    }

    /// Says by what all records count, whatever the settings are.
    pub(crate) fn ordered_by(&mut self, orders: &[Order]) {
        self.each().for_each(|rule| rule.orders = orders.to_vec());
    }

    /// Says which sources count before others, whatever the settings are.
    pub(crate) fn trusting(&mut self, sources: &[Vec<String>]) {
        self.each().for_each(|rule| rule.sources = sources.to_vec());
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Rule> {
        std::iter::once(&mut self.of_records).chain(self.by_element.values_mut())
    }
}

/// Records, as they count for something.
struct Ranked<'r> {
    rule: &'r Rule,
    /// How many records say the same as one, by what it says.
    said: BTreeMap<String, usize>,
    /// What of a record that is.
    says: &'r dyn Fn(&Value) -> String,
}

impl<'r> Ranked<'r> {
    fn new(records: &[impl Borrow<Value>], rule: &'r Rule, says: &'r dyn Fn(&Value) -> String) -> Ranked<'r> {
        let mut said = BTreeMap::new();
        if rule.orders.contains(&Order::Frequent) {
            records.iter().for_each(|record| *said.entry(says(record.borrow())).or_default() += 1);
        }
        Ranked { rule, said, says }
    }

    /// Compares two records: the one that counts more is less.
    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        let by = |order: &Order| match order {
            Order::Verified => is_verified(other).cmp(&is_verified(one)),
            Order::Source => self.source(one).cmp(&self.source(other)),
            Order::Frequent => self.count(other).cmp(&self.count(one)),
            Order::Newest => told_at(other).cmp(&told_at(one)),
            Order::Complete => completeness(other).cmp(&completeness(one)),
        };
        let decided = self.rule.orders.iter().map(by).find(|ordering| ordering.is_ne());
        // Otherwise the one that was there before counts, in each answer the same.
        decided.unwrap_or(Ordering::Equal).then_with(|| one["id"].as_str().cmp(&other["id"].as_str()))
    }

    fn count(&self, record: &Value) -> usize {
        self.said.get(&(self.says)(record)).copied().unwrap_or_default()
    }

    fn source(&self, patient: &Value) -> usize {
        let systems: Vec<&str> = identifiers(patient).into_iter().map(|(system, _)| system).collect();
        let is_of = |source: &Vec<String>| source.iter().any(|system| systems.contains(&system.as_str()));
        self.rule.sources.iter().position(is_of).unwrap_or(self.rule.sources.len())
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

/// Returns what a record says of an element, as a text by which it is compared.
fn said(record: &Value, element: &str) -> String {
    let all: Vec<(&String, &Value)> = members(record, element).collect();
    json!(all).to_string()
}

/// Tells whether a record says an element.
fn says(record: &Value, element: &str) -> bool {
    // That somebody is not dead says nothing against who says that he is.
    members(record, element).any(|(name, value)| name != "deceasedBoolean" || *value == true)
}

/// Returns the values of an element that is a list, of all records, each once.
fn united(records: &[impl Borrow<Value>], element: &str, counts: fn(&Value) -> bool) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for one in records.iter().flat_map(|record| array(record.borrow(), element)).filter(|one| counts(one)) {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    Value::Array(all)
}

/// Returns the best that is known of a person: each element of the record that
/// counts most for it of those that have it, and all identifiers in use.
pub(crate) fn best(mut records: Vec<Value>, survivorship: &Survivorship) -> Value {
    let whole = |record: &Value| ELEMENTS.iter().map(|element| said(record, element)).collect();
    let ranked = Ranked::new(&records, &survivorship.of_records, &whole);
    records.sort_by(|one, other| ranked.compare(one, other));
    let mut person = json!({ "resourceType": "Patient" });
    let mut put = |named: &str, value: Value| {
        if value.as_array().is_none_or(|all| !all.is_empty()) {
            person[named] = value;
        }
    };
    put("identifier", united(&records, "identifier", |identifier| identifier["use"] != "old"));
    put("active", json!(true));
    for (element, rule) in &survivorship.by_element {
        let told: Vec<&Value> = records.iter().filter(|record| says(record, element)).collect();
        if rule.is_united {
            put(element, united(&told, element, |_| true));
            continue;
        }
        let of_element = |record: &Value| said(record, element);
        let ranked = Ranked::new(&told, rule, &of_element);
        let from = told.iter().min_by(|one, other| ranked.compare(one, other));
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
        let person = best(records.clone(), &Survivorship::default());
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
        let rules = |orders: &[Order]| {
            let mut survivorship = Survivorship::default();
            survivorship.ordered_by(orders);
            survivorship.trusting(&[vec!["urn:x".to_owned(), "urn:a".to_owned()]]);
            survivorship
        };
        assert_eq!(best(records.clone(), &rules(&[Order::Source]))["gender"], "male");
        assert_eq!(best(records.clone(), &rules(&[Order::Complete]))["gender"], "male");
        assert_eq!(best(records, &rules(&[Order::Newest, Order::Source]))["gender"], "female");
    }

    #[test]
    fn each_element_has_a_rule_of_its_own() {
        let record = |id: &str, updated: &str, born: &str, family: &str, phone: &str| {
            json!({ "id": id, "meta": { "lastUpdated": updated }, "birthDate": born, "name": [{ "family": family }],
                "telecom": [{ "value": phone }] })
        };
        let records = vec![
            record("a", "2026-01-01T00:00:00Z", "1970-01-02", "Rossi", "1"),
            record("b", "2026-01-02T00:00:00Z", "1970-01-02", "Rossi", "2"),
            record("c", "2026-01-03T00:00:00Z", "1970-02-01", "Bianchi", "3"),
        ];
        let found = |survivorship: &Survivorship| {
            let person = best(records.clone(), survivorship);
            let phones = array(&person, "telecom").len();
            (person["birthDate"].clone(), person["name"][0]["family"].clone(), phones)
        };
        // Who was born when does not change, and who has married is called otherwise.
        let mut survivorship = Survivorship::default();
        assert_eq!(found(&survivorship), (json!("1970-01-02"), json!("Bianchi"), 3));
        let name = survivorship.of_element("name").expect("a rule");
        name.orders = vec![Order::Frequent];
        survivorship.of_element("telecom").expect("a rule").is_united = false;
        assert_eq!(found(&survivorship), (json!("1970-01-02"), json!("Rossi"), 1));
        survivorship.ordered_by(&[Order::Newest]);
        assert_eq!(found(&survivorship), (json!("1970-02-01"), json!("Bianchi"), 1));
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

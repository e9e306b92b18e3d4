//! A tie between two records, as it stands in `Patient.link`: of which kind it
//! is, to whom it goes, and why it is there.
//!
//! Why it is there is an extension of the link. A link without one was made by
//! a client of FHIR, and stays as it is.
//!
//! Spec: <https://hl7.org/fhir/R4/patient.html#links>

use fhir_model::reference::Literal;
use fhir_model::schema::ty;
use serde_json::{Value, json};

/// The extension of a link that says why it is there.
pub(crate) const ORIGIN: &str = "urn:lanterna:identity:link";

/// Of which kind a tie is, as the codes of FHIR say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// Both are of one person.
    SeeAlso,
    /// The other one was merged into this one.
    Replaces,
    /// This one was merged into the other.
    ReplacedBy,
    /// The other one is to be looked at for more.
    Refer,
}

/// The codes of ties.
const TIES: &[(Tie, &str)] = &[
    (Tie::SeeAlso, "seealso"),
    (Tie::Replaces, "replaces"),
    (Tie::ReplacedBy, "replaced-by"),
    (Tie::Refer, "refer"),
];

impl Tie {
    fn code(self) -> &'static str {
        TIES.iter().find(|(tie, _)| *tie == self).map_or("", |(_, code)| code)
    }

    fn of_code(code: &str) -> Option<Tie> {
        TIES.iter().find(|(_, known)| *known == code).map(|(tie, _)| *tie)
    }
}

/// Who made a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The linker, because the records say so.
    Automatic,
    /// Somebody decided it.
    Confirmed,
    /// A merge.
    Merge,
}

/// The codes of origins.
const ORIGINS: &[(Origin, &str)] =
    &[(Origin::Automatic, "automatic"), (Origin::Confirmed, "confirmed"), (Origin::Merge, "merge")];

impl Origin {
    fn code(self) -> &'static str {
        ORIGINS.iter().find(|(origin, _)| *origin == self).map_or("", |(_, code)| code)
    }

    fn of_code(code: &str) -> Option<Origin> {
        ORIGINS.iter().find(|(_, known)| *known == code).map(|(origin, _)| *origin)
    }
}

/// A tie that a record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Of which kind it is.
    pub(crate) tie: Tie,
    /// The id of the other record.
    pub(crate) other: String,
    /// Who made it, as far as that is said.
    pub(crate) origin: Option<Origin>,
}

impl Link {
    /// Tells whether the linker made it, and may take it away again.
    pub(crate) fn is_automatic(&self) -> bool {
        self.tie == Tie::SeeAlso && self.origin == Some(Origin::Automatic)
    }
}

/// Returns the ties of a record to others of this server, in their order.
pub(crate) fn links(patient: &Value) -> Vec<Link> {
    array(patient, "link").iter().filter_map(link).collect()
}

fn link(link: &Value) -> Option<Link> {
    let tie = Tie::of_code(link["type"].as_str()?)?;
    let literal = Literal::parse(link["other"]["reference"].as_str()?)?;
    let is_here = literal.base.is_none() && literal.key.resource_type == ty::PATIENT;
    let origin = parts(link).find(|part| part["url"] == "origin");
    let origin = origin.and_then(|part| Origin::of_code(part["valueCode"].as_str()?));
    is_here.then(|| Link { tie, other: literal.key.id.as_str().to_owned(), origin })
}

/// Returns what the extension of a link says, part by part.
pub(crate) fn parts(link: &Value) -> impl Iterator<Item = &Value> {
    let ours = array(link, "extension").iter().filter(|extension| extension["url"] == ORIGIN);
    ours.flat_map(|extension| array(extension, "extension"))
}

/// Returns the link of a kind to a record, as it stands there.
pub(crate) fn find<'p>(patient: &'p Value, tie: Tie, other: &str) -> Option<&'p Value> {
    array(patient, "link").iter().find(|element| is_of(element, tie, other))
}

fn is_of(element: &Value, tie: Tie, other: &str) -> bool {
    link(element).is_some_and(|link| link.tie == tie && link.other == other)
}

/// Tells whether a record was merged into another.
pub(crate) fn is_subsumed(patient: &Value) -> bool {
    links(patient).iter().any(|link| link.tie == Tie::ReplacedBy)
}

/// Ties a record to another, in the place of a tie of the same kind; `said`: what is said of it besides who made it.
pub(crate) fn add(patient: &mut Value, tie: Tie, other: &str, origin: Origin, said: Vec<Value>) {
    let mut parts = vec![json!({ "url": "origin", "valueCode": origin.code() })];
    parts.extend(said);
    let made = json!({
        "extension": [{ "url": ORIGIN, "extension": parts }],
        "other": { "reference": format!("Patient/{other}") },
        "type": tie.code(),
    });
    remove(patient, tie, other);
    if let Value::Object(elements) = patient
        && let Value::Array(all) = elements.entry("link").or_insert_with(|| json!([]))
    {
        all.push(made);
    }
}

/// Says of a tie by which identifier and text the other record is named besides.
pub(crate) fn name(patient: &mut Value, tie: Tie, other: &str, named: &Value) {
    let links = patient.get_mut("link").and_then(Value::as_array_mut).into_iter().flatten();
    for element in links.filter(|element| is_of(element, tie, other)) {
        for by in ["identifier", "display"] {
            if let Some(value) = named.get(by) {
                element["other"][by] = value.clone();
            }
        }
    }
}

/// Takes the ties of a kind to another record away; tells whether there was one.
pub(crate) fn remove(patient: &mut Value, tie: Tie, other: &str) -> bool {
    let Some(all) = patient.get_mut("link").and_then(Value::as_array_mut) else { return false };
    let before = all.len();
    all.retain(|element| !is_of(element, tie, other));
    let is_changed = all.len() < before;
    if let (true, Value::Object(elements)) = (all.is_empty(), patient) {
        elements.remove("link");
    }
    is_changed
}

/// Returns the members of an array, none where there is none.
pub(crate) fn array<'v>(value: &'v Value, named: &str) -> &'v [Value] {
    value.get(named).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_told_apart() {
        let mut patient = json!({ "resourceType": "Patient", "id": "a", "link": [
            { "other": { "reference": "Patient/b" }, "type": "seealso" },
            { "other": { "reference": "http://elsewhere.example/fhir/Patient/b" }, "type": "seealso" },
            { "other": { "reference": "RelatedPerson/b" }, "type": "seealso" },
        ]});
        let foreign = Link { tie: Tie::SeeAlso, other: "b".to_owned(), origin: None };
        assert_eq!(links(&patient), std::slice::from_ref(&foreign));
        assert!(!foreign.is_automatic() && !is_subsumed(&patient));
        add(&mut patient, Tie::ReplacedBy, "c", Origin::Merge, Vec::new());
        add(
            &mut patient,
            Tie::SeeAlso,
            "d",
            Origin::Automatic,
            vec![json!({ "url": "score", "valueDecimal": 1.0 })],
        );
        assert!(is_subsumed(&patient));
        let automatic = Link { tie: Tie::SeeAlso, other: "d".to_owned(), origin: Some(Origin::Automatic) };
        assert!(automatic.is_automatic() && links(&patient).contains(&automatic));
        assert_eq!(find(&patient, Tie::SeeAlso, "d").map(|link| parts(link).count()), Some(2));
        // Made anew it takes the place of what was there.
        add(&mut patient, Tie::SeeAlso, "d", Origin::Confirmed, Vec::new());
        assert_eq!(links(&patient).iter().filter(|link| link.other == "d").count(), 1);
        assert!(remove(&mut patient, Tie::ReplacedBy, "c") && !remove(&mut patient, Tie::ReplacedBy, "c"));
        assert!(remove(&mut patient, Tie::SeeAlso, "d") && remove(&mut patient, Tie::SeeAlso, "b"));
        assert_eq!(array(&patient, "link").len(), 2);
        patient["link"] = json!([]);
        add(&mut patient, Tie::SeeAlso, "d", Origin::Automatic, Vec::new());
        assert!(remove(&mut patient, Tie::SeeAlso, "d") && patient.get("link").is_none());
    }
}

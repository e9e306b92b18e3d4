//! What is stored for the entries of a message that are put in the place of what is found:
//! asked for together, for a message of fifty orders is on the way of every feed.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#cond-update>

use fhir_model::outcome::Issue;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::Element;
use serde_json::Value as Json;

use crate::fhir_client::{Fhir, Found, decoded, parse_token};

/// How many resources are asked for in one search.
const AT_ONCE: usize = 50;
/// How many are found by it: more, and the criteria are those of too many.
const FOUND_MAX: usize = 1_000;

type Criteria = Vec<(String, String)>;

/// What is looked for, for an entry.
struct Lookup {
    entry: usize,
    of: TypeId,
    /// The identifier by which it is found, if it is by one.
    identifier: Option<(String, String)>,
    criteria: Criteria,
}

impl Lookup {
    fn of(number: usize, entry: &Json) -> Option<Lookup> {
        if entry["request"]["method"] != "PUT" {
            return None;
        }
        let (resource_type, query) = entry["request"]["url"].as_str()?.split_once('?')?;
        let (of, criteria) = (TypeId::resource_named(resource_type)?, decoded(query)?);
        let mut by = criteria.iter().filter(|(name, _)| name == "identifier");
        let identifier = match (by.next(), by.next()) {
            (Some((_, token)), None) => parse_token(token),
            _ => None,
        };
        Some(Lookup { entry: number, of, identifier, criteria })
    }

    /// Tells whether one search can find what both look for, and tell which is whose.
    fn goes_with(&self, other: &Lookup) -> bool {
        let rest = |of: &Lookup| -> Criteria {
            of.criteria.iter().filter(|(name, _)| name != "identifier").cloned().collect()
        };
        let are_named = self.identifier.is_some() && other.identifier.is_some();
        self.of == other.of && are_named && rest(self) == rest(other)
    }

    fn means(&self, found: Element<'_>) -> bool {
        let Some((system, value)) = &self.identifier else { return false };
        // The search parameter has both, where a resource has a master identifier (documents).
        let mut all =
            [name::IDENTIFIER, name::MASTER_IDENTIFIER].into_iter().flat_map(|of| found.children_named(of));
        all.any(|identifier| {
            identifier.text_of(name::SYSTEM).unwrap_or_default() == system
                && identifier.text_of(name::VALUE) == Some(value)
        })
    }
}

/// Returns what is stored for entries that are put in the place of one resource that is found:
/// the entry by its number, and the resource.
///
/// # Errors
/// When FHIR cannot be asked.
pub(super) async fn stored(entries: &[Json], fhir: Fhir<'_>) -> Result<Vec<(usize, Found)>, Issue> {
    let mut pending: Vec<Lookup> =
        entries.iter().enumerate().filter_map(|(number, entry)| Lookup::of(number, entry)).collect();
    let mut stored = Vec::with_capacity(pending.len());
    while let Some(first) = pending.pop() {
        let mut together = vec![first];
        let (mut with, others): (Vec<Lookup>, Vec<Lookup>) =
            pending.into_iter().partition(|other| together[0].goes_with(other));
        pending = others;
        pending.extend(with.drain(with.len().min(AT_ONCE - 1)..));
        together.extend(with);
        let found = find(&together, fhir).await?;
        for lookup in &together {
            // Alone it is what the server says, and not what is compared here.
            let is_alone = together.len() == 1;
            let mut meant = found.iter().filter(|found| is_alone || lookup.means(found.root()));
            if let (Some(one), None) = (meant.next(), meant.next()) {
                stored.push((lookup.entry, one.clone()));
            }
        }
    }
    Ok(stored)
}

/// Asks for what some entries look for.
async fn find(together: &[Lookup], fhir: Fhir<'_>) -> Result<Vec<Found>, Issue> {
    let Some(first) = together.first() else { return Ok(Vec::new()) };
    let tokens = together.iter().flat_map(|lookup| &lookup.criteria);
    let tokens: Vec<&str> =
        tokens.filter(|(name, _)| name == "identifier").map(|(_, token)| token.as_str()).collect();
    let tokens = tokens.join(",");
    let criteria: Vec<(&str, &str)> = first
        .criteria
        .iter()
        .map(|(name, value)| match name.as_str() {
            "identifier" if together.len() > 1 => ("identifier", tokens.as_str()),
            name => (name, value.as_str()),
        })
        .collect();
    match together {
        [_] => fhir.first_page(first.of, &criteria).await,
        _ => fhir.search(first.of, &criteria, FOUND_MAX).await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pix::stored::Stored;

    fn put(query: &str) -> Json {
        let of = query.split('?').next().unwrap_or_default();
        json!({ "resource": { "resourceType": of }, "request": { "method": "PUT", "url": query } })
    }

    #[tokio::test]
    async fn orders_are_asked_for_at_once() {
        let order = |id: &str, system: &str, value: &str| json!({ "resourceType": "ServiceRequest", "id": id, "identifier": [{ "system": system, "value": value }] });
        let resources = json!([
            order("a", "urn:x", "1"),
            order("b", "urn:x", "2"),
            order("c", "urn:y", "2"),
            order("twice", "urn:x", "4"),
            order("again", "urn:x", "4"),
            { "resourceType": "Encounter", "id": "e", "identifier": [{ "value": "9" }] },
            { "resourceType": "DocumentReference", "id": "d", "masterIdentifier": { "system": "urn:x", "value": "5" } },
        ]);
        let api = Stored::new(resources, &[]);
        let entries = [
            put("ServiceRequest?identifier=urn:x%7C1"),
            put("ServiceRequest?identifier=urn:x%7C2"),
            put("ServiceRequest?identifier=urn:x%7C3"),
            put("ServiceRequest?identifier=urn:x%7C4"),
            put("Encounter?identifier=%7C9"),
            put("ServiceRequest/own"),
            json!({ "request": { "method": "POST", "url": "ServiceRequest", "ifNoneExist": "identifier=urn:x%7C1" } }),
            put("ServiceRequest?identifier=urn:y%7C2"),
            put("DocumentReference?identifier=urn:x%7C5"),
            put("DocumentReference?identifier=urn:x%7C6"),
        ];
        let found = stored(&entries, api.index().fhir).await.expect("asked");
        let mut found: Vec<(usize, String)> =
            found.iter().map(|(entry, found)| (*entry, found.id().unwrap_or_default().to_owned())).collect();
        found.sort();
        let expected = [(0, "a"), (1, "b"), (4, "e"), (7, "c"), (8, "d")];
        assert_eq!(found, expected.map(|(entry, id)| (entry, id.to_owned())));
        // Eight entries with conditions, three types.
        assert_eq!(api.searches(), 3);
    }

    #[tokio::test]
    async fn many_are_asked_for_in_parts() {
        let api = Stored::new(json!([]), &[]);
        let entries: Vec<Json> =
            (0..120).map(|number| put(&format!("Specimen?identifier=urn:x%7C{number}"))).collect();
        assert_eq!(stored(&entries, api.index().fhir).await.expect("asked").len(), 0);
        assert_eq!(api.searches(), 3);
    }
}

//! What a message tells, and what is stored already: what it leaves empty stays
//! as it is, what it tells all of is all there is.
//!
//! Spec: HL7 v2.5.1 sections 2.5.3 (empty and null), 2.10.4 (snapshots)

use std::collections::HashMap;

use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::TypeId;
use serde_json::{Map, Value as Json, json as value};

use super::lookup;
use super::map::work::{ANY, OTHERWISE};
use super::mapped::{Deleted, Mapped};
use crate::fhir_client::{Fhir, Found};

/// How many resources of a patient are looked at for one snapshot.
const SNAPSHOT_MAX: usize = 10_000;

/// Histories of an Encounter: the element, and where what it was goes.
const HISTORIES: &[(&str, &str)] = &[("status", "statusHistory"), ("class", "classHistory")];

/// Puts what is stored behind what a message tells: visits keep what the
/// message leaves empty, and what a snapshot does not tell any more is deleted.
///
/// # Errors
/// When FHIR cannot be asked.
pub async fn settle(mapped: &mut Mapped, fhir: Fhir<'_>) -> Result<(), Issue> {
    let at = mapped.event.occurred.clone().or(mapped.event.recorded.clone()).or(mapped.event.sent.clone());
    let entries = std::mem::take(&mut mapped.entries);
    let stored: HashMap<usize, Found> = lookup::stored(&entries, fhir).await?.into_iter().collect();
    let mut settled = Vec::with_capacity(entries.len());
    for (number, mut entry) in entries.into_iter().enumerate() {
        let otherwise = entry.as_object_mut().and_then(|entry| entry.remove(OTHERWISE));
        let condition = entry["request"].as_object_mut().and_then(|request| request.remove("ifMatch"));
        match stored.get(&number) {
            Some(stored) => {
                entry["resource"] = onto(&as_json(stored)?, &entry["resource"], mapped, at.as_deref());
            }
            // What changes only what is stored has nothing to change.
            None if condition.is_some_and(|condition| condition == ANY) => continue,
            None => alone(&mut entry["resource"], otherwise.as_ref()),
        }
        settled.push(entry);
    }
    settled.extend(stale(mapped, &settled, fhir).await?);
    mapped.entries = settled;
    Ok(())
}

/// Says of a resource what it is where nothing is stored of it.
fn alone(resource: &mut Json, otherwise: Option<&Json>) {
    for (name, value) in otherwise.and_then(Json::as_object).into_iter().flatten() {
        resource[name] = value.clone();
    }
}

fn as_json(found: &Found) -> Result<Json, Issue> {
    let text = json::to_json(&found.to_resource());
    let unread = || Issue::fatal(IssueType::Exception).text("a stored resource cannot be read");
    serde_json::from_slice(&text).map_err(|_| unread())
}

/// Returns a resource as it is after a message: what is told, over what is stored.
pub fn onto(stored: &Json, told: &Json, mapped: &Mapped, at: Option<&str>) -> Json {
    let resource_type = told["resourceType"].as_str().unwrap_or_default();
    let mut after = stored.as_object().cloned().unwrap_or_default();
    for server in ["id", "meta"] {
        after.remove(server);
    }
    let of_type = |elements: &'_ [Deleted]| -> Vec<String> {
        let elements = elements.iter().filter(|element| element.resource_type == resource_type);
        elements.map(|element| element.path.clone()).collect()
    };
    for path in of_type(&mapped.deleted) {
        remove(&mut after, &path);
    }
    let assumed = of_type(&mapped.assumed);
    let none = Map::new();
    for (name, value) in told.as_object().unwrap_or(&none) {
        if assumed.contains(name) && after.contains_key(name) {
            continue;
        }
        let before = after.get(name).cloned().unwrap_or_default();
        if let Some((_, history)) = HISTORIES.iter().find(|(element, _)| element == name)
            && !before.is_null()
            && before != *value
            && resource_type == "Encounter"
        {
            remember(&mut after, name, history, &before, at);
        }
        let merged = match (name.as_str(), before) {
            ("identifier", Json::Array(known)) => united(value, known),
            ("period" | "hospitalization", Json::Object(mut known)) => {
                known.extend(value.as_object().cloned().unwrap_or_default());
                Json::Object(known)
            }
            _ => value.clone(),
        };
        after.insert(name.clone(), merged);
    }
    Json::Object(after)
}

/// Removes what stands at a path; lists on the way are gone through.
fn remove(object: &mut Map<String, Json>, path: &str) {
    let Some((first, rest)) = path.split_once('.') else {
        object.remove(path);
        return;
    };
    let inner = object.get_mut(first);
    let objects = match inner {
        Some(Json::Array(items)) => items.iter_mut().filter_map(Json::as_object_mut).collect(),
        Some(Json::Object(inner)) => vec![inner],
        _ => Vec::new(),
    };
    for object in objects {
        remove(object, rest);
    }
}

/// Notes what an element was until now.
fn remember(after: &mut Map<String, Json>, element: &str, history: &str, before: &Json, at: Option<&str>) {
    let histories = after.get(history).and_then(Json::as_array).cloned().unwrap_or_default();
    let last_end = histories.last().map(|last| last["period"]["end"].clone()).filter(|end| !end.is_null());
    let start =
        last_end.or_else(|| Some(after.get("period")?["start"].clone()).filter(|start| !start.is_null()));
    let mut period = Map::new();
    for (name, time) in [("start", start), ("end", at.map(Json::from))] {
        if let Some(time) = time {
            period.insert(name.to_owned(), time);
        }
    }
    let mut all = histories;
    all.push(value!({ element: before, "period": period }));
    after.insert(history.to_owned(), Json::Array(all));
}

fn united(told: &Json, known: Vec<Json>) -> Json {
    let mut all = told.as_array().cloned().unwrap_or_default();
    let is_same =
        |one: &Json, other: &Json| one["system"] == other["system"] && one["value"] == other["value"];
    let kept: Vec<Json> = known.into_iter().filter(|old| !all.iter().any(|new| is_same(old, new))).collect();
    all.extend(kept);
    Json::Array(all)
}

/// Returns entries that delete what the sender told before and does not tell now.
async fn stale(mapped: &Mapped, entries: &[Json], fhir: Fhir<'_>) -> Result<Vec<Json>, Issue> {
    let mut stale = Vec::new();
    let Some(patient) = mapped.patient.as_ref().map(|patient| &patient["identifier"][0]) else {
        return Ok(stale);
    };
    let system = patient["system"].as_str().unwrap_or_default();
    let token = crate::fhir_client::token(system, patient["value"].as_str().unwrap_or_default());
    for name in &mapped.snapshots {
        let Some(resource_type) = TypeId::resource_named(name) else { continue };
        let found = fhir.search(resource_type, &[("patient.identifier", &token)], SNAPSHOT_MAX).await?;
        for resource in &found {
            let Some(id) = resource.id() else { continue };
            let stored = as_json(resource)?;
            let is_of_sender = crate::source::named(&stored) == Some(mapped.event.source.as_str());
            let is_told = entries.iter().any(|entry| entry["resource"]["id"] == id);
            if is_of_sender && !is_told {
                stale.push(value!({ "request": { "method": "DELETE", "url": format!("{name}/{id}") } }));
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_stays() {
        let stored = value!({
            "resourceType": "Encounter", "id": "1", "meta": { "versionId": "3" },
            "status": "in-progress", "class": { "code": "IMP" },
            "identifier": [{ "system": "urn:a", "value": "1" }, { "system": "urn:b", "value": "2" }],
            "period": { "start": "2024-01-01" }, "reasonCode": [{ "text": "dolore" }],
        });
        let told = value!({
            "resourceType": "Encounter", "status": "finished", "class": { "code": "IMP" },
            "identifier": [{ "system": "urn:a", "value": "1", "use": "usual" }],
            "period": { "end": "2024-01-05" },
        });
        let mut mapped = Mapped::default();
        let after = onto(&stored, &told, &mapped, Some("2024-01-05"));
        assert_eq!((&after["id"], &after["meta"]), (&Json::Null, &Json::Null));
        assert_eq!(after["period"], value!({ "start": "2024-01-01", "end": "2024-01-05" }));
        assert_eq!(after["reasonCode"], stored["reasonCode"]);
        assert_eq!(after["identifier"].as_array().map(Vec::len), Some(2));
        let history =
            value!([{ "status": "in-progress", "period": { "start": "2024-01-01", "end": "2024-01-05" } }]);
        assert_eq!((&after["statusHistory"], &after["classHistory"]), (&history, &Json::Null));
        // A discharge that is cancelled has no end.
        let element = |path: &str| Deleted { resource_type: "Encounter", path: path.to_owned() };
        mapped.deleted = vec![element("period.end")];
        let again = value!({ "resourceType": "Encounter", "status": "in-progress" });
        let after = onto(&after, &again, &mapped, None);
        assert_eq!(after["period"], value!({ "start": "2024-01-01" }));
        // What was only assumed does not count against what is known.
        mapped.assumed = vec![element("status")];
        let after =
            onto(&stored, &value!({ "resourceType": "Encounter", "status": "planned" }), &mapped, None);
        assert_eq!(after["status"], "in-progress");
    }
}

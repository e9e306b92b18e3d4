//! Which visits a query means: Encounters by class, place, doctors and number.
//!
//! Spec: ITI TF-2 3.22.4.1.2.2.1

use std::collections::{BTreeSet, HashMap};

use fhir_model::schema::{TypeId, ty};
use serde_json::Value;

use super::question::{Asked, Number};
use crate::fhir_client::{code_token, token};
use crate::hl7v2::from_fhir::{LEVELS, PARTICIPANTS, class_of_visit};
use crate::pix::PatientIndex;
use crate::pix::records::as_json;
use crate::pix::refusal::Refusal;

/// How many visits, places or doctors are looked through.
const LOOKED_THROUGH_MAX: usize = 10_000;
/// How many ids are asked for at once.
const AT_ONCE: usize = 200;
/// How deep places are within each other.
const DEPTH: usize = 8;

/// A visit, and what it refers to.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The Encounter, as JSON of FHIR.
    pub encounter: Value,
}

impl Visit {
    /// Returns when it began, as it is written; the latest sorts last.
    pub fn start(&self) -> &str {
        self.encounter["period"]["start"].as_str().unwrap_or_default()
    }
}

/// Returns the visits of which everything holds that is asked of visits.
///
/// # Errors
/// When FHIR cannot be asked, or there are too many.
pub async fn asked_for(index: &PatientIndex<'_>, asked: &Asked) -> Result<Vec<Visit>, Refusal> {
    let mut parameters: Vec<(&str, String)> = Vec::new();
    for number in &asked.visit_numbers {
        parameters.push(("identifier", number_token(number, index)));
    }
    for class in asked.of_visit.iter().filter(|of| of.place() == ("PV1", 2, 1)) {
        let code = class_of_visit(&class.value).unwrap_or(&class.value);
        parameters.push(("class", code_token(code)));
    }
    let mut among: Option<Vec<Value>> = None;
    if let Some(places) = places(index, asked).await? {
        among = Some(by_reference(index, ty::LOCATION, "location", &places, &parameters).await?);
    }
    let mut doctors = Vec::new();
    for (field, code) in PARTICIPANTS {
        let Some(practitioners) = practitioners(index, asked, *field).await? else { continue };
        if among.is_none() {
            let found = by_reference(index, ty::PRACTITIONER, "practitioner", &practitioners, &parameters);
            among = Some(found.await?);
        }
        doctors.push((*code, practitioners));
    }
    let mut encounters = match among {
        Some(among) => among,
        None => search(index, ty::ENCOUNTER, &parameters).await?,
    };
    encounters.retain(|encounter| doctors.iter().all(|(code, ids)| has_doctor(encounter, code, ids)));
    Ok(encounters.into_iter().map(|encounter| Visit { encounter }).collect())
}

/// Returns the visits of patients, by the ids of their records.
///
/// # Errors
/// When FHIR cannot be asked, or there are too many.
pub async fn of_patients(index: &PatientIndex<'_>, ids: &[&str]) -> Result<Vec<Visit>, Refusal> {
    let mut visits = Vec::new();
    for ids in ids.chunks(AT_ONCE) {
        let found = search(index, ty::ENCOUNTER, &[("patient", ids.join(","))]).await?;
        visits.extend(found.into_iter().map(|encounter| Visit { encounter }));
    }
    Ok(visits)
}

/// What visits refer to, by its place: `Location/1`.
pub type Referred = HashMap<String, Value>;

/// Returns the places and doctors that visits refer to, with the places around those.
///
/// # Errors
/// When FHIR cannot be asked.
pub async fn referred(index: &PatientIndex<'_>, visits: &[&Visit]) -> Result<Referred, Refusal> {
    let mut referred = Referred::new();
    let mut pending: BTreeSet<String> = BTreeSet::new();
    for visit in visits {
        let locations = items(&visit.encounter["location"]).iter().map(|of| &of["location"]);
        let doctors = items(&visit.encounter["participant"]).iter().map(|of| &of["individual"]);
        pending.extend(locations.chain(doctors).filter_map(|of| of["reference"].as_str().map(str::to_owned)));
    }
    for _ in 0..DEPTH {
        let mut around = BTreeSet::new();
        for of in [ty::LOCATION, ty::PRACTITIONER] {
            let prefix = format!("{}/", of.name());
            let ids: Vec<&str> = pending.iter().filter_map(|place| place.strip_prefix(&prefix)).collect();
            for ids in ids.chunks(AT_ONCE) {
                for resource in search(index, of, &[("_id", ids.join(","))]).await? {
                    let id = resource["id"].as_str().unwrap_or_default();
                    around.extend(resource["partOf"]["reference"].as_str().map(str::to_owned));
                    referred.insert(format!("{prefix}{id}"), resource);
                }
            }
        }
        pending = around.into_iter().filter(|place| !referred.contains_key(place)).collect();
        if pending.is_empty() {
            break;
        }
    }
    Ok(referred)
}

fn number_token(number: &Number, index: &PatientIndex<'_>) -> String {
    match number.system(index) {
        Some(system) => token(&system, &number.value),
        None => code_token(&number.value),
    }
}

/// Returns the places that are asked for, and those inside of them; `None` when none is.
async fn places(index: &PatientIndex<'_>, asked: &Asked) -> Result<Option<Vec<String>>, Refusal> {
    let value = |component: usize| {
        let of = asked.of_visit.iter().find(|of| of.place() == ("PV1", 3, component));
        of.map(|of| of.value.trim().to_owned())
    };
    let mut found: Option<Vec<String>> = None;
    // From the outside to the inside: each is one within those before.
    for (component, physical_type) in LEVELS {
        let Some(name) = value(*component) else { continue };
        let named = search(index, ty::LOCATION, &[("name:exact", code_token(&name))]).await?;
        let is_of_type = |of: &&Value| {
            let told = of["physicalType"]["coding"][0]["code"].as_str();
            physical_type.is_empty() || told.is_none_or(|told| told == *physical_type)
        };
        let ids = named.iter().filter(is_of_type).filter_map(|of| of["id"].as_str());
        let within = inside(index, ids.map(str::to_owned).collect()).await?;
        found = Some(match found {
            Some(before) => within.into_iter().filter(|id| before.contains(id)).collect(),
            None => within,
        });
    }
    Ok(found)
}

/// Returns places with those inside of them.
async fn inside(index: &PatientIndex<'_>, outer: Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut all = outer.clone();
    let mut level = outer;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for ids in level.chunks(AT_ONCE) {
            let ids: Vec<String> = ids.iter().map(|id| format!("Location/{id}")).collect();
            for place in search(index, ty::LOCATION, &[("partof", ids.join(","))]).await? {
                next.extend(
                    place["id"].as_str().filter(|id| !all.iter().any(|had| had == id)).map(str::to_owned),
                );
            }
        }
        if next.is_empty() || all.len() + next.len() > LOOKED_THROUGH_MAX {
            break;
        }
        all.extend(next.iter().cloned());
        level = next;
    }
    Ok(all)
}

/// Returns the doctors that a field asks for; `None` when it does not.
async fn practitioners(
    index: &PatientIndex<'_>,
    asked: &Asked,
    field: usize,
) -> Result<Option<Vec<String>>, Refusal> {
    let mut parameters = Vec::new();
    for (component, name) in [(1, "identifier"), (2, "family"), (3, "given")] {
        let of = asked.of_visit.iter().find(|of| of.place() == ("PV1", field, component));
        // A text search looks for beginnings, whatever stands behind.
        let value = of.map(|of| code_token(of.value.trim().trim_end_matches('*')));
        parameters.extend(value.map(|value| (name, value)));
    }
    if parameters.is_empty() {
        return Ok(None);
    }
    let found = search(index, ty::PRACTITIONER, &parameters).await?;
    Ok(Some(found.iter().filter_map(|of| of["id"].as_str().map(str::to_owned)).collect()))
}

/// Returns the visits that refer to one of some resources.
async fn by_reference(
    index: &PatientIndex<'_>,
    of: TypeId,
    parameter: &'static str,
    ids: &[String],
    others: &[(&str, String)],
) -> Result<Vec<Value>, Refusal> {
    let mut found = Vec::new();
    for ids in ids.chunks(AT_ONCE) {
        let places: Vec<String> = ids.iter().map(|id| format!("{}/{id}", of.name())).collect();
        let mut parameters = others.to_vec();
        parameters.push((parameter, places.join(",")));
        found.extend(search(index, ty::ENCOUNTER, &parameters).await?);
    }
    Ok(found)
}

fn has_doctor(encounter: &Value, code: &str, ids: &[String]) -> bool {
    items(&encounter["participant"]).iter().any(|of| {
        let codes = items(&of["type"]).iter().flat_map(|kind| items(&kind["coding"]));
        let is_one = |of: &Value| {
            let id =
                of["individual"]["reference"].as_str().and_then(|place| place.strip_prefix("Practitioner/"));
            id.is_some_and(|id| ids.iter().any(|other| other == id))
        };
        codes.into_iter().any(|coding| coding["code"] == code) && is_one(of)
    })
}

async fn search(
    index: &PatientIndex<'_>,
    of: TypeId,
    parameters: &[(&str, String)],
) -> Result<Vec<Value>, Refusal> {
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let found = index.fhir.search(of, &parameters, LOOKED_THROUGH_MAX).await?;
    found.iter().map(as_json).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

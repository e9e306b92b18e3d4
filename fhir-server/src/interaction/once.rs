//! What is written at most once: under the key of [`Caller::once`].
//!
//! The key is stored by the writer in the transaction of the write itself, with
//! what it led to. So a write that was refused leaves none, and one that was
//! acknowledged is never performed a second time, whatever became of the answer.
//!
//! [`Caller::once`]: fhir_model::interaction::Caller::once

use std::time::Duration;

use bytes::Bytes;
use fhir_model::interaction::{Body, Once, Performed, ResourceKey, Status, VersionId};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::entry::Method;
use super::perform::Server;
use super::read;
use crate::storage::{KeptOnce, Reads, WriteUnit, kept_once};

/// How many keys one job forgets: all writes wait for it.
const FORGOTTEN_AT_ONCE: usize = 1_000;
/// How often keys are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
const MICROS_OF_A_DAY: u64 = 24 * 3600 * 1_000_000;

/// Returns what was performed under a key before. `shows`: resources are wanted back.
///
/// # Errors
/// 422 when the key was used for something else.
pub(super) fn done(
    data: &mut impl Reads,
    once: Option<&Once>,
    shows: bool,
) -> Result<Option<Vec<(Method, Performed)>>, Issue> {
    let Some((once, kept)) = found(data, once)? else { return Ok(None) };
    let answer = Bytes::from(kept.answer);
    if !once.answer.is_empty() {
        let performed = Performed { repeated: Some(answer), ..Performed::json("") };
        return Ok(Some(vec![(Method::Post, Performed { body: Body::Empty, ..performed })]));
    }
    let entries: Vec<Value> = serde_json::from_slice(&kept.performed).map_err(|_| damaged())?;
    let mut all = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (method, mut performed) = read_entry(entry).ok_or_else(damaged)?;
        performed.repeated = Some(answer.clone());
        if shows && let (Some(key), Some(version)) = (&performed.key, performed.version) {
            let stored = data.version(key, version)?.filter(|stored| !stored.deleted);
            if let Some(stored) = stored {
                performed.body = read::show(key, &stored)?.body;
            }
        }
        all.push((method, performed));
    }
    Ok(Some(all))
}

/// Returns the answer that was kept with what was performed under a key.
///
/// # Errors
/// 422 when the key was used for something else.
pub(super) fn answer(data: &mut impl Reads, once: Option<&Once>) -> Result<Option<Bytes>, Issue> {
    Ok(found(data, once)?.map(|(_, kept)| kept.answer.into()))
}

/// Keeps what a transaction led to.
pub(super) fn keep(
    unit: &mut WriteUnit<'_>,
    once: Option<&Once>,
    done: &[(Method, Performed)],
) -> Result<(), Issue> {
    let Some(once) = once else { return Ok(()) };
    let performed = match once.answer.is_empty() {
        true => done.iter().map(|(method, performed)| entry(*method, performed)).collect(),
        false => Vec::new(),
    };
    store(unit, once, Value::Array(performed).to_string().into_bytes(), once.answer.to_vec())
}

impl Server {
    /// Forgets keys that are older than so many days, for as long as it is let.
    pub(crate) async fn keep_keys_forgotten(self, days: u64) {
        loop {
            let age = i64::try_from(days.saturating_mul(MICROS_OF_A_DAY)).unwrap_or(i64::MAX);
            let before = Instant(Timestamp::now().as_microsecond().saturating_sub(age));
            while match self.store().write(move |unit| forget(unit, before)).await {
                Ok(may_be_more) => may_be_more,
                Err(issue) => {
                    tracing::warn!(why = issue.diagnostics, "keys that are old could not be forgotten");
                    false
                }
            } {}
            tokio::time::sleep(FORGET_EVERY).await;
        }
    }
}

/// Forgets some of the keys that were kept before an instant; whether there may be more.
pub(crate) fn forget(unit: &mut WriteUnit<'_>, before: Instant) -> Result<bool, Issue> {
    Ok(unit.forget_once(before, FORGOTTEN_AT_ONCE)? == FORGOTTEN_AT_ONCE)
}

fn found<'o>(data: &mut impl Reads, once: Option<&'o Once>) -> Result<Option<(&'o Once, KeptOnce)>, Issue> {
    let Some(once) = once else { return Ok(None) };
    let Some(kept) = kept_once(data, &hash(once))? else { return Ok(None) };
    if kept.fingerprint != once.fingerprint {
        return Err(Issue::error(IssueType::Duplicate)
            .because(Reason::Unprocessable)
            .at("http.idempotency-key")
            .text("the key was used before, for something else"));
    }
    Ok(Some((once, kept)))
}

fn store(unit: &mut WriteUnit<'_>, once: &Once, performed: Vec<u8>, answer: Vec<u8>) -> Result<(), Issue> {
    let at = unit.now();
    let kept = KeptOnce { fingerprint: once.fingerprint.to_vec(), performed, answer };
    Ok(unit.keep_once(&hash(once), at, &kept)?)
}

fn hash(once: &Once) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, once.key.as_bytes()).as_ref());
    hash
}

const METHODS: [(Method, &str); 6] = [
    (Method::Delete, "DELETE"),
    (Method::Post, "POST"),
    (Method::Put, "PUT"),
    (Method::Patch, "PATCH"),
    (Method::Get, "GET"),
    (Method::Head, "HEAD"),
];

const STATUSES: [(Status, u16); 4] =
    [(Status::Ok, 200), (Status::Created, 201), (Status::NoContent, 204), (Status::NotModified, 304)];

fn entry(method_of: Method, performed: &Performed) -> Value {
    let method = METHODS.iter().find(|(known, _)| *known == method_of).map(|(_, name)| *name);
    let status = STATUSES.iter().find(|(known, _)| *known == performed.status).map(|(_, code)| *code);
    let mut entry = json!({ "method": method, "status": status });
    if let Some(key) = &performed.key {
        entry["type"] = json!(key.resource_type.name());
        entry["id"] = json!(key.id.as_str());
    }
    if let Some(version) = performed.version {
        entry["version"] = json!(version.0);
    }
    if let Some(updated) = performed.updated {
        entry["updated"] = json!(updated.0);
    }
    // What an operation told is stored nowhere else.
    if let (Method::Post, None, Body::Json(body)) = (method_of, &performed.key, &performed.body) {
        entry["body"] = json!(String::from_utf8_lossy(body));
    }
    entry
}

fn read_entry(entry: &Value) -> Option<(Method, Performed)> {
    let (method, _) = METHODS.iter().find(|(_, name)| entry["method"] == *name)?;
    let (status, _) = STATUSES.iter().find(|(_, code)| entry["status"] == *code)?;
    let key = match (entry["type"].as_str(), entry["id"].as_str()) {
        (Some(of), Some(id)) => {
            Some(ResourceKey { resource_type: TypeId::resource_named(of)?, id: ResourceId::parse(id)? })
        }
        _ => None,
    };
    let version = entry["version"].as_u64().and_then(|number| u32::try_from(number).ok()).map(VersionId);
    let updated = entry["updated"].as_i64().map(Instant);
    let body = entry["body"].as_str().map_or(Body::Empty, |body| Body::Json(body.to_owned().into()));
    Some((*method, Performed { status: *status, key, version, updated, body, ..Performed::json("") }))
}

/// Only a fault of this program, or of the disk, leads here.
fn damaged() -> Issue {
    Issue::fatal(IssueType::Exception).text("what was done under the key cannot be read")
}

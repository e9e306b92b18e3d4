//! `GET [type]/[id]`, and the answers common to all that reads.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#read>

use std::sync::Arc;

use fhir_model::interaction::{
    Body, Content, Criteria, Interaction, Performed, ReadRequest, ResourceKey, Status, VersionId,
};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{TypeId, ty};

use super::unit::View;
use super::{capabilities, history, vread};
use crate::identity::Features;
use crate::identity::candidates::{Identified, Wanted};
use crate::identity::survivorship::Survivorship;
use crate::knowledge::Known;
use crate::operation;
use crate::search::Search;
use crate::storage::{Reads, StoredResource, content_of};

/// Performs an interaction that changes nothing, on whatever connection.
///
/// # Errors
/// Those of the interaction.
pub(crate) fn perform(
    data: &mut impl Reads,
    search: &Search,
    base: &str,
    interaction: &Interaction,
) -> Result<Performed, Issue> {
    match interaction {
        Interaction::Read(request) => {
            let stored = data.current(&request.key)?;
            let content = content(data, stored.as_ref())?;
            Ok(Performed { content, ..read(stored, request)? })
        }
        Interaction::Vread(request) => {
            let stored = match request.version {
                Some(version) => data.version(&request.key, version)?,
                None => None,
            };
            let content = content(data, stored.as_ref())?;
            Ok(Performed { content, ..vread::vread(stored, request)? })
        }
        Interaction::History(request) => history::history(data, base, request),
        Interaction::Search(request) => search.search(data.connection(), request, base),
        Interaction::Capabilities => Ok(capabilities::capabilities(&search.definitions(), base)),
        Interaction::Operation(call) => {
            let mut view = OperationView { data, search, base };
            operation::call(&mut view, call)
        }
        Interaction::Create(_)
        | Interaction::Update(_)
        | Interaction::Patch(_)
        | Interaction::Delete(_)
        | Interaction::Bundle(_) => Err(Issue::error(IssueType::Invalid)
            .text("this interaction writes, and stands where only reading may")),
    }
}

/// Returns what a stored Binary carries, where that is not in its body.
fn content(data: &mut impl Reads, stored: Option<&StoredResource>) -> Result<Option<Content>, Issue> {
    match stored.filter(|stored| stored.key.resource_type == ty::BINARY && !stored.deleted) {
        Some(binary) => Ok(content_of(data, binary)?),
        None => Ok(None),
    }
}

/// The view of an operation.
struct OperationView<'v, D> {
    data: &'v mut D,
    search: &'v Search,
    base: &'v str,
}

impl<D: Reads> View for OperationView<'_, D> {
    fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, Issue> {
        Ok(self.data.current(key)?)
    }

    fn matches(&mut self, of: TypeId, criteria: &Criteria, limit: usize) -> Result<Vec<ResourceKey>, Issue> {
        self.search.matches(self.data.connection(), of, criteria, limit)
    }

    fn knowledge(&mut self) -> Result<Arc<Known>, Issue> {
        self.search.knowledge().current(self.data)
    }

    fn identify(&mut self, asked: &Features, wanted: &Wanted) -> Result<Identified, Issue> {
        Ok(self.search.matcher().identify(self.data, asked, wanted)?)
    }

    fn survivorship(&self) -> Survivorship {
        self.search.survivorship().clone()
    }

    fn base(&self) -> &str {
        self.base
    }

    fn read(&mut self, interaction: &Interaction) -> Result<Performed, Issue> {
        perform(self.data, self.search, self.base, interaction)
    }
}

/// Answers a read with the current version.
///
/// # Errors
/// 404 for what never was, 410 for what was deleted.
pub(crate) fn read(current: Option<StoredResource>, request: &ReadRequest) -> Result<Performed, Issue> {
    let current = current.ok_or_else(|| not_found(&request.key))?;
    if current.deleted {
        return Err(gone(&request.key, current.version));
    }
    let same_version = request.if_none_match == Some(current.version);
    // HTTP dates have seconds.
    let not_since =
        request.if_modified_since.is_some_and(|since| current.updated.0 / 1_000_000 <= since.0 / 1_000_000);
    if same_version || (request.if_none_match.is_none() && not_since) {
        return Ok(told(&request.key, &current, Status::NotModified, Body::Empty));
    }
    show(&request.key, &current)
}

/// Shows a stored version.
pub(crate) fn show(key: &ResourceKey, stored: &StoredResource) -> Result<Performed, Issue> {
    let mut json = Vec::new();
    stored.write_json(&mut json)?;
    Ok(told(key, stored, Status::Ok, Body::Json(json.into())))
}

fn told(key: &ResourceKey, stored: &StoredResource, status: Status, body: Body) -> Performed {
    Performed {
        status,
        body,
        content: None,
        key: Some(key.clone()),
        version: Some(stored.version),
        updated: Some(stored.updated),
        changed: Vec::new(),
        issues: Vec::new(),
        repeated: None,
    }
}

/// Says that there never was such a resource.
pub(crate) fn not_found(key: &ResourceKey) -> Issue {
    Issue::error(IssueType::NotFound).text(format!("{}/{} is not known", key.resource_type, key.id))
}

/// Says that the resource was deleted.
pub(crate) fn gone(key: &ResourceKey, version: VersionId) -> Issue {
    let text = format!("{}/{} was deleted with version {version}", key.resource_type, key.id);
    Issue::error(IssueType::Deleted).text(text)
}

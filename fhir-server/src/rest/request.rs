//! From an HTTP request to an interaction.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use fhir_model::interaction::{
    BundleRequest, CreateRequest, Criteria, DeleteRequest, Handling, HistoryRequest, Interaction,
    OperationCall, PatchDocument, PatchRequest, ReadRequest, ResourceKey, Scope, SearchRequest, Target,
    UpdateRequest, VersionId, VreadRequest,
};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::binary;
use super::etag::{self, NoneMatch};
use super::negotiate::{self, Content, Format};
use super::query::Parameters;
use super::routes::{Action, Places, Route};
use crate::interaction::entry::criteria;
use crate::operation;

/// On what an interaction is made to depend by headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<VersionId>,
    pub(super) if_none_match: Option<NoneMatch>,
    pub(super) if_modified_since: Option<Instant>,
    pub(super) if_none_exist: Option<Criteria>,
}

impl Conditions {
    /// Reads the headers.
    ///
    /// # Errors
    /// When they name no version of this server, or are no criteria.
    pub(super) fn of(headers: &HeaderMap) -> Result<Conditions, Issue> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Conditions {
            if_match: header("if-match").map(etag::if_match).transpose()?,
            if_none_match: header("if-none-match").map(NoneMatch::parse),
            if_modified_since: header("if-modified-since").and_then(etag::if_modified_since),
            if_none_exist: header("if-none-exist").map(criteria).transpose()?,
        })
    }
}

/// A request, as much of it as makes the interaction; owned, so that a large
/// body can be read on another thread.
pub(super) struct Incoming {
    pub(super) route: &'static Route,
    pub(super) places: Places,
    /// Those of the URL and of a form, without those of the answer.
    pub(super) parameters: Parameters,
    pub(super) conditions: Conditions,
    pub(super) handling: Handling,
    pub(super) content_type: String,
    pub(super) security_context: Option<String>,
    pub(super) body: Bytes,
}

/// Tells whether a route takes a body.
pub(super) fn takes_body(route: &Route) -> bool {
    match route.action {
        Action::Update | Action::Patch | Action::Create | Action::Bundle | Action::SearchByForm => true,
        Action::Operation => route.method == "POST",
        Action::Read
        | Action::Vread
        | Action::Delete
        | Action::History
        | Action::Search
        | Action::Capabilities => false,
    }
}

/// Says no to a form that is none.
///
/// # Errors
/// 415.
pub(super) fn check_form(content_type: &str, body: &[u8]) -> Result<(), Issue> {
    if body.is_empty() || negotiate::content(content_type) == Some(Content::Form) {
        return Ok(());
    }
    let mut issue = negotiate::unsupported(content_type);
    issue.diagnostics = "the body of a search is sent as application/x-www-form-urlencoded".to_owned();
    Err(issue)
}

impl Incoming {
    /// Makes the interaction that the request asks for.
    ///
    /// # Errors
    /// What is wrong with the URL or the body.
    pub(super) fn interaction(mut self) -> Result<Interaction, Issue> {
        let handling = self.handling;
        match self.route.action {
            Action::Read => self.read(),
            Action::Vread => {
                let key = self.key()?;
                let version = self.places.version.as_deref().and_then(VersionId::parse);
                Ok(Interaction::Vread(VreadRequest { key, version }))
            }
            Action::Update => self.update(),
            Action::Patch => self.patch(),
            Action::Delete => {
                let if_match = self.conditions.if_match;
                let (resource_type, target) = self.target()?;
                Ok(Interaction::Delete(DeleteRequest { resource_type, target, if_match }))
            }
            Action::History => {
                let (scope, parameters) = (self.places.scope(), self.parameters);
                Ok(Interaction::History(HistoryRequest { scope, parameters, handling }))
            }
            Action::Create => self.create(),
            Action::Search | Action::SearchByForm => {
                let (scope, parameters) = (self.places.scope(), self.parameters);
                Ok(Interaction::Search(SearchRequest { scope, parameters, handling }))
            }
            Action::Bundle => self.bundle(),
            Action::Capabilities => Ok(Interaction::Capabilities),
            Action::Operation => self.operation(),
        }
    }

    fn read(self) -> Result<Interaction, Issue> {
        let key = self.key()?;
        let (if_none_match, if_modified_since) = match &self.conditions.if_none_match {
            // Several versions, or `*`, are compared with what was read.
            Some(NoneMatch::Versions(versions)) if versions.len() == 1 => (versions.first().copied(), None),
            // HTTP: the date counts only where no ETag is given.
            Some(_) => (None, None),
            None => (None, self.conditions.if_modified_since),
        };
        Ok(Interaction::Read(ReadRequest { key, if_none_match, if_modified_since }))
    }

    fn create(mut self) -> Result<Interaction, Issue> {
        let resource_type = self.resource_type()?;
        let if_none_exist = self.conditions.if_none_exist.take();
        let resource = self.resource(Some(resource_type))?;
        Ok(Interaction::Create(CreateRequest { resource_type, resource, if_none_exist }))
    }

    fn update(mut self) -> Result<Interaction, Issue> {
        let if_match = self.conditions.if_match;
        let if_none_exist = self.conditions.if_none_match == Some(NoneMatch::Any);
        let (resource_type, target) = self.target()?;
        let mut resource = self.resource(Some(resource_type))?;
        if resource_type == ty::BINARY
            && let (None, Target::Id(id)) = (resource.id(), &target)
        {
            // Raw bytes carry no id: the URL tells it.
            binary::set_id(&mut resource, id.as_str());
        }
        Ok(Interaction::Update(UpdateRequest { resource_type, target, resource, if_match, if_none_exist }))
    }

    fn patch(mut self) -> Result<Interaction, Issue> {
        let if_match = self.conditions.if_match;
        let (resource_type, target) = self.target()?;
        let document = match negotiate::content(&self.content_type) {
            Some(Content::JsonPatch) => PatchDocument::Json(self.body),
            Some(Content::Resource(format)) => {
                let parameters = parse(format, self.body)?;
                if parameters.resource_type() != ty::PARAMETERS {
                    let text = "a FHIRPath Patch is a Parameters resource; a JSON Patch is sent as application/json-patch+json";
                    return Err(Issue::error(IssueType::Invalid).at("resourceType").text(text));
                }
                PatchDocument::FhirPath(parameters)
            }
            Some(Content::Form) | None => return Err(negotiate::unsupported(&self.content_type)),
        };
        Ok(Interaction::Patch(PatchRequest { resource_type, target, document, if_match }))
    }

    fn bundle(self) -> Result<Interaction, Issue> {
        let handling = self.handling;
        let bundle = self.resource(None)?;
        if bundle.resource_type() != ty::BUNDLE {
            let text = "what is posted to the base is a Bundle of type batch or transaction";
            return Err(Issue::error(IssueType::Invalid).at("resourceType").text(text));
        }
        Ok(Interaction::Bundle(BundleRequest { bundle, handling, contents: Vec::new() }))
    }

    fn operation(mut self) -> Result<Interaction, Issue> {
        let scope: Scope = self.places.scope();
        let name = self.places.operation.take().unwrap_or_default();
        let query = std::mem::take(&mut self.parameters);
        let safe = self.route.method == "GET";
        let (body, faults) = match self.body.is_empty() {
            true => (None, Vec::new()),
            false if operation::tells_faults(&name) => self.reading()?,
            false => (Some(self.resource(None)?), Vec::new()),
        };
        Ok(Interaction::Operation(OperationCall { name, scope, query, body, faults, safe }))
    }

    /// Reads the body as far as it can be read, and tells what is wrong with it.
    fn reading(self) -> Result<(Option<Resource>, Vec<Issue>), Issue> {
        let bytes: Vec<u8> = self.body.into();
        let reading = match negotiate::content(&self.content_type) {
            Some(Content::Resource(Format::Json)) => fhir_model::json::read_all(bytes),
            Some(Content::Resource(Format::Xml)) => fhir_model::xml::read_all(bytes),
            _ => return Err(negotiate::unsupported(&self.content_type)),
        };
        Ok((reading.resource, reading.faults.into_iter().map(Issue::from).collect()))
    }

    fn resource_type(&self) -> Result<TypeId, Issue> {
        self.places.resource_type.ok_or_else(|| Issue::fatal(IssueType::Exception))
    }

    fn key(&self) -> Result<ResourceKey, Issue> {
        let resource_type = self.resource_type()?;
        let id = self.places.id.clone().ok_or_else(|| Issue::fatal(IssueType::Exception))?;
        Ok(ResourceKey { resource_type, id })
    }

    /// Says which resource is written: that of the id, or that of the criteria.
    fn target(&mut self) -> Result<(TypeId, Target), Issue> {
        let resource_type = self.resource_type()?;
        if let Some(id) = self.places.id.take() {
            return Ok((resource_type, Target::Id(id)));
        }
        let criteria = std::mem::take(&mut self.parameters);
        if criteria.is_empty() {
            let text = "without an id in the URL, criteria after `?` must say which resource is meant";
            return Err(Issue::error(IssueType::Invalid).text(text));
        }
        Ok((resource_type, Target::Criteria(Criteria(criteria))))
    }

    /// Reads the body as a resource; bytes of another kind become a Binary
    /// where one is expected.
    fn resource(self, expected: Option<TypeId>) -> Result<Resource, Issue> {
        let wrap = |body: &[u8]| binary::wrap(&self.content_type, body, self.security_context.as_deref());
        let is_binary = expected == Some(ty::BINARY);
        match negotiate::content(&self.content_type) {
            Some(Content::Resource(format)) if is_binary && negotiate::is_generic(&self.content_type) => {
                // Plain JSON or XML may be a Binary, or what one carries.
                match parse(format, self.body.clone()) {
                    Ok(resource) if resource.resource_type() == ty::BINARY => Ok(resource),
                    _ => Ok(wrap(&self.body)),
                }
            }
            Some(Content::Resource(format)) => parse(format, self.body),
            _ if is_binary && self.content_type.contains('/') => Ok(wrap(&self.body)),
            _ => Err(negotiate::unsupported(&self.content_type)),
        }
    }
}

fn parse(format: Format, body: Bytes) -> Result<Resource, Issue> {
    if body.is_empty() {
        let text = "the body is empty, and a resource should stand there";
        return Err(Issue::error(IssueType::Required).text(text));
    }
    let bytes: Vec<u8> = body.into();
    Ok(match format {
        Format::Json => fhir_model::json::read(bytes)?,
        Format::Xml => fhir_model::xml::read(bytes)?,
    })
}

/// Returns the word for an interaction in metrics and logs, in the
/// specification's own codes.
pub(super) fn code(route: &Route, interaction: &Interaction) -> &'static str {
    match interaction {
        Interaction::Bundle(request) if request.bundle.root().text_of(name::TYPE) != Some("transaction") => {
            "batch"
        }
        _ => route.code,
    }
}

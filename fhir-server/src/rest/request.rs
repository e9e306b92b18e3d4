//! From an HTTP request to an interaction.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use fhir_model::interaction::BundleRequest;
use fhir_model::interaction::{
    CreateRequest, DeleteRequest, Handling, HistoryRequest, Interaction, OperationCall, PatchDocument,
    PatchRequest, ReadRequest, ResourceKey, Scope, SearchRequest, Target, UpdateRequest, VersionId,
    VreadRequest,
};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::negotiate::{self, Content, Format};
use super::prefer::Preference;
use super::{binary, etag};
use crate::interaction::entry::criteria;
use crate::interaction::url::{Path, RelativeUrl, clip, decode_query};

/// A request, as much of it as matters.
pub(super) struct Incoming<'r> {
    pub(super) method: &'r Method,
    /// The path behind the base, percent-decoded.
    pub(super) path: &'r str,
    /// The query as sent.
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: Bytes,
    pub(super) preference: Preference,
}

/// Parameters that concern the answer and not the interaction.
const OF_THE_ANSWER: &[&str] = &["_format", "_pretty"];

impl Incoming<'_> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Makes the interaction that the request asks for.
    ///
    /// # Errors
    /// What is wrong with the URL, the headers or the body.
    pub(super) fn interaction(self) -> Result<Interaction, Issue> {
        let mut url = RelativeUrl::parse(self.path)?;
        url.query = decode_query(self.query)?;
        url.query.retain(|(name, _)| !OF_THE_ANSWER.contains(&name.as_str()));
        match *self.method {
            Method::GET | Method::HEAD => self.read(url),
            Method::POST => self.post(url),
            Method::PUT => self.put(url),
            Method::PATCH => self.patch(url),
            Method::DELETE => self.delete(url),
            Method::OPTIONS => Ok(Interaction::Capabilities),
            _ => Err(not_allowed(self.method, self.path)),
        }
    }

    fn read(self, url: RelativeUrl) -> Result<Interaction, Issue> {
        if self.path.ends_with("/_search") {
            return Err(not_allowed(self.method, self.path));
        }
        let (parameters, handling) = (url.query, self.preference.handling);
        Ok(match url.path {
            Path::Metadata => Interaction::Capabilities,
            Path::System => Interaction::Search(SearchRequest { scope: Scope::System, parameters, handling }),
            Path::Type(of) => {
                Interaction::Search(SearchRequest { scope: Scope::Type(of), parameters, handling })
            }
            Path::Compartment(focus, member) => {
                let scope = Scope::Compartment { focus, member };
                Interaction::Search(SearchRequest { scope, parameters, handling })
            }
            Path::Instance(key) => Interaction::Read(ReadRequest {
                key,
                if_none_match: self.header("if-none-match").and_then(etag::if_none_match),
                if_modified_since: self.header("if-modified-since").and_then(etag::if_modified_since),
            }),
            Path::Version(key, version) => {
                Interaction::Vread(VreadRequest { key, version: VersionId::parse(&version) })
            }
            Path::History(scope) => Interaction::History(HistoryRequest { scope, parameters, handling }),
            Path::Operation(scope, name) => Interaction::Operation(OperationCall {
                name,
                scope,
                query: parameters,
                body: None,
                safe: true,
            }),
        })
    }

    fn post(self, mut url: RelativeUrl) -> Result<Interaction, Issue> {
        let handling = self.preference.handling;
        if self.path.trim_matches('/').rsplit('/').next() == Some("_search") {
            url.query.extend(self.form()?);
            return self.search_by_post(url, handling);
        }
        match url.path {
            Path::System => {
                let bundle = self.resource(None)?;
                if bundle.resource_type() != ty::BUNDLE {
                    let text = "what is posted to the base is a Bundle of type batch or transaction";
                    return Err(Issue::error(IssueType::Invalid).at("resourceType").text(text));
                }
                Ok(Interaction::Bundle(BundleRequest { bundle, handling }))
            }
            Path::Type(resource_type) => {
                let if_none_exist = self.header("if-none-exist").map(criteria).transpose()?;
                let resource = self.resource(Some(resource_type))?;
                Ok(Interaction::Create(CreateRequest { resource_type, resource, if_none_exist }))
            }
            Path::Operation(scope, name) => {
                let query = url.query;
                let body = if self.body.is_empty() { None } else { Some(self.resource(None)?) };
                Ok(Interaction::Operation(OperationCall { name, scope, query, body, safe: false }))
            }
            _ => Err(not_allowed(self.method, self.path)),
        }
    }

    fn search_by_post(self, url: RelativeUrl, handling: Handling) -> Result<Interaction, Issue> {
        let scope = match url.path {
            Path::System => Scope::System,
            Path::Type(of) => Scope::Type(of),
            Path::Compartment(focus, member) => Scope::Compartment { focus, member },
            _ => return Err(not_allowed(self.method, self.path)),
        };
        Ok(Interaction::Search(SearchRequest { scope, parameters: url.query, handling }))
    }

    fn form(&self) -> Result<Vec<(String, String)>, Issue> {
        let content_type = self.header("content-type").unwrap_or("application/x-www-form-urlencoded");
        if !self.body.is_empty() && negotiate::content(content_type) != Some(Content::Form) {
            return Err(negotiate::unsupported(content_type));
        }
        let text = std::str::from_utf8(&self.body)
            .map_err(|_| Issue::error(IssueType::Value).text("the form is not UTF-8"))?;
        let mut fields = decode_query(text)?;
        fields.retain(|(name, _)| !OF_THE_ANSWER.contains(&name.as_str()));
        Ok(fields)
    }

    fn put(self, url: RelativeUrl) -> Result<Interaction, Issue> {
        let if_match = self.if_match()?;
        let if_none_exist = self.header("if-none-match").is_some_and(|h| h.trim() == "*");
        let (resource_type, target) = self.target(url)?;
        let mut resource = self.resource(Some(resource_type))?;
        if resource_type == ty::BINARY
            && let (None, Target::Id(id)) = (resource.id(), &target)
        {
            // Raw bytes carry no id: the URL tells it.
            binary::set_id(&mut resource, id.as_str());
        }
        Ok(Interaction::Update(UpdateRequest { resource_type, target, resource, if_match, if_none_exist }))
    }

    fn patch(self, url: RelativeUrl) -> Result<Interaction, Issue> {
        let if_match = self.if_match()?;
        let (resource_type, target) = self.target(url)?;
        let content_type = self.header("content-type").unwrap_or("").to_owned();
        let document = match negotiate::content(&content_type) {
            Some(Content::JsonPatch) => PatchDocument::Json(self.body),
            Some(Content::Resource(format)) => {
                let parameters = parse(format, self.body)?;
                if parameters.resource_type() != ty::PARAMETERS {
                    let text = "a FHIRPath Patch is a Parameters resource; a JSON Patch is sent as application/json-patch+json";
                    return Err(Issue::error(IssueType::Invalid).at("resourceType").text(text));
                }
                PatchDocument::FhirPath(parameters)
            }
            Some(Content::Form) | None => return Err(negotiate::unsupported(&content_type)),
        };
        Ok(Interaction::Patch(PatchRequest { resource_type, target, document, if_match }))
    }

    fn delete(self, url: RelativeUrl) -> Result<Interaction, Issue> {
        let if_match = self.if_match()?;
        let (resource_type, target) = self.target(url)?;
        Ok(Interaction::Delete(DeleteRequest { resource_type, target, if_match }))
    }

    fn if_match(&self) -> Result<Option<VersionId>, Issue> {
        self.header("if-match").map(etag::if_match).transpose()
    }

    fn target(&self, url: RelativeUrl) -> Result<(TypeId, Target), Issue> {
        match url.path {
            Path::Instance(ResourceKey { resource_type, id }) => Ok((resource_type, Target::Id(id))),
            Path::Type(resource_type) => Ok((resource_type, Target::Criteria(url.into_criteria()?))),
            _ => Err(not_allowed(self.method, self.path)),
        }
    }

    /// Reads the body as a resource; bytes of another kind become a Binary
    /// where one is expected.
    fn resource(&self, expected: Option<TypeId>) -> Result<Resource, Issue> {
        let content_type = self.header("content-type").unwrap_or("");
        match negotiate::content(content_type) {
            Some(Content::Resource(format)) => {
                let generic = matches!(
                    content_type.split(';').next(),
                    Some("application/json" | "application/xml" | "text/xml" | "text/json")
                );
                match parse(format, self.body.clone()) {
                    // Plain JSON or XML may be the content of a Binary.
                    Err(_) if generic && expected == Some(ty::BINARY) => {
                        Ok(binary::wrap(content_type, &self.body, self.header("x-security-context")))
                    }
                    parsed => parsed,
                }
            }
            _ if expected == Some(ty::BINARY) && !content_type.is_empty() => {
                Ok(binary::wrap(content_type, &self.body, self.header("x-security-context")))
            }
            _ => Err(negotiate::unsupported(content_type)),
        }
    }
}

fn parse(format: Format, body: Bytes) -> Result<Resource, Issue> {
    if body.is_empty() {
        return Err(
            Issue::error(IssueType::Required).text("the body is empty, and a resource should stand there")
        );
    }
    let bytes: Vec<u8> = body.into();
    Ok(match format {
        Format::Json => fhir_model::json::read(bytes)?,
        Format::Xml => fhir_model::xml::read(bytes)?,
    })
}

fn not_allowed(method: &Method, path: &str) -> Issue {
    Issue::error(IssueType::NotSupported).because(Reason::MethodNotAllowed).text(format!(
        "{} is not possible on `{}`",
        clip(method.as_str()),
        clip(path)
    ))
}

/// Returns the word for an interaction in metrics and logs, in the
/// specification's own codes.
pub(super) fn code(interaction: &Interaction) -> &'static str {
    match interaction {
        Interaction::Read(_) => "read",
        Interaction::Vread(_) => "vread",
        Interaction::Create(_) => "create",
        Interaction::Update(_) => "update",
        Interaction::Patch(_) => "patch",
        Interaction::Delete(_) => "delete",
        Interaction::History(request) => match request.scope {
            Scope::System | Scope::Compartment { .. } => "history-system",
            Scope::Type(_) => "history-type",
            Scope::Instance(_) => "history-instance",
        },
        Interaction::Search(request) => match request.scope {
            Scope::System => "search-system",
            Scope::Type(_) | Scope::Instance(_) => "search-type",
            Scope::Compartment { .. } => "search-compartment",
        },
        Interaction::Bundle(request) => match request.bundle.root().text_of(name::TYPE) {
            Some("transaction") => "transaction",
            _ => "batch",
        },
        Interaction::Operation(_) => "operation",
        Interaction::Capabilities => "capabilities",
    }
}

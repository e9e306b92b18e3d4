//! Entries of a batch or transaction as interactions: the same values that an
//! HTTP request becomes.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#transaction>

use fhir_model::interaction::{
    Body, CreateRequest, Criteria, DeleteRequest, Handling, HistoryRequest, Interaction, OperationCall,
    PatchDocument, PatchRequest, Performed, ReadRequest, ResourceKey, Scope, SearchRequest, Status, Target,
    UpdateRequest, VersionId, VreadRequest,
};
use fhir_model::json::write::write_escaped;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::{Element, Resource};

use super::url::{Path, RelativeUrl, clip, decode_query};

/// The HTTP methods that an entry may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    /// Processed first in a transaction, and so on in this order.
    Delete,
    Post,
    Put,
    Patch,
    Get,
    Head,
}

/// When an entry of a transaction is processed, in the order of the specification. What an
/// operation is called on is what the entries leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// By its method.
    Write(Method),
    /// An operation that is called by POST.
    Call,
    /// Reads, and operations that are called by GET.
    Read,
}

/// An entry, parsed.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its place in the Bundle, where it stands in one.
    pub(crate) index: Option<usize>,
    pub(crate) method: Method,
    pub(crate) full_url: Option<String>,
    pub(crate) interaction: Interaction,
}

impl Entry {
    /// Parses one entry of a Bundle.
    ///
    /// # Errors
    /// An issue located at the entry.
    pub(crate) fn parse(index: usize, entry: Element<'_>, handling: Handling) -> Result<Entry, Issue> {
        let index = Some(index);
        let located = |issue: Issue| located_at(index, issue);
        let request = entry.child(name::REQUEST).ok_or_else(|| {
            located(
                Issue::error(IssueType::Required)
                    .text("an entry of a batch or transaction needs a `request`"),
            )
        })?;
        let method = method_of(request).map_err(located)?;
        let interaction = interaction_of(entry, request, method, handling).map_err(located)?;
        let full_url = entry.text_of(name::FULL_URL).map(str::to_owned);
        Ok(Entry { index, method, full_url, interaction })
    }
}

impl Entry {
    /// Returns when it is processed in a transaction.
    pub(crate) fn turn(&self) -> Turn {
        match (self.method, &self.interaction) {
            (Method::Get | Method::Head, _) => Turn::Read,
            (_, Interaction::Operation(_)) => Turn::Call,
            (method, _) => Turn::Write(method),
        }
    }
}

/// Says at which entry an issue stands.
pub(crate) fn located_at(index: Option<usize>, mut issue: Issue) -> Issue {
    let Some(index) = index else { return issue };
    issue.expression = match issue.expression.is_empty() {
        true => vec![format!("Bundle.entry[{index}]")],
        false => issue.expression.iter().map(|e| format!("Bundle.entry[{index}].resource/{e}")).collect(),
    };
    issue
}

fn method_of(request: Element<'_>) -> Result<Method, Issue> {
    Ok(match request.text_of(name::METHOD) {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("PATCH") => Method::Patch,
        Some("DELETE") => Method::Delete,
        other => {
            let text = format!("`{}` is not a method of an entry", clip(other.unwrap_or("")));
            return Err(Issue::error(IssueType::Value).text(text));
        }
    })
}

fn interaction_of(
    entry: Element<'_>,
    request: Element<'_>,
    method: Method,
    handling: Handling,
) -> Result<Interaction, Issue> {
    let url = request
        .text_of(name::URL)
        .ok_or_else(|| Issue::error(IssueType::Required).text("an entry needs `request.url`"))?;
    let url = RelativeUrl::parse(url)?;
    let if_match = request.text_of(name::IF_MATCH).map(version_of_etag).transpose()?;
    match method {
        Method::Get | Method::Head => read_like(url, request, handling),
        Method::Post => post(url, entry, request),
        Method::Put => {
            let resource = resource_of(entry)?;
            let (resource_type, target) = target_of(url)?;
            let if_none_exist = request.text_of(name::IF_NONE_MATCH) == Some("*");
            Ok(Interaction::Update(UpdateRequest {
                resource_type,
                target,
                resource,
                if_match,
                if_none_exist,
            }))
        }
        Method::Patch => {
            let document = patch_document(resource_of(entry)?)?;
            let (resource_type, target) = target_of(url)?;
            Ok(Interaction::Patch(PatchRequest { resource_type, target, document, if_match }))
        }
        Method::Delete => {
            let (resource_type, target) = target_of(url)?;
            Ok(Interaction::Delete(DeleteRequest { resource_type, target, if_match }))
        }
    }
}

/// Parses an ETag `W/"3"` or `"3"` into the version it names.
pub(crate) fn version_of_etag(etag: &str) -> Result<VersionId, Issue> {
    let inner = etag.trim().strip_prefix("W/").unwrap_or(etag.trim());
    inner.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(VersionId::parse).ok_or_else(|| {
        Issue::error(IssueType::Conflict)
            .because(Reason::PreconditionFailed)
            .text(format!("`{}` names no version of this server; give the ETag as `W/\"1\"`", clip(etag)))
    })
}

fn resource_of(entry: Element<'_>) -> Result<Resource, Issue> {
    let element = entry
        .child(name::RESOURCE)
        .ok_or_else(|| Issue::error(IssueType::Required).text("this entry needs a `resource`"))?;
    Ok(entry.resource().extract(element.id()))
}

fn target_of(url: RelativeUrl) -> Result<(TypeId, Target), Issue> {
    match url.path {
        Path::Instance(ResourceKey { resource_type, id }) => Ok((resource_type, Target::Id(id))),
        Path::Type(resource_type) => Ok((resource_type, Target::Criteria(url.into_criteria()?))),
        _ => {
            Err(Issue::error(IssueType::Invalid).text("the method needs `[type]/[id]` or `[type]?criteria`"))
        }
    }
}

/// A patch in a Bundle is a Parameters resource (FHIRPath Patch), or a Binary that carries a JSON Patch.
fn patch_document(resource: Resource) -> Result<PatchDocument, Issue> {
    match resource.resource_type() {
        ty::PARAMETERS => Ok(PatchDocument::FhirPath(resource)),
        ty::BINARY => {
            let root = resource.root();
            if root.text_of(name::CONTENT_TYPE) != Some("application/json-patch+json") {
                let text = "a Binary as a patch needs contentType `application/json-patch+json`";
                return Err(Issue::error(IssueType::NotSupported).text(text));
            }
            let data = root.text_of(name::DATA).unwrap_or("");
            let document = fhir_model::primitive::base64::decode(data)
                .ok_or_else(|| Issue::error(IssueType::Value).at("Binary.data").text("not base64"))?;
            Ok(PatchDocument::Json(document.into()))
        }
        _ => Err(Issue::error(IssueType::Invalid)
            .text("a patch in a Bundle is a Parameters resource, or a Binary that holds a JSON Patch")),
    }
}

fn post(url: RelativeUrl, entry: Element<'_>, request: Element<'_>) -> Result<Interaction, Issue> {
    match url.path {
        Path::Type(resource_type) => {
            let if_none_exist = match request.text_of(name::IF_NONE_EXIST) {
                Some(text) => Some(criteria(text)?),
                None => None,
            };
            let resource = resource_of(entry)?;
            Ok(Interaction::Create(CreateRequest { resource_type, resource, if_none_exist }))
        }
        Path::Operation(scope, name_of) => {
            let body = entry.child(name::RESOURCE).map(|r| entry.resource().extract(r.id()));
            Ok(Interaction::Operation(OperationCall {
                name: name_of,
                scope,
                query: url.query,
                body,
                faults: Vec::new(),
                safe: false,
            }))
        }
        _ => {
            Err(Issue::error(IssueType::Invalid).text("POST in a Bundle goes to `[type]` or to an operation"))
        }
    }
}

/// Parses the criteria of `ifNoneExist`, with or without `[type]?` before them.
pub(crate) fn criteria(text: &str) -> Result<Criteria, Issue> {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let pairs = decode_query(query)?;
    if pairs.is_empty() {
        return Err(Issue::error(IssueType::Invalid).text("a conditional create needs criteria"));
    }
    Ok(Criteria(pairs))
}

fn read_like(url: RelativeUrl, request: Element<'_>, handling: Handling) -> Result<Interaction, Issue> {
    let parameters = url.query;
    Ok(match url.path {
        Path::Instance(key) => Interaction::Read(ReadRequest {
            key,
            if_none_match: request.text_of(name::IF_NONE_MATCH).map(version_of_etag).transpose()?,
            if_modified_since: request.text_of(name::IF_MODIFIED_SINCE).and_then(Instant::parse),
        }),
        Path::Version(key, version) => {
            Interaction::Vread(VreadRequest { key, version: VersionId::parse(&version) })
        }
        Path::History(scope) => Interaction::History(HistoryRequest { scope, parameters, handling }),
        Path::System => Interaction::Search(SearchRequest { scope: Scope::System, parameters, handling }),
        Path::Type(of) => Interaction::Search(SearchRequest { scope: Scope::Type(of), parameters, handling }),
        Path::Compartment(focus, member) => {
            let scope = Scope::Compartment { focus, member };
            Interaction::Search(SearchRequest { scope, parameters, handling })
        }
        Path::Operation(scope, name) => Interaction::Operation(OperationCall {
            name,
            scope,
            query: parameters,
            body: None,
            faults: Vec::new(),
            safe: true,
        }),
        Path::Metadata => Interaction::Capabilities,
    })
}

/// Writes the entry of a batch-response or transaction-response.
///
/// The resource is shown for reads and searches; after a write the location
/// and the ETag tell it.
pub(crate) fn write_response(base: &str, method: Method, performed: &Performed, out: &mut Vec<u8>) {
    out.push(b'{');
    let status = match performed.status {
        Status::Ok => "200 OK",
        Status::Created => "201 Created",
        Status::NoContent => "204 No Content",
        Status::NotModified => "304 Not Modified",
    };
    let shows =
        matches!(method, Method::Get | Method::Post) && performed.key.is_none() || method == Method::Get;
    if let (Body::Json(json), true) = (&performed.body, shows) {
        if let Some(key) = &performed.key {
            out.extend_from_slice(br#""fullUrl":"#);
            write_escaped(&format!("{base}/{}/{}", key.resource_type, key.id), out);
            out.push(b',');
        }
        out.extend_from_slice(br#""resource":"#);
        out.extend_from_slice(json);
        out.push(b',');
    }
    out.extend_from_slice(br#""response":{"status":""#);
    out.extend_from_slice(status.as_bytes());
    out.push(b'"');
    if let (Some(key), Some(version)) = (&performed.key, performed.version) {
        if !matches!(method, Method::Get | Method::Head | Method::Delete) {
            let location = format!("{base}/{}/{}/_history/{version}", key.resource_type, key.id);
            out.extend_from_slice(br#","location":"#);
            write_escaped(&location, out);
        }
        out.extend_from_slice(format!(r#","etag":"W/\"{version}\"""#).as_bytes());
    }
    if let Some(updated) = performed.updated {
        out.extend_from_slice(br#","lastModified":""#);
        updated.write_to(out);
        out.push(b'"');
    }
    if !performed.issues.is_empty() {
        out.extend_from_slice(br#","outcome":"#);
        out.extend_from_slice(&fhir_model::outcome::operation_outcome_json(&performed.issues));
    }
    out.extend_from_slice(b"}}");
}

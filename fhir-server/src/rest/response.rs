//! From what was performed to an HTTP response.
//!
//! JSON passes through as it was stored, without a copy; other formats, raw
//! Binaries and parts of resources are made here, off the thread where they
//! are large.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use bytes::Bytes;
use fhir_model::interaction::{Body, Performed, Status};
use fhir_model::outcome::{Issue, IssueType, operation_outcome_json};
use fhir_model::schema::ty;
use fhir_model::subset::{Elements, Subset, subset, subset_entries};
use fhir_model::{json, xml};
use ihe_adapters::documents::Documents;

use super::binary::Opened;
use super::heavy::Heavy;
use super::negotiate::{Accepted, Format};
use super::prefer::Return;
use super::{binary, etag, outcome};

/// How an answer is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The format.
    pub(super) accepted: Accepted,
    pub(super) pretty: bool,
    pub(super) subset: Option<Subset>,
    /// What a write answers with; `None` for what only reads.
    pub(super) returns: Option<Return>,
    /// The base of URLs.
    pub(super) base: String,
}

impl Wanted {
    /// Begins with what is wanted by who says nothing.
    pub(super) fn plain(base: String) -> Wanted {
        Wanted { accepted: Accepted::Any, pretty: false, subset: None, returns: None, base }
    }

    /// Reads `_pretty`, `_summary` and `_elements`.
    ///
    /// # Errors
    /// When their values are not what they should be.
    pub(super) fn read(&mut self, parameters: &[(String, String)]) -> Result<(), Issue> {
        for (name, value) in parameters {
            match (name.as_str(), value.as_str()) {
                ("_pretty", value) => self.pretty = value == "true",
                ("_summary", "true") => self.subset = Some(Subset::Summary),
                ("_summary", "text") => self.subset = Some(Subset::Text),
                ("_summary", "data") => self.subset = Some(Subset::Data),
                // A count is the search's own matter.
                ("_summary", "false" | "count") => {}
                ("_summary", _) => {
                    let text = "`_summary` is one of true, text, data, count, false";
                    return Err(Issue::error(IssueType::Value).at("_summary").text(text));
                }
                ("_elements", list) => self.subset = Some(Subset::Elements(Elements::parse(list)?)),
                _ => {}
            }
        }
        Ok(())
    }

    fn format(&self) -> Format {
        self.accepted.format().unwrap_or(Format::Json)
    }
}

/// A response whose body is still at hand.
pub(super) struct Answer {
    pub(super) head: HttpResponse<()>,
    pub(super) body: Bytes,
    /// A document that is the body instead.
    pub(super) document: Option<Opened>,
}

impl Answer {
    /// Begins an answer that nobody may keep.
    pub(super) fn new(status: StatusCode) -> Answer {
        let mut answer =
            Answer { head: HttpResponse::with_body(status, ()), body: Bytes::new(), document: None };
        answer.set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.set(VARY, HeaderValue::from_static("Accept, Accept-Encoding, Authorization"));
        answer
    }

    /// Returns how many bytes the body has.
    pub(super) fn size(&self) -> u64 {
        self.document.as_ref().map_or(self.body.len() as u64, |document| document.size)
    }

    pub(super) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.head.headers_mut().insert(name, value);
    }

    /// Sets a header to a text of our own making; one that is no header value
    /// is left out.
    fn set_text(&mut self, name: HeaderName, text: String) {
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
            self.set(name, value);
        }
    }

    fn set_resource(&mut self, rendered: Rendered) {
        self.body = rendered.bytes;
        match rendered.carried {
            None => self.set(CONTENT_TYPE, HeaderValue::from_static(rendered.format.media_type())),
            Some((media_type, security_context)) => self.set_carried(&media_type, security_context),
        }
    }

    /// Says that the body is what a Binary carries.
    fn set_carried(&mut self, media_type: &str, security_context: Option<String>) {
        let media_type =
            HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
        self.set(CONTENT_TYPE, media_type);
        // Whatever it is, no browser is to run it in our name.
        self.set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.set(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        self.set(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        if let Some(context) = security_context {
            self.set_text(HeaderName::from_static("x-security-context"), context);
        }
    }
}

/// Makes the response to what was performed.
///
/// # Errors
/// When what was performed cannot be shown as wanted.
pub(super) async fn performed(
    performed: Performed,
    wanted: &Wanted,
    heavy: &Heavy,
    documents: &Arc<dyn Documents>,
) -> Result<Answer, Issue> {
    let shows_outcome = wanted.returns == Some(Return::OperationOutcome);
    let status = match performed.status {
        Status::Ok => StatusCode::OK,
        Status::Created => StatusCode::CREATED,
        Status::NoContent if shows_outcome => StatusCode::OK,
        Status::NoContent => StatusCode::NO_CONTENT,
        Status::NotModified => StatusCode::NOT_MODIFIED,
    };
    let mut answer = Answer::new(status);
    identify(&performed, wanted, &mut answer);
    if performed.status == Status::NotModified {
        return Ok(answer);
    }
    let is_binary_read =
        wanted.returns.is_none() && performed.key.as_ref().is_some_and(|k| k.resource_type == ty::BINARY);
    let json = match (wanted.returns, performed.body) {
        (Some(Return::OperationOutcome), _) => {
            let mut issues = performed.issues;
            if issues.is_empty() {
                issues.push(Issue::information(IssueType::Informational).text("done"));
            }
            operation_outcome_json(&issues).into()
        }
        (_, Body::Empty) | (Some(Return::Minimal), _) => return Ok(answer),
        (_, Body::Json(json)) => json,
    };
    let json = match performed.content.filter(|_| is_binary_read) {
        None => json,
        Some(content) => {
            let document = Opened::open(documents, content).await?;
            match with_document(document, json, wanted, heavy, &mut answer).await? {
                Some(json) => json,
                None => return Ok(answer),
            }
        }
    };
    let rendering = Rendering {
        raw: is_binary_read.then(|| wanted.accepted.clone()),
        format: wanted.format(),
        pretty: wanted.pretty,
        subset: wanted.subset.clone().filter(|_| !shows_outcome),
    };
    let cost = if rendering.changes_nothing() { 0 } else { json.len() };
    answer.set_resource(heavy.run(cost, move || rendering.render(json)).await?);
    Ok(answer)
}

/// Puts the bytes of a document in the answer, or, where FHIR is wanted, in
/// the Binary, which is then returned as JSON.
async fn with_document(
    document: Opened,
    json: Bytes,
    wanted: &Wanted,
    heavy: &Heavy,
    answer: &mut Answer,
) -> Result<Option<Bytes>, Issue> {
    let binary = binary::read(json)?;
    let carried = binary::carried(&binary);
    if binary::is_raw_wanted(&wanted.accepted, &carried.media_type) {
        answer.set_carried(&carried.media_type, carried.security_context);
        answer.document = Some(document);
        return Ok(None);
    }
    let written = move || Ok(json::to_json(&document.into_binary(binary)?).into());
    heavy.run(usize::MAX, written).await.map(Some)
}

/// Adds the headers that say which version this is.
fn identify(performed: &Performed, wanted: &Wanted, answer: &mut Answer) {
    if let Some(updated) = performed.updated {
        answer.set_text(LAST_MODIFIED, etag::http_date(updated));
    }
    let Some(version) = performed.version else { return };
    answer.set_text(ETAG, format!("W/\"{version}\""));
    let Some(key) = performed.key.as_ref().filter(|_| performed.status != Status::NoContent) else { return };
    let versioned = format!("{}/{}/{}/_history/{version}", wanted.base, key.resource_type, key.id);
    let name = if wanted.returns.is_some() { LOCATION } else { CONTENT_LOCATION };
    answer.set_text(name, versioned);
}

/// Makes the response to a failure.
pub(super) fn failure(issue: &Issue, wanted: &Wanted) -> Answer {
    let code = outcome::status(issue);
    let mut answer = Answer::new(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let retry = issue.retry_after_seconds.or(matches!(code, 429 | 503 | 507).then_some(5));
    if let Some(seconds) = retry {
        answer.set_text(RETRY_AFTER, seconds.to_string());
    }
    let rendering = Rendering { raw: None, format: wanted.format(), pretty: wanted.pretty, subset: None };
    let json: Bytes = issue.to_operation_outcome_json().into();
    match rendering.render(json.clone()) {
        Ok(rendered) => answer.set_resource(rendered),
        Err(_) => answer.set_resource(Rendered { bytes: json, format: Format::Json, carried: None }),
    }
    answer
}

/// What is to be made of a resource in JSON.
struct Rendering {
    /// What is accepted, where the bytes of a Binary may be meant.
    raw: Option<Accepted>,
    format: Format,
    pretty: bool,
    subset: Option<Subset>,
}

/// What was made of it.
struct Rendered {
    bytes: Bytes,
    format: Format,
    /// Media type and security context, where `bytes` are what a Binary carries.
    carried: Option<(String, Option<String>)>,
}

impl Rendering {
    fn changes_nothing(&self) -> bool {
        self.raw.is_none() && self.format == Format::Json && !self.pretty && self.subset.is_none()
    }

    fn render(self, json: Bytes) -> Result<Rendered, Issue> {
        if let Some(accepted) = &self.raw
            && *accepted != Accepted::Fhir(self.format)
            && let Some(carried) = binary::unwrap(json.clone())
            && binary::is_raw_wanted(accepted, &carried.media_type)
        {
            return Ok(Rendered {
                bytes: carried.bytes.into(),
                format: self.format,
                carried: Some((carried.media_type, carried.security_context)),
            });
        }
        let bytes = self.written(json)?;
        Ok(Rendered { bytes, format: self.format, carried: None })
    }

    fn written(&self, json: Bytes) -> Result<Bytes, Issue> {
        if self.format == Format::Json && self.subset.is_none() {
            return Ok(if self.pretty { json::pretty(&json).into() } else { json });
        }
        let mut tree = json::read(json).map_err(|_| {
            tracing::error!("an answer of this server is no resource");
            Issue::fatal(IssueType::Exception).text("the answer cannot be written in the form asked for")
        })?;
        if let Some(part) = &self.subset {
            tree = match tree.resource_type() {
                ty::BUNDLE => subset_entries(&tree, part),
                _ => subset(&tree, part),
            };
        }
        let bytes = match (self.format, self.pretty) {
            (Format::Json, false) => json::to_json(&tree),
            (Format::Json, true) => json::pretty(&json::to_json(&tree)),
            (Format::Xml, false) => xml::to_xml(&tree),
            (Format::Xml, true) => xml::to_xml_pretty(&tree),
        };
        Ok(bytes.into())
    }
}

//! From what was performed to an HTTP response.
//!
//! JSON passes through as it was stored; other formats and parts of resources
//! are made here.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, RETRY_AFTER,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use fhir_model::interaction::{Body, Performed, Status};
use fhir_model::outcome::{Issue, IssueType, Reason, operation_outcome_json};
use fhir_model::schema::ty;
use fhir_model::subset::{Elements, Subset, subset, subset_entries};
use fhir_model::{json, xml};

use super::negotiate::Format;
use super::prefer::Return;
use super::{binary, etag, outcome};

/// How an answer is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The format; `None` when `Accept` names none of ours.
    pub(super) format: Option<Format>,
    pub(super) pretty: bool,
    pub(super) subset: Option<Subset>,
    /// What a write answers with; `None` for what only reads.
    pub(super) returns: Option<Return>,
    /// The base of URLs.
    pub(super) base: String,
}

impl Wanted {
    /// Reads `_summary` and `_elements` of a query.
    ///
    /// # Errors
    /// When their values are not what they should be.
    pub(super) fn subset_of(query: &[(String, String)]) -> Result<Option<Subset>, Issue> {
        let mut found = None;
        for (name, value) in query {
            match (name.as_str(), value.as_str()) {
                ("_summary", "true") => found = Some(Subset::Summary),
                ("_summary", "text") => found = Some(Subset::Text),
                ("_summary", "data") => found = Some(Subset::Data),
                ("_summary", "false" | "count") => {}
                ("_summary", _) => {
                    let text = "`_summary` is one of true, text, data, count, false";
                    return Err(Issue::error(IssueType::Value).at("_summary").text(text));
                }
                ("_elements", list) => found = Some(Subset::Elements(Elements::parse(list)?)),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Makes the response to what was performed.
pub(super) fn performed(performed: Performed, wanted: &Wanted) -> HttpResponse {
    let mut builder = HttpResponseBuilder::new(match performed.status {
        Status::Ok => StatusCode::OK,
        Status::Created => StatusCode::CREATED,
        Status::NoContent => StatusCode::NO_CONTENT,
        Status::NotModified => StatusCode::NOT_MODIFIED,
    });
    builder.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, "Accept, Authorization"));
    if let Some(version) = performed.version {
        builder.insert_header((ETAG, format!("W/\"{version}\"")));
        if let (Some(key), Some(Return::Minimal | Return::Representation | Return::OperationOutcome)) =
            (&performed.key, wanted.returns)
            && performed.status != Status::NoContent
        {
            let location = format!("{}/{}/{}/_history/{version}", wanted.base, key.resource_type, key.id);
            builder.insert_header((LOCATION, location));
        }
    }
    if let Some(updated) = performed.updated {
        builder.insert_header((LAST_MODIFIED, etag::http_date(updated)));
    }
    match (wanted.returns, performed.body) {
        (_, _) if performed.status == Status::NotModified => builder.finish(),
        (Some(Return::OperationOutcome), _) => {
            if performed.status == Status::NoContent {
                builder.status(StatusCode::OK);
            }
            let mut issues = performed.issues;
            if issues.is_empty() {
                issues.push(Issue::information(IssueType::Informational).text("done"));
            }
            resource(builder, operation_outcome_json(&issues).into(), wanted)
        }
        (_, Body::Empty) | (Some(Return::Minimal), _) => builder.finish(),
        (_, Body::Json(json)) => {
            let is_binary = performed.key.as_ref().is_some_and(|k| k.resource_type == ty::BINARY);
            if let (None, true, Some((media_type, bytes))) =
                (wanted.format, is_binary, binary_of(&json, is_binary))
            {
                return builder
                    .insert_header((CONTENT_TYPE, media_type))
                    .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
                    .insert_header((CONTENT_DISPOSITION, "attachment"))
                    .body(bytes);
            }
            resource(builder, json, wanted)
        }
    }
}

fn binary_of(json: &[u8], is_binary: bool) -> Option<(String, Vec<u8>)> {
    if is_binary { binary::unwrap(json) } else { None }
}

/// Makes the response to a failure.
pub(super) fn failure(issue: &Issue, wanted: &Wanted) -> HttpResponse {
    let status = StatusCode::from_u16(outcome::status(issue)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponseBuilder::new(status);
    builder.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(seconds) = issue.retry_after_seconds {
        builder.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    if issue.reason == Reason::MethodNotAllowed {
        builder.insert_header((ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    let plain = Wanted { subset: None, ..wanted.clone() };
    resource(builder, issue.to_operation_outcome_json().into(), &plain)
}

/// Puts a resource into the wanted form.
fn resource(mut builder: HttpResponseBuilder, json: Bytes, wanted: &Wanted) -> HttpResponse {
    let format = wanted.format.unwrap_or(Format::Json);
    builder.insert_header((CONTENT_TYPE, format.media_type()));
    if format == Format::Json && wanted.subset.is_none() {
        return builder.body(if wanted.pretty { json::pretty(&json).into() } else { json });
    }
    let Ok(mut tree) = json::read(json) else {
        tracing::error!("an answer of this server is no resource");
        return HttpResponse::InternalServerError().finish();
    };
    if let Some(part) = &wanted.subset {
        tree = if tree.resource_type() == ty::BUNDLE {
            subset_entries(&tree, part)
        } else {
            subset(&tree, part)
        };
    }
    let bytes = match (format, wanted.pretty) {
        (Format::Json, false) => json::to_json(&tree),
        (Format::Json, true) => json::pretty(&json::to_json(&tree)),
        (Format::Xml, false) => xml::to_xml(&tree),
        (Format::Xml, true) => xml::to_xml_pretty(&tree),
    };
    builder.body(bytes)
}

//! `_history` of an instance, a type or the system: versions, newest first.
//!
//! Pages continue below the time of the last version shown, so a version is
//! never shown twice and none is left out, whatever is written meanwhile.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#history>

use fhir_model::interaction::{Handling, HistoryRequest, Performed, Scope};
use fhir_model::json::write::write_escaped;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::percent;
use fhir_model::primitive::date::PartialDate;
use fhir_model::primitive::instant::Instant;

use super::read;
use super::url::clip;
use crate::storage::{HistoryBounds, HistoryScope, Operation, Reads, StoredResource};

/// How many versions a page has where the caller does not say.
const PAGE_DEFAULT: usize = 50;
/// How many versions a page has at the most.
const PAGE_MAX: usize = 1000;
/// The parameter by which a page continues: an instant in microseconds.
const BEFORE: &str = "_before";

/// What a history request asks for.
#[derive(Debug, PartialEq)]
struct HistoryQuery {
    bounds: HistoryBounds,
    /// `_count`; 0 asks for no versions at all.
    count: usize,
    /// Parameters that are not used, by name.
    ignored: Vec<String>,
}

impl HistoryQuery {
    /// Parses `_since`, `_at`, `_count` and the page.
    ///
    /// # Errors
    /// A value that is not what it should be; under strict handling also an
    /// unknown parameter.
    fn parse(request: &HistoryRequest) -> Result<HistoryQuery, Issue> {
        let mut query =
            HistoryQuery { bounds: HistoryBounds::default(), count: PAGE_DEFAULT, ignored: Vec::new() };
        for (name, value) in &request.parameters {
            let bad = |expected: &str| {
                let text = format!("`{name}` takes {expected}, not `{}`", clip(value));
                Issue::error(IssueType::Value).at(name.clone()).text(text)
            };
            match name.as_str() {
                "_since" => {
                    let since = Instant::parse(value)
                        .ok_or_else(|| bad("an instant such as 2026-01-31T10:00:00Z"))?;
                    query.bounds.since = Some(since);
                }
                "_at" => {
                    let date = PartialDate::parse(value).ok_or_else(|| bad("a date"))?;
                    let (low, high) = date.interval();
                    query.bounds.at = Some((Instant(low), Instant(high)));
                }
                "_count" => {
                    let count: usize = value.parse().map_err(|_| bad("a number"))?;
                    query.count = count.min(PAGE_MAX);
                }
                BEFORE => {
                    let before = value.parse().map_err(|_| bad("the value that a `next` link gave"))?;
                    query.bounds.before = Some(Instant(before));
                }
                "_format" | "_pretty" | "_summary" | "_elements" => {}
                _ => query.ignored.push(name.clone()),
            }
        }
        if request.handling == Handling::Strict && !query.ignored.is_empty() {
            let text = format!("a history has no parameter `{}`", clip(&query.ignored.join("`, `")));
            return Err(Issue::error(IssueType::NotSupported).text(text));
        }
        Ok(query)
    }
}

/// Answers with a page of versions.
///
/// # Errors
/// 404 for the history of what never was; a parameter that is not what it should be.
pub(crate) fn history(
    data: &mut impl Reads,
    base: &str,
    request: &HistoryRequest,
) -> Result<Performed, Issue> {
    let query = HistoryQuery::parse(request)?;
    let scope = match &request.scope {
        Scope::System | Scope::Compartment { .. } => HistoryScope::System,
        Scope::Type(of) => HistoryScope::Type(*of),
        Scope::Instance(key) => {
            if data.current(key)?.is_none() {
                return Err(read::not_found(key));
            }
            HistoryScope::Instance(key.clone())
        }
    };
    // One more than shown tells whether there is a next page.
    let mut versions = data.history(&scope, &query.bounds, query.count + 1)?;
    let more = versions.len() > query.count;
    versions.truncate(query.count);
    bundle(base, request, &versions, more && query.count > 0)
}

/// Writes a page of versions as a Bundle. There is a next page when `more`.
fn bundle(
    base: &str,
    request: &HistoryRequest,
    versions: &[StoredResource],
    more: bool,
) -> Result<Performed, Issue> {
    let path = match &request.scope {
        Scope::Type(of) => format!("{base}/{of}/_history"),
        Scope::Instance(key) => format!("{base}/{}/{}/_history", key.resource_type, key.id),
        Scope::System | Scope::Compartment { .. } => format!("{base}/_history"),
    };
    let mut out = br#"{"resourceType":"Bundle","type":"history","link":[{"relation":"self","url":"#.to_vec();
    write_escaped(&with_query(&path, request, None), &mut out);
    out.push(b'}');
    if let (true, Some(last)) = (more, versions.last()) {
        out.extend_from_slice(br#",{"relation":"next","url":"#);
        write_escaped(&with_query(&path, request, Some(last.updated)), &mut out);
        out.push(b'}');
    }
    out.push(b']');
    for (index, version) in versions.iter().enumerate() {
        out.extend_from_slice(if index == 0 { br#","entry":["# } else { b"," });
        write_entry(base, version, &mut out)?;
    }
    if !versions.is_empty() {
        out.push(b']');
    }
    out.push(b'}');
    Ok(Performed::json(out))
}

fn with_query(path: &str, request: &HistoryRequest, before: Option<Instant>) -> String {
    let mut url = path.to_owned();
    let kept = request.parameters.iter().filter(|(name, _)| before.is_none() || name != BEFORE);
    let pairs = kept.map(|(n, v)| (n.as_str(), v.clone())).chain(before.map(|b| (BEFORE, b.0.to_string())));
    for (index, (name, value)) in pairs.enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        percent::encode(name, &mut url);
        url.push('=');
        percent::encode(&value, &mut url);
    }
    url
}

fn write_entry(base: &str, version: &StoredResource, out: &mut Vec<u8>) -> Result<(), Issue> {
    let key = &version.key;
    let local = format!("{}/{}", key.resource_type, key.id);
    out.extend_from_slice(br#"{"fullUrl":"#);
    write_escaped(&format!("{base}/{local}"), out);
    if !version.deleted {
        out.extend_from_slice(br#","resource":"#);
        version.write_json(out)?;
    }
    let (method, url, status) = match version.operation {
        Operation::Create => ("POST", key.resource_type.name().to_owned(), "201"),
        Operation::Update if version.version.0 == 1 => ("PUT", local, "201"),
        Operation::Update => ("PUT", local, "200"),
        Operation::Patch => ("PATCH", local, "200"),
        Operation::Delete => ("DELETE", local, "204"),
    };
    out.extend_from_slice(format!(r#","request":{{"method":"{method}","url":"#).as_bytes());
    write_escaped(&url, out);
    let etag = version.version;
    out.extend_from_slice(
        format!(r#"}},"response":{{"status":"{status}","etag":"W/\"{etag}\"","lastModified":""#).as_bytes(),
    );
    version.updated.write_to(out);
    out.extend_from_slice(br#""}}"#);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)], handling: Handling) -> Result<HistoryQuery, Issue> {
        let parameters = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        HistoryQuery::parse(&HistoryRequest { scope: Scope::System, parameters, handling })
    }

    #[test]
    fn parameters() {
        let query = parse(&[("_count", "5"), ("_since", "1970-01-01T00:00:01Z")], Handling::Strict);
        assert_eq!(query.as_ref().map(|q| (q.count, q.bounds.since)), Ok((5, Some(Instant(1_000_000)))));
        assert_eq!(parse(&[("_count", "999999")], Handling::Strict).map(|q| q.count), Ok(PAGE_MAX));
        for bad in [("_count", "-1"), ("_since", "yesterday"), ("_at", "x"), ("_before", "x"), ("code", "x")]
        {
            assert!(parse(&[bad], Handling::Strict).is_err(), "{bad:?}");
        }
        assert!(parse(&[("code", "x")], Handling::Lenient).is_ok());
    }
}

//! The URLs of interactions, relative to the FHIR base: `Patient/1`,
//! `Patient?identifier=x`, `Patient/1/_history/2`.
//!
//! Bundle entries and conditional references name interactions so; the HTTP
//! door has the same grammar in its routes.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#general>

use fhir_model::interaction::{Criteria, ResourceKey, Scope};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::percent;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelativeUrl {
    /// What the path names.
    pub(crate) path: Path,
    /// The parameters behind `?`, decoded.
    pub(crate) query: Vec<(String, String)>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    /// The base itself.
    System,
    /// `metadata`.
    Metadata,
    /// `[type]`.
    Type(TypeId),
    /// `[type]/[id]`.
    Instance(ResourceKey),
    /// `[type]/[id]/_history/[vid]`.
    Version(ResourceKey, String),
    /// `_history`, `[type]/_history`, `[type]/[id]/_history`.
    History(Scope),
    /// `[type]/[id]/[member]` or `[type]/[id]/*`.
    Compartment(ResourceKey, Option<TypeId>),
    /// `$name` on the system, a type or an instance.
    Operation(Scope, String),
}

impl RelativeUrl {
    /// Parses a URL relative to the base.
    ///
    /// # Errors
    /// An issue that names what is wrong: an unknown type, a bad id, a bad escape.
    pub(crate) fn parse(url: &str) -> Result<RelativeUrl, Issue> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        Ok(RelativeUrl { path: parse_path(path)?, query: decode_query(query)? })
    }

    /// Returns the parameters as criteria of a conditional interaction.
    ///
    /// # Errors
    /// When there are none: nothing may be selected by no criteria.
    pub(crate) fn into_criteria(self) -> Result<Criteria, Issue> {
        if self.query.is_empty() {
            return Err(
                Issue::error(IssueType::Invalid).text("a conditional interaction needs criteria after `?`")
            );
        }
        Ok(Criteria(self.query))
    }
}

fn parse_path(path: &str) -> Result<Path, Issue> {
    let mut parts = path.trim_matches('/').split('/');
    let mut next = || parts.next().filter(|p| !p.is_empty() && *p != "_search");
    let first = match next() {
        None => return Ok(Path::System),
        Some("metadata") => return Ok(Path::Metadata),
        Some("_history") => return Ok(Path::History(Scope::System)),
        Some(first) => first,
    };
    if let Some(name) = first.strip_prefix('$') {
        return Ok(Path::Operation(Scope::System, name.to_owned()));
    }
    let resource_type = TypeId::resource_named(first).ok_or_else(|| {
        Issue::error(IssueType::NotFound).text(format!("`{}` is not a resource type of FHIR R4", clip(first)))
    })?;
    let second = match next() {
        None => return Ok(Path::Type(resource_type)),
        Some("_history") => return Ok(Path::History(Scope::Type(resource_type))),
        Some(second) => second,
    };
    if let Some(name) = second.strip_prefix('$') {
        return Ok(Path::Operation(Scope::Type(resource_type), name.to_owned()));
    }
    let id = ResourceId::parse(second).ok_or_else(|| {
        Issue::error(IssueType::Value).text(format!("`{}` is not a resource id", clip(second)))
    })?;
    let key = ResourceKey { resource_type, id };
    let path = match (next(), next()) {
        (None, _) => Path::Instance(key),
        (Some("_history"), None) => Path::History(Scope::Instance(key)),
        (Some("_history"), Some(version)) => Path::Version(key, version.to_owned()),
        (Some("*"), _) => Path::Compartment(key, None),
        (Some(third), _) => match (third.strip_prefix('$'), TypeId::resource_named(third)) {
            (Some(name), _) => Path::Operation(Scope::Instance(key), name.to_owned()),
            (None, Some(member)) => Path::Compartment(key, Some(member)),
            (None, None) => {
                let text = format!("`{}` names nothing that this server has", clip(path));
                return Err(Issue::error(IssueType::NotFound).text(text));
            }
        },
    };
    Ok(path)
}

/// Cuts what a caller sent before it is told back.
pub(crate) fn clip(text: &str) -> &str {
    text.char_indices().nth(100).map_or(text, |(at, _)| &text[..at])
}

/// Decodes `a=b&c=d`: `+` is a space, `%xx` a byte of UTF-8.
///
/// # Errors
/// When an escape is no escape, or the bytes are not UTF-8.
pub(crate) fn decode_query(query: &str) -> Result<Vec<(String, String)>, Issue> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text| percent::decode_form(text).ok_or_else(bad_escape);
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Decodes the `%xx` of a path; `+` stays.
///
/// # Errors
/// As [`decode_query`].
pub(crate) fn decode_path(path: &str) -> Result<String, Issue> {
    percent::decode(path).ok_or_else(bad_escape)
}

fn bad_escape() -> Issue {
    Issue::error(IssueType::Value)
        .text("the URL has an escape that is not `%` and two hexadecimal digits of UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (url, expected) in [
            ("", "System"),
            ("metadata", "Metadata"),
            ("Patient", "Type(Patient)"),
            ("/Patient/", "Type(Patient)"),
            ("Patient/_search?a=b", "Type(Patient)"),
            ("Patient/1", "Instance(ResourceKey { resource_type: Patient, id: ResourceId(\"1\") })"),
            ("_history", "History(System)"),
            ("Patient/_history", "History(Type(Patient))"),
            ("$meta", "Operation(System, \"meta\")"),
        ] {
            let parsed = RelativeUrl::parse(url).map(|u| format!("{:?}", u.path));
            assert_eq!(parsed.as_deref(), Ok(expected), "{url}");
        }
        for url in
            ["Nothing", "Patient/a_b", "Patient/1/nothing", "Patient?a=%zz", "Patient?a=%ff", "Patient?a=%e"]
        {
            assert!(RelativeUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn queries() {
        let expected = vec![("a".to_owned(), "b c|à".to_owned()), ("d".to_owned(), String::new())];
        assert_eq!(decode_query("a=b+c%7C%C3%A0&d"), Ok(expected));
    }

    proptest::proptest! {
        #[test]
        fn decoding_undoes_encoding(name in "\\PC{1,20}", value in "\\PC{0,20}") {
            let mut query = String::new();
            percent::encode(&name, &mut query);
            query.push('=');
            percent::encode(&value, &mut query);
            proptest::prop_assert_eq!(decode_query(&query), Ok(vec![(name, value)]));
        }
    }
}

//! The interactions of REST as one table: requests are routed by it, the
//! CapabilityStatement lists it, and the tests call it row by row.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#summary>

use std::borrow::Cow;

use actix_web::http::Method;
use fhir_model::interaction::{ResourceKey, Scope};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use smallvec::SmallVec;

use crate::interaction::append_only::is_append_only;
use crate::interaction::url::{clip, decode_path};

/// Where an interaction belongs in the CapabilityStatement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// With each resource type.
    Type,
    /// With the system.
    System,
    /// Nowhere: it is understood, or told otherwise.
    Unlisted,
}

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reads the current version.
    Read,
    /// Reads one version.
    Vread,
    /// Stores a new version.
    Update,
    /// Changes a resource in part.
    Patch,
    /// Deletes a resource.
    Delete,
    /// Lists versions.
    History,
    /// Stores a new resource.
    Create,
    /// Finds resources, asked by GET.
    Search,
    /// Finds resources, asked by a form.
    SearchByForm,
    /// Performs the entries of a Bundle.
    Bundle,
    /// Tells what the server can do.
    Capabilities,
    /// Calls an operation.
    Operation,
}

/// An interaction.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its code in the specification.
    pub code: &'static str,
    /// Its method; GET stands for HEAD, too.
    pub method: &'static str,
    /// Its path behind the base.
    pub path: &'static str,
    /// Where it is listed.
    pub level: Level,
    /// What it leads to.
    pub action: Action,
}

const fn route(
    code: &'static str,
    method: &'static str,
    path: &'static str,
    level: Level,
    action: Action,
) -> Route {
    Route { code, method, path, level, action }
}

/// All interactions. Paths that one request could match stand in the order in
/// which they are tried.
pub const ROUTES: &[Route] = &[
    route("read", "GET", "/{type}/{id}", Level::Type, Action::Read),
    route("vread", "GET", "/{type}/{id}/_history/{vid}", Level::Type, Action::Vread),
    route("update", "PUT", "/{type}/{id}", Level::Type, Action::Update),
    route("update", "PUT", "/{type}", Level::Unlisted, Action::Update),
    route("patch", "PATCH", "/{type}/{id}", Level::Type, Action::Patch),
    route("patch", "PATCH", "/{type}", Level::Unlisted, Action::Patch),
    route("delete", "DELETE", "/{type}/{id}", Level::Type, Action::Delete),
    route("delete", "DELETE", "/{type}", Level::Unlisted, Action::Delete),
    route("history-instance", "GET", "/{type}/{id}/_history", Level::Type, Action::History),
    route("history-type", "GET", "/{type}/_history", Level::Type, Action::History),
    route("create", "POST", "/{type}", Level::Type, Action::Create),
    route("search-type", "GET", "/{type}", Level::Type, Action::Search),
    route("search-type", "POST", "/{type}/_search", Level::Unlisted, Action::SearchByForm),
    route("search-compartment", "GET", "/{type}/{id}/{member}", Level::Unlisted, Action::Search),
    route(
        "search-compartment",
        "POST",
        "/{type}/{id}/{member}/_search",
        Level::Unlisted,
        Action::SearchByForm,
    ),
    route("search-system", "GET", "/", Level::System, Action::Search),
    route("search-system", "POST", "/_search", Level::Unlisted, Action::SearchByForm),
    route("history-system", "GET", "/_history", Level::System, Action::History),
    route("transaction", "POST", "/", Level::System, Action::Bundle),
    route("batch", "POST", "/", Level::System, Action::Bundle),
    route("capabilities", "GET", "/metadata", Level::Unlisted, Action::Capabilities),
    route("capabilities", "OPTIONS", "/", Level::Unlisted, Action::Capabilities),
    route("operation", "GET", "/${name}", Level::Unlisted, Action::Operation),
    route("operation", "POST", "/${name}", Level::Unlisted, Action::Operation),
    route("operation", "GET", "/{type}/${name}", Level::Unlisted, Action::Operation),
    route("operation", "POST", "/{type}/${name}", Level::Unlisted, Action::Operation),
    route("operation", "GET", "/{type}/{id}/${name}", Level::Unlisted, Action::Operation),
    route("operation", "POST", "/{type}/{id}/${name}", Level::Unlisted, Action::Operation),
];

/// The interactions that change what is there, by their codes.
pub const CHANGES: &[&str] = &["update", "patch", "delete"];

/// Returns the codes of a level, each once, in the order of the table.
pub fn codes(level: Level) -> Vec<&'static str> {
    ROUTES.iter().filter(|r| r.level == level).map(|r| r.code).collect()
}

/// Segments that a path of the table has at most, and one more.
const SEGMENTS_MAX: usize = 5;

/// A path behind the base, cut at `/` and then decoded, so that an encoded
/// `/` or `?` separates nothing.
type Segments<'p> = SmallVec<[Cow<'p, str>; SEGMENTS_MAX]>;

/// What a path names, by the places of the route's pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Places {
    pub(super) resource_type: Option<TypeId>,
    pub(super) id: Option<ResourceId>,
    /// The version id as written.
    pub(super) version: Option<String>,
    /// The member of a compartment; `Some(None)` for `*`.
    pub(super) member: Option<Option<TypeId>>,
    /// The name of the operation without `$`.
    pub(super) operation: Option<String>,
}

impl Places {
    /// Returns the part of the data that the path covers.
    pub(super) fn scope(&self) -> Scope {
        match (self.resource_type, self.id.clone(), self.member) {
            (None, ..) => Scope::System,
            (Some(resource_type), None, _) => Scope::Type(resource_type),
            (Some(resource_type), Some(id), None) => Scope::Instance(ResourceKey { resource_type, id }),
            (Some(resource_type), Some(id), Some(member)) => {
                Scope::Compartment { focus: ResourceKey { resource_type, id }, member }
            }
        }
    }
}

/// Finds the route of a request and what its path names.
///
/// # Errors
/// 404 for a path that is in no row or names no resource type, 400 for what
/// is no id, 405 for a path that has no such method.
pub(super) fn find(method: &Method, path: &str) -> Result<(&'static Route, Places), Issue> {
    let segments = segments(path)?;
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let mut known = None;
    for route in ROUTES.iter().filter(|r| matches(r.path, &segments)) {
        if route.method == method {
            return Ok((route, places(route.path, &segments)?));
        }
        known = Some(route);
    }
    // What is wrong with the path counts before what is wrong with the method.
    places(known.ok_or_else(|| nowhere(path))?.path, &segments)?;
    let text = format!("{} is not possible on `{}`", clip(method), clip(path));
    Err(Issue::error(IssueType::NotSupported).because(Reason::MethodNotAllowed).text(text))
}

/// Returns the methods that a path takes, for `Allow`; `None` for a path that
/// is in no row, or names what is not there.
pub(super) fn allowed(path: &str) -> Option<String> {
    let segments = segments(path).ok()?;
    let mut methods: SmallVec<[&str; 8]> = SmallVec::new();
    for route in ROUTES.iter().filter(|r| matches(r.path, &segments)) {
        let of = places(route.path, &segments).ok()?.resource_type;
        if of.is_some_and(is_append_only) && CHANGES.contains(&route.code) {
            continue;
        }
        if !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    if methods.is_empty() {
        return None;
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
    }
    Some(methods.join(", "))
}

fn segments(path: &str) -> Result<Segments<'_>, Issue> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Segments::new());
    }
    let decoded = inner.split('/').take(SEGMENTS_MAX).map(|segment| {
        if segment.contains('%') { decode_path(segment).map(Cow::Owned) } else { Ok(Cow::Borrowed(segment)) }
    });
    decoded.collect()
}

fn matches(pattern: &str, segments: &Segments<'_>) -> bool {
    let mut rest = segments.iter();
    for place in pattern.split('/').filter(|p| !p.is_empty()) {
        let Some(segment) = rest.next() else { return false };
        let fits = match place {
            "{type}" => !segment.starts_with(['_', '$']) && segment != "metadata" && !segment.is_empty(),
            "{id}" | "{vid}" => !segment.starts_with(['_', '$']),
            "{member}" => segment == "*" || TypeId::resource_named(segment).is_some(),
            "${name}" => segment.len() > 1 && segment.starts_with('$'),
            literal => segment == literal,
        };
        if !fits {
            return false;
        }
    }
    rest.next().is_none()
}

fn places(pattern: &str, segments: &Segments<'_>) -> Result<Places, Issue> {
    let mut places = Places::default();
    for (place, segment) in pattern.split('/').filter(|p| !p.is_empty()).zip(segments) {
        match place {
            "{type}" => places.resource_type = Some(resource_type(segment)?),
            "{id}" => places.id = Some(id(segment)?),
            "{vid}" => places.version = Some(segment.to_string()),
            "{member}" => places.member = Some(TypeId::resource_named(segment)),
            "${name}" => places.operation = Some(segment.trim_start_matches('$').to_owned()),
            _ => {}
        }
    }
    Ok(places)
}

fn resource_type(segment: &str) -> Result<TypeId, Issue> {
    TypeId::resource_named(segment).ok_or_else(|| {
        let text = format!("`{}` is not a resource type of FHIR R4", clip(segment));
        Issue::error(IssueType::NotFound).text(text)
    })
}

/// Parses an id of a URL. `.` and `..` have the form of ids, but a client
/// cannot name them: it takes them for steps in the path.
fn id(segment: &str) -> Result<ResourceId, Issue> {
    ResourceId::parse(segment).filter(|id| !matches!(id.as_str(), "." | "..")).ok_or_else(|| {
        let text = format!("`{}` is not a resource id: 1 to 64 letters, digits, `-` and `.`", clip(segment));
        Issue::error(IssueType::Value).text(text)
    })
}

fn nowhere(path: &str) -> Issue {
    let first = path.trim_matches('/').split('/').next().unwrap_or("");
    // The type is what is wrong most often.
    match resource_type(first) {
        Err(issue) if !first.starts_with(['_', '$']) && !first.is_empty() => issue,
        _ => {
            let text = format!("`{}` names nothing that this server has", clip(path));
            Issue::error(IssueType::NotFound).text(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_own_example() {
        for row in ROUTES {
            let path = row
                .path
                .replace("{type}", "Patient")
                .replace("{id}", "1")
                .replace("{vid}", "2")
                .replace("{member}", "Observation")
                .replace("{name}", "everything");
            let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
            let (found, _) = find(&method, &path).unwrap_or_else(|issue| panic!("{method} {path}: {issue}"));
            assert_eq!((found.path, found.action), (row.path, row.action), "{method} {path}");
            assert!(allowed(&path).expect("allowed").contains(row.method), "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_route() {
        for (method, path, expected) in [
            ("GET", "/Nothing", IssueType::NotFound),
            ("GET", "/Nothing/1/_history/1", IssueType::NotFound),
            ("GET", "/HumanName/1", IssueType::NotFound),
            ("GET", "/DomainResource/1", IssueType::NotFound),
            ("GET", "/patient/1", IssueType::NotFound),
            ("GET", "/Patient/1/Nothing", IssueType::NotFound),
            ("GET", "/Patient/1/_history/2/3", IssueType::NotFound),
            ("GET", "/Patient/1/2/3/4/5/6/7", IssueType::NotFound),
            ("GET", "//Patient", IssueType::NotFound),
            ("GET", "/_nothing", IssueType::NotFound),
            ("GET", "/metadata/1", IssueType::NotFound),
            ("GET", "/$", IssueType::NotFound),
            ("OPTIONS", "/Nothing", IssueType::NotFound),
            ("TRACE", "/Patient/a_b", IssueType::Value),
            ("GET", "/Patient/a_b", IssueType::Value),
            ("GET", "/Patient/%2e%2e", IssueType::Value),
            ("GET", "/Patient/..", IssueType::Value),
            ("GET", "/Patient/a%2Fb", IssueType::Value),
            ("GET", "/Patient/a%3Fb", IssueType::Value),
            ("GET", "/Patient/a%00", IssueType::Value),
            ("GET", "/Patient/%ff", IssueType::Value),
            ("GET", "/Patient/%zz", IssueType::Value),
            ("GET", "/Patient%3Fname=x", IssueType::NotFound),
            ("GET", "/%2e%2e/%2e%2e/etc/passwd", IssueType::NotFound),
            ("DELETE", "/", IssueType::NotSupported),
            ("POST", "/metadata", IssueType::NotSupported),
            ("GET", "/Patient/_search", IssueType::NotSupported),
            ("PUT", "/Patient/1/_history/2", IssueType::NotSupported),
            ("TRACE", "/Patient", IssueType::NotSupported),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let issue = find(&method, path).expect_err(path);
            assert_eq!(issue.code, expected, "{method} {path}: {issue}");
            assert!(!issue.diagnostics.is_empty(), "{method} {path}");
        }
    }

    #[test]
    fn what_paths_take() {
        for (path, expected) in [
            ("/", Some("GET, POST, OPTIONS, HEAD")),
            ("/metadata", Some("GET, HEAD, OPTIONS")),
            ("/Patient", Some("PUT, PATCH, DELETE, POST, GET, HEAD, OPTIONS")),
            ("/Patient/1", Some("GET, PUT, PATCH, DELETE, HEAD, OPTIONS")),
            ("/Patient/1/_history/1", Some("GET, HEAD, OPTIONS")),
            ("/Patient/_search", Some("POST, OPTIONS")),
            ("/AuditEvent", Some("POST, GET, HEAD, OPTIONS")),
            ("/AuditEvent/1", Some("GET, HEAD, OPTIONS")),
            ("/_nothing", None),
            ("/Nothing", None),
            ("/Patient/a_b", None),
        ] {
            assert_eq!(allowed(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_statement_lists_what_it_listed() {
        assert_eq!(codes(Level::System), ["search-system", "history-system", "transaction", "batch"]);
        assert_eq!(codes(Level::Type).len(), 9);
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_answered(path in "\\PC{0,60}", method in "(GET|PUT|POST|DELETE|PATCH|HEAD|X)") {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            if let Err(issue) = find(&method, &path) {
                proptest::prop_assert!(!issue.diagnostics.is_empty());
            }
        }
    }
}

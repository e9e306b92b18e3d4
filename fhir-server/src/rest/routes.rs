//! The interactions of REST as a table: what the CapabilityStatement lists and
//! what the tests call one by one.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#summary>

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

/// An interaction.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its code in the specification.
    pub code: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its path behind the base.
    pub path: &'static str,
    /// Where it is listed.
    pub level: Level,
}

const fn route(code: &'static str, method: &'static str, path: &'static str, level: Level) -> Route {
    Route { code, method, path, level }
}

/// All interactions.
pub const ROUTES: &[Route] = &[
    route("read", "GET", "/{type}/{id}", Level::Type),
    route("vread", "GET", "/{type}/{id}/_history/{vid}", Level::Type),
    route("update", "PUT", "/{type}/{id}", Level::Type),
    route("patch", "PATCH", "/{type}/{id}", Level::Type),
    route("delete", "DELETE", "/{type}/{id}", Level::Type),
    route("history-instance", "GET", "/{type}/{id}/_history", Level::Type),
    route("history-type", "GET", "/{type}/_history", Level::Type),
    route("create", "POST", "/{type}", Level::Type),
    route("search-type", "GET", "/{type}", Level::Type),
    route("search-type", "POST", "/{type}/_search", Level::Unlisted),
    route("search-compartment", "GET", "/{type}/{id}/{member}", Level::Unlisted),
    route("search-compartment", "POST", "/{type}/{id}/{member}/_search", Level::Unlisted),
    route("search-system", "GET", "/", Level::System),
    route("search-system", "POST", "/_search", Level::Unlisted),
    route("history-system", "GET", "/_history", Level::System),
    route("transaction", "POST", "/", Level::System),
    route("batch", "POST", "/", Level::System),
    route("capabilities", "GET", "/metadata", Level::Unlisted),
    route("capabilities", "OPTIONS", "/", Level::Unlisted),
    route("operation", "GET", "/{type}/{id}/${name}", Level::Unlisted),
    route("operation", "POST", "/{type}/{id}/${name}", Level::Unlisted),
];

/// Returns the codes of a level, each once, in the order of the table.
pub fn codes(level: Level) -> Vec<&'static str> {
    ROUTES.iter().filter(|r| r.level == level).map(|r| r.code).collect()
}

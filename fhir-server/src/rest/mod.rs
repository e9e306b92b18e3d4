//! HTTP, and nothing else: a request becomes an interaction, what was
//! performed becomes a response. The only place that names actix.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

mod binary;
mod etag;
mod negotiate;
pub mod outcome;
mod prefer;
mod request;
mod response;
pub mod routes;
pub mod server;

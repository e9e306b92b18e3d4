//! HTTP, and nothing else: a request becomes an interaction, what was
//! performed becomes a response. The only place that names actix.
//!
//! A request goes `server` to `answer`, which asks `query`, `negotiate`,
//! `prefer` and `etag` what it says, `routes` where it goes, `body` for its
//! body, `request` for the interaction, and `response` for the answer.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

mod admission;
mod answer;
mod binary;
mod body;
mod compress;
mod cors;
mod dicomweb;
mod etag;
mod heavy;
mod idempotency;
mod negotiate;
pub mod outcome;
mod prefer;
mod query;
mod request;
mod response;
mod review;
pub mod routes;
pub mod server;
mod soap;

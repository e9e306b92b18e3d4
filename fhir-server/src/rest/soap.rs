//! The SOAP doors over HTTP: the body goes to the gateway as it arrives, and
//! the answer comes from it as a stream.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, body};
use futures_util::{FutureExt, StreamExt, stream};
use ihe_adapters::gateway::{self, Arriving, Chunk, Door, Request, Response};

use super::answer::{base, caller};
use super::body::deadline;

use super::server::{BASE_PATH, Shared};
use crate::limits::Limits;

/// Answers a message that came to a door.
pub(super) async fn answer(
    door: Door,
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let begin = Instant::now();
    let _in_flight = shared.metrics.begin();
    let caller = caller(&shared, &request);
    let id = caller.request_id.clone();
    let tell = |interaction: &'static str, status: StatusCode, bytes: u64| {
        let took = begin.elapsed();
        shared.metrics.end(interaction, status.as_u16(), took);
        tracing::info!(
            request = id,
            method = request.method().as_str(),
            interaction,
            status = status.as_u16(),
            ms = took.as_micros() as f64 / 1000.0,
            bytes,
            "answered"
        );
    };
    // Who sends for long must not keep out those who only ask.
    let Ok(_permit) = shared.soap_admission.enter().await else {
        tell("none", StatusCode::SERVICE_UNAVAILABLE, 0);
        return HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "5")).finish();
    };
    let coding = request.headers().get(CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("identity");
    if !coding.eq_ignore_ascii_case("identity") {
        // Nobody knows what a document grows to that is unpacked as it arrives.
        tell("none", StatusCode::UNSUPPORTED_MEDIA_TYPE, 0);
        return HttpResponse::UnsupportedMediaType()
            .insert_header((ACCEPT_ENCODING, "identity"))
            .body("messages are taken as they are: leave Content-Encoding out");
    }
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let incoming = Request {
        door,
        below: request.match_info().get("below").map(str::to_owned),
        content_type: content_type.to_owned(),
        caller,
        body: arriving(payload, shared.settings.limits.clone()),
    };
    let answered = AssertUnwindSafe(shared.gateway.answer(incoming)).catch_unwind().await;
    let response = answered.unwrap_or_else(|_| {
        tracing::error!(request = id, "a request panicked");
        Response::unexpected()
    });
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let size = response.body.iter().map(Chunk::size).sum();
    tell(response.transaction, status, size);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header(("X-Request-Id", id.as_str()));
    if size == 0 {
        return answer.finish();
    }
    answer
        .insert_header((CONTENT_TYPE, response.content_type))
        .body(body::SizedStream::new(size, gateway::stream(response.body)))
}

/// Answers a GET: with the description of a door, `?wsdl`.
pub(super) async fn describe(door: Door, shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    if !request.query_string().eq_ignore_ascii_case("wsdl") {
        let text = format!("messages are sent here by POST; {}?wsdl describes them", door.path());
        return HttpResponse::MethodNotAllowed().insert_header((ALLOW, "POST")).body(text);
    }
    let base = base(&shared, &request);
    let address = [base.strip_suffix(BASE_PATH).unwrap_or(&base), door.path()].concat();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/xml; charset=UTF-8")).body(door.wsdl(&address))
}

/// Answers what is neither POST nor GET.
pub(super) async fn other_method() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, POST")).finish()
}

/// Hands over what arrives, for as long as it comes quickly enough.
fn arriving(payload: Payload, limits: Limits) -> Arriving {
    let begin = Instant::now();
    let taken = stream::unfold(Some((payload, 0)), move |state| {
        let limits = limits.clone();
        async move {
            let (mut payload, bytes) = state?;
            // A document may take longer than a resource, but not stand still.
            let unhurried = Limits { body_seconds_max: u64::MAX, ..limits };
            let left = deadline(bytes, &unhurried).saturating_sub(begin.elapsed());
            match tokio::time::timeout(left, payload.next()).await {
                Err(_) => Some((Err("the message came too slowly; nothing was done".to_owned()), None)),
                Ok(None) => None,
                Ok(Some(Err(_))) => Some((Err("the message did not arrive whole".to_owned()), None)),
                Ok(Some(Ok(chunk))) => {
                    let bytes = bytes + chunk.len();
                    Some((Ok(chunk), Some((payload, bytes))))
                }
            }
        }
    });
    Box::pin(taken)
}

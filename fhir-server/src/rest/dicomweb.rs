//! DICOMweb at `/dicomweb`: passed through to where the images are, both ways as
//! it arrives.

use std::time::Instant;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use ihe_adapters::gateway::dicomweb::{PATH, WebRequest};

use super::answer::{caller, request_id};
use super::server::Shared;

/// How many chunks wait for a store that is slower than who sends.
const CHUNKS_WAITING: usize = 8;

/// Answers a request.
pub(super) async fn answer(shared: Data<Shared>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let begin = Instant::now();
    let _in_flight = shared.metrics.begin();
    let stores = request.method() == Method::POST;
    let name = if stores { "STOW-RS" } else { "WADO-RS" };
    let tell = |status: StatusCode| {
        let took = begin.elapsed();
        shared.metrics.end(name, status.as_u16(), took);
        let ms = took.as_micros() as f64 / 1000.0;
        tracing::info!(
            request = request_id(&request),
            interaction = name,
            status = status.as_u16(),
            ms,
            "answered"
        );
    };
    if !stores && request.method() != Method::GET {
        tell(StatusCode::METHOD_NOT_ALLOWED);
        return HttpResponse::MethodNotAllowed().insert_header(("Allow", "GET, POST")).finish();
    }
    let Ok(_permit) = shared.soap_admission.enter().await else {
        tell(StatusCode::SERVICE_UNAVAILABLE);
        return HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "5")).finish();
    };
    let header = |name| Some((request.headers().get(name)?.to_str().ok()?).to_owned());
    let headers = [("accept", header(ACCEPT)), ("content-type", header(CONTENT_TYPE))];
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let passed = WebRequest {
        caller: caller(&shared, &request),
        stores,
        path: path.strip_prefix(PATH).unwrap_or_default().to_owned(),
        headers: headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        body: stores.then(|| sent_on(payload)),
    };
    match shared.gateway.dicomweb(passed).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
            tell(status);
            let mut response = HttpResponse::build(status);
            response.insert_header((CACHE_CONTROL, "no-store"));
            for (name, value) in answer.headers {
                response.insert_header((name, value));
            }
            response.streaming(answer.body)
        }
        Err((status, why)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            tell(status);
            HttpResponse::build(status).body(why)
        }
    }
}

/// Hands on what arrives, to a client that may run on another thread.
fn sent_on(mut payload: Payload) -> reqwest::Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(CHUNKS_WAITING);
    actix_web::rt::spawn(async move {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(std::io::Error::other);
            let is_last = chunk.is_err();
            if sender.send(chunk).await.is_err() || is_last {
                return;
            }
        }
    });
    let chunks = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    reqwest::Body::wrap_stream(chunks)
}

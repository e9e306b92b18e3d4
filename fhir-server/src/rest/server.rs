//! The HTTP server: one handler for the FHIR base, and the pages for operators.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Compress;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, error::PayloadError};
use fhir_model::interaction::{Caller, FhirApi, Interaction};
use fhir_model::outcome::{Issue, IssueType, Reason};
use futures_util::FutureExt;

use super::negotiate::{self, Format};
use super::prefer;
use super::request::{Incoming, code};
use super::response::{self, Wanted};
use crate::interaction::url::decode_path;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::storage::Store;

/// The path of the FHIR base.
const BASE_PATH: &str = "/fhir";

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The base in its answers; `None` for what the request was sent to.
    pub public_base: Option<String>,
    /// Certificate and key, for TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Threads that serve.
    pub workers: usize,
    /// The limits.
    pub limits: Limits,
    /// Origins from which browsers may call; `*` for all.
    pub cors_origins: Vec<String>,
}

/// What all requests share.
struct Shared {
    api: Arc<dyn FhirApi>,
    store: Arc<Store>,
    metrics: Metrics,
    settings: ServerSettings,
    is_stopping: AtomicBool,
}

/// Serves until the process is asked to end, then lets running requests end.
///
/// `started` is called when connections are accepted.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    api: Arc<dyn FhirApi>,
    store: Arc<Store>,
    settings: ServerSettings,
    started: impl FnOnce(&[SocketAddr]),
) -> std::io::Result<()> {
    let shared = Data::new(Shared {
        api,
        store,
        metrics: Metrics::default(),
        settings: settings.clone(),
        is_stopping: AtomicBool::new(false),
    });
    let limits = settings.limits.clone();
    let for_app = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(for_app.clone())
            .app_data(PayloadConfig::new(for_app.settings.limits.body_bytes_max))
            .wrap(Compress::default())
            .route("/health/live", web::get().to(|| async { HttpResponse::Ok().body("live\n") }))
            .route("/health/ready", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .default_service(web::to(fhir))
    })
    .workers(settings.workers)
    .max_connections(limits.connections_max)
    .client_request_timeout(Duration::from_secs(limits.head_seconds_max))
    .client_disconnect_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(limits.idle_seconds_max))
    .shutdown_timeout(limits.drain_seconds_max)
    .disable_signals();
    let server = match settings.tls {
        Some(tls) => server.bind_rustls_0_23(settings.listen, (*tls).clone())?,
        None => server.bind(settings.listen)?,
    };
    started(&server.addrs());
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(async move {
        wait_for_end().await;
        tracing::info!("asked to end: letting running requests end");
        shared.is_stopping.store(true, Ordering::Relaxed);
        handle.stop(true).await;
    });
    running.await
}

/// Waits until the process is asked to end.
async fn wait_for_end() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            futures_util::future::select(Box::pin(interrupt), Box::pin(terminate.recv())).await;
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

async fn ready(shared: Data<Shared>) -> HttpResponse {
    if shared.is_stopping.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    match shared.store.probe().await {
        Ok(()) => HttpResponse::Ok().body("ready\n"),
        Err(issue) => HttpResponse::ServiceUnavailable().body(format!("storage: {issue}\n")),
    }
}

async fn metrics(shared: Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(shared.metrics.write(&shared.store))
}

/// Answers everything else: what lies under the base, and that nothing else is there.
async fn fhir(
    shared: Data<Shared>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let begin = Instant::now();
    shared.metrics.begin();
    let request_id = request_id(&request);
    let mut label = "none";
    let base = base_of(&shared, &request);
    let answered =
        AssertUnwindSafe(answer(&shared, &request, body, &base, &request_id, &mut label)).catch_unwind();
    let mut answer = answered.await.unwrap_or_else(|_| {
        tracing::error!(request = request_id, "a request panicked");
        let issue = Issue::fatal(IssueType::Exception).text("an unexpected error");
        response::failure(&issue, &plain(&base))
    });
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        answer.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    allow_origin(&shared, &request, &mut answer);
    let (status, took) = (answer.status().as_u16(), begin.elapsed());
    shared.metrics.end(label, status, took);
    tracing::info!(
        request = request_id,
        method = request.method().as_str(),
        interaction = label,
        status,
        micros = took.as_micros() as u64,
        "answered"
    );
    answer
}

async fn answer(
    shared: &Shared,
    request: &HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    base: &str,
    request_id: &str,
    label: &mut &'static str,
) -> HttpResponse {
    let mut wanted = plain(base);
    match prepared(shared, request, body, &mut wanted) {
        Err(issue) => response::failure(&issue, &wanted),
        Ok(interaction) => {
            *label = code(&interaction);
            if request.headers().contains_key("access-control-request-method") {
                return HttpResponse::NoContent().finish();
            }
            if !writes(&interaction) {
                wanted.returns = None;
            }
            let caller = Caller { request_id: request_id.to_owned(), base: base.to_owned() };
            match shared.api.perform(&caller, interaction).await {
                Ok(performed) => response::performed(performed, &wanted),
                Err(issue) => response::failure(&issue, &wanted),
            }
        }
    }
}

/// Reads everything that the request says.
fn prepared(
    shared: &Shared,
    request: &HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    wanted: &mut Wanted,
) -> Result<Interaction, Issue> {
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > shared.settings.limits.url_bytes_max {
        return Err(Issue::error(IssueType::TooLong)
            .because(Reason::UriTooLong)
            .text("the URL is longer than this server takes; search by POST to `_search`"));
    }
    let query = uri.query().unwrap_or("");
    let parameters = crate::interaction::url::decode_query(query)?;
    let of = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    wanted.format = negotiate::accepted(of("_format"), header("accept"));
    wanted.pretty = of("_pretty") == Some("true");
    wanted.subset = Wanted::subset_of(&parameters)?;
    let preferences = request.headers().get_all("prefer").filter_map(|v| v.to_str().ok());
    let preference = prefer::parse(preferences);
    wanted.returns = Some(preference.returns);
    let path = decode_path(uri.path())?;
    let path =
        path.strip_prefix(BASE_PATH).filter(|rest| rest.is_empty() || rest.starts_with('/')).ok_or_else(
            || Issue::error(IssueType::NotFound).text(format!("FHIR is to be had under {BASE_PATH}")),
        )?;
    let body = body.map_err(body_failure)?;
    let incoming =
        Incoming { method: request.method(), path, query, headers: request.headers(), body, preference };
    let interaction = incoming.interaction()?;
    let is_binary_read = matches!(&interaction, Interaction::Read(r) if r.key.resource_type == fhir_model::schema::ty::BINARY)
        || matches!(&interaction, Interaction::Vread(r) if r.key.resource_type == fhir_model::schema::ty::BINARY);
    if wanted.format.is_none() && !is_binary_read {
        return Err(negotiate::not_acceptable());
    }
    Ok(interaction)
}

fn body_failure(error: actix_web::Error) -> Issue {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Issue::error(IssueType::TooLong)
            .text("the body is larger than this server takes; send it in parts, or import it"),
        Some(PayloadError::EncodingCorrupted) => Issue::error(IssueType::Structure)
            .at("http.content-encoding")
            .text("the body cannot be decompressed"),
        _ => Issue::error(IssueType::Structure).text("the body did not arrive whole"),
    }
}

fn writes(interaction: &Interaction) -> bool {
    matches!(
        interaction,
        Interaction::Create(_) | Interaction::Update(_) | Interaction::Patch(_) | Interaction::Delete(_)
    )
}

fn plain(base: &str) -> Wanted {
    Wanted { format: Some(Format::Json), pretty: false, subset: None, returns: None, base: base.to_owned() }
}

fn base_of(shared: &Shared, request: &HttpRequest) -> String {
    if let Some(base) = &shared.settings.public_base {
        return base.clone();
    }
    let info = request.connection_info();
    let scheme = if shared.settings.tls.is_some() { "https" } else { "http" };
    let host = info.host();
    let is_sane =
        host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    let host = if is_sane { host.to_owned() } else { shared.settings.listen.to_string() };
    format!("{scheme}://{host}{BASE_PATH}")
}

/// Takes the caller's request id where it is harmless, or makes one.
fn request_id(request: &HttpRequest) -> String {
    let given = request.headers().get("x-request-id").and_then(|v| v.to_str().ok());
    let is_sane = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(is_sane).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Lets browsers of allowed origins read the answer.
///
/// Spec: <https://hl7.org/fhir/R4/http.html#custom>
fn allow_origin(shared: &Shared, request: &HttpRequest, answer: &mut HttpResponse) {
    let Some(origin) = request.headers().get("origin") else { return };
    let origins = &shared.settings.cors_origins;
    let allowed = origins.iter().any(|o| o == "*" || o.as_bytes() == origin.as_bytes());
    if !allowed {
        return;
    }
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("access-control-allow-origin"), origin.clone());
    for (name, value) in [
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        (
            "access-control-allow-headers",
            "Accept, Authorization, Content-Type, If-Match, If-None-Exist, If-None-Match, If-Modified-Since, Prefer, X-Request-Id",
        ),
        ("access-control-expose-headers", "Content-Location, ETag, Last-Modified, Location, X-Request-Id"),
        ("access-control-max-age", "3600"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

//! The HTTP server: where it listens, its pages for operators, and its end.

use std::any::Any;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use fhir_model::interaction::FhirApi;
use ihe_adapters::atna::node::node;
use ihe_adapters::documents::Documents;
use ihe_adapters::gateway::dicomweb::PATH as DICOMWEB_PATH;
use ihe_adapters::gateway::{Door, Gateway};

use super::admission::Admission;
use super::answer;
use super::body::Budget;
use super::dicomweb;
use super::heavy::Heavy;
use super::{review, soap};
use crate::clock::ClockWatch;
use crate::health::{self, Readiness};
use crate::limits::Limits;
use crate::metrics::{Metrics, Numbers};

/// The path of the FHIR base.
pub const BASE_PATH: &str = "/fhir";

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2_048;

/// How many SOAP messages may be under way at once: each may be long.
const SOAP_AT_ONCE: usize = 256;

/// Seconds that a connection which was closed may take to say so, too.
const GOODBYE: Duration = Duration::from_secs(5);

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
    /// The doors of other wires.
    pub gateway: ihe_adapters::gateway::Settings,
    /// Asks others.
    pub peers: reqwest::Client,
}

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// Performs the interactions.
    pub api: Arc<dyn FhirApi>,
    /// The same, for doors that record themselves what they are asked.
    pub unrecorded: Arc<dyn FhirApi>,
    /// Has the bytes of documents.
    pub documents: Arc<dyn Documents>,
    /// What must be ready for `/health/ready`.
    pub readiness: Vec<Arc<dyn Readiness>>,
    /// What has numbers for `/metrics`.
    pub numbers: Vec<Arc<dyn Numbers>>,
    /// Asks by how much the clock is off.
    pub clock: Option<Arc<ClockWatch>>,
}

/// What all requests share.
pub(super) struct Shared {
    /// Performs, and records, what is asked by REST.
    pub(super) api: Arc<dyn FhirApi>,
    pub(super) documents: Arc<dyn Documents>,
    pub(super) metrics: Metrics,
    pub(super) settings: ServerSettings,
    pub(super) admission: Admission,
    pub(super) gateway: Gateway,
    pub(super) soap_admission: Admission,
    pub(super) budget: Budget,
    pub(super) heavy: Heavy,
    readiness: Vec<Arc<dyn Readiness>>,
    numbers: Vec<Arc<dyn Numbers>>,
    clock: Option<Arc<ClockWatch>>,
    started: Instant,
    is_stopping: AtomicBool,
}

/// Serves until `asked_to_end` resolves, then lets running requests end.
///
/// `started` is called when connections are accepted.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    served: Served,
    settings: ServerSettings,
    asked_to_end: impl Future<Output = ()> + 'static,
    started: impl FnOnce(&[SocketAddr]),
) -> io::Result<()> {
    let limits = settings.limits.clone();
    let listener = listen(settings.listen, &limits)?;
    let (workers, tls) = (settings.workers, settings.tls.clone());
    let gateway = Gateway::new(
        served.unrecorded,
        served.documents.clone(),
        settings.gateway.clone(),
        settings.peers.clone(),
    );
    let soap_limits = Limits { running_max: limits.running_max.min(SOAP_AT_ONCE), ..limits.clone() };
    let shared = Data::new(Shared {
        gateway,
        api: served.api,
        soap_admission: Admission::new(&soap_limits),
        documents: served.documents,
        readiness: served.readiness,
        numbers: served.numbers,
        clock: served.clock,
        started: Instant::now(),
        metrics: Metrics::default(),
        admission: Admission::new(&limits),
        budget: Budget::default(),
        heavy: Heavy::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get)),
        settings,
        is_stopping: AtomicBool::new(false),
    });
    let for_app = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(for_app.clone())
            .route("/health", web::to(health_page))
            .route("/health/live", web::to(live))
            .route("/health/ready", web::to(ready))
            .route("/metrics", web::to(metrics))
            .configure(review::at)
            .configure(soap_doors)
            .service(web::scope(DICOMWEB_PATH).default_service(web::to(dicomweb::answer)))
            .default_service(web::to(answer::answer))
    })
    .on_connect(note_node)
    .workers(workers)
    .max_connections(limits.connections_max)
    .client_request_timeout(Duration::from_secs(limits.head_seconds_max))
    .client_disconnect_timeout(GOODBYE)
    .tls_handshake_timeout(Duration::from_secs(limits.head_seconds_max))
    .keep_alive(Duration::from_secs(limits.idle_seconds_max))
    .shutdown_timeout(limits.drain_seconds_max)
    .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, (*tls).clone())?,
        None => server.listen(listener)?,
    };
    started(&server.addrs());
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(async move {
        asked_to_end.await;
        tracing::info!("asked to end: letting running requests end");
        shared.is_stopping.store(true, Ordering::Relaxed);
        handle.stop(true).await;
    });
    running.await
}

/// Notes for the requests of a connection which node it is of.
fn note_node(connection: &dyn Any, of_connection: &mut Extensions) {
    let Some(tls) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let chain = tls.get_ref().1.peer_certificates();
    if let Some(certificate) = chain.and_then(|chain| chain.first()) {
        of_connection.insert(Arc::new(node(certificate)));
    }
}

/// Adds the addresses of the SOAP doors.
fn soap_doors(app: &mut web::ServiceConfig) {
    for &door in Door::ALL {
        let post = move |shared: Data<Shared>, request: HttpRequest, payload: Payload| {
            soap::answer(door, shared, request, payload)
        };
        let get = move |shared: Data<Shared>, request: HttpRequest| soap::describe(door, shared, request);
        let below = format!("{}/{{below}}", door.path());
        let paths = [Some(door.path()), door.has_places_below().then_some(below.as_str())];
        for path in paths.into_iter().flatten() {
            let resource = web::resource(path).route(web::post().to(post)).route(web::get().to(get));
            app.service(resource.default_service(web::to(soap::other_method)));
        }
    }
}

/// Opens the socket. What is set on it holds for every connection.
fn listen(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // A client that takes nothing of what waits for it is let go; HTTP's own
    // timeouts do not see one who sends and never reads.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(limits.read_seconds_max)))?;
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn live() -> HttpResponse {
    page(HttpResponse::Ok(), "application/json", r#"{"live":true}"#.to_owned())
}

async fn ready(shared: Data<Shared>) -> HttpResponse {
    let is_stopping = shared.is_stopping.load(Ordering::Relaxed);
    let (is_ready, text) = health::readiness(&shared.readiness, is_stopping).await;
    let status = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    page(status, "application/json", text)
}

async fn health_page(shared: Data<Shared>) -> HttpResponse {
    let is_stopping = shared.is_stopping.load(Ordering::Relaxed);
    let clock = shared.clock.as_deref();
    let (is_ready, text) = health::health(&shared.readiness, is_stopping, shared.started, clock).await;
    let status = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    page(status, "application/json", text)
}

async fn metrics(shared: Data<Shared>) -> HttpResponse {
    page(HttpResponse::Ok(), "text/plain; version=0.0.4", shared.metrics.write(&shared.numbers))
}

fn page(mut status: actix_web::HttpResponseBuilder, media_type: &'static str, text: String) -> HttpResponse {
    status.insert_header((CONTENT_TYPE, media_type)).insert_header((CACHE_CONTROL, "no-store")).body(text)
}

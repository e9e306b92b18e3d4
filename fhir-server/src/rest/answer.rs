//! The way of one request: read, route, take the body, perform, respond, and
//! tell the log and the metrics of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, body};
use fhir_model::interaction::{Body, Caller, Interaction, Node, Once, Performed, Status};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::ty;
use futures_util::FutureExt;

use super::compress::{self, Coding};
use super::request::{self, Conditions, Incoming};
use super::response::{self, Answer, Wanted};
use super::routes::{Action, Places, Route};
use super::server::{BASE_PATH, Shared};
use super::{body as bodies, cors, idempotency, negotiate, prefer, query, routes};

/// What the log and the metrics are told of a request.
struct Told {
    interaction: &'static str,
    resource_type: &'static str,
}

/// Answers what is no page for operators: what lies under the base, and that
/// nothing else is there.
pub(super) async fn answer(shared: Data<Shared>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let begin = Instant::now();
    let _in_flight = shared.metrics.begin();
    let exchange = Exchange { shared: &shared, request: &request, request_id: request_id(&request) };
    let mut told = Told { interaction: "none", resource_type: "" };
    let mut wanted = Wanted::plain(base(&shared, &request));
    let answered = AssertUnwindSafe(exchange.answer(payload, &mut wanted, &mut told)).catch_unwind().await;
    let mut answer = match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(issue)) => exchange.failure(&issue, &wanted),
        Err(_) => {
            tracing::error!(request = exchange.request_id, "a request panicked");
            exchange.failure(&Issue::fatal(IssueType::Exception).text("an unexpected error"), &wanted)
        }
    };
    exchange.compress(&mut answer).await;
    let (status, bytes, took) = (answer.head.status().as_u16(), answer.size(), begin.elapsed());
    shared.metrics.end(told.interaction, status, took);
    tracing::info!(
        request = exchange.request_id,
        method = request.method().as_str(),
        interaction = told.interaction,
        r#type = told.resource_type,
        status,
        ms = took.as_micros() as f64 / 1000.0,
        bytes,
        "answered"
    );
    exchange.respond(answer)
}

struct Exchange<'r> {
    shared: &'r Shared,
    request: &'r HttpRequest,
    request_id: String,
}

/// A request that is understood.
struct Understood {
    interaction: Interaction,
    conditions: Conditions,
    /// Under which key it is written once.
    once: Option<Once>,
    /// Keeps the memory of the body counted.
    _held: Option<bodies::Held>,
}

impl Exchange<'_> {
    fn header(&self, name: impl actix_web::http::header::AsHeaderName) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the path behind the base, as sent.
    fn path(&self) -> Option<&str> {
        let path = self.request.uri().path().strip_prefix(BASE_PATH)?;
        (path.is_empty() || path.starts_with('/')).then_some(path)
    }

    async fn answer(&self, payload: Payload, wanted: &mut Wanted, told: &mut Told) -> Result<Answer, Issue> {
        wanted.accepted = self.accepted(&[]);
        if let Some(answer) = self.options()? {
            return Ok(answer);
        }
        let Understood { interaction, conditions, once, _held } =
            self.understood(payload, wanted, told).await?;
        let is_metadata = matches!(interaction, Interaction::Capabilities);
        let _permit = self.shared.admission.enter().await?;
        let mut caller = Caller { request_id: self.request_id.clone(), ..caller(self.shared, self.request) };
        caller.once = once.map(|once| Arc::new(idempotency::of_caller(once, &caller)));
        let mut performed = self.shared.gateway.interact(&*self.shared.api, &caller, interaction).await?;
        if wanted.returns.is_none() {
            compare(&mut performed, &conditions);
        }
        let mut answer =
            response::performed(performed, wanted, &self.shared.heavy, &self.shared.documents).await?;
        if is_metadata {
            answer.set(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        Ok(answer)
    }

    /// Answers OPTIONS on what is not the base: what the path takes.
    fn options(&self) -> Result<Option<Answer>, Issue> {
        if *self.request.method() != Method::OPTIONS {
            return Ok(None);
        }
        let path = self.path().ok_or_else(elsewhere)?;
        let is_base = matches!(path, "" | "/");
        if is_base && !cors::is_preflight(self.request.method(), self.request.headers()) {
            return Ok(None);
        }
        // A path that no method takes fails as it would for any.
        let Some(allowed) = routes::allowed(path) else {
            return routes::find(self.request.method(), path).map(|_| None);
        };
        let mut answer = Answer::new(StatusCode::NO_CONTENT);
        if let Ok(value) = HeaderValue::from_str(&allowed) {
            answer.set(ALLOW, value);
        }
        Ok(Some(answer))
    }

    fn accepted(&self, parameters: &[(String, String)]) -> negotiate::Accepted {
        let format = parameters.iter().rev().find(|(name, _)| name == "_format").map(|(_, v)| v.as_str());
        let accept = self.request.headers().get_all(ACCEPT).filter_map(|v| v.to_str().ok());
        negotiate::accepted(format, accept)
    }

    /// Reads everything that the request says.
    async fn understood(
        &self,
        payload: Payload,
        wanted: &mut Wanted,
        told: &mut Told,
    ) -> Result<Understood, Issue> {
        let (shared, uri) = (self.shared, self.request.uri());
        let limits = &shared.settings.limits;
        query::check_length(uri.path().len() + uri.query().map_or(0, str::len), limits)?;
        let mut parameters = query::parameters(uri.query().unwrap_or(""), limits)?;
        self.read_wanted(&parameters, wanted)?;
        let path = self.path().ok_or_else(elsewhere)?;
        let (route, places) = routes::find(self.request.method(), path)?;
        told.interaction = route.code;
        told.resource_type = places.resource_type.map_or("", |ty| ty.name());
        let preference =
            prefer::parse(self.request.headers().get_all("prefer").filter_map(|v| v.to_str().ok()));
        wanted.returns = writes(route).then_some(preference.returns);
        check_acceptable(wanted, route, &places)?;
        let conditions = Conditions::of(self.request.headers())?;
        let content_type = self.header(CONTENT_TYPE).unwrap_or("").to_owned();
        let (mut body, mut held) = (bytes::Bytes::new(), None);
        if request::takes_body(route) {
            let headers = self.request.headers();
            let taken = bodies::take(payload, headers, limits, &shared.budget, &shared.heavy).await?;
            (body, held) = (taken.bytes, Some(taken.held));
        }
        if route.action == Action::SearchByForm {
            request::check_form(&content_type, &body)?;
            parameters.extend(query::form(&body, limits)?);
            self.read_wanted(&parameters, wanted)?;
            check_acceptable(wanted, route, &places)?;
        }
        let incoming = Incoming {
            route,
            places,
            parameters: query::without_those_of_the_answer(parameters),
            conditions: conditions.clone(),
            handling: preference.handling,
            content_type,
            security_context: self.header("x-security-context").map(str::to_owned),
            body,
        };
        let key = self.header(idempotency::HEADER).filter(|_| takes_key(route));
        let once = key.map(|key| idempotency::once(key, self.request, &incoming.body)).transpose()?;
        let bytes = incoming.body.len();
        let interaction = shared.heavy.run(bytes, move || incoming.interaction()).await?;
        told.interaction = request::code(route, &interaction);
        Ok(Understood { interaction, conditions, once, _held: held })
    }

    fn read_wanted(&self, parameters: &[(String, String)], wanted: &mut Wanted) -> Result<(), Issue> {
        wanted.accepted = self.accepted(parameters);
        wanted.read(parameters)
    }

    fn failure(&self, issue: &Issue, wanted: &Wanted) -> Answer {
        let mut answer = response::failure(issue, wanted);
        if issue.reason == Reason::MethodNotAllowed
            && let Some(allowed) = self.path().and_then(routes::allowed)
            && let Ok(value) = HeaderValue::from_str(&allowed)
        {
            answer.set(ALLOW, value);
        }
        if issue.reason == Reason::RequestTimeout {
            answer.head.head_mut().set_connection_type(ConnectionType::Close);
        }
        if issue.reason == Reason::UnsupportedMediaType {
            answer.set(ACCEPT_ENCODING, HeaderValue::from_static(compress::TAKEN));
        }
        answer
    }

    /// Compresses an answer that gains by it, where the caller takes it so.
    async fn compress(&self, answer: &mut Answer) {
        let Some(coding) = Coding::accepted(self.header(ACCEPT_ENCODING)) else { return };
        let media_type = answer.head.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if *self.request.method() == Method::HEAD || !compress::gains(media_type, answer.body.len()) {
            return;
        }
        let body = answer.body.clone();
        let compressed = self.shared.heavy.run(body.len(), move || Ok(compress::encode(coding, &body))).await;
        if let Ok(Some(compressed)) = compressed {
            answer.body = compressed.into();
            answer.set(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        }
    }

    /// Adds what every answer carries, and hands it over.
    fn respond(self, mut answer: Answer) -> HttpResponse {
        let Exchange { shared, request, request_id } = self;
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(request_id)) {
            answer.set(HeaderName::from_static("x-request-id"), value);
        }
        let origins = &shared.settings.cors_origins;
        cors::allow(origins, request.method(), request.headers(), answer.head.headers_mut());
        match answer.head.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
                answer.head.set_body(body::None::new()).map_into_boxed_body()
            }
            _ => match answer.document {
                Some(document) => {
                    let size = document.size;
                    let stream = body::SizedStream::new(size, document.into_stream());
                    answer.head.set_body(stream).map_into_boxed_body()
                }
                None => answer.head.set_body(answer.body).map_into_boxed_body(),
            },
        }
    }
}

/// Says no to a caller that takes nothing this server writes. A Binary may be
/// read by whoever takes its bytes, and be written by them, too.
fn check_acceptable(wanted: &Wanted, route: &Route, places: &Places) -> Result<(), Issue> {
    let is_binary = places.resource_type == Some(ty::BINARY)
        && matches!(route.action, Action::Read | Action::Vread | Action::Create | Action::Update);
    if wanted.accepted.format().is_none() && !is_binary {
        return Err(negotiate::not_acceptable());
    }
    Ok(())
}

/// Compares what was read with the versions that the caller has.
fn compare(performed: &mut Performed, conditions: &Conditions) {
    if let (Some(condition), Some(version), Status::Ok) =
        (&conditions.if_none_match, performed.version, performed.status)
        && condition.names(version)
    {
        performed.status = Status::NotModified;
        performed.body = Body::Empty;
    }
}

fn writes(route: &Route) -> bool {
    matches!(route.action, Action::Create | Action::Update | Action::Patch | Action::Delete)
}

/// Tells whether what a route leads to may be written under a key.
fn takes_key(route: &Route) -> bool {
    writes(route) || matches!(route.action, Action::Bundle | Action::Operation)
}

fn elsewhere() -> Issue {
    Issue::error(IssueType::NotFound).text(format!("FHIR is to be had under {BASE_PATH}"))
}

/// Returns the base of the URLs in the answer: what is set, or where the
/// request was sent to. Headers by which a proxy tells more are not trusted:
/// behind one, the base is set.
pub(super) fn base(shared: &Shared, request: &HttpRequest) -> String {
    if let Some(base) = &shared.settings.public_base {
        return base.clone();
    }
    let scheme = if shared.settings.tls.is_some() { "https" } else { "http" };
    let host = request.headers().get(HOST).and_then(|v| v.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|a| a.as_str())).filter(|host| {
        (1..=255).contains(&host.len())
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    });
    match host {
        Some(host) => [scheme, "://", host, BASE_PATH].concat(),
        None => format!("{scheme}://{}{BASE_PATH}", shared.settings.listen),
    }
}

/// Tells who asks, as far as the connection does.
pub(super) fn caller(shared: &Shared, request: &HttpRequest) -> Caller {
    Caller {
        address: request.peer_addr().map(|peer| peer.ip()),
        node: request.conn_data::<Arc<Node>>().cloned(),
        ..Caller::new(request_id(request), base(shared, request))
    }
}

/// Takes the caller's request id where it is harmless, or makes one.
pub(super) fn request_id(request: &HttpRequest) -> String {
    let given = request.headers().get("x-request-id").and_then(|v| v.to_str().ok());
    let is_sane = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(is_sane).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

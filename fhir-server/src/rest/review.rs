//! The review list as a page at `/identity/review`: what FHIR answers shown,
//! and what is decided on it done by FHIR, as whoever asks.
//!
//! Who may ask and decide is who may by REST. A form is taken from this page
//! alone: a browser would send one of any page, and REST takes no forms.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderMap,
    LOCATION, ORIGIN, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use fhir_model::interaction::{Body, Caller, Interaction};
use fhir_model::outcome::{Issue, IssueType, Reason};
use jiff::Timestamp;
use profiles::validate::Language;
use serde_json::Value;

use super::answer::{base, caller};
use super::server::Shared;
use super::{body, outcome, query, request};
use crate::identity::review_page::{
    Answered, DECISION_FORM_BYTES_MAX, Listed, Seen, Words, content_security_policy, failure, page, words,
};
use crate::interaction::url::decode_path;
use crate::limits::Limits;
use crate::search::searchset::percent_encode;

/// The path of the page.
const PATH: &str = "/identity/review";
/// How the page is called in the log and in the metrics.
const NAME: &str = "review";
/// The cookie with the name of who decides, for as long as the browser runs.
const AGENT_COOKIE: &str = "lanterna-agent";

/// Adds the page.
pub(super) fn at(app: &mut web::ServiceConfig) {
    let page = web::resource(PATH)
        .route(web::get().to(show))
        .route(web::head().to(show))
        .route(web::post().to(decide))
        .default_service(web::to(other_method));
    app.service(page);
}

async fn other_method() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD, POST")).finish()
}

/// Shows a page of the list.
async fn show(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    let exchange = Exchange::begin(&shared, &request);
    let answered = exchange.shown().await;
    exchange.answer(answered.map(|page| HttpResponse::Ok().body(page)))
}

/// Does what a form says, and leads back to the list.
async fn decide(shared: Data<Shared>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let exchange = Exchange::begin(&shared, &request);
    let answered = exchange.decided(payload).await;
    exchange.answer(answered)
}

struct Exchange<'r> {
    shared: &'r Shared,
    request: &'r HttpRequest,
    caller: Caller,
    words: &'static Words,
    begin: Instant,
    _in_flight: crate::metrics::InFlight<'r>,
}

impl<'r> Exchange<'r> {
    fn begin(shared: &'r Shared, request: &'r HttpRequest) -> Exchange<'r> {
        Exchange {
            shared,
            request,
            caller: caller(shared, request),
            words: words(language(request.headers())),
            begin: Instant::now(),
            _in_flight: shared.metrics.begin(),
        }
    }

    fn listed(&self) -> Result<Listed, Issue> {
        let (uri, limits) = (self.request.uri(), &self.shared.settings.limits);
        query::check_length(uri.path().len() + uri.query().map_or(0, str::len), limits)?;
        Ok(Listed::of(&query::parameters(uri.query().unwrap_or(""), limits)?))
    }

    /// Performs what REST would perform for the same caller.
    async fn perform(&self, interaction: Interaction) -> Result<Value, Issue> {
        let performed = self.shared.gateway.interact(&*self.shared.api, &self.caller, interaction).await?;
        let json = match &performed.body {
            Body::Json(json) => serde_json::from_slice(json).ok(),
            Body::Empty => None,
        };
        json.ok_or_else(|| Issue::fatal(IssueType::Exception).text("an unexpected error"))
    }

    async fn shown(&self) -> Result<String, Issue> {
        let listed = self.listed()?;
        let _permit = self.shared.admission.enter().await?;
        let found = self.perform(listed.search()).await?;
        let agent = agent(self.request.headers());
        Ok(page(&Seen {
            listed: &listed,
            found: &found,
            base: &self.caller.base,
            domains: &self.shared.settings.gateway.domains,
            agent: &agent,
            words: self.words,
        }))
    }

    async fn decided(&self, payload: Payload) -> Result<HttpResponse, Issue> {
        let listed = self.listed()?;
        if !self.is_of_this_page() {
            let text = "a decision is taken from the page itself; other programs call `Patient/$link`";
            return Err(Issue::error(IssueType::Forbidden).because(Reason::Forbidden).text(text));
        }
        let Shared { settings, budget, heavy, .. } = self.shared;
        let limits = Limits {
            body_bytes_max: settings.limits.body_bytes_max.min(DECISION_FORM_BYTES_MAX),
            ..settings.limits.clone()
        };
        let headers = self.request.headers();
        let taken = body::take(payload, headers, &limits, budget, heavy).await?;
        request::check_form(header(headers, CONTENT_TYPE.as_str()), &taken.bytes)?;
        let answered = Answered::of(&query::form(&taken.bytes, &limits)?)?;
        let _permit = self.shared.admission.enter().await?;
        let task = self.perform(answered.read()).await?;
        self.perform(answered.interaction(task, &Timestamp::now().to_string())?).await?;
        let mut cookie = format!("{AGENT_COOKIE}=");
        percent_encode(&mut cookie, &answered.agent);
        cookie.push_str("; HttpOnly; SameSite=Strict");
        if self.caller.base.starts_with("https:") {
            cookie.push_str("; Secure");
        }
        Ok(HttpResponse::SeeOther()
            .insert_header((LOCATION, listed.after(answered.name())))
            .insert_header((SET_COOKIE, cookie))
            .finish())
    }

    /// Tells whether a form was sent by this page, as browsers tell it.
    fn is_of_this_page(&self) -> bool {
        let headers = self.request.headers();
        match header(headers, "sec-fetch-site") {
            "" => {
                let base = base(self.shared, self.request);
                let origin = header(headers, ORIGIN.as_str());
                !origin.is_empty() && base.strip_prefix(origin).is_some_and(|path| path.starts_with('/'))
            }
            site => site == "same-origin",
        }
    }

    /// Gives an answer what every page has, and tells log and metrics of it.
    fn answer(&self, answered: Result<HttpResponse, Issue>) -> HttpResponse {
        let mut response = answered.unwrap_or_else(|issue| {
            let listed = self.listed().unwrap_or_default();
            let status = StatusCode::from_u16(outcome::status(&issue));
            let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            if let Some(seconds) = issue.retry_after_seconds {
                response.insert_header((RETRY_AFTER, seconds.to_string()));
            }
            response.body(failure(self.words, &issue, &listed))
        });
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, content_security_policy()),
            // Of another origin nobody is told anything; of this one, where a form comes from.
            (REFERRER_POLICY, "same-origin"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (VARY, "Accept-Language, Cookie"),
        ] {
            response.headers_mut().insert(name, actix_web::http::header::HeaderValue::from_static(value));
        }
        let (status, took) = (response.status().as_u16(), self.begin.elapsed());
        self.shared.metrics.end(NAME, status, took);
        tracing::info!(
            request = self.caller.request_id,
            method = self.request.method().as_str(),
            interaction = NAME,
            status,
            ms = took.as_micros() as f64 / 1000.0,
            "answered"
        );
        response
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Returns the language that a browser likes most of those that there are.
fn language(headers: &HeaderMap) -> Language {
    let mut liked = (Language::English, 0.0);
    for range in header(headers, ACCEPT_LANGUAGE.as_str()).split(',') {
        let mut parts = range.trim().split(';');
        let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.trim().strip_prefix("q=")?.trim().parse::<f32>().ok());
        let quality = quality.unwrap_or(1.0);
        let language = match tag.split('-').next() {
            Some("it") => Language::Italian,
            Some("en") => Language::English,
            _ => continue,
        };
        if quality > liked.1 {
            liked = (language, quality);
        }
    }
    liked.0
}

/// Returns the name that a browser was told to keep.
fn agent(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok());
    let mut all =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let kept = all.find(|(name, _)| *name == AGENT_COOKIE);
    kept.and_then(|(_, value)| decode_path(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers
            .insert(actix_web::http::header::HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_language_that_is_liked_most() {
        for (liked, expected) in [
            ("it", Language::Italian),
            ("it-IT,it;q=0.9,en;q=0.8", Language::Italian),
            ("en-GB,it;q=0.9", Language::English),
            ("de, it;q=0.3, en;q=0.1", Language::Italian),
            ("it;q=0", Language::English),
            ("de", Language::English),
            ("", Language::English),
            (";;q=,it;q=x", Language::Italian),
        ] {
            assert_eq!(language(&headers("accept-language", liked)), expected, "{liked}");
        }
    }

    #[test]
    fn the_name_that_is_kept() {
        assert_eq!(agent(&headers("cookie", "a=b; lanterna-agent=Anna%20Bo%27; c=d")), "Anna Bo'");
        assert_eq!(agent(&headers("cookie", "lanterna-agent=%zz")), "");
        assert_eq!(agent(&HeaderMap::new()), "");
    }
}

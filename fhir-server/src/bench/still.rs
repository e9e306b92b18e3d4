//! The HTTP stack without a FHIR server behind it: finished answers, headers
//! and all, served from memory. As set up as the server in `rest/server.rs`,
//! with one handler that looks the path up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use bytes::Bytes;

use super::client::Answer;
use super::error::BenchError;
use crate::limits::Limits;

/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// A finished answer.
pub(super) struct Page {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Page {
    /// Keeps an answer. The HTTP stack writes length and date itself.
    pub(super) fn of(answer: &Answer<'_>) -> Page {
        let headers = answer.headers().filter_map(|(name, value)| {
            let by_stack = ["content-length", "date"].iter().any(|own| name.eq_ignore_ascii_case(own));
            let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| !by_stack)?;
            Some((name, HeaderValue::from_str(value).ok()?))
        });
        Page { headers: headers.collect(), body: Bytes::copy_from_slice(answer.body) }
    }
}

/// Answers by path.
pub(super) type Pages = HashMap<String, Page>;

/// A server from memory; it ends when dropped.
pub(super) struct StillServer {
    /// Where it listens.
    pub(super) address: SocketAddr,
    ends: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StillServer {
    /// Serves pages on as many threads as there are cores.
    ///
    /// # Errors
    /// When no socket can be listened on.
    pub(super) fn start(pages: Pages) -> Result<StillServer, BenchError> {
        let (ends, asked_to_end) = tokio::sync::oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let told = sender.clone();
            let result = actix_web::rt::System::new().block_on(serve(
                Data::new(pages),
                asked_to_end,
                move |address| {
                    let _ = told.send(Ok(address));
                },
            ));
            if let Err(error) = result {
                let _ = sender.send(Err(error));
            }
        });
        let address = receiver
            .recv_timeout(START_MAX)
            .map_err(|_| BenchError::Start("the one from memory".to_owned()))?
            .map_err(BenchError::io("starting the server from memory"))?;
        Ok(StillServer { address, ends: Some(ends), thread: Some(thread) })
    }
}

impl Drop for StillServer {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    pages: Data<Pages>,
    asked_to_end: tokio::sync::oneshot::Receiver<()>,
    started: impl FnOnce(SocketAddr),
) -> std::io::Result<()> {
    let limits = Limits::default();
    let server = HttpServer::new(move || App::new().app_data(pages.clone()).default_service(web::to(still)))
        .workers(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
        .max_connections(limits.connections_max)
        .client_request_timeout(Duration::from_secs(limits.head_seconds_max))
        .keep_alive(Duration::from_secs(limits.idle_seconds_max))
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
    if let Some(address) = server.addrs().first() {
        started(*address);
    }
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(async move {
        // The sender is dropped when the server is.
        let _ = asked_to_end.await;
        handle.stop(false).await;
    });
    running.await
}

async fn still(request: HttpRequest, pages: Data<Pages>) -> HttpResponse {
    let Some(page) = pages.get(request.path()) else { return HttpResponse::NotFound().finish() };
    let mut answer = HttpResponse::Ok();
    for header in &page.headers {
        answer.insert_header(header.clone());
    }
    answer.body(page.body.clone())
}

//! A server over an API that only records.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use fhir_model::interaction::{
    Body, Caller, Content, FhirApi, Interaction, Performed, ResourceKey, Status, VersionId,
};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;
use fhir_server::health::Readiness;
use fhir_server::limits::Limits;
use fhir_server::metrics::{Number, Numbers};
use fhir_server::rest::server::{Served, ServerSettings, serve};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ihe_adapters::documents::{Documents, Upload};

/// The time of all versions here.
pub(crate) const UPDATED: Instant = Instant(1_795_439_144_999_999);

/// Records interactions; the id of the resource says how they end.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) seen: Mutex<Vec<String>>,
}

impl Recorder {
    /// Returns what was asked last, and forgets all.
    pub(crate) fn take(&self) -> Option<String> {
        std::mem::take(&mut *self.seen.lock().expect("lock")).pop()
    }
}

fn key(resource_type: &str, id: &str) -> ResourceKey {
    ResourceKey {
        resource_type: TypeId::named(resource_type).expect("a type"),
        id: ResourceId::parse(id).expect("an id"),
    }
}

fn shown(key: ResourceKey, status: Status, body: Body) -> Performed {
    Performed {
        status,
        body,
        content: None,
        key: Some(key),
        version: Some(VersionId(3)),
        updated: Some(UPDATED),
        changed: Vec::new(),
        issues: Vec::new(),
        repeated: None,
    }
}

fn patient(id: &str) -> Body {
    Body::Json(
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}},"active":true,"birthDate":"1970-01-01"}}"#
        )
        .into(),
    )
}

/// `aGVsbG8=` is `hello`.
fn binary(id: &str, content_type: &str) -> Body {
    Body::Json(
        format!(
            r#"{{"resourceType":"Binary","id":"{id}","contentType":"{content_type}","securityContext":{{"reference":"Patient/1"}},"data":"aGVsbG8="}}"#
        )
        .into(),
    )
}

fn read(key: ResourceKey) -> Result<Performed, Issue> {
    let body = match (key.resource_type.name(), key.id.as_str()) {
        ("Binary", "json") => binary("json", "application/json"),
        ("Binary", "html") => binary("html", "text/html"),
        ("Binary", "odd") => binary("odd", "a\\nb: c"),
        ("Binary", id) => binary(id, "application/pdf"),
        (_, "gone") => return Err(Issue::error(IssueType::Deleted).text("deleted")),
        (_, "missing") => return Err(Issue::error(IssueType::NotFound).text("missing")),
        (_, "full") => return Err(Issue::error(IssueType::NoStore).because(Reason::InsufficientStorage)),
        (_, "panic") => panic!("on purpose"),
        (_, "large") => {
            let family = "x".repeat(400_000);
            Body::Json(
                format!(r#"{{"resourceType":"Patient","id":"large","name":[{{"family":"{family}"}}]}}"#)
                    .into(),
            )
        }
        (_, "huge") => {
            let family = "x".repeat(30 << 20);
            Body::Json(
                format!(r#"{{"resourceType":"Patient","id":"huge","name":[{{"family":"{family}"}}]}}"#)
                    .into(),
            )
        }
        (_, id) => patient(id),
    };
    Ok(shown(key, Status::Ok, body))
}

impl FhirApi for Recorder {
    fn perform<'a>(
        &'a self,
        caller: &'a Caller,
        interaction: Interaction,
    ) -> BoxFuture<'a, Result<Performed, Issue>> {
        assert!(!caller.request_id.is_empty());
        self.seen.lock().expect("lock").push(format!("{interaction:?}"));
        async move {
            match interaction {
                Interaction::Read(request) if request.key.id.as_str() == "slow" => {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    read(request.key)
                }
                Interaction::Read(request) if request.if_none_match == Some(VersionId(3)) => {
                    Ok(shown(request.key, Status::NotModified, Body::Empty))
                }
                Interaction::Read(request) => read(request.key),
                Interaction::Vread(request) => read(request.key),
                Interaction::Create(request) => {
                    let key = key(request.resource_type.name(), "new");
                    Ok(shown(key, Status::Created, patient("new")))
                }
                Interaction::Update(request) => {
                    Ok(shown(key(request.resource_type.name(), "1"), Status::Ok, patient("1")))
                }
                Interaction::Patch(request) => {
                    Ok(shown(key(request.resource_type.name(), "1"), Status::Ok, patient("1")))
                }
                Interaction::Delete(request) => {
                    Ok(shown(key(request.resource_type.name(), "1"), Status::NoContent, Body::Empty))
                }
                Interaction::Search(_) | Interaction::History(_) | Interaction::Bundle(_) => {
                    Ok(Performed::json(
                        r#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","id":"1","active":true,"birthDate":"1970-01-01"}}]}"#,
                    ))
                }
                Interaction::Operation(_) => Ok(Performed::json(r#"{"resourceType":"Parameters"}"#)),
                Interaction::Capabilities => Ok(Performed::json(r#"{"resourceType":"CapabilityStatement"}"#)),
            }
        }
        .boxed()
    }
}

/// A part that is ready or not, as it is told.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) is_unfit: std::sync::atomic::AtomicBool,
}

impl Readiness for Part {
    fn name(&self) -> &'static str {
        "part"
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Issue>> {
        let is_unfit = self.is_unfit.load(std::sync::atomic::Ordering::Relaxed);
        let result = if is_unfit { Err(Issue::error(IssueType::NoStore).text("disk full")) } else { Ok(()) };
        std::future::ready(result).boxed()
    }
}

impl Numbers for Part {
    fn numbers(&self) -> Vec<Number> {
        vec![Number { name: "part_total", kind: "counter", value: 7.0 }]
    }
}

pub(crate) fn served(recorder: &Arc<Recorder>, part: &Arc<Part>) -> Served {
    let documents = Arc::new(NoDocuments);
    Served {
        api: recorder.clone(),
        unrecorded: recorder.clone(),
        documents,
        readiness: vec![part.clone()],
        numbers: vec![part.clone()],
        clock: None,
    }
}

pub(crate) fn settings(listen: SocketAddr, limits: Limits) -> ServerSettings {
    ServerSettings {
        listen,
        public_base: None,
        tls: None,
        workers: 2,
        limits,
        cors_origins: vec!["https://app.example".to_owned()],
        gateway: ihe_adapters::gateway::Settings::default(),
        peers: fhir_server::peers::client(&fhir_server::config::PeersFile::default()).expect("a client"),
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) part: Arc<Part>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    /// Starts a server with the limits of a test.
    pub(crate) fn start(limits: Limits) -> Running {
        let recorder = Arc::new(Recorder::default());
        let part = Arc::new(Part::default());
        let served = served(&recorder, &part);
        let settings = settings(SocketAddr::from(([127, 0, 0, 1], 0)), limits);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let asked_to_end = async move {
                let _ = stopped.await;
            };
            let started = move |addresses: &[SocketAddr]| sender.send(addresses[0]).expect("sent");
            actix_web::rt::System::new().block_on(serve(served, settings, asked_to_end, started))
        });
        let address = receiver.recv_timeout(Duration::from_secs(20)).expect("started");
        Running { address, recorder, part, stop: Some(stop), thread: Some(thread) }
    }

    /// Asks the server to end.
    pub(crate) fn ask_to_end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits for the end.
    pub(crate) fn join(&mut self) -> std::io::Result<()> {
        self.thread.take().expect("running").join().expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Has no document at all.
struct NoDocuments;

impl Documents for NoDocuments {
    fn begin(&self) -> std::io::Result<Box<dyn Upload>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn open(&self, _: &Content) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

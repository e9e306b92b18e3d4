//! `lanterna serve`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fhir_model::interaction::FhirApi;
use fhir_model::outcome::Issue;
use ihe_adapters::gateway::patient_feed::PatientFeed;
use ihe_adapters::gateway::{self, Gateway};
use ihe_adapters::italy::ana::practitioner::Choices;
use ihe_adapters::outbox::Destination;
use ihe_adapters::xua::Trust;

use crate::alignment::Alignment;
use crate::audit::{AuditFeed, AuditStatistics};
use crate::config::{ServeArguments, Settings};
use crate::documents::{self, DocumentStore, SWEPT_AFTER};
use crate::feed::Waker;
use crate::health::Readiness;
use crate::interaction::Server;
use crate::interaction::recording::Recording;
use crate::metrics::Numbers;
use crate::mllp::Listener;
use crate::mllp::settings::MllpSettings;
use crate::outbox::{Outbox, OutboxStatistics, orders};
use crate::peers;
use crate::rest::server::{self, Served, ServerSettings};
use crate::shutdown;
use crate::storage::{Store, is_content};
use crate::subscribers::settings::Telling;
use crate::subscription::{self, Broker, NotificationStatistics};

/// How often documents are looked through that nothing refers to.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Serves until it is asked to end.
///
/// # Errors
/// When the data cannot be opened or the address not be listened on.
pub fn serve(
    settings: &Settings,
    arguments: &ServeArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let serve = settings.serve(arguments)?;
    let scheme = if serve.tls.is_some() { "https" } else { "http" };
    let mut bases = vec![format!("{scheme}://{}/fhir", serve.listen)];
    bases.push(format!("{scheme}://localhost:{}/fhir", serve.listen.port()));
    bases.extend(settings.base.clone());
    let (store, api) = super::open(settings, bases)?;
    let doors = gateway::Settings::default();
    let home_community_id = made_once(&store, "home_community_id", serve.xds.home_community_id)?;
    let server_settings = ServerSettings {
        peers: peers::client(&serve.peers)?,
        listen: serve.listen,
        public_base: settings.base.clone(),
        tls: serve.tls,
        workers: serve.workers,
        limits: settings.limits.clone(),
        cors_origins: serve.cors_origins,
        gateway: gateway::Settings {
            repository_unique_id: made_once(&store, "repository_unique_id", serve.xds.repository_unique_id)?,
            recorder: serve.recorder.clone(),
            images: serve.images,
            trust: serve.trust.map(|trust| with_home(trust, &home_community_id)),
            home_community_id,
            affinity_domain: serve.xds.affinity_domain,
            domains: serve.domains.clone(),
            may_unmerge: serve.may_unmerge,
            messages: serve.messages,
            code_lists: serve.code_lists,
            schemas: serve.schemas,
            communities: serve.communities,
            callbacks: serve.callbacks,
            answer_seconds_max: serve.peers.answer_seconds_max.unwrap_or(doors.answer_seconds_max),
            ..doors
        },
    };
    let data = settings.data.display().to_string();
    let started = move |addresses: &[std::net::SocketAddr]| {
        for address in addresses {
            eprintln!("lanterna serves FHIR R4 at {scheme}://{address}/fhir, data in {data}");
        }
    };
    let api = Arc::new(api);
    // The data are open, which keeps other processes away from the folder.
    let documents = documents::settings::open(
        serve.documents.as_ref(),
        settings.data.join("documents"),
        made_once(&store, "documents_owner", None)?,
        peers::client(&serve.peers)?,
    )?;
    let (sweeping, swept) = (Arc::clone(&store), Arc::clone(&documents));
    let mut numbers: Vec<Arc<dyn Numbers>> = vec![store.clone(), api.clone()];
    let mut feed = None;
    if let Some(repository) = serve.audit_repository {
        let statistics = Arc::new(AuditStatistics::default());
        numbers.push(statistics.clone());
        let tls = Arc::new(peers::tls(&serve.peers)?);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (api, store) = (api.clone(), store.clone());
        feed = Some(AuditFeed { api, store, repository, tls, host: host.trim().to_owned(), statistics });
    }
    let (gateway_settings, client) = (server_settings.gateway.clone(), server_settings.peers.clone());
    let base = settings.base.clone().unwrap_or_else(|| format!("{scheme}://{}/fhir", serve.listen));
    let doors = Gateway::new(api.clone(), documents.clone(), gateway_settings, client);
    let listener = serve.mllp.map(listen_for_messages).transpose()?;
    let waker = Waker::of(subscription::TYPES);
    let notifications = Arc::new(NotificationStatistics::default());
    numbers.push(notifications.clone());
    let broker = Broker {
        gateway: doors.clone(),
        store: store.clone(),
        base: base.clone(),
        waker: waker.clone(),
        statistics: notifications,
    };
    store.observe(Box::new(move |effects| waker.committed(effects)));
    let outgoing = Arc::new(OutboxStatistics::default());
    numbers.push(outgoing.clone());
    let (base, domains) = (broker.base.clone(), serve.domains);
    let mut destinations: Vec<Arc<dyn Destination>> = Vec::new();
    let telling = Telling {
        api: api.clone(),
        base: base.clone(),
        gateway: doors.clone(),
        recorder: serve.recorder.clone(),
        domains: domains.clone(),
        tls: Arc::new(peers::tls(&serve.peers)?),
    };
    destinations.push(Arc::new(PatientFeed::new(doors.clone(), &base)));
    destinations.extend(serve.subscribers.into_iter().map(|subscriber| subscriber.connect(&telling)));
    let ana = serve.ana.map(|ana| {
        let known = (serve.recorder.clone(), domains);
        let (at, every, questions_per_second) =
            (ana.align_at, ana.variations_every, ana.questions_per_second);
        let ana = Arc::new(ana.connect(api.clone(), base.clone(), known));
        let alignment = Alignment { store: store.clone(), ana: ana.clone(), questions_per_second };
        (ana, Arc::new(alignment), at, every)
    });
    let choices = ana.iter().map(|(ana, ..)| Arc::new(Choices { ana: ana.clone() }) as Arc<dyn Destination>);
    let outbox = Outbox {
        store: store.clone(),
        destinations: destinations.into_iter().chain(choices).collect(),
        patience: serve.patience,
        orders: settings.data.join(orders::OUTBOX.folder),
        statistics: outgoing,
    };
    if let Some(clock) = &serve.clock {
        numbers.push(clock.clone());
    }
    let clock = serve.clock.clone();
    let recorded: Arc<dyn FhirApi> = match serve.recorder {
        Some(recorder) => Arc::new(api.recorded(Recording::new(recorder, serve.recorded))),
        None => api.clone(),
    };
    let readiness: Vec<Arc<dyn Readiness>> = vec![store.clone()];
    let served =
        Served { api: recorded, unrecorded: api.clone(), documents, readiness, numbers, clock: serve.clock };
    let (listen, key_days) = (serve.listen, settings.limits.key_days);
    let publishing = Server::clone(&api);
    let drain = Duration::from_secs(settings.limits.drain_seconds_max);
    let set_aside = (store.clone(), settings.data.join(orders::INBOX.folder));
    let messages = doors.with_inbox(store);
    let listening = listener.map(|listener| listener.start(messages, base, drain)).transpose()?;
    let serving = async move {
        tokio::spawn(publishing.clone().keep_keys_forgotten(key_days));
        tokio::spawn(publishing.keep_packages_published());
        tokio::spawn(keep_documents_swept(sweeping, swept));
        tokio::task::spawn_local(broker.keep_telling());
        outbox.start();
        let (store, folder) = set_aside;
        tokio::spawn(orders::keep_following(store, orders::INBOX, folder, Vec::new()));
        if let Some((_, alignment, at, every)) = ana {
            tokio::task::spawn_local(alignment.clone().keep_taking_variations(every));
            at.map(|at| tokio::task::spawn_local(alignment.keep_aligning(at)));
        }
        clock.map(|clock| tokio::spawn(async move { clock.keep_asking().await }));
        feed.map(|feed| tokio::task::spawn_local(feed.keep_sending()));
        server::serve(served, server_settings, shutdown::asked_to_end(), started).await
    };
    actix_web::rt::System::new()
        .block_on(serving)
        .map_err(|error| not_listening(&error, listen, "--listen"))?;
    // Messages that are being performed end as well.
    for thread in listening.into_iter().flatten() {
        let _ = thread.join();
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the socket for HL7 v2, and tells where it is.
fn listen_for_messages(settings: MllpSettings) -> Result<Listener, String> {
    let (listen, is_secure) = (settings.listen, settings.tls.is_some());
    let failed = |error: std::io::Error| {
        format!("HL7 v2: {}, or none with --mllp off", not_listening(&error, listen, "--mllp"))
    };
    let listener = Listener::bind(settings).map_err(failed)?;
    let address = listener.address().map_err(failed)?;
    let how = if is_secure { "MLLP over TLS" } else { "MLLP" };
    eprintln!("lanterna takes HL7 v2 by {how} at {address}");
    Ok(listener)
}

/// Says why an address cannot be listened on, and what to do.
fn not_listening(error: &std::io::Error, listen: std::net::SocketAddr, flag: &str) -> String {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("it is in use: stop what listens there, or choose another with {flag}")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("not allowed: ports below 1024 are the system's, choose another with {flag}")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 0.0.0.0 stands for all it has".to_owned()
        }
        _ => error.to_string(),
    };
    format!("cannot listen on {listen}: {advice}")
}

/// Sweeps out documents that nothing refers to, for as long as it is let.
async fn keep_documents_swept(store: Arc<Store>, documents: Arc<dyn DocumentStore>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let (store, documents) = (Arc::clone(&store), Arc::clone(&documents));
        let sweep = move || {
            let mut reader = store.reader()?;
            documents.sweep(SWEPT_AFTER, &mut |sha256| Ok(is_content(&mut reader, sha256)?))
        };
        match tokio::task::spawn_blocking(sweep).await {
            Ok(Ok(0)) => {}
            Ok(Ok(swept)) => tracing::info!(swept, "documents that nothing refers to were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "documents could not be looked through"),
            Err(failure) => tracing::error!(panic = failure.is_panic(), "the sweep of documents failed"),
        }
    }
}

/// What is for the community is for its server.
fn with_home(mut trust: Trust, home_community_id: &str) -> Trust {
    trust.audiences.push(format!("urn:oid:{home_community_id}"));
    trust
}

/// Returns an OID by which others know this data: the one that is set, or one that
/// was made for it and stays with it.
fn made_once(store: &Store, name: &'static str, set: Option<String>) -> Result<String, Issue> {
    if let Some(set) = set {
        return Ok(set);
    }
    store.write_blocking(move |unit| {
        if let Some(kept) = unit.setting(name)? {
            return Ok(kept);
        }
        // A UUID as an OID, by ITU-T X.667.
        let made = format!("2.25.{}", uuid::Uuid::new_v4().as_u128());
        unit.set(name, &made)?;
        Ok(made)
    })
}

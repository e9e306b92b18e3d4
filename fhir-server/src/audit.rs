//! AuditEvents on their way to an audit repository: as DICOM audit messages by
//! syslog, in the order in which they were stored.
//!
//! What waits to be sent is the AuditEvents themselves, and how far it has come
//! is a note beside them: nothing is lost while the repository is away, or when
//! the process ends. Syslog acknowledges nothing: what was on the wire when a
//! connection broke may be lost or come twice.
//!
//! Spec: ITI TF-2 3.20.4.1, RFC 5425, RFC 5426

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fhir_model::interaction::{Caller, FhirApi};
use fhir_model::outcome::Issue;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use ihe_adapters::atna::dicom::audit_message;
use ihe_adapters::atna::syslog::{framed, message};
use ihe_adapters::fhir_client::{Fhir, Found};
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use crate::feed::Pause;
use crate::metrics::{Number, Numbers};
use crate::storage::Store;

/// How often is looked whether there is something to send.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure it is tried again after so long, and longer each time.
const RETRY: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// How long a connection may take, and a message.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many events are taken at a time.
const AT_ONCE: usize = 200;
/// How many events of one moment there may be.
const OF_A_MOMENT_MAX: usize = 100_000;
/// The setting that says how far it has come: a time, and the ids of its events that were sent.
const SENT: &str = "audit_sent";

/// How messages are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TLS (RFC 5425).
    Tls,
    /// TCP with octet counting (RFC 6587).
    Tcp,
    /// UDP (RFC 5426).
    Udp,
}

/// Where AuditEvents are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRepository {
    /// How.
    pub transport: Transport,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl AuditRepository {
    /// Reads an address such as `tls://host:6514`.
    pub fn parse(address: &str) -> Option<AuditRepository> {
        let (scheme, rest) = address.split_once("://")?;
        let (transport, default) = match scheme {
            "tls" => (Transport::Tls, 6514),
            "tcp" => (Transport::Tcp, 601),
            "udp" => (Transport::Udp, 514),
            _ => return None,
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (rest, default),
        };
        let host = host.trim_matches(['[', ']']);
        let is_host = !host.is_empty() && !host.contains(['/', '@', '?', ' ']);
        is_host.then(|| AuditRepository { transport, host: host.to_owned(), port })
    }
}

/// How many were sent.
#[derive(Debug, Default)]
pub struct AuditStatistics {
    sent: AtomicU64,
    failures: AtomicU64,
}

impl Numbers for AuditStatistics {
    fn numbers(&self) -> Vec<Number> {
        let counter = |name, value: &AtomicU64| Number {
            name,
            kind: "counter",
            value: value.load(Ordering::Relaxed) as f64,
        };
        vec![
            counter("lanterna_audit_sent_total", &self.sent),
            counter("lanterna_audit_failures_total", &self.failures),
        ]
    }
}

/// Sends what is recorded.
pub struct AuditFeed {
    /// Has the AuditEvents.
    pub api: Arc<dyn FhirApi>,
    /// Has the note of how far it has come.
    pub store: Arc<Store>,
    /// Where they go.
    pub repository: AuditRepository,
    /// How this server shows itself.
    pub tls: Arc<ClientConfig>,
    /// What this machine is called.
    pub host: String,
    /// How many were sent.
    pub statistics: Arc<AuditStatistics>,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sent {
    /// The time of the last event that was sent; empty for none.
    at: String,
    /// The ids of the events of that time that were sent.
    ids: Vec<String>,
}

impl Sent {
    fn parse(text: &str) -> Sent {
        let mut parts = text.split(' ').map(str::to_owned);
        Sent { at: parts.next().unwrap_or_default(), ids: parts.collect() }
    }

    fn to_text(&self) -> String {
        std::iter::once(&self.at).chain(&self.ids).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn add(&mut self, at: &str, id: &str) {
        if self.at != at {
            *self = Sent { at: at.to_owned(), ids: Vec::new() };
        }
        self.ids.push(id.to_owned());
    }
}

impl AuditFeed {
    /// Sends what is recorded, and what will be, for as long as it is let.
    pub async fn keep_sending(self) {
        let mut connection: Option<Connection> = None;
        let mut failures = 0;
        loop {
            match self.send_all(&mut connection).await {
                Ok(()) => {
                    failures = 0;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(why) => {
                    connection = None;
                    self.statistics.failures.fetch_add(1, Ordering::Relaxed);
                    failures += 1;
                    let pause = RETRY.jittered(failures);
                    let (host, seconds) = (&self.repository.host, pause.as_secs());
                    tracing::warn!(%why, host, seconds, "the audit repository is not reached; it is tried again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Sends all that is there.
    async fn send_all(&self, connection: &mut Option<Connection>) -> Result<(), String> {
        let told = |issue: Issue| issue.diagnostics.clone();
        let noted = self.store.write(|unit| Ok(unit.setting(SENT)?)).await.map_err(told)?;
        let mut sent = noted.as_deref().map(Sent::parse).unwrap_or_default();
        loop {
            let events = self.next(&sent).await.map_err(told)?;
            if events.is_empty() {
                return Ok(());
            }
            if let Some(open) = connection.as_mut()
                && open.has_ended().await
            {
                *connection = None;
            }
            let open = match &mut *connection {
                Some(open) => open,
                none => none.insert(self.connect().await.map_err(|error| error.to_string())?),
            };
            let count = events.len() as u64;
            for (at, id, event) in &events {
                let message = message(Timestamp::now(), &self.host, &audit_message(event));
                open.send(&message).await.map_err(|error| error.to_string())?;
                sent.add(at, id);
            }
            open.flush().await.map_err(|error| error.to_string())?;
            let note = sent.to_text();
            self.store.write(move |unit| Ok(unit.set(SENT, &note)?)).await.map_err(told)?;
            self.statistics.sent.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Returns the events that come next: time, id, event.
    async fn next(&self, sent: &Sent) -> Result<Vec<(String, String, Resource)>, Issue> {
        let caller = Caller::new("audit", "");
        let fhir = Fhir { api: &*self.api, caller: &caller };
        let (since, count) = (format!("ge{}", sent.at), AT_ONCE.to_string());
        let mut parameters = vec![("_sort", "_lastUpdated"), ("_count", count.as_str())];
        if !sent.at.is_empty() {
            parameters.push(("_lastUpdated", &since));
        }
        let is_new = |event: Found| {
            let meta = event.root().child(name::META);
            let at = meta.and_then(|meta| meta.text_of(name::LAST_UPDATED)).unwrap_or_default().to_owned();
            let id = event.id().unwrap_or_default().to_owned();
            let is_sent = at == sent.at && sent.ids.contains(&id);
            (!is_sent).then(|| (at, id, event.to_resource()))
        };
        let page = fhir.first_page(ty::AUDIT_EVENT, &parameters).await?;
        let is_full = page.len() == AT_ONCE;
        let new: Vec<_> = page.into_iter().filter_map(is_new).collect();
        if !new.is_empty() || !is_full {
            return Ok(new);
        }
        // More of one moment than a page has: all of them, and some of those after it.
        let of_moment = [("_lastUpdated", sent.at.as_str())];
        let mut all = fhir.search(ty::AUDIT_EVENT, &of_moment, OF_A_MOMENT_MAX).await?;
        let after = format!("gt{}", sent.at);
        parameters.pop();
        parameters.push(("_lastUpdated", &after));
        all.extend(fhir.first_page(ty::AUDIT_EVENT, &parameters).await?);
        Ok(all.into_iter().filter_map(is_new).collect())
    }

    async fn connect(&self) -> io::Result<Connection> {
        let AuditRepository { transport, host, port } = &self.repository;
        let to = (host.as_str(), *port);
        let connecting = async {
            Ok(match transport {
                Transport::Udp => {
                    let socket = UdpSocket::bind("[::]:0").await;
                    let socket = match socket {
                        Ok(socket) => socket,
                        Err(_) => UdpSocket::bind("0.0.0.0:0").await?,
                    };
                    socket.connect(to).await?;
                    Connection::Datagrams(socket)
                }
                Transport::Tcp => Connection::Stream(Box::new(TcpStream::connect(to).await?)),
                Transport::Tls => {
                    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                    let stream = TcpStream::connect(to).await?;
                    let connector = TlsConnector::from(Arc::clone(&self.tls));
                    Connection::Stream(Box::new(connector.connect(name, stream).await?))
                }
            })
        };
        within(connecting).await
    }
}

/// Waits, but not for ever.
async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A way to the repository.
enum Connection {
    Stream(Box<dyn Duplex>),
    Datagrams(UdpSocket),
}

impl Connection {
    /// Tells whether the other side has ended it: it says nothing else.
    async fn has_ended(&mut self) -> bool {
        let Connection::Stream(stream) = self else { return false };
        let mut buffer = [0; 64];
        tokio::time::timeout(Duration::from_millis(1), stream.read(&mut buffer)).await.is_ok()
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Connection::Stream(stream) => within(stream.write_all(&framed(message))).await,
            Connection::Datagrams(socket) => within(socket.send(message)).await.map(drop),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Connection::Stream(stream) => within(stream.flush()).await,
            Connection::Datagrams(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read() {
        let repository =
            |transport, host: &str, port| Some(AuditRepository { transport, host: host.to_owned(), port });
        for (text, expected) in [
            ("tls://audit.example:6515", repository(Transport::Tls, "audit.example", 6515)),
            ("tls://audit.example", repository(Transport::Tls, "audit.example", 6514)),
            ("udp://[::1]:514/", repository(Transport::Udp, "::1", 514)),
            ("tcp://[::1]", repository(Transport::Tcp, "::1", 601)),
            ("http://a", None),
            ("tls://", None),
            ("tls://a:b", None),
            ("a:6514", None),
        ] {
            assert_eq!(AuditRepository::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_note_says_how_far_it_has_come() {
        let mut sent = Sent::parse("");
        for (at, id) in [("t1", "a"), ("t1", "b"), ("t2", "c")] {
            sent.add(at, id);
            assert_eq!(Sent::parse(&sent.to_text()), sent);
        }
        assert_eq!(sent, Sent { at: "t2".to_owned(), ids: vec!["c".to_owned()] });
    }
}

//! The MLLP listener: HL7 v2 messages on connections of their own.
//!
//! The messages of a connection are answered in their order, one at a time. A
//! frame that is malformed is refused, and the next one found. It runs on
//! threads of its own, so that neither wire waits for the other.
//!
//! Spec: HL7 v2 Implementation Guide, Minimal Lower Layer Protocol, release 1; ITI TF-2 3.19

pub mod settings;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use fhir_model::interaction::{Caller, Node};
use futures_util::FutureExt;
use ihe_adapters::atna::node::node;
use ihe_adapters::gateway::Gateway;
use ihe_adapters::wire::mllp::{Deframer, Framed, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::shutdown;
use settings::MllpSettings;

/// How many bytes are read at a time.
const READ_BYTES: usize = 64 << 10;
/// Seconds in which a client must show itself, and take an answer.
const PEER: Duration = Duration::from_secs(30);
/// How often what was taken over and is not performed is tried.
const RESUME_EVERY: Duration = Duration::from_secs(5);
/// How long is waited after a connection could not be accepted.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    settings: MllpSettings,
}

/// What connections share.
struct Shared {
    gateway: Gateway,
    settings: MllpSettings,
    /// The base of what is referred to in answers and records.
    base: String,
    /// One for each connection that there may be.
    room: Arc<Semaphore>,
}

impl Listener {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(settings: MllpSettings) -> io::Result<Listener> {
        let socket = TcpListener::bind(settings.listen)?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, settings })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until the process is asked to end, and lets messages that are
    /// being performed end within `drain`. Join the threads to wait for that.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(self, gateway: Gateway, base: String, drain: Duration) -> io::Result<Vec<JoinHandle<()>>> {
        let Listener { socket, settings } = self;
        let room = Arc::new(Semaphore::new(settings.connections_max));
        let shared = Arc::new(Shared { gateway, settings, base, room });
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let thread = |number: usize| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (socket, shared) = (socket.try_clone()?, Arc::clone(&shared));
            std::thread::Builder::new().name("mllp".to_owned()).spawn(move || {
                // What was taken over and is not performed is performed beside what comes in.
                let resumed = Arc::clone(&shared);
                if number == 0 {
                    runtime.spawn(async move { resumed.resume().await });
                }
                if let Err(error) = runtime.block_on(serve(socket, shared, drain)) {
                    tracing::error!(%error, "HL7 v2 cannot be listened for");
                }
                runtime.shutdown_background();
            })
        };
        (0..threads).map(thread).collect()
    }
}

/// Accepts connections on one of the threads.
async fn serve(socket: TcpListener, shared: Arc<Shared>, drain: Duration) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let tls = shared.settings.tls.clone().map(TlsAcceptor::from);
    let (stop, stopped) = watch::channel(false);
    let ended = shutdown::asked_to_end();
    tokio::pin!(ended);
    loop {
        let accepted = tokio::select! {
            () = &mut ended => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection for HL7 v2 could not be accepted");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&shared.room).try_acquire_owned() else {
            tracing::warn!("too many connections for HL7 v2: one was closed");
            continue;
        };
        let (shared, tls, stopped) = (Arc::clone(&shared), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = admit(stream, peer, tls, &shared, stopped).await {
                tracing::debug!(%error, "a connection for HL7 v2 ended");
            }
        });
    }
    drop(listener);
    let _ = stop.send(true);
    let connections = u32::try_from(shared.settings.connections_max).unwrap_or(u32::MAX);
    let _ = timeout(drain, shared.room.acquire_many(connections)).await;
    Ok(())
}

/// Lets a client show itself where it has to, and serves it.
async fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: &Shared,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Connection::new(stream, shared, shared.caller(Some(peer.ip()), None), stopped).serve().await;
    };
    let stream = timeout(PEER, tls.accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates();
    let of = chain.and_then(|chain| chain.first()).map(|certificate| Arc::new(node(certificate)));
    Connection::new(stream, shared, shared.caller(Some(peer.ip()), of), stopped).serve().await
}

impl Shared {
    /// Performs what was taken over and is not performed, for as long as it is let.
    async fn resume(&self) {
        loop {
            self.gateway.resume_messages(&self.caller(None, None)).await;
            tokio::time::sleep(RESUME_EVERY).await;
        }
    }

    fn caller(&self, address: Option<IpAddr>, node: Option<Arc<Node>>) -> Caller {
        Caller { address, node, ..Caller::new("", self.base.as_str()) }
    }
}

/// A connection, on which messages are answered in their order.
struct Connection<'s, S> {
    stream: S,
    shared: &'s Shared,
    caller: Caller,
    stopped: watch::Receiver<bool>,
    deframer: Deframer,
}

impl<'s, S: AsyncRead + AsyncWrite + Unpin> Connection<'s, S> {
    fn new(
        stream: S,
        shared: &'s Shared,
        caller: Caller,
        stopped: watch::Receiver<bool>,
    ) -> Connection<'s, S> {
        let deframer = Deframer::new(shared.settings.message_bytes_max);
        Connection { stream, shared, caller, stopped, deframer }
    }

    /// Answers until the client goes, or the server ends.
    async fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut deadline = None;
        loop {
            match self.deframer.next_message() {
                Framed::Message(message) => self.answer(message).await?,
                Framed::Refused(flaw) => {
                    let refusal = self.shared.gateway.refuse_frame(&flaw);
                    self.send(&refusal).await?;
                }
                Framed::Incomplete => {
                    if *self.stopped.borrow() && !self.deframer.is_inside() {
                        return self.stream.shutdown().await;
                    }
                    let count = self.read(&mut buffer, &mut deadline).await?;
                    if count == 0 && !*self.stopped.borrow() {
                        return Ok(());
                    }
                    self.deframer.push(buffer.get(..count).unwrap_or_default());
                    continue;
                }
            }
            deadline = None;
        }
    }

    /// Reads some bytes; none when the client has gone, or the server ends.
    async fn read(&mut self, buffer: &mut [u8], deadline: &mut Option<Instant>) -> io::Result<usize> {
        let settings = &self.shared.settings;
        let is_inside = self.deframer.is_inside();
        let seconds = if is_inside { settings.message_seconds_max } else { settings.idle_seconds_max };
        // A message has its time from its begin, however slowly it comes.
        let until = match (is_inside, *deadline) {
            (true, Some(until)) => until,
            _ => Instant::now() + Duration::from_secs(seconds),
        };
        *deadline = is_inside.then_some(until);
        tokio::select! {
            read = timeout_at(until, self.stream.read(buffer)) => match read {
                Ok(read) => read,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came in time")),
            },
            _ = self.stopped.changed(), if !is_inside => Ok(0),
        }
    }

    async fn answer(&mut self, message: Vec<u8>) -> io::Result<()> {
        let caller = Caller { request_id: uuid::Uuid::new_v4().to_string(), ..self.caller.clone() };
        let gateway = &self.shared.gateway;
        let receiving = AssertUnwindSafe(gateway.receive_message(&caller, &message)).catch_unwind();
        let Ok(received) = receiving.await else {
            tracing::error!(request = caller.request_id, "a message panicked");
            return self.send(&gateway.unexpected(&message)).await;
        };
        if let Some(answer) = received.answer {
            self.send(&answer).await?;
        }
        let Some(sender) = received.sender else { return Ok(()) };
        let performing = AssertUnwindSafe(gateway.perform_queued(&caller, &sender)).catch_unwind();
        if performing.await.is_err() {
            tracing::error!(request = caller.request_id, "a message of the queue panicked");
        }
        // What could not be sent before is sent now.
        for waiting in gateway.waiting_answers(&sender).await {
            self.send(&waiting.message).await?;
            gateway.answer_sent(waiting.number).await;
        }
        Ok(())
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let framed = frame(message);
        let sending = async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        };
        timeout(PEER, sending).await?
    }
}

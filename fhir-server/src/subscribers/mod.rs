//! Who subscribed to messages of HL7 v2 is reached by MLLP.
//!
//! The connection to a subscriber stays open between messages. One that was
//! closed meanwhile is opened again.
//!
//! Spec: HL7 v2 Implementation Guide, Minimal Lower Layer Protocol, release 1; ITI TF-2 3.19

pub mod settings;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ihe_adapters::outbox::Failure;
use ihe_adapters::subscribers::Exchange;
use ihe_adapters::wire::mllp::{Deframer, Framed, frame};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an acknowledgement is.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How many bytes are read at a time.
const READ_BYTES: usize = 16 << 10;

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// An address that messages are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether by TLS.
    pub is_secure: bool,
}

impl Address {
    /// Parses `mllp://host:port` or `mllps://host:port`.
    pub fn parse(text: &str) -> Option<Address> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme {
            "mllp" => false,
            "mllps" => true,
            _ => return None,
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_host.then(|| Address { host: host.to_owned(), port, is_secure })
    }
}

/// Sends messages to an address, one at a time.
pub struct MllpClient {
    address: Address,
    tls: Arc<ClientConfig>,
    /// How long one waits for an acknowledgement.
    patience: Duration,
    open: Mutex<Option<Box<dyn Duplex>>>,
}

impl MllpClient {
    /// Makes one; it connects when there is something to send.
    pub fn new(address: Address, tls: Arc<ClientConfig>, patience: Duration) -> MllpClient {
        MllpClient { address, tls, patience, open: Mutex::default() }
    }

    async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        let Address { host, port, is_secure } = &self.address;
        let connecting = async {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            if !is_secure {
                return Ok(Box::new(stream) as Box<dyn Duplex>);
            }
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            Ok(Box::new(connector.connect(name, stream).await?) as Box<dyn Duplex>)
        };
        within(CONNECT, connecting).await
    }

    /// Sends a message on a connection, and reads what answers it.
    async fn ask(&self, stream: &mut Box<dyn Duplex>, message: &[u8]) -> io::Result<Vec<u8>> {
        within(self.patience, async {
            stream.write_all(&frame(message)).await?;
            stream.flush().await?;
            read_message(stream).await
        })
        .await
    }
}

impl Exchange for MllpClient {
    fn exchange<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        async move {
            let mut open = self.open.lock().await;
            let unanswered = |error: io::Error| Failure::Unanswered(told(&error));
            if let Some(mut stream) = open.take() {
                match self.ask(&mut stream, message).await {
                    Ok(answer) => {
                        *open = Some(stream);
                        return Ok(answer);
                    }
                    // Who is silent has the message; who has closed meanwhile is asked anew.
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(unanswered(error)),
                    Err(_) => {}
                }
            }
            let mut stream = self.connect().await.map_err(|error| Failure::Unavailable(told(&error)))?;
            let answer = self.ask(&mut stream, message).await.map_err(unanswered)?;
            *open = Some(stream);
            Ok(answer)
        }
        .boxed()
    }
}

/// Reads the next message of a connection.
async fn read_message(stream: &mut Box<dyn Duplex>) -> io::Result<Vec<u8>> {
    let mut deframer = Deframer::new(ANSWER_BYTES_MAX);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match deframer.next_message() {
            Framed::Message(message) => return Ok(message),
            Framed::Refused(flaw) => return Err(io::Error::other(flaw)),
            Framed::Incomplete => {}
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        deframer.push(buffer.get(..count).unwrap_or_default());
    }
}

/// Says what went wrong, without what the other side may have put into it.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer came in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was closed before an answer came".to_owned()
        }
        _ => error.to_string(),
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn addresses() {
        let address = |host: &str, port, is_secure| Some(Address { host: host.into(), port, is_secure });
        for (text, expected) in [
            ("mllp://lis.example:2575", address("lis.example", 2575, false)),
            ("mllps://10.0.0.1:6661/", address("10.0.0.1", 6661, true)),
            ("mllp://[::1]:2575", address("::1", 2575, false)),
            ("mllp://lis.example", None),
            ("mllp://:2575", None),
            ("mllp://x:0", None),
            ("mllp://x:99999", None),
            ("http://x:1", None),
            ("x:2575", None),
            ("mllp://user@x:1", None),
        ] {
            assert_eq!(Address::parse(text), expected, "{text}");
        }
    }

    fn client(port: u16) -> MllpClient {
        let roots = rustls::RootCertStore::empty();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = builder.expect("protocols").with_root_certificates(roots).with_no_client_auth();
        let address = Address { host: "127.0.0.1".to_owned(), port, is_secure: false };
        MllpClient::new(address, Arc::new(tls), Duration::from_secs(20))
    }

    /// Answers so many messages on each connection with their own text, and closes it.
    async fn echo(listener: TcpListener, per_connection: usize) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut deframer = Deframer::new(1000);
            let (mut buffer, mut answered) = ([0; 100], 0);
            while answered < per_connection {
                match deframer.next_message() {
                    Framed::Message(message) => {
                        answered += 1;
                        stream.write_all(&frame(&message)).await.expect("written");
                    }
                    _ => {
                        let count = stream.read(&mut buffer).await.expect("read");
                        if count == 0 {
                            break;
                        }
                        deframer.push(&buffer[..count]);
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn messages_are_answered_on_one_connection_or_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let client = client(listener.local_addr().expect("address").port());
        let echoing = tokio::spawn(echo(listener, 2));
        for message in ["a", "b", "c", "d", "e"] {
            assert_eq!(client.exchange(message.as_bytes()).await, Ok(message.as_bytes().to_vec()));
        }
        echoing.abort();
    }

    #[tokio::test]
    async fn who_does_not_answer_is_told_apart_from_who_is_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        let closing = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 10]).await;
            }
        });
        assert!(matches!(client(port).exchange(b"a").await, Err(Failure::Unanswered(_))));
        closing.abort();
        let _ = closing.await;
        assert!(matches!(client(port).exchange(b"a").await, Err(Failure::Unavailable(_))));
    }
}

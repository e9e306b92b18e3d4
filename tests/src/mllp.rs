//! A client that speaks MLLP, as hospital systems do: a message, and its acknowledgement.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::mllp::{Deframer, Framed, frame};

/// How long one waits for what arrives.
const WAIT: Duration = Duration::from_secs(60);
/// The longest message.
const BYTES_MAX: usize = 16 << 20;

/// A connection.
pub struct MllpClient<S = TcpStream> {
    stream: S,
    deframer: Deframer,
}

impl MllpClient {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(port: u16) -> std::io::Result<MllpClient> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_nodelay(true)?;
        Ok(MllpClient::over(stream))
    }
}

impl<S: Read + Write> MllpClient<S> {
    /// Speaks over a stream.
    pub fn over(stream: S) -> MllpClient<S> {
        MllpClient { stream, deframer: Deframer::new(BYTES_MAX) }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// When the connection ended, or nothing came in time.
    pub fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match self.deframer.next_message() {
                Framed::Message(message) => return Ok(message),
                Framed::Refused(flaw) => return Err(std::io::Error::other(flaw)),
                Framed::Incomplete => {}
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.deframer.push(&buffer[..count]);
        }
    }

    /// Sends a message, and returns its acknowledgement.
    ///
    /// # Errors
    /// When none came.
    pub fn send(&mut self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        self.write(&frame(message))?;
        self.read()
    }

    /// Sends a message, and returns its acknowledgement as a message.
    ///
    /// # Panics
    /// When none came, or what came is none.
    pub fn ask(&mut self, message: &str) -> Message {
        let answer = self.send(message.as_bytes()).expect("an answer");
        Message::read(&answer).expect("a message")
    }
}

/// Returns the code of an acknowledgement.
pub fn code(acknowledgement: &Message) -> String {
    acknowledgement.value("MSA", 1, 1).unwrap_or_default()
}

//! A client of HTTP/1.1 and MLLP that costs little: one connection, requests that are
//! written beforehand, answers of which only status and length are read.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::BenchError;

/// The room that a connection begins with.
const BUFFER_BYTES: usize = 16 << 10;
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The longest body of an answer.
const BODY_BYTES_MAX: usize = 256 << 20;
/// So much of a refusal's body is told.
const TOLD_BYTES_MAX: usize = 300;

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The status.
    pub(super) status: u16,
    /// Where the body begins.
    pub(super) body_from: usize,
    /// How long it is.
    pub(super) body_bytes: usize,
}

/// Reads the head of an answer; `None` while it is not yet whole.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, BenchError> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        let too_long = bytes.len() > HEAD_BYTES_MAX;
        return if too_long { Err(BenchError::Response("its head does not end")) } else { Ok(None) };
    };
    let text = bytes.get(..end).unwrap_or_default();
    let status = text
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(number)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(BenchError::Response("it has no status"))?;
    let body_bytes = match header(text, b"content-length") {
        Some(value) => number(value.trim_ascii()).ok_or(BenchError::Response("its length is no number"))?,
        None if matches!(status, 204 | 304) => 0,
        None => return Err(BenchError::Response("it does not tell its length")),
    };
    if body_bytes > BODY_BYTES_MAX {
        return Err(BenchError::Response("it is too long"));
    }
    Ok(Some(Head { status, body_from: end + 4, body_bytes }))
}

/// Returns the value of a header, whose name is given in lower case.
fn header<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let lines = head.split(|b| *b == b'\n').skip(1);
    lines.filter_map(|line| line.split_at_checked(name.len())).find_map(|(start, rest)| {
        let rest = rest.strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
    })
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// The status.
    pub(super) status: u16,
    /// Status line and headers.
    pub(super) head: &'a [u8],
    /// The body.
    pub(super) body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Returns the value of a header, whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name.as_bytes()).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Returns all headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let lines = std::str::from_utf8(self.head).unwrap_or_default().lines().skip(1);
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    /// Says that the answer is of this status.
    ///
    /// # Errors
    /// [`BenchError::Status`] when it is not.
    pub(super) fn expect(&self, status: u16) -> Result<(), BenchError> {
        if self.status == status {
            return Ok(());
        }
        let told = self.body.get(..TOLD_BYTES_MAX).unwrap_or(self.body);
        Err(BenchError::Status { status: self.status, text: String::from_utf8_lossy(told).into_owned() })
    }
}

/// Finds the frame of an acknowledgement by MLLP; `None` while it is not yet whole. It has no
/// status: where the message was accepted it counts as 200, and else as 500.
fn framed(bytes: &[u8]) -> Result<Option<Head>, BenchError> {
    let Some(end) = memmem::find(bytes, b"\x1c\r") else {
        let too_long = bytes.len() > HEAD_BYTES_MAX;
        return if too_long { Err(BenchError::Response("its frame does not end")) } else { Ok(None) };
    };
    let is_accepted = bytes.get(..end).is_some_and(|text| memmem::find(text, b"\rMSA|AA|").is_some());
    let status = if is_accepted { 200 } else { 500 };
    Ok(Some(Head { status, body_from: 1.min(end), body_bytes: end.saturating_sub(1) }))
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1.
    Http,
    /// Messages of HL7 v2.
    Mllp,
}

/// A connection that is kept.
pub(super) struct Connection {
    stream: TcpStream,
    wire: Wire,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) async fn open(address: SocketAddr, wire: Wire) -> Result<Connection, BenchError> {
        let stream = TcpStream::connect(address).await.map_err(BenchError::io("connecting"))?;
        stream.set_nodelay(true).map_err(BenchError::io("connecting"))?;
        Ok(Connection { stream, wire, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>, BenchError> {
        self.stream.write_all(request).await.map_err(BenchError::io("sending a request"))?;
        self.buffer.clear();
        let mut known: Option<Head> = None;
        loop {
            if let Some(found) = known
                && self.buffer.len() >= found.body_from + found.body_bytes
            {
                let end = found.body_from + found.body_bytes;
                return Ok(Answer {
                    status: found.status,
                    head: self.buffer.get(..found.body_from).unwrap_or_default(),
                    body: self.buffer.get(found.body_from..end).unwrap_or_default(),
                });
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(BenchError::io("reading an answer"))? == 0 {
                return Err(BenchError::Response("the connection was closed"));
            }
            if known.is_none() {
                known = match self.wire {
                    Wire::Http => head(&self.buffer)?,
                    Wire::Mllp => framed(&self.buffer)?,
                };
                if let Some(found) = known {
                    let whole = found.body_from + found.body_bytes;
                    self.buffer.reserve(whole.saturating_sub(self.buffer.len()));
                }
            }
        }
    }
}

/// Writes a GET.
pub(super) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}

/// Writes a request with a JSON body; nothing of the result is asked back.
pub(super) fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/fhir+json\r\n\
         prefer: return=minimal\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_answers() {
        let whole = |status, body_from, body_bytes| Some(Some(Head { status, body_from, body_bytes }));
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", whole(200, 39, 12)),
            ("HTTP/1.1 200 OK\r\nContent-Length:3\r\nx: y\r\n\r\nabc", whole(200, 43, 3)),
            ("HTTP/1.1 204 No Content\r\n\r\n", whole(204, 27, 0)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n", Some(None)),
            ("", Some(None)),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 300000000\r\n\r\n", None),
            ("HTTP/1.1 abc\r\ncontent-length: 1\r\n\r\n", None),
            ("SMTP\r\n\r\n", None),
        ] {
            assert_eq!(head(text.as_bytes()).ok(), expected, "{text:?}");
        }
        assert!(head(&vec![b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn acknowledgements_are_answers() {
        let whole = |status, body_bytes| Some(Head { status, body_from: 1, body_bytes });
        for (text, expected) in [
            ("\u{b}MSH|x\rMSA|AA|1\r\u{1c}\r", whole(200, 15)),
            ("\u{b}MSH|x\rMSA|AE|1\r\u{1c}\r", whole(500, 15)),
            ("\u{b}MSH|x\rMSA|AA|1\r\u{1c}", None),
            ("", None),
        ] {
            assert_eq!(framed(text.as_bytes()).ok(), Some(expected), "{text:?}");
        }
        assert!(framed(&vec![b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn headers_and_status_of_an_answer() {
        let head = b"HTTP/1.1 201 Created\r\nLocation: http://h/fhir/Patient/1\r\netag:W/\"1\"\r\n\r\n";
        let answer = Answer { status: 201, head, body: b"{}" };
        assert_eq!(answer.header("location"), Some("http://h/fhir/Patient/1"));
        assert_eq!(answer.header("etag"), Some("W/\"1\""));
        assert_eq!(answer.header("date"), None);
        assert_eq!(answer.headers().count(), 2);
        assert!(answer.expect(201).is_ok());
        assert!(answer.expect(200).is_err_and(|e| e.to_string().contains("201: {}")));
    }

    #[test]
    fn requests_tell_their_length() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let text = String::from_utf8(send(address, "POST", "/fhir/Patient", "{}")).expect("text");
        assert!(text.starts_with("POST /fhir/Patient HTTP/1.1\r\nhost: 127.0.0.1:80\r\n"), "{text}");
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            if let Ok(Some(found)) = head(&bytes) {
                proptest::prop_assert!(found.body_from <= bytes.len());
            }
        }
    }
}

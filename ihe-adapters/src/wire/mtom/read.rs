//! Reads the parts of a multipart message as they arrive.

use bytes::{Buf, Bytes, BytesMut};
use fhir_model::primitive::base64;
use memchr::memmem;

use super::super::content_type::ContentType;

/// How much a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many parts.
    pub parts_max: usize,
    /// Bytes of the headers of a part.
    pub header_bytes_max: usize,
    /// Bytes of all of it.
    pub bytes_max: u64,
}

impl Default for Limits {
    /// A submission of hundreds of documents, or of one that is very large.
    fn default() -> Limits {
        Limits { parts_max: 1_000, header_bytes_max: 16 << 10, bytes_max: 2 << 30 }
    }
}

/// Why a message cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MtomError {
    /// The media type names no boundary that can be one.
    #[error("the content type of a multipart message needs a `boundary` of 1 to 200 characters")]
    Boundary,
    /// It ends before its closing boundary.
    #[error("the multipart message ends before its closing boundary")]
    Unterminated,
    /// It has no part.
    #[error("the multipart message has no part")]
    Empty,
    /// It has too many parts.
    #[error("the multipart message has more than {0} parts")]
    TooManyParts(usize),
    /// The headers of a part are too long.
    #[error("the headers of part {0} have more than {1} bytes")]
    LongHeaders(usize, usize),
    /// A line of the headers is none.
    #[error("the headers of part {0} cannot be read")]
    Headers(usize),
    /// It is too large.
    #[error("the multipart message has more than {0} bytes")]
    TooLarge(u64),
    /// Two parts have the same id.
    #[error("two parts of the multipart message have the content id `{0}`")]
    Duplicate(String),
    /// A part is encoded in a way that is not known.
    #[error("part {0} has the transfer encoding `{1}`; binary, 8bit, 7bit and base64 are taken")]
    Encoding(usize, String),
    /// A part is not what its encoding says.
    #[error("part {0} is not base64, as it says")]
    Base64(usize),
}

/// What is said of a part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Its id, without `<` and `>`.
    pub content_id: Option<String>,
    /// Its media type as written.
    pub content_type: Option<String>,
}

/// What comes next in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Start(Part),
    /// Bytes of the part, decoded.
    Data(Bytes),
    /// The part ends.
    End,
    /// The message ends; what follows means nothing.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary: another part, or the end.
    Boundary,
    Headers,
    Body,
    Finished,
}

/// Takes a message apart as it arrives.
#[derive(Debug)]
pub struct Reader {
    /// A line feed, two hyphens and the boundary.
    delimiter: Vec<u8>,
    limits: Limits,
    buffer: BytesMut,
    state: State,
    taken: u64,
    parts: usize,
    content_ids: Vec<String>,
    /// Whether the buffer begins with the line feed before the part's bytes.
    is_at_begin: bool,
    /// What of a part in base64 is not decoded yet: fewer than four digits.
    base64: Option<Vec<u8>>,
}

impl Reader {
    /// Begins to read a message of this media type.
    ///
    /// # Errors
    /// When it names no boundary.
    pub fn new(content_type: &ContentType, limits: Limits) -> Result<Reader, MtomError> {
        let boundary = content_type.parameter("boundary").filter(|b| (1..=200).contains(&b.len()));
        let boundary = boundary.ok_or(MtomError::Boundary)?;
        Ok(Reader {
            delimiter: [b"\n--", boundary.as_bytes()].concat(),
            limits,
            // So that the first boundary is found like the others.
            buffer: BytesMut::from(&b"\n"[..]),
            state: State::Preamble,
            taken: 0,
            parts: 0,
            content_ids: Vec::new(),
            is_at_begin: false,
            base64: None,
        })
    }

    /// Adds what arrived.
    ///
    /// # Errors
    /// When it is too much.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), MtomError> {
        self.taken += bytes.len() as u64;
        if self.taken > self.limits.bytes_max {
            return Err(MtomError::TooLarge(self.limits.bytes_max));
        }
        if self.state != State::Finished {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Returns what comes next; `None` when more has to arrive.
    ///
    /// # Errors
    /// When the message is not what it should be. There is no going on then.
    pub fn next_event(&mut self) -> Result<Option<Event>, MtomError> {
        loop {
            match self.state {
                State::Preamble => match self.find_delimiter(false) {
                    Found::At(at) => {
                        self.buffer.advance(at + self.delimiter.len());
                        self.state = State::Boundary;
                    }
                    Found::NotBefore(end) => {
                        self.buffer.advance(end);
                        return Ok(None);
                    }
                },
                State::Boundary => match self.behind_boundary() {
                    None => return Ok(None),
                    Some(true) => {
                        self.state = State::Finished;
                        self.buffer.clear();
                        if self.parts == 0 {
                            return Err(MtomError::Empty);
                        }
                        return Ok(Some(Event::Finished));
                    }
                    Some(false) => self.state = State::Headers,
                },
                State::Headers => return self.headers(),
                State::Body => return self.body(),
                State::Finished => return Ok(None),
            }
        }
    }

    /// Tells that nothing more arrives.
    ///
    /// # Errors
    /// When the message is not at its end.
    pub fn finish(&self) -> Result<(), MtomError> {
        if self.state == State::Finished { Ok(()) } else { Err(MtomError::Unterminated) }
    }

    /// Finds the next boundary that is one, or up to where there is none.
    fn find_delimiter(&self, with_return: bool) -> Found {
        let mut from = 0;
        while let Some(found) = self.buffer.get(from..).and_then(|rest| memmem::find(rest, &self.delimiter)) {
            let at = from + found;
            match self.buffer.get(at + self.delimiter.len()) {
                // What comes behind decides.
                None => return Found::NotBefore(before_return(&self.buffer, at, with_return)),
                Some(b'-' | b'\r' | b'\n' | b' ' | b'\t') => return Found::At(at),
                Some(_) => from = at + 1,
            }
        }
        // The end may be the beginning of a boundary.
        let end = self.buffer.len().saturating_sub(self.delimiter.len() - 1).max(from);
        Found::NotBefore(before_return(&self.buffer, end, with_return))
    }

    /// Looks behind a boundary: whether the message ends, or a part begins.
    fn behind_boundary(&mut self) -> Option<bool> {
        if self.buffer.starts_with(b"--") {
            return Some(true);
        }
        let end = memchr::memchr(b'\n', &self.buffer)?;
        self.buffer.advance(end + 1);
        Some(false)
    }

    fn headers(&mut self) -> Result<Option<Event>, MtomError> {
        let number = self.parts + 1;
        let mut end = 0;
        // The headers end at an empty line, which may be the first.
        let length = loop {
            let line_end = self.buffer.get(end..).and_then(|rest| memchr::memchr(b'\n', rest));
            if line_end.map_or(self.buffer.len(), |at| end + at) > self.limits.header_bytes_max {
                return Err(MtomError::LongHeaders(number, self.limits.header_bytes_max));
            }
            let Some(at) = line_end else { return Ok(None) };
            let line = self.buffer.get(end..end + at).unwrap_or_default();
            let is_empty = line.is_empty() || line == b"\r";
            end += at + 1;
            if is_empty {
                break end;
            }
        };
        if number > self.limits.parts_max {
            return Err(MtomError::TooManyParts(self.limits.parts_max));
        }
        // The line feed stays: the boundary may come at once.
        let lines = self.buffer.split_to(length - 1);
        self.is_at_begin = true;
        let headers = parse_headers(&lines).ok_or(MtomError::Headers(number))?;
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let id = header("content-id").map(|id| id.trim_start_matches('<').trim_end_matches('>').to_owned());
        if let Some(id) = &id {
            if self.content_ids.contains(id) {
                return Err(MtomError::Duplicate(id.chars().take(200).collect()));
            }
            self.content_ids.push(id.clone());
        }
        let encoding = header("content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        self.base64 = match encoding.as_str() {
            "" | "binary" | "8bit" | "7bit" => None,
            "base64" => Some(Vec::new()),
            other => return Err(MtomError::Encoding(number, other.chars().take(40).collect())),
        };
        self.parts = number;
        self.state = State::Body;
        Ok(Some(Event::Start(Part { content_id: id, content_type: header("content-type") })))
    }
    fn body(&mut self) -> Result<Option<Event>, MtomError> {
        let skipped = usize::from(self.is_at_begin);
        match self.find_delimiter(true) {
            Found::At(0) => {}
            Found::At(at) => {
                let end = before_return(&self.buffer, at, true);
                if end > skipped {
                    let data = self.take(skipped, end);
                    return self.decoded(data).map(Some);
                }
            }
            Found::NotBefore(end) if end > skipped => {
                let data = self.take(skipped, end);
                return self.decoded(data).map(Some);
            }
            Found::NotBefore(_) => return Ok(None),
        }
        // The boundary is next, maybe behind a carriage return.
        let at = memmem::find(&self.buffer, &self.delimiter).unwrap_or(0);
        self.buffer.advance(at + self.delimiter.len());
        self.is_at_begin = false;
        self.state = State::Boundary;
        match self.base64.take() {
            Some(rest) if !rest.is_empty() => Err(MtomError::Base64(self.parts)),
            _ => Ok(Some(Event::End)),
        }
    }

    /// Takes bytes of the part out of the buffer.
    fn take(&mut self, skipped: usize, end: usize) -> Bytes {
        self.is_at_begin = false;
        let mut data = self.buffer.split_to(end);
        data.advance(skipped);
        data.freeze()
    }

    fn decoded(&mut self, data: Bytes) -> Result<Event, MtomError> {
        let Some(rest) = &mut self.base64 else { return Ok(Event::Data(data)) };
        rest.extend(data.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let whole = rest.len() / 4 * 4;
        let digits: Vec<u8> = rest.drain(..whole).collect();
        let bytes = std::str::from_utf8(&digits).ok().and_then(base64::decode);
        bytes.map(|bytes| Event::Data(bytes.into())).ok_or(MtomError::Base64(self.parts))
    }
}

/// Where a boundary is.
enum Found {
    /// Here.
    At(usize),
    /// Not before here.
    NotBefore(usize),
}

/// Returns where the bytes before a line feed end: before a carriage return,
/// which belongs to it.
fn before_return(buffer: &[u8], at: usize, with_return: bool) -> usize {
    match at.checked_sub(1).and_then(|before| buffer.get(before)) {
        Some(b'\r') if with_return => at - 1,
        _ => at,
    }
}

/// Parses headers, names in small letters; a line that begins with a blank goes
/// on with the one before.
fn parse_headers(lines: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            headers.last_mut()?.1.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(headers)
}

//! A message: its segments.
//!
//! Spec: HL7 v2.5.1 section 2.5.

use super::charset::{self, Charset};
use super::delimiters::Delimiters;
use super::part::Part;
use super::segment::Segment;

/// The greatest number of segments in a message.
pub const SEGMENTS_MAX: usize = 100_000;

/// The greatest number of fields, repetitions, components and sub-components: each costs
/// memory, and a few bytes make one.
pub const PARTS_MAX: usize = 500_000;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The first segment is not a header with its delimiters.
    #[error("the message does not begin with MSH and its delimiters")]
    Header,
    /// Two delimiters are the same, or one is a letter, a digit or a space.
    #[error("the delimiters in MSH are not different signs")]
    Delimiters,
    /// A segment does not begin with a name of three letters or digits.
    #[error("segment {0} has no name of three letters or digits")]
    SegmentName(usize),
    /// A second header: that would be a second message.
    #[error("segment {0} is a second MSH")]
    SecondHeader(usize),
    /// More than [`SEGMENTS_MAX`] segments.
    #[error("more than {SEGMENTS_MAX} segments")]
    TooLong,
    /// More than [`PARTS_MAX`] fields and parts of them.
    #[error("more than {PARTS_MAX} fields and parts of fields")]
    TooManyParts,
}

/// A message, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    delimiters: Delimiters,
    charset: Charset,
    segments: Vec<Segment>,
    /// Whether the last segment ended with a line end.
    ends_with_line_end: bool,
}

impl Message {
    /// Makes a message of its header and nothing else.
    pub fn new(delimiters: &Delimiters) -> Message {
        let segments = vec![Segment::header(delimiters)];
        Message { delimiters: *delimiters, charset: Charset::default(), segments, ends_with_line_end: true }
    }

    /// Reads a message in the characters that it says it has (MSH-18).
    ///
    /// # Errors
    /// When the header or a segment is not what it should be.
    pub fn read(bytes: &[u8]) -> Result<Message, MessageError> {
        let (text, charset) = charset::decode(bytes);
        Ok(Message { charset, ..Message::parse(&text)? })
    }

    /// Parses a message. Segments end with CR, or CR LF; where there is no CR
    /// at all, with LF. A lone LF among CRs belongs to its field (some senders
    /// wrap base64 so).
    ///
    /// # Errors
    /// When the header or a segment is not what it should be.
    pub fn parse(text: &str) -> Result<Message, MessageError> {
        let delimiters = Delimiters::of(text)?;
        let Delimiters { field, component, repetition, subcomponent, .. } = delimiters;
        if text.matches([field, component, repetition, subcomponent]).nth(PARTS_MAX).is_some() {
            return Err(MessageError::TooManyParts);
        }
        let mut segments: Vec<Segment> = Vec::new();
        let mut rest = text;
        let mut ends_with_line_end = false;
        let terminator = if text.contains('\r') { '\r' } else { '\n' };
        while !rest.is_empty() {
            let end = rest.find(terminator).unwrap_or(rest.len());
            let after = &rest[end..];
            let line_end = match after.as_bytes() {
                [b'\r', b'\n', ..] => "\r\n",
                [b'\r', ..] => "\r",
                [b'\n', ..] => "\n",
                _ => "",
            };
            ends_with_line_end = !line_end.is_empty();
            let line = &rest[..end];
            rest = &after[line_end.len()..];
            // An empty line says nothing, and is kept.
            if !line.is_empty() && !is_named(line, &delimiters) {
                continue_segment(&mut segments, line, line_end)?;
                continue;
            }
            if segments.len() == SEGMENTS_MAX {
                return Err(MessageError::TooLong);
            }
            let segment = Segment { text: line.to_owned(), line_end, delimiters };
            if segment.name() == "MSH" && !segments.is_empty() {
                return Err(MessageError::SecondHeader(segments.len() + 1));
            }
            segments.push(segment);
        }
        Ok(Message { delimiters, charset: Charset::default(), segments, ends_with_line_end })
    }

    /// Writes the message as it was read.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for segment in &self.segments {
            out.push_str(&segment.text);
            out.push_str(segment.line_end);
        }
        out
    }

    /// Writes the message in its characters; what those do not have becomes `?`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.charset.encode(&self.write())
    }

    /// Returns the delimiters.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// Returns in which characters it came.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// Says in which characters it is written.
    #[must_use]
    pub fn with_charset(self, charset: Charset) -> Message {
        Message { charset, ..self }
    }

    /// Tells whether the last segment ended with a line end, as it should.
    pub fn ends_with_line_end(&self) -> bool {
        self.ends_with_line_end
    }

    /// Returns all segments, in order; empty lines are none.
    pub fn all(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.text.is_empty())
    }

    /// Returns the segments of a name, in order.
    pub fn segments<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Segment> {
        self.segments.iter().filter(move |s| s.name() == name)
    }

    /// Returns the first segment of a name.
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name() == name)
    }

    /// Returns the segments of a name, to be changed.
    pub fn segments_mut<'m>(&'m mut self, name: &'m str) -> impl Iterator<Item = &'m mut Segment> {
        self.segments.iter_mut().filter(move |s| s.name() == name)
    }

    /// Adds a segment at the end.
    pub fn push(&mut self, segment: Segment) {
        if let Some(last) = self.segments.last_mut().filter(|last| last.line_end.is_empty()) {
            last.line_end = "\r";
        }
        self.segments.push(Segment { line_end: "\r", delimiters: self.delimiters, ..segment });
        self.ends_with_line_end = true;
    }

    /// Takes out the segments that are not wanted; the header stays.
    pub fn retain(&mut self, mut keeps: impl FnMut(&Segment) -> bool) {
        self.segments.retain(|segment| segment.name() == "MSH" || keeps(segment));
        self.ends_with_line_end = self.segments.last().is_some_and(|last| !last.line_end.is_empty());
    }

    /// Returns a field of the header; an empty one where there is none.
    pub fn header(&self, field: usize) -> Part<'_> {
        match self.segments.first() {
            Some(header) => header.part(field),
            None => Part::whole("", &self.delimiters),
        }
    }

    /// Returns the value at a place such as `PID-3.1`: first segment of that
    /// name, first repetition, first sub-component; escapes decoded.
    pub fn value(&self, segment: &str, field: usize, component: usize) -> Option<String> {
        self.segment(segment)?.part(field).component(component).value()
    }
}

/// Adds a line that begins no segment to the segment before it: some senders
/// break long base64 so. Its text becomes part of a field, never a segment.
fn continue_segment(
    segments: &mut [Segment],
    line: &str,
    line_end: &'static str,
) -> Result<(), MessageError> {
    let number = segments.len() + 1;
    let last = segments.last_mut().filter(|s| s.name() == "OBX");
    let last = last.ok_or(MessageError::SegmentName(number))?;
    last.text.push_str(last.line_end);
    last.text.push_str(line);
    last.line_end = line_end;
    Ok(())
}

fn is_named(line: &str, delimiters: &Delimiters) -> bool {
    let name = line.split(delimiters.field).next().unwrap_or("");
    name.len() == 3 && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

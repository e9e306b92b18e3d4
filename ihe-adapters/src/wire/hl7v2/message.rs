//! A message: segments, fields, repetitions, components, sub-components.
//!
//! Spec: HL7 v2.5.1 section 2.5.

use super::escape;

/// The greatest number of segments in a message.
pub const SEGMENTS_MAX: usize = 100_000;

/// The characters that take a message apart, told by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Usually `|`.
    pub field: char,
    /// Usually `^`.
    pub component: char,
    /// Usually `~`.
    pub repetition: char,
    /// Usually `\`.
    pub escape: char,
    /// Usually `&`.
    pub subcomponent: char,
}

impl Default for Delimiters {
    fn default() -> Delimiters {
        Delimiters { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&' }
    }
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The first segment is not a header with its delimiters.
    #[error("the message does not begin with MSH and its delimiters")]
    Header,
    /// Two delimiters are the same, or one is a letter or digit.
    #[error("the delimiters in MSH are not five different signs")]
    Delimiters,
    /// A segment does not begin with a name of three letters or digits.
    #[error("segment {0} has no name of three letters or digits")]
    SegmentName(usize),
    /// More than [`SEGMENTS_MAX`] segments.
    #[error("more than {SEGMENTS_MAX} segments")]
    TooLong,
}

/// A message, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    delimiters: Delimiters,
    segments: Vec<Segment>,
    /// Whether the last segment ended with a line end.
    ends_with_line_end: bool,
}

/// A segment: its text, and what ended the line before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    text: String,
    line_end: &'static str,
}

impl Message {
    /// Parses a message. Segments end with CR, or CR LF; where there is no CR
    /// at all, with LF. A lone LF among CRs belongs to its field (some senders
    /// wrap base64 so).
    ///
    /// # Errors
    /// When the header or a segment is not what it should be.
    pub fn parse(text: &str) -> Result<Message, MessageError> {
        let delimiters = delimiters_of(text)?;
        let mut segments = Vec::new();
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
            segments.push(Segment { text: line.to_owned(), line_end });
        }
        Ok(Message { delimiters, segments, ends_with_line_end })
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

    /// Returns the delimiters.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
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

    /// Returns the value at a place such as `PID-3.1`: first segment of that
    /// name, first repetition, first sub-component; escapes decoded.
    pub fn value(&self, segment: &str, field: usize, component: usize) -> Option<String> {
        let field = self.segments(segment).next()?.field(field, &self.delimiters)?;
        let repetition = field.split(self.delimiters.repetition).next()?;
        let component = repetition.split(self.delimiters.component).nth(component.checked_sub(1)?)?;
        let value = component.split(self.delimiters.subcomponent).next()?;
        Some(escape::decode(value, &self.delimiters)).filter(|v| !v.is_empty())
    }
}

impl Segment {
    /// Returns the name, such as `PID`; empty for an empty line.
    pub fn name(&self) -> &str {
        self.text.get(..3).unwrap_or("")
    }

    /// Returns it as written, without the end of its line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns a field as written, counted from 1 as the standard counts;
    /// MSH-1 is the field separator itself.
    pub fn field(&self, number: usize, delimiters: &Delimiters) -> Option<&str> {
        if self.name() == "MSH" {
            return match number {
                0 => None,
                1 => self.text.get(3..3 + delimiters.field.len_utf8()),
                _ => self.text.split(delimiters.field).nth(number - 1),
            };
        }
        if number == 0 { None } else { self.text.split(delimiters.field).nth(number) }
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

fn delimiters_of(text: &str) -> Result<Delimiters, MessageError> {
    let mut signs = text.strip_prefix("MSH").ok_or(MessageError::Header)?.chars();
    let mut next = || signs.next().filter(|c| !c.is_control());
    let found = (next(), next(), next(), next(), next());
    let (Some(field), Some(component), Some(repetition), Some(escape), Some(subcomponent)) = found else {
        return Err(MessageError::Header);
    };
    let all = [field, component, repetition, escape, subcomponent];
    let distinct = all.iter().enumerate().all(|(at, c)| !c.is_alphanumeric() && !all[..at].contains(c));
    if !distinct {
        return Err(MessageError::Delimiters);
    }
    Ok(Delimiters { field, component, repetition, escape, subcomponent })
}

fn is_named(line: &str, delimiters: &Delimiters) -> bool {
    let name = line.split(delimiters.field).next().unwrap_or("");
    name.len() == 3 && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    const ADT: &str = "MSH|^~\\&|SIO|H1|LAN|R|20240102||ADT^A01|42|P|2.5\rPID|1||123^^^A&1.2&ISO~X^^^B||Rossi\\T\\Figli^Maria\rZXX|kept\r";

    #[test]
    fn places() {
        let message = Message::parse(ADT).expect("valid");
        for (segment, field, component, expected) in [
            ("MSH", 1, 1, Some("|")),
            ("MSH", 9, 1, Some("ADT")),
            ("MSH", 10, 1, Some("42")),
            ("PID", 3, 1, Some("123")),
            ("PID", 3, 4, Some("A")),
            ("PID", 5, 1, Some("Rossi&Figli")),
            ("PID", 99, 1, None),
            ("PV1", 1, 1, None),
            ("PID", 0, 0, None),
        ] {
            if (segment, field) == ("MSH", 1) {
                let header = message.segments("MSH").next().expect("header");
                assert_eq!(header.field(1, message.delimiters()), expected);
                continue;
            }
            assert_eq!(
                message.value(segment, field, component).as_deref(),
                expected,
                "{segment}-{field}.{component}"
            );
        }
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("", MessageError::Header),
            ("PID|1", MessageError::Header),
            ("MSH|^~", MessageError::Header),
            ("MSH||~\\&|", MessageError::Delimiters),
            ("MSHA^~\\&|", MessageError::Delimiters),
            ("MSH|^~\\&|a\rno segment", MessageError::SegmentName(2)),
        ] {
            assert_eq!(Message::parse(text), Err(error), "{text}");
        }
    }

    fn files(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { files(&path, out) } else { out.push(path) }
        }
    }

    #[test]
    fn samples_come_back_byte_for_byte() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/hl7v2");
        let mut paths = Vec::new();
        files(&folder, &mut paths);
        let mut compared = 0;
        for path in &paths {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            if text.starts_with("MSH") {
                let message = Message::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(message.write(), text, "{}", path.display());
                compared += 1;
            }
        }
        println!("{compared} messages of {} files compared", paths.len());
        assert!(compared > 0 || !folder.exists());
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_is_written_back(text in "MSH\\|\\^~\\\\&[|A-Z^~&\r\n]{0,60}") {
            if let Ok(message) = Message::parse(&text) {
                proptest::prop_assert_eq!(message.write(), text);
            }
        }
    }
}

//! DICOM files, as far as documents about images need them: their elements and
//! sequences, out of bytes that are at hand.
//!
//! Lengths are held to the bytes that there are, and sequences to a depth: what
//! a file claims costs nothing. Read are both transfer syntaxes that structured
//! documents are written in, Explicit and Implicit VR Little Endian.
//!
//! Spec: DICOM PS3.5 7, PS3.10 7

/// A tag: group and element.
pub type Tag = (u16, u16);

/// How deep sequences may be nested.
const DEPTH_MAX: usize = 16;
/// How many elements a file may have.
const ELEMENTS_MAX: usize = 500_000;
const UNDEFINED: u32 = 0xFFFF_FFFF;
const ITEM: Tag = (0xFFFE, 0xE000);
const ITEM_END: Tag = (0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = (0xFFFE, 0xE0DD);
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// Why bytes are no file that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DicomError {
    /// No file of DICOM at all.
    #[error("no DICOM file: the mark DICM is missing")]
    NoFile,
    /// Written in a way that is not read here.
    #[error("the transfer syntax `{0}` is not read here: documents are little endian and not compressed")]
    TransferSyntax(String),
    /// It ends too early, or says what cannot be.
    #[error("the file is broken near byte {0}")]
    Broken(usize),
    /// More than is taken.
    #[error("more elements, or sequences nested deeper, than are taken")]
    TooMuch,
}

/// The elements of a file, or of an item of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataSet {
    elements: Vec<(Tag, Value)>,
}

/// The value of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

impl DataSet {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn of_file(bytes: &[u8]) -> Result<DataSet, DicomError> {
        if bytes.get(128..132) != Some(b"DICM") {
            return Err(DicomError::NoFile);
        }
        let mut reader = Reader { bytes, at: 132, is_explicit: true, elements: 0 };
        let mut meta = DataSet::default();
        while reader.peek().is_some_and(|(group, _)| group == 0x0002) {
            let element = reader.element(0)?;
            meta.elements.push(element);
        }
        reader.is_explicit = match meta.text(TRANSFER_SYNTAX).as_str() {
            EXPLICIT_LITTLE_ENDIAN => true,
            IMPLICIT_LITTLE_ENDIAN => false,
            other => return Err(DicomError::TransferSyntax(other.chars().take(64).collect())),
        };
        let mut data_set = DataSet::default();
        while reader.at < bytes.len() {
            let element = reader.element(0)?;
            data_set.elements.push(element);
        }
        Ok(data_set)
    }

    /// Returns the text of an element, without padding; empty when there is none.
    pub fn text(&self, tag: Tag) -> String {
        match self.value(tag) {
            Some(Value::Bytes(bytes)) => {
                let text = String::from_utf8_lossy(bytes);
                text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
            }
            _ => String::new(),
        }
    }

    /// Returns the items of a sequence.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.value(tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    fn value(&self, tag: Tag) -> Option<&Value> {
        self.elements.iter().find(|(of, _)| *of == tag).map(|(_, value)| value)
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    is_explicit: bool,
    elements: usize,
}

impl<'b> Reader<'b> {
    fn broken(&self) -> DicomError {
        DicomError::Broken(self.at)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], DicomError> {
        let end = self.at.checked_add(count).ok_or_else(|| self.broken())?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.broken())?;
        self.at = end;
        Ok(taken)
    }

    fn short(&mut self) -> Result<u16, DicomError> {
        let mut bytes = [0; 2];
        bytes.copy_from_slice(self.take(2)?);
        Ok(u16::from_le_bytes(bytes))
    }

    fn long(&mut self) -> Result<u32, DicomError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    fn tag(&mut self) -> Result<Tag, DicomError> {
        Ok((self.short()?, self.short()?))
    }

    fn peek(&self) -> Option<Tag> {
        Reader { bytes: self.bytes, at: self.at, is_explicit: true, elements: 0 }.tag().ok()
    }

    fn element(&mut self, depth: usize) -> Result<(Tag, Value), DicomError> {
        self.elements += 1;
        if depth > DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(DicomError::TooMuch);
        }
        let tag = self.tag()?;
        let (is_sequence, length) = if self.is_explicit {
            let kind = self.take(2)?;
            // Those with a long length have two bytes between.
            let is_long = [
                &b"OB"[..],
                b"OD",
                b"OF",
                b"OL",
                b"OV",
                b"OW",
                b"SQ",
                b"SV",
                b"UC",
                b"UN",
                b"UR",
                b"UT",
                b"UV",
            ]
            .contains(&kind);
            let length = if is_long {
                self.take(2)?;
                self.long()?
            } else {
                u32::from(self.short()?)
            };
            (kind == b"SQ", length)
        } else {
            let length = self.long()?;
            // Without a type a sequence shows itself by its first item.
            (length == UNDEFINED || (length >= 8 && self.peek() == Some(ITEM)), length)
        };
        if is_sequence || length == UNDEFINED {
            return Ok((tag, Value::Items(self.sequence(length, depth)?)));
        }
        let length = usize::try_from(length).map_err(|_| self.broken())?;
        Ok((tag, Value::Bytes(self.take(length)?.to_vec())))
    }

    /// Returns where something of a length ends; `None` when a mark tells.
    fn end(&self, length: u32) -> Result<Option<usize>, DicomError> {
        if length == UNDEFINED {
            return Ok(None);
        }
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        end.filter(|end| *end <= self.bytes.len()).map(Some).ok_or_else(|| self.broken())
    }

    fn sequence(&mut self, length: u32, depth: usize) -> Result<Vec<DataSet>, DicomError> {
        let end = self.end(length)?;
        let mut items = Vec::new();
        while end.is_none_or(|end| self.at < end) {
            let (tag, length) = (self.tag()?, self.long()?);
            match tag {
                SEQUENCE_END if end.is_none() => return Ok(items),
                ITEM => items.push(self.item(length, depth)?),
                _ => return Err(self.broken()),
            }
        }
        Ok(items)
    }

    fn item(&mut self, length: u32, depth: usize) -> Result<DataSet, DicomError> {
        let end = self.end(length)?;
        let mut item = DataSet::default();
        while end.is_none_or(|end| self.at < end) {
            if end.is_none() && self.peek() == Some(ITEM_END) {
                self.take(8)?;
                return Ok(item);
            }
            let element = self.element(depth + 1)?;
            item.elements.push(element);
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(syntax: &str, data: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        file.extend_from_slice(&[2, 0, 0x10, 0, b'U', b'I', syntax.len() as u8, 0]);
        file.extend_from_slice(syntax.as_bytes());
        file.extend_from_slice(data);
        file
    }

    /// A text, and a sequence of undefined length with an item that has a text.
    fn explicit() -> Vec<u8> {
        let mut data = vec![0x10, 0, 0x20, 0, b'L', b'O', 4, 0, b'P', b'1', b' ', b' '];
        data.extend_from_slice(&[0x40, 0, 0x75, 0xA3, b'S', b'Q', 0, 0, 255, 255, 255, 255]);
        data.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255]);
        data.extend_from_slice(&[0x20, 0, 0x0D, 0, b'U', b'I', 4, 0, b'1', b'.', b'2', 0]);
        data.extend_from_slice(&[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        data
    }

    #[test]
    fn elements_and_sequences_are_read() {
        let implicit = {
            let mut data = vec![0x10, 0, 0x20, 0, 4, 0, 0, 0, b'P', b'1', b' ', b' '];
            data.extend_from_slice(&[0x40, 0, 0x75, 0xA3, 20, 0, 0, 0, 0xFE, 0xFF, 0, 0xE0, 12, 0, 0, 0]);
            data.extend_from_slice(&[0x20, 0, 0x0D, 0, 4, 0, 0, 0, b'1', b'.', b'2', 0]);
            data
        };
        for bytes in [file(EXPLICIT_LITTLE_ENDIAN, &explicit()), file(IMPLICIT_LITTLE_ENDIAN, &implicit)] {
            let read = DataSet::of_file(&bytes).expect("read");
            assert_eq!(read.text((0x10, 0x20)), "P1");
            let items = read.items((0x40, 0xA375));
            assert_eq!(items.iter().map(|item| item.text((0x20, 0x0D))).collect::<Vec<_>>(), ["1.2"]);
            assert_eq!((read.text((1, 1)), read.items((0x10, 0x20)).len()), (String::new(), 0));
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let nested = [
            0x40, 0, 0x75, 0xA3, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255, 255,
            255,
        ];
        let long = [0x10, 0, 0x20, 0, b'U', b'T', 0, 0, 0xFE, 255, 255, 255, b'x'];
        for (bytes, expected) in [
            (b"abc".to_vec(), DicomError::NoFile),
            (
                file("1.2.840.10008.1.2.4.50", &[]),
                DicomError::TransferSyntax("1.2.840.10008.1.2.4.50".to_owned()),
            ),
            (file(EXPLICIT_LITTLE_ENDIAN, &nested.repeat(100_000)), DicomError::TooMuch),
            (file(EXPLICIT_LITTLE_ENDIAN, &long), DicomError::Broken(171)),
        ] {
            assert_eq!(DataSet::of_file(&bytes), Err(expected));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(cut in 0usize..80, at in 0usize..80, byte in any::<u8>()) {
            let mut data = explicit();
            if let Some(place) = data.get_mut(at) {
                *place = byte;
            }
            data.truncate(data.len().saturating_sub(cut));
            let _ = DataSet::of_file(&file(EXPLICIT_LITTLE_ENDIAN, &data));
            let _ = DataSet::of_file(&file(IMPLICIT_LITTLE_ENDIAN, &data));
        }
    }
}

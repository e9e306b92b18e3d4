//! Rows of a CSV file, one after the other: `,` or `;` or a tab between
//! fields, a header, any of the encodings of [`super::encoding`].

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use super::encoding::decode;
use super::error::{Finding, LoadError, Notes};

/// The greatest size of a file, in bytes.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// The greatest number of rows of a file.
pub const ROWS_MAX: u64 = 2_000_000;
/// The greatest size of a row, in bytes.
pub const ROW_BYTES_MAX: usize = 256 << 10;
/// The greatest length of a code, in bytes.
pub const CODE_BYTES_MAX: usize = 255;

/// A CSV file that is being read.
pub struct Table {
    /// The name of the file, as it is told.
    pub file: String,
    reader: csv::Reader<BufReader<std::io::Take<File>>>,
    header: Vec<String>,
    record: ByteRecord,
    rows: u64,
    position: u64,
    /// Lines end with CR LF: a row then begins, for the reader, with the LF of the line before.
    has_crlf: bool,
}

/// Where a column stands.
pub type Column = usize;

/// A row, decoded as it is asked for.
pub struct Row<'a> {
    file: &'a str,
    /// The line on which it begins.
    pub line: u64,
    record: &'a ByteRecord,
}

impl Table {
    /// Opens a file, and reads its header.
    ///
    /// # Errors
    /// When it cannot be read, or is beyond the limit.
    pub fn open(path: &Path) -> Result<Table, LoadError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let failed = |error| LoadError::Read(path.display().to_string(), error);
        let opened = File::open(path).map_err(failed)?;
        if opened.metadata().map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(LoadError::TooLarge(file, "512 MiB"));
        }
        let mut bytes = BufReader::with_capacity(64 << 10, opened.take(FILE_BYTES_MAX));
        let start = bytes.fill_buf().map_err(failed)?;
        let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let (delimiter, has_crlf) = (delimiter_of(first_line), first_line.ends_with(b"\r"));
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
        let header = match reader.byte_headers() {
            Ok(header) => header.iter().map(|field| column_name(&decode(field).0)).collect(),
            Err(error) => return Err(LoadError::Csv(file, error)),
        };
        Ok(Table { file, reader, header, record: ByteRecord::new(), rows: 0, position: 0, has_crlf })
    }

    /// Finds a column by one of its names, the first that is there.
    pub fn column(&self, names: &[&str]) -> Option<Column> {
        names.iter().find_map(|name| self.header.iter().position(|column| column == name))
    }

    /// As [`Table::column`], of a column that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn needed(&self, names: &'static [&'static str]) -> Result<Column, LoadError> {
        let missing = || LoadError::Column(self.file.clone(), names.first().copied().unwrap_or_default());
        self.column(names).ok_or_else(missing)
    }

    /// Hands every row to `each`, and the bytes read to `seen`; returns the
    /// number of rows.
    ///
    /// # Errors
    /// When it cannot be read further, or is beyond a limit.
    pub fn each_row(
        &mut self,
        notes: &mut Notes,
        seen: &mut dyn FnMut(u64),
        mut each: impl FnMut(&Row<'_>, &mut Notes),
    ) -> Result<u64, LoadError> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record);
            let position = self.reader.position().byte();
            seen(position.saturating_sub(self.position));
            self.position = position;
            if !more.map_err(|error| LoadError::Csv(self.file.clone(), error))? {
                return Ok(self.rows);
            }
            self.rows += 1;
            if self.rows > ROWS_MAX {
                return Err(LoadError::TooLarge(self.file.clone(), "2,000,000 rows"));
            }
            let line = self.record.position().map_or(0, csv::Position::line) + u64::from(self.has_crlf);
            if self.record.as_slice().len() > ROW_BYTES_MAX {
                notes.tell(&self.file, line, Finding::TooLong);
                continue;
            }
            each(&Row { file: &self.file, line, record: &self.record }, notes);
        }
    }
}

impl Row<'_> {
    /// Returns a field without the space around it; `None` when it is empty or
    /// there is no such column.
    pub fn text(&self, column: Option<Column>, notes: &mut Notes) -> Option<String> {
        let bytes = self.record.get(column?)?.trim_ascii();
        if bytes.is_empty() {
            return None;
        }
        let (text, finding) = decode(bytes);
        if let Some(finding) = finding {
            self.tell(finding, notes);
        }
        // A FHIR string has no control characters, and a display is one line.
        let text = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        Some(text.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
    }

    /// Returns the code of the row; tells when there is none.
    pub fn code(&self, column: Column, notes: &mut Notes) -> Option<String> {
        let Some(code) = self.text(Some(column), notes) else {
            self.tell(Finding::NoCode, notes);
            return None;
        };
        if code.len() > CODE_BYTES_MAX {
            self.tell(Finding::BadCode(code.chars().take(40).collect()), notes);
            return None;
        }
        Some(code)
    }

    /// Tells something of the row.
    pub fn tell(&self, finding: Finding, notes: &mut Notes) {
        notes.tell(self.file, self.line, finding);
    }
}

/// The delimiter that stands most often in the header.
fn delimiter_of(header: &[u8]) -> u8 {
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The name of a column, however it was written: `Codice AIC` is `codice_aic`.
fn column_name(written: &str) -> String {
    let words = written.trim_start_matches('\u{feff}').split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_whatever_the_delimiter() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.csv");
        for (bytes, rows) in [
            (&b"code,The text\n1, a \n2,\"b, c\"\n"[..], vec![(2, "1", "a"), (3, "2", "b, c")]),
            (b"\xef\xbb\xbfCODE;the-text\r\n1;a,b\r\n", vec![(2, "1", "a,b")]),
            (b"\"code\"\t\"the text\"\n1\t\"a\n b\"\n2\tc\n", vec![(2, "1", "a b"), (4, "2", "c")]),
            (b"code,the text\n1,\xe0\n", vec![(2, "1", "à")]),
            (b"code,the text\n ,x\n2\n", vec![(3, "2", "")]),
        ] {
            std::fs::write(&path, bytes).expect("written");
            let mut table = Table::open(&path).expect("opened");
            let code = table.needed(&["code"]).expect("a code");
            let text = table.column(&["other", "the_text"]);
            let (mut notes, mut found, mut read) = (Notes::default(), Vec::new(), 0);
            let each = |row: &Row<'_>, notes: &mut Notes| {
                let Some(code) = row.code(code, notes) else { return };
                found.push((row.line, code, row.text(text, notes).unwrap_or_default()));
            };
            table.each_row(&mut notes, &mut |bytes| read += bytes, each).expect("read");
            let found: Vec<_> = found.iter().map(|(line, c, t)| (*line, c.as_str(), t.as_str())).collect();
            assert_eq!(found, rows);
            assert_eq!(read, bytes.len() as u64);
        }
        assert!(matches!(Table::open(&folder.path().join("none")), Err(LoadError::Read(..))));
    }
}

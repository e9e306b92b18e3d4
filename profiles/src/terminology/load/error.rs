//! Why a table cannot be loaded, and what is told of its rows.

use std::fmt;

/// Notes kept of one load; beyond it they are counted only.
pub const NOTES_MAX: usize = 1000;

/// Why a table cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    /// It is no CSV.
    #[error("{0}: {1}")]
    Csv(String, csv::Error),
    /// It has not the columns of such a table.
    #[error("{0}: no column `{1}`")]
    Column(String, &'static str),
    /// Its header is that of no table known here.
    #[error("{0}: the header is that of no table known here; tell which it is")]
    Unknown(String),
    /// The name of the file is not the OID of a table.
    #[error("{0}: the name of the file is not an OID")]
    Oid(String),
    /// The files are of tables of different kinds.
    #[error("{0}: a table of another kind than the files before; load it apart")]
    Mixed(String),
    /// It is beyond a limit.
    #[error("{0}: larger than allowed ({1})")]
    TooLarge(String, &'static str),
    /// There is no file to read.
    #[error("{0}: no table is there")]
    Nothing(String),
}

/// What is told of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Left out: it has no code.
    NoCode,
    /// Left out: what stands as its code is none.
    BadCode(String),
    /// Left out: it is longer than allowed.
    TooLong,
    /// The code was there before, with the same text.
    Repeated(String),
    /// The code was there before, with another text, which is kept as a designation.
    OtherText(String),
    /// It was not UTF-8, and was read as Windows-1252.
    Windows1252,
    /// It was UTF-8 mangled by a second encoding, and was repaired.
    Mangled,
    /// The code had lost its leading zeros.
    Zeros(String),
    /// A text for a code that the table has not.
    NoConcept(String),
}

impl Finding {
    /// Tells whether the row gives no concept of its own.
    pub fn is_loss(&self) -> bool {
        matches!(self, Finding::NoCode | Finding::BadCode(_) | Finding::TooLong)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::NoCode => f.write_str("no code; left out"),
            Finding::BadCode(code) => write!(f, "`{code}` is no code; left out"),
            Finding::TooLong => f.write_str("longer than allowed; left out"),
            Finding::Repeated(code) => write!(f, "`{code}` once more"),
            Finding::OtherText(code) => {
                write!(f, "`{code}` once more, with another text, kept as a designation")
            }
            Finding::Windows1252 => f.write_str("not UTF-8; read as Windows-1252"),
            Finding::Mangled => f.write_str("UTF-8 encoded twice; repaired"),
            Finding::Zeros(code) => write!(f, "leading zeros of `{code}` restored"),
            Finding::NoConcept(code) => write!(f, "a text for `{code}`, which the table has not"),
        }
    }
}

/// What is told of a row, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// What is told.
    pub finding: Finding,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.finding)
    }
}

/// What is told of the rows of one load.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The first [`NOTES_MAX`].
    pub kept: Vec<Note>,
    /// All of them.
    pub count: usize,
    /// Rows that were left out.
    pub left_out: usize,
    /// Rows whose code was there before.
    pub repeated: usize,
}

impl Notes {
    /// Tells of a row.
    pub fn tell(&mut self, file: &str, line: u64, finding: Finding) {
        self.count += 1;
        self.left_out += usize::from(finding.is_loss());
        self.repeated += usize::from(matches!(finding, Finding::Repeated(_) | Finding::OtherText(_)));
        if self.kept.len() < NOTES_MAX {
            self.kept.push(Note { file: file.to_owned(), line, finding });
        }
    }
}

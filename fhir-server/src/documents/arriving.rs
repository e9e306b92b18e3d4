//! Documents on their way: in files that a crash leaves nothing of.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fhir_model::interaction::Content;
use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;

/// Where documents are written before they are whole, below a folder.
const INCOMPLETE: &str = "incomplete";

/// Makes the folder for what is not whole, and removes what was not whole when
/// the process last ended. One process has it at a time.
pub(super) fn prepare(folder: &Path) -> io::Result<PathBuf> {
    let incomplete = folder.join(INCOMPLETE);
    if incomplete.exists() {
        fs::remove_dir_all(&incomplete)?;
    }
    fs::create_dir_all(&incomplete)?;
    Ok(incomplete)
}

/// A document that is being written.
pub(super) struct Arriving {
    file: NamedTempFile,
    hash: Context,
    size: u64,
}

impl Arriving {
    /// Begins one, below a folder that was prepared.
    pub(super) fn begin(incomplete: &Path) -> io::Result<Arriving> {
        let file = NamedTempFile::new_in(incomplete)?;
        Ok(Arriving { file, hash: Context::new(&SHA256), size: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Ends it: returns its name, and the file, which goes when it is dropped.
    pub(super) fn finish(self) -> (Content, NamedTempFile) {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.finish().as_ref());
        (Content { sha256, size: self.size }, self.file)
    }

    /// Gives out what was written. Its name goes with this; its bytes when they were read.
    pub(super) fn pass_on(self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.file.reopen()?))
    }
}

//! Documents in a folder: each a file, named by its SHA-256.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fhir_model::interaction::Content;
use fhir_model::primitive::hexadecimal;
use ihe_adapters::documents::{Documents, Upload};

use super::arriving::{self, Arriving};
use super::{DocumentStore, SweepError};

/// Documents in a folder.
#[derive(Debug, Clone)]
pub struct DocumentFolder {
    folder: PathBuf,
    incomplete: PathBuf,
    /// Held while a document is found old and removed, or found and made young.
    sweeping: Arc<Mutex<()>>,
}

impl DocumentFolder {
    /// Opens the folder, which is made where there is none, and removes what
    /// was not whole when the process last ended. One process has it at a time.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<DocumentFolder> {
        let folder = folder.into();
        let incomplete = arriving::prepare(&folder)?;
        sync_folder(&folder)?;
        Ok(DocumentFolder { folder, incomplete, sweeping: Arc::default() })
    }

    /// Returns the place of a document: two levels of folders, so that none has too many files.
    fn place(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hexadecimal::encode(sha256);
        self.folder.join(&name[..2]).join(&name[2..4]).join(name)
    }
}

impl DocumentStore for DocumentFolder {
    fn sweep(
        &self,
        age: Duration,
        is_referred: &mut dyn FnMut(&[u8; 32]) -> Result<bool, SweepError>,
    ) -> Result<u64, SweepError> {
        let mut swept = 0;
        for first in folders(&self.folder)? {
            for second in folders(&first)? {
                for entry in fs::read_dir(second)? {
                    let entry = entry?;
                    let Some(sha256) = entry.file_name().to_str().and_then(sha256_of) else {
                        continue;
                    };
                    let _sweeping = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
                    let changed = entry.metadata()?.modified()?;
                    let is_old = changed.elapsed().is_ok_and(|since| since > age);
                    if is_old && !is_referred(&sha256)? {
                        fs::remove_file(entry.path())?;
                        swept += 1;
                    }
                }
            }
        }
        Ok(swept)
    }
}

impl Documents for DocumentFolder {
    fn begin(&self) -> io::Result<Box<dyn Upload>> {
        let arriving = Arriving::begin(&self.incomplete)?;
        Ok(Box::new(Writing { arriving, documents: self.clone() }))
    }

    fn open(&self, content: &Content) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(self.place(&content.sha256))?;
        if file.metadata()?.len() != content.size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a stored document has another size"));
        }
        Ok(Box::new(file))
    }
}

struct Writing {
    arriving: Arriving,
    documents: DocumentFolder,
}

impl Upload for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.arriving.write(bytes)
    }

    fn finish(self: Box<Self>) -> io::Result<Content> {
        let Writing { arriving, documents } = *self;
        let (content, file) = arriving.finish();
        let place = documents.place(&content.sha256);
        // What has its name was durable before it got it.
        {
            let _sweeping = documents.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(same) = File::open(&place) {
                // No sweep takes it before it is referred to.
                same.set_modified(SystemTime::now())?;
                return Ok(content);
            }
        }
        file.as_file().sync_all()?;
        let folder = place.parent().unwrap_or(&documents.folder);
        make_folders(&documents.folder, folder)?;
        file.persist(&place).map_err(|error| error.error)?;
        sync_folder(folder)?;
        Ok(content)
    }

    fn pass_on(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        self.arriving.pass_on()
    }
}

/// Returns the folders of documents in a folder.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_one = entry.file_name().len() == 2 && entry.file_type()?.is_dir();
        folders.extend(is_one.then(|| entry.path()));
    }
    Ok(folders)
}

/// Returns the SHA-256 that a file is named by.
pub(super) fn sha256_of(name: &str) -> Option<[u8; 32]> {
    hexadecimal::decode(name)?.try_into().ok()
}

/// Makes the folders down to `folder`, each durable in the one above.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(root)) {
        sync_folder(above)?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(documents: &DocumentFolder, chunks: &[&[u8]]) -> Content {
        let mut upload = documents.begin().expect("begun");
        for chunk in chunks {
            upload.write(chunk).expect("written");
        }
        upload.finish().expect("stored")
    }

    fn read(documents: &DocumentFolder, content: &Content) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        documents.open(content)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn files(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
        entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
    }

    #[test]
    fn a_document_is_stored_once_however_it_came() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = DocumentFolder::open(folder.path()).expect("opened");
        let one = store(&documents, &[b"abc", b"", b"def"]);
        assert_eq!(store(&documents, &[b"abcdef"]), one);
        let empty = store(&documents, &[]);
        assert_eq!((one.size, empty.size, files(folder.path())), (6, 0, 2));
        let again = DocumentFolder::open(folder.path()).expect("opened again");
        assert_eq!(read(&again, &one).expect("read"), b"abcdef");
        assert_eq!(read(&again, &empty).expect("read"), b"");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = DocumentFolder::open(folder.path()).expect("opened");
        let mut upload = documents.begin().expect("begun");
        upload.write(b"abc").expect("written");
        drop(upload);
        assert_eq!(files(folder.path()), 0);
        // As after a kill.
        fs::write(folder.path().join("incomplete").join("x"), b"abc").expect("written");
        let documents = DocumentFolder::open(folder.path()).expect("opened again");
        assert_eq!(files(folder.path()), 0);
        let absent = Content { sha256: [7; 32], size: 3 };
        assert_eq!(read(&documents, &absent).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn what_passes_through_is_given_out_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = DocumentFolder::open(folder.path()).expect("opened");
        let mut upload = documents.begin().expect("begun");
        upload.write(b"abc").expect("written");
        let mut passed = upload.pass_on().expect("passed on");
        assert_eq!(files(folder.path()), 0);
        let mut bytes = Vec::new();
        passed.read_to_end(&mut bytes).expect("read");
        assert_eq!(bytes, b"abc");
    }

    #[test]
    fn what_nothing_refers_to_is_swept_out_when_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = DocumentFolder::open(folder.path()).expect("opened");
        let (kept, old, young) =
            (store(&documents, &[b"kept"]), store(&documents, &[b"old"]), store(&documents, &[b"young"]));
        let day = Duration::from_secs(86_400);
        for content in [&kept, &old, &young] {
            let file = File::open(documents.place(&content.sha256)).expect("opened");
            file.set_modified(SystemTime::now() - 2 * day).expect("made older");
        }
        // Stored once more, and not yet referred to.
        assert_eq!(store(&documents, &[b"young"]), young);
        let swept = documents.sweep(day, &mut |sha256| Ok(*sha256 == kept.sha256));
        assert_eq!(swept.expect("swept"), 1);
        for (content, is_there) in [(&kept, true), (&old, false), (&young, true)] {
            assert_eq!(read(&documents, content).is_ok(), is_there);
        }
        assert_eq!(sha256_of("zz"), None);
    }

    #[test]
    fn a_document_that_was_cut_is_not_given_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = DocumentFolder::open(folder.path()).expect("opened");
        let content = store(&documents, &[b"abcdef"]);
        fs::write(documents.place(&content.sha256), b"abc").expect("cut");
        assert_eq!(read(&documents, &content).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidData));
    }
}

//! Documents in a bucket of a storage that speaks S3: each an object, named by
//! its SHA-256, below a prefix that one server has.
//!
//! A document arrives in a file beside the database, since its name is known when
//! it is whole; then it goes to the bucket in parts, and is there when the storage
//! says so of all of them. What was there long before is stored again, so that no
//! sweep takes it for old.
//!
//! Spec: <https://docs.aws.amazon.com/AmazonS3/latest/API/>

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use bytes::Bytes;
use fhir_model::interaction::Content;
use fhir_model::primitive::hexadecimal;
use futures_util::StreamExt;
use ihe_adapters::documents::{Documents, Upload};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use super::arriving::{self, Arriving};
use super::folder::sha256_of;
use super::{DocumentStore, SWEPT_AFTER, SweepError};

/// So many bytes go and come at a time: what is held of a document in memory.
const PART_BYTES: u64 = 8 << 20;
const RANGE_BYTES: u64 = 2 << 20;
/// How many parts an object may have.
const PARTS_MAX: u64 = 10_000;
/// The object that says whose the documents are.
const OWNER: &str = "owner";

/// Documents in a bucket.
#[derive(Clone)]
pub struct DocumentBucket {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Who has the prefix.
    owner: String,
    is_claimed: Arc<AtomicBool>,
    incomplete: PathBuf,
    /// Held alone while a document is found old and removed; with others while one is stored.
    sweeping: Arc<RwLock<()>>,
    runtime: Handle,
}

impl DocumentBucket {
    /// Opens a prefix of a bucket for its owner: whoever else has it must not sweep
    /// what is not known to him. `folder`: where documents arrive.
    ///
    /// # Errors
    /// When the folder cannot be used, or the prefix is another's. A storage that
    /// is away is asked again when it is needed.
    pub fn open(
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        owner: String,
        folder: PathBuf,
    ) -> io::Result<DocumentBucket> {
        let bucket = DocumentBucket {
            objects,
            prefix,
            owner,
            is_claimed: Arc::default(),
            incomplete: arriving::prepare(&folder)?,
            sweeping: Arc::default(),
            runtime: runtime()?,
        };
        match bucket.claim() {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(bucket),
        }
    }

    fn place_of(&self, sha256: &[u8; 32]) -> Path {
        self.prefix.clone().join(hexadecimal::encode(sha256))
    }

    /// Asks the storage, from a thread that may wait.
    fn ask<T>(&self, asked: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        self.runtime.block_on(asked).map_err(|error| failed(&error))
    }

    /// Makes sure that the prefix is this server's.
    fn claim(&self) -> io::Result<()> {
        if self.is_claimed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let place = self.prefix.clone().join(OWNER);
        let read = || self.ask(async { self.objects.get(&place).await?.bytes().await });
        let owner = match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.ask(self.objects.put(&place, PutPayload::from(self.owner.clone().into_bytes())))?;
                // Of two who claim it at once the second has it.
                read()?
            }
            read => read?,
        };
        if owner != self.owner.as_bytes() {
            let why =
                "the documents at this place of the bucket are of another server: choose another prefix";
            tracing::error!(why, "documents are neither stored nor swept");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        self.is_claimed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Tells whether a document is there, and stays there until it is referred to.
    fn is_there(&self, place: &Path, content: &Content) -> io::Result<bool> {
        match self.ask(self.objects.head(place)) {
            Ok(found) => {
                let age = SystemTime::from(found.last_modified).elapsed().unwrap_or_default();
                Ok(found.size == content.size && age < SWEPT_AFTER / 2)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn store(&self, place: &Path, file: &mut File, size: u64) -> io::Result<()> {
        file.seek(SeekFrom::Start(0))?;
        if size <= PART_BYTES {
            let whole = part(file, size)?;
            let _storing = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
            return self.ask(self.objects.put(place, whole)).map(drop);
        }
        let mut upload = self.ask(self.objects.put_multipart(place))?;
        let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        let mut left = size;
        let mut stored = Ok(());
        while left > 0 && stored.is_ok() {
            let bytes = left.min(part_bytes);
            stored = part(file, bytes).and_then(|part| self.ask(upload.put_part(part)));
            left -= bytes;
        }
        let stored = stored.and_then(|()| {
            let _storing = self.sweeping.read().unwrap_or_else(PoisonError::into_inner);
            self.ask(upload.complete()).map(drop)
        });
        if stored.is_err() {
            // What cannot be taken back now goes by the rules of the bucket for parts.
            let _ = self.ask(upload.abort());
        }
        stored
    }

    /// Reads some bytes of an object; returns how many it has in all.
    fn read(&self, place: &Path, range: Option<GetRange>) -> io::Result<(u64, Bytes)> {
        let options = GetOptions { range, ..GetOptions::default() };
        self.ask(async {
            let found = self.objects.get_opts(place, options).await?;
            let size = found.meta.size;
            Ok((size, found.bytes().await?))
        })
    }

    /// Removes a document that is old and that nothing refers to; tells whether it did.
    fn remove_unreferred(
        &self,
        place: &Path,
        sha256: &[u8; 32],
        age: std::time::Duration,
        is_referred: &mut dyn FnMut(&[u8; 32]) -> Result<bool, SweepError>,
    ) -> Result<bool, SweepError> {
        let _sweeping = self.sweeping.write().unwrap_or_else(PoisonError::into_inner);
        // It may have been stored again since it was listed.
        let found = self.ask(self.objects.head(place))?;
        let is_old = SystemTime::from(found.last_modified).elapsed().is_ok_and(|since| since > age);
        if !is_old || is_referred(sha256)? {
            return Ok(false);
        }
        self.ask(self.objects.delete(place))?;
        Ok(true)
    }
}

/// Starts what drives connections to the storage; it ends with the process.
fn runtime() -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("documents".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

fn part(file: &mut File, bytes: u64) -> io::Result<PutPayload> {
    let mut part = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    file.take(bytes).read_to_end(&mut part)?;
    if part.len() as u64 != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(part.into())
}

/// Tells operators what the storage said, and callers what that means for them.
fn failed(error: &Error) -> io::Error {
    let (kind, what) = match error {
        Error::NotFound { .. } => {
            return io::Error::new(
                io::ErrorKind::NotFound,
                "the storage has no such object, or no such bucket",
            );
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            (io::ErrorKind::PermissionDenied, "the storage of documents does not let this server in")
        }
        _ => (io::ErrorKind::NotConnected, "the storage of documents is away"),
    };
    tracing::warn!(why = without_names(&error.to_string()), "{what}");
    io::Error::new(kind, what)
}

/// Leaves the names of documents out of a text.
fn without_names(text: &str) -> String {
    let is_name = |word: &str| word.len() == 64 && sha256_of(word).is_some();
    let words = text.split_inclusive(|c: char| !c.is_ascii_hexdigit());
    words
        .map(|word| {
            let name = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if is_name(name) { word.replace(name, "[document]") } else { word.to_owned() }
        })
        .collect()
}

impl Documents for DocumentBucket {
    fn begin(&self) -> io::Result<Box<dyn Upload>> {
        Ok(Box::new(Writing { arriving: Arriving::begin(&self.incomplete)?, bucket: self.clone() }))
    }

    fn open(&self, content: &Content) -> io::Result<Box<dyn Read + Send>> {
        let place = self.place_of(&content.sha256);
        let range = (content.size > 0).then(|| GetRange::Bounded(0..content.size.min(RANGE_BYTES)));
        let (size, chunk) = self.read(&place, range)?;
        if size != content.size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a stored document has another size"));
        }
        let at = chunk.len() as u64;
        Ok(Box::new(Reading { bucket: self.clone(), place, size, at, chunk }))
    }
}

impl DocumentStore for DocumentBucket {
    fn sweep(
        &self,
        age: std::time::Duration,
        is_referred: &mut dyn FnMut(&[u8; 32]) -> Result<bool, SweepError>,
    ) -> Result<u64, SweepError> {
        self.claim()?;
        let mut listed = self.objects.list(Some(&self.prefix));
        let mut swept = 0;
        while let Some(found) = self.runtime.block_on(listed.next()) {
            let found = found.map_err(|error| failed(&error))?;
            let Some(sha256) = found.location.filename().and_then(sha256_of) else { continue };
            // What lies deeper is of another server.
            if found.location != self.place_of(&sha256) {
                continue;
            }
            let is_old = SystemTime::from(found.last_modified).elapsed().is_ok_and(|since| since > age);
            // Most are referred to, which is known here without asking the storage.
            if is_old && !is_referred(&sha256)? {
                swept += u64::from(self.remove_unreferred(&found.location, &sha256, age, is_referred)?);
            }
        }
        Ok(swept)
    }
}

struct Writing {
    arriving: Arriving,
    bucket: DocumentBucket,
}

impl Upload for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.arriving.write(bytes)
    }

    fn finish(self: Box<Self>) -> io::Result<Content> {
        let Writing { arriving, bucket } = *self;
        let (content, mut file) = arriving.finish();
        bucket.claim()?;
        let place = bucket.place_of(&content.sha256);
        if !bucket.is_there(&place, &content)? {
            bucket.store(&place, file.as_file_mut(), content.size)?;
        }
        Ok(content)
    }

    fn pass_on(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        self.arriving.pass_on()
    }
}

/// A document that is being read, part by part.
struct Reading {
    bucket: DocumentBucket,
    place: Path,
    size: u64,
    /// How many bytes were asked for.
    at: u64,
    /// What came and was not read.
    chunk: Bytes,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && self.at < self.size {
            // What was read is let go before more comes.
            self.chunk = Bytes::new();
            let end = self.size.min(self.at + RANGE_BYTES);
            let (_, chunk) = self.bucket.read(&self.place, Some(GetRange::Bounded(self.at..end)))?;
            if chunk.len() as u64 != end - self.at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (self.at, self.chunk) = (end, chunk);
        }
        let count = buffer.len().min(self.chunk.len());
        let given = self.chunk.split_to(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&given);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store::memory::InMemory;

    use super::*;

    fn bucket(objects: &Arc<InMemory>, owner: &str, folder: &std::path::Path) -> io::Result<DocumentBucket> {
        let objects: Arc<dyn ObjectStore> = objects.clone();
        DocumentBucket::open(objects, Path::from("region/documents"), owner.to_owned(), folder.to_owned())
    }

    fn store(documents: &DocumentBucket, bytes: &[u8]) -> Content {
        let mut upload = documents.begin().expect("begun");
        for chunk in bytes.chunks(1 << 20) {
            upload.write(chunk).expect("written");
        }
        upload.finish().expect("stored")
    }

    fn read(documents: &DocumentBucket, content: &Content) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        documents.open(content)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_is_stored_comes_back_whatever_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Arc::new(InMemory::new());
        let documents = bucket(&objects, "a", folder.path()).expect("opened");
        for size in [
            0,
            1,
            RANGE_BYTES,
            RANGE_BYTES + 1,
            PART_BYTES - 1,
            PART_BYTES,
            PART_BYTES + 1,
            2 * PART_BYTES + 5,
        ] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let content = store(&documents, &bytes);
            assert_eq!(content.size, size);
            assert_eq!(store(&documents, &bytes), content);
            assert!(read(&documents, &content).expect("read") == bytes, "{size}");
            // No range of an empty object is one.
            let longer = Content { size: size + 1, ..content };
            let refused = read(&documents, &longer).map(drop).map_err(|error| error.kind());
            let expected = if size == 0 { io::ErrorKind::NotConnected } else { io::ErrorKind::InvalidData };
            assert_eq!(refused, Err(expected), "{size}");
        }
        let absent = Content { sha256: [7; 32], size: 3 };
        assert_eq!(read(&documents, &absent).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
        // What arrived is nowhere else.
        let files = std::fs::read_dir(folder.path().join("incomplete")).expect("a folder");
        assert_eq!(files.count(), 0);
    }

    #[test]
    fn a_place_has_one_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Arc::new(InMemory::new());
        let first = bucket(&objects, "a", folder.path()).expect("opened");
        let content = store(&first, b"abc");
        let again = bucket(&objects, "a", folder.path()).expect("opened again");
        assert_eq!(read(&again, &content).expect("read"), b"abc");
        let other = bucket(&objects, "b", folder.path());
        assert_eq!(other.map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
    }

    #[test]
    fn what_nothing_refers_to_is_swept_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents = bucket(&Arc::new(InMemory::new()), "a", folder.path()).expect("opened");
        let (kept, unreferred) = (store(&documents, b"kept"), store(&documents, b"unreferred"));
        let mut is_referred = |sha256: &[u8; 32]| Ok(*sha256 == kept.sha256);
        assert_eq!(documents.sweep(SWEPT_AFTER, &mut is_referred).expect("swept"), 0);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(documents.sweep(Duration::ZERO, &mut is_referred).expect("swept"), 1);
        assert_eq!(read(&documents, &kept).expect("read"), b"kept");
        assert!(read(&documents, &unreferred).is_err());
        // Whose the place is stays, and what is another's below it.
        let deeper = documents.prefix.clone().join("one").join(hexadecimal::encode(&[7; 32]));
        documents.ask(documents.objects.put(&deeper, PutPayload::from_static(b"x"))).expect("stored");
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(documents.sweep(Duration::ZERO, &mut is_referred).expect("swept"), 0);
        let name = hexadecimal::encode(&kept.sha256);
        assert_eq!(
            without_names(&format!("PUT http://a/{name}?x - deadbeef")),
            "PUT http://a/[document]?x - deadbeef"
        );
    }
}

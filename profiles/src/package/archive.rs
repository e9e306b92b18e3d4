//! The files of a package: those of a `.tgz`, read as a stream, or of an
//! unpacked folder.
//!
//! What is not a plain file in its place is refused: a path that leads out, a
//! link, a device. What decompresses to far more than it is, is read no
//! further. No entry's path is ever used to open or make a file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fhir_model::primitive::hexadecimal;
use flate2::read::GzDecoder;
use ring::digest::{Context, SHA256};
use tar::EntryType;

use super::{
    COMPRESSED_BYTES_MAX, DECOMPRESSED_BYTES_MAX, ENTRIES_MAX, MANIFEST_BYTES_MAX, Manifest, PackageError,
    RATIO_FREE_BYTES, RATIO_MAX, RESOURCE_BYTES_MAX, parse_manifest,
};

/// The name of the file with the manifest.
pub(super) const MANIFEST: &str = "package.json";

/// The greatest length of a path, and of the header that tells a long one, in bytes.
const PATH_BYTES_MAX: u64 = 4096;

/// What a package was, once its files were given away.
pub(super) struct Contents {
    pub(super) manifest: Manifest,
    /// The SHA-256 of the `.tgz` (of a folder: of its files), in hexadecimal.
    pub(super) sha256: String,
}

/// Gives each JSON file right in `package/`, but its manifest and index, to `each`.
pub(super) fn each_file(
    tgz: impl Read,
    mut each: impl FnMut(&str, Vec<u8>) -> Result<(), PackageError>,
) -> Result<Contents, PackageError> {
    let mut archive = tar::Archive::new(Bounded::new(tgz));
    let read = walk(&mut archive, &mut each);
    let bounded = archive.into_inner();
    // Whatever error a passed limit turned into on its way: it was the limit.
    if let Some(limit) = bounded.passed {
        return Err(PackageError::TooLarge(limit));
    }
    let manifest = read?.ok_or(PackageError::Manifest)?;
    Ok(Contents { manifest, sha256: bounded.finish()? })
}

/// Reads the manifest of a `.tgz` alone.
pub(super) fn manifest_of(tgz: impl Read) -> Result<Manifest, PackageError> {
    let mut archive = tar::Archive::new(Bounded::new(tgz));
    let mut long_path = None;
    for (index, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        let Some(path) = path_of_file(&mut entry, &mut long_path)? else { continue };
        if path == "package/package.json" {
            return read_manifest(&mut entry);
        }
        if index >= ENTRIES_MAX {
            break;
        }
    }
    Err(PackageError::Manifest)
}

fn walk(
    archive: &mut tar::Archive<impl Read>,
    each: &mut impl FnMut(&str, Vec<u8>) -> Result<(), PackageError>,
) -> Result<Option<Manifest>, PackageError> {
    let mut manifest = None;
    let mut long_path = None;
    for (index, entry) in archive.entries()?.raw(true).enumerate() {
        if index >= ENTRIES_MAX {
            return Err(PackageError::TooLarge("too many entries"));
        }
        let mut entry = entry?;
        let Some(path) = path_of_file(&mut entry, &mut long_path)? else { continue };
        let Some(file) = path.strip_prefix("package/").filter(|f| f.ends_with(".json") && !f.contains('/'))
        else {
            continue;
        };
        match file {
            MANIFEST if manifest.is_some() => return Err(PackageError::Manifest),
            MANIFEST => manifest = Some(read_manifest(&mut entry)?),
            ".index.json" => {}
            _ => each(file, read_entry(&mut entry, RESOURCE_BYTES_MAX)?)?,
        }
    }
    Ok(manifest)
}

/// Returns the path of an entry that is a file; `None` for what tells of the
/// next entry, and for folders.
fn path_of_file<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    long_path: &mut Option<Vec<u8>>,
) -> Result<Option<String>, PackageError> {
    let kind = entry.header().entry_type();
    match kind {
        EntryType::XHeader | EntryType::GNULongName => {
            if entry.size() > PATH_BYTES_MAX {
                return Err(PackageError::TooLarge("the path of a file"));
            }
            *long_path = long_path_in(entry, kind)?.or(long_path.take());
            return Ok(None);
        }
        EntryType::XGlobalHeader | EntryType::GNULongLink => return Ok(None),
        _ => {}
    }
    let path = long_path.take().unwrap_or_else(|| entry.path_bytes().into_owned());
    let path = String::from_utf8_lossy(&path).into_owned();
    if leads_out(&path) {
        return Err(PackageError::Path(path));
    }
    match kind {
        EntryType::Regular | EntryType::Continuous => Ok(Some(path)),
        EntryType::Directory => Ok(None),
        _ => Err(PackageError::NoFile(path)),
    }
}

/// Reads the path that is told ahead of an entry, being too long for its header.
fn long_path_in<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    kind: EntryType,
) -> Result<Option<Vec<u8>>, PackageError> {
    if kind == EntryType::GNULongName {
        let mut path = read_entry(entry, PATH_BYTES_MAX)?;
        while path.last() == Some(&0) {
            path.pop();
        }
        return Ok(Some(path));
    }
    let mut path = None;
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if extension.key_bytes() == b"path" {
            path = Some(extension.value_bytes().to_vec());
        }
    }
    Ok(path)
}

/// Tells whether a path leads out of the folder that it is taken to lie in.
fn leads_out(path: &str) -> bool {
    let is_drive = path.as_bytes().get(1) == Some(&b':');
    path.starts_with(['/', '\\'])
        || is_drive
        || path.contains('\0')
        || path.split(['/', '\\']).any(|part| part == "..")
}

fn read_manifest(file: &mut tar::Entry<'_, impl Read>) -> Result<Manifest, PackageError> {
    parse_manifest(&read_entry(file, MANIFEST_BYTES_MAX)?).ok_or(PackageError::Manifest)
}

fn read_entry<R: Read>(entry: &mut tar::Entry<'_, R>, bytes_max: u64) -> Result<Vec<u8>, PackageError> {
    let size = entry.size();
    if size > bytes_max {
        return Err(PackageError::TooLarge("one file is over the limit"));
    }
    // What the header promises is believed when it has come.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(1 << 20));
    entry.read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(PackageError::Archive(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

/// As [`each_file`], of a folder: itself, or its `package` folder.
pub(super) fn each_file_of_folder(
    folder: &Path,
    mut each: impl FnMut(&str, Vec<u8>) -> Result<(), PackageError>,
) -> Result<Contents, PackageError> {
    let inner = folder.join("package");
    let folder = if inner.join(MANIFEST).exists() { inner } else { folder.to_owned() };
    let mut hash = Context::new(&SHA256);
    let mut manifest = None;
    for (file, path) in files_of(&folder)? {
        let limit = if file == MANIFEST { MANIFEST_BYTES_MAX } else { RESOURCE_BYTES_MAX };
        let mut bytes = Vec::new();
        File::open(&path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(PackageError::TooLarge("one file is over the limit"));
        }
        hash.update(format!("{file}\0{}\0", bytes.len()).as_bytes());
        hash.update(&bytes);
        if file == MANIFEST {
            manifest = Some(parse_manifest(&bytes).ok_or(PackageError::Manifest)?);
        } else {
            each(&file, bytes)?;
        }
    }
    Ok(Contents { manifest: manifest.ok_or(PackageError::Manifest)?, sha256: hexadecimal(hash) })
}

/// Returns the JSON files of a folder, in order.
fn files_of(folder: &Path) -> Result<Vec<(String, PathBuf)>, PackageError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if !file.ends_with(".json") || file == ".index.json" {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            return Err(PackageError::NoFile(file));
        }
        if files.len() >= ENTRIES_MAX {
            return Err(PackageError::TooLarge("too many entries"));
        }
        files.push((file, entry.path()));
    }
    files.sort();
    Ok(files)
}

/// Reads the manifest of an unpacked package alone.
pub(super) fn manifest_of_folder(folder: &Path) -> Option<Manifest> {
    let inner = folder.join("package").join(MANIFEST);
    let path = if inner.exists() { inner } else { folder.join(MANIFEST) };
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    parse_manifest(&bytes)
}

/// Decompresses within limits, and hashes what it reads.
struct Bounded<R: Read> {
    inner: GzDecoder<BufReader<Hashed<R>>>,
    decompressed: u64,
    /// The limit that was passed.
    passed: Option<&'static str>,
}

impl<R: Read> Bounded<R> {
    fn new(tgz: R) -> Bounded<R> {
        let hashed = Hashed { inner: tgz, hash: Context::new(&SHA256), bytes: 0 };
        Bounded { inner: GzDecoder::new(BufReader::new(hashed)), decompressed: 0, passed: None }
    }

    /// Reads what is left behind the archive, and returns the hash of all.
    fn finish(self) -> Result<String, PackageError> {
        let mut hashed = self.inner.into_inner().into_inner();
        let left = io::copy(&mut (&mut hashed).take(COMPRESSED_BYTES_MAX), &mut io::sink())?;
        if left >= COMPRESSED_BYTES_MAX {
            return Err(PackageError::TooLarge("the file"));
        }
        Ok(hexadecimal(hashed.hash))
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.decompressed += read as u64;
        let compressed = self.inner.get_ref().get_ref().bytes.max(1);
        if self.decompressed > DECOMPRESSED_BYTES_MAX {
            self.passed = Some("decompressed");
        } else if self.decompressed > RATIO_FREE_BYTES && self.decompressed / compressed > RATIO_MAX {
            self.passed = Some("decompressed, for the size of its file");
        }
        match self.passed {
            Some(limit) => Err(io::Error::other(limit)),
            None => Ok(read),
        }
    }
}

struct Hashed<R> {
    inner: R,
    hash: Context,
    bytes: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Writes a hash as it is kept with a package.
pub(super) fn hexadecimal(hash: Context) -> String {
    hexadecimal::encode(hash.finish().as_ref())
}

#[cfg(test)]
mod tests;

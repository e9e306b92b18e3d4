//! Where documents come from: files, folders, `.tar`, gzip and zstd, told by
//! their content and not by their names. Everything is read as a stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The greatest size of one document, in bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// A document, or why it could not be read.
pub struct Document {
    /// Where it comes from: file, entry of the archive, line.
    pub name: String,
    /// Its bytes.
    pub content: Result<Vec<u8>, String>,
}

/// Lists the files of paths, folders with all that is in them, sorted by name.
pub fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in paths {
        collect(path, &mut out);
    }
    out
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        out.push(path.to_owned());
        return;
    }
    let mut inside: Vec<PathBuf> =
        std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    inside.sort();
    for path in &inside {
        collect(path, out);
    }
}

/// Reads the documents of a file and hands them to `each`, which says whether
/// to go on. `read` is told of the bytes of the file as they are read.
pub fn documents(path: &Path, read: impl Fn(u64), each: &mut dyn FnMut(Document) -> bool) {
    let name = path.display().to_string();
    let opened = File::open(path).map(|file| Counted { inner: file, read });
    let result =
        opened.and_then(|file| stream(&name, Box::new(BufReader::with_capacity(1 << 16, file)), 0, each));
    if let Err(error) = result {
        each(Document { name, content: Err(error.to_string()) });
    }
}

struct Counted<R, F> {
    inner: R,
    read: F,
}

impl<R: Read, F: Fn(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        (self.read)(bytes as u64);
        Ok(bytes)
    }
}

/// How often something packed may be packed again.
const LAYERS_MAX: usize = 3;

fn stream(
    name: &str,
    mut input: Box<dyn BufRead + '_>,
    layer: usize,
    each: &mut dyn FnMut(Document) -> bool,
) -> std::io::Result<()> {
    let head = input.fill_buf()?;
    if layer < LAYERS_MAX && head.starts_with(&[0x1f, 0x8b]) {
        let inner = BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(input));
        return stream(name, Box::new(inner), layer + 1, each);
    }
    if layer < LAYERS_MAX && head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let inner = BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::with_buffer(input)?);
        return stream(name, Box::new(inner), layer + 1, each);
    }
    if is_tar(head) {
        return archive(name, input, each);
    }
    if is_ndjson(name) {
        return lines(name, input, each);
    }
    let mut bytes = Vec::new();
    let read = input.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let content =
        if read as u64 > DOCUMENT_BYTES_MAX { Err("larger than 1 GiB".to_owned()) } else { Ok(bytes) };
    each(Document { name: name.to_owned(), content });
    Ok(())
}

fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

fn is_ndjson(name: &str) -> bool {
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    name.ends_with(".ndjson") || name.ends_with(".jsonl")
}

fn archive(
    name: &str,
    input: Box<dyn BufRead + '_>,
    each: &mut dyn FnMut(Document) -> bool,
) -> std::io::Result<()> {
    for entry in tar::Archive::new(input).entries()? {
        let mut entry = entry?;
        let inner = entry.path()?.display().to_string();
        let wanted = [".json", ".xml", ".ndjson", ".jsonl"].iter().any(|e| inner.ends_with(e));
        if !entry.header().entry_type().is_file() || !wanted {
            continue;
        }
        let inner_name = format!("{name}:{inner}");
        if is_ndjson(&inner) {
            lines(&inner_name, Box::new(BufReader::new(entry)), each)?;
            continue;
        }
        let content = if entry.size() > DOCUMENT_BYTES_MAX {
            Err("larger than 1 GiB".to_owned())
        } else {
            let mut bytes = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0));
            entry.read_to_end(&mut bytes).map(|_| bytes).map_err(|e| e.to_string())
        };
        if !each(Document { name: inner_name, content }) {
            return Ok(());
        }
    }
    Ok(())
}

fn lines(
    name: &str,
    mut input: Box<dyn BufRead + '_>,
    each: &mut dyn FnMut(Document) -> bool,
) -> std::io::Result<()> {
    let mut number = 0u64;
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(DOCUMENT_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if !each(Document { name: format!("{name}:{number}"), content: Ok(line) }) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).expect("appended");
        }
        builder.into_inner().expect("finished")
    }

    #[test]
    fn packing_is_told_by_content() {
        let folder = tempfile::tempdir().expect("folder");
        let tar = tar_of(&[("a.json", b"{}"), ("b.ndjson", b"{1}\n\n{2}\n"), ("c.png", b"no")]);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).expect("packed");
        let files: [(&str, Vec<u8>); 5] = [
            ("1.tar", tar.clone()),
            ("2.bin", zstd::encode_all(tar.as_slice(), 1).expect("packed")),
            ("3.tgz", gz.finish().expect("packed")),
            ("4.ndjson", b"{1}\n{2}".to_vec()),
            ("5.json", b"{}".to_vec()),
        ];
        for (name, bytes) in &files {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        }
        for ((name, _), expected) in files.iter().zip([3, 3, 3, 2, 1]) {
            let mut found = Vec::new();
            documents(&folder.path().join(name), |_| {}, &mut |d| {
                found.push(d.content.expect("readable"));
                true
            });
            assert_eq!(found.len(), expected, "{name}");
        }
        assert_eq!(super::files(&[folder.path().to_owned()]).len(), 5);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let mut told = Vec::new();
        documents(Path::new("/nothing/there.json"), |_| {}, &mut |d| {
            told.push(d.content.is_err());
            true
        });
        assert_eq!(told, [true]);
    }
}

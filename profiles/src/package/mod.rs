//! FHIR packages: the `.tgz` files in which specifications and implementation
//! guides publish their definitions.
//!
//! A package is read as a stream with limits on everything, and no entry's
//! path is ever used as one, so it cannot lead anywhere. [`store`] is the
//! folder of packages that are installed.
//!
//! Spec: <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>

mod archive;
pub mod store;

use std::collections::BTreeMap;
use std::io::Read;

use fhir_model::json::{self, ReadError};
use fhir_model::schema::name;
use fhir_model::tree::Resource;

/// The greatest size of a package once decompressed, in bytes.
pub const DECOMPRESSED_BYTES_MAX: u64 = 2 << 30;

/// The greatest size of a package's file, in bytes.
pub const COMPRESSED_BYTES_MAX: u64 = 1 << 30;

/// How many times its size a package may decompress to, beyond
/// [`RATIO_FREE_BYTES`]. The core package comes to 8 times its size.
pub const RATIO_MAX: u64 = 100;

/// The bytes that any package may decompress to, however small it is.
pub const RATIO_FREE_BYTES: u64 = 64 << 20;

/// The greatest size of a manifest, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The greatest size of one resource in a package, in bytes.
pub const RESOURCE_BYTES_MAX: u64 = 64 << 20;

/// The greatest number of entries in a package.
pub const ENTRIES_MAX: usize = 200_000;

/// Why a package could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not a gzipped tar archive, or a broken one.
    #[error("the package cannot be read, or not be stored: {0}")]
    Archive(#[from] std::io::Error),
    /// No `package/package.json`, or one without name and version.
    #[error("package/package.json is missing, or has no name and version")]
    Manifest,
    /// A name or version that cannot be one.
    #[error("`{0}` is no name or version of a package")]
    Name(String),
    /// There is no such package.
    #[error("the package {0} is not installed")]
    NotInstalled(String),
    /// Others need the package.
    #[error("the package {0} is needed by {1}")]
    Needed(String, String),
    /// A path that leads out of the package.
    #[error("the package has a file outside of itself: `{0}`")]
    Path(String),
    /// A link or a device, where packages have files and folders alone.
    #[error("`{0}` in the package is neither a file nor a folder")]
    NoFile(String),
    /// The same name and version, but other content.
    #[error("{0} is installed with other content, and was not to be replaced")]
    Changed(String),
    /// A limit was passed.
    #[error("the package is larger than allowed: {0}")]
    TooLarge(&'static str),
}

/// The manifest of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// Its name, such as `hl7.fhir.r4.core`.
    pub name: String,
    /// Its version, such as `4.0.1`.
    pub version: String,
    /// The packages that it needs: name to version.
    pub dependencies: BTreeMap<String, String>,
}

/// A package, read.
#[derive(Debug)]
pub struct Package {
    /// What it is and needs.
    pub manifest: Manifest,
    /// Its resources, in the order of the archive.
    pub resources: Vec<Resource>,
    /// The files of `package/` that are JSON, but no R4 resource, and why.
    pub refused: Vec<(String, ReadError)>,
}

impl Package {
    /// Reads a package.
    ///
    /// # Errors
    /// When the archive or its manifest is not what it should be, or a limit
    /// is passed. A resource that cannot be read is listed in
    /// [`Package::refused`].
    pub fn read(tgz: impl Read) -> Result<Package, PackageError> {
        let mut package =
            Package { manifest: Manifest::default(), resources: Vec::new(), refused: Vec::new() };
        let contents = archive::each_file(tgz, |file, bytes| {
            match json::read(bytes) {
                Ok(resource) => package.resources.push(resource),
                Err(error) => package.refused.push((file.to_owned(), error)),
            }
            Ok(())
        })?;
        package.manifest = contents.manifest;
        Ok(package)
    }

    /// Finds the definition with a canonical URL, `url` or `url|version`.
    pub fn definition(&self, canonical: &str) -> Option<&Resource> {
        let (url, version) = match canonical.split_once('|') {
            Some((url, version)) => (url, Some(version)),
            None => (canonical, None),
        };
        self.resources.iter().find(|r| {
            r.root().text_of(name::URL) == Some(url)
                && version.is_none_or(|v| r.root().text_of(name::VERSION) == Some(v))
        })
    }
}

fn parse_manifest(bytes: &[u8]) -> Option<Manifest> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    let dependencies = value.get("dependencies").and_then(|d| d.as_object()).into_iter().flatten();
    Some(Manifest {
        name: text("name")?,
        version: text("version")?,
        dependencies: dependencies.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn tgz(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, content.as_bytes()).expect("appended");
        }
        builder.into_inner().and_then(|gz| gz.finish()).expect("finished")
    }

    #[test]
    fn definitions_are_found_by_canonical() {
        let bytes = tgz(&[
            ("package/package.json", r#"{"name":"a.b","version":"1.0","dependencies":{"c":"2.x"}}"#),
            (
                "package/ValueSet-x.json",
                r#"{"resourceType":"ValueSet","url":"http://x","version":"3","status":"active"}"#,
            ),
            ("package/bad.json", r#"{"resourceType":"Nothing"}"#),
            ("package/other/skipped.json", "not looked at"),
        ]);
        let package = Package::read(bytes.as_slice()).expect("readable");
        assert_eq!(package.manifest.name, "a.b");
        assert_eq!(package.manifest.dependencies.get("c").map(String::as_str), Some("2.x"));
        for (canonical, found) in
            [("http://x", true), ("http://x|3", true), ("http://x|4", false), ("http://y", false)]
        {
            assert_eq!(package.definition(canonical).is_some(), found, "{canonical}");
        }
        assert_eq!(package.refused.iter().map(|r| r.0.as_str()).collect::<Vec<_>>(), ["bad.json"]);
    }

    #[test]
    fn what_is_no_package_is_refused() {
        for bytes in [
            Vec::new(),
            b"not gzip".to_vec(),
            tgz(&[("package/x.json", "{}")]),
            tgz(&[("package/package.json", "{}")]),
        ] {
            assert!(Package::read(bytes.as_slice()).is_err());
        }
    }
}

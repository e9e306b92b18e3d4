//! The folder of packages that are installed.
//!
//! Each package has a folder `name#version` with its manifest, its resources
//! one a line, and an index that tells where each definition stands, so that
//! opening the folder reads the indexes alone and a definition is read when
//! it is asked for.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_model::json;
use fhir_model::schema::{TypeId, name};

use super::{Manifest, PackageError, each_file, parse_manifest};
use crate::definitions::{Definition, Definitions, compare_versions};

const MANIFEST: &str = "package.json";
const RESOURCES: &str = "resources.ndjson";
const INDEX: &str = "index.tsv";

/// What an installation came to.
#[derive(Debug, Clone, Default)]
pub struct Installed {
    /// What was installed, dependencies first.
    pub packages: Vec<Manifest>,
    /// Resources stored.
    pub resources: usize,
    /// Files that are no R4 resources, and why.
    pub refused: Vec<(String, String)>,
    /// Dependencies that are neither installed nor in the folders given, as `name#version`.
    pub missing: Vec<String>,
}

/// The packages of a folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Names the folder; it is made when something is installed.
    pub fn new(folder: impl Into<PathBuf>) -> Store {
        Store { folder: folder.into() }
    }

    /// Lists what is installed, by name and version.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Manifest>, PackageError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if let Ok(bytes) = std::fs::read(path.join(MANIFEST))
                && let Some(manifest) = parse_manifest(&bytes)
                && path.file_name().is_some_and(|n| n.to_string_lossy() == folder_name(&manifest))
            {
                all.push(manifest);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| compare_versions(&a.version, &b.version)));
        Ok(all)
    }

    /// Installs a package from a `.tgz` file or an unpacked folder, and what it
    /// needs where that lies in one of `sources` as `.tgz`. `seen` is told of
    /// each resource. A package that is there already is installed anew.
    ///
    /// # Errors
    /// When it cannot be read or written. Nothing is half installed.
    pub fn install(
        &self,
        package: &Path,
        sources: &[PathBuf],
        mut seen: impl FnMut(usize),
    ) -> Result<Installed, PackageError> {
        let mut installed = Installed::default();
        let manifest = self.install_one(package, &mut installed, &mut seen)?;
        let mut waiting = vec![manifest];
        while let Some(manifest) = waiting.pop() {
            for (name, version) in &manifest.dependencies {
                let fits = |m: &Manifest| m.name == *name && version_fits(&m.version, version);
                if self.list()?.iter().any(fits) || installed.packages.iter().any(fits) {
                    continue;
                }
                match find_source(sources, name, version)? {
                    Some(path) => waiting.push(self.install_one(&path, &mut installed, &mut seen)?),
                    None => {
                        let wanted = format!("{name}#{version}");
                        if !installed.missing.contains(&wanted) {
                            installed.missing.push(wanted);
                        }
                    }
                }
            }
        }
        installed.packages.reverse();
        Ok(installed)
    }

    fn install_one(
        &self,
        package: &Path,
        installed: &mut Installed,
        seen: &mut impl FnMut(usize),
    ) -> Result<Manifest, PackageError> {
        std::fs::create_dir_all(&self.folder)?;
        let making = tempfile::Builder::new().prefix(".installing-").tempdir_in(&self.folder)?;
        let mut resources = BufWriter::new(File::create(making.path().join(RESOURCES))?);
        let mut index = BufWriter::new(File::create(making.path().join(INDEX))?);
        let mut offset = 0_u64;
        let mut each = |file: &str, bytes: Vec<u8>| -> Result<(), PackageError> {
            seen(1);
            let resource = match json::read(bytes) {
                Ok(resource) => resource,
                Err(error) => {
                    installed.refused.push((file.to_owned(), error.to_string()));
                    return Ok(());
                }
            };
            // Written anew, so that it stands on one line.
            let line = json::to_json(&resource);
            let root = resource.root();
            let text = |part| root.text_of(part).unwrap_or_default();
            let fields =
                [root.ty().name(), resource.id().unwrap_or_default(), text(name::URL), text(name::VERSION)];
            if !fields[2].is_empty() && fields.iter().all(|f| !f.contains(['\t', '\n', '\r'])) {
                writeln!(index, "{}\t{offset}\t{}", fields.join("\t"), line.len())?;
            }
            resources.write_all(&line)?;
            resources.write_all(b"\n")?;
            offset += line.len() as u64 + 1;
            installed.resources += 1;
            Ok(())
        };
        let manifest = if package.is_dir() {
            each_file_of_folder(package, &mut each)?
        } else {
            each_file(BufReader::new(File::open(package)?), &mut each)?
        };
        for part in [&manifest.name, &manifest.version] {
            if !is_name(part) {
                return Err(PackageError::Name(part.clone()));
            }
        }
        for mut file in [resources, index] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        let text = serde_json::json!({
            "name": manifest.name, "version": manifest.version, "dependencies": manifest.dependencies,
        });
        std::fs::write(making.path().join(MANIFEST), text.to_string())?;
        let target = self.folder.join(folder_name(&manifest));
        if target.exists() {
            std::fs::remove_dir_all(&target)?;
        }
        std::fs::rename(making.keep(), &target)?;
        installed.packages.push(manifest.clone());
        Ok(manifest)
    }

    /// Removes a package; `force` although others need it.
    ///
    /// # Errors
    /// When it is not installed, is needed, or cannot be removed.
    pub fn remove(&self, name: &str, version: &str, force: bool) -> Result<(), PackageError> {
        let all = self.list()?;
        let called = format!("{name}#{version}");
        let Some(manifest) = all.iter().find(|m| m.name == name && m.version == version) else {
            return Err(PackageError::NotInstalled(called));
        };
        let others_fit = |wanted: &str| {
            all.iter().any(|m| m.name == name && m.version != version && version_fits(&m.version, wanted))
        };
        let needs = |m: &&Manifest| {
            m.dependencies
                .get(name)
                .is_some_and(|wanted| version_fits(version, wanted) && !others_fit(wanted))
        };
        if let Some(other) = all.iter().find(needs).filter(|_| !force) {
            return Err(PackageError::Needed(called, folder_name(other)));
        }
        std::fs::remove_dir_all(self.folder.join(folder_name(manifest)))?;
        Ok(())
    }

    /// Returns the definitions of all packages, each read when it is asked for.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn definitions(&self) -> Result<Definitions, PackageError> {
        let mut definitions = Definitions::new();
        for manifest in self.list()? {
            self.add_definitions(&manifest, &mut definitions)?;
        }
        Ok(definitions)
    }

    fn add_definitions(
        &self,
        manifest: &Manifest,
        definitions: &mut Definitions,
    ) -> Result<(), PackageError> {
        let folder = self.folder.join(folder_name(manifest));
        let resources: Arc<Path> = folder.join(RESOURCES).into();
        for line in BufReader::new(File::open(folder.join(INDEX))?).lines() {
            let line = line?;
            let fields: Vec<&str> = line.split('\t').collect();
            let [type_name, id, url, version, offset, length] = fields.as_slice() else { continue };
            let (Some(resource_type), Ok(offset), Ok(length)) =
                (TypeId::resource_named(type_name), offset.parse(), length.parse())
            else {
                continue;
            };
            let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
            let place = (Arc::clone(&resources), offset, length);
            definitions.add(Definition::in_file(
                resource_type,
                some(id),
                (*url).to_owned(),
                some(version),
                place,
            ));
        }
        Ok(())
    }
}

fn folder_name(manifest: &Manifest) -> String {
    format!("{}#{}", manifest.name, manifest.version)
}

/// Tells whether a text may be a part of the name of a folder.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
}

/// Tells whether a version is what a dependency asks for: itself, `4.0.x`, `latest`.
fn version_fits(version: &str, wanted: &str) -> bool {
    match wanted.strip_suffix(".x") {
        Some(beginning) => version.strip_prefix(beginning).is_some_and(|rest| rest.starts_with('.')),
        None => version == wanted || matches!(wanted, "latest" | "current" | "*" | "x"),
    }
}

/// Finds a package in folders of `.tgz` files: the newest that fits.
fn find_source(sources: &[PathBuf], name: &str, version: &str) -> Result<Option<PathBuf>, PackageError> {
    let mut found: Option<(String, PathBuf)> = None;
    for folder in sources {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            // By the name of the file first: reading every package would take long.
            if !file.ends_with(".tgz") || !file.starts_with(name) {
                continue;
            }
            let Ok(manifest) = manifest_of(&path) else { continue };
            let is_newer = found.as_ref().is_none_or(|(v, _)| compare_versions(&manifest.version, v).is_gt());
            if manifest.name == name && version_fits(&manifest.version, version) && is_newer {
                found = Some((manifest.version, path));
            }
        }
    }
    Ok(found.map(|(_, path)| path))
}

/// Reads the manifest of a package alone.
///
/// # Errors
/// When it is no package.
pub fn manifest_of(tgz: &Path) -> Result<Manifest, PackageError> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(tgz)?));
    for entry in archive.entries()?.take(super::ENTRIES_MAX) {
        let mut entry = entry?;
        if entry.path()?.to_str() == Some("package/package.json") && entry.size() < 1 << 20 {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return parse_manifest(&bytes).ok_or(PackageError::Manifest);
        }
    }
    Err(PackageError::Manifest)
}

/// As `each_file`, of a folder: itself, or its `package` folder.
fn each_file_of_folder(
    folder: &Path,
    mut each: impl FnMut(&str, Vec<u8>) -> Result<(), PackageError>,
) -> Result<Manifest, PackageError> {
    let inner = folder.join("package");
    let folder = if inner.join(MANIFEST).is_file() { inner } else { folder.to_owned() };
    let manifest = std::fs::read(folder.join(MANIFEST)).ok().and_then(|bytes| parse_manifest(&bytes));
    let manifest = manifest.ok_or(PackageError::Manifest)?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder)?.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect();
    files.sort();
    for path in files.into_iter().take(super::ENTRIES_MAX) {
        let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !file.ends_with(".json") || file == MANIFEST || file == ".index.json" {
            continue;
        }
        if std::fs::metadata(&path)?.len() > super::RESOURCE_BYTES_MAX {
            return Err(PackageError::TooLarge("one file is over the limit"));
        }
        each(&file, std::fs::read(&path)?)?;
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use fhir_model::schema::ty;

    use super::super::tests::tgz;
    use super::*;

    fn package(name: &str, version: &str, dependencies: &str, value_set: &str) -> Vec<u8> {
        let manifest =
            format!(r#"{{"name":"{name}","version":"{version}","dependencies":{{{dependencies}}}}}"#);
        let value_set = format!(
            r#"{{"resourceType":"ValueSet","id":"v","url":"{value_set}","version":"{version}","status":"active","name":"è"}}"#
        );
        tgz(&[
            ("package/package.json", &manifest),
            ("package/ValueSet-v.json", &value_set),
            ("package/odd.json", r#"{"resourceType":"Odd"}"#),
        ])
    }

    #[test]
    fn packages_are_installed_with_what_they_need() {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = folder.path().join("sources");
        std::fs::create_dir(&sources).expect("made");
        let write = |file: &str, bytes: Vec<u8>| {
            let path = sources.join(file);
            std::fs::write(&path, bytes).expect("written");
            path
        };
        write("b.tgz", package("b", "1.0.2", "", "http://b"));
        write("b-old.tgz", package("b", "1.0.1", "", "http://b"));
        let a = write("a.tgz", package("a", "2.0", r#""b":"1.0.x","c":"3""#, "http://a"));
        let store = Store::new(folder.path().join("packages"));
        let installed = store.install(&a, std::slice::from_ref(&sources), |_| {}).expect("installed");
        assert_eq!(installed.missing, ["c#3"]);
        assert_eq!(installed.refused.len(), 2);
        let listed: Vec<String> = store.list().expect("listed").iter().map(folder_name).collect();
        assert_eq!(listed, ["a#2.0", "b#1.0.2"]);
        let definitions = store.definitions().expect("read");
        for url in ["http://a", "http://b|1.0.2"] {
            let found = definitions.resource(ty::VALUE_SET, url).expect(url);
            assert_eq!(found.root().text_of(name::NAME), Some("è"));
        }
        assert!(matches!(store.remove("b", "1.0.2", false), Err(PackageError::Needed(..))));
        assert!(matches!(store.remove("b", "7", false), Err(PackageError::NotInstalled(_))));
        store.remove("a", "2.0", false).expect("removed");
        store.remove("b", "1.0.2", false).expect("removed");
        assert!(store.list().expect("listed").is_empty());
    }

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["../out", "a/b", "", ".hidden", "a#b"] {
            let path = folder.path().join("x.tgz");
            std::fs::write(&path, package(name, "1", "", "http://a")).expect("written");
            let store = Store::new(folder.path().join("packages"));
            assert!(matches!(store.install(&path, &[], |_| {}), Err(PackageError::Name(_))), "{name}");
            assert!(store.list().expect("listed").is_empty());
        }
        assert!(!folder.path().join("out#1").exists());
    }
}

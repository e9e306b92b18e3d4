//! The folder of packages that are installed.
//!
//! Each package has a folder `name#version` with its manifest, its resources
//! one a line, and an index that tells where each definition stands, so that
//! opening the folder reads the indexes alone and a definition is read when
//! it is asked for.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_model::json;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::Resource;

use super::archive::{self, MANIFEST};
use super::{Manifest, PackageError, RESOURCE_BYTES_MAX, parse_manifest};
use crate::definitions::{Definition, Definitions, compare_versions};

const RESOURCES: &str = "resources.ndjson";
const INDEX: &str = "index.tsv";
/// The greatest size of a resource as it is stored.
const STORED_BYTES_MAX: usize = 4 * RESOURCE_BYTES_MAX as usize;

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
    replaces: bool,
}

impl Store {
    /// Names the folder; it is made when something is installed.
    pub fn new(folder: impl Into<PathBuf>) -> Store {
        Store { folder: folder.into(), replaces: false }
    }

    /// Lets a package be replaced by one of the same name and version, but
    /// other content.
    #[must_use]
    pub fn replacing(self) -> Store {
        Store { replaces: true, ..self }
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
    /// needs where that lies in one of `sources`. `seen` is told of each
    /// resource. A package that is there already with the same content stays.
    ///
    /// # Errors
    /// When it cannot be read or written, or is there with other content and
    /// may not be [replaced](Store::replacing). Nothing is half installed.
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
        let mut making = Making::new(&self.folder)?;
        let mut each = |file: &str, bytes: Vec<u8>| -> Result<(), PackageError> {
            seen(1);
            let resource = match json::read(bytes) {
                Ok(resource) => resource,
                Err(error) => {
                    installed.refused.push((file.to_owned(), error.to_string()));
                    return Ok(());
                }
            };
            making.add(&resource)?;
            installed.resources += 1;
            Ok(())
        };
        let contents = if package.is_dir() {
            archive::each_file_of_folder(package, &mut each)?
        } else {
            archive::each_file(File::open(package)?, &mut each)?
        };
        let manifest = contents.manifest;
        self.finish(making, &manifest, &contents.sha256)?;
        installed.packages.push(manifest.clone());
        Ok(manifest)
    }

    /// Installs a package that was made here, of resources as JSON, one at a
    /// time; each may be as large as one that is read again may be.
    ///
    /// # Errors
    /// As [`Store::install`]; also when one is no R4 resource.
    pub fn install_made(
        &self,
        manifest: &Manifest,
        resources: impl Iterator<Item = Vec<u8>>,
    ) -> Result<usize, PackageError> {
        std::fs::create_dir_all(&self.folder)?;
        let mut making = Making::new(&self.folder)?;
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        let mut count = 0;
        for bytes in resources {
            if bytes.len() > STORED_BYTES_MAX {
                return Err(PackageError::TooLarge("one resource is over the limit"));
            }
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(&bytes);
            let made = json::read(bytes).map_err(std::io::Error::other)?;
            making.add(&made)?;
            count += 1;
        }
        self.finish(making, manifest, &archive::hexadecimal(hash))?;
        Ok(count)
    }

    /// Completes a package with its manifest, and puts it in its place, unless
    /// the same is there.
    fn finish(&self, making: Making, manifest: &Manifest, sha256: &str) -> Result<(), PackageError> {
        for part in [&manifest.name, &manifest.version] {
            if !is_name(part) {
                return Err(PackageError::Name(part.clone()));
            }
        }
        for mut file in [making.resources, making.index] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        let text = serde_json::json!({
            "name": manifest.name, "version": manifest.version, "dependencies": manifest.dependencies,
            "sha256": sha256,
        });
        std::fs::write(making.folder.path().join(MANIFEST), text.to_string())?;
        if self.sha256(manifest).as_deref() == Some(sha256) {
            return Ok(());
        }
        self.put(making.folder, manifest)
    }

    /// Puts a package that was made in its place.
    fn put(&self, making: tempfile::TempDir, manifest: &Manifest) -> Result<(), PackageError> {
        let target = self.folder.join(folder_name(manifest));
        // What was there goes only when the new one stands in its place.
        let old = tempfile::Builder::new().prefix(".replaced-").tempdir_in(&self.folder)?;
        if target.exists() {
            if !self.replaces {
                return Err(PackageError::Changed(folder_name(manifest)));
            }
            std::fs::rename(&target, old.path().join("old"))?;
        }
        std::fs::rename(making.path(), &target)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Returns the SHA-256 of what an installed package was installed from, in
    /// hexadecimal.
    pub fn sha256(&self, manifest: &Manifest) -> Option<String> {
        let bytes = std::fs::read(self.folder.join(folder_name(manifest)).join(MANIFEST)).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        value.get("sha256")?.as_str().map(str::to_owned)
    }

    /// Returns when a package was last installed or removed; `None` when there
    /// never was one. Two changes within the clock's grain look like one.
    pub fn changed(&self) -> Option<std::time::SystemTime> {
        std::fs::metadata(&self.folder).and_then(|m| m.modified()).ok()
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

    /// Returns the definitions of packages, `name` or `name#version`, and of
    /// all that they need.
    ///
    /// # Errors
    /// When one is not installed, or an index cannot be read.
    pub fn definitions_of(&self, packages: &[&str]) -> Result<Definitions, PackageError> {
        let all = self.list()?;
        let newest = |name: &str, version: &str| {
            // The list is in the order of versions.
            all.iter().rev().find(|m| m.name == name && version_fits(&m.version, version))
        };
        let mut waiting = Vec::new();
        for package in packages {
            let (name, version) = package.split_once('#').unwrap_or((package, "latest"));
            let missing = || PackageError::NotInstalled((*package).to_owned());
            waiting.push(newest(name, version).ok_or_else(missing)?);
        }
        let mut used: Vec<&Manifest> = Vec::new();
        while let Some(manifest) = waiting.pop() {
            if !used.contains(&manifest) {
                waiting
                    .extend(manifest.dependencies.iter().filter_map(|(name, version)| newest(name, version)));
                used.push(manifest);
            }
        }
        let mut definitions = Definitions::new();
        // What is needed comes first, so that what needs it wins.
        for manifest in used.into_iter().rev() {
            self.add_definitions(manifest, &mut definitions)?;
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
            if length > STORED_BYTES_MAX {
                continue;
            }
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

/// A package that is being made.
struct Making {
    folder: tempfile::TempDir,
    resources: BufWriter<File>,
    index: BufWriter<File>,
    offset: u64,
}

impl Making {
    fn new(packages: &Path) -> Result<Making, PackageError> {
        let folder = tempfile::Builder::new().prefix(".installing-").tempdir_in(packages)?;
        let resources = BufWriter::new(File::create(folder.path().join(RESOURCES))?);
        let index = BufWriter::new(File::create(folder.path().join(INDEX))?);
        Ok(Making { folder, resources, index, offset: 0 })
    }

    fn add(&mut self, resource: &Resource) -> Result<(), PackageError> {
        // Written anew, so that it stands on one line.
        let line = json::to_json(resource);
        let root = resource.root();
        let text = |part| root.text_of(part).unwrap_or_default();
        let fields =
            [root.ty().name(), resource.id().unwrap_or_default(), text(name::URL), text(name::VERSION)];
        if !fields[2].is_empty() && fields.iter().all(|f| !f.contains(['\t', '\n', '\r'])) {
            writeln!(self.index, "{}\t{}\t{}", fields.join("\t"), self.offset, line.len())?;
        }
        self.resources.write_all(&line)?;
        self.resources.write_all(b"\n")?;
        self.offset += line.len() as u64 + 1;
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

/// Finds a package in folders of packages, `.tgz` files or unpacked: the newest that fits.
fn find_source(sources: &[PathBuf], name: &str, version: &str) -> Result<Option<PathBuf>, PackageError> {
    let mut found: Option<(String, PathBuf)> = None;
    for folder in sources {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            // By the name of the file first: reading every package would take long.
            if !file.starts_with(name) {
                continue;
            }
            let manifest = match path.is_dir() {
                true => archive::manifest_of_folder(&path),
                false if file.ends_with(".tgz") => manifest_of(&path).ok(),
                false => None,
            };
            let Some(manifest) = manifest else { continue };
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
    archive::manifest_of(File::open(tgz)?)
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

    #[test]
    fn the_same_version_with_other_content_replaces_nothing_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tgz");
        let store = Store::new(folder.path().join("packages"));
        let install = |store: &Store, bytes: Vec<u8>| {
            std::fs::write(&path, bytes).expect("written");
            store.install(&path, &[], |_| {}).map(|_| ())
        };
        let finds = |url| store.definitions().expect("read").find(ty::VALUE_SET, url).is_some();
        install(&store, package("a", "1", "", "http://a")).expect("installed");
        install(&store, package("a", "1", "", "http://a")).expect("installed again");
        let changed = install(&store, package("a", "1", "", "http://other"));
        assert!(matches!(changed, Err(PackageError::Changed(of)) if of == "a#1"));
        assert!(finds("http://a") && !finds("http://other"));
        install(&store.clone().replacing(), package("a", "1", "", "http://other")).expect("replaced");
        assert!(!finds("http://a") && finds("http://other"));
        // Nothing of what was made on the way is left behind.
        assert_eq!(std::fs::read_dir(folder.path().join("packages")).expect("read").count(), 1);
    }

    #[test]
    fn definitions_of_packages_are_theirs_and_of_what_they_need() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("packages"));
        for (name, version, needs, url) in [
            ("a", "1", r#""b":"1.x","a":"1""#, "http://a"),
            ("b", "1.0", "", "http://b"),
            ("b", "2.0", "", "http://b"),
            ("c", "1", "", "http://c"),
        ] {
            let path = folder.path().join("x.tgz");
            std::fs::write(&path, package(name, version, needs, url)).expect("written");
            store.install(&path, &[], |_| {}).expect("installed");
        }
        for (packages, found) in [
            (vec!["a"], vec!["http://a", "http://b|1.0"]),
            (vec!["b"], vec!["http://b|2.0"]),
            (vec!["b#1.0", "c"], vec!["http://b|1.0", "http://c"]),
            (vec![], vec![]),
        ] {
            let definitions = store.definitions_of(&packages).expect("read");
            assert_eq!(definitions.len(), found.len(), "{packages:?}");
            for url in found {
                assert!(definitions.find(ty::VALUE_SET, url).is_some(), "{packages:?}: {url}");
            }
        }
        assert!(matches!(store.definitions_of(&["d"]), Err(PackageError::NotInstalled(_))));
    }

    #[test]
    fn dependencies_are_found_packed_and_unpacked() {
        let folder = tempfile::tempdir().expect("a folder");
        let unpacked = folder.path().join("b#1.0/package");
        std::fs::create_dir_all(&unpacked).expect("made");
        std::fs::write(unpacked.join(MANIFEST), r#"{"name":"b","version":"1.0"}"#).expect("written");
        let value_set = r#"{"resourceType":"ValueSet","url":"http://b","status":"active"}"#;
        std::fs::write(unpacked.join("v.json"), value_set).expect("written");
        let path = folder.path().join("a.tgz");
        for (wanted, found) in
            [("1.0", true), ("1.x", true), ("latest", true), ("current", true), ("2.x", false), ("1", false)]
        {
            let needs = format!(r#""b":"{wanted}""#);
            std::fs::write(&path, package("a", "1", &needs, "http://a")).expect("written");
            let packages = tempfile::tempdir_in(&folder).expect("a folder");
            let store = Store::new(packages.path());
            let sources = [folder.path().to_owned()];
            let installed = store.install(&path, &sources, |_| {}).expect("installed");
            assert_eq!(installed.missing.is_empty(), found, "{wanted}");
            assert_eq!(installed.packages.len(), 1 + usize::from(found), "{wanted}");
        }
    }
}

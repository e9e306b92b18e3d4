//! The files that schemas are compiled from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use xsd_schema::arenas::DeferredSrcResolve;
use xsd_schema::{
    EmbeddedLoader, FileSystemLoader, LoaderChain, LocationRequest, SchemaError, SchemaLoader,
    SchemaResolver, SchemaResult, SchemaSet, SchemaSetBuilder, parse_schema_only,
};

use super::SchemaProblem;

/// A folder of schemas, read once: what is compiled later is what was compiled at start.
pub(super) struct Folder {
    pub(super) name: String,
    path: PathBuf,
    /// The files that are of the namespaces asked for.
    roots: Vec<String>,
    kept: Kept,
}

impl Folder {
    /// Finds the schemas of a folder that are of these namespaces.
    ///
    /// # Errors
    /// When a file cannot be read as a schema, or none is of them.
    pub(super) fn read(path: &Path, namespaces: &[&str]) -> Result<Folder, SchemaProblem> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| SchemaProblem::new(&name, error);
        // Where a schema imports another by its place, places are absolute.
        let path = fs::canonicalize(path).map_err(failed)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xsd")) {
                files.push(file.display().to_string());
            }
        }
        files.sort();
        let kept = Kept::default();
        let mut roots = Vec::new();
        for file in files {
            let namespace = target_namespace(&kept, &file).map_err(|e| SchemaProblem::new(&file, e))?;
            if namespace.is_some_and(|namespace| namespaces.contains(&namespace.as_str())) {
                roots.push(file);
            }
        }
        if roots.is_empty() {
            let why = "it has no XML schema (*.xsd) of a message that is taken here";
            return Err(SchemaProblem::new(name, why));
        }
        Ok(Folder { name, path, roots, kept })
    }

    /// Compiles the schemas.
    ///
    /// # Errors
    /// When one is wrong, or lacks another.
    pub(super) fn compile(&self) -> Result<SchemaSet, SchemaProblem> {
        let mut loaders = LoaderChain::new();
        loaders.add(Box::new(EmbeddedLoader::new()));
        loaders.add(Box::new(self.kept.clone()));
        let mut builder = SchemaSetBuilder::with_loader(Box::new(loaders));
        // Nothing is fetched: what schemas name by URL lies in the folder, or is missing.
        let folder = self.path.clone();
        builder.set_location_rewriter(move |request: &LocationRequest<'_>, _: &SchemaResolver| {
            let (_, place) = request.location.split_once("://")?;
            let file = folder.join(place.rsplit('/').next()?);
            Some(file.display().to_string())
        });
        for root in &self.roots {
            builder.try_add(root).map_err(|error| SchemaProblem::new(root, error))?;
        }
        let compiled = builder.compile().map_err(|error| {
            let file = error.location().map_or(&self.name, |location| &location.base_uri);
            SchemaProblem::new(file, &error)
        })?;
        let missing = compiled.directive_failures().iter().find(|failure| !failure.namespace_supplied());
        if let Some(failure) = missing {
            let file = failure.location().map_or(&self.name, |location| &location.base_uri);
            return Err(SchemaProblem::new(file, failure));
        }
        let set = compiled.into_schema_set();
        match unresolved(&set) {
            Some(unresolved) => {
                let document = unresolved.source.as_ref().map(|source| source.doc_id);
                let document = set.documents.iter().find(|known| Some(known.id) == document);
                let file = document.map_or(&self.name, |document| &document.base_uri);
                Err(SchemaProblem::new(file, &unresolved.message))
            }
            None => Ok(set),
        }
    }
}

/// Finds a type that is named and not there. XSD 1.0 allows that until a message needs the
/// type; then it would be the fault of who sent it.
fn unresolved(set: &SchemaSet) -> Option<&DeferredSrcResolve> {
    let of_elements = set.arenas.elements.values().filter_map(|element| element.deferred_type_error.as_ref());
    let of_lists = set.arenas.simple_types.values().filter_map(|kind| kind.deferred_item_type_error.as_ref());
    of_elements.chain(of_lists).next()
}

fn target_namespace(kept: &Kept, file: &str) -> Result<Option<String>, SchemaError> {
    let mut set = SchemaSet::new();
    parse_schema_only(kept.load(file)?.as_bytes(), file, &mut set)?;
    let namespace = set.documents.first().and_then(|document| document.target_namespace);
    Ok(namespace.and_then(|namespace| set.name_table.try_resolve(namespace)))
}

/// Files, as they were when they were first read.
#[derive(Debug, Clone, Default)]
struct Kept {
    texts: Arc<Mutex<HashMap<String, String>>>,
    files: FileSystemLoader,
}

impl SchemaLoader for Kept {
    fn load(&self, location: &str) -> SchemaResult<String> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = texts.get(location) {
            return Ok(text.clone());
        }
        let text = self.files.load(location)?;
        texts.insert(location.to_owned(), text.clone());
        Ok(text)
    }

    fn can_load(&self, location: &str) -> bool {
        self.files.can_load(location)
    }
}

//! Which table it is, and reading files of it.

use std::path::{Path, PathBuf};

use super::code_table::CodeTable;
use super::error::{LoadError, Notes};
use super::table::Table;
use super::{aic, atc, icd9cm, loinc, national};

/// A form of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The national tables, each named by its OID.
    National,
    /// `Loinc.csv`, and linguistic variants.
    Loinc,
    /// ICD-9-CM.
    Icd9Cm,
    /// ATC.
    Atc,
    /// AIC.
    Aic,
}

/// What was loaded.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The code tables, each a CodeSystem.
    pub tables: Vec<CodeTable>,
    /// Rows read that are to give a concept.
    pub rows: u64,
    /// What is told of them.
    pub notes: Notes,
}

impl Form {
    /// Recognizes a table by its header. ICD-9-CM and ATC have none of their
    /// own, so that they must be told.
    ///
    /// # Errors
    /// When it cannot be read, or is none that is recognized.
    pub fn of_file(path: &Path) -> Result<Form, LoadError> {
        let table = Table::open(path)?;
        let has = |names: &[&str]| names.iter().all(|name| table.column(&[name]).is_some());
        if has(&["loinc_num"]) {
            Ok(Form::Loinc)
        } else if has(&["version", "code", "description"]) {
            Ok(Form::National)
        } else if has(&["codice_aic", "denominazione"]) {
            Ok(Form::Aic)
        } else if has(&["atc_code"]) {
            Ok(Form::Atc)
        } else {
            Err(LoadError::Unknown(table.file))
        }
    }

    /// Recognizes files, which are to be of one form.
    ///
    /// # Errors
    /// When one is none that is recognized, or they differ.
    pub fn of_files(files: &[PathBuf]) -> Result<Form, LoadError> {
        let mut found = None;
        for file in files {
            let form = Form::of_file(file)?;
            if *found.get_or_insert(form) != form {
                return Err(LoadError::Mixed(file.display().to_string()));
            }
        }
        found.ok_or_else(|| LoadError::Nothing(String::new()))
    }

    /// Reads files; `seen` is told of the bytes read. `version` is that of the
    /// code system where the table does not say it.
    ///
    /// # Errors
    /// When a file cannot be read, or is no such table.
    pub fn load(
        self,
        files: &[PathBuf],
        version: Option<&str>,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Loaded, LoadError> {
        let mut loaded = Loaded::default();
        let version = version.map(str::to_owned);
        let mut one = match self {
            Form::National => CodeTable::default(),
            Form::Loinc => loinc::new(version),
            Form::Icd9Cm => icd9cm::new(version),
            Form::Atc => atc::new(version),
            Form::Aic => aic::new(version),
        };
        let mut variants = Vec::new();
        for file in files {
            let mut table = Table::open(file)?;
            let notes = &mut loaded.notes;
            loaded.rows += match self {
                Form::National => {
                    let (tables, rows) = national::load(&mut table, notes, seen)?;
                    loaded.tables.extend(tables);
                    rows
                }
                Form::Loinc if loinc::is_variant(&table) => {
                    variants.push(table);
                    0
                }
                Form::Loinc => loinc::load(&mut table, &mut one, notes, seen)?,
                Form::Icd9Cm => icd9cm::load(&mut table, &mut one, notes, seen)?,
                Form::Atc => atc::load(&mut table, &mut one, notes, seen)?,
                Form::Aic => aic::load(&mut table, &mut one, notes, seen)?,
            };
        }
        // A variant speaks of concepts, whichever file came first.
        for mut variant in variants {
            loinc::load_variant(&mut variant, &mut one, &mut loaded.notes, seen)?;
        }
        match self {
            Form::Icd9Cm => one.link(icd9cm::above),
            Form::Atc => one.link(atc::above),
            Form::National | Form::Loinc | Form::Aic => {}
        }
        loaded.tables.extend(Some(one).filter(|one| !one.is_empty()));
        Ok(loaded)
    }
}

/// Returns the tables among files and folders, each once and in order. Of a
/// LOINC release, which has many tables, they are `Loinc.csv` and the
/// linguistic variant in Italian.
///
/// # Errors
/// When a folder cannot be read, or has none.
pub fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let release = path.join("LoincTable").join("Loinc.csv");
        let mut found = if release.is_file() {
            let variants = path.join("AccessoryFiles").join("LinguisticVariants");
            let mut found = if variants.is_dir() { csv_files(&variants)? } else { Vec::new() };
            found.retain(|file| file_name(file).starts_with("itIT"));
            found.push(release);
            found
        } else {
            csv_files(path)?
        };
        if found.is_empty() {
            return Err(LoadError::Nothing(path.display().to_string()));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn csv_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Read(folder.display().to_string(), error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() && file_name(&path).to_lowercase().ends_with(".csv") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;

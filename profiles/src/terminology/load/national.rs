//! The national code tables of the Italian health record: one CSV file for
//! each code system, `version,code,description,release_date`, named by its OID.
//!
//! A file has rows of several versions; each version becomes a CodeSystem of
//! its own. A table is taken as the whole of its OID, for that is what the
//! national gateway holds documents against.

use indexmap::IndexMap;

use super::code_table::{CodeTable, Concept, Naming};
use super::error::{LoadError, Notes};
use super::table::Table;

/// Reads one file.
pub(super) fn load(
    table: &mut Table,
    notes: &mut Notes,
    seen: &mut dyn FnMut(u64),
) -> Result<(Vec<CodeTable>, u64), LoadError> {
    let stem = table.file.rsplit_once('.').map_or(table.file.as_str(), |(stem, _)| stem);
    let oid = stem.to_owned();
    if !is_oid(&oid) {
        return Err(LoadError::Oid(table.file.clone()));
    }
    let code = table.needed(&["code"])?;
    let version = Some(table.needed(&["version"])?);
    let description = Some(table.needed(&["description"])?);
    let released = table.column(&["release_date"]);
    let mut versions: IndexMap<Option<String>, CodeTable> = IndexMap::new();
    let rows = table.each_row(notes, seen, |row, notes| {
        let Some(code) = row.code(code, notes) else { return };
        let version = row.text(version, notes);
        let display = row.text(description, notes);
        let released = row.text(released, notes).filter(|date| is_date(date));
        let known = versions.entry(version.clone()).or_insert_with(|| CodeTable::new(naming(&oid, version)));
        // The date of a version is that of its newest row.
        if released > known.naming.date {
            known.naming.date = released;
        }
        known.add(code, Concept::of(display), row, notes);
    })?;
    Ok((versions.into_values().collect(), rows))
}

fn naming(oid: &str, version: Option<String>) -> Naming {
    Naming {
        url: format!("urn:oid:{oid}"),
        oid: Some(oid.to_owned()),
        version,
        name: format!("National_{}", oid.replace('.', "_")),
        title: format!("National code table {oid}"),
        ..Naming::default()
    }
}

/// Tells whether a text is an OID.
fn is_oid(text: &str) -> bool {
    text.len() <= 60
        && text.contains('.')
        && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()))
}

/// Tells whether a text is a whole date: `2022-08-08`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

//! ICD-9-CM: diagnoses (`001.0`, `V10.1`, `E800.1`) and procedures (`00.01`),
//! each below the code that it makes more precise.

use super::code_table::{CodeTable, Concept, Naming, PropertyDefinition};
use super::error::{LoadError, Notes};
use super::table::Table;
use crate::terminology::alias;

const KIND: PropertyDefinition = PropertyDefinition::text("kind", "diagnosis or procedure");

/// Makes the table, without concepts.
pub(super) fn new(version: Option<String>) -> CodeTable {
    CodeTable::new(Naming {
        url: alias::ICD_9_CM.url.to_owned(),
        oid: Some(alias::ICD_9_CM.oid.to_owned()),
        version,
        name: "ICD9CM".to_owned(),
        title: "International Classification of Diseases, 9th revision, Clinical Modification".to_owned(),
        ..Naming::default()
    })
}

/// Reads a file.
pub(super) fn load(
    table: &mut Table,
    into: &mut CodeTable,
    notes: &mut Notes,
    seen: &mut dyn FnMut(u64),
) -> Result<u64, LoadError> {
    let code = table.needed(&["code", "codice", "codice_icd_9_cm", "codice_icd9cm", "icd9cm", "icd_9_cm"])?;
    let text = Some(table.needed(&["description", "descrizione", "descrizione_completa"])?);
    table.each_row(notes, seen, |row, notes| {
        let Some(code) = row.code(code, notes) else { return };
        let mut concept = Concept::of(row.text(text, notes));
        concept.set(KIND, kind_of(&code).map(str::to_owned));
        into.add(code, concept, row, notes);
    })
}

/// Tells what a code is of by its category: two digits for a procedure, three
/// places for a diagnosis, four when it begins with an E. Without a point it
/// is told only of a category.
fn kind_of(code: &str) -> Option<&'static str> {
    let category = code.split_once('.').map_or(code, |(category, _)| category);
    match (category.len(), category.as_bytes().first()?) {
        (2, b'0'..=b'9') => Some("procedure"),
        (3, b'0'..=b'9' | b'V' | b'v') | (4, b'E' | b'e') => Some("diagnosis"),
        _ => None,
    }
}

/// The codes above one, nearest first: `001.01`, `001.0`, `001`.
///
/// Without a point, procedures and diagnoses cannot be told apart by length,
/// so that such codes stay beside each other.
pub(super) fn above(code: &str) -> Vec<String> {
    let Some((category, rest)) = code.split_once('.') else { return Vec::new() };
    let shorter = rest.char_indices().skip(1).map(|(at, _)| format!("{category}.{}", &rest[..at]));
    let mut all: Vec<String> = shorter.collect();
    all.reverse();
    all.push(category.to_owned());
    all
}

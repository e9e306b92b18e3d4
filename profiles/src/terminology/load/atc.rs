//! ATC, the Anatomical Therapeutic Chemical classification: a code of 1, 3, 4,
//! 5 or 7 places is on the first to the fifth level.

use super::code_table::{CodeTable, Concept, Naming, PropertyDefinition};
use super::error::{Finding, LoadError, Notes};
use super::table::Table;
use crate::terminology::alias;

/// The length of a code on each level.
const LENGTHS: [usize; 5] = [1, 3, 4, 5, 7];

const LEVEL: PropertyDefinition = PropertyDefinition::text("level", "The level, 1 to 5");

/// Makes the table, without concepts.
pub(super) fn new(version: Option<String>) -> CodeTable {
    CodeTable::new(Naming {
        url: alias::ATC.url.to_owned(),
        oid: Some(alias::ATC.oid.to_owned()),
        version,
        name: "ATC".to_owned(),
        title: "Anatomical Therapeutic Chemical classification (ATC)".to_owned(),
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
    let code = table.needed(&["code", "atc_code", "codice_atc", "atc", "codice"])?;
    let text = Some(table.needed(&["description", "atc_name", "descrizione", "name", "denominazione"])?);
    table.each_row(notes, seen, |row, notes| {
        let Some(code) = row.code(code, notes) else { return };
        let level = LENGTHS.iter().position(|length| *length == code.len());
        let Some(level) = level.filter(|_| code.bytes().all(|b| b.is_ascii_alphanumeric())) else {
            row.tell(Finding::BadCode(code), notes);
            return;
        };
        let mut concept = Concept::of(row.text(text, notes));
        concept.set(LEVEL, Some((level + 1).to_string()));
        into.add(code, concept, row, notes);
    })
}

/// The codes above one, nearest first: of `A01AA01` they are `A01AA`, `A01A`, `A01`, `A`.
pub(super) fn above(code: &str) -> Vec<String> {
    let shorter = LENGTHS.iter().rev().filter(|length| **length < code.len());
    shorter.filter_map(|length| code.get(..*length).map(str::to_owned)).collect()
}

//! AIC, the Italian marketing authorizations of medicines: the list of packs
//! that AIFA publishes, one row for each pack, `;` between the columns.
//!
//! A code has nine digits: six of the medicine, three of the pack.

use super::code_table::{CodeTable, Concept, INACTIVE, Kind, Naming, PropertyDefinition};
use super::error::{Finding, LoadError, Notes};
use super::table::Table;
use crate::terminology::alias;

const OID: &str = "2.16.840.1.113883.2.9.6.1.5";
const DIGITS: usize = 9;

const ATC: PropertyDefinition =
    PropertyDefinition { code: "atc", description: "The ATC code", kind: Kind::Coding(alias::ATC.url) };
/// The columns that become properties as text.
const PROPERTIES: [(&[&str], PropertyDefinition); 4] = [
    (
        &["pa_associati", "principio_attivo", "pa"],
        PropertyDefinition::text("activeSubstance", "The active substances"),
    ),
    (
        &["ragione_sociale", "ditta", "titolare_aic"],
        PropertyDefinition::text("holder", "The holder of the authorization"),
    ),
    (&["forma", "forma_farmaceutica"], PropertyDefinition::text("form", "The pharmaceutical form")),
    (
        &["stato_amministrativo", "stato"],
        PropertyDefinition::text("authorization", "The state of the authorization"),
    ),
];

/// Makes the table, without concepts.
pub(super) fn new(version: Option<String>) -> CodeTable {
    CodeTable::new(Naming {
        url: format!("urn:oid:{OID}"),
        oid: Some(OID.to_owned()),
        version,
        name: "AIC".to_owned(),
        title: "Autorizzazione all'immissione in commercio (AIC)".to_owned(),
        language: Some("it"),
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
    let code = table.needed(&["codice_aic", "aic", "codice_confezione", "code"])?;
    let medicine = Some(table.needed(&["denominazione", "farmaco", "description"])?);
    let pack = table.column(&["descrizione", "confezione"]);
    let atc = table.column(&["codice_atc", "atc"]);
    let properties = PROPERTIES.map(|(columns, property)| (table.column(columns), property));
    table.each_row(notes, seen, |row, notes| {
        let Some(written) = row.code(code, notes) else { return };
        let is_code = written.len() <= DIGITS && written.bytes().all(|b| b.is_ascii_digit());
        // Spreadsheets take the zeros away, of which there are at most two or three.
        if !is_code || written.len() < 6 {
            row.tell(Finding::BadCode(written), notes);
            return;
        }
        let code = format!("{written:0>DIGITS$}");
        if code != written {
            row.tell(Finding::Zeros(code.clone()), notes);
        }
        let parts = [medicine, pack].into_iter().filter_map(|column| row.text(column, notes));
        let display = Some(parts.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty());
        let mut concept = Concept::of(display);
        concept.set(ATC, row.text(atc, notes));
        for (column, property) in properties {
            let value = row.text(column, notes);
            if property.code == "authorization"
                && value.as_ref().is_some_and(|state| state.to_lowercase().starts_with("revoc"))
            {
                concept.set(INACTIVE, Some("true".to_owned()));
            }
            concept.set(property, value);
        }
        into.add(code, concept, row, notes);
    })
}

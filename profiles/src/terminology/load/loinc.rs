//! LOINC: `Loinc.csv` of a release, and its linguistic variants, which give
//! displays in further languages.
//!
//! Spec: <https://hl7.org/fhir/R4/loinc.html>, property names and
//! designations.

use super::code_table::{CodeTable, Concept, Designation, INACTIVE, Naming, PropertyDefinition};
use super::error::{Finding, LoadError, Notes};
use super::table::Table;
use crate::definitions::compare_versions;
use crate::terminology::alias;

/// The axes of a name, in their order.
const AXES: [&str; 6] = ["component", "property", "time_aspct", "system", "scale_typ", "method_typ"];

/// The columns that become properties.
const PROPERTIES: [(&str, PropertyDefinition); 11] = [
    ("status", PropertyDefinition::text("STATUS", "ACTIVE, TRIAL, DISCOURAGED or DEPRECATED")),
    ("component", PropertyDefinition::text("COMPONENT", "What is measured, evaluated or observed")),
    ("property", PropertyDefinition::text("PROPERTY", "The kind of quantity or quality")),
    ("time_aspct", PropertyDefinition::text("TIME_ASPCT", "The interval of time over which it was observed")),
    ("system", PropertyDefinition::text("SYSTEM", "The specimen or thing it was made upon")),
    ("scale_typ", PropertyDefinition::text("SCALE_TYP", "How the value is expressed")),
    ("method_typ", PropertyDefinition::text("METHOD_TYP", "How it was made")),
    ("class", PropertyDefinition::text("CLASS", "The class of the term")),
    (
        "classtype",
        PropertyDefinition::text("CLASSTYPE", "1 laboratory, 2 clinical, 3 claims attachment, 4 survey"),
    ),
    ("order_obs", PropertyDefinition::text("ORDER_OBS", "Order, observation or both")),
    (
        "versionlastchanged",
        PropertyDefinition::text("VersionLastChanged", "The release in which the term last changed"),
    ),
];

/// Makes the table, without concepts.
pub(super) fn new(version: Option<String>) -> CodeTable {
    CodeTable::new(Naming {
        url: alias::LOINC.url.to_owned(),
        oid: Some(alias::LOINC.oid.to_owned()),
        version,
        name: "LOINC".to_owned(),
        title: "Logical Observation Identifiers, Names and Codes (LOINC)".to_owned(),
        copyright: Some(
            "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief \
             Institute, Inc. and the LOINC Committee, and is available at no cost under the license at \
             http://loinc.org/license.",
        ),
        language: Some("en"),
        ..Naming::default()
    })
}

/// Tells whether a file is of a linguistic variant, rather than the table.
pub(super) fn is_variant(table: &Table) -> bool {
    table.column(&["status"]).is_none()
}

/// Reads `Loinc.csv`. Without a version, the newest that a term changed in is it.
pub(super) fn load(
    table: &mut Table,
    into: &mut CodeTable,
    notes: &mut Notes,
    seen: &mut dyn FnMut(u64),
) -> Result<u64, LoadError> {
    let code = table.needed(&["loinc_num"])?;
    let long = Some(table.needed(&["long_common_name"])?);
    let short = table.column(&["shortname"]);
    let consumer = table.column(&["consumer_name"]);
    let definition = table.column(&["definitiondescription"]);
    let properties = PROPERTIES.map(|(column, property)| (table.column(&[column]), property));
    let mut newest: Option<String> = None;
    let rows = table.each_row(notes, seen, |row, notes| {
        let Some(code) = row.code(code, notes) else { return };
        let mut concept = Concept::of(row.text(long, notes));
        concept.definition = row.text(definition, notes);
        for (column, usage) in [(short, "SHORTNAME"), (consumer, "CONSUMER_NAME")] {
            let value = row.text(column, notes);
            let made = value.map(|value| Designation { language: None, usage: Some(usage), value });
            concept.designations.extend(made);
        }
        for (column, property) in properties {
            let value = row.text(column, notes);
            match (property.code, &value) {
                ("STATUS", Some(status)) if status == "DEPRECATED" => {
                    concept.set(INACTIVE, Some("true".to_owned()));
                }
                ("VersionLastChanged", Some(version))
                    if newest.as_ref().is_none_or(|n| compare_versions(version, n).is_gt()) =>
                {
                    newest = Some(version.clone());
                }
                _ => {}
            }
            concept.set(property, value);
        }
        into.add(code, concept, row, notes);
    })?;
    if into.naming.version.is_none() {
        into.naming.version = newest;
    }
    Ok(rows)
}

/// Reads a linguistic variant, such as `itIT10LinguisticVariant.csv`, into the
/// concepts that are there.
pub(super) fn load_variant(
    table: &mut Table,
    into: &mut CodeTable,
    notes: &mut Notes,
    seen: &mut dyn FnMut(u64),
) -> Result<u64, LoadError> {
    let language = language_of(&table.file);
    let code = table.needed(&["loinc_num"])?;
    let names = ["linguisticvariantdisplayname", "long_common_name"].map(|name| table.column(&[name]));
    let short = table.column(&["shortname"]);
    let axes = AXES.map(|axis| table.column(&[axis]));
    table.each_row(notes, seen, |row, notes| {
        let Some(code) = row.code(code, notes) else { return };
        let Some(concept) = into.concepts.get_mut(&code) else {
            row.tell(Finding::NoConcept(code), notes);
            return;
        };
        let mut values: Vec<(Option<&'static str>, String)> = Vec::new();
        values.extend(names.into_iter().filter_map(|column| Some((None, row.text(column, notes)?))));
        if values.is_empty() {
            // Many variants translate the axes alone; together they are the fully specified name.
            let parts: Vec<String> = axes.iter().filter_map(|axis| row.text(*axis, notes)).collect();
            values.extend((!parts.is_empty()).then(|| (None, parts.join(":"))));
        }
        values.extend(row.text(short, notes).map(|value| (Some("SHORTNAME"), value)));
        for (usage, value) in values {
            let language = language.clone();
            let made = Designation { language, usage, value };
            if !concept.designations.contains(&made) {
                concept.designations.push(made);
            }
        }
    })
}

/// `itIT10LinguisticVariant.csv` is of `it-IT`.
fn language_of(file: &str) -> Option<String> {
    let (language, rest) = (file.get(..2)?, file.get(2..)?);
    let country = rest.get(..2)?;
    let is_language = language.bytes().all(|b| b.is_ascii_lowercase());
    let is_country = country.bytes().all(|b| b.is_ascii_uppercase());
    (is_language && is_country).then(|| format!("{language}-{country}"))
}

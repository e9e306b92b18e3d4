//! The profiles of the core package: their snapshots, generated anew from the
//! differentials and compared with the published ones.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};
use profiles::snapshot;

use super::Tally;

/// A profile whose snapshot comes out otherwise than it was published.
pub struct Different {
    /// Its canonical URL.
    pub url: String,
    /// What differs: the element, the property, published and generated.
    pub what: Vec<String>,
}

/// Generates the snapshot of every profile; returns how many there are, and which differ.
///
/// # Errors
/// When the package is absent.
pub fn compare(testdata: &Path) -> Result<(usize, Vec<Different>), String> {
    let definitions = super::core_definitions(testdata)?;
    let mut count = 0;
    let mut different = Vec::new();
    for definition in definitions.of_type(ty::STRUCTURE_DEFINITION) {
        let Some(profile) = definition.resource() else { continue };
        if profile.root().text_of(name::DERIVATION) != Some("constraint") {
            continue;
        }
        count += 1;
        let what = match snapshot::generate(profile, &definitions) {
            Ok(generated) => differences(profile, &generated),
            Err(error) => vec![error.to_string()],
        };
        if !what.is_empty() {
            different.push(Different { url: definition.url().to_owned(), what });
        }
    }
    different.sort_by(|a, b| a.url.cmp(&b.url));
    Ok((count, different))
}

fn elements(profile: &Resource) -> Vec<Element<'_>> {
    profile.root().child_named("snapshot").into_iter().flat_map(|s| s.children_named(name::ELEMENT)).collect()
}

fn differences(published: &Resource, generated: &Resource) -> Vec<String> {
    let by_id = |list: &[Element<'_>]| -> Vec<String> {
        list.iter()
            .map(|e| e.text_of(name::ID).or(e.text_of(name::PATH)).unwrap_or_default().to_owned())
            .collect()
    };
    let (published, generated) = (elements(published), elements(generated));
    let (published_ids, generated_ids) = (by_id(&published), by_id(&generated));
    let mut out = Vec::new();
    for (id, element) in published_ids.iter().zip(&published) {
        match generated_ids.iter().position(|g| g == id) {
            None => out.push(format!("{id}: not generated")),
            Some(at) => properties(id, *element, generated[at], &mut out),
        }
    }
    for id in generated_ids.iter().filter(|id| !published_ids.contains(id)) {
        out.push(format!("{id}: not published"));
    }
    if out.is_empty() && published_ids != generated_ids {
        out.push("the elements are in another order".to_owned());
    }
    out
}

fn properties(id: &str, published: Element<'_>, generated: Element<'_>, out: &mut Vec<String>) {
    let texts = |element: Element<'_>| {
        let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for child in element.children() {
            let Some(property) = child.property() else { continue };
            texts.entry(property.name).or_default().push(text(child));
        }
        texts
    };
    let (published, generated) = (texts(published), texts(generated));
    for property in published.keys().chain(generated.keys().filter(|k| !published.contains_key(*k))) {
        if published.get(property) != generated.get(property) {
            let shown = |texts: Option<&Vec<String>>| {
                let text = texts.map(|t| t.join(" | ")).unwrap_or_default();
                text.chars().take(160).collect::<String>()
            };
            out.push(format!(
                "{id}: {property}: published `{}`, generated `{}`",
                shown(published.get(property)),
                shown(generated.get(property))
            ));
        }
    }
}

fn text(element: Element<'_>) -> String {
    let mut out = Vec::new();
    fhir_model::json::write::write_element(element, &mut out);
    if let Some(value) = element.value() {
        return value.to_owned();
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Counts the snapshots that are equal.
///
/// # Errors
/// When the package is absent.
pub fn run(testdata: &Path) -> Result<Tally, String> {
    let (count, different) = compare(testdata)?;
    let failures =
        different.iter().map(|d| format!("{}: {}", d.url, d.what.first().map_or("", |w| w))).collect();
    Ok(Tally { passed: count - different.len(), failures, not_applicable: Vec::new() })
}

/// Writes what differs.
pub fn document(different: &[Different]) -> String {
    let mut out = String::new();
    for profile in different {
        let _ = writeln!(out, "\n## {}\n", profile.url);
        for what in &profile.what {
            let _ = writeln!(out, "- {what}");
        }
    }
    out
}

//! Which maps a map draws on.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#imports>

use super::ast::Map;
use super::error::{MapError, Place};
use crate::definitions::Definitions;

/// Reads the StructureMaps that are imported and not among the maps given.
pub(super) fn stored_maps(
    main: &Map,
    others: &[Map],
    definitions: &Definitions,
) -> Result<Vec<Map>, MapError> {
    let mut stored: Vec<Map> = Vec::new();
    let mut wanted: Vec<String> =
        std::iter::once(main).chain(others).flat_map(|m| m.imports.iter().cloned()).collect();
    while let Some(url) = wanted.pop() {
        let known = |map: &Map| matches(&url, &map.url);
        if others.iter().any(known) || stored.iter().any(known) {
            continue;
        }
        let ty = fhir_model::schema::ty::STRUCTURE_MAP;
        let found = definitions.of_type(ty).filter(|d| matches(&url, d.url()));
        for resource in found.filter_map(|definition| definition.resource()) {
            let map = Map::from_resource(resource)?;
            wanted.extend(map.imports.iter().cloned());
            stored.push(map);
        }
    }
    Ok(stored)
}

/// Tells whether an import, in which `*` stands for any text, means the URL.
fn matches(import: &str, url: &str) -> bool {
    let import = import.split('|').next().unwrap_or_default();
    let Some((first, rest)) = import.split_once('*') else { return import == url };
    let Some(mut url) = url.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = url.find(part) else { return false };
        url = url.get(at + part.len()..).unwrap_or_default();
    }
    url.ends_with(last)
}

/// Finds the maps that a map draws on, and theirs: the map itself is the first.
pub(super) fn resolve_imports<'m>(
    main: &'m Map,
    candidates: &[&'m Map],
) -> Result<(Vec<&'m Map>, Vec<Vec<usize>>), MapError> {
    let mut maps = vec![main];
    let mut imports: Vec<Vec<usize>> = Vec::new();
    while let Some(map) = maps.get(imports.len()).copied() {
        let mut of_map = Vec::new();
        for import in &map.imports {
            let found: Vec<&Map> =
                candidates.iter().copied().filter(|m| matches(import, &m.url) && m.url != map.url).collect();
            if found.is_empty() && !import.contains('*') {
                let place = Place { map: map.name.clone(), ..Place::default() };
                return Err(MapError::at(place, format!("the imported map `{import}` is not known")));
            }
            for other in found {
                let number = maps.iter().position(|m| m.url == other.url).unwrap_or_else(|| {
                    maps.push(other);
                    maps.len() - 1
                });
                if !of_map.contains(&number) {
                    of_map.push(number);
                }
            }
        }
        imports.push(of_map);
    }
    Ok((maps, imports))
}

//! The codes of the value sets that elements are bound to with strength
//! `required`, so that they are checked without any package.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;

use serde_json::Value;

use crate::package::Package;
use crate::source::{HEADER, literal};

/// Codes by code system.
type Codes = BTreeMap<String, BTreeSet<String>>;

/// Value sets with more codes than this are left out: currencies and the like
/// would make the tables large and are in the package.
const CODES_MAX: usize = 400;

/// Generates `value_sets.rs`.
pub(crate) fn generate(package: &Package) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut text = format!(
        "{HEADER}use crate::value_set::ValueSetCodes;\n\n/// The codes of value sets that are required somewhere, by canonical URL.\npub(crate) static VALUE_SETS: &[ValueSetCodes] = &[\n"
    );
    for url in required(package) {
        let mut codes = Codes::new();
        if collect(package, &url, &mut codes, 0).is_none()
            || codes.values().map(BTreeSet::len).sum::<usize>() > CODES_MAX
        {
            continue;
        }
        let _ = write!(text, "    ValueSetCodes {{ url: {}, systems: &[", literal(&url));
        for (system, codes) in &codes {
            let codes: Vec<String> = codes.iter().map(|c| literal(c)).collect();
            let _ = write!(text, "({}, &[{}]), ", literal(system), codes.join(", "));
        }
        text.truncate(text.trim_end_matches([' ', ',']).len());
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    Ok(vec![("value_sets.rs".to_owned(), text)])
}

/// Returns the value sets of required bindings.
fn required(package: &Package) -> BTreeSet<String> {
    let mut urls = BTreeSet::new();
    for structure in package.structures.values() {
        if structure["derivation"] == "constraint" {
            continue;
        }
        for element in structure["snapshot"]["element"].as_array().into_iter().flatten() {
            let binding = &element["binding"];
            if binding["strength"] == "required"
                && let Some(url) = binding["valueSet"].as_str()
            {
                urls.insert(url.split('|').next().unwrap_or(url).to_owned());
            }
        }
    }
    urls
}

/// Collects the codes of a value set; `None` when not all of them are known.
fn collect(package: &Package, url: &str, codes: &mut Codes, depth: usize) -> Option<()> {
    let compose = &package.value_sets.get(url)?["compose"];
    if depth > 8 || compose.get("exclude").is_some() {
        return None;
    }
    for include in compose["include"].as_array()? {
        if include.get("filter").is_some() {
            return None;
        }
        let of_value_sets = include["valueSet"].as_array();
        match (include["system"].as_str(), of_value_sets) {
            (Some(system), None) => {
                let held = codes.entry(system.to_owned()).or_default();
                match include["concept"].as_array() {
                    Some(concepts) => {
                        held.extend(concepts.iter().filter_map(|c| Some(c["code"].as_str()?.to_owned())))
                    }
                    None => {
                        let definition = package.code_systems.get(system)?;
                        if definition["content"] != "complete" {
                            return None;
                        }
                        concepts(&definition["concept"], held);
                    }
                }
            }
            (None, Some(value_sets)) => {
                for other in value_sets {
                    collect(package, other.as_str()?.split('|').next()?, codes, depth + 1)?;
                }
            }
            _ => return None,
        }
    }
    Some(())
}

fn concepts(list: &Value, codes: &mut BTreeSet<String>) {
    for concept in list.as_array().into_iter().flatten() {
        codes.extend(concept["code"].as_str().map(str::to_owned));
        concepts(&concept["concept"], codes);
    }
}

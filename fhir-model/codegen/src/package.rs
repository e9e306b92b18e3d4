//! Reads the definitions out of a FHIR package.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

/// The definitions of a package, by canonical URL.
pub(crate) struct Package {
    /// StructureDefinitions.
    pub(crate) structures: BTreeMap<String, Value>,
    /// ValueSets.
    pub(crate) value_sets: BTreeMap<String, Value>,
    /// CodeSystems.
    pub(crate) code_systems: BTreeMap<String, Value>,
    /// SearchParameters.
    pub(crate) search_parameters: BTreeMap<String, Value>,
    /// CompartmentDefinitions.
    pub(crate) compartments: BTreeMap<String, Value>,
}

impl Package {
    /// Reads a `.tgz` package.
    pub(crate) fn read(path: &Path) -> Result<Package, Box<dyn Error>> {
        let file = std::fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut package = Package {
            structures: BTreeMap::new(),
            value_sets: BTreeMap::new(),
            code_systems: BTreeMap::new(),
            search_parameters: BTreeMap::new(),
            compartments: BTreeMap::new(),
        };
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries()? {
            let mut entry = entry?;
            if entry.path()?.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            let value: Value = serde_json::from_slice(&bytes)?;
            let (Some(kind), Some(url)) = (value["resourceType"].as_str(), value["url"].as_str()) else {
                continue;
            };
            let map = match kind {
                "StructureDefinition" => &mut package.structures,
                "ValueSet" => &mut package.value_sets,
                "CodeSystem" => &mut package.code_systems,
                "SearchParameter" => &mut package.search_parameters,
                "CompartmentDefinition" => &mut package.compartments,
                _ => continue,
            };
            map.insert(url.to_owned(), value);
        }
        Ok(package)
    }

    /// Returns the one code system that a value set draws on, if it is one.
    pub(crate) fn system_of(&self, value_set: &str) -> Option<&str> {
        let compose = &self.value_sets.get(value_set)?["compose"];
        let includes = compose["include"].as_array()?;
        let mut systems =
            includes.iter().map(|i| i["system"].as_str().filter(|_| i.get("valueSet").is_none()));
        let first = systems.next()??;
        systems.all(|s| s == Some(first)).then_some(first)
    }
}

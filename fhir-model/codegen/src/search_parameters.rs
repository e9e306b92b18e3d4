//! Search parameters and compartments.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

use serde_json::Value;

use crate::package::Package;
use crate::source::{HEADER, literal, type_list};

/// Generates `search_parameters.rs` and `compartments.rs`.
pub(crate) fn generate(package: &Package) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    Ok(vec![
        ("search_parameters.rs".to_owned(), search_parameters(package)?),
        ("compartments.rs".to_owned(), compartments(package)?),
    ])
}

fn strings<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn search_parameters(package: &Package) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "{HEADER}use crate::schema::ty;\nuse crate::search_parameter::{{Component, SearchParameter, SearchParameterType as T}};\n\n/// Every search parameter of the specification, by canonical URL.\n"
    );
    let _ = writeln!(
        text,
        "pub(crate) static SEARCH_PARAMETERS: [SearchParameter; {}] = [",
        package.search_parameters.len()
    );
    for (url, parameter) in &package.search_parameters {
        let kind = parameter["type"].as_str().ok_or("SearchParameter without type")?;
        let kind = format!("{}{}", kind[..1].to_ascii_uppercase(), &kind[1..]);
        let mut components = Vec::new();
        for component in parameter["component"].as_array().into_iter().flatten() {
            components.push(format!(
                "Component {{ definition: {}, expression: {} }}",
                literal(component["definition"].as_str().unwrap_or_default()),
                literal(component["expression"].as_str().unwrap_or_default()),
            ));
        }
        let _ = writeln!(
            text,
            "    SearchParameter {{ url: {}, code: {}, kind: T::{kind}, base: {}, expression: {}, targets: {}, components: &[{}] }},",
            literal(url),
            literal(parameter["code"].as_str().ok_or("SearchParameter without code")?),
            type_list(strings(parameter, "base")),
            literal(parameter["expression"].as_str().unwrap_or_default()),
            type_list(strings(parameter, "target")),
            components.join(", "),
        );
    }
    text.push_str("];\n");
    Ok(text)
}

fn compartments(package: &Package) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "{HEADER}use crate::compartment::{{Compartment, Membership}};\nuse crate::schema::ty;\n\n/// The compartments of the specification.\npub(crate) static COMPARTMENTS: &[Compartment] = &[\n"
    );
    let mut by_code: BTreeMap<&str, &Value> = BTreeMap::new();
    for (url, definition) in &package.compartments {
        // The package holds an example beside the definitions.
        if url.starts_with("http://hl7.org/fhir/CompartmentDefinition/") && definition["id"] != "example" {
            by_code
                .insert(definition["code"].as_str().ok_or("CompartmentDefinition without code")?, definition);
        }
    }
    for (code, definition) in by_code {
        let _ = writeln!(
            text,
            "    Compartment {{ focus: {}, members: &[",
            type_list([code]).trim_matches(['&', '[', ']'])
        );
        for resource in definition["resource"].as_array().into_iter().flatten() {
            let parameters = strings(resource, "param");
            if parameters.is_empty() {
                continue;
            }
            let _ = writeln!(
                text,
                "        Membership {{ member: {}, parameters: &{parameters:?} }},",
                type_list([resource["code"].as_str().unwrap_or_default()]).trim_matches(['&', '[', ']']),
            );
        }
        text.push_str("    ] },\n");
    }
    text.push_str("];\n");
    Ok(text)
}

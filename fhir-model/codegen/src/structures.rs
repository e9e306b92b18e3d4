//! Types, elements and names, from the StructureDefinitions.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;

use serde_json::Value;

use crate::package::Package;
use crate::source::{HEADER, constant, literal, module, type_list};

const DEFINITION_BASE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A type as the tables will hold it.
struct Type<'p> {
    name: String,
    kind: &'static str,
    base: Option<String>,
    is_abstract: bool,
    /// The StructureDefinition that states its invariants.
    url: &'p str,
    /// The element that stands for the type itself.
    root: &'p Value,
    elements: Vec<&'p Value>,
}

/// Generates `names.rs`, `type_ids.rs`, `types.rs` and a file for each type.
pub(crate) fn generate(package: &Package) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut types: BTreeMap<String, Type<'_>> = BTreeMap::new();
    for structure in package.structures.values() {
        let kind = structure["kind"].as_str().unwrap_or_default();
        if structure["derivation"] == "constraint" || kind == "logical" {
            continue;
        }
        collect(structure, kind, &mut types)?;
    }
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for ty in types.values() {
        names.extend(ty.elements.iter().map(|e| element_name(e)));
    }
    let mut files = vec![
        ("names.rs".to_owned(), names_source(&names)),
        ("type_ids.rs".to_owned(), type_ids_source(&types)),
        ("types.rs".to_owned(), types_source(&types)),
    ];
    let mut modules: BTreeMap<&str, Vec<&Type<'_>>> = BTreeMap::new();
    for ty in types.values() {
        modules.entry(ty.name.split('.').next().unwrap_or_default()).or_default().push(ty);
    }
    for (name, members) in &modules {
        let mut text = format!("{HEADER}use super::*;\n");
        for ty in members {
            type_source(ty, package, &types, &mut text)?;
        }
        files.push((format!("types/{}.rs", module(name)), text));
    }
    Ok(files)
}

fn collect<'p>(
    structure: &'p Value,
    kind: &str,
    types: &mut BTreeMap<String, Type<'p>>,
) -> Result<(), Box<dyn Error>> {
    let name = structure["type"].as_str().ok_or("StructureDefinition without type")?;
    let url = structure["url"].as_str().ok_or("StructureDefinition without url")?;
    let elements = structure["snapshot"]["element"].as_array().ok_or("no snapshot")?;
    let paths: Vec<&str> = elements.iter().filter_map(|e| e["path"].as_str()).collect();
    let base = structure["baseDefinition"].as_str().and_then(|b| b.strip_prefix(DEFINITION_BASE));
    for (element, path) in elements.iter().zip(&paths) {
        let is_root = *path == name;
        let prefix = format!("{path}.");
        if !is_root && !paths.iter().any(|p| p.starts_with(&prefix)) {
            continue;
        }
        let children = elements
            .iter()
            .zip(&paths)
            .filter(|(_, p)| p.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.')));
        let is_primitive = kind == "primitive-type";
        let kind = match kind {
            "primitive-type" => "Primitive",
            "resource" if is_root => "Resource",
            _ if is_root => "Complex",
            _ => "Backbone",
        };
        types.insert(
            (*path).to_owned(),
            Type {
                name: (*path).to_owned(),
                kind,
                base: if is_root {
                    base.map(str::to_owned)
                } else {
                    element["type"][0]["code"].as_str().map(str::to_owned)
                },
                is_abstract: is_root && structure["abstract"] == true,
                url,
                root: element,
                elements: children
                    .map(|(e, _)| e)
                    .filter(|e| !(is_primitive && e["path"].as_str().is_some_and(|p| p.ends_with(".value"))))
                    .collect(),
            },
        );
    }
    Ok(())
}

fn element_name(element: &Value) -> &str {
    let path = element["path"].as_str().unwrap_or_default();
    path.rsplit('.').next().unwrap_or_default().trim_end_matches("[x]")
}

/// Returns the types of an element as names in the tables.
fn element_types(element: &Value, types: &BTreeMap<String, Type<'_>>) -> Result<Vec<String>, Box<dyn Error>> {
    let path = element["path"].as_str().unwrap_or_default();
    if types.contains_key(path) {
        return Ok(vec![path.to_owned()]);
    }
    if let Some(reference) = element["contentReference"].as_str() {
        return Ok(vec![reference.trim_start_matches('#').to_owned()]);
    }
    let listed = element["type"].as_array().ok_or_else(|| format!("{path} has no type"))?;
    let mut out = Vec::new();
    for ty in listed {
        let code = ty["code"].as_str().unwrap_or_default();
        let name = if !code.starts_with("http://hl7.org/fhirpath/") {
            code
        } else if path == "Extension.url" {
            "uri"
        } else if path.ends_with(".id")
            && types.get(path.trim_end_matches(".id")).is_some_and(|t| t.kind == "Resource")
        {
            "id"
        } else {
            "string"
        };
        out.push(name.to_owned());
    }
    Ok(out)
}

fn names_source(names: &BTreeSet<&str>) -> String {
    let mut text = format!("{HEADER}use crate::schema::NameId;\n\n/// Every element name, sorted.\n");
    let _ = writeln!(text, "pub(crate) static NAMES: [&str; {}] = [", names.len());
    for name in names {
        let _ = writeln!(text, "    {},", literal(name));
    }
    text.push_str("];\n\n/// The element names as numbers.\npub mod name {\n    use super::NameId;\n");
    for (index, name) in names.iter().enumerate() {
        let _ =
            writeln!(text, "    /// `{name}`.\n    pub const {}: NameId = NameId({index});", constant(name));
    }
    text.push_str("}\n");
    text
}

fn type_ids_source(types: &BTreeMap<String, Type<'_>>) -> String {
    let mut text =
        format!("{HEADER}/// The types as numbers.\npub mod ty {{\n    use crate::schema::TypeId;\n");
    for (index, name) in types.keys().enumerate() {
        let _ =
            writeln!(text, "    /// `{name}`.\n    pub const {}: TypeId = TypeId({index});", constant(name));
    }
    text.push_str("}\n");
    text
}

fn types_source(types: &BTreeMap<String, Type<'_>>) -> String {
    let mut text = format!("{HEADER}use super::names::name;\nuse crate::schema::*;\n\n");
    let modules: BTreeSet<String> =
        types.keys().map(|n| module(n.split('.').next().unwrap_or_default())).collect();
    for module in modules {
        let _ = writeln!(text, "mod {module};");
    }
    text.push_str("\n/// Every type, sorted by name; a `TypeId` is a place in this table.\n");
    let _ = writeln!(text, "pub(crate) static TYPES: [&TypeDefinition; {}] = [", types.len());
    for name in types.keys() {
        let first = module(name.split('.').next().unwrap_or_default());
        let _ = writeln!(text, "    &{first}::{},", constant(name));
    }
    text.push_str("];\n");
    text
}

fn type_source(
    ty: &Type<'_>,
    package: &Package,
    types: &BTreeMap<String, Type<'_>>,
    text: &mut String,
) -> Result<(), Box<dyn Error>> {
    let name = constant(&ty.name);
    let mut properties = String::new();
    let _ = writeln!(text, "\nstatic {name}_ELEMENTS: [ElementDefinition; {}] = [", ty.elements.len());
    for (order, element) in ty.elements.iter().enumerate() {
        let element_types = element_types(element, types)?;
        let is_choice = element["path"].as_str().is_some_and(|p| p.ends_with("[x]"));
        let spelled = element_name(element);
        let _ = writeln!(text, "    {},", element_source(ty, element, &element_types, order, package));
        for element_type in &element_types {
            let mut property = spelled.to_owned();
            if is_choice {
                property.push_str(&element_type[..1].to_ascii_uppercase());
                property.push_str(&element_type[1..]);
            }
            let _ = writeln!(
                properties,
                "        Property {{ name: {}, ty: ty::{}, element: &{name}_ELEMENTS[{order}] }},",
                literal(&property),
                constant(element_type),
            );
        }
    }
    text.push_str("];\n\n");
    let base = ty.base.as_deref().map_or("None".to_owned(), |b| format!("Some(ty::{})", constant(b)));
    let constraints = if ty.kind == "Backbone" { "&[]".to_owned() } else { constraints(ty.root, ty.url) };
    let _ = writeln!(
        text,
        "pub(super) static {name}: TypeDefinition = TypeDefinition {{\n    name: {},\n    kind: TypeKind::{},\n    base: {base},\n    is_abstract: {},\n    elements: &{name}_ELEMENTS,\n    properties: &[\n{properties}    ],\n    constraints: {constraints},\n}};",
        literal(&ty.name),
        ty.kind,
        ty.is_abstract,
    );
    Ok(())
}

fn element_source(
    ty: &Type<'_>,
    element: &Value,
    element_types: &[String],
    order: usize,
    package: &Package,
) -> String {
    let name = element_name(element);
    let max = match element["max"].as_str() {
        Some("*") => "UNBOUNDED".to_owned(),
        Some(number) => number.to_owned(),
        None => "1".to_owned(),
    };
    let mut text = format!(
        "ElementDefinition::new({}, name::{}, {order}, {}, {max}, {})",
        literal(name),
        constant(name),
        element["min"],
        type_list(element_types.iter().map(String::as_str)),
    );
    for (flag, call) in [("isSummary", ".summary()"), ("isModifier", ".modifier()")] {
        if element[flag] == true {
            text.push_str(call);
        }
    }
    if element["path"].as_str().is_some_and(|p| p.ends_with("[x]")) {
        text.push_str(".choice()");
    }
    let mut targets: BTreeSet<&str> = BTreeSet::new();
    for listed in element["type"].as_array().into_iter().flatten() {
        targets.extend(
            listed["targetProfile"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|p| p.as_str()?.strip_prefix(DEFINITION_BASE)),
        );
    }
    if !targets.is_empty() && !targets.contains("Resource") {
        let _ = write!(text, ".targets({})", type_list(targets));
    }
    if let Some(value_set) = element["binding"]["valueSet"].as_str() {
        let value_set = value_set.split('|').next().unwrap_or_default();
        let strength = match element["binding"]["strength"].as_str() {
            Some("required") => "Required",
            Some("extensible") => "Extensible",
            Some("preferred") => "Preferred",
            _ => "Example",
        };
        let system =
            package.system_of(value_set).map_or("None".to_owned(), |s| format!("Some({})", literal(s)));
        let _ = write!(text, ".bound(BindingStrength::{strength}, {}, {system})", literal(value_set));
    }
    let stated = constraints(element, ty.url);
    if stated != "&[]" {
        let _ = write!(text, ".constrained({stated})");
    }
    text
}

/// Spells the invariants that the definition `url` itself states on an element.
fn constraints(element: &Value, url: &str) -> String {
    let mut out = Vec::new();
    for constraint in element["constraint"].as_array().into_iter().flatten() {
        let own = constraint["source"].as_str().is_none_or(|s| s == url);
        let (Some(key), Some(expression)) = (constraint["key"].as_str(), constraint["expression"].as_str())
        else {
            continue;
        };
        // ele-1 is the rule of `Element`, which each definition restates without a source.
        if own && (key != "ele-1" || url.ends_with("/Element")) {
            out.push(format!(
                "Constraint {{ key: {}, is_error: {}, expression: {} }}",
                literal(key),
                constraint["severity"] == "error",
                literal(expression),
            ));
        }
    }
    format!("&[{}]", out.join(", "))
}

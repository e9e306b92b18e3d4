//! The official maps of the Italian gateway, and documents for them.

mod mapping_compare;

use std::path::{Path, PathBuf};

use fhir_model::json;
use fhir_model::schema::ty;
use mapping_compare::{Comparison, compare};
use profiles::definitions::Definitions;
use profiles::mapping::{CdaDocument, Compiled, Map, Options, TransformSource};
use profiles::package::Package;

/// Finds the test data; `None` where it is not present.
fn testdata() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/testdata"))
        .find(|folder| folder.is_dir())
}

/// Returns the text of each official map, with its file name.
fn official_maps() -> Vec<(String, String)> {
    let Some(folder) = testdata().map(|t| t.join("fse/catalogs/transform")) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut maps: Vec<(String, String)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), text))
        })
        .collect();
    maps.sort();
    maps
}

#[test]
fn every_official_map_parses() {
    let maps = official_maps();
    if maps.is_empty() {
        println!("no official maps here: passed over");
        return;
    }
    let mut failed = Vec::new();
    for (name, text) in &maps {
        match Map::parse(text) {
            Ok(map) => assert!(!map.groups.is_empty(), "{name}"),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(maps.len(), 22);
}

/// Returns the official maps, read.
fn parsed_maps() -> Vec<Map> {
    let parse = |(name, text): (String, String)| Map::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    official_maps().into_iter().map(parse).collect()
}

/// Returns the definitions of the core package, which tell what OIDs mean.
fn definitions() -> Definitions {
    let mut definitions = Definitions::new();
    let path = testdata().map(|t| t.join("fhir/hl7.fhir.r4.core-4.0.1.tgz"));
    let file = path.and_then(|path| std::fs::File::open(path).ok());
    let package = file.and_then(|file| Package::read(file).ok());
    for resource in package.into_iter().flat_map(|p| p.resources) {
        if resource.resource_type() == ty::CODE_SYSTEM {
            definitions.add_resource(resource);
        }
    }
    definitions
}

#[test]
fn every_official_map_compiles() {
    let maps = parsed_maps();
    let definitions = Definitions::new();
    let mut problems = Vec::new();
    for map in &maps {
        let compiled = Compiled::new(map, &maps, &definitions).unwrap_or_else(|e| panic!("{e}"));
        problems.extend(compiled.problems().iter().map(|p| p.to_string()));
    }
    problems.sort();
    problems.dedup();
    // Calls of groups that are not there are the maps' own defects.
    println!("{problems:#?}");
    assert!(problems.iter().all(|p| p.contains("line ") && p.contains("group `")), "{problems:#?}");
}

#[test]
fn official_maps_are_the_same_as_resources() {
    for map in parsed_maps() {
        let resource = match map.to_resource() {
            Ok(resource) => resource,
            // A name that R4 does not allow: the language is wider.
            Err(error) => {
                assert!(error.problem.ends_with("is no id"), "{error}");
                println!("{error}");
                continue;
            }
        };
        let resource = json::read(json::to_json(&resource)).expect("a StructureMap");
        let read = Map::from_resource(&resource).unwrap_or_else(|e| panic!("{e}"));
        // What a resource does not have is lines, and the unnamed form of simple rules.
        assert_eq!(read.to_resource().expect("a StructureMap"), resource, "{}", map.name);
        assert_eq!(read.groups.len(), map.groups.len());
        assert_eq!(read.code_maps, map.code_maps, "{}", map.name);
    }
}

#[test]
fn the_example_maps_of_r4_are_read() {
    let path = testdata().map(|t| t.join("fhir/hl7.fhir.r4.examples-4.0.1.tgz"));
    let Some(package) =
        path.and_then(|path| std::fs::File::open(path).ok()).and_then(|f| Package::read(f).ok())
    else {
        println!("no examples package here: passed over");
        return;
    };
    let mut compiled = 0;
    for resource in package.resources.iter().filter(|r| r.resource_type() == ty::STRUCTURE_MAP) {
        let map = Map::from_resource(resource).unwrap_or_else(|e| panic!("{e}"));
        let again = Map::from_resource(&map.to_resource().unwrap_or_else(|e| panic!("{e}"))).expect("a map");
        assert_eq!(again.groups, map.groups);
        match Compiled::new(&map, &[], &Definitions::new()) {
            Ok(_) => compiled += 1,
            // Its `copy` has neither a parameter nor a variable to copy.
            Err(error) => assert!(error.to_string().contains("`copy` takes"), "{error}"),
        }
    }
    assert!(compiled > 0);
}

/// The documents, and the map for each.
const DOCUMENTS: [(&str, &str); 9] = [
    ("CERT_VACC", "Vaccinazioni"),
    ("SING_VACC", "Vaccinazioni"),
    ("LAB", "RefertodilaboratorioFULLBODY"),
    ("LDO", "LetteraDimissioneOspedaliera"),
    ("PSS", "ProfiloSanitarioSinteticoBody"),
    ("RAD", "RefertodiRadiologiaBody"),
    ("RAP", "RefertodiAnatomiaPatologica"),
    ("RSA", "RefertodiSpecialisticaAmbulatorialeBody"),
    ("VPS", "verbalePS"),
];

fn transform(maps: &[Map], definitions: &Definitions, document: &str, map: &str) -> Comparison {
    let folder = testdata().expect("test data").join("fse/support/doc/esempi");
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).expect("a file");
    let main = maps.iter().find(|m| m.name == map).expect("a map");
    let compiled = Compiled::new(main, maps, definitions).expect("a map that compiles");
    let as_resource = main.to_resource().ok().map(|r| Map::from_resource(&r).expect("a map"));
    let from_resource =
        as_resource.map(|m| Compiled::new(&m, maps, definitions).expect("a map that compiles"));
    let document_text = read(&format!("CDA/{document}.xml"));
    let start = std::time::Instant::now();
    let cda = CdaDocument::read(&document_text).expect("a document");
    let options = Options::default();
    let made = compiled.transform(TransformSource::Cda(&cda), options).unwrap_or_else(|e| panic!("{e}"));
    println!("{document}: transformed in {:?}", start.elapsed());
    // The map as a resource makes the same, with ids that are the same.
    let numbered = |map: &Compiled| {
        let mut count = 0;
        let mut uuid = || {
            count += 1;
            format!("id-{count}")
        };
        let now = Some(fhir_model::primitive::instant::Instant(0));
        let options = Options { uuid: Some(&mut uuid), now, ..Options::default() };
        map.transform(TransformSource::Cda(&cda), options).unwrap_or_else(|e| panic!("{e}"))
    };
    if let Some(from_resource) = from_resource {
        assert!(numbered(&compiled) == numbered(&from_resource), "{document}");
    }
    // What is made is a Bundle that can be written and read again.
    let made = json::read(json::to_json(&made)).expect("a Bundle");
    let expected = json::read(read(&format!("FHIR/{document}.json"))).expect("a Bundle");
    compare(&made, &expected)
}

#[test]
fn official_documents_become_the_official_bundles() {
    let maps = parsed_maps();
    if maps.is_empty() {
        println!("no official maps here: passed over");
        return;
    }
    let definitions = definitions();
    let mut found = Vec::new();
    for (document, map) in DOCUMENTS {
        let result = transform(&maps, &definitions, document, map);
        let (different, missing) = (result.different.len(), result.missing.len());
        let row = format!(
            "| {document} | {map} | {} | {different} | {missing} | {} |",
            result.equal,
            result.additional.len()
        );
        println!("{row}");
        for (what, lines) in [
            ("different", &result.different),
            ("missing", &result.missing),
            ("additional", &result.additional),
        ] {
            for line in lines {
                println!("    {what}: {}", line.chars().take(200).collect::<String>());
            }
        }
        found.push(row);
    }
    assert_eq!(found, committed_rows(), "docs/conformance/maps.md says otherwise");
}

/// The documents' LOINC codes, and the map for each.
const CODES: [(&str, &str); 9] = [
    ("11502-2", "RefertodilaboratorioFULLBODY"),
    ("34105-7", "LetteraDimissioneOspedaliera"),
    ("60591-5", "ProfiloSanitarioSinteticoBody"),
    ("68604-8", "RefertodiRadiologiaBody"),
    ("11526-1", "RefertodiAnatomiaPatologica"),
    ("11488-4", "RefertodiSpecialisticaAmbulatorialeBody"),
    ("59258-4", "verbalePS"),
    ("82593-5", "Vaccinazioni"),
    ("87273-9", "Vaccinazioni"),
];

/// Returns the XML files below a folder.
fn xml_files(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            xml_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "xml") {
            out.push(path);
        }
    }
}

#[test]
fn every_cda_document_of_the_gateway_is_transformed() {
    let Some(folder) = testdata().map(|t| t.join("fse")) else { return };
    let (maps, definitions) = (parsed_maps(), Definitions::new());
    let compiled = |name: &str| {
        let map = maps.iter().find(|m| m.name == name).expect("a map");
        Compiled::new(map, &maps, &definitions).expect("a map that compiles")
    };
    let compiled: Vec<(&str, Compiled)> = CODES.iter().map(|(code, name)| (*code, compiled(name))).collect();
    let mut files = Vec::new();
    xml_files(&folder, &mut files);
    let (mut made, mut failed) = (0, Vec::new());
    let start = std::time::Instant::now();
    for path in files {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Some(at) = text.find("<ClinicalDocument") else { continue };
        let code = text[at..].split("<code").nth(1).and_then(|t| t.split("code=\"").nth(1));
        let code = code.and_then(|t| t.split('"').next()).unwrap_or_default();
        let Some((_, map)) = compiled.iter().find(|(of, _)| *of == code) else { continue };
        let Ok(cda) = CdaDocument::read(&text) else { continue };
        match map.transform(TransformSource::Cda(&cda), Options::default()) {
            Ok(_) => made += 1,
            Err(error) => failed.push(format!("{error}")),
        }
    }
    println!("{made} documents transformed in {:?}, {} not", start.elapsed(), failed.len());
    // The one that is not is a defect of the map: it gives a Condition a value.
    let known = "map `verbalePS`, group `InquadramentoClinicoIniziale`, rule `coding`, line 2269: \
                 `Condition` has no element `value`";
    assert_eq!(failed, [known]);
    assert!(made >= 600, "{made}");
}

/// Returns an official map with one stretch of its text taken out, doubled or put elsewhere.
fn mutated(text: &str, from: usize, length: usize, to: usize, what: u8) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |number: usize| number % characters.len().max(1);
    let (from, to) = (at(from), at(to));
    let stretch = &characters[from..(from + length).min(characters.len())];
    let (before, after) = (&characters[..from], &characters[from + stretch.len()..]);
    match what % 3 {
        0 => before.iter().chain(after).collect(),
        1 => before.iter().chain(stretch).chain(stretch).chain(after).collect(),
        _ => characters[..to].iter().chain(stretch).chain(&characters[to..]).collect(),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn no_mutated_map_panics(
        which in 0usize..22,
        from in 0usize..200_000,
        length in 1usize..400,
        to in 0usize..200_000,
        what in 0u8..3,
    ) {
        static MAPS: std::sync::LazyLock<Vec<(String, String)>> = std::sync::LazyLock::new(official_maps);
        static DATA_TYPES: std::sync::LazyLock<Vec<Map>> = std::sync::LazyLock::new(parsed_maps);
        let Some((_, text)) = MAPS.get(which) else { return Ok(()) };
        let Ok(map) = Map::parse(&mutated(text, from, length, to, what)) else { return Ok(()) };
        let Ok(compiled) = Compiled::new(&map, &DATA_TYPES, &Definitions::new()) else { return Ok(()) };
        let folder = testdata().map(|t| t.join("fse/support/doc/esempi/CDA"));
        let document = DOCUMENTS.iter().find(|(_, name)| *name == map.name).map_or("LAB", |(d, _)| d);
        let text = folder.and_then(|f| std::fs::read_to_string(f.join(format!("{document}.xml"))).ok());
        let cda = text.and_then(|text| CdaDocument::read(&text).ok());
        if let Some(cda) = cda {
            let _ = compiled.transform(TransformSource::Cda(&cda), Options::default());
        }
    }
}

/// Returns the rows of the committed table.
fn committed_rows() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance/maps.md");
    let text = std::fs::read_to_string(path).expect("docs/conformance/maps.md");
    let is_row = |line: &&str| DOCUMENTS.iter().any(|(d, map)| line.starts_with(&format!("| {d} | {map} |")));
    text.lines().filter(is_row).map(str::to_owned).collect()
}

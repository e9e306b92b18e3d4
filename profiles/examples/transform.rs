//! Transforms a CDA document by a map:
//! `cargo run -p profiles --example transform FOLDER_OF_MAPS MAP_URL CDA [PACKAGE]`.

use std::error::Error;
use std::time::Instant;

use fhir_model::json;
use fhir_model::schema::ty;
use profiles::definitions::Definitions;
use profiles::mapping::{CdaDocument, Compiled, Map, Options, TransformSource};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, url, cda, rest @ ..] = arguments.as_slice() else {
        return Err("FOLDER_OF_MAPS MAP_URL CDA [FOLDER_OF_CODE_SYSTEMS]".into());
    };
    let mut maps = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        maps.push(Map::parse(&std::fs::read_to_string(entry?.path())?)?);
    }
    let mut definitions = Definitions::new();
    if let Some(folder) = rest.first() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if let Ok(resource) = json::read(std::fs::read(&path)?)
                && resource.resource_type() == ty::CODE_SYSTEM
            {
                definitions.add_resource(resource);
            }
        }
    }
    let main = maps.iter().find(|map| map.url.ends_with(url.as_str())).ok_or("no such map")?;
    let start = Instant::now();
    let compiled = Compiled::new(main, &maps, &definitions)?;
    eprintln!("compiled in {:?}", start.elapsed());
    let text = std::fs::read_to_string(cda)?;
    for _ in 0..3 {
        let start = Instant::now();
        let document = CdaDocument::read(&text)?;
        let out = compiled.transform(TransformSource::Cda(&document), Options::default())?;
        eprintln!("transformed in {:?}", start.elapsed());
        drop(out);
    }
    let document = CdaDocument::read(&text)?;
    let out = compiled.transform(TransformSource::Cda(&document), Options::default())?;
    println!("{}", String::from_utf8(json::to_json(&out))?);
    Ok(())
}

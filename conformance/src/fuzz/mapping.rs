//! Maps and what they transform.

use std::path::{Path, PathBuf};

use fhir_model::tree::Resource;
use profiles::definitions::Definitions;
use profiles::mapping::{CdaDocument, Compiled, Limits, Map, Options, TransformSource};

use super::Prepared;

pub(super) const WORDS: &[&str] = &[
    "group ",
    "extends ",
    "map ",
    "uses ",
    "imports ",
    "source ",
    "target ",
    "as ",
    "then ",
    "where(",
    "check(",
    "log(",
    "default(",
    "first",
    "last",
    "not_first",
    "only_one",
    "share ",
    "single",
    "collate",
    "->",
    "=>",
    "::",
    ";",
    ",",
    "(",
    ")",
    "{",
    "}",
    "<<types>>",
    "<<type+>>",
    "'",
    "\"",
    "copy(",
    "create('",
    "truncate(",
    "escape(",
    "cast(",
    "append(",
    "translate(",
    "reference(",
    "uuid()",
    "evaluate(",
    "cc(",
    "c(",
    "qty(",
    "id(",
    "cp(",
    "pointer(",
    "dateOp(",
    "conceptmap \"",
    "prefix ",
    "0..1",
    "1..*",
    "src",
    "tgt",
    "%x",
    "/*",
    "*/",
    "//",
    "\n",
];

pub(super) const XML_WORDS: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml",
    "?>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&amp;",
    "&#x0;",
    "&#65;",
    "&b;",
    "xmlns=\"urn:hl7-org:v3\"",
    "xsi:type=\"CD\"",
    "nullFlavor=\"UNK\"",
    "value=\"\"",
    "root=\"2.16.840.1.113883.2.9.4.3.2\"",
    "<translation/>",
    "<effectiveTime value=\"20261123\"/>",
    "\u{0}",
    "\u{FEFF}",
];

/// Keeps a case short: a map may loop until its limits end it.
fn options<'o>() -> Options<'o> {
    Options { limits: Limits { steps_max: 200_000, ..Limits::default() }, ..Options::default() }
}

fn files(folder: PathBuf, extension: &str) -> Result<Vec<PathBuf>, String> {
    let listed = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = listed.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == extension));
    files.sort();
    Ok(files)
}

fn texts(folder: PathBuf, extension: &str) -> Result<Vec<String>, String> {
    Ok(files(folder, extension)?.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect())
}

fn maps(testdata: &Path) -> Result<Vec<String>, String> {
    texts(testdata.join("fse/catalogs/transform"), "map")
}

fn documents(testdata: &Path) -> Result<Vec<String>, String> {
    texts(testdata.join("fse/support/doc/esempi/CDA"), "xml")
}

pub(super) fn prepare(testdata: &Path) -> Result<Prepared, String> {
    let maps = maps(testdata)?;
    let imported: Vec<Map> = maps.iter().filter_map(|text| Map::parse(text).ok()).collect();
    // The shortest document: a broken map mostly does little, but may do it often.
    let document = documents(testdata)?.into_iter().min_by_key(String::len).ok_or("no CDA documents")?;
    let definitions = Definitions::new();
    let take = move |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(map) = Map::parse(text) else { return false };
        let _ = map.to_resource().map(|resource| Map::from_resource(&resource));
        let Ok(compiled) = Compiled::new(&map, &imported, &definitions) else { return true };
        if let Ok(cda) = CdaDocument::read(&document) {
            let _: Result<Resource, _> = compiled.transform(TransformSource::Cda(&cda), options());
        }
        true
    };
    Ok(Prepared { seeds: maps.into_iter().map(String::into_bytes).collect(), take: Box::new(take) })
}

pub(super) fn prepare_documents(testdata: &Path) -> Result<Prepared, String> {
    const MAP: &str = "LetteraDimissioneOspedaliera";
    let maps: Vec<Map> = maps(testdata)?.iter().filter_map(|text| Map::parse(text).ok()).collect();
    let main = maps.iter().find(|map| map.name == MAP).ok_or_else(|| format!("no map {MAP}"))?;
    let compiled = Compiled::new(main, &maps, &Definitions::new()).map_err(|e| e.to_string())?;
    let take = move |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let Ok(cda) = CdaDocument::read(text) else { return false };
        let _ = compiled.transform(TransformSource::Cda(&cda), options());
        true
    };
    Ok(Prepared {
        seeds: documents(testdata)?.into_iter().map(String::into_bytes).collect(),
        take: Box::new(take),
    })
}

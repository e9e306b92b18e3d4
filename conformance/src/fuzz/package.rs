//! Packages: an archive is installed whole or not at all, and nothing outside
//! of its folder is touched.

use std::io::Write;
use std::path::Path;

use fhir_model::schema::ty;
use flate2::Compression;
use flate2::write::GzEncoder;
use profiles::package::store::Store;

use super::Prepared;

pub(super) const WORDS: &[&str] = &[
    "package/",
    "package/package.json",
    "../",
    "/etc/passwd",
    "package/../../x",
    "\u{0}",
    "ustar",
    "0000644",
    "77777777777",
    "L",
    "x",
    "5",
    "2",
    "{\"name\":\"a.b\",\"version\":\"1.0.0\"}",
    "\"dependencies\":{\"a\":\"1.x\"}",
    "{\"resourceType\":\"ValueSet\",\"url\":\"http://a\"}",
    "30 path=package/a/very/long/name\n",
    "\\",
    "..",
    "#",
    "latest",
];

/// A tar archive of these files.
fn archive(files: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, content.as_bytes()).map_err(|e| e.to_string())?;
    }
    builder.into_inner().map_err(|e| e.to_string())
}

fn seeds() -> Result<Vec<Vec<u8>>, String> {
    let manifest = ("package/package.json", r#"{"name":"a.b","version":"1.0.0","fhirVersions":["4.0.1"]}"#);
    let value_set = r#"{"resourceType":"ValueSet","url":"http://a/v","status":"active","compose":{"include":[{"system":"http://a/c"}]}}"#;
    let long = format!("package/{}.json", "n".repeat(140));
    [
        vec![manifest],
        vec![manifest, ("package/ValueSet-v.json", value_set), ("package/other/readme.md", "#")],
        vec![
            (long.as_str(), value_set),
            manifest,
            ("package/.index.json", r#"{"index-version":1,"files":[]}"#),
        ],
    ]
    .iter()
    .map(|files| archive(files))
    .collect()
}

/// Takes the archive unpacked: a compressed one that is broken is hardly ever
/// read. Every fourth input is not compressed again, so that is tried as well.
pub(super) fn prepare(_: &Path) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let take = move |input: &[u8]| install(folder.path(), input).unwrap_or(false);
    Ok(Prepared { seeds: seeds()?, take: Box::new(take) })
}

fn install(folder: &Path, input: &[u8]) -> std::io::Result<bool> {
    let file = folder.join("input.tgz");
    let is_raw = input.len().is_multiple_of(4) && !input.len().is_multiple_of(512);
    if is_raw {
        std::fs::write(&file, input)?;
    } else {
        let mut packed = GzEncoder::new(std::fs::File::create(&file)?, Compression::fast());
        packed.write_all(input)?;
        packed.finish()?;
    }
    let root = folder.join("root");
    let store = Store::new(root.join("packages")).replacing();
    let installed = store.install(&file, &[], |_| {}).is_ok();
    let listed = store.list().unwrap_or_default();
    if let Ok(definitions) = store.definitions() {
        definitions.of_type(ty::VALUE_SET).for_each(|d| {
            let _ = d.resource();
        });
    }
    for manifest in listed {
        let _ = store.remove(&manifest.name, &manifest.version, true);
    }
    let beside: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|e| e.file_name()).collect();
    assert!(beside.iter().all(|name| name == "root" || name == "input.tgz"), "written outside: {beside:?}");
    Ok(installed)
}

//! The official maps of the Italian gateway, and documents for them.

use std::path::{Path, PathBuf};

use profiles::mapping::Map;

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

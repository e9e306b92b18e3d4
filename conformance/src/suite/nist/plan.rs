//! The test plans as they are written: tests, their sections in order, and
//! the steps of each.

use std::path::{Path, PathBuf};

use ihe_adapters::wire::xml::{Element, Limits};

/// A test: a folder with sections that are run in order.
pub(super) struct Test {
    /// The folder's name.
    pub(super) name: String,
    pub(super) sections: Vec<Section>,
}

/// A plan: `testplan.xml` in a folder.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Whether the index of its test names it; the others come last.
    pub(super) is_listed: bool,
    pub(super) steps: Vec<Step>,
}

/// A step: one transaction and what is expected of it.
pub(super) struct Step {
    pub(super) id: String,
    /// `Success`, `Failure` ...; empty where nothing is said.
    pub(super) status: String,
    /// What errors there have to be, or a part of their text.
    pub(super) errors: Vec<String>,
    pub(super) transaction: Element,
}

/// Reads the tests of a folder.
pub(super) fn tests(folder: &Path) -> Result<Vec<Test>, String> {
    let mut names: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    names.sort();
    names.iter().map(|folder| test(folder)).collect()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn test(folder: &Path) -> Result<Test, String> {
    let index = std::fs::read_to_string(folder.join("index.idx")).unwrap_or_default();
    let listed: Vec<&str> = index.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let has_plan = |name: &str| folder.join(name).join("testplan.xml").is_file();
    let mut sections = Vec::new();
    for name in listed.iter().filter(|name| has_plan(name)) {
        sections.push(section(&folder.join(name), name)?);
    }
    if sections.is_empty() && has_plan("") {
        sections.push(section(folder, "")?);
    }
    let others = entries(folder)?.into_iter().map(|path| name_of(&path));
    let mut unlisted: Vec<String> =
        others.filter(|name| has_plan(name) && !listed.contains(&name.as_str())).collect();
    unlisted.sort();
    for name in &unlisted {
        sections.push(Section { is_listed: false, ..section(&folder.join(name), name)? });
    }
    Ok(Test { name: name_of(folder), sections })
}

/// Reads a file of XML.
pub(super) fn read(path: &Path) -> Result<Element, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|e| told(e.to_string()))?;
    Element::parse(&bytes, &Limits::default()).map_err(|e| told(e.to_string()))
}

fn section(folder: &Path, name: &str) -> Result<Section, String> {
    let plan = read(&folder.join("testplan.xml"))?;
    let steps = plan.children_named("", "TestStep").map(step).collect();
    Ok(Section { name: name.to_owned(), folder: folder.to_owned(), is_listed: true, steps })
}

fn step(step: &Element) -> Step {
    let transaction = step.elements().find(|e| e.local.ends_with("Transaction") || e.local == "NewPatientId");
    let texts = |name| step.children_named("", name).map(Element::text);
    let errors = texts("ExpectedErrorCode").chain(texts("ExpectedErrorMessage"));
    let nothing = || Element::new("", "NoTransaction");
    Step {
        id: step.attribute("id").unwrap_or_default().to_owned(),
        status: step.text_of("", "ExpectedStatus").unwrap_or_default(),
        errors: errors.flat_map(|e| e.split(',').map(|e| e.trim().to_owned()).collect::<Vec<_>>()).collect(),
        transaction: transaction.cloned().unwrap_or_else(nothing),
    }
}

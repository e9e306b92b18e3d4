//! The core package, installed: how long it takes to open, and that what is
//! found is what was packed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use fhir_model::schema::{name, ty};
use profiles::package::store::Store;
use profiles::terminology::Terminology;
use profiles::validate::{Language, Options, Validator};

const PACKAGE: &str = "shared/testdata/fhir/hl7.fhir.r4.core-4.0.1.tgz";

fn core() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join(PACKAGE)).find(|p| p.exists())
}

#[test]
fn an_installed_package_opens_at_once_and_is_read_as_it_is_asked_for() {
    let Some(core) = core() else {
        println!("passed over: the core package is not at hand");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    let mut seen = 0;
    let installed = store.install(&core, &[], |count| seen += count).expect("installed");
    assert_eq!(installed.resources + installed.refused.len(), seen);
    // A code that ends in a no-break space, and an id of 67 characters.
    assert_eq!(installed.refused.len(), 2, "{:?}", installed.refused);
    let started = Instant::now();
    let definitions = store.definitions().expect("opened");
    let opened = started.elapsed();
    println!("opened {} definitions in {opened:?}", definitions.len());
    assert!(definitions.len() > 4_000);
    for (of, url) in [
        (ty::STRUCTURE_DEFINITION, "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1"),
        (ty::VALUE_SET, "http://hl7.org/fhir/ValueSet/administrative-gender"),
        (ty::CODE_SYSTEM, "http://hl7.org/fhir/administrative-gender|4.0"),
    ] {
        let found = definitions.resource(of, url).expect(url);
        assert_eq!(found.root().text_of(name::URL), url.split('|').next());
    }
    let started = Instant::now();
    for definition in definitions.iter() {
        let read = definition.resource().expect("readable");
        assert_eq!(read.root().text_of(name::URL), Some(definition.url()));
    }
    println!("read them all in {:?}", started.elapsed());
}

#[test]
fn the_differentials_of_the_core_package_fit_their_bases() {
    let Some(core) = core() else {
        println!("passed over: the core package is not at hand");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    store.install(&core, &[], |_| {}).expect("installed");
    let definitions = Arc::new(store.definitions().expect("opened"));
    let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
    let validator = Validator::new(Arc::clone(&definitions), terminology, Options::default());
    let (mut looked_at, mut unfit) = (0, Vec::new());
    for definition in definitions.of_type(ty::STRUCTURE_DEFINITION) {
        let read = definition.resource().expect("readable");
        let found = validator.validate(read, &[]);
        unfit.extend(
            found
                .iter()
                .filter(|f| f.rule.key() == "differential")
                .map(|f| format!("{}: {}", definition.url(), f.text(Language::English))),
        );
        looked_at += 1;
    }
    assert!(looked_at > 600, "{looked_at}");
    assert_eq!(unfit, Vec::<String>::new());
}

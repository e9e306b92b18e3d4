//! The core package, installed: how long it takes to open, and that what is
//! found is what was packed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use fhir_model::schema::{name, ty};
use profiles::package::store::Store;

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
    assert!(opened.as_millis() < 1_000, "{opened:?}");
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

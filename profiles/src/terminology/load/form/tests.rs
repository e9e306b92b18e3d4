use std::sync::Arc;

use fhir_model::json;
use fhir_model::tree::Resource;

use super::super::error::Finding;
use super::*;
use crate::definitions::Definitions;
use crate::terminology::code_system::CodeSystem;
use crate::terminology::{CodingRef, Membership, Terminology};

fn written(folder: &Path, file: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(file);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn resource(table: &CodeTable) -> Resource {
    json::read(table.to_json()).expect("a CodeSystem of R4")
}

fn loaded(form: Form, files: &[(&str, &str)]) -> Loaded {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> =
        files.iter().map(|(file, text)| written(folder.path(), file, text.as_bytes())).collect();
    form.load(&paths, None, &mut |_| {}).expect("loaded")
}

fn findings(loaded: &Loaded) -> Vec<(u64, Finding)> {
    loaded.notes.kept.iter().map(|note| (note.line, note.finding.clone())).collect()
}

#[test]
fn a_national_table_has_a_code_system_for_each_version() {
    let table = "version,code,description,release_date\n\
                 \"\",A,Alfa,\n1.0,A,Alfa uno,2020-01-02\n1.0,B,Beta,2021-01-02\n\
                 1.0,B,Beta,\n1.0,A,Altra,\n1.0,,nessuno,\n";
    let loaded = loaded(Form::National, &[("1.2.3.csv", table)]);
    assert_eq!(loaded.rows, 6);
    let expected = [
        (5, Finding::Repeated("B".to_owned())),
        (6, Finding::OtherText("A".to_owned())),
        (7, Finding::NoCode),
    ];
    assert_eq!(findings(&loaded), expected);
    let codes: usize = loaded.tables.iter().map(CodeTable::len).sum();
    assert_eq!(codes, 6 - loaded.notes.repeated - loaded.notes.left_out);
    let systems: Vec<CodeSystem> = loaded.tables.iter().map(|t| CodeSystem::compile(&resource(t))).collect();
    for (system, version, display) in [(&systems[0], None, "Alfa"), (&systems[1], Some("1.0"), "Alfa uno")] {
        assert_eq!((system.url(), system.version()), ("urn:oid:1.2.3", version));
        let concept = system.concept("A").expect("a concept");
        assert_eq!(system.display(concept), Some(display));
        assert_eq!(system.has_display(concept, "Altra"), version.is_some());
    }
    assert_eq!(loaded.tables[1].naming.date.as_deref(), Some("2021-01-02"));
}

#[test]
fn loinc_has_properties_and_displays_in_other_languages() {
    let table = "\"LOINC_NUM\",\"COMPONENT\",\"SYSTEM\",\"STATUS\",\"SHORTNAME\",\"LONG_COMMON_NAME\",\"VersionLastChanged\"\n\
                 \"1-1\",\"Sodium\",\"Ser\",\"ACTIVE\",\"Na\",\"Sodium in Serum\",\"2.9\"\n\
                 \"2-2\",\"Old\",\"Ser\",\"DEPRECATED\",\"\",\"Old thing\",\"2.78\"\n";
    let variant = "LOINC_NUM,COMPONENT,SYSTEM,SHORTNAME,LONG_COMMON_NAME\n1-1,Sodio,Siero,,\n9-9,Altro,,,\n";
    let loaded = loaded(Form::Loinc, &[("itIT10LinguisticVariant.csv", variant), ("Loinc.csv", table)]);
    assert_eq!(findings(&loaded), [(3, Finding::NoConcept("9-9".to_owned()))]);
    let system = CodeSystem::compile(&resource(&loaded.tables[0]));
    assert_eq!((system.url(), system.version(), system.len()), ("http://loinc.org", Some("2.78"), 2));
    let (sodium, old) = (system.concept("1-1").expect("there"), system.concept("2-2").expect("there"));
    let property =
        |code: &str| system.properties(sodium).iter().find(|p| &*p.code == code).map(|p| &*p.value);
    for (code, value) in [("COMPONENT", Some("Sodium")), ("STATUS", Some("ACTIVE")), ("METHOD_TYP", None)] {
        assert_eq!(property(code), value, "{code}");
    }
    assert!(system.is_inactive(old) && !system.is_inactive(sodium));
    let italian = system.designations(sodium).iter().find(|d| d.language.as_deref() == Some("it-IT"));
    assert_eq!(italian.map(|d| &*d.value), Some("Sodio:Siero"));
}

#[test]
fn codes_stand_below_those_they_make_more_precise() {
    let icd = "codice;descrizione\n001;Colera\n001.0;Da Vibrio\nE800;Incidente\nE800.1;Altro\n\
               00;Procedure\n00.01;Terapia\nV10.11;Sola\n";
    let atc = "code,description\nA,Apparato\nA01,Stomatologici\nA01AA,Sostanze\nA01AA01,Fluoruro\nA1,No\n";
    for (form, table, parents) in [
        (
            Form::Icd9Cm,
            icd,
            vec![("001.0", Some("001")), ("E800.1", Some("E800")), ("00.01", Some("00")), ("V10.11", None)],
        ),
        (Form::Atc, atc, vec![("A01AA01", Some("A01AA")), ("A01AA", Some("A01")), ("A", None)]),
    ] {
        let loaded = loaded(form, &[("t.csv", table)]);
        let system = CodeSystem::compile(&resource(&loaded.tables[0]));
        for (code, parent) in parents {
            let above = system.parents(system.concept(code).expect(code)).first().map(|p| system.code(*p));
            assert_eq!(above, parent, "{code}");
        }
        let refused: Vec<_> =
            if form == Form::Atc { vec![(6, Finding::BadCode("A1".to_owned()))] } else { vec![] };
        assert_eq!(findings(&loaded), refused);
    }
}

#[test]
fn packs_of_medicines_have_their_substance() {
    let table = "codice_aic;denominazione;descrizione;codice_atc;pa_associati;stato_amministrativo\n\
                 12345678;FARMACO;20 compresse;N02BE01;Sostanza;Autorizzata\n\
                 123456789;VECCHIO;;N02BE01;Sostanza;Revocata\nX1;NO;;;;\n";
    let loaded = loaded(Form::Aic, &[("confezioni.csv", table)]);
    let told = [(2, Finding::Zeros("012345678".to_owned())), (4, Finding::BadCode("X1".to_owned()))];
    assert_eq!(findings(&loaded), told);
    let system = CodeSystem::compile(&resource(&loaded.tables[0]));
    assert_eq!(system.url(), "urn:oid:2.16.840.1.113883.2.9.6.1.5");
    let pack = system.concept("012345678").expect("there");
    assert_eq!(system.display(pack), Some("FARMACO 20 compresse"));
    let atc = system.properties(pack).iter().find(|p| &*p.code == "atc").expect("an ATC code");
    assert_eq!((&*atc.value, atc.system.as_deref()), ("N02BE01", Some("http://www.whocc.no/atc")));
    assert!(system.is_inactive(system.concept("123456789").expect("there")));
}

#[test]
fn forms_are_recognized_by_their_header() {
    let folder = tempfile::tempdir().expect("a folder");
    for (header, form) in [
        ("version,code,description,release_date", Some(Form::National)),
        ("\"LOINC_NUM\",\"COMPONENT\"", Some(Form::Loinc)),
        ("Codice AIC;Denominazione", Some(Form::Aic)),
        ("code,description", None),
        ("", None),
    ] {
        let path = written(folder.path(), "t.csv", header.as_bytes());
        assert_eq!(Form::of_file(&path).ok(), form, "{header}");
    }
    let path = written(folder.path(), "table.csv", b"version,code,description\n,a,b\n");
    let refused = Form::National.load(std::slice::from_ref(&path), None, &mut |_| {});
    assert!(matches!(refused, Err(LoadError::Oid(_))));
    let refused = Form::Loinc.load(&[path], None, &mut |_| {});
    assert!(matches!(refused, Err(LoadError::Column(..))));
}

#[test]
fn the_national_tables_load_whole() {
    let mut at = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    let folder = loop {
        let tables = at.join("shared/testdata/fse/catalogs/terminology");
        if tables.is_dir() {
            break tables;
        }
        if !at.pop() {
            eprintln!("the national tables are not here; passed over");
            return;
        }
    };
    let files = files_of(&[folder]).expect("listed");
    assert_eq!(files.len(), 64);
    assert_eq!(Form::of_files(&files).expect("recognized"), Form::National);
    let (mut read, mut size) = (0, 0);
    for file in &files {
        size += std::fs::metadata(file).expect("there").len();
    }
    let loaded = Form::National.load(&files, None, &mut |bytes| read += bytes).expect("loaded");
    assert_eq!(read, size);
    let codes: usize = loaded.tables.iter().map(CodeTable::len).sum();
    assert!(loaded.rows > 40_000);
    assert_eq!(codes as u64, loaded.rows - loaded.notes.repeated as u64);
    assert_eq!((loaded.notes.left_out, loaded.tables.len()), (0, 64));
    let mut definitions = Definitions::new();
    for table in &loaded.tables {
        definitions.add_resource(resource(table));
    }
    let terminology = Terminology::new(Arc::new(definitions));
    let ask = |system, code| {
        terminology.validate_in_system(&CodingRef {
            system: Some(system),
            version: None,
            code,
            display: None,
        })
    };
    for system in ["urn:oid:2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9-cm"] {
        assert_eq!(ask(system, "00.01"), Membership::Member { display: None }, "{system}");
        assert!(matches!(ask(system, "no-such-code"), Membership::NotMember { .. }), "{system}");
    }
    assert!(matches!(ask("urn:oid:1.2.3", "a"), Membership::Unknown { .. }));
}

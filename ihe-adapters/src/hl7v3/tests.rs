//! The samples of others: what HL7 v3 says of a person is what its HL7 v2
//! sibling says, and nothing is lost on the way to FHIR and back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::pix::domains::Domains;
use crate::pixv3::identity_feed::merged;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::registration::{patient_of, registrations};
use crate::wire::xml::{Element, Limits};

/// The samples; `None` when they are not there.
fn samples() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/hl7v3");
    if !folder.exists() {
        println!("absent, nothing checked: {}", folder.display());
    }
    folder.exists().then_some(folder)
}

fn v3(path: &Path) -> Element {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Element::parse(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn patients(message: &Element) -> Vec<Value> {
    let domains = Domains::default();
    registrations(message).filter_map(patient_of).map(|of| patient(of, "", &domains).patient).collect()
}

/// What a source says of a person, as sets of texts by which two wires are compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    identifiers: BTreeSet<String>,
    families: BTreeSet<String>,
    given: BTreeSet<String>,
    birth: String,
    gender: String,
    places: BTreeSet<String>,
    reached: BTreeSet<String>,
    codes: BTreeSet<String>,
}

fn strings<'v>(list: &'v Value, member: &'v str) -> impl Iterator<Item = String> + 'v {
    let values = list.as_array().into_iter().flatten().flat_map(move |item| match &item[member] {
        Value::Array(all) => all.iter().collect::<Vec<&Value>>(),
        one => vec![one],
    });
    values.filter_map(Value::as_str).map(str::to_owned)
}

/// Gathers the codes of a Patient that are not its gender.
fn codes(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            all.extend(members.get("code").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| codes(value, all));
        }
        Value::Array(values) => values.iter().for_each(|value| codes(value, all)),
        _ => {}
    }
}

fn told_by_fhir(patient: &Value) -> Told {
    let identifiers = patient["identifier"].as_array().into_iter().flatten().map(|id| {
        let system = id["system"].as_str().unwrap_or_default().trim_start_matches("urn:oid:");
        format!("{}@{system}", id["value"].as_str().unwrap_or_default())
    });
    let places = ["line", "city", "state", "postalCode", "country"];
    let mut told = Told {
        identifiers: identifiers.collect(),
        families: strings(&patient["name"], "family").collect(),
        given: strings(&patient["name"], "given").collect(),
        birth: patient["birthDate"].as_str().unwrap_or_default().replace('-', ""),
        gender: patient["gender"].as_str().unwrap_or_default().to_owned(),
        places: places.into_iter().flat_map(|part| strings(&patient["address"], part)).collect(),
        reached: strings(&patient["telecom"], "value").collect(),
        codes: BTreeSet::new(),
    };
    for member in ["maritalStatus", "extension", "communication"] {
        codes(&patient[member], &mut told.codes);
    }
    // What the mother was called is no code of the person.
    told.codes.remove("MTH");
    told
}

/// Reads what a PID segment says; fields by their numbers in the standard.
fn told_by_v2(message: &Message, at: usize) -> Told {
    let pid = message.segments("PID").nth(at).expect("a PID segment");
    let field = |number: usize| pid.field(number, message.delimiters()).unwrap_or_default().to_owned();
    let repetitions = |number: usize| -> Vec<Vec<String>> {
        let of = field(number);
        let all = of.split('~').filter(|text| !text.is_empty());
        all.map(|text| text.split('^').map(str::to_owned).collect()).collect()
    };
    let part = |parts: &[String], at: usize| parts.get(at).filter(|p| !p.is_empty()).cloned();
    let mut told = Told::default();
    for cx in [repetitions(3), repetitions(4), repetitions(18)].concat() {
        let authority = part(&cx, 3).unwrap_or_default();
        let oid = authority.split('&').nth(1).unwrap_or_default().to_owned();
        told.identifiers.extend(part(&cx, 0).filter(|id| id != "\"\"").map(|id| format!("{id}@{oid}")));
    }
    told.identifiers.extend(part(&[field(19)], 0).map(|ssn| format!("{ssn}@2.16.840.1.113883.4.1")));
    for xpn in [repetitions(5), repetitions(6)].concat() {
        told.families.extend(part(&xpn, 0));
        told.given.extend([1, 2].into_iter().filter_map(|at| part(&xpn, at)));
    }
    told.birth = field(7);
    let gender = fhir_gender(&field(8));
    told.gender = gender.to_owned();
    for xad in repetitions(11) {
        told.places.extend([0, 2, 3, 4, 5].into_iter().filter_map(|at| part(&xad, at)));
    }
    for xtn in [repetitions(13), repetitions(14)].concat() {
        told.reached.extend(part(&xtn, 3).or_else(|| part(&xtn, 0)));
    }
    for number in [10, 15, 16, 17, 22, 26] {
        told.codes.extend(repetitions(number).iter().filter_map(|ce| part(ce, 0)));
    }
    told
}

fn fhir_gender(code: &str) -> &'static str {
    gender(code).unwrap_or("")
}

/// Pairs of samples: folder, the v3 and the v2 message.
const PAIRS: &[(&str, &str, &str)] = &[
    ("pixfeed", "PIX_FEED_REG_Maximal_Request", "PIX_FEED_REG_Maximal_Request"),
    ("pixfeed", "PIX_FEED_REV_Maximal_Request", "PIX_FEED_REV_Maximal_Request"),
    ("pixsource", "A01_Response", "A01"),
    ("pixsource", "A01_with_BR_Response", "A01_with_BR"),
    ("pixsource", "A04_Response", "A04"),
    ("pixsource", "A08_Response", "A08"),
    ("pdq", "PDQ_Maximal_Query_Response", "PDQ_Maximal_Query_Response"),
    ("pdq", "PDQ_Response", "PDQ_Response"),
    ("pdq", "PDQ_with_PID4_Response", "PDQ_with_PID4_Response"),
    (
        "pdq",
        "PDQ_connectathon2011_namespaces_issue_Response",
        "PDQ_connectathon2011_namespaces_issue_Response",
    ),
    ("pdq", "PDQ_unused_global_namespace_issue_Response", "PDQ_unused_global_namespace_issue_Response"),
];

fn pair(samples: &Path, (folder, v3_name, v2_name): (&str, &str, &str)) -> (Element, Message) {
    let folder = samples.join("ipf/translation").join(folder);
    let text = fs::read_to_string(folder.join(format!("v2/{v2_name}.hl7"))).expect("a v2 message");
    // Some are kept with an empty line after each segment.
    let lines: Vec<&str> = text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    (v3(&folder.join(format!("v3/{v3_name}.xml"))), Message::parse(&lines.join("\r")).expect("a message"))
}

#[test]
fn a_person_of_v3_is_the_person_of_v2() {
    let Some(samples) = samples() else { return };
    for of in PAIRS {
        let (v3, v2) = pair(&samples, *of);
        let patients = patients(&v3);
        assert_eq!(patients.len(), v2.segments("PID").count(), "{}", of.1);
        for (at, patient) in patients.iter().enumerate() {
            let (mut by_v3, mut by_v2) = (told_by_fhir(patient), told_by_v2(&v2, at));
            // The translations leave out what their authors did not need; what both say is the same.
            for (name, is_in_both) in [
                ("codes", by_v3.codes.is_subset(&by_v2.codes) || by_v2.codes.is_subset(&by_v3.codes)),
                ("places", by_v3.places.is_subset(&by_v2.places)),
                ("identifiers", by_v3.identifiers.is_subset(&by_v2.identifiers)),
                ("reached", by_v3.reached == by_v2.reached),
            ] {
                assert!(is_in_both, "{} {at} {name}\n{by_v3:#?}\n{by_v2:#?}", of.1);
            }
            for told in [&mut by_v3, &mut by_v2] {
                told.codes.clear();
                told.places.clear();
                told.identifiers.clear();
            }
            assert_eq!(by_v3, by_v2, "{} {at}", of.1);
        }
    }
}

#[test]
fn a_merge_of_v3_is_the_merge_of_v2() {
    let Some(samples) = samples() else { return };
    for of in [
        ("pixfeed", "PIX_FEED_MERGE_Maximal_Request", "PIX_FEED_MERGE_Maximal_Request"),
        ("pixsource", "A40_Response", "A40"),
    ] {
        let (v3, v2) = pair(&samples, of);
        let (gone, stays) = merged(&v3).expect("a merge");
        let ids = |segment: &str, field: usize| v2.value(segment, field, 1);
        assert_eq!((gone.extension, stays.extension), (ids("MRG", 1), ids("PID", 3)), "{}", of.1);
    }
}

/// Every message of the samples that has patients.
fn all_messages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all_messages(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "xml") {
            found.push(path);
        }
    }
}

#[test]
fn what_goes_out_is_what_came_in() {
    let Some(samples) = samples() else { return };
    let mut paths = Vec::new();
    all_messages(&samples, &mut paths);
    let mut checked = 0;
    for path in paths {
        let Ok(message) = Element::parse(&fs::read(&path).expect("readable"), &Limits::default()) else {
            continue;
        };
        for once in patients(&message) {
            let domains = Domains::default();
            let ids = once["identifier"].as_array().into_iter().flatten();
            let ids = ids.map(|id| InstanceIdentifier {
                root: id["system"].as_str().map(|s| s.trim_start_matches("urn:oid:").to_owned()),
                extension: id["value"].as_str().map(str::to_owned),
                authority_name: id["assigner"]["display"].as_str().map(str::to_owned),
                null_flavor: None,
            });
            let identified = Identified { ids: ids.collect(), ..Identified::default() };
            let written = patient_element(&once, &identified, Some("1.2.3")).to_xml();
            let written = Element::parse(written.as_bytes(), &Limits::default()).expect("well-formed");
            let Mapped { patient: again, unmapped } = patient(&written, "", &domains);
            assert_eq!(unmapped, Vec::<String>::new(), "{}", path.display());
            let (mut once, mut again) = (once, again);
            for patient in [&mut once, &mut again] {
                if let Some(members) = patient.as_object_mut() {
                    // Whoever takes care of nobody is filled in; who is told of is active.
                    for member in ["managingOrganization", "contained", "active", "contact"] {
                        members.remove(member);
                    }
                }
            }
            assert_eq!(again, once, "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} patients");
}

#[test]
fn a_person_with_everything_is_told_whole() {
    let text = "<patient xmlns='urn:hl7-org:v3' classCode='PAT'><id root='1.2.3' extension='7'/><statusCode code='active'/>\
        <confidentialityCode code='V'/><veryImportantPersonCode code='VIP'/><patientPerson>\
        <name use='L'><prefix qualifier='AC'>Dott.ssa</prefix><given>Anna</given><given>Maria</given><family>Rossi</family></name>\
        <telecom use='MC' value='tel:+39333'/><administrativeGenderCode code='F'/><birthTime value='198002031215+0100'/>\
        <deceasedInd value='true'/><deceasedTime value='20200101'/><multipleBirthInd value='true'/>\
        <multipleBirthOrderNumber value='2'/><organDonorInd value='true'/>\
        <addr use='H'><streetAddressLine>Via Balbi</streetAddressLine><houseNumber>5</houseNumber><city>Genova</city></addr>\
        <maritalStatusCode code='M'/><disabilityCode code='1'/><religiousAffiliationCode code='1013'/>\
        <raceCode code='2106-3'/><ethnicGroupCode code='2186-5'/>\
        <asCitizen><effectiveTime><low value='1980'/></effectiveTime><politicalNation><code code='IT'/></politicalNation></asCitizen>\
        <asOtherIDs classCode='PAT'><id root='2.16.840.1.113883.2.9.4.3.2' extension='RSSMRA80A01D969X'/>\
        <scopingOrganization><id root='2.16.840.1.113883.2.9.4.3.2'/><name>MEF</name></scopingOrganization></asOtherIDs>\
        <contactParty classCode='CON'><telecom value='tel:1'/><contactPerson><name><given>Ugo</given></name></contactPerson></contactParty>\
        <personalRelationship><code code='MTH' codeSystem='2.16.840.1.113883.5.111'/><relationshipHolder1>\
        <name><given>Pia</given><family>Verdi</family></name></relationshipHolder1></personalRelationship>\
        <birthPlace><addr><city>Savona</city></addr></birthPlace>\
        <languageCommunication><languageCode code='it'/><preferenceInd value='true'/></languageCommunication>\
        </patientPerson><providerOrganization><id root='1.2.9'/><name>ASL 3</name><contactParty><telecom value='tel:010'/>\
        </contactParty></providerOrganization></patient>";
    let read = Element::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
    let Mapped { patient: told, unmapped } = patient(&read, "", &Domains::default());
    assert_eq!(unmapped, Vec::<String>::new());
    assert_eq!(told["birthDate"], "1980-02-03");
    assert_eq!(told["_birthDate"]["extension"][0]["valueDateTime"], "1980-02-03T12:15:00+01:00");
    assert_eq!((&told["deceasedDateTime"], &told["multipleBirthInteger"]), (&json!("2020-01-01"), &json!(2)));
    assert_eq!(told["identifier"][1]["assigner"]["display"], "MEF");
    assert_eq!(told["managingOrganization"]["identifier"]["value"], "urn:oid:1.2.9");
    assert_eq!(told["contained"][0]["telecom"][0]["value"], "010");
    assert_eq!(told["contact"].as_array().map(Vec::len), Some(2));
    let urls: BTreeSet<&str> =
        told["extension"].as_array().expect("extensions").iter().filter_map(|e| e["url"].as_str()).collect();
    for name in [
        "patient-importance",
        "patient-cadavericDonor",
        "patient-birthPlace",
        "patient-religion",
        "patient-disability",
        "patient-citizenship",
        "patient-mothersMaidenName",
        "us-core-race",
        "us-core-ethnicity",
    ] {
        assert!(urls.iter().any(|url| url.ends_with(name)), "no {name} in {urls:?}");
    }
    let identified = Identified {
        ids: vec![InstanceIdentifier { extension: Some("7".into()), ..InstanceIdentifier::of_root("1.2.3") }],
        ..Identified::default()
    };
    let written = patient_element(&told, &identified, Some("1.1")).to_xml();
    let written = Element::parse(written.as_bytes(), &Limits::default()).expect("well-formed");
    let again = patient(&written, "", &Domains::default()).patient;
    for member in [
        "name",
        "telecom",
        "birthDate",
        "_birthDate",
        "deceasedDateTime",
        "multipleBirthInteger",
        "address",
        "maritalStatus",
        "communication",
        "managingOrganization",
        "meta",
        "gender",
        "extension",
    ] {
        assert_eq!(again[member], told[member], "{member}");
    }
}

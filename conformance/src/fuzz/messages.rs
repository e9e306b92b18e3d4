//! Messages as hospitals and communities send them, and what is made of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fhir_model::json;
use ihe_adapters::dsub::{publish, subscribe::Subscription};
use ihe_adapters::hl7v3::{Identified, Mapped, instance_identifier, patient, patient_element};
use ihe_adapters::pdqv3::question::Asked;
use ihe_adapters::pix::Identifier;
use ihe_adapters::pix::domains::Domains;
use ihe_adapters::wire::content_type::ContentType;
use ihe_adapters::wire::ebrim::{RegistryObject, read_objects, write_object};
use ihe_adapters::wire::hl7v3::acknowledgement::acknowledged;
use ihe_adapters::wire::hl7v3::message::Transmission;
use ihe_adapters::wire::hl7v3::query::{Continuation, QueryByParameter};
use ihe_adapters::wire::hl7v3::registration::{issues, patient_of, registrations};
use ihe_adapters::wire::mtom::{self, Event, Reader};
use ihe_adapters::wire::namespaces::{LCM, RIM, SOAP_12};
use ihe_adapters::wire::soap::{Envelope, Fault};
use ihe_adapters::wire::xml::{Element, Fragment, Limits};
use ihe_adapters::xds::check::{Taker, check};
use ihe_adapters::xds::registry::stored_query::StoredQuery;
use ihe_adapters::xds::submission::Submission;
use ihe_adapters::xdsi::manifest::manifest;
use ihe_adapters::xua::{self, OneTime, Policy, Trust, TrustedKeys};
use jiff::Timestamp;
use serde_json::Value;

use super::Prepared;

pub(super) const SOAP_WORDS: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "\"",
    "'",
    "&amp;",
    "&#0;",
    "<!--",
    "<![CDATA[",
    "<!DOCTYPE a>",
    " id=\"urn:uuid:1\"",
    " xmlns:x=\"urn:x\"",
    " mustUnderstand=\"1\"",
    "^^^&amp;1.2.3&amp;ISO",
    "('a','b''c')",
    "<Slot name=\"hash\"><ValueList><Value>x</Value></ValueList></Slot>",
    "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
    "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2",
    "urn:ihe:iti:2007:AssociationType:RPLC",
    "20261301",
    "PT1H",
];

pub(super) const HL7_V3_WORDS: &[&str] = &[
    "<",
    "/>",
    "</",
    "'",
    " nullFlavor=\"NA\"",
    " root=\"1.2.3\"",
    " extension=\"A\"",
    " use=\"L SRCH\"",
    " qualifier=\"BR SP\"",
    " xsi:type=\"PN\"",
    "<family qualifier=\"BR\">x</family>",
    "<value/>",
    "<low value=\"1977\"/>",
    "<houseNumber>5</houseNumber>",
    "<translation code=\"1\"/>",
    "<livingSubjectName><value><given>A</given></value></livingSubjectName>",
    "<asOtherIDs><id root=\"1.2\" extension=\"B\"/></asOtherIDs>",
    "<replacementOf/>",
    "20261301",
    "19771208143001.25-0330",
    "tel:",
    "mailto:",
    "é",
];

pub(super) const MULTIPART_WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "--b",
    "\r\n--b\r\n",
    "\r\n--b--",
    "\n--b\n",
    "Content-ID: <x>",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: quoted-printable",
    "QUJD",
    "=",
];

pub(super) const DICOM_WORDS: &[&str] =
    &["DICM", "SQ\0\0", "UI", "\u{0}\u{0}", "1.2.840.10008.1.2.1", "UN", "\u{7f}", "1.2.3"];

/// The greatest size of a sample that is a seed, in bytes.
const SEED_BYTES_MAX: u64 = 64_000;

/// Returns the files of an ending below a folder of the samples of IHE.
pub(super) fn files(testdata: &Path, folder: &str, ending: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut folders = vec![testdata.join("ihe").join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        // The same order whatever the file system says.
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|of| of == ending)
                && path.metadata().is_ok_and(|about| about.len() < SEED_BYTES_MAX)
            {
                found.push(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
            }
        }
    }
    Ok(found)
}

pub(super) fn prepare_soap(testdata: &Path) -> Result<Prepared, String> {
    let mut seeds = files(testdata, "xds-samples", "xml")?;
    seeds.extend(files(testdata, "dsub", "xml")?);
    let take = |input: &[u8]| {
        let Ok(root) = Element::parse(input, &Limits::default()) else { return false };
        let again = Element::parse(root.to_xml().as_bytes(), &Limits::default());
        assert!(again.is_ok_and(|again| again == root), "what is written is not what was read");
        let body = match Envelope::of(root.clone()) {
            Ok(envelope) => {
                let _ = (envelope.addressing(), Fault::of(&envelope));
                envelope.body
            }
            // Many samples are the body alone.
            Err(_) if &*root.namespace == SOAP_12 => return false,
            Err(_) => root,
        };
        let _ = StoredQuery::of(&body);
        let _ = Subscription::of(&body, Timestamp::UNIX_EPOCH);
        let _ = publish::published(&body);
        let request = body.child(LCM, "SubmitObjectsRequest").unwrap_or(&body);
        let Some(list) = request.child(RIM, "RegistryObjectList") else { return true };
        let Ok(objects) = read_objects(list) else { return true };
        // What lacks an id gets one when it is written, once.
        let once = written(&objects);
        assert_eq!(written(&once), once, "objects are not as they were written");
        if let Ok(submission) = Submission::of(objects) {
            let _ = check(&submission, Taker::Registry);
        }
        true
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}

pub(super) fn prepare_hl7v3(testdata: &Path) -> Result<Prepared, String> {
    let seeds = files(testdata, "hl7v3", "xml")?;
    let domains = Domains::default();
    let take = move |input: &[u8]| {
        let Ok(root) = Element::parse(input, &Limits::default()) else { return false };
        let transmission = Transmission::of(&root);
        let _ = (transmission.problem(&root), acknowledged(&root), issues(&root), Continuation::of(&root));
        let answer = transmission.answer("MCCI_IN000002UV01").to_message("NE");
        assert_eq!(
            Transmission::of(&answer).sender.ids,
            transmission.receiver.ids,
            "an answer is of somebody else"
        );
        if let Ok(query) = QueryByParameter::of(&root) {
            let _ = (Asked::of(&query, Vec::new()), query.to_element());
        }
        for of in registrations(&root).filter_map(patient_of) {
            let once = patient(of, "", &domains).patient;
            assert!(json::read(once.to_string()).is_ok(), "it is no Patient: {once}");
            let again = written_person(&once, &domains);
            assert_eq!(written_person(&again, &domains), again, "a person is not as he was written");
        }
        true
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}

/// Writes a person, and reads him back.
fn written_person(patient_of: &Value, domains: &Domains) -> Value {
    let identifiers = patient_of["identifier"].as_array().into_iter().flatten();
    let ids = identifiers.map(|id| {
        let text = |member: &str| id[member].as_str().unwrap_or_default().to_owned();
        instance_identifier(&Identifier::new(text("system"), text("value")), domains)
    });
    let identified = Identified { ids: ids.collect(), ..Identified::default() };
    let xml = patient_element(patient_of, &identified, Some("1.2.3")).to_xml();
    let read = Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed");
    let Mapped { patient, .. } = patient(&read, "", domains);
    patient
}

/// Writes objects, and reads them back.
fn written(objects: &[RegistryObject]) -> Vec<RegistryObject> {
    let mut fragment = Fragment::new(RIM, 0);
    objects.iter().for_each(|object| write_object(object, &mut fragment));
    let list = Element::new(RIM, "RegistryObjectList").with_fragment(fragment).to_xml();
    let list = Element::parse(list.as_bytes(), &Limits::default()).expect("well-formed");
    read_objects(&list).expect("readable")
}

pub(super) fn prepare_multipart(_: &Path) -> Result<Prepared, String> {
    let seeds = [
        "--b\r\nContent-ID: <root>\r\nContent-Type: application/xop+xml\r\n\r\n<a/>\r\n--b\r\nContent-ID: <x>\r\n\r\nabc\r\n--b--\r\n",
        "preamble\r\n--b\r\n\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--epilogue",
        "--b\n\nline feeds alone\n--b--",
    ];
    let content_type = ContentType::parse("multipart/related; boundary=b").ok_or("no media type")?;
    let take = move |input: &[u8]| {
        // However the bytes arrive, the same comes of them.
        let whole = events(&content_type, input.chunks(input.len().max(1)));
        let split = events(&content_type, input.chunks(1));
        assert_eq!(split, whole, "what comes of it depends on how it arrives");
        whole.is_some()
    };
    Ok(Prepared { seeds: seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(), take: Box::new(take) })
}

/// Returns the parts of a message that arrives in these chunks, with their bytes; `None` when it is broken.
fn events<'i>(
    content_type: &ContentType,
    chunks: impl Iterator<Item = &'i [u8]>,
) -> Option<Vec<(mtom::Part, Vec<u8>)>> {
    let mut reader = Reader::new(content_type, mtom::Limits::default()).ok()?;
    let mut parts: Vec<(mtom::Part, Vec<u8>)> = Vec::new();
    for chunk in chunks {
        reader.push(chunk).ok()?;
        while let Some(event) = reader.next_event().ok()? {
            match event {
                Event::Start(part) => parts.push((part, Vec::new())),
                Event::Data(bytes) => parts.last_mut()?.1.extend_from_slice(&bytes),
                Event::End | Event::Finished => {}
            }
        }
    }
    reader.finish().ok()?;
    Some(parts)
}

pub(super) fn prepare_saml(testdata: &Path) -> Result<Prepared, String> {
    let seeds = files(testdata, "saml-xua", "xml")?;
    let trust = Trust {
        keys: Arc::new(TrustedKeys::default()),
        audiences: Vec::new(),
        skew_seconds: u32::MAX,
        is_required: false,
        policy: Policy::default(),
        one_time: Arc::new(OneTime::since(Timestamp::UNIX_EPOCH)),
    };
    let take = move |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return false };
        let user = xua::user(Some(text), None, &trust, Timestamp::UNIX_EPOCH);
        assert!(user.is_err(), "an assertion is believed that nobody trusted has signed");
        Element::parse(input, &Limits::default()).is_ok()
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}

pub(super) fn prepare_dicom(testdata: &Path) -> Result<Prepared, String> {
    let seeds = files(testdata, "xdsi-kos", "dcm")?;
    let take = |input: &[u8]| manifest(input).is_ok();
    Ok(Prepared { seeds, take: Box::new(take) })
}

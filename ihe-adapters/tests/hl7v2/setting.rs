//! What is known where the messages of the tests arrive.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ihe_adapters::hl7v2::code_systems::{CodeSystem, CodeSystems};
use ihe_adapters::hl7v2::context::Context;
use ihe_adapters::hl7v2::mapped::{Deleted, Mapped};
use ihe_adapters::hl7v2::refused::Refused;
use ihe_adapters::hl7v2::resources;
use ihe_adapters::pix::domains::{Domain, Domains, Kind};
use ihe_adapters::wire::hl7v2::message::Message;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Returns the domains of a place in Italy that knows few authorities.
pub(crate) fn domains() -> Domains {
    let domain = |name: &str, oid: &str, sources: &[&str]| Domain {
        name: name.to_owned(),
        oid: oid.to_owned(),
        uri: String::new(),
        aliases: Vec::new(),
        kind: Kind::Local,
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
    };
    Domains::new(vec![
        domain("SIO", "1.3.6.1.4.1.99999.1", &[]),
        domain("LIS", "1.3.6.1.4.1.99999.2", &["LIS|H1"]),
    ])
    .expect("domains")
}

/// Returns the code systems that it has of its own.
fn code_systems() -> &'static CodeSystems {
    static ALL: LazyLock<CodeSystems> = LazyLock::new(|| {
        let (name, uri) = ("NTR".to_owned(), "https://regione.example.it/nomenclatore".to_owned());
        CodeSystems::new(vec![CodeSystem { name, uri, sources: Vec::new() }])
    });
    &ALL
}

/// What is known there.
pub(crate) fn italy(domains: &Domains) -> Context<'_> {
    let time_zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
    Context { domains, time_zone, code_systems: code_systems() }
}

/// Makes of a message what it tells; segments are separated by line ends.
pub(crate) fn mapped(text: &str, context: &Context<'_>) -> Result<Mapped, Refused> {
    let message = Message::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    resources(&message, context)
}

/// Writes what a message became as JSON.
pub(crate) fn as_json(mapped: &Mapped) -> Value {
    let changes: Vec<String> = mapped.changes.iter().map(|change| format!("{change:?}")).collect();
    let paths = |elements: &[Deleted]| -> Vec<String> {
        elements.iter().map(|element| format!("{}.{}", element.resource_type, element.path)).collect()
    };
    let (deleted, assumed) = (paths(&mapped.deleted), paths(&mapped.assumed));
    let unmapped: Vec<String> = mapped.unmapped.iter().map(ToString::to_string).collect();
    json!({
        "event": {
            "message": mapped.event.message,
            "trigger": mapped.event.trigger,
            "sender": mapped.event.sender,
            "source": mapped.event.source,
            "receiver": mapped.event.receiver,
            "controlId": mapped.event.control_id,
            "sent": mapped.event.sent,
            "recorded": mapped.event.recorded,
            "occurred": mapped.event.occurred,
        },
        "patient": mapped.patient,
        "patientUrl": mapped.patient_url,
        "entries": mapped.entries,
        "changes": changes,
        "snapshots": mapped.snapshots,
        "deleted": deleted,
        "assumed": assumed,
        "tellsOfPatient": mapped.tells_of_patient,
        "unmapped": unmapped,
    })
}

/// Returns the folder of the messages of our own.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hl7v2")
}

/// Returns the messages of our own: name and text.
pub(crate) fn messages() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder().join("messages")).expect("messages").flatten();
    let mut messages: Vec<(String, String)> = files
        .map(|file| {
            let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(file.path()).expect("readable"))
        })
        .collect();
    messages.sort();
    messages
}

/// Returns the messages of others that are at hand, by their paths.
pub(crate) fn samples() -> Vec<(String, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, out) } else { out.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe");
    let mut paths = Vec::new();
    walk(&root.join("hl7v2"), &mut paths);
    walk(&root.join("hl7v3"), &mut paths);
    let mut samples: Vec<(String, String)> = paths
        .iter()
        .filter_map(|path| {
            let text = std::fs::read(path).ok()?;
            // Characters that are not UTF-8 matter little here.
            let text = String::from_utf8_lossy(&text).into_owned();
            let name = path.strip_prefix(&root).ok()?.display().to_string();
            text.starts_with("MSH").then_some((name, text))
        })
        .collect();
    samples.sort();
    if samples.is_empty() {
        println!("absent, no messages of others: {}", root.display());
    }
    samples
}

/// Returns domains that take every authority that a message names.
pub(crate) fn all_domains(text: &str) -> Domains {
    let sender: Vec<String> = text.split('|').skip(2).take(2).map(str::to_owned).collect();
    let sources = vec![
        sender.iter().map(|part| part.split('^').next().unwrap_or_default()).collect::<Vec<_>>().join("|"),
    ];
    let domain = |name: &str, oid: &str, uri: String, sources: Vec<String>| Domain {
        name: name.to_owned(),
        oid: oid.to_owned(),
        uri,
        aliases: Vec::new(),
        kind: Kind::Local,
        sources,
    };
    let national = ["CF", "TEAM", "TEAM_ESTERA", "STP", "ENI", "ANA", "ANPR"];
    let parts: Vec<&str> = text.split(['^', '~', '|', '\r', '\n']).map(str::trim).collect();
    // What has an OID, first; then whatever else stands there, each with a URI of its own.
    let mut known: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
    let mut oids = std::collections::BTreeSet::new();
    for part in &parts {
        let mut named = part.split('&');
        if let (Some(name), Some(oid), Some("ISO")) = (named.next(), named.next(), named.next())
            && oids.insert(oid)
        {
            known.insert(if name.is_empty() { oid } else { name }, oid);
        }
    }
    let mut domains: Vec<Domain> = Vec::new();
    for (name, oid) in &known {
        if !national.contains(name) && !oid.starts_with("2.16.840.1.113883.2.9.4.3.") {
            domains.push(domain(if name == oid { "" } else { name }, oid, String::new(), Vec::new()));
        }
    }
    let mut names = parts;
    names.retain(|name| {
        let is_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        !name.is_empty()
            && name.len() < 40
            && is_name
            && !known.contains_key(name)
            && !national.contains(name)
    });
    names.sort_unstable();
    names.dedup();
    domains.extend(names.into_iter().map(|name| domain(name, "", format!("urn:test:{name}"), Vec::new())));
    domains.push(domain("", "", "urn:test:of-the-sender".to_owned(), sources));
    Domains::new(domains).expect("domains")
}

//! The documents of a submission: taken out of their Binaries, and measured.
//!
//! Spec: MHD 4.2, 2:3.65.4.1.2.1

use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::base64;
use fhir_model::schema::name;
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::bundle::Entry;
use super::metadata::{entry_uuid_of, json_of, url_of};
use super::outcome::fault;
use super::profile::Role;
use super::provide_document_bundle::content_type;
use crate::documents::sha1;
use crate::wire::ebrs::ErrorCode;

/// A document that came in a Binary.
#[derive(Debug)]
pub(super) struct Taken {
    /// What the Binary is stored as.
    pub(super) key: String,
    pub(super) full_url: String,
    /// The Binary without its bytes.
    pub(super) binary: Value,
    pub(super) bytes: Vec<u8>,
    /// Their SHA-1 in hexadecimal.
    pub(super) sha1: String,
    /// The UUIDs of the documents that it is the content of.
    pub(super) of: Vec<String>,
    size: u64,
}

impl Taken {
    /// Returns how many bytes there are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// Takes the documents out of a submission.
///
/// # Errors
/// All that is wrong: documents that are not there, of another type than is
/// said, or of no DocumentReference.
pub(super) async fn take(entries: &mut [Entry]) -> Result<Vec<Taken>, Vec<Issue>> {
    let mut faults = Vec::new();
    let mut taken: Vec<Taken> = Vec::new();
    for number in 0..entries.len() {
        if entries[number].role != Role::Binary {
            continue;
        }
        let of: Vec<(String, &Entry, &Resource)> = entries
            .iter()
            .filter(|entry| entry.role == Role::Document)
            .filter_map(|entry| Some((entry_uuid_of(entry), entry, entry.resource.as_ref()?)))
            .filter(|(_, _, document)| url_of(document) == Some(entries[number].key.as_str()))
            .collect();
        let entry = &entries[number];
        let media_type = entry.resource.as_ref().and_then(|b| b.root().text_of(name::CONTENT_TYPE));
        if of.is_empty() {
            let text = "no DocumentReference of the submission has this Binary as its content";
            faults.push(fault(ErrorCode::MissingDocumentMetadata, text).at(&entry.place));
        }
        for (_, document, resource) in &of {
            if !is_same_type(content_type(resource), media_type) {
                let text = format!("the Binary has another media type: `{}`", clip(media_type));
                let place = format!("{}.content[0].attachment.contentType", document.root);
                faults.push(fault(ErrorCode::RepositoryMetadata, &text).at(place));
            }
        }
        let of = of.into_iter().map(|(uuid, ..)| uuid).collect();
        match taken_out(&mut entries[number], of).await {
            Ok(document) => taken.push(document),
            Err(issue) => faults.push(issue),
        }
    }
    let documents = entries.iter().filter(|entry| entry.role == Role::Document);
    for (entry, document) in documents.filter_map(|entry| Some((entry, entry.resource.as_ref()?))) {
        let url = url_of(document).unwrap_or_default();
        let is_here = taken.iter().any(|taken| taken.key == url);
        if !is_here && !is_elsewhere(url) {
            let text = "the document is neither in the Bundle, by the fullUrl of a Binary, nor elsewhere, by a whole URL";
            let place = format!("{}.content[0].attachment.url", entry.root);
            faults.push(fault(ErrorCode::MissingDocument, text).at(place));
        }
    }
    if faults.is_empty() { Ok(taken) } else { Err(faults) }
}

/// Tells whether a URL leads to another server.
pub(super) fn is_elsewhere(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

fn is_same_type(said: Option<&str>, is: Option<&str>) -> bool {
    let plain = |of: &str| of.split(';').next().unwrap_or(of).trim().to_ascii_lowercase();
    match (said, is) {
        (Some(said), Some(is)) => plain(said) == plain(is),
        // Who says nothing is told elsewhere.
        _ => true,
    }
}

fn clip(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().take(80).collect()
}

async fn taken_out(entry: &mut Entry, of: Vec<String>) -> Result<Taken, Issue> {
    let unreadable = || Issue::fatal(IssueType::Exception).text("a document cannot be read");
    let binary = entry.resource.as_mut().ok_or_else(unreadable)?;
    let data = binary.root().text_of(name::DATA).unwrap_or_default().to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let bytes = base64::decode(&data)?;
        let sha1 = sha1(&bytes);
        Some((bytes, sha1))
    });
    let measured = measured.await.map_err(|_| unreadable())?;
    let (bytes, sha1) = measured.ok_or_else(|| {
        let issue = Issue::error(IssueType::Value).because(Reason::Unprocessable);
        issue.at(format!("{}.resource.data", entry.place)).text("`data` is no base64")
    })?;
    let root = binary.root_id();
    binary.remove_named(root, name::DATA);
    let mut binary = json_of(binary)?;
    binary["id"] = json!(entry.id());
    let full_url = entry.full_url.clone().unwrap_or_else(|| format!("urn:uuid:{}", entry.id()));
    let size = bytes.len() as u64;
    Ok(Taken { key: entry.key.clone(), full_url, binary, bytes, sha1, of, size })
}

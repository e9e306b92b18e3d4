//! Images: manifests seen as ImagingStudy, RAD-69 answered from a DICOMweb
//! service, and that service passed through (RAD-107 WADO-RS, QIDO-RS, STOW-RS).
//!
//! Spec: RAD TF-2 4.69, 4.107; DICOM PS3.18

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::{Caller, Carried};
use fhir_model::schema::{name, ty};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;

use super::audit::address_of;
use super::incoming::{Passing, receive_parts_to_pass_on};
use super::outgoing::arriving;
use super::{Chunk, Gateway, Images, Parts};
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::fhir_client::Fhir;
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::xml::Element;
use crate::xds::repository::provide_and_register::Received;
use crate::xds::repository::retrieve_document_set::{clip, content_id, response};
use crate::xds::submission::Submission;
use crate::xds::vocabulary::document_entry;
use crate::xdsi::imaging_study::{id_of, imaging_studies};
use crate::xdsi::manifest::{KEY_OBJECT_SELECTION, is_uid, manifest};
use crate::xdsi::retrieve_imaging_document_set::{ImageRequest, images};

/// How large a manifest may be.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// How many images are fetched at once.
const AT_ONCE: usize = 8;
const DICOM: &str = "application/dicom";
/// The path below which requests are passed through.
pub const PATH: &str = "/dicomweb";

/// A request that is passed through.
pub struct WebRequest {
    /// Who asks.
    pub caller: Caller,
    /// Whether it stores (STOW-RS), or asks.
    pub stores: bool,
    /// What comes after [`PATH`]: path, and query if there is one.
    pub path: String,
    /// `Accept` and `Content-Type`.
    pub headers: Vec<(&'static str, String)>,
    /// What is stored.
    pub body: Option<reqwest::Body>,
}

/// An answer that is passed through.
pub struct WebResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type` and what else is passed on.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>>>>,
}

/// Why a request is not passed through: status, and what is told.
pub type Refusal = (u16, &'static str);

/// Tells which transaction a path is, if it is one that is passed through.
fn transaction(path: &str, stores: bool) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let is_named = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_bulk = |part: &&str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    Some(match (parts.as_slice(), stores) {
        (["studies"], true) => "RAD-108",
        (["studies", study], true) if is_uid(study) => "RAD-108",
        (["studies" | "series" | "instances"], false) => "RAD-129",
        (["studies", study, "series" | "instances"], false) if is_uid(study) => "RAD-129",
        (["studies", study, "series", series, "instances"], false) if is_uid(study) && is_uid(series) => {
            "RAD-129"
        }
        (["studies", study], false) if is_uid(study) => "RAD-107",
        (["studies", study, "metadata" | "rendered"], false) if is_uid(study) => "RAD-107",
        (["studies", study, "series", series], false) if is_uid(study) && is_uid(series) => "RAD-107",
        (["studies", study, "series", series, "metadata" | "rendered"], false)
            if is_uid(study) && is_uid(series) =>
        {
            "RAD-107"
        }
        (["studies", study, "series", series, "instances", instance, rest @ ..], false)
            if [study, series, instance].into_iter().all(|uid| is_uid(uid)) =>
        {
            match rest {
                [] | ["metadata" | "rendered"] => "RAD-107",
                ["frames", frames] if frames.split(',').all(is_named) => "RAD-107",
                ["bulk", ..] if rest.iter().all(is_bulk) => "RAD-107",
                _ => return None,
            }
        }
        _ => return None,
    })
}

impl Gateway {
    /// Reads the manifests among documents: as ImagingStudies, which are stored
    /// beside them.
    ///
    /// # Errors
    /// When what is said to be a manifest is none.
    pub(super) async fn imaging_studies(
        &self,
        submission: &Submission,
        received: &[(String, Received)],
    ) -> Result<Vec<Value>, Vec<RegistryError>> {
        let (mut studies, mut errors) = (Vec::new(), Vec::new());
        for document in submission.documents.iter().filter(|d| d.mime_type.as_deref() == Some(DICOM)) {
            let Some((_, received)) = received.iter().find(|(id, _)| *id == document.id) else { continue };
            let mut formats = document.classified_by(document_entry::FORMAT_CODE);
            let is_told = formats.any(|format| format.representation == KEY_OBJECT_SELECTION);
            if received.bytes.size() > MANIFEST_BYTES_MAX {
                continue;
            }
            let (documents, carried) = (Arc::clone(&self.documents), received.bytes.clone());
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                match carried {
                    Carried::Here(here) => bytes.extend_from_slice(&here),
                    Carried::Stored(content) => {
                        documents.open(&content)?.read_to_end(&mut bytes)?;
                    }
                }
                Ok::<_, std::io::Error>(manifest(&bytes))
            });
            let why = match read.await {
                Ok(Ok(Ok(Some(manifest)))) => {
                    studies.extend(imaging_studies(&manifest));
                    continue;
                }
                Ok(Ok(Ok(None))) => "it is another kind of object".to_owned(),
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(_)) | Err(_) => "it cannot be read back".to_owned(),
            };
            if is_told {
                let context = format!("the document {} is no Key Object Selection: {why}", document.id);
                errors.push(RegistryError::new(ErrorCode::RepositoryMetadata, context).at(&document.id));
            }
        }
        if errors.is_empty() { Ok(studies) } else { Err(errors) }
    }

    /// Gives out images, which are fetched from where they are.
    pub(super) async fn retrieve_imaging_document_set(&self, body: &Element) -> (Element, Parts) {
        let (images, syntaxes) = match images(body) {
            Ok(asked) => asked,
            Err(error) => return (response(&[], vec![error]), Vec::new()),
        };
        let fetched = stream::iter(images).map(async |image| {
            let fetched = self.image(&image, &syntaxes).await;
            (image, fetched)
        });
        let fetched: Vec<_> = fetched.buffered(AT_ONCE).collect().await;
        let (mut retrieved, mut errors, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (image, fetched) in fetched {
            match fetched {
                Ok(chunk) => {
                    parts.push((content_id(retrieved.len()), DICOM.to_owned(), chunk));
                    retrieved.push((image.document, DICOM.to_owned()));
                }
                Err(error) => errors.push(error),
            }
        }
        (response(&retrieved, errors), parts)
    }

    /// Fetches an image in the first of the transfer syntaxes in which it is there.
    async fn image(&self, image: &ImageRequest, syntaxes: &[String]) -> Result<Chunk, RegistryError> {
        let document = &image.document.document;
        let error = |code: ErrorCode, context: String| RegistryError::new(code, context).at(clip(document));
        let source = self.settings.images.as_ref();
        let ours = |source: &&Images| {
            let id = source.repository_unique_id.as_deref().unwrap_or(&self.settings.repository_unique_id);
            id == image.document.repository
        };
        let Some(source) = source.filter(ours) else {
            let context = format!("the repository `{}` has no images here", clip(&image.document.repository));
            return Err(error(ErrorCode::UnknownRepositoryId, context));
        };
        let path = format!("/studies/{}/series/{}/instances/{document}", image.study, image.series);
        for syntax in syntaxes {
            let accept = format!("multipart/related; type=\"{DICOM}\"; transfer-syntax={syntax}");
            let asked = self.ask(source, reqwest::Method::GET, &path).header("accept", accept).send().await;
            let answer =
                asked.map_err(|_| error(ErrorCode::Repository, "the images cannot be reached".to_owned()))?;
            match answer.status().as_u16() {
                200 => {
                    let (content_type, body) = arriving(answer);
                    let parts =
                        receive_parts_to_pass_on(&content_type, body, &self.documents, &self.settings).await;
                    let parts = parts.map_err(|fault| error(ErrorCode::Repository, fault.reason))?;
                    let first = parts.into_iter().next().map(|Passing { chunk, .. }| chunk);
                    return first
                        .ok_or_else(|| error(ErrorCode::Repository, "an answer without image".to_owned()));
                }
                404 => return Err(error(ErrorCode::DocumentUniqueId, "no such image is there".to_owned())),
                // Not in this transfer syntax.
                400 | 406 | 415 => {}
                status => {
                    let context = format!("where the images are, the answer was the HTTP status {status}");
                    return Err(error(ErrorCode::Repository, context));
                }
            }
        }
        let context = "the image is there in none of the transfer syntaxes that are asked for".to_owned();
        Err(error(ErrorCode::Repository, context))
    }

    fn ask(&self, source: &Images, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", source.url));
        match &source.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    /// Passes a request through to where the images are.
    ///
    /// # Errors
    /// When it is none that is passed through, or nobody answers, or it cannot
    /// be recorded.
    pub async fn dicomweb(&self, request: WebRequest) -> Result<WebResponse, Refusal> {
        const NOT_HERE: Refusal = (404, "no images are here: see the setting [images]");
        const NO_RESOURCE: Refusal = (404, "no resource of DICOMweb that is passed through");
        const UNREACHABLE: Refusal = (502, "the images cannot be reached; try again later");
        const UNRECORDED: Refusal = (503, "what was asked cannot be recorded, and is not answered");
        let source = self.settings.images.as_ref().ok_or(NOT_HERE)?;
        let transaction = transaction(&request.path, request.stores).ok_or(NO_RESOURCE)?;
        let WebRequest { caller, stores, path, headers, body } = request;
        let method = if stores { reqwest::Method::POST } else { reqwest::Method::GET };
        let mut outgoing = self.ask(source, method, &path);
        for (name, value) in headers {
            outgoing = outgoing.header(name, value);
        }
        if let Some(body) = body {
            outgoing = outgoing.body(body);
        }
        let at = Timestamp::now();
        let answer = outgoing.send().await;
        let outcome = match &answer {
            Ok(answer) if answer.status().is_success() => (Outcome::Success, None),
            Ok(answer) => (Outcome::MinorFailure, Some(format!("HTTP status {}", answer.status().as_u16()))),
            Err(_) => (Outcome::SeriousFailure, Some("the images cannot be reached".to_owned())),
        };
        let recorded = self.record_web(&caller, (transaction, at), &path, outcome).await;
        let answer = answer.map_err(|_| UNREACHABLE)?;
        if recorded.is_err() && !stores {
            return Err(UNRECORDED);
        }
        let told = ["content-type", "content-location", "warning"];
        let header = |name: &'static str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some((name, value.to_owned()))
        };
        let headers = told.into_iter().filter_map(header).collect();
        let status = answer.status().as_u16();
        let body = answer.bytes_stream().map(|chunk| chunk.map_err(std::io::Error::other));
        Ok(WebResponse { status, headers, body: Box::pin(body) })
    }

    async fn record_web(
        &self,
        caller: &Caller,
        (transaction, at): (&str, Timestamp),
        path: &str,
        outcome: (Outcome, Option<String>),
    ) -> Result<(), fhir_model::outcome::Issue> {
        let Some(recorder) = &self.settings.recorder else { return Ok(()) };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let study = path.trim_matches('/').strip_prefix("studies/").and_then(|rest| rest.split('/').next());
        let mut objects = Objects::default();
        let mut places = Vec::new();
        if let Some(study) = study {
            let fhir = Fhir { api: &*self.api, caller };
            let shared = fhir.read(ty::IMAGING_STUDY, &id_of(study)).await.ok().flatten();
            let subject =
                shared.as_ref().and_then(|s| s.root().child(name::SUBJECT)?.text_of(name::REFERENCE));
            if let Some(subject) = subject {
                // Known by where he is on this server.
                objects.patients.push(String::new());
                places.push(Some(subject.to_owned()));
            }
            objects.studies.push(study.to_owned());
        }
        if transaction == "RAD-129" {
            objects.query = Some((path.to_owned(), None, query.to_owned()));
        }
        let receiver = address_of(caller, PATH);
        let happened = Happened {
            part: Part::Asked,
            transaction,
            at,
            sender: None,
            sender_address: caller.address,
            sender_node: caller.node.as_deref(),
            receiver: &receiver,
            user: caller.user.as_deref(),
        };
        let mut audit = audit_event(&happened, &objects, &places, recorder);
        ended(&mut audit, outcome.0, outcome.1.as_deref());
        self.store(caller, &audit).await
    }
}

#[cfg(test)]
mod tests {
    use super::transaction;

    #[test]
    fn what_is_passed_through_is_a_resource_of_dicomweb() {
        for (path, stores, expected) in [
            ("/studies?PatientID=1", false, Some("RAD-129")),
            ("/studies/1.2/series", false, Some("RAD-129")),
            ("/studies/1.2/series/1.3/instances/1.4", false, Some("RAD-107")),
            ("/studies/1.2/series/1.3/instances/1.4/frames/1,2", false, Some("RAD-107")),
            ("/studies/1.2/metadata", false, Some("RAD-107")),
            ("/studies", true, Some("RAD-108")),
            ("/studies/1.2", true, Some("RAD-108")),
            ("/studies/1.2/series", true, None),
            ("/studies/../../instances", false, None),
            ("/studies/1.2/series/1.3/instances/1.4/bulk/../../..", false, None),
            ("/studies/1.2/series/1.3/instances/1.4/bulk/7fe00010", false, Some("RAD-107")),
            ("/tools/create-archive", false, None),
            ("//evil.example/", false, None),
            ("", false, None),
        ] {
            assert_eq!(transaction(path, stores), expected, "{path}");
        }
    }
}

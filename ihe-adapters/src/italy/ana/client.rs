//! Sends a question to ANA, and takes the answer in.

use std::time::Duration;

use fhir_model::primitive::base64;
use futures_util::StreamExt;

use super::fault::{AnaFault, Whose};
use super::message::{self, Answer, Authority, Kind, SOAP};
use crate::wire::soap::{Envelope, Fault, FaultCode};
use crate::wire::xml::{Element, Limits};

/// How long an answer may be, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How much is told of what ANA says, in characters.
const TOLD_MAX: usize = 300;

/// Asks ANA.
#[derive(Debug, Clone)]
pub struct Client {
    /// Sends.
    pub http: reqwest::Client,
    /// Where ANA is.
    pub url: String,
    /// The name and password by which this server is known there.
    pub credentials: Option<(String, String)>,
    /// Who asks.
    pub authority: Authority,
    /// How long one waits for an answer.
    pub patience: Duration,
}

impl Client {
    /// Sends a question that is written already, and returns the answer.
    ///
    /// # Errors
    /// When there is none in time, or ANA refuses.
    pub async fn send(&self, kind: Kind, id: &str, message: Vec<u8>) -> Result<Answer, AnaFault> {
        let asking = self.exchange(kind, message);
        let answered = tokio::time::timeout(self.patience, asking).await;
        let (status, bytes) = answered.map_err(|_| AnaFault::TooSlow(self.patience.as_secs()))??;
        let parsed = Element::parse(&bytes, &Limits::default()).map_err(|error| error.to_string());
        let envelope = parsed.and_then(|root| Envelope::of(root).map_err(|fault| fault.reason));
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(_) if status != 200 => return Err(AnaFault::Status(status)),
            Err(why) => return Err(AnaFault::Unreadable(why.chars().take(TOLD_MAX).collect())),
        };
        if let Some(fault) = Fault::of(&envelope) {
            let whose = if fault.code == FaultCode::Receiver { Whose::Ana } else { Whose::Ours };
            return Err(AnaFault::Fault(fault.reason.chars().take(TOLD_MAX).collect(), whose));
        }
        message::read(&envelope.body, kind, id)
    }

    async fn exchange(&self, kind: Kind, message: Vec<u8>) -> Result<(u16, Vec<u8>), AnaFault> {
        let content_type = format!("{}; charset=UTF-8", SOAP.media_type());
        let mut request = self.http.post(&self.url).header("content-type", content_type);
        request = request.header("soapaction", format!("\"{}\"", kind.action()));
        if let Some((name, password)) = &self.credentials {
            let credentials = base64::encode(format!("{name}:{password}").as_bytes());
            request = request.header("authorization", format!("Basic {credentials}"));
        }
        let answer = request
            .body(message)
            .send()
            .await
            .map_err(|error| if error.is_connect() { AnaFault::Unreachable } else { AnaFault::Broken })?;
        let status = answer.status().as_u16();
        let mut bytes = Vec::new();
        let mut arriving = answer.bytes_stream();
        while let Some(chunk) = arriving.next().await {
            bytes.extend_from_slice(&chunk.map_err(|_| AnaFault::Broken)?);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(AnaFault::Unreadable(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        Ok((status, bytes))
    }
}

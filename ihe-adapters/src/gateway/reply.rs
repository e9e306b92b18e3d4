//! Answers that go to another address than that of who asked.
//!
//! What a message asks for is done, and durable, before it is taken; its answer
//! is then sent to where `wsa:ReplyTo` says, or `wsa:FaultTo` what is wrong with
//! it. An answer that cannot be sent is told in the log: who waits for it asks
//! again, and what was done is not done twice.
//!
//! Spec: WS-Addressing 1.0 Core 3.4; ITI TF-2 Appendix V.3, "Asynchronous Web Services"

use std::time::Duration;

use bytes::Bytes;

use super::{Chunk, Gateway, Response, stream};
use crate::wire::soap::{Addressing, Fault, ReplyTo, Subcode};

/// After how long it is tried again to send an answer.
const RETRY_AFTER: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

impl Gateway {
    /// Tells whether messages may be sent to where a message wants its answer.
    ///
    /// # Errors
    /// A fault, when they may not.
    pub(super) fn can_answer(&self, addressing: &Addressing) -> Result<(), Fault> {
        let places = [Some(&addressing.reply_to), addressing.fault_to.as_ref()];
        for place in places.into_iter().flatten() {
            if let ReplyTo::Address(address) = place
                && !self.settings.callbacks.allow(address)
            {
                let reason = "answers are sent back on the connection, and to addresses that the operator \
                              of this server allows (`[peers] callbacks`): leave `wsa:ReplyTo` and `wsa:FaultTo` anonymous";
                let only = Subcode::Addressing("OnlyAnonymousAddressSupported".to_owned());
                return Err(Fault::sender(reason).of_kind(only));
            }
        }
        Ok(())
    }

    /// Gives an answer back, or sends it to where it is to go.
    pub(super) fn deliver(&self, response: Response, addressing: &Addressing) -> Response {
        let of_fault = addressing.of_fault().reply_to;
        let place = if response.is_fault { &of_fault } else { &addressing.reply_to };
        let ReplyTo::Address(address) = place else { return response };
        let taken = Response::taken(response.transaction);
        let (http, address) = (self.http.clone(), address.clone());
        tokio::spawn(async move {
            let transaction = response.transaction;
            match send(&http, &address, response).await {
                Ok(()) => tracing::info!(transaction, "an answer was sent to another address"),
                Err(why) => tracing::warn!(transaction, why, "an answer cannot be sent"),
            }
        });
        taken
    }
}

/// Sends an answer. One with documents is sent once: they are read as it goes.
async fn send(http: &reqwest::Client, address: &str, response: Response) -> Result<(), String> {
    let Response { content_type, body, .. } = response;
    let documents = body.iter().filter(|chunk| matches!(chunk, Chunk::Document(..))).count();
    if documents > 0 {
        let body = reqwest::Body::wrap_stream(stream(body));
        return post(http, address, &content_type, body).await;
    }
    let parts = body.into_iter().filter_map(|chunk| match chunk {
        Chunk::Bytes(bytes) => Some(bytes),
        Chunk::Document(..) => None,
    });
    let bytes = Bytes::from(parts.collect::<Vec<Bytes>>().concat());
    let mut sent = post(http, address, &content_type, bytes.clone().into()).await;
    for pause in RETRY_AFTER {
        if sent.is_ok() {
            break;
        }
        tokio::time::sleep(*pause).await;
        sent = post(http, address, &content_type, bytes.clone().into()).await;
    }
    sent
}

async fn post(
    http: &reqwest::Client,
    address: &str,
    content_type: &str,
    body: reqwest::Body,
) -> Result<(), String> {
    let sent = http.post(address).header("content-type", content_type).body(body).send().await;
    match sent {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the HTTP status is {}", answer.status().as_u16())),
        Err(error) if error.is_timeout() => Err("it took too long".to_owned()),
        Err(_) => Err("it cannot be reached".to_owned()),
    }
}

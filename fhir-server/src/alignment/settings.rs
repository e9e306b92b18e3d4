//! The settings of ANA, the national registry of assisted persons.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::interaction::FhirApi;
use ihe_adapters::atna::Recorder;
use ihe_adapters::italy::ana::Ana;
use ihe_adapters::italy::ana::client::Client;
use ihe_adapters::italy::ana::message::Authority;
use ihe_adapters::pix::domains::Domains;
use jiff::civil::Time;
use serde::Deserialize;

use crate::config::{ConfigError, PeersFile, is_address};
use crate::peers;

/// The environment variable of the password.
const PASSWORD: &str = "LANTERNA_ANA_PASSWORD";

/// The section `[ana]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnaFile {
    /// Where ANA is; it is not asked where there is none.
    pub url: Option<String>,
    /// The name by which this server is known there.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The code of the region.
    pub region: String,
    /// The code of the ASL, where one asks for itself.
    pub asl: String,
    /// When patients are aligned: a time of the day, or `off`.
    pub align_at: String,
    /// How many questions an alignment asks in a second at most.
    pub questions_per_second: u32,
    /// How often is asked for what changed there.
    pub variations_seconds: u64,
    /// How long one waits for an answer, in seconds.
    pub answer_seconds_max: f64,
}

impl Default for AnaFile {
    fn default() -> AnaFile {
        AnaFile {
            url: None,
            user: None,
            password: None,
            region: "070".to_owned(),
            asl: String::new(),
            align_at: "02:30".to_owned(),
            questions_per_second: 20,
            variations_seconds: 300,
            answer_seconds_max: 30.0,
        }
    }
}

/// How ANA is asked.
#[derive(Debug, Clone)]
pub struct AnaSettings {
    client: Client,
    /// When patients are aligned.
    pub align_at: Option<Time>,
    /// How many questions an alignment asks in a second at most.
    pub questions_per_second: u32,
    /// How often is asked for what changed there.
    pub variations_every: Duration,
}

impl AnaSettings {
    /// Reads the section; `None` when there is no address.
    ///
    /// # Errors
    /// When it cannot be asked so.
    pub fn of(file: &AnaFile, peers: &PeersFile) -> Result<Option<AnaSettings>, ConfigError> {
        let Some(url) = file.url.clone() else { return Ok(None) };
        if !is_address(&url) {
            return Err(ConfigError::Address(url));
        }
        let wrong = |why: &str| ConfigError::Ana(why.to_owned());
        let is_code = |code: &str| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        if !is_code(&file.region) || !(file.asl.is_empty() || is_code(&file.asl)) {
            return Err(wrong("`region` and `asl` are codes of three digits"));
        }
        let align_at = match file.align_at.as_str() {
            "off" => None,
            text => Some(text.parse().map_err(|_| wrong("`align_at` is a time such as 02:30, or off"))?),
        };
        let password = file.password.clone().or_else(|| std::env::var(PASSWORD).ok());
        let patience = Duration::try_from_secs_f64(file.answer_seconds_max);
        Ok(Some(AnaSettings {
            client: Client {
                http: peers::client(peers)?,
                url,
                credentials: file.user.clone().zip(password),
                authority: Authority { region: file.region.clone(), asl: file.asl.clone() },
                patience: patience.map_err(|_| wrong("`answer_seconds_max` is no time"))?,
            },
            align_at,
            questions_per_second: file.questions_per_second.max(1),
            variations_every: Duration::from_secs(file.variations_seconds.max(1)),
        }))
    }

    /// Makes what asks ANA.
    pub fn connect(
        self,
        api: Arc<dyn FhirApi>,
        base: String,
        (recorder, domains): (Option<Recorder>, Arc<Domains>),
    ) -> Ana {
        Ana { api, client: self.client, recorder, base, domains }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_told() {
        let peers = PeersFile::default();
        let file = AnaFile { url: Some("http://127.0.0.1:1/ana".to_owned()), ..AnaFile::default() };
        let settings = AnaSettings::of(&file, &peers).expect("valid").expect("an address");
        assert!(settings.align_at.is_some());
        assert!(AnaSettings::of(&AnaFile::default(), &peers).expect("valid").is_none());
        for wrong in [
            AnaFile { url: Some("ana".to_owned()), ..file.clone() },
            AnaFile { region: "70".to_owned(), ..file.clone() },
            AnaFile { asl: "x".to_owned(), ..file.clone() },
            AnaFile { align_at: "at night".to_owned(), ..file.clone() },
            AnaFile { answer_seconds_max: -1.0, ..file.clone() },
        ] {
            assert!(AnaSettings::of(&wrong, &peers).is_err(), "{wrong:?}");
        }
    }
}

//! The contract of ANA: questions and answers, and their XML.
//!
//! It is assumed: see the table of [`super`]. When the real one is at hand, this module is
//! replaced and nothing else.

mod answer;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

pub use answer::{Answer, Assisted, Happening, Practitioner, Residence, Variation, read};
use answer::{date, value};

use crate::pix::domains::{Authority as AssigningAuthority, Domains};
use crate::wire::soap::{Envelope, Version};
use crate::wire::xml::{Element, Limits};

/// The namespace of the messages: it says that it is assumed.
pub const NAMESPACE: &str = "urn:lanterna:ana:assumed:1";
/// The version of SOAP of the services of Sistema TS.
pub const SOAP: Version = Version::Soap11;

/// By what a person is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The code of ANA.
    Ana,
    /// The tax code (codice fiscale).
    TaxCode,
    /// The code of foreigners who are present temporarily (STP).
    Stp,
    /// The code of Europeans who are not enrolled (ENI).
    Eni,
}

impl Scheme {
    /// All, those first by which ANA knows people best.
    pub const ALL: &'static [Scheme] = &[Scheme::Ana, Scheme::TaxCode, Scheme::Stp, Scheme::Eni];

    /// Returns the word of the messages.
    fn word(self) -> &'static str {
        match self {
            Scheme::Ana => "ANA",
            Scheme::TaxCode => "CF",
            Scheme::Stp => "STP",
            Scheme::Eni => "ENI",
        }
    }

    /// Returns the OID of the identifiers.
    pub fn oid(self) -> &'static str {
        match self {
            Scheme::Ana => "2.16.840.1.113883.2.9.4.3.15",
            Scheme::TaxCode => "2.16.840.1.113883.2.9.4.3.2",
            Scheme::Stp => "2.16.840.1.113883.2.9.4.3.17",
            Scheme::Eni => "2.16.840.1.113883.2.9.4.3.18",
        }
    }

    /// Returns the system of the identifiers in FHIR, as this server writes it.
    pub fn system(self, domains: &Domains) -> String {
        let domain = domains.named(AssigningAuthority::of_oid(self.oid()));
        domain.map_or_else(|_| format!("urn:oid:{}", self.oid()), |domain| domain.system())
    }

    /// Tells whether a system of FHIR means it.
    pub fn is_of(self, system: &Value, domains: &Domains) -> bool {
        let domain = system.as_str().and_then(|system| domains.by_system(system));
        domain.is_some_and(|domain| domain.oid == self.oid())
    }

    /// Returns all systems that mean it.
    pub fn systems(self, domains: &Domains) -> Vec<String> {
        let domain = domains.named(AssigningAuthority::of_oid(self.oid()));
        let aliases = domain.iter().flat_map(|domain| domain.aliases.clone());
        let mut all: Vec<String> =
            aliases.chain([self.system(domains), format!("urn:oid:{}", self.oid())]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// An identifier of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Of which kind.
    pub scheme: Scheme,
    /// The identifier.
    pub value: String,
}

impl Identity {
    /// Writes it as events tell of patients.
    pub(crate) fn to_cx(&self) -> String {
        format!("{}^^^&{}&ISO", self.value, self.scheme.oid())
    }
}

/// The codes by which a health authority is known nationally.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority {
    /// The region: three digits.
    pub region: String,
    /// The ASL: three digits; empty where the region stands for all.
    pub asl: String,
}

/// What happens to the choice of a practitioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choosing {
    /// One is chosen.
    Choose,
    /// Another is chosen.
    Change,
    /// The one who was is not any more.
    Revoke,
}

impl Choosing {
    fn word(self) -> &'static str {
        match self {
            Choosing::Choose => "S",
            Choosing::Change => "C",
            Choosing::Revoke => "R",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// By which ANA tells whether it was asked before.
    pub id: String,
    /// Who asks.
    pub authority: Authority,
    /// What.
    pub what: Asked,
}

/// What is asked, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// What is known of a person.
    Verify(Identity),
    /// To note the choice of a practitioner.
    Choose {
        /// Of whom.
        person: Identity,
        /// What happens to it.
        choosing: Choosing,
        /// The practitioner's tax code.
        practitioner: String,
        /// From which day on.
        from: Date,
    },
    /// What changed after a number.
    Variations {
        /// The number of the last that is known.
        after: u64,
        /// How many are wanted.
        count: u32,
    },
}

/// The kinds of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `verificaAssistito`.
    Verify,
    /// `sceltaMedico`.
    Choose,
    /// `variazioni`.
    Variations,
}

impl Kind {
    /// Returns the kind of a message that is written already.
    pub fn of_body(body: &Element) -> Option<Kind> {
        let kinds = [Kind::Verify, Kind::Choose, Kind::Variations];
        kinds.into_iter().find(|kind| body.is(NAMESPACE, &format!("{}Richiesta", kind.stem())))
    }

    /// Returns how it is called in what is recorded.
    pub fn transaction(self) -> &'static str {
        match self {
            Kind::Verify => "ANA-verificaAssistito",
            Kind::Choose => "ANA-sceltaMedico",
            Kind::Variations => "ANA-variazioni",
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Kind::Verify => "VerificaAssistito",
            Kind::Choose => "SceltaMedico",
            Kind::Variations => "Variazioni",
        }
    }

    /// Returns its SOAPAction.
    pub fn action(self) -> String {
        format!("{NAMESPACE}:{}", self.stem())
    }
}

impl Question {
    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        match self.what {
            Asked::Verify(_) => Kind::Verify,
            Asked::Choose { .. } => Kind::Choose,
            Asked::Variations { .. } => Kind::Variations,
        }
    }

    /// Writes it as a message.
    pub fn to_xml(&self) -> String {
        let mut body = element(&format!("{}Richiesta", self.kind().stem()))
            .with_child(text("idMessaggio", &self.id))
            .with_child(text("codRegione", &self.authority.region))
            .with_children((!self.authority.asl.is_empty()).then(|| text("codASL", &self.authority.asl)));
        body = match &self.what {
            Asked::Verify(person) => body.with_child(identity(person)),
            Asked::Choose { person, choosing, practitioner, from } => body
                .with_child(identity(person))
                .with_child(text("operazione", choosing.word()))
                .with_child(text("codiceFiscaleMedico", practitioner))
                .with_child(text("dataDecorrenza", &from.to_string())),
            Asked::Variations { after, count } => body
                .with_child(text("dopoProgressivo", &after.to_string()))
                .with_child(text("numeroMassimo", &count.to_string())),
        };
        Envelope { version: SOAP, headers: Vec::new(), body }.into_element().to_xml()
    }
}

fn element(local: &str) -> Element {
    Element::new(NAMESPACE, local)
}

fn text(local: &str, value: &str) -> Element {
    element(local).with_text(value)
}

fn identity(person: &Identity) -> Element {
    text("identificativo", &person.value).with_attribute("tipo", person.scheme.word())
}

/// The choice that a message of ours has noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What happens to it.
    pub choosing: Choosing,
    /// The practitioner's tax code.
    pub practitioner: String,
    /// From which day on.
    pub from: Date,
}

impl Choice {
    /// Reads the choice in a message of ours.
    pub fn of_message(xml: &[u8]) -> Option<Choice> {
        let envelope = Envelope::of(Element::parse(xml, &Limits::default()).ok()?).ok()?;
        let body = envelope.body;
        let words = [Choosing::Choose, Choosing::Change, Choosing::Revoke];
        let word = value(&body, "operazione");
        Some(Choice {
            choosing: words.into_iter().find(|choosing| choosing.word() == word)?,
            practitioner: value(&body, "codiceFiscaleMedico"),
            from: date(&body, "dataDecorrenza").ok()??,
        })
    }
}

/// Returns the day of today in Italy; where the machine knows no time zones, that of UTC.
pub(crate) fn today() -> Date {
    let zone = TimeZone::get("Europe/Rome").unwrap_or(TimeZone::UTC);
    Timestamp::now().to_zoned_datetime(zone).date()
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;

//! The answers of ANA.

use jiff::civil::Date;

use super::{Authority, Kind, NAMESPACE};
use crate::italy::ana::fault::{AnaFault, Refusal};
use crate::wire::xml::Element;

/// What `codEsito` says when a question was answered.
const DONE: &str = "0000";

/// What is known of a person. What is not said is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assisted {
    /// The code of ANA.
    pub ana: String,
    /// The tax code.
    pub tax_code: String,
    /// Whether the identifier is valid, as Sistema TS says (`validitaCI`).
    pub is_valid: Option<bool>,
    /// The family name.
    pub family: String,
    /// The given names.
    pub given: String,
    /// `M` or `F`.
    pub sex: String,
    /// When the person was born.
    pub birth: Option<Date>,
    /// Where the person lives, as ANPR says.
    pub residence: Option<Residence>,
    /// When the person died.
    pub death: Option<Date>,
    /// Who assists the person.
    pub authority: Option<Authority>,
    /// The general practitioner.
    pub practitioner: Option<Practitioner>,
}

/// Where a person lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Residence {
    /// Street and number.
    pub street: String,
    /// The postal code.
    pub postal_code: String,
    /// The town.
    pub town: String,
    /// The province: two letters.
    pub province: String,
}

/// A general practitioner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Practitioner {
    /// The tax code.
    pub tax_code: String,
    /// The name.
    pub name: String,
    /// Since when, where that is said.
    pub from: Option<Date>,
}

/// What happened to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The data changed.
    Data,
    /// The choice of a practitioner changed.
    Practitioner,
    /// The person died.
    Death,
    /// The person came to this region, or to an ASL of it.
    TransferIn,
    /// The person went to another region.
    TransferOut,
}

const HAPPENINGS: &[(&str, Happening)] = &[
    ("ANAGRAFICA", Happening::Data),
    ("MEDICO", Happening::Practitioner),
    ("DECESSO", Happening::Death),
    ("TRASFERIMENTO_ENTRATA", Happening::TransferIn),
    ("TRASFERIMENTO_USCITA", Happening::TransferOut),
];

impl Happening {
    /// Returns a code for it.
    pub fn code(self) -> &'static str {
        match self {
            Happening::Data => "data-changed",
            Happening::Practitioner => "practitioner-changed",
            Happening::Death => "death",
            Happening::TransferIn => "transfer-in",
            Happening::TransferOut => "transfer-out",
        }
    }
}

/// A change that ANA tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// Its number.
    pub number: u64,
    /// What happened.
    pub happening: Happening,
    /// The person as known now.
    pub assisted: Assisted,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What is known of a person.
    Person(Box<Assisted>),
    /// The choice was noted: by which number, and from which day on.
    Noted {
        /// The number under which ANA keeps it.
        protocol: String,
        /// From which day on.
        from: Option<Date>,
    },
    /// What changed, and whether there is more.
    Variations(Vec<Variation>, bool),
}

/// Reads the answer to a question of a kind and id.
///
/// # Errors
/// What ANA refuses, or what cannot be read.
pub fn read(body: &Element, kind: Kind, id: &str) -> Result<Answer, AnaFault> {
    if !body.is(NAMESPACE, &format!("{}Ricevuta", kind.stem())) {
        return Err(unreadable("it is no answer to what was asked"));
    }
    if value(body, "idMessaggio") != id {
        return Err(unreadable("it answers another message"));
    }
    match &*value(body, "codEsito") {
        DONE => {}
        "" => return Err(unreadable("it does not say how it ended")),
        code => {
            let errors = body.child(NAMESPACE, "elencoErrori").into_iter().flat_map(Element::elements);
            let told: Vec<String> =
                errors.map(|error| value(error, "esito")).filter(|t| !t.is_empty()).collect();
            return Err(Refusal::of_code(code).told(told.join("; ")));
        }
    }
    match kind {
        Kind::Verify => {
            let person = body.child(NAMESPACE, "assistito").ok_or_else(|| unreadable("it has no person"))?;
            Ok(Answer::Person(Box::new(assisted(person)?)))
        }
        Kind::Choose => {
            let protocol = value(body, "protocollo");
            if protocol.is_empty() {
                return Err(unreadable("it has no protocol number"));
            }
            Ok(Answer::Noted { protocol, from: date(body, "dataDecorrenza")? })
        }
        Kind::Variations => {
            let variations = body.children_named(NAMESPACE, "variazione").map(variation);
            Ok(Answer::Variations(variations.collect::<Result<_, _>>()?, value(body, "altre") == "true"))
        }
    }
}

fn unreadable(what: &str) -> AnaFault {
    AnaFault::Unreadable(what.to_owned())
}

pub(super) fn value(parent: &Element, local: &str) -> String {
    parent.text_of(NAMESPACE, local).unwrap_or_default()
}

pub(super) fn date(parent: &Element, local: &str) -> Result<Option<Date>, AnaFault> {
    let text = value(parent, local);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| unreadable(&format!("`{local}` is no date")))
}

fn assisted(person: &Element) -> Result<Assisted, AnaFault> {
    let part = |local: &str| person.child(NAMESPACE, local);
    let residence = part("residenza").map(|at| Residence {
        street: value(at, "indirizzo"),
        postal_code: value(at, "cap"),
        town: value(at, "comune"),
        province: value(at, "provincia"),
    });
    let practitioner = match part("medico") {
        Some(medico) => Some(Practitioner {
            tax_code: value(medico, "codiceFiscale"),
            name: [value(medico, "cognome"), value(medico, "nome")].join(" ").trim().to_owned(),
            from: date(medico, "dataScelta")?,
        }),
        None => None,
    };
    Ok(Assisted {
        ana: value(person, "idANA"),
        tax_code: value(person, "codiceFiscale"),
        is_valid: match &*value(person, "validitaCI") {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        },
        family: value(person, "cognome"),
        given: value(person, "nome"),
        sex: value(person, "sesso"),
        birth: date(person, "dataNascita")?,
        residence,
        death: date(person, "dataDecesso")?,
        authority: part("assistenza")
            .map(|at| Authority { region: value(at, "codRegione"), asl: value(at, "codASL") }),
        practitioner: practitioner.filter(|practitioner| !practitioner.tax_code.is_empty()),
    })
}

fn variation(element: &Element) -> Result<Variation, AnaFault> {
    let number =
        value(element, "progressivo").parse().map_err(|_| unreadable("a variation has no number"))?;
    let word = value(element, "tipo");
    let happening = HAPPENINGS.iter().find(|(known, _)| *known == word);
    let (_, happening) = happening.ok_or_else(|| unreadable("a variation is of no known kind"))?;
    let person =
        element.child(NAMESPACE, "assistito").ok_or_else(|| unreadable("a variation has no person"))?;
    Ok(Variation { number, happening: *happening, assisted: assisted(person)? })
}

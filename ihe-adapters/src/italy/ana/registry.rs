//! Aligns patients with what ANA says of them, and follows what it tells of changes.

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fault::{AnaFault, Whose};
use super::map::{self, Difference};
use super::message::{Answer, Asked, Assisted, Happening, Identity, Practitioner, Variation, today};
use super::{ANA, Ana, is_race, provenance, put};
use crate::fhir_client::token;

/// How often it is tried anew when others changed the patient meanwhile.
const TRIES: usize = 4;
/// How many patients of one identifier are aligned.
const PATIENTS_MAX: usize = 50;
/// How many variations are asked for at once.
const VARIATIONS_MAX: u32 = 100;

/// Why there is nothing to align by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlignError {
    /// There is no answer of ANA.
    #[error("{0}")]
    Ana(AnaFault),
    /// The data here cannot be read or written.
    #[error("{}", .0.diagnostics)]
    Data(Box<Issue>),
}

impl From<Issue> for AlignError {
    fn from(issue: Issue) -> AlignError {
        AlignError::Data(Box::new(issue))
    }
}

/// What came of aligning a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aligned {
    /// There is no such patient any more.
    Gone,
    /// The patient has no identifier by which ANA can be asked.
    Unidentified,
    /// ANA knows nobody by it, or does not tell: why.
    Unknown(String),
    /// All is as ANA says.
    Same,
    /// What differed is as ANA says now; or would be, where nothing is written.
    Updated(Vec<Difference>),
    /// So much differs that it may be somebody else: nothing was written.
    Doubtful(Vec<Difference>),
}

/// Where what ANA says comes of.
struct Said<'s> {
    assisted: &'s Assisted,
    message_id: &'s str,
    activity: &'s str,
}

impl Ana {
    /// Asks ANA for a patient, and puts what it says into the Patient where its word counts.
    /// `writes`: or only tells what differs.
    ///
    /// # Errors
    /// When ANA gives no answer, or the data fail.
    pub async fn align(&self, id: &str, writes: bool) -> Result<Aligned, AlignError> {
        let Some(patient) = self.patient(id).await? else { return Ok(Aligned::Gone) };
        let Some(identity) = map::identity(&patient, &self.domains) else { return Ok(Aligned::Unidentified) };
        let question = self.question(Uuid::new_v4().to_string(), Asked::Verify(identity.clone()));
        let (kind, message) = (question.kind(), question.to_xml().into_bytes());
        let place = format!("Patient/{id}");
        let (answer, event) = self.ask((kind, &question.id, message), (Some(&identity), Some(&place))).await;
        let assisted = match answer {
            Ok(Answer::Person(assisted)) => *assisted,
            Ok(_) => return Err(AlignError::Ana(AnaFault::Unreadable("it is no person".to_owned()))),
            Err(fault) => {
                self.record(event).await?;
                return match fault {
                    AnaFault::Refused(..) if fault.whose() == Whose::Caller => {
                        Ok(Aligned::Unknown(fault.to_string()))
                    }
                    fault => Err(AlignError::Ana(fault)),
                };
            }
        };
        let said = Said { assisted: &assisted, message_id: &question.id, activity: "alignment" };
        if !writes {
            self.record(event).await?;
            return Ok(self.compared(&patient, &assisted));
        }
        Ok(self.put_said(id, &said, event, &[]).await?)
    }

    /// Takes in what changed after a number. Returns the number of the last variation, how many
    /// there were, and whether there are more.
    ///
    /// # Errors
    /// When ANA gives no answer, or the data fail: then some may be taken in, which does no harm
    /// when they come again.
    pub async fn take_variations(&self, after: u64) -> Result<(u64, usize, bool), AlignError> {
        let asked = Asked::Variations { after, count: VARIATIONS_MAX };
        let question = self.question(Uuid::new_v4().to_string(), asked);
        let (kind, message) = (question.kind(), question.to_xml().into_bytes());
        let (answer, event) = self.ask((kind, &question.id, message), (None, None)).await;
        // That nothing changed tells nothing of anybody.
        let is_nothing = matches!(&answer, Ok(Answer::Variations(all, _)) if all.is_empty());
        self.record(event.filter(|_| !is_nothing)).await?;
        let (variations, is_more) = match answer.map_err(AlignError::Ana)? {
            Answer::Variations(variations, is_more) => (variations, is_more),
            Answer::Person(_) | Answer::Noted { .. } => {
                return Err(AlignError::Ana(AnaFault::Unreadable("it has no variations".to_owned())));
            }
        };
        let mut last = after;
        for variation in &variations {
            self.take(variation, &question.id).await?;
            last = last.max(variation.number);
        }
        // Who says that there is more and gives nothing new would be asked for ever.
        Ok((last, variations.len(), is_more && last > after))
    }

    /// Takes in what happened to a person.
    async fn take(&self, variation: &Variation, message_id: &str) -> Result<(), AlignError> {
        let Variation { number, happening, assisted } = variation;
        let identities = map::identities(assisted);
        let tokens: Vec<String> = identities.iter().flat_map(|identity| self.tokens(identity)).collect();
        let Some(first) = identities.first() else { return Ok(()) };
        let known = self.search(ty::PATIENT, &[("identifier", &tokens.join(","))], PATIENTS_MAX).await?;
        let said = Said { assisted, message_id, activity: happening.code() };
        if known.is_empty() && *happening == Happening::TransferIn {
            self.create(&said, (*number, first)).await?;
            return Ok(());
        }
        for patient in &known {
            let Some(id) = patient["id"].as_str().filter(|_| !is_replaced(patient)) else { continue };
            let notice = notice(*number, *happening, id);
            if let Aligned::Doubtful(_) = self.put_said(id, &said, None, notice.as_slice()).await? {
                self.transact(vec![doubt(*number, id)], None).await?;
            }
        }
        Ok(())
    }

    /// Creates the Patient of somebody who came to the region.
    async fn create(&self, said: &Said<'_>, (number, known_by): (u64, &Identity)) -> Result<(), Issue> {
        let mut patient = json!({ "resourceType": "Patient", "active": true });
        let found = map::differences(&patient, said.assisted, &self.domains);
        map::survive(&mut patient, said.assisted, &found, &self.domains);
        let condition = format!("identifier={}", self.tokens(known_by).join(","));
        let request = json!({ "method": "POST", "url": "Patient", "ifNoneExist": condition });
        let place = format!("urn:uuid:{}", Uuid::new_v4());
        let mut entries = vec![
            json!({ "fullUrl": place, "resource": patient, "request": request }),
            provenance(std::slice::from_ref(&place), said.activity, said.message_id),
        ];
        entries.extend(communication(number, Happening::TransferIn, &place, &known_by.value));
        let practitioner = said.assisted.practitioner.as_ref();
        entries.extend(self.practitioner_entries(&place, practitioner, since(practitioner)).await?);
        self.transact(entries, None).await
    }

    /// Puts what ANA says into a Patient, with who said so; `more` is stored in the same
    /// transaction.
    async fn put_said(
        &self,
        id: &str,
        said: &Said<'_>,
        event: Option<Value>,
        more: &[Value],
    ) -> Result<Aligned, Issue> {
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(patient) = self.patient(id).await? else {
                self.record(event).await?;
                return Ok(Aligned::Gone);
            };
            let aligned = self.compared(&patient, said.assisted);
            let mut entries = more.to_vec();
            match &aligned {
                Aligned::Doubtful(_) => {
                    self.record(event).await?;
                    return Ok(aligned);
                }
                Aligned::Updated(found) => {
                    let mut after = patient.clone();
                    map::survive(&mut after, said.assisted, found, &self.domains);
                    let place = format!("Patient/{id}");
                    if map::practitioner(&after, &self.domains) != map::practitioner(&patient, &self.domains)
                    {
                        let practitioner = said.assisted.practitioner.as_ref();
                        entries.extend(
                            self.practitioner_entries(&place, practitioner, since(practitioner)).await?,
                        );
                    }
                    entries.push(put(&after));
                    entries.push(provenance(&[place], said.activity, said.message_id));
                }
                _ => {}
            }
            match self.transact(entries, event.as_ref()).await {
                Ok(()) => return Ok(aligned),
                Err(issue) if is_race(&issue) && tries < TRIES => {}
                Err(issue) => return Err(issue),
            }
        }
    }

    /// Returns what a search for an identity asks for: any name of its domain.
    fn tokens(&self, identity: &Identity) -> Vec<String> {
        let systems = identity.scheme.systems(&self.domains);
        systems.iter().map(|system| token(system, &identity.value)).collect()
    }

    fn compared(&self, patient: &Value, assisted: &Assisted) -> Aligned {
        let found = map::differences(patient, assisted, &self.domains);
        match found.is_empty() {
            true => Aligned::Same,
            false if map::is_doubtful(&found) => Aligned::Doubtful(found),
            false => Aligned::Updated(found),
        }
    }

    /// Reads a patient who is there and not replaced by another.
    pub(super) async fn patient(&self, id: &str) -> Result<Option<Value>, Issue> {
        Ok(self.read(ty::PATIENT, id).await?.filter(|patient| !is_replaced(patient)))
    }
}

/// Returns since when a choice holds, as far as ANA says it.
fn since(practitioner: Option<&Practitioner>) -> Date {
    practitioner.and_then(|practitioner| practitioner.from).unwrap_or_else(today)
}

fn is_replaced(patient: &Value) -> bool {
    let links = patient["link"].as_array();
    links.is_some_and(|links| links.iter().any(|link| link["type"] == "replaced-by"))
}

/// What is told of what happened, in Italian and in English. Nothing else follows from it: who
/// has to do something is told, and decides.
const NOTICES: &[(Happening, &str, &str)] = &[
    (
        Happening::Death,
        "L'Anagrafe nazionale degli assistiti comunica il decesso dell'assistito.",
        "The national registry of assisted persons tells that the person died.",
    ),
    (
        Happening::TransferIn,
        "L'assistito è preso in carico da questa regione o da un'altra sua ASL.",
        "The person is assisted by this region, or by another health authority of it, from now on.",
    ),
    (
        Happening::TransferOut,
        "L'assistito è preso in carico da un'altra regione.",
        "The person is assisted by another region from now on.",
    ),
    (
        Happening::Practitioner,
        "La scelta del medico di medicina generale è cambiata.",
        "The choice of the general practitioner has changed.",
    ),
];

/// Writes the notice of what happened, where one is told.
fn notice(number: u64, happening: Happening, id: &str) -> Option<Value> {
    communication(number, happening, &format!("Patient/{id}"), id)
}

fn communication(number: u64, happening: Happening, patient: &str, key: &str) -> Option<Value> {
    let (_, italian, english) = NOTICES.iter().find(|(of, _, _)| *of == happening)?;
    Some(told((number, key), happening.code(), patient, (italian, english)))
}

/// Writes the notice that what ANA tells may be of somebody else.
fn doubt(number: u64, id: &str) -> Value {
    let italian = "I dati dell'Anagrafe nazionale differiscono tanto da poter riguardare un'altra persona: \
                   nulla è stato modificato.";
    let english = "What the national registry tells differs so much that it may be of another person: nothing \
                   was changed.";
    told((number, id), "doubtful", &format!("Patient/{id}"), (italian, english))
}

/// Writes a notice, which is stored once for a variation and a patient.
fn told((number, key): (u64, &str), code: &str, patient: &str, (italian, english): (&str, &str)) -> Value {
    let value = format!("variation-{number}-{key}-{code}");
    json!({
        "resource": {
            "resourceType": "Communication",
            "identifier": [{ "system": ANA, "value": value }],
            "status": "completed",
            "category": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/communication-category",
                                        "code": "notification" }] }],
            "subject": { "reference": patient },
            "sent": Timestamp::now().to_string(),
            "reasonCode": [{ "coding": [{ "system": ANA, "code": code }] }],
            "payload": [{ "contentString": italian }, { "contentString": english }],
        },
        "request": { "method": "POST", "url": "Communication",
                     "ifNoneExist": format!("identifier={}", token(ANA, &value)) },
    })
}

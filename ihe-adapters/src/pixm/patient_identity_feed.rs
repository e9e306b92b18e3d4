//! ITI-104: a source tells of one of its records, that it was merged into
//! another, or that it is gone.
//!
//! The criteria of the conditional update name the record by the identifier
//! that its source gave it. What is told takes the place of what was known; links
//! that the index made stay. A link `replaced-by` is a merge, however
//! it names the other one.
//!
//! Spec: PIXm 2:3.104

use fhir_model::interaction::{
    Body, Criteria, DeleteRequest, Interaction, Performed, ReadRequest, ResourceKey, Status, Target,
    UpdateRequest,
};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use crate::atna::entry;
use crate::fhir_client::{Found, parse_token};
use crate::pix::domains::{DomainError, Domains};
use crate::pix::held::Held;
use crate::pix::persons::is_subsumed;
use crate::pix::refusal::Refusal;
use crate::pix::told::{Ids, Told};
use crate::pix::{Identifier, PatientIndex, identifiers};

/// Who says to be of this profile feeds the index.
const PROFILE: &str = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient";

/// What a source says.
#[derive(Debug)]
pub(crate) enum Message {
    /// How a record is now.
    Patient(Box<Resource>),
    /// That it is gone.
    Removed,
}

/// A message of a source, and the identifier of the record that it is about.
#[derive(Debug)]
pub(crate) struct FeedOf {
    pub(crate) key: Identifier,
    pub(crate) message: Message,
}

/// Tells whether an interaction is a feed: returns it, or the interaction as it is.
///
/// # Errors
/// When it says to be a feed, of a domain that is not known.
pub(crate) fn feed_of(
    domains: &Domains,
    interaction: Interaction,
) -> Result<Result<FeedOf, Interaction>, Issue> {
    match interaction {
        // Who names a version, or wants none to be there, wants FHIR and no more.
        Interaction::Update(request)
            if request.resource_type == ty::PATIENT
                && request.if_match.is_none()
                && !request.if_none_exist =>
        {
            match key_of(domains, &request.target) {
                Ok(key) => {
                    let message = Message::Patient(Box::new(request.resource));
                    Ok(Ok(FeedOf { key, message }))
                }
                Err(Some(error)) if says_to_feed(&request) => Err(told(error.into())),
                Err(_) => Ok(Err(Interaction::Update(request))),
            }
        }
        Interaction::Delete(DeleteRequest { resource_type: ty::PATIENT, target, if_match: None }) => {
            match key_of(domains, &target) {
                Ok(key) => Ok(Ok(FeedOf { key, message: Message::Removed })),
                Err(_) => {
                    let request = DeleteRequest { resource_type: ty::PATIENT, target, if_match: None };
                    Ok(Err(Interaction::Delete(request)))
                }
            }
        }
        interaction => Ok(Err(interaction)),
    }
}

/// Returns the identifier that criteria name, and nothing else; an error, when it is
/// of a domain that is not known.
fn key_of(domains: &Domains, target: &Target) -> Result<Identifier, Option<DomainError>> {
    let Target::Criteria(Criteria(criteria)) = target else { return Err(None) };
    let [(name, value)] = criteria.as_slice() else { return Err(None) };
    let (system, value) = parse_token(value).filter(|_| name == "identifier").ok_or(None)?;
    if system.is_empty() || value.is_empty() {
        return Err(None);
    }
    let domain = domains.by_system(&system).ok_or(Some(DomainError::Unknown))?;
    Ok(Identifier::new(domain.system(), value))
}

fn says_to_feed(request: &UpdateRequest) -> bool {
    let meta = request.resource.root().child(name::META);
    let mut profiles = meta.into_iter().flat_map(|meta| meta.children_named(name::PROFILE));
    profiles.any(|profile| profile.value().is_some_and(|url| url.split('|').next() == Some(PROFILE)))
}

/// What is recorded of what is done: an interaction, and where the records are.
pub(crate) type Recorded<'r> = dyn Fn(&'static str, &[String]) -> Vec<Value> + Sync + 'r;

/// What a feed is performed with.
pub(crate) struct Manager<'m> {
    pub(crate) index: PatientIndex<'m>,
    /// Makes the events that are stored with a change.
    pub(crate) recorded: &'m Recorded<'m>,
}

/// What was done, and whether it was recorded with that.
pub(crate) struct Done {
    pub(crate) performed: Performed,
    pub(crate) interaction: &'static str,
    pub(crate) place: Option<String>,
    pub(crate) is_recorded: bool,
}

impl Manager<'_> {
    /// Takes in what a source says.
    ///
    /// # Errors
    /// Why it is not; nothing has changed then.
    pub(crate) async fn take(&self, feed: &FeedOf) -> Result<Done, Issue> {
        match &feed.message {
            Message::Patient(patient) => self.patient(&feed.key, patient).await,
            Message::Removed => self.remove(&feed.key).await.map_err(told),
        }
    }

    async fn patient(&self, key: &Identifier, patient: &Resource) -> Result<Done, Issue> {
        let full_url = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        let mut said = Told::of(self.index.domains, patient, full_url)?;
        let has_key = said.feed.patient["identifier"].as_array().is_some_and(|all| {
            all.iter().any(|of| of["system"] == key.system.as_str() && of["value"] == key.value.as_str())
        });
        if !has_key {
            let issue = Issue::error(IssueType::Invariant).at("Patient.identifier");
            return Err(issue.text("the patient does not have the identifier that the criteria name"));
        }
        match said.replaced_by.take() {
            Some(link) => self.merge(key, &said, &link).await,
            None => self.store(key, said, patient.id()).await,
        }
    }

    async fn store(&self, key: &Identifier, mut said: Told, id: Option<&str>) -> Result<Done, Issue> {
        let stored = self.index.record(key).await.map_err(told)?;
        if let (Some(stored), Some(id)) = (stored.as_ref().and_then(Found::id), id)
            && stored != id
        {
            let issue = Issue::error(IssueType::Invalid).at("Patient.id");
            return Err(issue.text("the criteria match a resource of another id than the one given"));
        }
        let interaction = if stored.is_some() { "update" } else { "create" };
        let events = (self.recorded)(interaction, std::slice::from_ref(&said.feed.full_url));
        let is_recorded = !events.is_empty();
        said.feed.beside.extend(events.iter().map(entry));
        let fed = self.index.feed_record(key, &said.feed).await.map_err(told)?;
        let status = if fed.is_created { Status::Created } else { Status::Ok };
        let performed = self.shown(&fed.patient, status).await?;
        let place = Some(format!("Patient/{}", fed.patient));
        Ok(Done { performed, interaction, place, is_recorded })
    }

    async fn merge(&self, key: &Identifier, said: &Told, link: &Value) -> Result<Done, Issue> {
        let survivor = self.index.referred(&link["other"], Ids::OfEachServer).await.map_err(no_survivor)?;
        let survivor = survivor.ok_or_else(|| no_survivor(Refusal::UnknownIdentifier))?;
        if is_subsumed(survivor.root()) {
            return Err(no_survivor(Refusal::Subsumed));
        }
        let mut held = Held::new(self.index);
        let target = held.hold(&survivor).map_err(told)?;
        let source = match held.find(key).await {
            Ok(Some(source)) => {
                held.tell_of_subsumed(source, &said.feed, link);
                held.merge(source, target, said.feed.at, &link["other"]);
                source
            }
            Ok(None) => return Err(told(Refusal::UnknownIdentifier)),
            // Said again, it is so already.
            Err(Refusal::Subsumed) => {
                let merged = self.merged_into(key, held.place(target)).await.map_err(told)?;
                let merged = merged.ok_or_else(|| told(Refusal::Subsumed))?;
                let source = held.hold(&merged).map_err(told)?;
                held.tell_of_subsumed(source, &said.feed, link);
                source
            }
            Err(refusal) => return Err(told(refusal)),
        };
        let places = [source, target].map(|at| held.place(at).to_owned());
        let events = (self.recorded)("update", &places);
        let beside = events.iter().map(entry).collect();
        let stored = held.store(beside, Vec::new(), self.index.fhir.caller).await;
        let stored = stored.map_err(|(_, refusal)| told(refusal))?;
        let performed = self.shown(&stored.id(source), Status::Ok).await?;
        let place = places.into_iter().next();
        Ok(Done { performed, interaction: "update", place, is_recorded: !events.is_empty() })
    }

    /// Returns the record of an identifier that was merged into the one at this place.
    async fn merged_into(&self, key: &Identifier, place: &str) -> Result<Option<Found>, Refusal> {
        let token = key.token();
        let found = self.index.fhir.first_page(ty::PATIENT, &[("identifier", &token)]).await?;
        let is_merged = |record: &&Found| {
            identifiers(record.root()).any(|other| other == *key)
                && record.root().children_named(name::LINK).any(|link| {
                    let other = link.child(name::OTHER).and_then(|other| other.text_of(name::REFERENCE));
                    link.text_of(name::TYPE) == Some("replaced-by") && other == Some(place)
                })
        };
        Ok(found.iter().find(is_merged).cloned())
    }

    async fn remove(&self, key: &Identifier) -> Result<Done, Refusal> {
        let record = self.index.record(key).await?;
        let place = record.as_ref().and_then(Found::id).map(|id| format!("Patient/{id}"));
        let mut is_recorded = false;
        if let Some(place) = &place {
            let events = (self.recorded)("delete", std::slice::from_ref(place));
            is_recorded = !events.is_empty();
            let mut entries = vec![json!({ "request": { "method": "DELETE", "url": place } })];
            entries.extend(events.iter().map(entry));
            self.index.fhir.transact(entries, Vec::new()).await?;
        }
        let performed = Performed { status: Status::NoContent, body: Body::Empty, ..Performed::json("") };
        Ok(Done { performed, interaction: "delete", place, is_recorded })
    }

    /// Shows a record as it is stored.
    async fn shown(&self, id: &str, status: Status) -> Result<Performed, Issue> {
        let id = ResourceId::parse(id).ok_or_else(|| Issue::fatal(IssueType::Exception))?;
        let key = ResourceKey { resource_type: ty::PATIENT, id };
        let read = ReadRequest { key, if_none_match: None, if_modified_since: None };
        let fhir = self.index.fhir;
        let performed = fhir.api.perform(fhir.caller, Interaction::Read(read)).await?;
        Ok(Performed { status, ..performed })
    }
}

/// Tells a refusal of what is written.
fn told(refusal: Refusal) -> Issue {
    let text = refusal.to_string();
    let issue = match refusal {
        Refusal::Subsumed => Issue::error(IssueType::Conflict),
        Refusal::UnknownIdentifier => Issue::error(IssueType::NotFound).because(Reason::Unprocessable),
        Refusal::Domain(_) => Issue::error(IssueType::CodeInvalid).because(Reason::Unprocessable),
        refusal => return refusal.into(),
    };
    issue.at("Patient.identifier").text(text)
}

/// Tells why nobody can take the place of another.
fn no_survivor(refusal: Refusal) -> Issue {
    let mut issue = told(refusal);
    issue.expression = vec!["Patient.link.other".to_owned()];
    issue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_name_one_identifier_of_a_known_domain() {
        let target = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            Target::Criteria(Criteria(pairs.collect()))
        };
        let domains = Domains::default();
        let key = |pairs: &[(&str, &str)]| key_of(&domains, &target(pairs));
        assert_eq!(key(&[("identifier", "urn:oid:1.2|x")]), Ok(Identifier::new("urn:oid:1.2", "x")));
        let cf = Identifier::new("urn:oid:2.16.840.1.113883.2.9.4.3.2", "X");
        assert_eq!(key(&[("identifier", "http://hl7.it/sid/codiceFiscale|X")]), Ok(cf));
        assert_eq!(key(&[("identifier", "local|x")]), Err(Some(DomainError::Unknown)));
        for other in [
            vec![("identifier", "x")],
            vec![("identifier", "|x")],
            vec![("identifier", "urn:oid:1.2|")],
            vec![("identifier", "urn:oid:1.2|x,urn:oid:1.2|y")],
            vec![("identifier:not", "urn:oid:1.2|x")],
            vec![("identifier", "urn:oid:1.2|x"), ("family", "y")],
            vec![("_id", "urn:oid:1.2|x")],
            vec![],
        ] {
            assert_eq!(key(&other), Err(None), "{other:?}");
        }
    }
}

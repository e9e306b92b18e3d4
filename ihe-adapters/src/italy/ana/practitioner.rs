//! The choice of a general practitioner: ordered by a Task, taken by ANA, and only then said of
//! the Patient, with an EpisodeOfCare for the time that it holds.
//!
//! A Task orders one of `ORDERS` for a Patient. Its inputs are `practitioner` (a reference, or
//! an identifier, the tax code) and `from` (a day; today without). It is `completed` with the
//! protocol number of ANA as output, or `rejected` or `failed` with the reason.

use std::sync::Arc;

use fhir_model::outcome::Issue;
use fhir_model::schema::{TypeId, ty};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::fault::AnaFault;
use super::map::{self, code_of_practitioner};
use super::message::{Answer, Asked, Choice, Choosing, Identity, Kind, Practitioner, Scheme, today};
use super::{ANA, Ana, is_race, provenance, put, value_of};
use crate::fhir_client::token;
use crate::outbox::{Change, Destination, Failure, Message};

/// The name of ANA as a destination.
const NAME: &str = "ana";
/// What a Task may order.
const ORDERS: &[(&str, Choosing)] = &[
    ("choose-practitioner", Choosing::Choose),
    ("change-practitioner", Choosing::Change),
    ("revoke-practitioner", Choosing::Revoke),
];
/// The type of an EpisodeOfCare that is the time of a choice.
const GENERAL_PRACTICE: &str = "general-practice";
/// The statuses of Tasks of which nothing is sent any more.
const OVER: &[&str] = &["completed", "cancelled", "entered-in-error"];
/// How many choices of a patient may hold at once, by mistake.
const CHOICES_MAX: usize = 50;
/// How often it is tried anew when others changed the patient meanwhile.
const TRIES: usize = 4;

/// Choices on their way to ANA.
pub struct Choices {
    /// ANA, and the data.
    pub ana: Arc<Ana>,
}

/// What a Task orders.
struct Order {
    /// `Patient/[id]`.
    patient: String,
    person: Identity,
    practitioner: Practitioner,
    from: Date,
}

impl Destination for Choices {
    fn name(&self) -> &str {
        NAME
    }

    fn types(&self) -> &[TypeId] {
        &[ty::TASK]
    }

    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        async move {
            let Some(task) = change.resource.as_ref().map(value_of).transpose()? else {
                return Ok(Vec::new());
            };
            let Some(choosing) = ordered(&task) else { return Ok(Vec::new()) };
            let id = change.key.id.as_str();
            // What was changed since is looked at when its turn comes.
            let now = self.ana.read(ty::TASK, id).await?;
            let is_current =
                now.is_some_and(|now| now["meta"]["versionId"] == json!(change.version.to_string()));
            if !is_current {
                return Ok(Vec::new());
            }
            let order = match self.ana.order(&task, choosing).await? {
                Ok(order) => order,
                Err(why) => {
                    self.ana.end_task(id, "rejected", Some(why)).await?;
                    return Ok(Vec::new());
                }
            };
            let cause = format!("Task/{id}");
            let message_id = Message::id_of(NAME, &cause);
            let Order { person, practitioner, from, .. } = order;
            let practitioner = practitioner.tax_code;
            let asked = Asked::Choose { person, choosing, practitioner, from };
            let question = self.ana.question(message_id.clone(), asked);
            Ok(vec![Message {
                id: message_id,
                lane: order.patient,
                kind: question.kind().transaction().to_owned(),
                cause,
                content_type: "text/xml; charset=UTF-8".to_owned(),
                body: question.to_xml().into_bytes(),
            }])
        }
        .boxed()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let unread = |issue: Issue| {
                Failure::Unavailable(format!("the Task cannot be read: {}", issue.diagnostics))
            };
            let task = self.ana.read(ty::TASK, task_of(message)).await.map_err(unread)?;
            // What is not wanted any more is not sent, and what was done not again. Should ANA have
            // what was cancelled all the same, an alignment tells.
            let is_over = |task: Value| OVER.contains(&task["status"].as_str().unwrap_or_default());
            if task.is_none_or(is_over) {
                return Ok(());
            }
            let asked = (Kind::Choose, message.id.as_str(), message.body.clone());
            let (answer, event) = self.ana.ask(asked, (None, Some(&message.lane))).await;
            let unwritten = |issue: Issue| {
                // What ANA answered can be had again: it knows the message.
                Failure::Unavailable(format!("the answer of ANA cannot be stored: {}", issue.diagnostics))
            };
            let (protocol, from) = match answer {
                Ok(Answer::Noted { protocol, from }) => (protocol, from),
                Ok(_) => return Err(AnaFault::Unreadable("it notes no choice".to_owned()).failure()),
                Err(fault) => {
                    self.ana.record(event).await.map_err(unwritten)?;
                    return Err(fault.failure());
                }
            };
            self.ana.noted(message, (&protocol, from), event).await.map_err(unwritten)
        }
        .boxed()
    }

    fn given_up<'a>(
        &'a self,
        message: &'a Message,
        failure: &'a Failure,
    ) -> BoxFuture<'a, Result<(), Issue>> {
        async move {
            let status = if matches!(failure, Failure::Refused(_)) { "rejected" } else { "failed" };
            self.ana.end_task(task_of(message), status, Some(failure.to_string())).await
        }
        .boxed()
    }
}

impl Ana {
    /// Tells what a Task orders, or why that cannot be asked.
    async fn order(&self, task: &Value, choosing: Choosing) -> Result<Result<Order, String>, Issue> {
        let told = |why: &str| Ok(Err(why.to_owned()));
        let reference = task["for"]["reference"].as_str().unwrap_or_default();
        let Some(id) = id_of(reference, "Patient") else {
            return told("Task.for names no Patient of this server");
        };
        let Some(patient) = self.patient(id).await? else {
            return told("there is no such patient, or not any more");
        };
        let Some(person) = map::identity(&patient, &self.domains) else {
            return told("the patient has no identifier by which ANA knows people");
        };
        let practitioner = match self.practitioner_of(input(task, "practitioner")).await? {
            Some(practitioner) => practitioner,
            None if choosing == Choosing::Revoke => match map::practitioner(&patient, &self.domains) {
                Some(tax_code) => Practitioner { tax_code, ..Practitioner::default() },
                None => return told("the patient has no practitioner whose choice could be revoked"),
            },
            None => return told("no practitioner with a tax code is named by the input `practitioner`"),
        };
        let from = match input(task, "from").and_then(|from| from["valueDate"].as_str()) {
            Some(text) => match text.parse() {
                Ok(from) => from,
                Err(_) => return told("the input `from` is no day"),
            },
            None => today(),
        };
        Ok(Ok(Order { patient: format!("Patient/{id}"), person, practitioner, from }))
    }

    /// Returns the practitioner that an input names.
    async fn practitioner_of(&self, input: Option<&Value>) -> Result<Option<Practitioner>, Issue> {
        let Some(input) = input else { return Ok(None) };
        let reference = &input["valueReference"];
        let name = reference["display"].as_str().unwrap_or_default().to_owned();
        let identifiers = [&input["valueIdentifier"], &reference["identifier"]];
        if let Some(tax_code) = identifiers.into_iter().find_map(|i| code_of_practitioner(i, &self.domains)) {
            return Ok(Some(Practitioner { tax_code, name, from: None }));
        }
        let Some(id) = id_of(reference["reference"].as_str().unwrap_or_default(), "Practitioner") else {
            return Ok(None);
        };
        let Some(found) = self.read(ty::PRACTITIONER, id).await? else { return Ok(None) };
        let mut identifiers = found["identifier"].as_array().into_iter().flatten();
        let tax_code = identifiers.find_map(|identifier| code_of_practitioner(identifier, &self.domains));
        Ok(tax_code.map(|tax_code| Practitioner { tax_code, name: name_of(&found), from: None }))
    }

    /// Does here what it means that ANA noted a choice: the Task is completed, the Patient has the
    /// practitioner, and the time of the choice is kept.
    async fn noted(
        &self,
        message: &Message,
        (protocol, from): (&str, Option<Date>),
        event: Option<Value>,
    ) -> Result<(), Issue> {
        let mut tries = 0;
        loop {
            tries += 1;
            let task =
                self.read(ty::TASK, task_of(message)).await?.filter(|task| task["status"] != "completed");
            let Some((task, choice)) = task.zip(Choice::of_message(&message.body)) else {
                // It was done before.
                return self.record(event).await;
            };
            let choice = Choice { from: from.unwrap_or(choice.from), ..choice };
            let entries = self.entries_of(message, &choice, (task, protocol)).await?;
            match self.transact(entries, event.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(issue) if is_race(&issue) && tries < TRIES => {}
                Err(issue) => return Err(issue),
            }
        }
    }

    async fn entries_of(
        &self,
        message: &Message,
        choice: &Choice,
        (mut task, protocol): (Value, &str),
    ) -> Result<Vec<Value>, Issue> {
        let tax_code = choice.practitioner.clone();
        let chosen = (choice.choosing != Choosing::Revoke).then(|| Practitioner {
            tax_code,
            from: Some(choice.from),
            ..Practitioner::default()
        });
        let mut targets = vec![message.cause.clone()];
        let mut entries = Vec::new();
        let id = id_of(&message.lane, "Patient").unwrap_or_default();
        // Of whom is not there any more nothing is said.
        if let Some(mut patient) = self.patient(id).await? {
            entries = self.practitioner_entries(&message.lane, chosen.as_ref(), choice.from).await?;
            let reference = match &chosen {
                Some(chosen) => Some(self.reference_to(chosen).await?),
                None => None,
            };
            map::put_practitioner(&mut patient, reference);
            entries.push(put(&patient));
            targets.push(message.lane.clone());
        }
        task["status"] = json!("completed");
        task["lastModified"] = json!(Timestamp::now().to_string());
        task["output"] = json!([{ "type": { "coding": [{ "system": ANA, "code": "protocol" }] },
                                  "valueString": protocol }]);
        if let Some(members) = task.as_object_mut() {
            members.remove("statusReason");
        }
        entries.push(put(&task));
        entries.push(provenance(&targets, "practitioner-changed", &message.id));
        Ok(entries)
    }

    /// Returns the entries that say who is a patient's practitioner from when on: the time of the
    /// choice that held ends, and that of another begins.
    pub(super) async fn practitioner_entries(
        &self,
        patient: &str,
        chosen: Option<&Practitioner>,
        from: Date,
    ) -> Result<Vec<Value>, Issue> {
        let mut entries = Vec::new();
        let mut is_there = false;
        // One who is just being created has none.
        if patient.starts_with("Patient/") {
            let of_type = token(ANA, GENERAL_PRACTICE);
            let parameters = [("patient", patient), ("status", "active"), ("type", of_type.as_str())];
            for mut episode in self.search(ty::EPISODE_OF_CARE, &parameters, CHOICES_MAX).await? {
                let code = code_of_practitioner(&episode["careManager"]["identifier"], &self.domains);
                if chosen.is_some_and(|chosen| Some(&chosen.tax_code) == code.as_ref()) {
                    is_there = true;
                    continue;
                }
                episode["status"] = json!("finished");
                let last = from.yesterday().unwrap_or(from).to_string();
                // One that begins later never held.
                let begin = episode["period"]["start"].as_str().unwrap_or_default().to_owned();
                episode["period"]["end"] = json!(if begin > last { begin } else { last });
                entries.push(put(&episode));
            }
        }
        if let Some(chosen) = chosen.filter(|_| !is_there) {
            let key = patient.trim_start_matches("Patient/").trim_start_matches("urn:uuid:");
            let value = format!("choice-{key}-{}-{from}", chosen.tax_code);
            let condition = format!("identifier={}", token(ANA, &value));
            entries.push(json!({
                "resource": {
                    "resourceType": "EpisodeOfCare",
                    "identifier": [{ "system": ANA, "value": value }],
                    "status": "active",
                    "type": [{ "coding": [{ "system": ANA, "code": GENERAL_PRACTICE }] }],
                    "patient": { "reference": patient },
                    "careManager": self.reference_to(chosen).await?,
                    "period": { "start": from.to_string() },
                },
                "request": { "method": "POST", "url": "EpisodeOfCare", "ifNoneExist": condition },
            }));
        }
        Ok(entries)
    }

    /// Writes a reference to a practitioner: to the Practitioner here, where there is one.
    async fn reference_to(&self, practitioner: &Practitioner) -> Result<Value, Issue> {
        let mut reference = map::reference(practitioner, &self.domains);
        let systems = Scheme::TaxCode.systems(&self.domains);
        let tokens: Vec<String> =
            systems.iter().map(|system| token(system, &practitioner.tax_code)).collect();
        let known = tokens.join(",");
        let found = self.search(ty::PRACTITIONER, &[("identifier", &known)], CHOICES_MAX).await?;
        if let [only] = found.as_slice() {
            reference["reference"] =
                json!(format!("Practitioner/{}", only["id"].as_str().unwrap_or_default()));
        }
        Ok(reference)
    }

    /// Says how a Task ended, unless it is completed.
    async fn end_task(&self, id: &str, status: &str, why: Option<String>) -> Result<(), Issue> {
        let mut tries = 0;
        loop {
            tries += 1;
            let task = self.read(ty::TASK, id).await?.filter(|task| task["status"] != "completed");
            let Some(mut task) = task else { return Ok(()) };
            task["status"] = json!(status);
            task["lastModified"] = json!(Timestamp::now().to_string());
            if let Some(why) = &why {
                task["statusReason"] = json!({ "text": why });
            }
            match self.transact(vec![put(&task)], None).await {
                Ok(()) => return Ok(()),
                Err(issue) if is_race(&issue) && tries < TRIES => {}
                Err(issue) => return Err(issue),
            }
        }
    }
}

/// Returns the id of the Task that a message came of.
fn task_of(message: &Message) -> &str {
    message.cause.strip_prefix("Task/").unwrap_or_default()
}

/// Returns what a Task orders of us now.
fn ordered(task: &Value) -> Option<Choosing> {
    choosing_of(task).filter(|_| task["status"] == "requested")
}

fn choosing_of(task: &Value) -> Option<Choosing> {
    let codings = task["code"]["coding"].as_array()?;
    let code = codings.iter().find(|coding| coding["system"] == ANA)?["code"].as_str()?;
    ORDERS.iter().find(|(known, _)| *known == code).map(|(_, choosing)| *choosing)
}

/// Returns the input of a Task that has a code.
fn input<'t>(task: &'t Value, code: &str) -> Option<&'t Value> {
    let is_it = |coding: &Value| coding["system"] == ANA && coding["code"] == code;
    let inputs = task["input"].as_array()?;
    inputs.iter().find(|input| input["type"]["coding"].as_array().is_some_and(|all| all.iter().any(is_it)))
}

/// Returns the id in a reference to a resource of this server.
fn id_of<'r>(reference: &'r str, of: &str) -> Option<&'r str> {
    let mut parts = reference.split('/').rev();
    let id = parts.next().filter(|id| !id.is_empty())?;
    (parts.next() == Some(of)).then_some(id)
}

fn name_of(practitioner: &Value) -> String {
    let name = &practitioner["name"][0];
    let given = name["given"].as_array().into_iter().flatten().filter_map(Value::as_str);
    name["family"].as_str().into_iter().chain(given).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_orders_what_its_code_says() {
        let task = |code: &str, status: &str| {
            json!({ "status": status, "code": { "coding": [{ "system": "urn:x", "code": "choose-practitioner" },
                                                           { "system": ANA, "code": code }] } })
        };
        assert_eq!(ordered(&task("choose-practitioner", "requested")), Some(Choosing::Choose));
        assert_eq!(ordered(&task("revoke-practitioner", "requested")), Some(Choosing::Revoke));
        assert_eq!(ordered(&task("revoke-practitioner", "draft")), None);
        assert_eq!(ordered(&task("other", "requested")), None);
        assert_eq!(ordered(&json!({ "status": "requested" })), None);
    }

    #[test]
    fn references_of_this_server_are_read() {
        for (reference, expected) in [
            ("Patient/7", Some("7")),
            ("http://a/fhir/Patient/7", Some("7")),
            ("Practitioner/7", None),
            ("Patient/", None),
            ("", None),
        ] {
            assert_eq!(id_of(reference, "Patient"), expected, "{reference}");
        }
    }
}

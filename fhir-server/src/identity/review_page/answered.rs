//! The form of a decision, and the interactions that do what it says.

use fhir_model::interaction::{
    Interaction, OperationCall, ReadRequest, ResourceKey, Scope, Target, UpdateRequest, VersionId,
};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::super::links::array;
use super::super::refusal::Refusal;
use super::super::review::{Decision, is_ours, records};

/// Bytes of a form.
pub(crate) const DECISION_FORM_BYTES_MAX: usize = 32 * 1024;
/// Letters of a remark, as a number and as an attribute.
pub(super) const REMARK_MAX: (usize, &str) = (2_000, "2000");
/// Letters of a name.
pub(super) const AGENT_MAX: (usize, &str) = (200, "200");

/// What somebody says about two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// They are of one person.
    Same,
    /// They are not.
    Different,
    /// It is decided later.
    Later,
}

/// The values of the buttons.
const SAID: &[(&str, Said)] = &[("same", Said::Same), ("different", Said::Different), ("later", Said::Later)];

/// A form that was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    task: ResourceId,
    /// What was shown: the versions of the Task and of the two records.
    versions: [VersionId; 3],
    said: Said,
    remark: Option<String>,
    /// Who says so.
    pub(crate) agent: String,
}

impl Answered {
    /// Reads a form.
    ///
    /// # Errors
    /// When something that is needed is missing, or is none.
    pub(crate) fn of(form: &[(String, String)]) -> Result<Answered, Issue> {
        let given = |named: &'static str| {
            let found = form.iter().find(|(name, _)| name == named);
            found.map(|(_, value)| value.trim()).unwrap_or_default()
        };
        let wrong = |named: &'static str| {
            Issue::error(IssueType::Value).at(named).text(format!("`{named}` is not as the page has it"))
        };
        let version = |named| VersionId::parse(given(named)).ok_or_else(|| wrong(named));
        let said = SAID.iter().find(|(value, _)| *value == given("decision"));
        let (_, said) = said.ok_or_else(|| wrong("decision"))?;
        for (named, most) in [("agent", AGENT_MAX.0), ("remark", REMARK_MAX.0)] {
            if given(named).chars().count() > most {
                let text = format!("`{named}` has more than {most} letters");
                return Err(Issue::error(IssueType::TooLong)
                    .because(Reason::Unprocessable)
                    .at(named)
                    .text(text));
            }
        }
        let is_needed = [("agent", true), ("remark", *said == Said::Later)];
        if let Some((named, _)) = is_needed.into_iter().find(|(named, is)| *is && given(named).is_empty()) {
            let issue = Issue::error(IssueType::Required).because(Reason::Unprocessable).at(named);
            return Err(issue.text(match named {
                "agent" => "say who decides",
                _ => "say in a remark why it is decided later",
            }));
        }
        Ok(Answered {
            task: ResourceId::parse(given("task")).ok_or_else(|| wrong("task"))?,
            versions: [version("task-version")?, version("first-version")?, version("second-version")?],
            said: *said,
            remark: Some(given("remark").to_owned()).filter(|remark| !remark.is_empty()),
            agent: given("agent").to_owned(),
        })
    }

    /// Returns the value of the button that was pressed.
    pub(crate) fn name(&self) -> &'static str {
        SAID.iter().find(|(_, said)| *said == self.said).map_or("", |(value, _)| value)
    }

    /// Returns what reads the Task.
    pub(crate) fn read(&self) -> Interaction {
        let key = ResourceKey { resource_type: ty::TASK, id: self.task.clone() };
        Interaction::Read(ReadRequest { key, if_none_match: None, if_modified_since: None })
    }

    /// Returns what does what is said, given the Task.
    ///
    /// # Errors
    /// When it is no Task that asks about two records.
    pub(crate) fn interaction(&self, task: Value, now: &str) -> Result<Interaction, Issue> {
        let both = records(&task).filter(|_| is_ours(&task)).ok_or_else(|| {
            let text = "this Task does not ask whether two records are of one person";
            Issue::error(IssueType::BusinessRule).because(Reason::Unprocessable).at("task").text(text)
        })?;
        match self.said {
            Said::Same => self.decision(both, true),
            Said::Different => self.decision(both, false),
            Said::Later if Decision::of(&task) == Decision::Open => self.put_off(task, now),
            // What is decided does not wait.
            Said::Later => Err(Refusal::Changed("task").into()),
        }
    }

    fn decision(&self, (one, other): (String, String), is_same: bool) -> Result<Interaction, Issue> {
        let [task, first, second] = self.versions;
        let reference = |named: &str, of: &str, id: &str, version: VersionId| {
            let reference = format!("{of}/{id}/_history/{version}");
            json!({ "name": named, "valueReference": { "reference": reference } })
        };
        let mut parameters = vec![
            reference("patient", "Patient", &one, first),
            reference("other", "Patient", &other, second),
            reference("task", "Task", self.task.as_str(), task),
            json!({ "name": "same", "valueBoolean": is_same }),
            json!({ "name": "agent", "valueString": self.agent }),
        ];
        parameters.extend(self.remark.iter().map(|why| json!({ "name": "reason", "valueString": why })));
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        Ok(Interaction::Operation(OperationCall {
            name: "link".to_owned(),
            scope: Scope::Type(ty::PATIENT),
            query: Vec::new(),
            body: Some(fhir_model::json::read(body.to_string().into_bytes())?),
            faults: Vec::new(),
            safe: false,
        }))
    }

    /// Notes in the Task that it waits, and why.
    fn put_off(&self, mut task: Value, now: &str) -> Result<Interaction, Issue> {
        let remark = self.remark.as_deref().unwrap_or_default();
        let mut notes = array(&task, "note").to_vec();
        notes.push(json!({ "authorString": self.agent, "time": now, "text": remark }));
        task["note"] = Value::Array(notes);
        task["status"] = json!("on-hold");
        task["lastModified"] = json!(now);
        Ok(Interaction::Update(UpdateRequest {
            resource_type: ty::TASK,
            target: Target::Id(self.task.clone()),
            resource: fhir_model::json::read(task.to_string().into_bytes())?,
            if_match: self.versions.first().copied(),
            if_none_exist: false,
        }))
    }
}

//! ITI-83: `Patient/$ihe-pix`. By which identifiers, and as which Patients,
//! somebody is known.
//!
//! An identifier is a business identifier, or the logical id of a Patient of
//! this server: its base as the system, `Patient/[id]` as the value. Asked for
//! no domain, each record of the person is told of; asked for some, those that have an
//! identifier of them.
//!
//! Spec: PIXm 2:3.83

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;
use serde_json::{Value, json};

use crate::fhir_client::{Found, parse_token};
use crate::pix::persons::{Person, is_subsumed};
use crate::pix::refusal::Refusal;
use crate::pix::{Identifier, PatientIndex, identifiers};

/// The name of the operation, without `$`.
pub(crate) const OPERATION: &str = "ihe-pix";
const SOURCE: &str = "sourceIdentifier";
const TARGET: &str = "targetSystem";
/// For how many domains one may ask.
const TARGETS_MAX: usize = 100;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The identifier, its domain by the name that the caller gave.
    pub(crate) source: Identifier,
    /// The domains whose identifiers are wanted; none for all.
    pub(crate) targets: Vec<String>,
}

impl Question {
    /// Reads a call, by GET or by POST.
    ///
    /// # Errors
    /// 400, when there is not exactly one identifier with its domain.
    pub(crate) fn of(call: &OperationCall) -> Result<Question, Issue> {
        let in_url = call.query.iter().map(|(name, value)| (name.as_str(), Given::Text(value)));
        let body = call.body.as_ref().filter(|body| body.resource_type() == ty::PARAMETERS);
        if call.body.is_some() && body.is_none() {
            return Err(Issue::error(IssueType::Invalid).text("the body of `$ihe-pix` is a Parameters"));
        }
        let in_body = body.into_iter().flat_map(|body| body.root().children_named(name::PARAMETER));
        let in_body = in_body
            .filter_map(|given| Some((given.text_of(name::NAME)?, Given::of(given.child(name::VALUE)?))));
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        for (named, given) in in_url.chain(in_body) {
            match named {
                SOURCE => sources.push(given),
                TARGET => targets.push(given.text().to_owned()),
                named if named.starts_with('_') => {}
                named => {
                    let named: String = named.chars().take(64).collect();
                    let text = format!("`$ihe-pix` has no parameter `{named}`; it takes {SOURCE}, {TARGET}");
                    return Err(Issue::error(IssueType::NotSupported).at(named).text(text));
                }
            }
        }
        if targets.len() > TARGETS_MAX {
            let text = format!("{} domains are asked for, {TARGETS_MAX} may be", targets.len());
            return Err(Issue::error(IssueType::TooCostly).at(TARGET).text(text));
        }
        let [source] = sources.as_slice() else {
            let code = if sources.is_empty() { IssueType::Required } else { IssueType::Value };
            let text =
                "`sourceIdentifier` has to be given exactly once: the identifier to look for, `system|value`";
            return Err(Issue::error(code).at(SOURCE).text(text));
        };
        let source = source.identifier().ok_or_else(unknown_source_domain)?;
        if source.value.is_empty() {
            let text = "`sourceIdentifier` has no value after its system: `system|value`";
            return Err(Issue::error(IssueType::Value).at(SOURCE).text(text));
        }
        Ok(Question { source, targets })
    }
}

/// A value as it was given.
enum Given<'c> {
    Text(&'c str),
    Identifier(Element<'c>),
}

impl<'c> Given<'c> {
    fn of(value: Element<'c>) -> Given<'c> {
        value.value().map_or(Given::Identifier(value), Given::Text)
    }

    fn text(&self) -> &'c str {
        match self {
            Given::Text(text) => text,
            Given::Identifier(_) => "",
        }
    }

    /// Returns it as an identifier with its domain; the value may be empty.
    fn identifier(&self) -> Option<Identifier> {
        let (system, value) = match self {
            Given::Text(text) => parse_token(text)?,
            Given::Identifier(identifier) => {
                let text = |of| identifier.text_of(of).unwrap_or_default().to_owned();
                (text(name::SYSTEM), text(name::VALUE))
            }
        };
        (!system.is_empty()).then(|| Identifier::new(system, value))
    }
}

/// Answers a question.
///
/// # Errors
/// As the transaction says: 400 for an unknown domain, 403 for one that is wanted,
/// 404 for an identifier that nobody has.
pub(crate) async fn cross_reference_query(
    index: &PatientIndex<'_>,
    question: &Question,
) -> Result<Performed, Issue> {
    let found = corresponding(index, question).await.map_err(told)?;
    let identifiers = found.identifiers.iter().map(|identifier| {
        let value = json!({ "system": identifier.system, "value": identifier.value });
        json!({ "name": "targetIdentifier", "valueIdentifier": value })
    });
    let patients = found
        .patients
        .iter()
        .map(|id| json!({ "name": "targetId", "valueReference": { "reference": format!("Patient/{id}") } }));
    let parameters: Vec<Value> = identifiers.chain(patients).collect();
    let mut answer = json!({ "resourceType": "Parameters" });
    if !parameters.is_empty() {
        answer["parameter"] = parameters.into();
    }
    Ok(Performed::json(answer.to_string()))
}

/// What corresponds to an identifier.
#[derive(Debug, Default)]
struct Corresponding {
    identifiers: Vec<Identifier>,
    patients: Vec<String>,
}

async fn corresponding(index: &PatientIndex<'_>, question: &Question) -> Result<Corresponding, Refusal> {
    let base = index.fhir.caller.base.as_str();
    // The ids of this server are a domain, too.
    let wants_places = question.targets.is_empty() || question.targets.iter().any(|system| system == base);
    let targets: Vec<&String> = question.targets.iter().filter(|system| *system != base).collect();
    let named = |system: &str| index.domains.by_system(system).map(|domain| domain.system());
    let wanted: Vec<String> =
        targets.iter().map(|system| named(system).unwrap_or_else(|| (*system).clone())).collect();
    let (person, source) = if question.source.system == base {
        (at_place(index, question, &wanted).await?, None)
    } else {
        let system = named(&question.source.system).unwrap_or_else(|| question.source.system.clone());
        let source = Identifier::new(system, question.source.value.as_str());
        (index.person(&source, &wanted).await?, Some(source))
    };
    let mut all = Corresponding::default();
    let only_places = targets.is_empty() && !question.targets.is_empty();
    for record in &person.records {
        let of_record = identifiers(record.root()).filter(|found| {
            !only_places
                && Some(found) != source.as_ref()
                && (wanted.is_empty() || wanted.contains(&found.system))
        });
        let of_record: Vec<Identifier> = of_record.collect();
        if wants_places || !of_record.is_empty() {
            all.patients.extend(record.id().map(str::to_owned));
        }
        let is_new = |found: &Identifier| !all.identifiers.contains(found);
        let new: Vec<Identifier> = of_record.into_iter().filter(is_new).collect();
        all.identifiers.extend(new);
    }
    // Where it was asked by a place, that place is known.
    if question.source.system == base {
        all.patients.retain(|id| format!("Patient/{id}") != question.source.value);
    }
    Ok(all)
}

/// Returns whoever has the record at a place of this server.
async fn at_place(
    index: &PatientIndex<'_>,
    question: &Question,
    wanted: &[String],
) -> Result<Person, Refusal> {
    for (at, system) in wanted.iter().enumerate() {
        if !index.knows(system).await? {
            return Err(Refusal::WantedDomain(at));
        }
    }
    let id = question.source.value.strip_prefix("Patient/").unwrap_or(&question.source.value);
    let found = index.fhir.read(ty::PATIENT, id).await?.map(Found::from);
    let found = found.filter(|record| !is_subsumed(record.root())).ok_or(Refusal::UnknownIdentifier)?;
    let records = index.persons(&[found]).await?.into_iter().flat_map(|person| person.records).collect();
    Ok(Person { records })
}

/// Tells a refusal as the transaction has it.
fn told(refusal: Refusal) -> Issue {
    match refusal {
        Refusal::Domain(_) => unknown_source_domain(),
        Refusal::WantedDomain(_) => {
            let issue = Issue::error(IssueType::CodeInvalid).because(Reason::Forbidden);
            issue.at(TARGET).text("targetSystem not found")
        }
        Refusal::UnknownIdentifier | Refusal::Subsumed => {
            Issue::error(IssueType::NotFound).at(SOURCE).text("sourceIdentifier Patient Identifier not found")
        }
        refusal => refusal.into(),
    }
}

fn unknown_source_domain() -> Issue {
    Issue::error(IssueType::CodeInvalid).at(SOURCE).text("sourceIdentifier Assigning Authority not found")
}

#[cfg(test)]
mod tests {
    use fhir_model::interaction::Scope;

    use super::*;

    fn call(query: &[(&str, &str)], body: Option<Value>) -> OperationCall {
        OperationCall {
            name: OPERATION.to_owned(),
            scope: Scope::Type(ty::PATIENT),
            query: query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: body.map(|body| fhir_model::json::read(body.to_string()).expect("a resource")),
            faults: Vec::new(),
            safe: true,
        }
    }

    #[test]
    fn a_question_is_the_same_by_url_and_by_body() {
        let expected = Question {
            source: Identifier::new("urn:oid:1.2", "x"),
            targets: vec!["urn:oid:1.3".to_owned(), "urn:oid:1.4".to_owned()],
        };
        let by_url = [
            ("sourceIdentifier", "urn:oid:1.2|x"),
            ("targetSystem", "urn:oid:1.3"),
            ("targetSystem", "urn:oid:1.4"),
            ("_format", "json"),
        ];
        assert_eq!(Question::of(&call(&by_url, None)), Ok(expected.clone()));
        let identifier = json!({ "system": "urn:oid:1.2", "value": "x" });
        for source in [
            json!({ "name": SOURCE, "valueString": "urn:oid:1.2|x" }),
            json!({ "name": SOURCE, "valueIdentifier": identifier }),
        ] {
            let body = json!({ "resourceType": "Parameters", "parameter": [
                source,
                { "name": TARGET, "valueUri": "urn:oid:1.3" },
                { "name": TARGET, "valueString": "urn:oid:1.4" },
            ]});
            assert_eq!(Question::of(&call(&[], Some(body))), Ok(expected.clone()));
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for (query, code) in [
            (vec![], IssueType::Required),
            (vec![(SOURCE, "a:b|1"), (SOURCE, "a:b|2")], IssueType::Value),
            (vec![(SOURCE, "1")], IssueType::CodeInvalid),
            (vec![(SOURCE, "|1")], IssueType::CodeInvalid),
            (vec![(SOURCE, "a:b|")], IssueType::Value),
            (vec![(SOURCE, "a:b|1,a:b|2")], IssueType::CodeInvalid),
            (vec![(SOURCE, "a:b|1"), ("targetsystem", "a:c")], IssueType::NotSupported),
        ] {
            let refused = Question::of(&call(&query, None)).expect_err("refused");
            assert_eq!(refused.code, code, "{query:?}");
        }
    }
}

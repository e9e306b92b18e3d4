//! `$closure`: keeps a table of concepts for a client, and tells how they are
//! related.
//!
//! The client names the table, adds the concepts that it meets, and is told
//! each time what is new: which of them is below which. So it can search for
//! all that is below a concept with nothing but its own database. The table is
//! durable, and what was told after a version of it can be had again.
//!
//! Spec: <https://hl7.org/fhir/R4/terminology-service.html#closure>

use std::collections::HashSet;

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use indexmap::IndexMap;
use profiles::terminology::CodingRef;
use serde_json::{Value, json};

use super::parameters::Given;
use super::terminology::{issue, now, told};
use crate::interaction::unit::{Unit, View};
use crate::storage::{
    ClosureConcept, ClosureRelation, StoredClosure, closure_concepts, closure_count, closure_named,
    closure_relations_since,
};

/// How many characters a name may have.
const NAME_MAX: usize = 128;
/// How many tables there may be.
const TABLES_MAX: i64 = 10_000;
/// How many concepts a table may have.
const CONCEPTS_MAX: usize = 50_000;
/// How many concepts may be added at once: the writer waits for it.
const ADDED_MAX: usize = 1_000;
/// How many relations are told at once.
const RELATIONS_MAX: usize = 200_000;

pub(super) fn closure(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["name", "concept", "version"])?;
    let name = given.text("name").filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| {
        Issue::error(IssueType::Required).at("name").text("say which table: `name` is missing")
    })?;
    if name.chars().count() > NAME_MAX {
        let text = format!("a name has at most {NAME_MAX} characters");
        return Err(Issue::error(IssueType::TooLong).at("name").text(text));
    }
    let added = added(&given)?;
    match (given.text("version"), added.is_empty()) {
        (Some(_), false) => Err(Issue::error(IssueType::Invalid)
            .at("version")
            .text("either concepts are added, or what came after `version` is told again; ask for one")),
        (Some(version), true) => tell_again(unit, name, version),
        (None, true) => begin(unit, name),
        (None, false) => add(unit, name, added),
    }
}

/// Reads the concepts that are to be added, each once.
fn added(given: &Given<'_>) -> Result<Vec<ClosureConcept>, Issue> {
    let count = given.parameters("concept").count();
    if count > ADDED_MAX {
        let text = format!("{count} concepts, and {ADDED_MAX} can be added at once; send several requests");
        return Err(Issue::error(IssueType::TooLong).at("concept").text(text));
    }
    let concepts = given.all_codings("concept");
    if concepts.len() < count {
        let text = "each `concept` is a Coding with `system` and `code`";
        return Err(Issue::error(IssueType::Required).at("concept").text(text));
    }
    let mut seen = HashSet::new();
    let concept = |coding: CodingRef<'_>| ClosureConcept {
        system: coding.system.unwrap_or_default().to_owned(),
        system_version: coding.version.map(str::to_owned),
        code: coding.code.to_owned(),
    };
    let once = |concept: &ClosureConcept| seen.insert((concept.system.clone(), concept.code.clone()));
    Ok(concepts.into_iter().map(concept).filter(once).collect())
}

fn begin(unit: &mut Unit<'_, '_>, name: &str) -> Result<Performed, Issue> {
    let is_new = closure_named(unit.unit, name)?.is_none();
    if is_new && closure_count(unit.unit)? >= TABLES_MAX {
        let text = format!("there are {TABLES_MAX} closure tables already; use one of them");
        return Err(Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).at("name").text(text));
    }
    let table = unit.unit.begin_closure(name)?;
    Ok(told(&concept_map(name, &table, &[], &[])))
}

fn add(unit: &mut Unit<'_, '_>, name: &str, added: Vec<ClosureConcept>) -> Result<Performed, Issue> {
    let table = closure_named(unit.unit, name)?.ok_or_else(unknown)?;
    let mut concepts = closure_concepts(unit.unit, &table)?;
    let present = concepts.len();
    let known: HashSet<(String, String)> =
        concepts.iter().map(|c| (c.system.clone(), c.code.clone())).collect();
    concepts.extend(added.into_iter().filter(|c| !known.contains(&(c.system.clone(), c.code.clone()))));
    if concepts.len() > CONCEPTS_MAX {
        let text = format!("a closure table has at most {CONCEPTS_MAX} concepts");
        let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable);
        return Err(issue.at("concept").text(text));
    }
    if concepts.len() == present {
        return Ok(told(&concept_map(name, &table, &concepts, &[])));
    }
    let codings: Vec<CodingRef<'_>> = concepts.iter().map(coding).collect();
    let below = unit.knowledge()?.terminology.closure(&codings, present).map_err(|e| issue(&e))?;
    let relations: Vec<ClosureRelation> = below
        .iter()
        .map(|b| ClosureRelation { source: b.special, target: b.general, equivalence: "subsumes".to_owned() })
        .collect();
    let table = unit.unit.add_to_closure(&table, present, &concepts[present..], &relations)?;
    Ok(told(&concept_map(name, &table, &concepts, &relations)))
}

fn tell_again(unit: &mut Unit<'_, '_>, name: &str, version: &str) -> Result<Performed, Issue> {
    let table = closure_named(unit.unit, name)?.ok_or_else(unknown)?;
    let version: u32 = version.parse().ok().filter(|v| *v <= table.version).ok_or_else(|| {
        let text = format!("no such version was told of this table; the last is {}", table.version);
        Issue::error(IssueType::Value).at("version").text(text)
    })?;
    let concepts = closure_concepts(unit.unit, &table)?;
    let relations = closure_relations_since(unit.unit, &table, version)?;
    if relations.len() > RELATIONS_MAX {
        let text = format!("more than {RELATIONS_MAX} relations came since; begin the table anew");
        let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable);
        return Err(issue.at("version").text(text));
    }
    Ok(told(&concept_map(name, &table, &concepts, &relations)))
}

fn unknown() -> Issue {
    Issue::error(IssueType::NotFound)
        .at("name")
        .text("there is no closure table of this name; begin it with a request that has nothing but `name`")
}

fn coding(concept: &ClosureConcept) -> CodingRef<'_> {
    CodingRef {
        system: Some(&concept.system),
        version: concept.system_version.as_deref(),
        code: &concept.code,
        display: None,
    }
}

/// Tells relations as a ConceptMap: a group for each code system, an element
/// for each concept, a target for each that it is below.
fn concept_map(
    name: &str,
    table: &StoredClosure,
    concepts: &[ClosureConcept],
    relations: &[ClosureRelation],
) -> Value {
    let mut groups: IndexMap<&str, IndexMap<&str, Vec<Value>>> = IndexMap::new();
    for relation in relations {
        // The places are those of rows that were written together.
        let (Some(source), Some(target)) = (concepts.get(relation.source), concepts.get(relation.target))
        else {
            continue;
        };
        let target = json!({ "code": target.code, "equivalence": relation.equivalence });
        groups.entry(&source.system).or_default().entry(&source.code).or_default().push(target);
    }
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|(system, elements)| {
            let element = |(code, targets)| json!({ "code": code, "target": Value::Array(targets) });
            let elements: Vec<Value> = elements.into_iter().map(element).collect();
            json!({ "source": system, "target": system, "element": elements })
        })
        .collect();
    let mut map = json!({
        "resourceType": "ConceptMap",
        "version": table.version.to_string(),
        "name": "Closure",
        "title": name,
        "status": "active",
        "experimental": false,
        "date": now(),
    });
    if !groups.is_empty() {
        map["group"] = Value::Array(groups);
    }
    map
}

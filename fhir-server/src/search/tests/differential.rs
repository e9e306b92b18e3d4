//! Statements find what a walk over everything in memory finds, whichever
//! condition drives.

use std::sync::LazyLock;

use fhir_model::schema::{resource_types, ty};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::index::row::{IndexRows, TargetHash};
use crate::search::codes::Codes;
use crate::search::condition::{Condition, TextComparison};
use crate::search::forms;
use crate::search::parameter::{Predicate, QueryContext};
use crate::search::parse::parse;
use crate::search::plan::{Driver, Order, Plan, access};
use crate::search::render::{Wanted, render};

/// A resource as the oracle sees it.
struct Known {
    of: TypeId,
    reference: TargetHash,
    key: i64,
    updated: i64,
    rows: IndexRows,
}

struct World {
    fixture: Fixture,
    known: Vec<Known>,
}

/// A small world in which everything occurs: values repeat, miss and overlap.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let fixture = Fixture::new();
    let mut resources = super::answers::population();
    let mut state = 7u64;
    let mut pick = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for n in 0..30 {
        let mut patient = json!({"resourceType": "Patient", "id": format!("q{n}"),
            "name": [{"family": (["Rossi", "Ròssini", "Bianchi", "Verdi"][pick(4) as usize]),
                      "given": [(["Anna", "Mario", "Zoë"][pick(3) as usize])]}],
            "managingOrganization": {"reference": format!("Organization/o{}", pick(3))}});
        if pick(4) > 0 {
            patient["gender"] = json!(["male", "female", "other"][pick(3) as usize]);
        }
        if pick(4) > 0 {
            patient["birthDate"] =
                json!(format!("19{}{}", 50 + pick(20), ["", "-03", "-03-15"][pick(3) as usize]));
        }
        resources.push(patient);
    }
    for n in 0..120 {
        let mut observation = json!({"resourceType": "Observation", "id": format!("c{n}"),
            "status": (["final", "amended"][pick(2) as usize]),
            "code": {"coding": [{"system": "http://loinc.org", "code": format!("{}-1", pick(5))}]},
            "subject": {"reference": format!("Patient/q{}", pick(32))}});
        match pick(4) {
            0 => {}
            1 => observation["effectivePeriod"] = json!({"start": format!("20{}", 20 + pick(5))}),
            _ => observation["effectiveDateTime"] = json!(format!("20{}-0{}", 20 + pick(5), 1 + pick(9))),
        }
        if pick(3) > 0 {
            observation["valueQuantity"] =
                json!({"value": pick(10), "system": "http://unitsofmeasure.org", "code": "mg"});
        }
        resources.push(observation);
    }
    fixture.put(&resources);
    // Changed and deleted resources leave nothing wrong behind.
    fixture.put(
        &resources[20..25]
            .iter()
            .map(|r| {
                let mut changed = r.clone();
                changed["gender"] = json!("unknown");
                changed
            })
            .collect::<Vec<_>>(),
    );
    fixture.delete(ty::OBSERVATION, "c7");
    fixture.delete(ty::PATIENT, "q3");
    let mut reader = fixture.store.reader().expect("reader");
    let sql = format!("SELECT {} FROM resource WHERE deleted=0", crate::storage::RESOURCE_COLUMNS);
    let stored =
        reader.resources(&crate::storage::RenderedSql { sql, ..Default::default() }).expect("resources");
    let known = stored
        .iter()
        .map(|s| Known {
            of: s.key.resource_type,
            reference: TargetHash::of_resource(s.key.resource_type, s.key.id.as_str()),
            key: s.number,
            updated: s.updated.0,
            rows: extract(&fixture.search.definitions(), &s.resource().expect("tree"), &[BASE.to_owned()]),
        })
        .collect();
    World { fixture, known }
});

impl World {
    /// Tells whether a condition holds of a resource: the meaning of conditions.
    fn holds(&self, condition: &Condition, of: &Known) -> bool {
        match condition {
            Condition::All(parts) => parts.iter().all(|p| self.holds(p, of)),
            Condition::Any(parts) => parts.iter().any(|p| self.holds(p, of)),
            Condition::Not(inner) => !self.holds(inner, of),
            Condition::Equal(hashes) => hashes.iter().any(|h| of.rows.equal.contains(h)),
            Condition::Link(links) => links.iter().any(|l| of.rows.links.contains(l)),
            Condition::Linked(branches) => of.rows.links.iter().any(|l| branches.contains(&l.branch)),
            Condition::Span(range) => Predicate::Span(*range).matches(&of.rows),
            Condition::EqualForm(forms) => Predicate::EqualForm(forms.clone()).matches(&of.rows),
            Condition::SpanForm(range) => Predicate::SpanForm(*range).matches(&of.rows),
            Condition::Text(text) => of.rows.texts.iter().any(|t| {
                text.branches.contains(&t.branch)
                    && match text.comparison {
                        TextComparison::Starts => t.folded.starts_with(&text.folded),
                        TextComparison::Contains => t.folded.contains(&text.folded),
                        TextComparison::Ends => t.folded.ends_with(&text.folded),
                        TextComparison::Is => t.folded == text.folded,
                        TextComparison::Exists => true,
                    }
            }),
            Condition::Id(ids) => ids.contains(&of.reference),
            Condition::Updated { low, high } => (*low..=*high).contains(&of.updated),
            Condition::Type(types) => types.contains(&of.of),
            Condition::Chain(chain) => of
                .rows
                .links
                .iter()
                .filter(|l| chain.branches.contains(&l.branch))
                .flat_map(|l| self.known.iter().filter(|k| k.reference == l.target))
                .any(|to| chain.targets.iter().any(|(t, inner)| *t == to.of && self.holds(inner, to))),
            Condition::Has(has) => self.known.iter().any(|from| {
                from.rows.links.iter().any(|l| has.branches.contains(&l.branch) && l.target == of.reference)
                    && self.holds(&has.condition, from)
            }),
            Condition::Keys(keys) => keys.contains(&of.key),
            Condition::Scan(_) => false,
        }
    }
}

/// Names and values that a search may be made of.
const ON_PATIENT: &[&str] = &[
    "name=ros",
    "name=rossi",
    "name:contains=ss",
    "name:exact=Rossi",
    "gender=male",
    "gender=female,other",
    "gender:not=male",
    "gender:missing=true",
    "birthdate=ge1960",
    "birthdate=lt1955-06",
    "birthdate=1960",
    "birthdate=ne1960",
    "birthdate:missing=true",
    "birthdate=ap1965",
    "birthdate=ge1955&birthdate=lt1962",
    "organization=o1",
    "organization=Organization/o2,Organization/o0",
    "organization.name=gal",
    "organization:missing=false",
    "organization.partof.name=san",
    "_id=q1,q2,p1",
    "_id:not=q5",
    "_has:Observation:patient:code=1-1",
    "_has:Observation:subject:status=final",
    "_has:Observation:patient:date=ge2023",
    "_has:Observation:patient:code:not=1-1",
    "_has:Group:member:_id=g1",
    "_list=l1",
    "_lastUpdated=gt2000",
    "_lastUpdated=lt2000",
    "identifier=http://a|p1",
    "deceased=false",
    "active=true",
    "_filter=name co \"i\" and not (gender eq male)",
    "_filter=organization.name eq galliera or birthdate gt 1965",
    "name='; DROP TABLE resource; --",
    "name=%25",
    "name:contains=_",
];
const ON_OBSERVATION: &[&str] = &[
    "code=1-1",
    "code=http://loinc.org|2-1",
    "code=0-1,3-1,4-1",
    "code:not=1-1",
    "status=final",
    "status=amended,final",
    "patient=q1",
    "patient=q1,q2,q3",
    "subject=Patient/q4",
    "subject=q5",
    "subject:Patient=q6",
    "date=ge2022",
    "date=2021-03",
    "date=sa2023",
    "date=eb2022",
    "date=ne2021",
    "date=ge2021-03&date=lt2022",
    "date=gt2020-05&date=le2021-07",
    "date:missing=true",
    "value-quantity=gt4",
    "value-quantity=3||mg",
    "value-quantity=le2",
    "value-quantity:missing=false",
    "patient.name=ross",
    "subject:Patient.gender=male",
    "patient.gender:not=male",
    "patient.birthdate=lt1960",
    "patient.organization.name=gal",
    "subject.name=verdi",
    "code-value-quantity=1-1$gt4",
    "_has:Provenance:target:agent=d1",
    "patient:missing=false",
    "combo-code=2-1",
    "patient._has:Group:member:_id=g1",
    "_filter=value-quantity gt 5 or status eq amended",
    "_filter=date po 2021",
];

fn driven_plans(query: &Query) -> Vec<Plan> {
    let terms = match &query.condition {
        Condition::All(parts) => parts.clone(),
        single => vec![single.clone()],
    };
    let plan = |driver: Driver, checks: Vec<Condition>| Plan {
        types: query.types.clone(),
        driver,
        checks,
        order: Order::Newest,
        probes: Vec::new(),
    };
    let mut plans = vec![plan(Driver::Walk, terms.clone())];
    for (at, term) in terms.iter().enumerate() {
        if let Some(access) = access(term) {
            let mut checks: Vec<Condition> = query.types.iter().cloned().map(Condition::Type).collect();
            checks.extend(terms.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, t)| t.clone()));
            plans.push(plan(Driver::Gather(access), checks));
        }
    }
    plans
}

fn agree(of: Option<TypeId>, chosen: &[&str]) -> Result<(), TestCaseError> {
    let world = &*WORLD;
    let url = format!("{}?{}", of.map_or("", |t| t.name()), chosen.join("&"));
    let request = request(&url, Handling::Strict);
    let bases = [BASE.to_owned()];
    let codes = Codes::default();
    let context = QueryContext { bases: &bases, now_micros: 1_700_000_000_000_000, codes: &codes };
    let definitions = world.fixture.search.definitions();
    let mut query = parse(&request, &definitions, &SearchLimits::default(), context)
        .map_err(|issue| TestCaseError::fail(format!("{url}: {issue}")))?;
    let mut expected: Vec<i64> = world
        .known
        .iter()
        .filter(|k| of.is_none_or(|of| k.of == of) && world.holds(&query.condition, k))
        .map(|k| k.key)
        .collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let mut reader = world.fixture.store.reader().expect("reader");
    forms::resolve(&mut reader, &mut query).map_err(|issue| TestCaseError::fail(issue.to_string()))?;
    for plan in driven_plans(&query) {
        let wanted = Wanted::Rows { after: None, reversed: false, limit: 1000, unchanged_since: None };
        let found = reader.integers(&render(&plan, wanted)).expect("runs");
        prop_assert_eq!(&found, &expected, "{} driven by {:?}", url, plan.driver);
        let count = reader.integers(&render(&plan, Wanted::Count)).expect("counts");
        prop_assert_eq!(count, [expected.len() as i64], "{} counted by {:?}", url, plan.driver);
    }
    // And as the planner would have it, page by page.
    let mut shown: Vec<String> = Vec::new();
    let mut next = Some(format!("{url}{}_count=7", if chosen.is_empty() { "" } else { "&" }));
    while let Some(page) = next {
        let bundle =
            world.fixture.ask(&page, Handling::Strict).map_err(|i| TestCaseError::fail(i.to_string()))?;
        shown.extend(ids(&bundle, "match"));
        next = link(&bundle, "next").map(str::to_owned);
    }
    prop_assert_eq!(shown.len(), expected.len(), "{}", url);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn statements_agree_with_conditions_on_patients(
        chosen in proptest::sample::subsequence(ON_PATIENT, 0..4)
    ) {
        agree(Some(ty::PATIENT), &chosen)?;
    }

    #[test]
    fn statements_agree_with_conditions_on_observations(
        chosen in proptest::sample::subsequence(ON_OBSERVATION, 0..4)
    ) {
        agree(Some(ty::OBSERVATION), &chosen)?;
    }

    #[test]
    fn no_value_breaks_a_statement(value in "[-a-z0-9'\"?;()%_*\\[\\]{}|$,.:/ \\\\]{1,24}") {
        let world = &*WORLD;
        for name in ["name", "name:exact", "gender", "birthdate", "organization", "_id", "_list", "_filter", "_text",
                     "organization.name", "_has:Observation:patient:code", "_sort", "_include", "_count", "_cursor"] {
            let request = SearchRequest {
                scope: Scope::Type(ty::PATIENT),
                parameters: vec![(name.to_owned(), value.clone())],
                handling: Handling::Strict,
            };
            if let Err(issue) = world.fixture.request(&request) {
                prop_assert_ne!(issue.severity, fhir_model::outcome::Severity::Fatal, "{}={}: {}", name, value, issue);
            }
        }
    }
}

#[test]
fn each_parameter_alone_agrees() {
    for (of, list) in [(ty::PATIENT, ON_PATIENT), (ty::OBSERVATION, ON_OBSERVATION)] {
        for one in list {
            agree(Some(of), &[one]).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    for one in ["_id=p1,o1,c3", "_lastUpdated=gt2000", "_id:not=p1", "_tag:missing=true"] {
        agree(None, &[one]).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn every_standard_parameter_renders() {
    let world = &*WORLD;
    let definitions = world.fixture.search.definitions();
    for of in resource_types() {
        for definition in definitions.of(of) {
            for value in ["a", "2020", "5", "1$2", "x|y"] {
                let request = SearchRequest {
                    scope: Scope::Type(of),
                    parameters: vec![(definition.code.clone(), value.to_owned())],
                    handling: Handling::Lenient,
                };
                if let Err(issue) = world.fixture.request(&request) {
                    assert_ne!(
                        issue.severity,
                        fhir_model::outcome::Severity::Fatal,
                        "{of}.{}: {issue}",
                        definition.code
                    );
                }
            }
        }
    }
}

//! What stands in a searchset besides the matches.

use fhir_model::schema::ty;
use serde_json::json;

use super::*;

#[test]
fn includes_follow_references() {
    let fixture = Fixture::new();
    fixture.put(&super::answers::population());
    for (url, expected) in [
        ("Observation?_id=b1&_include=Observation:subject", "p1"),
        ("Observation?_id=b1&_include=Observation:patient", "p1"),
        ("Observation?_id=b1,b2&_include=Observation:subject&_include=Observation:performer", "p1 d1"),
        ("Observation?_id=b1&_include=Observation:subject:Group", ""),
        ("Observation?_id=b1&_include=Observation:*", "p1 d1"),
        ("Observation?_id=b1&_include=*", "p1 d1"),
        ("Observation?_id=b3&_include=Observation:subject&_include=Patient:organization", "p2"),
        ("Observation?_id=b3&_include=Observation:subject&_include:iterate=Patient:organization", "p2 o2"),
        (
            "Observation?_id=b3&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
            "p2 o2 o1",
        ),
        ("Patient?_id=p1&_revinclude=Observation:subject", "b2 b1"),
        ("Patient?_id=p1&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target", "b2 b1 v1"),
        ("Patient?_id=p1&_revinclude=Group:member", "g1"),
        ("Patient?_id=p1&_revinclude=Observation:*", "b2 b1"),
        ("Patient?name=nobody&_revinclude=Observation:subject", ""),
        ("Organization?_id=o2&_include:iterate=Organization:partof", "o1"),
    ] {
        let bundle = fixture.ask(url, Handling::Strict).unwrap_or_else(|i| panic!("{url}: {i}"));
        assert_eq!(ids(&bundle, "include").join(" "), expected, "{url}");
    }
}

#[test]
fn cut_includes_are_told() {
    let mut fixture = Fixture::new();
    let limits = SearchLimits { included_max: 2, ..SearchLimits::default() };
    let search = Search::new(fixture.search.definitions(), vec![BASE.to_owned()], limits);
    fixture.search = std::sync::Arc::new(search);
    fixture.put(&super::answers::population());
    let bundle = fixture.ask("Observation?_include=Observation:subject", Handling::Strict).expect("found");
    assert_eq!(ids(&bundle, "include").len(), 2);
    let outcome = bundle["entry"].as_array().expect("entries").last().expect("outcome");
    assert_eq!(outcome["search"]["mode"], "outcome");
    assert_eq!(outcome["resource"]["issue"][0]["code"], "too-costly");
}

#[test]
fn what_is_not_understood_is_told() {
    let fixture = Fixture::new();
    fixture.put(&super::answers::population());
    for parameter in [
        "nonsense=1",
        "gender:nonsense=male",
        "name.given=x",
        "organization:Device.name=x",
        "organization.nonsense=x",
        "_has:Observation:nonsense:code=x",
        "_has:Nonsense:patient:code=x",
        "_sort=nonsense",
        "_sort=gender",
        "_include=Patient:nonsense",
        "_include=Nonsense:subject",
        "_include=Patient",
        "_query=x",
        "_contained=true",
        "_list=$current-problems",
        "name=",
        "birthdate:not=1960",
        "_filter=nonsense eq 1",
        "_id:exact=1",
    ] {
        let url = format!("Patient?gender=female&{parameter}");
        let issue = fixture.ask(&url, Handling::Strict).expect_err(&url);
        assert!(!issue.diagnostics.is_empty(), "{url}");
        let bundle = fixture.ask(&url, Handling::Lenient).unwrap_or_else(|i| panic!("{url}: {i}"));
        assert_eq!(ids(&bundle, "match"), ["p3"], "{url}");
        let link = link(&bundle, "self").expect("self");
        assert_eq!(link, format!("{BASE}/Patient?gender=female"), "{url}");
        let outcome = bundle["entry"].as_array().expect("entries").last().expect("outcome");
        assert_eq!(outcome["resource"]["issue"][0]["severity"], "warning", "{url}");
    }
    let two = fixture.ask("Patient?a=1&b=2", Handling::Strict).expect_err("two problems");
    assert_eq!(two.others.len(), 1);
}

#[test]
fn bad_values_are_refused_either_way() {
    let fixture = Fixture::new();
    for url in [
        "Patient?birthdate=yesterday",
        "Patient?_lastUpdated=xx",
        "Patient?_count=-1",
        "Patient?_count=many",
        "Patient?_total=some",
        "Patient?_summary=maybe",
        "Patient?gender:missing=perhaps",
        "Patient?_filter=name eq",
        "Patient?a.b.c.d.e.f.g.h=1",
        "Location?near=100|200",
        "?_type=Nonsense",
    ] {
        for handling in [Handling::Strict, Handling::Lenient] {
            assert!(fixture.ask(url, handling).is_err(), "{url}");
        }
    }
    let many = format!("Patient?_id={}", vec!["a"; 3000].join(","));
    assert_eq!(fixture.ask(&many, Handling::Lenient).expect_err("limit").code.code(), "too-costly");
}

#[test]
fn totals_are_told_when_asked_or_known() {
    let fixture = Fixture::new();
    fixture.put(&super::answers::population());
    for (url, total, shown) in [
        ("Patient", json!(3), 3),
        ("Patient?_count=2", json!(3), 2),
        ("Patient?gender=male", json!(2), 2),
        ("Patient?gender=male&_count=1", json!(null), 1),
        ("Patient?gender=male&_count=1&_total=accurate", json!(2), 1),
        ("Patient?gender=male&_count=1&_total=estimate", json!(2), 1),
        ("Patient?gender=male&_total=none", json!(null), 2),
        ("Patient?gender=male&_summary=count", json!(2), 0),
        ("Patient?gender=male&_count=0", json!(2), 0),
        ("Patient?_summary=count", json!(3), 0),
        ("Observation?code=1-1&date=ge2022&_summary=count", json!(2), 0),
        ("?_summary=count", json!(15), 0),
    ] {
        let bundle = fixture.ask(url, Handling::Strict).unwrap_or_else(|i| panic!("{url}: {i}"));
        assert_eq!(bundle["total"], total, "{url}");
        assert_eq!(ids(&bundle, "match").len(), shown, "{url}");
    }
}

#[test]
fn conditions_of_writes_match() {
    let fixture = Fixture::new();
    fixture.put(&super::answers::population());
    let matches = |pairs: &[(&str, &str)]| {
        let criteria = fhir_model::interaction::Criteria(
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        );
        let mut reader = fixture.store.reader().expect("reader");
        fixture
            .search
            .matches(reader.connection(), ty::PATIENT, &criteria, 2)
            .map(|keys| keys.iter().map(|k| k.id.as_str().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(matches(&[("identifier", "http://a|p2")]), Ok(vec!["p2".to_owned()]));
    assert_eq!(matches(&[("active", "true")]).map(|ids| ids.len()), Ok(2), "no more than asked");
    assert!(matches(&[("nonsense", "1")]).is_err());
    assert!(matches(&[]).is_err(), "criteria that say nothing");
    assert!(matches(&[("_count", "1")]).is_err());
    // In the writer, what was stored in the same job is found.
    let (definitions, prepared) = (
        fixture.search.definitions(),
        fixture.prepare(&json!({
        "resourceType": "Patient", "id": "new", "identifier": [{"system": "http://a", "value": "new"}]})),
    );
    let found = fixture.store.write_blocking(move |unit| {
        let search = Search::new(definitions, vec![BASE.to_owned()], SearchLimits::default());
        unit.create(prepared, Operation::Create)?;
        let criteria =
            fhir_model::interaction::Criteria(vec![("identifier".to_owned(), "http://a|new".to_owned())]);
        search.matches(unit.connection(), ty::PATIENT, &criteria, 2)
    });
    assert_eq!(found.map(|keys| keys.len()), Ok(1));
}

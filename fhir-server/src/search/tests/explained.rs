//! Plans as they are told.

use super::*;

#[test]
fn plans_are_told() {
    let fixture = Fixture::new();
    fixture.put(&super::answers::population());
    for (url, driver, checks) in [
        ("Patient", "walk all, newest first", 0),
        ("Patient?gender=male", "in key order: equal", 0),
        ("Observation?patient=p1&code=1-1", "in key order: pair", 0),
        ("Observation?patient=p1,p2&code=1-1,2-2", "in key order: pair", 0),
        ("Observation?patient=p1&code=1-1&date=ge2020", "in key order: pair", 1),
        ("Observation?patient=p1", "in key order: link", 0),
        ("Observation?subject=p1&code=1-1", "in key order: ", 1),
        ("Patient?name=ros", "gather: text along", 0),
        ("Patient?gender:not=male", "walk all, newest first", 1),
        ("Patient?_id=p1", "gather: 1 ids", 0),
        ("Observation?patient.name=ros", "gather: what refers to (Patient by", 0),
        (
            "Patient?_has:Observation:patient:code=1-1",
            "gather: what is referred to from (equal, 1 values)",
            1,
        ),
        ("Patient?_sort=birthdate", "walk in the order of the sort", 0),
        ("Patient?_sort=-_lastUpdated", "walk in the order of the sort", 0),
        ("Patient?_sort=family", "walk all, newest first", 0),
        ("Patient?_id=", "walk all, newest first", 0),
        ("?_id=p1", "gather: 146 ids", 0),
    ] {
        let mut reader = fixture.store.reader().expect("reader");
        let told = fixture
            .search
            .explain(reader.connection(), &request(url, Handling::Lenient))
            .unwrap_or_else(|i| panic!("{url}: {i}"));
        let line = |name: &str| told.lines().filter(|l| l.trim_start().starts_with(name)).count();
        assert!(told.contains(&format!("  driver   {driver}")), "{url}\n{told}");
        assert_eq!(line("and "), checks, "{url}\n{told}");
        assert!(told.starts_with("plan: "), "{told}");
        assert!(!told.contains("Rossi"), "no content: {told}");
    }
}

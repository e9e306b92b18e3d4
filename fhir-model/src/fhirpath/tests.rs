//! The engine as a whole: tables of expressions, and texts of any kind.

use proptest::prelude::*;

use super::*;
use crate::schema::ty;
use crate::tree::{Element, Resource};

const PATIENT: &str = r##"{
  "resourceType": "Patient", "id": "p1",
  "contained": [{"resourceType": "Organization", "id": "o1", "name": "Galliera"}],
  "extension": [{"url": "http://x/age", "valueAge": {"value": 3, "system": "http://unitsofmeasure.org", "code": "mo"}}],
  "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "1"}],
  "active": true,
  "name": [
    {"use": "official", "family": "Rossi", "given": ["Anna", "Maria"]},
    {"use": "maiden", "family": "Bianchi", "given": ["Anna"]}
  ],
  "telecom": [{"system": "phone", "value": "010 1"}, {"system": "email", "value": "a@b.it"}],
  "birthDate": "1974-12", "_birthDate": {"extension": [{"url": "http://x/certain", "valueBoolean": false}]},
  "multipleBirthInteger": 2,
  "generalPractitioner": [
    {"reference": "Practitioner/d1"}, {"reference": "https://x.it/fhir/Organization/o9/_history/2"},
    {"type": "PractitionerRole", "identifier": {"value": "9"}}, {"reference": "urn:uuid:0"}
  ],
  "managingOrganization": {"reference": "#o1"}
}"##;

fn patient() -> Resource {
    crate::json::read(PATIENT).expect("valid")
}

/// Evaluates to texts, joined by `, `; errors as `error: ...`.
fn shown(text: &str, resource: &Resource) -> String {
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => return format!("no expression: {error}"),
    };
    let now = crate::primitive::instant::Instant::parse("2026-11-23T13:05:44.123Z").expect("instant");
    match expression.evaluate(&Context::new(resource.root()).at(now), resource.root()) {
        Ok(values) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn expressions() {
    let resource = patient();
    for (text, expected) in [
        // Paths.
        ("Patient.name.family", "Rossi, Bianchi"),
        ("name.given", "Anna, Maria, Anna"),
        ("Observation.name", ""),
        ("Resource.id | DomainResource.id", "p1"),
        ("name.where(use = 'maiden').family", "Bianchi"),
        ("name[1].given[0]", "Anna"),
        ("name.nothing.like.this", ""),
        ("multipleBirth", "2"),
        ("multipleBirthInteger", ""),
        ("multipleBirth as integer", "2"),
        ("Patient.multipleBirth.as(boolean)", ""),
        ("name.given | name.family", "Anna, Maria, Rossi, Bianchi"),
        ("contained.name", "Galliera"),
        ("identifier.value", "1, 1"),
        ("identifier.value.distinct()", "1"),
        ("telecom.where(system='phone').value", "010 1"),
        // References.
        ("generalPractitioner.where(resolve() is Practitioner).reference", "Practitioner/d1"),
        (
            "generalPractitioner.where(resolve() is Organization).reference",
            "https://x.it/fhir/Organization/o9/_history/2",
        ),
        ("generalPractitioner.where(resolve() is PractitionerRole).identifier.value", "9"),
        ("generalPractitioner.resolve().count()", "3"),
        ("managingOrganization.resolve().name", "Galliera"),
        ("managingOrganization.resolve() is Organization", "true"),
        // Extensions and values.
        ("birthDate.extension('http://x/certain').value", "false"),
        ("birthDate.hasExtension('http://x/no')", "false"),
        ("birthDate.hasValue()", "true"),
        ("birthDate.getValue() is Date", "true"),
        ("extension.value is Quantity", "true"),
        ("extension.value = 3 months", "true"),
        ("extension.value.ofType(Quantity).code", "mo"),
        // Precision.
        ("birthDate < @1975", "true"),
        ("birthDate < @1974-12-31", ""),
        ("birthDate = @1974-12", "true"),
        ("birthDate + 1 year", "1975-12"),
        ("birthDate + 40 days", "1975-01"),
        ("@2024-02-29 + 1 year", "2025-02-28"),
        ("@2024-01-31 + 1 month", "2024-02-29"),
        ("@2014 + 23 months", "2015"),
        ("@T23:30 + 45 minutes", "00:15"),
        ("@2012-04-15T15:00:00Z = @2012-04-15T10:00:00", ""),
        ("@2012-04-15T15:00:00Z > @2012-04-13T10:00:00", "true"),
        // Numbers.
        ("1.10 + 2", "3.10"),
        ("7 div 2", "3"),
        ("-7 mod 2", "-1"),
        ("1 / 0", ""),
        ("9223372036854775807 + 1", ""),
        ("79228162514264337593543950335.0 * 10", "no expression: number out of range at line 1, column 1"),
        ("2.power(62)", "4611686018427387904"),
        ("2.power(64)", ""),
        ("(-1).sqrt()", ""),
        ("2.5.round()", "3"),
        ("1 'kg' = 1000 'g'", "true"),
        ("1 'kg' > 1 'm'", ""),
        ("1 'kg' + 500 'g'", "1.50 'kg'"),
        ("3 days + 1 week", "10 days"),
        ("1 year = 12 months", "true"),
        ("1 year = 1 'a'", ""),
        ("1 year ~ 1 'a'", "true"),
        // Logic.
        ("{} and false", "false"),
        ("{} implies true", "true"),
        ("active and name", "error: a condition needs a single item, found 2"),
        ("name.given contains 'Maria'", "true"),
        ("'x' in {}", "false"),
        // Text.
        ("'àèì'.length()", "3"),
        ("'àèì'.substring(1, 1)", "è"),
        ("'àèì'.indexOf('ì')", "2"),
        ("'a\\u0062\\uD83D\\uDE00'", "ab😀"),
        ("'a,b'.split(',').join(';')", "a;b"),
        ("'a1'.matches('^[a-z][0-9]$')", "true"),
        ("'a'.matches('(')", "error: not a usable regular expression: `(`"),
        ("'11/30/1972'.replaceMatches('(?<month>\\\\d+)/(?<day>\\\\d+)', '${day}.${month}')", "30.11/1972"),
        // Trees.
        ("Patient.descendants().ofType(HumanName).count()", "2"),
        ("name.children().count()", "7"),
        ("contained.repeat(children()).count() >= 2", "true"),
        // Functions of the context.
        ("today()", "2026-11-23"),
        ("now()", "2026-11-23T13:05:44.123Z"),
        ("timeOfDay()", "13:05:44.123"),
        ("%resource.id", "p1"),
        ("%nothing", "error: variable `%nothing` is not defined"),
        ("active.memberOf('http://x')", "error: memberOf needs a terminology, which is not available here"),
        ("name.select(given.count()).aggregate($this + $total, 0)", "3"),
        ("name.select($index)", "0, 1"),
        ("type().name", "Patient"),
        ("name.type().namespace", "FHIR, FHIR"),
        ("Patient is DomainResource", "true"),
        ("name.first() is BackboneElement", "false"),
    ] {
        assert_eq!(shown(text, &resource), expected, "{text}");
    }
}

#[test]
fn parse_errors_say_where() {
    for (text, line, column) in [
        ("", 1, 1),
        ("name.", 1, 6),
        ("name\n  .where(", 2, 10),
        ("a = 'b", 1, 5),
        ("name.nofunction()", 1, 6),
        ("x is Nothing", 1, 6),
        ("first(1)", 1, 9),
        ("à", 1, 1),
        ("@2015-13", 1, 1),
        ("'\\q'", 1, 2),
        ("/* open", 1, 1),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn limits() {
    let resource = patient();
    let deep = format!("{}1{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1));
    let chain = vec!["a"; DEPTH_MAX + 2].join(".");
    let signs = format!("{}1", "-".repeat(DEPTH_MAX + 1));
    for text in [deep, chain, signs] {
        let error = Expression::parse(&text).expect_err("too deep");
        assert_eq!(error.kind, ParseErrorKind::TooDeep);
    }
    let long = format!("1{}", " ".repeat(LENGTH_MAX));
    assert_eq!(Expression::parse(&long).expect_err("too long").kind, ParseErrorKind::TooLong);
    // A long union is flat.
    assert!(Expression::parse(&vec!["Patient.name"; 1000].join(" | ")).is_ok());

    let limits = Limits { steps_max: 1000, items_max: 50, text_bytes_max: 100 };
    let context = Context::new(resource.root()).limits(limits);
    for (text, expected) in [
        ("descendants().select(%resource.descendants())", EvaluateError::TooManyItems(50)),
        (
            "name.all(%resource.name.all(%resource.name.all(%resource.name.all(%resource.name.all(\
             %resource.name.all(%resource.name.all(%resource.name.all(%resource.name.all(given.exists())))))))))",
            EvaluateError::TooManySteps(1000),
        ),
        ("(1|2|3|4|5|6|7|8).aggregate($total & $total & 'x', 'abcdefgh')", EvaluateError::TooLong(100)),
        ("'aaaaaaaaaaaaaaaa'.replace('a', 'bbbbbbbbbbbb')", EvaluateError::TooLong(100)),
    ] {
        let result = Expression::parse(text).expect(text).evaluate(&context, resource.root());
        assert_eq!(result.map(|values| values.len()), Err(expected), "{text}");
    }
}

#[test]
fn the_deepest_expressions_fit_the_stack() {
    let resource = patient();
    let nested = |open: &str, inner: &str, close: &str| {
        let levels = DEPTH_MAX / 2 - 4;
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    for text in [
        nested("(1 + ", "1", ")"),
        nested("name.first().where(%resource.", "active", ")"),
        nested("iif(true, ", "1", ")"),
        nested("(true and ", "true", ")"),
        nested("Patient.select(", "id", ")"),
        format!("Patient{}", ".where(true)".repeat(DEPTH_MAX - 8)),
        format!("1{}", " + 1".repeat(DEPTH_MAX - 8)),
    ] {
        let expression = Expression::parse(&text).expect(&text);
        assert!(expression.evaluate(&Context::new(resource.root()), resource.root()).is_ok(), "{text}");
        assert!(expression.check(ty::PATIENT).is_ok(), "{text}");
        assert!(!expression.ast().to_string().is_empty());
    }
}

#[test]
fn references_are_found_where_they_can_be() {
    struct One<'r>(Element<'r>);
    impl<'r> Resolve<'r> for One<'r> {
        fn resolve(&self, reference: &str, _: Option<Element<'r>>) -> Option<Resolved<'r>> {
            (reference == "Practitioner/d1").then_some(Resolved::Resource(self.0))
        }
    }
    let resource = patient();
    let other =
        crate::json::read(r#"{"resourceType": "Practitioner", "id": "d1", "active": true}"#).expect("valid");
    let resolver = One(other.root());
    let context = Context::new(resource.root()).resolver(&resolver);
    let expression = Expression::parse("generalPractitioner.resolve().active").expect("compiles");
    assert_eq!(expression.evaluate(&context, resource.root()).map(|values| values.len()), Ok(1));

    let bundle = crate::json::read(
        r#"{"resourceType": "Bundle", "type": "collection", "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", "status": "final",
             "code": {"text": "a"}, "subject": {"reference": "Patient/x"}, "focus": [{"reference": "urn:uuid:2"}]}},
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Device", "id": "d"}},
            {"fullUrl": "http://a/Patient/x", "resource": {"resourceType": "Patient", "id": "x", "active": true}}]}"#,
    )
    .expect("valid");
    for (text, expected) in [
        ("entry.resource.subject.resolve().active", "true"),
        ("entry.resource.focus.resolve().id", "d"),
        ("entry.resource.focus.resolve() is Device", "true"),
    ] {
        assert_eq!(shown(text, &bundle), expected, "{text}");
    }
}

#[test]
fn strictness_concerns_as_alone() {
    let resource = patient();
    let expression = Expression::parse("name as HumanName").expect("compiles");
    let lenient = expression.evaluate(&Context::new(resource.root()), resource.root());
    assert_eq!(lenient.map(|values| values.len()), Ok(2));
    let strict = expression.evaluate(&Context::new(resource.root()).strict(), resource.root());
    assert_eq!(strict.map(|v| v.len()), Err(EvaluateError::NotSingleton { what: "`as`", count: 2 }));
}

#[test]
fn narrowing_keeps_what_fits() {
    let text = "Patient.name.family | (Observation.value as string) | Practitioner.name.family | 1";
    let narrowed = Expression::parse(text).expect("compiles").narrowed_to(ty::PATIENT);
    assert_eq!(narrowed.ast().to_string(), "Patient.name.family | 1");
    let resource = patient();
    let values = narrowed.evaluate(&Context::new(resource.root()), resource.root());
    assert_eq!(values.map(|values| values.len()), Ok(3));
}

#[test]
fn large_collections_keep_the_first_of_equal_items() {
    let resource = patient();
    for (text, expected) in [
        ("(1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|1.0|2.0|15).count()", "15"),
        ("('a'|'b'|'c'|'d'|'e'|'f'|'g'|'h'|'i'|'j'|'k'|'l'|'m'|'n'|'a'|'n').count()", "14"),
        (
            "descendants().combine(descendants()).distinct().count() = descendants().distinct().count()",
            "true",
        ),
        ("descendants().intersect(name).count()", "2"),
    ] {
        assert_eq!(shown(text, &resource), expected, "{text}");
    }
}

/// Pieces that make expressions when they come in a good order.
const PIECES: &[&str] = &[
    "name",
    "Patient",
    "given",
    "value",
    ".",
    ".",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{}",
    "1",
    "0",
    "2.50",
    "'a'",
    "'\\n'",
    "@2024",
    "@2024-02T10:00",
    "@T10:30",
    "4 days",
    "1 'mg'",
    "$this",
    "$index",
    "$total",
    "%resource",
    "%`a b`",
    "where(",
    "select(",
    "exists(",
    "first()",
    "count()",
    "iif(",
    "repeat(",
    "children()",
    "is",
    "as",
    "ofType(",
    "Quantity",
    "System.String",
    "=",
    "!=",
    "~",
    "!~",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "div",
    "mod",
    "&",
    "|",
    "and",
    "or",
    "xor",
    "implies",
    "in",
    "contains",
    ",",
    "true",
    "false",
    "`x y`",
    " ",
    "toString()",
    "matches('a')",
    "descendants()",
    "aggregate(",
    "substring(1)",
    "power(2)",
    "resolve()",
    "toQuantity()",
    "highBoundary()",
];

proptest! {
    #[test]
    fn token_soups_fail_or_evaluate(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..24)) {
        let text = pieces.join(" ");
        if let Ok(expression) = Expression::parse(&text) {
            let resource = patient();
            let limits = Limits { steps_max: 100_000, items_max: 10_000, text_bytes_max: 10_000 };
            let context = Context::new(resource.root()).limits(limits);
            let _ = expression.evaluate(&context, resource.root());
            let _ = expression.evaluate_boolean(&context, resource.root());
            let _ = expression.check(ty::PATIENT);
        }
    }

    #[test]
    fn printing_comes_back(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..12)) {
        let text = pieces.concat();
        if let Ok(expression) = Expression::parse(&text) {
            let printed = expression.ast().to_string();
            let again = Expression::parse(&printed);
            prop_assert!(again.is_ok(), "{} printed as {}", text, printed);
            prop_assert_eq!(Some(expression.ast()), again.as_ref().ok().map(Expression::ast), "{}", printed);
        }
    }

    #[test]
    fn any_text_fails_or_parses(text in "\\PC{0,40}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn date_arithmetic_stays_in_the_calendar(
        date in "[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|2[0-9])(T([01][0-9]|2[0-3])(:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,3})?)?)?)?)?)?",
        amount in -1_000_000_000_000i64..1_000_000_000_000,
        unit in prop::sample::select(&["year", "month", "week", "day", "hour", "minute", "second", "millisecond"][..]),
    ) {
        let sign = if amount < 0 { '-' } else { '+' };
        let text = format!("(@{date} {sign} {} {unit}).toString().toDateTime().exists()", amount.abs());
        if let Ok(expression) = Expression::parse(&text) {
            let resource = patient();
            let found = expression.evaluate(&Context::new(resource.root()), resource.root());
            prop_assert!(found.is_ok(), "{}: {:?}", text, found);
        }
    }
}

#[test]
fn printing_the_specifications_own_expressions_comes_back() {
    for parameter in crate::search_parameter::standard_search_parameters() {
        if parameter.expression.is_empty() {
            continue;
        }
        let expression = Expression::parse(parameter.expression).expect(parameter.url);
        let printed = expression.ast().to_string();
        let again = Expression::parse(&printed).expect(&printed);
        assert_eq!(expression.ast(), again.ast(), "{printed}");
    }
}

#[test]
fn expressions_are_shared_between_threads() {
    fn check<T: Send + Sync + Clone>(_: &T) {}
    let expression = Expression::parse("name.matches('a')").expect("compiles");
    check(&expression);
    assert!(std::mem::size_of::<Value<'_>>() <= 56);
}

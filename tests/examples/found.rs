//! Each search parameter finds the examples by the values that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_model::fhirpath::{Context, Expression};
use fhir_model::schema::TypeId;
use fhir_model::search_parameter::{
    SearchParameter, SearchParameterType as Kind, standard_search_parameters,
};
use fhir_model::tree::Resource;
use tests::{Client, Server};

use crate::query;

/// How many pairs of type and parameter find an example by its value.
const FOUND: usize = 1758;
/// How many more find one by having a value: one that only says what it
/// means, or refers to what is contained.
const FOUND_BY_PRESENCE: usize = 52;
/// How many of the parameters have an example with a value, on any type.
const PARAMETERS: usize = 1111;

/// A parameter on one type, with the examples of that type.
struct Pair<'e> {
    of: TypeId,
    parameter: &'static SearchParameter,
    examples: &'e [Resource],
}

/// How a parameter did.
enum Outcome {
    NoValue,
    ByValue,
    ByPresence,
    Missed(String),
}

/// Searches for an example by each parameter that one has a value of.
pub(crate) fn by_every_parameter(server: &Server, all: Vec<Resource>) {
    let mut of_type: BTreeMap<TypeId, Vec<Resource>> = BTreeMap::new();
    for resource in all {
        of_type.entry(resource.resource_type()).or_default().push(resource);
    }
    let pairs: Vec<Pair<'_>> = of_type
        .iter()
        .flat_map(|(of, examples)| {
            let on_type = standard_search_parameters().iter().filter(|p| p.base.iter().any(|b| of.is_a(*b)));
            on_type.map(move |parameter| Pair { of: *of, parameter, examples })
        })
        .collect();
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(String, &str, Outcome)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let client = server.client();
            let (pairs, next, outcomes) = (&pairs, &next, &outcomes);
            scope.spawn(move || {
                while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{}.{}", pair.of, pair.parameter.code);
                    let outcome = pair.look_for(&client);
                    outcomes.lock().expect("list").push((name, pair.parameter.url, outcome));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("list");
    let named = |is_it: fn(&Outcome) -> bool| -> Vec<&(String, &str, Outcome)> {
        outcomes.iter().filter(|(_, _, outcome)| is_it(outcome)).collect()
    };
    let by_value = named(|o| matches!(o, Outcome::ByValue));
    let by_presence = named(|o| matches!(o, Outcome::ByPresence));
    let parameters: BTreeSet<&str> = by_value.iter().chain(&by_presence).map(|(_, url, _)| *url).collect();
    println!(
        "{} parameters, {} on the types of examples: {} of {} parameters find an example by its value, {} more by having one, {} have none",
        standard_search_parameters().len(),
        pairs.len(),
        by_value.len(),
        parameters.len(),
        by_presence.len(),
        named(|o| matches!(o, Outcome::NoValue)).len()
    );
    for (name, ..) in &by_presence {
        println!("  by having a value: {name}");
    }
    let missed: Vec<String> = outcomes
        .iter()
        .filter_map(|(name, _, outcome)| match outcome {
            Outcome::Missed(why) => Some(format!("{name}: {why}")),
            _ => None,
        })
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(by_value.len() >= FOUND, "{}", by_value.len());
    assert!(by_presence.len() <= FOUND_BY_PRESENCE, "{}", by_presence.len());
    assert!(parameters.len() >= PARAMETERS, "{}", parameters.len());
}

impl Pair<'_> {
    fn look_for(&self, client: &Client) -> Outcome {
        let parse = |text: &str| Expression::parse(text).expect("published expression");
        if self.parameter.expression.is_empty() {
            return Outcome::NoValue;
        }
        let expression = parse(self.parameter.expression);
        let kind_of = |url: &str| {
            let found = standard_search_parameters().iter().find(|p| p.url == url);
            found.map_or(Kind::Special, |p| p.kind)
        };
        // Published with a type that there is not.
        let part = |text: &str| parse(&text.replace("DateTime", "dateTime"));
        let components: Vec<(Kind, Expression)> =
            self.parameter.components.iter().map(|c| (kind_of(c.definition), part(c.expression))).collect();
        let mut with_value = None;
        for example in self.examples {
            let values =
                expression.evaluate(&Context::new(example.root()), example.root()).expect("evaluates");
            let mut queries = values.iter().flat_map(|v| query::from_value(self.parameter, &components, v));
            if let Some((modifier, text)) = queries.next() {
                return self.finds(client, modifier, &text, example, Outcome::ByValue);
            }
            // A composite has a value only where it has all parts.
            let is_there = !values.is_empty() && self.parameter.kind != Kind::Composite;
            with_value = with_value.or(is_there.then_some(example));
        }
        match with_value {
            Some(example) => self.finds(client, Some("missing"), "false", example, Outcome::ByPresence),
            None => Outcome::NoValue,
        }
    }

    fn finds(
        &self,
        client: &Client,
        modifier: Option<&str>,
        text: &str,
        example: &Resource,
        found: Outcome,
    ) -> Outcome {
        let modifier = modifier.map(|m| format!(":{m}")).unwrap_or_default();
        let question = format!("{}?{}{modifier}={}", self.of, self.parameter.code, encoded(text));
        let id = example.id().expect("stored with an id");
        let mut next = Some(format!("{question}&_elements=id&_count=500"));
        while let Some(page) = next {
            let answer = client.get(&page);
            if answer.status != 200 {
                return Outcome::Missed(format!("{page}: {}", String::from_utf8_lossy(&answer.body)));
            }
            let bundle = answer.json();
            let mut entries = bundle["entry"].as_array().into_iter().flatten();
            if entries.any(|e| e["resource"]["id"] == id && e["search"]["mode"] == "match") {
                return found;
            }
            let mut links = bundle["link"].as_array().into_iter().flatten();
            let link = links.find(|l| l["relation"] == "next");
            next = link.and_then(|l| l["url"].as_str()).map(str::to_owned);
        }
        Outcome::Missed(format!("{question} does not find {id}"))
    }
}

/// Percent-encodes all but what is never special.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

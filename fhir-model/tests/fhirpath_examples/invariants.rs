//! Every invariant of the specification, on every element of every example.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use fhir_model::fhirpath::{Context, Expression};
use fhir_model::schema::{self, Constraint};
use fhir_model::tree::Element;

#[derive(Default)]
struct Tally {
    compiled: HashMap<&'static str, Expression>,
    evaluations: u64,
    nanos: u128,
    /// How often each invariant was false, how often empty, and where first.
    broken: BTreeMap<&'static str, (u64, u64, String)>,
    slowest: BTreeMap<&'static str, (u128, u64)>,
    errors: Vec<String>,
}

impl Tally {
    fn walk(&mut self, file: &str, element: Element<'_>, resource: Element<'_>, root: Element<'_>) {
        let resource = if element.is_resource() { element } else { resource };
        let mut ty = Some(element.ty());
        while let Some(at) = ty {
            for constraint in at.definition().constraints {
                self.evaluate(file, constraint, element, resource, root);
            }
            ty = at.definition().base;
        }
        for constraint in element.property().map_or(&[][..], |property| property.element.constraints) {
            self.evaluate(file, constraint, element, resource, root);
        }
        for child in element.children() {
            self.walk(file, child, resource, root);
        }
    }

    fn evaluate(
        &mut self,
        file: &str,
        constraint: &'static Constraint,
        element: Element<'_>,
        resource: Element<'_>,
        root: Element<'_>,
    ) {
        let expression = self.compiled.entry(constraint.expression).or_insert_with(|| {
            Expression::parse(constraint.expression).unwrap_or_else(|e| panic!("{}: {e}", constraint.key))
        });
        let context = Context::new(resource).contained_in(root);
        let start = Instant::now();
        let result = expression.evaluate_boolean(&context, element);
        let nanos = start.elapsed().as_nanos();
        self.nanos += nanos;
        self.evaluations += 1;
        let slow = self.slowest.entry(constraint.key).or_default();
        slow.0 += nanos;
        slow.1 += 1;
        match result {
            Ok(Some(true)) => {}
            Ok(answer) => {
                let broken = self.broken.entry(constraint.key).or_insert((0, 0, file.to_owned()));
                broken.0 += u64::from(answer.is_some());
                broken.1 += u64::from(answer.is_none());
            }
            Err(error) => self.errors.push(format!("{file}: {}: {error}", constraint.key)),
        }
    }
}

#[test]
fn every_invariant_compiles() {
    let mut count = 0;
    for ty in schema::types() {
        let definition = ty.definition();
        let on_elements = definition.elements.iter().flat_map(|element| element.constraints);
        for constraint in definition.constraints.iter().chain(on_elements) {
            let expression = Expression::parse(constraint.expression);
            assert!(expression.is_ok(), "{}: {expression:?}", constraint.key);
            count += 1;
        }
    }
    println!("{count} invariants compiled");
    assert!(count > 150);
}

#[test]
fn every_invariant_evaluates_on_every_example() {
    let Some(examples) = crate::examples() else { return };
    let mut tally = Tally::default();
    for (name, resource) in &examples {
        tally.walk(name, resource.root(), resource.root(), resource.root());
    }
    let nanos = tally.nanos as f64 / tally.evaluations as f64;
    println!("{} evaluations, {nanos:.0} ns each", tally.evaluations);
    let mut slowest: Vec<_> = tally.slowest.iter().collect();
    slowest.sort_by_key(|(_, (nanos, _))| std::cmp::Reverse(*nanos));
    for (key, (nanos, count)) in slowest.into_iter().take(8) {
        println!("  {key}: {} ms for {count}", nanos / 1_000_000);
    }
    for (key, (no, empty, file)) in &tally.broken {
        println!("  {key}: false {no} times, empty {empty} times, first in {file}");
    }
    tally.errors.truncate(20);
    assert!(tally.errors.is_empty(), "{:#?}", tally.errors);
}

/// Invariants that the specification itself got wrong.
const MISFITS: &[&str] = &["cid-0: `ChargeItemDefinition` has no element `name`"];

#[test]
fn every_invariant_fits_its_type() {
    let mut misfits = Vec::new();
    for ty in schema::types() {
        let definition = ty.definition();
        let own = definition.constraints.iter().map(|constraint| (vec![ty], constraint));
        let on_elements = definition.elements.iter().flat_map(|element| {
            element.constraints.iter().map(|constraint| (element.types.to_vec(), constraint))
        });
        for (types, constraint) in own.chain(on_elements) {
            let expression = Expression::parse(constraint.expression).expect("compiles");
            let results: Vec<_> = types.iter().map(|ty| expression.check(*ty)).collect();
            // On a choice it need not fit every type.
            if let Some(Err(error)) = results.iter().find(|_| results.iter().all(Result::is_err)) {
                misfits.push(format!("{}: {error}", constraint.key));
            }
        }
    }
    assert_eq!(misfits, MISFITS);
}

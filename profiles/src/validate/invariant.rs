//! Invariants: the FHIRPath constraints of the base types.
//!
//! Spec: <https://hl7.org/fhir/R4/conformance-rules.html#constraints>

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use fhir_model::fhirpath::{Expression, Limits};
use fhir_model::outcome::Severity;
use fhir_model::schema::{self, Constraint, TypeId, name, ty};
use fhir_model::tree::Element;

use super::{Place, Rule, Run};

/// Bounds on the evaluation of one invariant.
pub(super) fn limits() -> Limits {
    Limits { steps_max: 2_000_000, ..Limits::default() }
}

/// A constraint of the tables, compiled; `None` when its expression is not
/// FHIRPath (the official suites show that all are).
struct Compiled {
    constraint: &'static Constraint,
    expression: Option<Expression>,
}

struct Table {
    of_type: HashMap<TypeId, Vec<Compiled>>,
    /// By the address of the constraints of an element.
    of_element: HashMap<usize, Vec<Compiled>>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table { of_type: HashMap::new(), of_element: HashMap::new() };
        for ty in schema::types() {
            let mut all = Vec::new();
            let mut at = Some(ty);
            while let Some(ancestor) = at {
                all.extend(compile(ancestor.definition().constraints));
                at = ancestor.definition().base;
            }
            table.of_type.insert(ty, all);
            for element in ty.definition().elements.iter().filter(|e| !e.constraints.is_empty()) {
                table
                    .of_element
                    .entry(element.constraints.as_ptr().addr())
                    .or_insert_with(|| compile(element.constraints).collect());
            }
        }
        table
    })
}

fn compile(constraints: &'static [Constraint]) -> impl Iterator<Item = Compiled> {
    // ele-1 is told by `walk`, element by element, ref-1 by `reference`; the others are decided below.
    let elsewhere = ["ele-1", "ext-1", "ref-1", "dom-3"];
    constraints
        .iter()
        .filter(move |c| !elsewhere.contains(&c.key))
        .map(|constraint| Compiled { constraint, expression: Expression::parse(mended(constraint)).ok() })
}

/// Invariants whose expressions say something else than their text, as later
/// releases of the specification mended them.
const ERRATA: &[(&str, &str)] = &[
    // R4 counts to more than two, and its text to more than one.
    ("que-12", "enableWhen.count() > 1 implies enableBehavior.exists()"),
    // `Boolean` is the type of FHIRPath; an answer has that of FHIR.
    ("que-7", "operator = 'exists' implies (answer is boolean)"),
];

fn mended(constraint: &'static Constraint) -> &'static str {
    ERRATA.iter().find(|(key, _)| *key == constraint.key).map_or(constraint.expression, |(_, mended)| mended)
}

impl<'r> Run<'_, 'r> {
    /// Checks the invariants of the element's type, and those of the element.
    pub(super) fn invariants(&mut self, place: Place<'r>, element: Element<'r>) {
        let table = table();
        let of_type = table.of_type.get(&element.ty()).into_iter().flatten();
        let of_element = element
            .property()
            .filter(|p| !p.element.constraints.is_empty())
            .and_then(|p| table.of_element.get(&p.element.constraints.as_ptr().addr()));
        if element.ty() == ty::EXTENSION {
            self.extension_has_value_or_parts(element);
        }
        for compiled in of_type.chain(of_element.into_iter().flatten()) {
            if cannot_fail(compiled.constraint.key, element) {
                continue;
            }
            let Some(expression) = &compiled.expression else { continue };
            let severity = if compiled.constraint.is_error { Severity::Error } else { Severity::Warning };
            let human = mended(compiled.constraint);
            if let Some(rule) = self.invariant(place, element, compiled.constraint.key, human, expression) {
                self.find(severity, element, rule);
            }
        }
    }

    /// An expression that says it is FHIRPath must be.
    pub(super) fn expression(&mut self, element: Element<'r>) {
        let is_fhirpath = element.text_of(name::LANGUAGE) == Some("text/fhirpath");
        if let Some(text) = element.text_of(name::EXPRESSION).filter(|_| is_fhirpath)
            && let Err(error) = Expression::parse(text)
        {
            self.error(element, Rule::Definition { reason: format!("`{text}` is not FHIRPath: {error}") });
        }
    }

    /// Evaluates an invariant; returns what is to be told when it is not met.
    pub(super) fn invariant(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        key: &str,
        human: &str,
        expression: &Expression,
    ) -> Option<Rule> {
        match expression.evaluate_boolean(&self.context(place), element) {
            Ok(Some(true) | None) => None,
            Ok(Some(false)) => Some(Rule::Invariant { key: key.to_owned(), human: human.to_owned() }),
            Err(error) => Some(Rule::InvariantError { key: key.to_owned(), error: error.to_string() }),
        }
    }

    /// The invariant dom-3: what is contained is referred to, or refers to its
    /// container. Narrative refers as well, by its links and images.
    pub(super) fn contained(&mut self, container: Element<'r>) {
        let contained: Vec<Element<'r>> = container.children_named(name::CONTAINED).collect();
        if contained.is_empty() {
            return;
        }
        let mut named = HashSet::new();
        let mut waiting = vec![container];
        while let Some(at) = waiting.pop() {
            match (at.ty(), at.value()) {
                (ty::STRING, Some(text)) if at.name_id() == Some(name::REFERENCE) => {
                    named.insert(text);
                }
                (ty::URI | ty::URL | ty::CANONICAL, Some(text)) if text.starts_with('#') => {
                    named.insert(text);
                }
                (ty::XHTML, Some(text)) => {
                    named.extend(text.split(['"', '\'']).filter(|part| part.starts_with('#')));
                }
                _ => {}
            }
            waiting.extend(at.children());
        }
        let refers_to_container = |resource: Element<'r>| {
            let mut waiting = vec![resource];
            while let Some(at) = waiting.pop() {
                if at.value() == Some("#") {
                    return true;
                }
                waiting.extend(at.children());
            }
            false
        };
        for resource in contained {
            let id = resource.text_of(name::ID).unwrap_or_default();
            if !named.contains(format!("#{id}").as_str()) && !refers_to_container(resource) {
                self.error(container, Rule::NotReferenced { id: id.to_owned() });
            }
        }
    }

    fn extension_has_value_or_parts(&mut self, element: Element<'r>) {
        let (parts, value) = (element.child(name::EXTENSION).is_some(), element.child(name::VALUE).is_some());
        if parts == value {
            let human = "an extension has either a value or extensions, not both".to_owned();
            self.error(element, Rule::Invariant { key: "ext-1".to_owned(), human });
        }
    }
}

/// Tells, sooner than an evaluation would, that an invariant is met: most
/// resources contain no others, and most periods are open.
fn cannot_fail(key: &str, element: Element<'_>) -> bool {
    match key {
        "dom-2" | "dom-4" | "dom-5" => element.child(name::CONTAINED).is_none(),
        "dom-6" => element.child(name::TEXT).is_some_and(|t| t.child(name::DIV).is_some()),
        "per-1" => element.child(name::START).is_none() || element.child(name::END).is_none(),
        "rng-2" => element.child(name::LOW).is_none() || element.child(name::HIGH).is_none(),
        _ => false,
    }
}

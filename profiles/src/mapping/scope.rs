//! What maps know as items and FHIRPath knows as values: the one and the other way.

use std::rc::Rc;

use fhir_model::fhirpath::{Context, Expression, External, Limits, Names, Value};
use fhir_model::schema::{TypeId, ty};

use super::error::TransformErrorKind;
use super::run::{Item, Outcome, Run, Source};

/// Bounds on one expression: many are evaluated.
const EXPRESSION_LIMITS: Limits =
    Limits { steps_max: 1_000_000, items_max: 200_000, text_bytes_max: 16 << 20 };

impl<'s> Run<'_, 's, '_> {
    /// Evaluates FHIRPath, on an item or on nothing.
    pub(super) fn evaluate(
        &self,
        expression: &Expression,
        focus: Option<&Item<'s>>,
    ) -> Outcome<Vec<Item<'s>>> {
        let names = Scope { run: self };
        let resource = match self.source {
            Source::Resource(resource) => resource.root(),
            Source::Cda(_) => self.out.root(),
        };
        let context = Context::new(resource).names(&names).at(self.now).limits(EXPRESSION_LIMITS);
        let focus: Vec<Value<'_>> = focus.and_then(|item| self.value(item)).into_iter().collect();
        let values = expression.evaluate_on(&context, &focus).map_err(|error| {
            TransformErrorKind::Expression { text: expression.text().to_owned(), problem: error.to_string() }
        })?;
        Ok(values.iter().map(|value| self.item(value)).collect())
    }

    /// Returns an item as FHIRPath sees it.
    fn value<'r>(&'r self, item: &Item<'s>) -> Option<Value<'r>>
    where
        's: 'r,
    {
        Some(match item {
            Item::Source(value) => value.clone(),
            Item::Target(node) => Value::Element(self.out.element(*node)),
            Item::Primitive(ty::BOOLEAN, text) => Value::Boolean(&**text == "true"),
            Item::Primitive(ty::INTEGER | ty::POSITIVE_INT | ty::UNSIGNED_INT, text) => {
                Value::Integer(text.parse().ok()?)
            }
            Item::Primitive(ty::DECIMAL, text) => Value::Decimal(text.parse().ok()?),
            Item::Primitive(_, text) => Value::String(text.to_string().into()),
            // Nothing can be asked of it: its parts are reached once it is put in place.
            Item::Made(_) => return None,
        })
    }

    /// Keeps what FHIRPath gave beyond the evaluation.
    fn item(&self, value: &Value<'_>) -> Item<'s> {
        let primitive = |ty: TypeId, text: String| Item::Primitive(ty, text.into());
        match (value, self.source) {
            (Value::Element(element), _) if std::ptr::eq(element.resource(), &self.out) => {
                Item::Target(element.id())
            }
            (Value::Element(element), Source::Resource(resource))
                if std::ptr::eq(element.resource(), resource) =>
            {
                Item::Source(Value::Element(resource.element(element.id())))
            }
            (Value::External(node), Source::Cda(document)) => {
                Item::Source(Value::External(External::new(document, node.node())))
            }
            (Value::Boolean(_), _) => primitive(ty::BOOLEAN, value.to_string()),
            (Value::Integer(_), _) => primitive(ty::INTEGER, value.to_string()),
            (Value::Decimal(_), _) => primitive(ty::DECIMAL, value.to_string()),
            (Value::Date(_), _) => primitive(ty::DATE, value.to_string()),
            (Value::DateTime(_), _) => primitive(ty::DATE_TIME, value.to_string()),
            (Value::Time(_), _) => primitive(ty::TIME, value.to_string()),
            (Value::Quantity(quantity), _) => Item::Made(Rc::new(super::functions::quantity_of(quantity))),
            _ => primitive(ty::STRING, value.to_string()),
        }
    }

    /// Returns the text of an item that is or has a primitive value.
    pub(super) fn text_of(&self, item: &Item<'s>) -> Option<String> {
        match item {
            Item::Source(Value::Element(element)) => element.value().map(str::to_owned),
            Item::Source(Value::External(node)) => {
                node.text().map(str::to_owned).or_else(|| value_attribute(*node))
            }
            Item::Source(value) => Some(value.to_string()),
            Item::Target(node) => self.out.element(*node).value().map(str::to_owned),
            Item::Primitive(_, text) => Some(text.to_string()),
            Item::Made(_) => None,
        }
    }
}

/// Returns the text of the attribute `value`, which is what such CDA elements say.
fn value_attribute(node: External<'_>) -> Option<String> {
    node.children(Some("value")).first().and_then(|value| value.text()).map(str::to_owned)
}

/// The variables of a run, for FHIRPath.
struct Scope<'a, 'm, 's, 'o> {
    run: &'a Run<'m, 's, 'o>,
}

impl<'a, 's: 'a> Names<'a> for Scope<'a, '_, 's, '_> {
    fn value(&self, name: &str) -> Option<Value<'a>> {
        self.run.value(self.run.variable(name)?)
    }
}

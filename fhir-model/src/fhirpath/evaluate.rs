//! Walks a compiled expression over the tree.

use std::borrow::Cow;
use std::cell::Cell;

use smallvec::smallvec;

use crate::fhirpath::ast::{Literal, Name, Node, Operator, Pattern, TypeOperator};
use crate::fhirpath::context::Context;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::functions::Function;
use crate::fhirpath::types::TypeSpecifier;
use crate::fhirpath::value::{Collection, Quantity, Unit, Value};

/// An evaluation under way.
pub(super) struct Evaluator<'e, 'r, 'c> {
    pub(super) context: &'e Context<'r, 'c>,
    /// What the whole expression is evaluated on: `%context`.
    focus: &'e [Value<'r>],
    steps: Cell<u64>,
}

/// What `$this`, `$index` and `$total` mean at some place.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a, 'r> {
    pub(super) this: &'a [Value<'r>],
    pub(super) index: Option<i64>,
    pub(super) total: Option<&'a [Value<'r>]>,
}

/// A call of a function.
pub(super) struct Call<'a, 'r> {
    pub(super) function: Function,
    /// What it is called on.
    pub(super) input: Collection<'r>,
    pub(super) arguments: &'a [Node],
    pub(super) pattern: &'a Pattern,
    /// Where it is called.
    pub(super) frame: Frame<'a, 'r>,
}

type Result<T> = std::result::Result<T, EvaluateError>;

/// Makes a collection of a value or of none.
pub(super) fn of_value<'r>(value: Option<Value<'r>>) -> Collection<'r> {
    value.into_iter().collect()
}

/// Makes a collection of a Boolean or of none.
pub(super) fn of_boolean<'r>(value: Option<bool>) -> Collection<'r> {
    of_value(value.map(Value::Boolean))
}

/// Returns the only item, or `None` without items.
pub(super) fn single<'a, 'r>(values: &'a [Value<'r>], what: &'static str) -> Result<Option<&'a Value<'r>>> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        several => Err(EvaluateError::NotSingleton { what, count: several.len() }),
    }
}

/// Returns the truth of a collection: a single item that is no Boolean is true.
///
/// Spec: <http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections>
pub(super) fn truth_of(values: &[Value<'_>], what: &'static str) -> Result<Option<bool>> {
    Ok(match single(values, what)? {
        None => None,
        Some(Value::Boolean(value)) => Some(*value),
        Some(Value::Element(element)) if element.ty() == crate::schema::ty::BOOLEAN => {
            element.value().map(|text| text == "true")
        }
        Some(_) => Some(true),
    })
}

impl<'e, 'r, 'c> Evaluator<'e, 'r, 'c> {
    pub(super) fn new(context: &'e Context<'r, 'c>, focus: &'e [Value<'r>]) -> Evaluator<'e, 'r, 'c> {
        Evaluator { context, focus, steps: Cell::new(0) }
    }

    /// Evaluates the whole expression.
    pub(super) fn evaluate_root(&self, node: &Node) -> Result<Collection<'r>> {
        self.evaluate(node, Frame { this: self.focus, index: None, total: None })
    }

    /// Evaluates the whole expression as a condition.
    pub(super) fn truth_root(&self, node: &Node) -> Result<Option<bool>> {
        self.truth(node, Frame { this: self.focus, index: None, total: None })
    }

    /// Counts a step.
    pub(super) fn step(&self) -> Result<()> {
        self.count(1);
        let max = self.context.limits.steps_max;
        if self.steps.get() > max { Err(EvaluateError::TooManySteps(max)) } else { Ok(()) }
    }

    /// Counts steps; the next [`Evaluator::step`] tells whether they are too many.
    pub(super) fn count(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// Fails when there are more items than a collection may have.
    pub(super) fn check_items(&self, count: usize) -> Result<()> {
        let max = self.context.limits.items_max;
        if count > max { Err(EvaluateError::TooManyItems(max)) } else { Ok(()) }
    }

    /// Evaluates a node.
    pub(super) fn evaluate(&self, node: &Node, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        self.step()?;
        match node {
            Node::Literal(literal) => Ok(of_value(literal_value(literal))),
            Node::This => Ok(frame.this.iter().cloned().collect()),
            Node::Index => Ok(of_value(frame.index.map(Value::Integer))),
            Node::Total => Ok(frame.total.unwrap_or_default().iter().cloned().collect()),
            Node::Variable(name) => self.variable(name),
            Node::Member { of, name } => self.member(of.as_deref(), name, frame),
            Node::Call { of, function, arguments, pattern } => {
                let input = match of {
                    Some(of) => self.evaluate(of, frame)?,
                    None => frame.this.iter().cloned().collect(),
                };
                function.call(self, Call { function: *function, input, arguments, pattern, frame })
            }
            Node::Indexer { of, index } => self.indexer(of, index, frame),
            Node::Sign { negative, operand } => self.sign(*negative, operand, frame),
            Node::Binary { operator, left, right } => self.binary(*operator, left, right, frame),
            Node::Union(parts) => self.union(parts, frame),
            Node::Type { operator, of, specifier } => self.type_operator(*operator, of, specifier, frame),
        }
    }

    /// Evaluates a node as a condition, without a collection where it can.
    pub(super) fn truth(&self, node: &Node, frame: Frame<'_, 'r>) -> Result<Option<bool>> {
        match node {
            Node::Binary { operator, left, right } if operator.is_condition() => {
                self.step()?;
                self.condition(*operator, left, right, frame)
            }
            node => truth_of(&self.evaluate(node, frame)?, "a condition"),
        }
    }

    /// Evaluates a node for one item of a collection.
    pub(super) fn evaluate_for(
        &self,
        node: &Node,
        item: &Value<'r>,
        index: usize,
        frame: Frame<'_, 'r>,
    ) -> Result<Collection<'r>> {
        let this = std::slice::from_ref(item);
        self.evaluate(node, Frame { this, index: Some(index as i64), total: frame.total })
    }

    /// Evaluates a node as a condition on one item of a collection.
    pub(super) fn truth_for(
        &self,
        node: &Node,
        item: &Value<'r>,
        index: usize,
        frame: Frame<'_, 'r>,
    ) -> Result<Option<bool>> {
        let this = std::slice::from_ref(item);
        self.truth(node, Frame { this, index: Some(index as i64), total: frame.total })
    }

    /// Evaluates an argument where the function is called: its names are
    /// those of `$this`, not of what the function is called on.
    pub(super) fn argument(&self, call: &Call<'_, 'r>, at: usize) -> Result<Collection<'r>> {
        match call.arguments.get(at) {
            Some(node) => self.evaluate(node, call.frame),
            None => Ok(Collection::new()),
        }
    }

    /// Evaluates an argument that is a text.
    pub(super) fn text_argument(&self, call: &Call<'_, 'r>, at: usize) -> Result<Option<Cow<'r, str>>> {
        let what = call.function.name();
        let values = self.argument(call, at)?;
        match single(&values, what)?.and_then(Value::system) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(EvaluateError::Type { what, given: other.type_name() }),
        }
    }

    /// Evaluates an argument that is a whole number.
    pub(super) fn integer_argument(&self, call: &Call<'_, 'r>, at: usize) -> Result<Option<i64>> {
        let what = call.function.name();
        let values = self.argument(call, at)?;
        match single(&values, what)?.and_then(Value::system) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(other) => Err(EvaluateError::Type { what, given: other.type_name() }),
        }
    }

    fn member(&self, of: Option<&Node>, name: &Name, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        let mut out = Collection::new();
        match of {
            None => {
                for value in frame.this {
                    self.member_of(value, name, &mut out);
                }
            }
            Some(of) => {
                for value in &self.evaluate(of, frame)? {
                    self.member_of(value, name, &mut out);
                }
            }
        }
        self.check_items(out.len())?;
        Ok(out)
    }

    fn member_of(&self, value: &Value<'r>, name: &Name, out: &mut Collection<'r>) {
        self.count(1);
        match value {
            Value::Element(element) => match (name.ty, name.id) {
                (Some(ty), _) if element.ty().is_a(ty) => out.push(value.clone()),
                (_, Some(id)) => out.extend(element.children_named(id).map(Value::Element)),
                (_, None) => {}
            },
            Value::Target(target) if name.ty.is_some_and(|ty| target.is_a(ty)) => out.push(value.clone()),
            Value::Type(info) => match &*name.text {
                "name" => out.push(Value::String(info.name.into())),
                "namespace" => out.push(Value::String(info.namespace.name().into())),
                _ => {}
            },
            Value::Quantity(quantity) => match &*name.text {
                "value" => out.push(Value::Decimal(quantity.value)),
                "unit" => out.push(Value::String(match &quantity.unit {
                    Unit::Calendar(unit) => unit.name().into(),
                    Unit::Ucum(code) => code.clone(),
                })),
                _ => {}
            },
            _ => {}
        }
    }

    fn variable(&self, name: &str) -> Result<Collection<'r>> {
        if let Some((_, value)) = self.context.variables.iter().rev().find(|(defined, _)| defined == name) {
            return Ok(value.clone());
        }
        let text = |text: String| Ok(smallvec![Value::String(text.into())]);
        match name {
            "context" => Ok(self.focus.iter().cloned().collect()),
            "resource" => Ok(smallvec![Value::Element(self.context.resource)]),
            "rootResource" => Ok(smallvec![Value::Element(self.context.root_resource)]),
            "ucum" => Ok(smallvec![Value::String("http://unitsofmeasure.org".into())]),
            "sct" => Ok(smallvec![Value::String("http://snomed.info/sct".into())]),
            "loinc" => Ok(smallvec![Value::String("http://loinc.org".into())]),
            _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(value_set), _) => text(format!("http://hl7.org/fhir/ValueSet/{value_set}")),
                (_, Some(extension)) => text(format!("http://hl7.org/fhir/StructureDefinition/{extension}")),
                (None, None) => Err(EvaluateError::UndefinedVariable(name.to_owned())),
            },
        }
    }

    fn indexer(&self, of: &Node, index: &Node, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        let index = self.evaluate(index, frame)?;
        let at = match single(&index, "an index")?.and_then(Value::system) {
            None => return Ok(Collection::new()),
            Some(Value::Integer(at)) => at,
            Some(other) => return Err(EvaluateError::Type { what: "an index", given: other.type_name() }),
        };
        let values = self.evaluate(of, frame)?;
        Ok(of_value(usize::try_from(at).ok().and_then(|at| values.into_iter().nth(at))))
    }

    fn sign(&self, negative: bool, operand: &Node, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        const WHAT: &str = "a sign";
        let values = self.evaluate(operand, frame)?;
        let Some(value) = single(&values, WHAT)?.and_then(Value::system) else {
            return Ok(Collection::new());
        };
        let value = match value {
            Value::Integer(value) if negative => value.checked_neg().map(Value::Integer),
            Value::Decimal(value) if negative => Some(Value::Decimal(-value)),
            Value::Quantity(quantity) if negative => {
                Some(Value::Quantity(Quantity { value: -quantity.value, unit: quantity.unit }))
            }
            value @ (Value::Integer(_) | Value::Decimal(_) | Value::Quantity(_)) => Some(value),
            other => return Err(EvaluateError::Type { what: WHAT, given: other.type_name() }),
        };
        Ok(of_value(value))
    }

    fn union(&self, parts: &[Node], frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        let mut out = Collection::new();
        for part in parts {
            out.extend(self.evaluate(part, frame)?);
            self.check_items(out.len())?;
        }
        self.distinct(out)
    }

    fn type_operator(
        &self,
        operator: TypeOperator,
        of: &Node,
        specifier: &TypeSpecifier,
        frame: Frame<'_, 'r>,
    ) -> Result<Collection<'r>> {
        let mut values = self.evaluate(of, frame)?;
        match operator {
            TypeOperator::Is => Ok(of_boolean(single(&values, "`is`")?.map(|value| value.is(specifier)))),
            TypeOperator::As if self.context.strict && values.len() > 1 => {
                Err(EvaluateError::NotSingleton { what: "`as`", count: values.len() })
            }
            TypeOperator::As | TypeOperator::OfType => {
                values.retain(|value| value.is_selected_by(specifier));
                Ok(values)
            }
        }
    }

    fn binary(
        &self,
        operator: Operator,
        left: &Node,
        right: &Node,
        frame: Frame<'_, 'r>,
    ) -> Result<Collection<'r>> {
        if operator.is_condition() {
            return Ok(of_boolean(self.condition(operator, left, right, frame)?));
        }
        let left = self.evaluate(left, frame)?;
        let right = self.evaluate(right, frame)?;
        self.arithmetic(operator, &left, &right)
    }
}

impl Operator {
    /// Tells whether it gives a Boolean.
    fn is_condition(self) -> bool {
        !matches!(
            self,
            Operator::Add
                | Operator::Subtract
                | Operator::Concatenate
                | Operator::Multiply
                | Operator::Divide
                | Operator::Div
                | Operator::Mod
        )
    }
}

/// Returns the value of a literal.
fn literal_value<'r>(literal: &Literal) -> Option<Value<'r>> {
    Some(match literal {
        Literal::Empty => return None,
        Literal::Boolean(value) => Value::Boolean(*value),
        Literal::Integer(value) => Value::Integer(*value),
        Literal::Decimal(value) => Value::Decimal(*value),
        Literal::String(text) => Value::String(text.to_string().into()),
        Literal::Date(date) => Value::Date(*date),
        Literal::DateTime(date) => Value::DateTime(*date),
        Literal::Time(time) => Value::Time(*time),
        Literal::Quantity(value, unit) => {
            // A calendar unit in quotes is what its keyword is.
            let unit = match crate::fhirpath::value::CalendarUnit::keyword(unit) {
                Some(calendar) => Unit::Calendar(calendar),
                None => Unit::Ucum(unit.to_string().into()),
            };
            Value::Quantity(Quantity { value: *value, unit })
        }
        Literal::Calendar(value, unit) => {
            Value::Quantity(Quantity { value: *value, unit: Unit::Calendar(*unit) })
        }
    })
}

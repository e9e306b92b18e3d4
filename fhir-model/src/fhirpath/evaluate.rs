//! Walks a compiled expression over the tree.

use std::borrow::Cow;
use std::cell::Cell;

use smallvec::smallvec;

use crate::fhirpath::ast::{Literal, Name, Node, Operator, Pattern, TypeOperator};
use crate::fhirpath::context::Context;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::external::External;
use crate::fhirpath::functions::Function;
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

/// What takes the values of a path.
type Each<'a, 'r> = dyn FnMut(Value<'r>) -> Result<()> + 'a;

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
        Some(Value::External(node)) => match node.value() {
            Some(Value::Boolean(value)) => Some(value),
            _ => Some(true),
        },
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
            Node::Member { .. } => self.collect(node, frame),
            Node::Type { operator: TypeOperator::As, .. } if self.context.strict => {
                self.strict_as(node, frame)
            }
            Node::Type { operator: TypeOperator::As | TypeOperator::OfType, .. } => self.collect(node, frame),
            Node::Call { function: Function::Where, .. } => self.collect(node, frame),
            Node::Type { operator: TypeOperator::Is, of, specifier } => {
                let values = self.evaluate(of, frame)?;
                Ok(of_boolean(single(&values, "`is`")?.map(|value| value.is(specifier))))
            }
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
        }
    }

    /// Evaluates a node as a condition, without a collection where it can.
    pub(super) fn truth(&self, node: &Node, frame: Frame<'_, 'r>) -> Result<Option<bool>> {
        match node {
            Node::Binary { operator, left, right } if operator.is_condition() => {
                self.step()?;
                self.condition(*operator, left, right, frame)
            }
            Node::Call {
                of: Some(of),
                function: function @ (Function::Exists | Function::Empty),
                arguments,
                ..
            } if arguments.is_empty() => {
                let mut is_empty = true;
                self.stream(of, frame, &mut |_| {
                    is_empty = false;
                    Ok(())
                })?;
                Ok(Some(is_empty == (*function == Function::Empty)))
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

    /// Collects what [`Evaluator::stream`] gives.
    fn collect(&self, node: &Node, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        let mut out = Collection::new();
        self.stream(node, frame, &mut |value| {
            out.push(value);
            self.check_items(out.len())
        })?;
        Ok(out)
    }

    /// Gives each value of a path to `each`, without collecting what lies between.
    pub(super) fn stream(&self, node: &Node, frame: Frame<'_, 'r>, each: &mut Each<'_, 'r>) -> Result<()> {
        match node {
            Node::Member { of: None, name } => {
                if let Some(names) = self.context.names {
                    let mut is_member = false;
                    for item in frame.this {
                        self.member(item, name, &mut |value| {
                            // A primitive is its own `value`, but a variable goes before.
                            let is_itself = matches!((item, &value),
                                (Value::External(a), Value::External(b)) if a == b && &*name.text == "value");
                            is_member |= !is_itself;
                            if is_itself { Ok(()) } else { each(value) }
                        })?;
                    }
                    if is_member {
                        return Ok(());
                    }
                    if let Some(value) = names.value(&name.text) {
                        return each(value);
                    }
                }
                frame.this.iter().try_for_each(|value| self.member(value, name, each))
            }
            Node::Member { of: Some(of), name } => {
                self.stream(of, frame, &mut |value| self.member(&value, name, each))
            }
            Node::Type { operator, of, specifier }
                if *operator == TypeOperator::OfType
                    || (*operator == TypeOperator::As && !self.context.strict) =>
            {
                self.stream(of, frame, &mut |value| {
                    if value.is_selected_by(specifier) { each(value) } else { Ok(()) }
                })
            }
            Node::Call { of, function: Function::Where, arguments, .. } => {
                let Some(criteria) = arguments.first() else { return Ok(()) };
                let mut index = 0;
                let mut filter = |value: Value<'r>| {
                    index += 1;
                    match self.truth_for(criteria, &value, index - 1, frame)? {
                        Some(true) => each(value),
                        _ => Ok(()),
                    }
                };
                match of {
                    Some(of) => self.stream(of, frame, &mut filter),
                    None => frame.this.iter().cloned().try_for_each(filter),
                }
            }
            node => self.evaluate(node, frame)?.into_iter().try_for_each(each),
        }
    }

    /// Gives the members of a value to `each`; at the beginning of a path
    /// also the value itself, when the name is its type.
    fn member(&self, value: &Value<'r>, name: &Name, each: &mut Each<'_, 'r>) -> Result<()> {
        self.step()?;
        match value {
            Value::Element(element) => match (name.ty, name.id) {
                (Some(ty), _) if element.ty().is_a(ty) => each(value.clone()),
                (_, Some(id)) => element.children_named(id).map(Value::Element).try_for_each(each),
                (_, None) => Ok(()),
            },
            Value::Target(target) if name.ty.is_some_and(|ty| target.is_a(ty)) => each(value.clone()),
            Value::External(node) => {
                // No element of such trees begins in upper case: it is a type.
                if name.text.starts_with(|c: char| c.is_ascii_uppercase()) && node.is_a(&name.text) {
                    return each(value.clone());
                }
                let mut children = Collection::new();
                let tree = node.tree();
                tree.children(node.node(), Some(&name.text), &mut |child| {
                    children.push(Value::External(External::new(tree, child)));
                });
                children.into_iter().try_for_each(each)
            }
            Value::Type(info) => match &*name.text {
                "name" => each(Value::String(info.name.into())),
                "namespace" => each(Value::String(info.namespace.name().into())),
                _ => Ok(()),
            },
            Value::Quantity(quantity) => match &*name.text {
                "value" => each(Value::Decimal(quantity.value)),
                "unit" => each(Value::String(match &quantity.unit {
                    Unit::Calendar(unit) => unit.name().into(),
                    Unit::Ucum(code) => code.clone(),
                })),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn variable(&self, name: &str) -> Result<Collection<'r>> {
        if let Some((_, value)) = self.context.variables.iter().rev().find(|(defined, _)| defined == name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.context.names.and_then(|names| names.value(name)) {
            return Ok(smallvec![value]);
        }
        let is_host_name = self.context.names.is_some();
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
                // Where a host has names, one that has no value here gives nothing.
                (None, None) if is_host_name => Ok(Collection::new()),
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
            self.stream(part, frame, &mut |value| {
                out.push(value);
                self.check_items(out.len())
            })?;
        }
        self.distinct(out)
    }

    /// `as` that allows a single item only.
    fn strict_as(&self, node: &Node, frame: Frame<'_, 'r>) -> Result<Collection<'r>> {
        let Node::Type { of, specifier, .. } = node else { return Ok(Collection::new()) };
        let mut values = self.evaluate(of, frame)?;
        single(&values, "`as`")?;
        values.retain(|value| value.is_selected_by(specifier));
        Ok(values)
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

//! A compiled expression.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::fhirpath::ast::{Literal, Node, TypeOperator};
use crate::fhirpath::check;
use crate::fhirpath::context::Context;
use crate::fhirpath::error::{CheckError, EvaluateError, ParseError};
use crate::fhirpath::evaluate::Evaluator;
use crate::fhirpath::functions::Function;
use crate::fhirpath::parse;
use crate::fhirpath::value::{Collection, Value};
use crate::schema::TypeId;
use crate::tree::Element;

/// The greatest length of an expression, in bytes.
pub const LENGTH_MAX: usize = 65_536;

/// How deep the parts of an expression may be nested.
pub const DEPTH_MAX: usize = 128;

/// A FHIRPath expression, compiled. Copies share what was compiled.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    node: Node,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where the text leaves the grammar, names a function or type that does
    /// not exist, or is longer or deeper than allowed.
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        let node = parse::parse(text, false)?;
        Ok(Expression(Arc::new(Compiled { text: text.into(), node })))
    }

    /// Compiles an expression for trees that are no resources: types that
    /// neither `System` nor `FHIR` has are theirs.
    ///
    /// # Errors
    /// As [`Expression::parse`], but for unknown types.
    pub fn parse_for_external(text: &str) -> Result<Expression, ParseError> {
        let node = parse::parse(text, true)?;
        Ok(Expression(Arc::new(Compiled { text: text.into(), node })))
    }

    /// Returns the text it was compiled from.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns the parsed form.
    pub fn ast(&self) -> &Node {
        &self.0.node
    }

    /// Checks the expression against the element tables, for values of a type.
    ///
    /// Evaluation itself is lenient: a name that no element has gives nothing.
    ///
    /// # Errors
    /// What the expression asks of such values that none of them has.
    pub fn check(&self, focus: TypeId) -> Result<(), CheckError> {
        check::check(&self.0.node, focus)
    }

    /// Returns the expression without those parts of a union that begin with
    /// another type: on values of that (concrete) type it gives the same, and sooner.
    pub fn narrowed_to(&self, focus: TypeId) -> Expression {
        let Node::Union(parts) = &self.0.node else { return self.clone() };
        let mut kept: Vec<Node> = parts.iter().filter(|part| may_give(part, focus)).cloned().collect();
        if kept.len() == parts.len() {
            return self.clone();
        }
        let node = match kept.len() {
            0 => Node::Literal(Literal::Empty),
            // A union also takes away equal items, even of a single part.
            _ => Node::Union(std::mem::take(&mut kept)),
        };
        Expression(Arc::new(Compiled { text: self.0.text.clone(), node }))
    }

    /// Evaluates the expression on an element.
    ///
    /// # Errors
    /// Where the expression does not fit the data (several items where one is
    /// needed, wrong types), needs something the context does not have, or
    /// exceeds a limit.
    pub fn evaluate<'r>(
        &self,
        context: &Context<'r, '_>,
        focus: Element<'r>,
    ) -> Result<Collection<'r>, EvaluateError> {
        self.evaluate_on(context, &[Value::Element(focus)])
    }

    /// Evaluates the expression on a collection of elements.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_all<'r>(
        &self,
        context: &Context<'r, '_>,
        focus: &[Element<'r>],
    ) -> Result<Collection<'r>, EvaluateError> {
        let focus: Collection<'r> = focus.iter().copied().map(Value::Element).collect();
        self.evaluate_on(context, &focus)
    }

    /// Evaluates the expression on a collection of values.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_on<'r>(
        &self,
        context: &Context<'r, '_>,
        focus: &[Value<'r>],
    ) -> Result<Collection<'r>, EvaluateError> {
        Evaluator::new(context, focus).evaluate_root(&self.0.node)
    }

    /// Evaluates the expression as a condition: a single item that is not a
    /// Boolean counts as true, nothing as `None`.
    ///
    /// Spec: <http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections>
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and when there are several items.
    pub fn evaluate_boolean<'r>(
        &self,
        context: &Context<'r, '_>,
        focus: Element<'r>,
    ) -> Result<Option<bool>, EvaluateError> {
        Evaluator::new(context, &[Value::Element(focus)]).truth_root(&self.0.node)
    }
}

/// Tells whether a path may give something on a focus of that type.
fn may_give(node: &Node, focus: TypeId) -> bool {
    match node {
        Node::Member { of: None, name } => name.ty.is_none_or(|ty| focus.is_a(ty)),
        Node::Member { of: Some(of), .. }
        | Node::Indexer { of, .. }
        | Node::Type { operator: TypeOperator::As | TypeOperator::OfType, of, .. }
        | Node::Call {
            of: Some(of),
            function:
                Function::Where | Function::Select | Function::First | Function::Extension | Function::Resolve,
            ..
        } => may_give(of, focus),
        _ => true,
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Expression, ParseError> {
        Expression::parse(text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.0.text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

//! Checks an expression against the element tables, without data.
//!
//! Finds names that no possible value has, paths that begin with another type
//! than they are evaluated on, order taken from what has none, and conditions
//! that can be no condition. What cannot be known (references that are
//! resolved, contained resources, variables) is not looked at.

use smallvec::{SmallVec, smallvec};

use crate::fhirpath::ast::{Literal, Name, Node, Operator, TypeOperator};
use crate::fhirpath::error::CheckError;
use crate::fhirpath::functions::Function;
use crate::fhirpath::types::{SystemType, TypeSpecifier};
use crate::schema::{TypeId, ty};

type Result<T> = std::result::Result<T, CheckError>;

/// Checks an expression that is evaluated on values of a type.
pub(super) fn check(node: &Node, focus: TypeId) -> Result<()> {
    let focus = Shape::of(Item::Fhir(focus));
    Checker { focus: &focus }.shape(node, &focus).map(|_| ())
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Fhir(TypeId),
    System(SystemType),
}

/// What an expression may give.
#[derive(Debug, Clone)]
struct Shape {
    /// The types that values may have; `None` when that is not known.
    items: Option<SmallVec<[Item; 4]>>,
    /// Whether there are certainly several values.
    is_many: bool,
    /// Whether the order of the values means something.
    is_ordered: bool,
}

impl Shape {
    fn unknown() -> Shape {
        Shape { items: None, is_many: false, is_ordered: true }
    }

    fn of(item: Item) -> Shape {
        Shape { items: Some(smallvec![item]), is_many: false, is_ordered: true }
    }

    fn system(ty: SystemType) -> Shape {
        Shape::of(Item::System(ty))
    }

    /// Puts together what either may be.
    fn or(mut self, other: Shape) -> Shape {
        self.items = match (self.items, other.items) {
            (Some(mut items), Some(more)) => {
                for item in more {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                Some(items)
            }
            _ => None,
        };
        self.is_ordered &= other.is_ordered;
        self
    }
}

struct Checker<'c> {
    focus: &'c Shape,
}

impl Checker<'_> {
    /// Returns what a node gives where `$this` is `this`.
    fn shape(&self, node: &Node, this: &Shape) -> Result<Shape> {
        match node {
            Node::Literal(literal) => Ok(literal_shape(literal)),
            Node::This => Ok(this.clone()),
            Node::Index => Ok(Shape::system(SystemType::Integer)),
            Node::Total => Ok(Shape::unknown()),
            Node::Variable(name) if &**name == "context" => Ok(self.focus.clone()),
            Node::Variable(_) => Ok(Shape::unknown()),
            Node::Member { of, name } => match of {
                None => leading(this, name),
                Some(of) => member(&self.shape(of, this)?, name),
            },
            Node::Call { of, function, arguments, .. } => {
                let input = match of {
                    Some(of) => self.shape(of, this)?,
                    None => this.clone(),
                };
                self.call(*function, &input, arguments, this)
            }
            Node::Indexer { of, index } => {
                self.shape(index, this)?;
                let of = self.shape(of, this)?;
                ordered(&of, "an indexer")?;
                Ok(Shape { is_many: false, ..of })
            }
            Node::Sign { operand, .. } => self.shape(operand, this),
            Node::Binary { operator, left, right } => {
                let left = self.shape(left, this)?;
                let right = self.shape(right, this)?;
                Ok(match operator {
                    Operator::Concatenate => Shape::system(SystemType::String),
                    Operator::Add
                    | Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Div
                    | Operator::Mod => left.or(right).or(Shape::unknown()),
                    _ => Shape::system(SystemType::Boolean),
                })
            }
            Node::Union(parts) => self.union(parts, this),
            Node::Type { operator, of, specifier } => {
                let of = self.shape(of, this)?;
                Ok(match operator {
                    TypeOperator::Is => Shape::system(SystemType::Boolean),
                    TypeOperator::As | TypeOperator::OfType => narrowed(of, specifier),
                })
            }
        }
    }

    /// A union may begin its parts with different types, as search parameters
    /// do; one of them must fit.
    fn union(&self, parts: &[Node], this: &Shape) -> Result<Shape> {
        let mut out: Option<Shape> = None;
        let mut misfit = None;
        let mut literals: SmallVec<[&Literal; 4]> = SmallVec::new();
        for part in parts {
            match part {
                Node::Literal(literal) if *literal != Literal::Empty && !literals.contains(&literal) => {
                    literals.push(literal);
                }
                _ => {}
            }
        }
        let is_many = literals.len() > 1;
        for part in parts {
            match self.shape(part, this) {
                Ok(shape) => {
                    out = Some(match out {
                        Some(out) => out.or(shape),
                        None => shape,
                    });
                }
                Err(error @ CheckError::OtherType { .. }) => misfit = Some(error),
                Err(error) => return Err(error),
            }
        }
        match (out, misfit) {
            (Some(out), _) => Ok(Shape { is_many, ..out }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Shape::unknown()),
        }
    }

    fn call(&self, function: Function, input: &Shape, arguments: &[Node], this: &Shape) -> Result<Shape> {
        // Lambdas are evaluated for each item, all else where the call stands.
        let inside = match function {
            Function::Where
            | Function::Select
            | Function::Exists
            | Function::All
            | Function::Repeat
            | Function::Aggregate
            | Function::Sort
            | Function::Iif => &Shape { is_many: false, ..input.clone() },
            _ => this,
        };
        if matches!(
            function,
            Function::First | Function::Last | Function::Tail | Function::Skip | Function::Take
        ) {
            ordered(input, function.name())?;
        }
        // A projection of `trace` is for each item too, its name is not.
        let inside_trace = Shape { is_many: false, ..input.clone() };
        let mut given = SmallVec::<[Shape; 3]>::new();
        for (at, argument) in arguments.iter().enumerate() {
            let inside = if function == Function::Trace && at == 1 { &inside_trace } else { inside };
            given.push(self.shape(argument, inside)?);
        }
        match function {
            Function::Select => Ok(given.into_iter().next().unwrap_or_else(Shape::unknown)),
            Function::Repeat => self.repeated(arguments, given.into_iter().next()),
            Function::Iif => iif(given),
            Function::Union | Function::Combine => Ok(given.into_iter().fold(input.clone(), Shape::or)),
            function => Ok(result(function, input)),
        }
    }

    /// What a projection gives when it is repeated on what it gave; names that
    /// later rounds do not have are no error.
    fn repeated(&self, arguments: &[Node], first: Option<Shape>) -> Result<Shape> {
        let (Some(projection), Some(mut shape)) = (arguments.first(), first) else {
            return Ok(Shape::unknown());
        };
        for _ in 0..8 {
            let Ok(next) = self.shape(projection, &shape) else { break };
            let known = |shape: &Shape| shape.items.as_ref().map(SmallVec::len);
            let before = known(&shape);
            shape = shape.or(next);
            if known(&shape) == before {
                break;
            }
        }
        Ok(shape)
    }
}

/// What a function gives, other than those that give what their arguments do.
fn result(function: Function, input: &Shape) -> Shape {
    match function {
        Function::Where
        | Function::Distinct
        | Function::Tail
        | Function::Skip
        | Function::Take
        | Function::Intersect
        | Function::Exclude
        | Function::Trace => input.clone(),
        Function::Sort => Shape { is_ordered: true, ..input.clone() },
        Function::Single | Function::First | Function::Last => Shape { is_many: false, ..input.clone() },
        Function::Children | Function::Descendants => Shape { is_ordered: false, ..Shape::unknown() },
        Function::Extension => Shape::of(Item::Fhir(ty::EXTENSION)),
        Function::Count | Function::Length | Function::IndexOf | Function::LastIndexOf => {
            Shape::system(SystemType::Integer)
        }
        Function::Empty
        | Function::Exists
        | Function::All
        | Function::AllTrue
        | Function::AnyTrue
        | Function::AllFalse
        | Function::AnyFalse
        | Function::SubsetOf
        | Function::SupersetOf
        | Function::IsDistinct
        | Function::Not
        | Function::HasValue
        | Function::HasExtension
        | Function::StartsWith
        | Function::EndsWith
        | Function::Contains
        | Function::Matches
        | Function::MatchesFull => Shape::system(SystemType::Boolean),
        _ => Shape::unknown(),
    }
}

fn literal_shape(literal: &Literal) -> Shape {
    Shape::system(match literal {
        Literal::Empty => return Shape::unknown(),
        Literal::Boolean(_) => SystemType::Boolean,
        Literal::Integer(_) => SystemType::Integer,
        Literal::Decimal(_) => SystemType::Decimal,
        Literal::String(_) => SystemType::String,
        Literal::Date(_) => SystemType::Date,
        Literal::DateTime(_) => SystemType::DateTime,
        Literal::Time(_) => SystemType::Time,
        Literal::Quantity(..) | Literal::Calendar(..) => SystemType::Quantity,
    })
}

/// The first name of a path: a type that the focus has, or an element of it.
fn leading(this: &Shape, name: &Name) -> Result<Shape> {
    let (Some(wanted), Some(items)) = (name.ty, &this.items) else { return member(this, name) };
    // The focus may be of an abstract type, and the name one of its kinds.
    let fitting: SmallVec<[Item; 4]> = items
        .iter()
        .filter_map(|item| match item {
            Item::Fhir(ty) if ty.is_a(wanted) => Some(*item),
            Item::Fhir(ty) if wanted.is_a(*ty) => Some(Item::Fhir(wanted)),
            _ => None,
        })
        .collect();
    if fitting.is_empty() {
        return Err(CheckError::OtherType { name: wanted.name() });
    }
    Ok(Shape { items: Some(fitting), ..this.clone() })
}

fn member(of: &Shape, name: &Name) -> Result<Shape> {
    let Some(items) = &of.items else { return Ok(of.clone()) };
    let mut found = Shape { items: Some(SmallVec::new()), is_many: of.is_many, is_ordered: of.is_ordered };
    let mut is_known = false;
    for item in items {
        match item {
            // What specializes it may have more elements.
            Item::Fhir(ty) if ty.definition().is_abstract => return Ok(Shape { items: None, ..found }),
            Item::Fhir(ty) => {
                let Some(element) = name.id.and_then(|id| ty.definition().element(id)) else { continue };
                is_known = true;
                if element.types.is_empty() {
                    return Ok(Shape { items: None, ..found });
                }
                let items = element.types.iter().map(|ty| Item::Fhir(*ty)).collect();
                found = found.or(Shape { items: Some(items), is_many: false, is_ordered: true });
            }
            Item::System(SystemType::Quantity) => return Ok(Shape { items: None, ..found }),
            Item::System(_) => {}
        }
    }
    if is_known || items.is_empty() {
        return Ok(found);
    }
    let on = items.first().map_or("nothing", |item| match item {
        Item::Fhir(ty) => ty.name(),
        Item::System(ty) => ty.name(),
    });
    Err(CheckError::UnknownElement { name: name.text.to_string(), on })
}

fn narrowed(of: Shape, specifier: &TypeSpecifier) -> Shape {
    let mut items = SmallVec::new();
    items.extend(specifier.fhir().map(Item::Fhir));
    items.extend(specifier.system().map(Item::System));
    // An abstract type says no more than what was known.
    let says_more = specifier.fhir().is_none_or(|ty| !ty.definition().is_abstract);
    if says_more && !items.is_empty() { Shape { items: Some(items), ..of } } else { of }
}

fn ordered(shape: &Shape, what: &'static str) -> Result<()> {
    if shape.is_ordered { Ok(()) } else { Err(CheckError::Unordered { what }) }
}

fn iif(given: SmallVec<[Shape; 3]>) -> Result<Shape> {
    let mut given = given.into_iter();
    if let Some(criterion) = given.next() {
        let may_be_boolean = criterion.items.as_ref().is_none_or(|items| {
            items.iter().any(|item| {
                matches!(item, Item::System(SystemType::Boolean)) || *item == Item::Fhir(ty::BOOLEAN)
            })
        });
        if criterion.is_many || !may_be_boolean {
            return Err(CheckError::NoCondition { function: "iif" });
        }
    }
    Ok(given.reduce(Shape::or).unwrap_or_else(Shape::unknown))
}

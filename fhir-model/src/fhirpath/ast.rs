//! An expression as a value: what search analyses and the evaluator walks.
//!
//! Names are resolved to numbers when the expression is compiled. Printing a
//! node gives an expression that parses to an equal one.
//!
//! Spec: <http://hl7.org/fhirpath/N1/grammar.html>

use std::fmt;
use std::sync::OnceLock;

use regex::Regex;
use rust_decimal::Decimal;

use crate::fhirpath::functions::Function;
use crate::fhirpath::types::TypeSpecifier;
use crate::fhirpath::value::{CalendarUnit, PartialTime};
use crate::primitive::date::PartialDate;
use crate::schema::{NameId, TypeId};

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `'text'`, `1`, `@2024`, `{}` ...
    Literal(Literal),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%name`
    Variable(Box<str>),
    /// `of.name`, or `name` on the focus.
    Member {
        /// What it is a member of; the focus without.
        of: Option<Box<Node>>,
        /// The member, or at the beginning of a path a type.
        name: Name,
    },
    /// `of.function(arguments)`, or `function(arguments)` on the focus.
    Call {
        /// What it is called on; the focus without.
        of: Option<Box<Node>>,
        /// Which function.
        function: Function,
        /// The arguments.
        arguments: Vec<Node>,
        /// The regular expression of the first argument, compiled once.
        pattern: Pattern,
    },
    /// `of[index]`
    Indexer {
        /// The collection.
        of: Box<Node>,
        /// Which item.
        index: Box<Node>,
    },
    /// `-operand`, `+operand`
    Sign {
        /// Whether it is `-`.
        negative: bool,
        /// The operand.
        operand: Box<Node>,
    },
    /// `left operator right`
    Binary {
        /// The operator.
        operator: Operator,
        /// The left operand.
        left: Box<Node>,
        /// The right operand.
        right: Box<Node>,
    },
    /// `a | b | c`
    Union(Vec<Node>),
    /// `of is T`, `of as T`, `of.ofType(T)` and the like.
    Type {
        /// Which of them.
        operator: TypeOperator,
        /// The operand.
        of: Box<Node>,
        /// The type.
        specifier: TypeSpecifier,
    },
}

/// A literal value.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `{}`
    Empty,
    /// `true`
    Boolean(bool),
    /// `1`
    Integer(i64),
    /// `1.0`
    Decimal(Decimal),
    /// `'text'`
    String(Box<str>),
    /// `@2024-02`
    Date(PartialDate),
    /// `@2024-02T`
    DateTime(PartialDate),
    /// `@T10:30`
    Time(PartialTime),
    /// `4 'mg'`
    Quantity(Decimal, Box<str>),
    /// `4 days`
    Calendar(Decimal, CalendarUnit),
}

/// The name of a member, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As written.
    pub text: Box<str>,
    /// The element name; `None` when no R4 element is called so.
    pub id: Option<NameId>,
    /// The type of that name, at the beginning of a path.
    pub ty: Option<TypeId>,
}

impl Name {
    /// Resolves a name. Types are looked up for names in upper case only: no
    /// element has one, and no type that starts a path is without.
    pub fn new(text: &str, is_first: bool) -> Name {
        let may_be_type = is_first && text.starts_with(|c: char| c.is_ascii_uppercase());
        Name {
            text: text.into(),
            id: NameId::of(text),
            ty: if may_be_type { TypeId::named(text) } else { None },
        }
    }
}

/// What a type specifier is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeOperator {
    /// Whether the item is of the type.
    Is,
    /// The item, if it is of the type.
    As,
    /// Those items that are of the type.
    OfType,
}

macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident = $symbol:literal, $binding:literal;)*) => {
        /// An operator with two operands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operator { $($(#[$doc])* $variant,)* }

        impl Operator {
            /// Returns how it is written.
            pub fn symbol(self) -> &'static str {
                match self { $(Operator::$variant => $symbol,)* }
            }

            /// Finds an operator by how it is written, with how tightly it binds.
            pub(super) fn written(symbol: &str) -> Option<(Operator, u8)> {
                match symbol { $($symbol => Some((Operator::$variant, $binding)),)* _ => None }
            }
        }
    };
}

operators! {
    /// `implies`
    Implies = "implies", 1;
    /// `or`
    Or = "or", 2;
    /// `xor`
    Xor = "xor", 2;
    /// `and`
    And = "and", 3;
    /// `in`
    In = "in", 4;
    /// `contains`
    Contains = "contains", 4;
    /// `=`
    Equal = "=", 5;
    /// `!=`
    NotEqual = "!=", 5;
    /// `~`
    Equivalent = "~", 5;
    /// `!~`
    NotEquivalent = "!~", 5;
    /// `<`
    Less = "<", 6;
    /// `<=`
    LessOrEqual = "<=", 6;
    /// `>`
    Greater = ">", 6;
    /// `>=`
    GreaterOrEqual = ">=", 6;
    /// `+`
    Add = "+", 9;
    /// `-`
    Subtract = "-", 9;
    /// `&`
    Concatenate = "&", 9;
    /// `*`
    Multiply = "*", 10;
    /// `/`
    Divide = "/", 10;
    /// `div`
    Div = "div", 10;
    /// `mod`
    Mod = "mod", 10;
}

/// How tightly `|` binds.
pub(super) const UNION_BINDING: u8 = 7;
/// How tightly `is` and `as` bind.
pub(super) const TYPE_BINDING: u8 = 8;

/// A regular expression, compiled when first used; no part of what a node is.
#[derive(Debug, Clone, Default)]
pub struct Pattern(pub(super) OnceLock<Option<Regex>>);

impl PartialEq for Pattern {
    fn eq(&self, _: &Pattern) -> bool {
        true
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Literal(literal) => write!(f, "{literal}"),
            Node::This => f.write_str("$this"),
            Node::Index => f.write_str("$index"),
            Node::Total => f.write_str("$total"),
            Node::Variable(name) => {
                f.write_str("%")?;
                quoted(f, name, '`')
            }
            Node::Member { of, name } => {
                write_of(f, of.as_deref())?;
                identifier(f, &name.text, of.is_none())
            }
            Node::Call { of, function, arguments, .. } => {
                write_of(f, of.as_deref())?;
                write!(f, "{}(", function.name())?;
                separated(f, arguments, ", ")?;
                f.write_str(")")
            }
            Node::Indexer { of, index } => write!(f, "{}[{index}]", Operand(of)),
            Node::Sign { negative, operand } => {
                write!(f, "{}{}", if *negative { '-' } else { '+' }, Operand(operand))
            }
            Node::Binary { operator, left, right } => {
                write!(f, "{} {} {}", Operand(left), operator.symbol(), Operand(right))
            }
            Node::Union(parts) => separated(f, parts, " | "),
            Node::Type { operator, of, specifier } => match operator {
                TypeOperator::Is => write!(f, "{} is {specifier}", Operand(of)),
                TypeOperator::As => write!(f, "{} as {specifier}", Operand(of)),
                TypeOperator::OfType => write!(f, "{}.ofType({specifier})", Operand(of)),
            },
        }
    }
}

/// A node within another, in parentheses where it needs them.
struct Operand<'n>(&'n Node);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Node::Sign { .. } | Node::Binary { .. } | Node::Union(_) | Node::Type { .. } => {
                write!(f, "({})", self.0)
            }
            node => write!(f, "{node}"),
        }
    }
}

fn write_of(f: &mut fmt::Formatter<'_>, of: Option<&Node>) -> fmt::Result {
    of.map_or(Ok(()), |of| write!(f, "{}.", Operand(of)))
}

fn separated(f: &mut fmt::Formatter<'_>, nodes: &[Node], separator: &str) -> fmt::Result {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        if separator == ", " { write!(f, "{node}")? } else { write!(f, "{}", Operand(node))? }
    }
    Ok(())
}

/// Writes an identifier, delimited where it would be read as something else.
fn identifier(f: &mut fmt::Formatter<'_>, text: &str, is_first: bool) -> fmt::Result {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let reserved =
        is_first && (Operator::written(text).is_some() || matches!(text, "true" | "false" | "is" | "as"));
    if plain && !reserved { f.write_str(text) } else { quoted(f, text, '`') }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    write!(f, "{quote}")?;
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{c}' => f.write_str("\\f")?,
            c if c == quote => write!(f, "\\{c}")?,
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "{quote}")
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Empty => f.write_str("{}"),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Integer(value) => write!(f, "{value}"),
            Literal::Decimal(value) => write!(f, "{value}"),
            Literal::String(text) => quoted(f, text, '\''),
            Literal::Date(date) => write!(f, "@{}", super::value::DateText(date)),
            Literal::DateTime(date) if date.has_time() => write!(f, "@{}", super::value::DateText(date)),
            Literal::DateTime(date) => write!(f, "@{}T", super::value::DateText(date)),
            Literal::Time(time) => write!(f, "@T{time}"),
            Literal::Quantity(value, unit) => {
                write!(f, "{value} ")?;
                quoted(f, unit, '\'')
            }
            Literal::Calendar(value, unit) => write!(f, "{value} {}", unit.name()),
        }
    }
}

//! From text to [`Node`]: precedence climbing over the tokens.
//!
//! Spec: <http://hl7.org/fhirpath/N1/grammar.html>

use crate::fhirpath::ast::{
    Literal, Name, Node, Operator, Pattern, TYPE_BINDING, TypeOperator, UNION_BINDING,
};
use crate::fhirpath::error::{ParseError, ParseErrorKind};
use crate::fhirpath::functions::Function;
use crate::fhirpath::lex::{Token, tokens};
use crate::fhirpath::types::TypeSpecifier;
use crate::fhirpath::value::{CalendarUnit, decimal};
use crate::fhirpath::{DEPTH_MAX, LENGTH_MAX};

/// Parses an expression. With `external_types`, a type that neither `System`
/// nor `FHIR` has is one of another tree.
pub(super) fn parse(text: &str, external_types: bool) -> Result<Node, ParseError> {
    if text.len() > LENGTH_MAX {
        return Err(ParseError::at(ParseErrorKind::TooLong, text, 0));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, nesting: 0, external_types };
    let (node, _) = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.expected("an operator or the end")),
    }
}

/// A node and the height of the tree below it, which evaluation recurses over.
type Parsed = (Node, usize);

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token<'t>, usize)>,
    at: usize,
    /// How many expressions are open, which parsing recurses over.
    nesting: usize,
    external_types: bool,
}

/// What comes next behind an operand.
enum Infix {
    Binary(Operator),
    Union,
    Type(TypeOperator),
}

impl<'t> Parser<'t> {
    fn peek(&self) -> &Token<'t> {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn byte(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, byte)| *byte)
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::at(kind, self.text, self.byte())
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        self.error(ParseErrorKind::Expected { expected, found: self.peek().describe() })
    }

    fn accept(&mut self, symbol: &'static str) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str, expected: &'static str) -> Result<(), ParseError> {
        if self.accept(symbol) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Puts a node over others of that height.
    fn over(&self, height: usize, node: Node) -> Result<Parsed, ParseError> {
        if height >= DEPTH_MAX { Err(self.error(ParseErrorKind::TooDeep)) } else { Ok((node, height + 1)) }
    }

    fn infix(&self) -> Option<(Infix, u8)> {
        let symbol = match self.peek() {
            Token::Word("is") => return Some((Infix::Type(TypeOperator::Is), TYPE_BINDING)),
            Token::Word("as") => return Some((Infix::Type(TypeOperator::As), TYPE_BINDING)),
            Token::Symbol("|") => return Some((Infix::Union, UNION_BINDING)),
            Token::Word(word) => word,
            Token::Symbol(symbol) => symbol,
            _ => return None,
        };
        Operator::written(symbol).map(|(operator, binding)| (Infix::Binary(operator), binding))
    }

    /// Parses an expression whose operators all bind tighter than `loosest`.
    fn expression(&mut self, loosest: u8) -> Result<Parsed, ParseError> {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX {
            return Err(self.error(ParseErrorKind::TooDeep));
        }
        let mut left = self.operand()?;
        while let Some((infix, binding)) = self.infix() {
            if binding <= loosest {
                break;
            }
            self.at += 1;
            left = self.infix_with(left, infix, binding)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn infix_with(&mut self, left: Parsed, infix: Infix, binding: u8) -> Result<Parsed, ParseError> {
        let (left, height) = left;
        match infix {
            Infix::Type(operator) => {
                let specifier = self.type_specifier()?;
                self.over(height, Node::Type { operator, of: Box::new(left), specifier })
            }
            Infix::Binary(operator) => {
                let (right, right_height) = self.expression(binding)?;
                let node = Node::Binary { operator, left: Box::new(left), right: Box::new(right) };
                self.over(height.max(right_height), node)
            }
            Infix::Union => {
                let mut parts = vec![left];
                let mut height = height;
                loop {
                    let (part, part_height) = self.expression(binding)?;
                    parts.push(part);
                    height = height.max(part_height);
                    if !self.accept("|") {
                        return self.over(height, Node::Union(parts));
                    }
                }
            }
        }
    }

    /// Parses a term with its signs, members, calls and indexers.
    fn operand(&mut self) -> Result<Parsed, ParseError> {
        if let Token::Symbol(sign @ ("+" | "-")) = *self.peek() {
            self.nesting += 1;
            if self.nesting > DEPTH_MAX {
                return Err(self.error(ParseErrorKind::TooDeep));
            }
            self.at += 1;
            let (operand, height) = self.operand()?;
            self.nesting -= 1;
            return self.over(height, Node::Sign { negative: sign == "-", operand: Box::new(operand) });
        }
        let mut parsed = self.term()?;
        loop {
            if self.accept(".") {
                parsed = self.invocation(Some(parsed))?;
            } else if self.accept("[") {
                let (index, index_height) = self.expression(0)?;
                self.expect("]", "`]`")?;
                let (of, height) = parsed;
                let node = Node::Indexer { of: Box::new(of), index: Box::new(index) };
                parsed = self.over(height.max(index_height), node)?;
            } else {
                return Ok(parsed);
            }
        }
    }

    fn term(&mut self) -> Result<Parsed, ParseError> {
        let literal = match self.peek() {
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.expect(")", "`)`")?;
                return Ok(inner);
            }
            Token::Symbol("{") => {
                self.at += 1;
                self.expect("}", "`}`")?;
                return Ok((Node::Literal(Literal::Empty), 1));
            }
            Token::Symbol("%") => {
                self.at += 1;
                return match self.next() {
                    Token::Word(name) => Ok((Node::Variable(name.into()), 1)),
                    Token::Delimited(name) | Token::String(name) => Ok((Node::Variable(name.into()), 1)),
                    _ => {
                        self.at -= 1;
                        Err(self.expected("the name of a variable"))
                    }
                };
            }
            Token::Word("true") => Literal::Boolean(true),
            Token::Word("false") => Literal::Boolean(false),
            Token::Word(word) if is_operator_only(word) => return Err(self.expected("a term")),
            Token::Word(_) | Token::Delimited(_) => return self.invocation(None),
            Token::Integer(_) | Token::Decimal(_) => return self.number(),
            Token::String(text) => Literal::String(text.as_str().into()),
            Token::Date(date) => Literal::Date(*date),
            Token::DateTime(date) => Literal::DateTime(*date),
            Token::Time(time) => Literal::Time(*time),
            Token::This | Token::Index | Token::Total => {
                let node = match self.next() {
                    Token::This => Node::This,
                    Token::Index => Node::Index,
                    _ => Node::Total,
                };
                return Ok((node, 1));
            }
            Token::Symbol(_) | Token::End => return Err(self.expected("a term")),
        };
        self.at += 1;
        Ok((Node::Literal(literal), 1))
    }

    /// Parses a number, and the unit if one follows.
    fn number(&mut self) -> Result<Parsed, ParseError> {
        let out_of_range = self.error(ParseErrorKind::Number);
        let (text, is_integer) = match self.next() {
            Token::Integer(text) => (text, true),
            Token::Decimal(text) => (text, false),
            _ => return Err(out_of_range),
        };
        let value = decimal(text);
        let unit = match self.peek() {
            Token::Word(word) => CalendarUnit::keyword(word).map(Err::<Box<str>, _>),
            Token::String(unit) => Some(Ok(unit.as_str().into())),
            _ => None,
        };
        let literal = match unit {
            Some(unit) => {
                self.at += 1;
                let value = value.ok_or(out_of_range)?;
                match unit {
                    Ok(code) => Literal::Quantity(value, code),
                    Err(calendar) => Literal::Calendar(value, calendar),
                }
            }
            None if is_integer => Literal::Integer(text.parse().map_err(|_| out_of_range)?),
            None => Literal::Decimal(value.ok_or(out_of_range)?),
        };
        Ok((Node::Literal(literal), 1))
    }

    /// Parses a member or a call.
    fn invocation(&mut self, of: Option<Parsed>) -> Result<Parsed, ParseError> {
        // The grammar allows `a.$this`, which is `a`.
        let of = match of {
            Some(parsed) if *self.peek() == Token::This => {
                self.at += 1;
                return Ok(parsed);
            }
            of => of,
        };
        let (of, height) = of.map_or((None, 0), |(node, height)| (Some(Box::new(node)), height));
        let start = self.at;
        let name = match self.next() {
            Token::Word(name) => name.to_string(),
            Token::Delimited(name) => name,
            _ => {
                self.at = start;
                return Err(self.expected("a name"));
            }
        };
        if !self.accept("(") {
            let is_first = of.is_none();
            return self.over(height, Node::Member { of, name: Name::new(&name, is_first) });
        }
        let type_operator = match name.as_str() {
            "is" => Some(TypeOperator::Is),
            "as" => Some(TypeOperator::As),
            "ofType" => Some(TypeOperator::OfType),
            _ => None,
        };
        if let Some(operator) = type_operator {
            let specifier = self.type_specifier()?;
            self.expect(")", "`)`")?;
            let of = of.unwrap_or_else(|| Box::new(Node::This));
            return self.over(height.max(1), Node::Type { operator, of, specifier });
        }
        let function = Function::named(&name).ok_or_else(|| {
            let byte = self.tokens.get(start).map_or(0, |(_, byte)| *byte);
            ParseError::at(ParseErrorKind::UnknownFunction(name), self.text, byte)
        })?;
        let (arguments, arguments_height) = self.arguments(function)?;
        let node = Node::Call { of, function, arguments, pattern: Pattern::default() };
        self.over(height.max(arguments_height), node)
    }

    /// Parses arguments; the opening parenthesis has been read.
    fn arguments(&mut self, function: Function) -> Result<(Vec<Node>, usize), ParseError> {
        let mut arguments = Vec::new();
        let mut height = 0;
        if !self.accept(")") {
            loop {
                let (argument, argument_height) = self.expression(0)?;
                arguments.push(argument);
                height = height.max(argument_height);
                if !self.accept(",") {
                    self.expect(")", "`,` or `)`")?;
                    break;
                }
            }
        }
        let (least, most) = function.arity();
        let given = arguments.len();
        if given < least || given > most {
            return Err(self.error(ParseErrorKind::Arguments {
                function: function.name(),
                least,
                most,
                given,
            }));
        }
        Ok((arguments, height))
    }

    fn type_specifier(&mut self) -> Result<TypeSpecifier, ParseError> {
        let start = self.byte();
        let mut parts = Vec::new();
        loop {
            match self.next() {
                Token::Word(name) => parts.push(name.to_string()),
                Token::Delimited(name) => parts.push(name),
                _ => {
                    self.at -= 1;
                    return Err(self.expected("a type"));
                }
            }
            // A call after an operator's type (`x as T.first()`) is not in the
            // grammar: the name read so far stays what it is, an unknown type.
            if parts.len() == 2 || !self.accept(".") {
                break;
            }
        }
        let found = match parts.as_slice() {
            [name] if self.external_types => {
                Some(TypeSpecifier::resolve(None, name).unwrap_or_else(|| TypeSpecifier::external(name)))
            }
            [name] => TypeSpecifier::resolve(None, name),
            [namespace, name] => TypeSpecifier::resolve(Some(namespace), name),
            _ => None,
        };
        found.ok_or_else(|| ParseError::at(ParseErrorKind::UnknownType(parts.join(".")), self.text, start))
    }
}

/// Words that no identifier may be at the beginning of a term.
fn is_operator_only(word: &str) -> bool {
    matches!(word, "and" | "or" | "xor" | "implies" | "div" | "mod")
}

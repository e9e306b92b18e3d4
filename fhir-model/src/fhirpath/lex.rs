//! The tokens of an expression.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#lexical-elements>

use crate::fhirpath::error::{ParseError, ParseErrorKind};
use crate::fhirpath::value::PartialTime;
use crate::primitive::date::PartialDate;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or a word that the grammar reserves.
    Word(&'t str),
    /// `` `name` ``
    Delimited(String),
    /// `'text'`
    String(String),
    /// `12`
    Integer(&'t str),
    /// `12.0`
    Decimal(&'t str),
    /// `@2024-02`
    Date(PartialDate),
    /// `@2024-02T`
    DateTime(PartialDate),
    /// `@T10:30`
    Time(PartialTime),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `(`, `<=` ...
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// Says what it is, for error messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Delimited(name) => format!("`{name}`"),
            Token::String(_) => "a string".into(),
            Token::Integer(text) | Token::Decimal(text) => format!("`{text}`"),
            Token::Date(_) | Token::DateTime(_) | Token::Time(_) => "a date or time".into(),
            Token::This => "`$this`".into(),
            Token::Index => "`$index`".into(),
            Token::Total => "`$total`".into(),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end".into(),
        }
    }
}

/// Longer symbols stand before those that they begin with.
const SYMBOLS: [&str; 24] = [
    "<=", ">=", "!=", "!~", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "<", ">",
    "=", "~", "%", "$",
];

/// Takes an expression apart; each token with the byte where it begins.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, usize)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.skip_space()?;
        let start = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        out.push((token, start));
        if is_end {
            return Ok(out);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error(&self, kind: ParseErrorKind, byte: usize) -> ParseError {
        ParseError::at(kind, self.text, byte)
    }

    fn skip_space(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let Some(end) = trimmed.find("*/") else {
                    return Err(self.error(ParseErrorKind::Unterminated("a comment"), self.at));
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token<'t>, ParseError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                Ok(Token::Word(self.take_while(|b| b.is_ascii_alphanumeric() || b == b'_')))
            }
            '0'..='9' => Ok(self.number()),
            '\'' => self.quoted(b'\'', "a string").map(Token::String),
            '`' => self.quoted(b'`', "an identifier").map(Token::Delimited),
            // Not in the grammar of N1, but written by tools of earlier days.
            '"' => self.quoted(b'"', "an identifier").map(Token::Delimited),
            '@' => self.date(),
            '$' => {
                let start = self.at;
                self.at += 1;
                match self.take_while(|b| b.is_ascii_alphabetic()) {
                    "this" => Ok(Token::This),
                    "index" => Ok(Token::Index),
                    "total" => Ok(Token::Total),
                    _ => Err(self.error(ParseErrorKind::UnexpectedCharacter('$'), start)),
                }
            }
            other => {
                let Some(symbol) = SYMBOLS.into_iter().find(|s| self.rest().starts_with(s)) else {
                    return Err(self.error(ParseErrorKind::UnexpectedCharacter(other), self.at));
                };
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|b| wanted(*b)).count();
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn number(&mut self) -> Token<'t> {
        let start = self.at;
        self.take_while(|b| b.is_ascii_digit());
        if self.byte(0) == b'.' && self.byte(1).is_ascii_digit() {
            self.at += 1;
            self.take_while(|b| b.is_ascii_digit());
            return Token::Decimal(self.text.get(start..self.at).unwrap_or_default());
        }
        Token::Integer(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Reads a quoted text with its escapes.
    fn quoted(&mut self, quote: u8, what: &'static str) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.rest().bytes().take_while(|b| *b != quote && *b != b'\\').count();
            out.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            match self.byte(0) {
                b'\\' => self.escape(&mut out)?,
                found if found == quote && self.at < self.text.len() => {
                    self.at += 1;
                    return Ok(out);
                }
                _ => return Err(self.error(ParseErrorKind::Unterminated(what), start)),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), ParseError> {
        let start = self.at;
        let c = match self.byte(1) {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'f' => '\u{c}',
            c @ (b'\'' | b'"' | b'`' | b'\\' | b'/') => char::from(c),
            b'u' => {
                let unit = self.unit(2).ok_or_else(|| self.error(ParseErrorKind::Escape, start))?;
                self.at += 4;
                self.surrogates(unit).ok_or_else(|| self.error(ParseErrorKind::Escape, start))?
            }
            _ => return Err(self.error(ParseErrorKind::Escape, start)),
        };
        self.at += 2;
        out.push(c);
        Ok(())
    }

    fn unit(&self, ahead: usize) -> Option<u32> {
        let digits = self.rest().get(ahead..ahead + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }

    /// Joins a high surrogate with the low one that follows; `at` is four bytes into the escape.
    fn surrogates(&mut self, unit: u32) -> Option<char> {
        if !(0xd800..0xdc00).contains(&unit) {
            return char::from_u32(unit);
        }
        if self.byte(2) != b'\\' || self.byte(3) != b'u' {
            return None;
        }
        let low = self.unit(4).filter(|low| (0xdc00..0xe000).contains(low))?;
        self.at += 6;
        char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
    }

    /// Reads what follows `@`.
    fn date(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let bad = self.error(ParseErrorKind::Date, start);
        self.at += 1;
        if self.byte(0) == b'T' {
            self.at += 1;
            let text = self.time_of_day();
            return PartialTime::parse(text).map(Token::Time).ok_or(bad);
        }
        let date_start = self.at;
        self.take_while(|b| b.is_ascii_digit() || b == b'-');
        let date_end = self.at;
        let slice = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let date = slice(date_start, date_end);
        if self.byte(0) != b'T' {
            return PartialDate::parse(date).map(Token::Date).ok_or(bad);
        }
        self.at += 1;
        if self.time_of_day().is_empty() {
            return PartialDate::parse(date).map(Token::DateTime).ok_or(bad);
        }
        match self.byte(0) {
            b'Z' => self.at += 1,
            b'+' | b'-' => {
                self.at += 1;
                self.take_while(|b| b.is_ascii_digit() || b == b':');
            }
            _ => {}
        }
        PartialDate::parse(self.text.get(date_start..self.at).unwrap_or_default())
            .map(Token::DateTime)
            .ok_or(bad)
    }

    /// Reads `hh[:mm[:ss[.fff]]]`; a point that no digit follows belongs to the path.
    fn time_of_day(&mut self) -> &'t str {
        let start = self.at;
        self.take_while(|b| b.is_ascii_digit() || b == b':');
        if self.byte(0) == b'.' && self.byte(1).is_ascii_digit() {
            self.at += 1;
            self.take_while(|b| b.is_ascii_digit());
        }
        self.text.get(start..self.at).unwrap_or_default()
    }
}

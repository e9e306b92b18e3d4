//! The tokens of the mapping language.
//!
//! FHIRPath within a map is not taken apart here: [`Lexer::expression`] finds
//! where it ends, and it is compiled with the map.

use super::error::MapError;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'m> {
    /// A name, perhaps in backquotes.
    Name(&'m str),
    /// Text in double quotes, as written.
    Double(&'m str),
    /// Text in single quotes, as written.
    Single(&'m str),
    /// A number, as written.
    Number(&'m str),
    /// Punctuation.
    Symbol(&'static str),
    /// `/// name = value`, without the slashes.
    Metadata(&'m str),
    /// Nothing more.
    End,
}

impl Token<'_> {
    /// Describes it for messages.
    pub(super) fn describe(self) -> String {
        match self {
            Token::Name(text) | Token::Number(text) => format!("`{}`", shortened(text)),
            Token::Double(text) => format!("\"{}\"", shortened(text)),
            Token::Single(text) => format!("'{}'", shortened(text)),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::Metadata(_) => "`///`".to_owned(),
            Token::End => "the end of the map".to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The symbols, the longer ones first.
const SYMBOLS: &[&str] = &[
    "<<", ">>", "->", "..", "==", "<=", ">=", "!=", "||", "<-", "{", "}", "(", ")", ",", ";", ":", "=", ".",
    "*", "<", ">", "+", "-", "/", "%", "&", "|", "~", "[", "]", "@", "$", "!",
];

/// Where a reader is within the text.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    line: u32,
}

/// Reads tokens, with one token of look-ahead.
pub(super) struct Lexer<'m> {
    text: &'m str,
    /// Where the token at hand begins.
    start: Mark,
    /// Where it ends.
    end: Mark,
    token: Token<'m>,
}

impl<'m> Lexer<'m> {
    pub(super) fn new(text: &'m str) -> Result<Lexer<'m>, MapError> {
        let mark = Mark { at: text.len() - text.trim_start_matches('\u{feff}').len(), line: 1 };
        let mut lexer = Lexer { text, start: mark, end: mark, token: Token::End };
        lexer.advance()?;
        Ok(lexer)
    }

    /// Returns the token at hand.
    pub(super) fn token(&self) -> Token<'m> {
        self.token
    }

    /// Returns the line of the token at hand.
    pub(super) fn line(&self) -> u32 {
        self.start.line
    }

    /// Makes an error at the token at hand.
    pub(super) fn error(&self, problem: impl Into<String>) -> MapError {
        MapError::at_line(self.line(), problem)
    }

    /// Makes the error of another token than the grammar asks for.
    pub(super) fn expected(&self, what: &str) -> MapError {
        self.error(format!("expected {what}, found {}", self.token.describe()))
    }

    /// Takes the token at hand and goes to the next.
    pub(super) fn take(&mut self) -> Result<Token<'m>, MapError> {
        let token = self.token;
        self.advance()?;
        Ok(token)
    }

    /// Takes the symbol, if it is at hand.
    pub(super) fn accept(&mut self, symbol: &str) -> Result<bool, MapError> {
        let is_there =
            self.token == Token::Symbol(SYMBOLS.iter().find(|s| **s == symbol).copied().unwrap_or(""));
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    /// Takes the keyword, if it is at hand.
    pub(super) fn accept_word(&mut self, word: &str) -> Result<bool, MapError> {
        let is_there = self.is_word(word);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    /// Tells whether the keyword is at hand.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Name(name) if name == word)
    }

    /// Takes a symbol that must be there.
    pub(super) fn symbol(&mut self, symbol: &str) -> Result<(), MapError> {
        if self.accept(symbol)? { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    /// Takes a keyword that must be there.
    pub(super) fn word(&mut self, word: &str) -> Result<(), MapError> {
        if self.accept_word(word)? { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// Takes a name that must be there.
    pub(super) fn name(&mut self, what: &str) -> Result<String, MapError> {
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                Ok(name.to_owned())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a text in quotes that must be there.
    pub(super) fn text(&mut self, what: &str) -> Result<String, MapError> {
        match self.token {
            Token::Double(text) | Token::Single(text) => {
                let text = unescaped(text).ok_or_else(|| self.error("unknown escape in a text"))?;
                self.advance()?;
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a code of a concept map: a text, or what stands there up to white space.
    pub(super) fn code(&mut self) -> Result<String, MapError> {
        if let Token::Double(_) | Token::Single(_) = self.token {
            return self.text("a code");
        }
        let rest = self.rest();
        let length = rest.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(rest.len());
        let code = rest.get(..length).unwrap_or_default();
        if code.is_empty() || self.token == Token::Symbol("}") {
            return Err(self.expected("a code"));
        }
        self.end = Mark { at: self.start.at + length, line: self.start.line };
        self.advance()?;
        Ok(code.to_owned())
    }

    /// Takes FHIRPath, up to what cannot belong to it: `then`, `check`, `log`,
    /// `->`, a text in double quotes, a closing bracket, `,` or `;`.
    pub(super) fn expression(&mut self) -> Result<String, MapError> {
        let (begin, line) = (self.start.at, self.start.line);
        let mut open: Vec<&'static str> = Vec::new();
        let (mut last, mut after_dot) = (begin, false);
        loop {
            match self.token {
                Token::End | Token::Metadata(_) if open.is_empty() => break,
                Token::End => return Err(MapError::at_line(line, "an expression without end")),
                Token::Double(_) | Token::Symbol("," | ";" | "->") if open.is_empty() => break,
                Token::Name("then" | "check" | "log") if open.is_empty() && !after_dot => break,
                Token::Symbol("(") => open.push(")"),
                Token::Symbol("[") => open.push("]"),
                Token::Symbol("{") => open.push("}"),
                Token::Symbol(close @ (")" | "]" | "}")) => match open.pop() {
                    Some(wanted) if wanted == close => {}
                    Some(wanted) => return Err(self.expected(&format!("`{wanted}`"))),
                    None => break,
                },
                _ => {}
            }
            after_dot = self.token == Token::Symbol(".");
            last = self.end.at;
            self.advance()?;
        }
        let text = self.text.get(begin..last).unwrap_or_default();
        if text.is_empty() { Err(self.expected("an expression")) } else { Ok(text.to_owned()) }
    }

    fn rest(&self) -> &'m str {
        self.text.get(self.start.at..).unwrap_or_default()
    }

    fn advance(&mut self) -> Result<(), MapError> {
        self.start = self.end;
        self.skip()?;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.end = self.start;
            self.token = Token::End;
            return Ok(());
        };
        let word = |rest: &'m str, is_part: fn(char) -> bool| {
            let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            rest.get(..length).unwrap_or_default()
        };
        let (token, length) = match first {
            '"' | '\'' | '`' => {
                let inner = self.quoted(rest, first)?;
                let token = match first {
                    '"' => Token::Double(inner),
                    '\'' => Token::Single(inner),
                    _ => Token::Name(inner),
                };
                (token, inner.len() + 2)
            }
            '/' if rest.starts_with("///") => {
                let line = rest.lines().next().unwrap_or_default();
                (Token::Metadata(line.get(3..).unwrap_or_default().trim()), line.len())
            }
            c if c.is_ascii_digit() => {
                let digits = number(rest);
                (Token::Number(digits), digits.len())
            }
            c if c.is_alphabetic() || c == '_' => {
                let name = word(rest, |c| c.is_alphanumeric() || c == '_');
                (Token::Name(name), name.len())
            }
            _ => {
                let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) else {
                    return Err(self.error(format!("unexpected character `{first}`")));
                };
                (Token::Symbol(symbol), symbol.len())
            }
        };
        let taken = rest.get(..length).unwrap_or_default();
        self.end =
            Mark { at: self.start.at + length, line: self.start.line + taken.matches('\n').count() as u32 };
        self.token = token;
        Ok(())
    }

    /// Returns what stands between the quotes that the text begins with.
    fn quoted(&self, rest: &'m str, quote: char) -> Result<&'m str, MapError> {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                return Ok(rest.get(1..at).unwrap_or_default());
            }
        }
        Err(self.error("a text without end"))
    }

    /// Goes over white space and comments.
    fn skip(&mut self) -> Result<(), MapError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            let skipped = if trimmed.len() < rest.len() {
                rest.len() - trimmed.len()
            } else if rest.starts_with("//") && !rest.starts_with("///") || rest.starts_with("////") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").ok_or_else(|| self.error("a comment without end"))? + 2
            } else {
                return Ok(());
            };
            self.start.line += rest.get(..skipped).unwrap_or_default().matches('\n').count() as u32;
            self.start.at += skipped;
        }
    }
}

/// Returns the number that the text begins with; `1..2` begins with `1`.
fn number(rest: &str) -> &str {
    let digits =
        |from: usize| rest.get(from..).map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
    let whole = digits(0);
    let is_decimal = rest.get(whole..).is_some_and(|r| r.starts_with('.')) && digits(whole + 1) > 0;
    let length = if is_decimal { whole + 1 + digits(whole + 1) } else { whole };
    rest.get(..length).unwrap_or_default()
}

/// Resolves the escapes of a text; `None` for one that does not exist.
pub(super) fn unescaped(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            c @ ('\\' | '/' | '\'' | '"' | '`') => c,
            _ => return None,
        });
    }
    Some(out)
}

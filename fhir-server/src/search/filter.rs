//! The grammar of `_filter`: text to expression. What the expression means
//! for the index is decided in `condition`.
//!
//! Spec: <https://hl7.org/fhir/R4/search_filter.html>

use super::error::SearchError;
use super::limits::SearchLimits;

/// An expression of `_filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterExpression {
    /// All hold.
    And(Vec<FilterExpression>),
    /// One holds.
    Or(Vec<FilterExpression>),
    /// It does not hold.
    Not(Box<FilterExpression>),
    /// A comparison.
    Test(FilterTest),
}

/// A comparison `path operator value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterTest {
    /// The search parameter, after the references that lead to it.
    pub path: Vec<FilterStep>,
    /// How it compares.
    pub operator: FilterOperator,
    /// With what; `|` and the like as in a search value.
    pub value: String,
}

/// A step of a path: a search parameter, and for `name[filter].` a filter on
/// the resource it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterStep {
    /// The code of the search parameter.
    pub code: String,
    /// The type meant, as in `subject:Patient.name`.
    pub target: Option<String>,
    /// What else must hold of the resource that the step leads to.
    pub filter: Option<Box<FilterExpression>>,
}

macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// How a [`FilterTest`] compares.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FilterOperator { $($(#[$doc])* $variant,)* }

        impl FilterOperator {
            /// Finds an operator by its code.
            pub fn of(code: &str) -> Option<FilterOperator> {
                match code { $($code => Some(FilterOperator::$variant),)* _ => None }
            }

            /// Returns the code of the operator.
            pub fn code(self) -> &'static str {
                match self { $(FilterOperator::$variant => $code,)* }
            }
        }
    };
}

operators! {
    /// Equal.
    Eq = "eq",
    /// Not equal.
    Ne = "ne",
    /// Contains.
    Co = "co",
    /// Starts with.
    Sw = "sw",
    /// Ends with.
    Ew = "ew",
    /// Greater than.
    Gt = "gt",
    /// Less than.
    Lt = "lt",
    /// Greater or equal.
    Ge = "ge",
    /// Less or equal.
    Le = "le",
    /// Approximately equal.
    Ap = "ap",
    /// Starts after.
    Sa = "sa",
    /// Ends before.
    Eb = "eb",
    /// Present, or not.
    Pr = "pr",
    /// Overlaps.
    Po = "po",
    /// Subsumed by.
    Ss = "ss",
    /// Subsumes.
    Sb = "sb",
    /// In a value set.
    In = "in",
    /// Not in a value set.
    Ni = "ni",
    /// Refers to.
    Re = "re",
}

/// Parses the text of a `_filter`.
///
/// # Errors
/// [`SearchError::BadFilter`] with the place where the grammar is broken, or
/// [`SearchError::TooMany`] past the limits.
pub fn parse_filter(text: &str, limits: &SearchLimits) -> Result<FilterExpression, SearchError> {
    if text.len() > limits.filter_bytes_max {
        return Err(SearchError::TooMany { what: "bytes of _filter", limit: limits.filter_bytes_max });
    }
    let mut reader = Reader { text, at: 0, depth: 0, depth_max: limits.filter_depth_max };
    let expression = reader.alternatives()?;
    reader.skip_space();
    match reader.rest().is_empty() {
        true => Ok(expression),
        false => Err(reader.broken("`and`, `or` or the end")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    depth_max: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn broken(&self, expected: &str) -> SearchError {
        SearchError::BadFilter { at: self.at, expected: expected.to_owned() }
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len_utf8();
        }
        found
    }

    /// The next word of letters, digits, `-` and `_`; empty when there is none.
    fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes `keyword` when it stands next as a whole word.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        let before = self.at;
        let found = self.word() == keyword;
        if !found {
            self.at = before;
        }
        found
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        self.depth += 1;
        if self.depth > self.depth_max {
            return Err(SearchError::TooMany { what: "levels of _filter", limit: self.depth_max });
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn alternatives(&mut self) -> Result<FilterExpression, SearchError> {
        self.nested(|reader| reader.series("or", Reader::conjunction, FilterExpression::Or))
    }

    fn conjunction(&mut self) -> Result<FilterExpression, SearchError> {
        self.series("and", Reader::term, FilterExpression::And)
    }

    fn series(
        &mut self,
        keyword: &str,
        part: impl Fn(&mut Self) -> Result<FilterExpression, SearchError>,
        make: impl Fn(Vec<FilterExpression>) -> FilterExpression,
    ) -> Result<FilterExpression, SearchError> {
        let first = part(self)?;
        if !self.keyword(keyword) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.keyword(keyword) {
            parts.push(part(self)?);
        }
        Ok(make(parts))
    }

    fn term(&mut self) -> Result<FilterExpression, SearchError> {
        self.skip_space();
        if self.take('(') {
            return self.group();
        }
        let before = self.at;
        if self.keyword("not") {
            self.skip_space();
            if self.take('(') {
                return Ok(FilterExpression::Not(Box::new(self.group()?)));
            }
            // `not` may also be the code of a parameter.
            self.at = before;
        }
        self.test()
    }

    /// What stands after `(`, up to `)`.
    fn group(&mut self) -> Result<FilterExpression, SearchError> {
        let inner = self.alternatives()?;
        self.skip_space();
        if self.take(')') { Ok(inner) } else { Err(self.broken("`)`")) }
    }

    fn test(&mut self) -> Result<FilterExpression, SearchError> {
        let mut path = vec![self.step()?];
        while self.take('.') {
            path.push(self.step()?);
        }
        self.skip_space();
        let before = self.at;
        let code = self.word();
        let Some(operator) = FilterOperator::of(code) else {
            self.at = before;
            return Err(self.broken("an operator such as `eq`"));
        };
        self.skip_space();
        let value = self.value()?;
        Ok(FilterExpression::Test(FilterTest { path, operator, value }))
    }

    fn step(&mut self) -> Result<FilterStep, SearchError> {
        let code = self.word().to_owned();
        if code.is_empty() {
            return Err(self.broken("a search parameter"));
        }
        let target = if self.take(':') {
            let target = self.word().to_owned();
            if target.is_empty() {
                return Err(self.broken("a resource type"));
            }
            Some(target)
        } else {
            None
        };
        let filter = if self.take('[') {
            let inner = self.alternatives()?;
            self.skip_space();
            if !self.take(']') {
                return Err(self.broken("`]`"));
            }
            Some(Box::new(inner))
        } else {
            None
        };
        Ok(FilterStep { code, target, filter })
    }

    /// A value: text in quotes (`\"`, `\\`, `\n`, `\r`, `\t`), or all up to a
    /// space or a bracket. A token may quote its code: `system|"a code"`.
    fn value(&mut self) -> Result<String, SearchError> {
        let mut value = String::new();
        while let Some(next) = self.rest().chars().next() {
            match next {
                '"' => {
                    self.at += 1;
                    self.quoted(&mut value)?;
                }
                c if c.is_whitespace() || matches!(c, ')' | ']' | '(') => break,
                c => {
                    value.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if value.is_empty() { Err(self.broken("a value")) } else { Ok(value) }
    }

    fn quoted(&mut self, value: &mut String) -> Result<(), SearchError> {
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(self.broken("a closing quote"));
            };
            self.at += next.len_utf8();
            match next {
                '"' => return Ok(()),
                '\\' => {
                    let Some(escaped) = self.rest().chars().next() else {
                        return Err(self.broken("a closing quote"));
                    };
                    self.at += escaped.len_utf8();
                    match escaped {
                        'n' => value.push('\n'),
                        'r' => value.push('\r'),
                        't' => value.push('\t'),
                        '"' | '\\' | '/' => value.push(escaped),
                        // `\,`, `\|` and `\$` stay escaped for the parameter's own reader.
                        other => value.extend(['\\', other]),
                    }
                }
                other => value.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(expression: &FilterExpression) -> String {
        let list = |word: &str, parts: &[FilterExpression]| {
            format!("({word} {})", parts.iter().map(told).collect::<Vec<_>>().join(" "))
        };
        match expression {
            FilterExpression::And(parts) => list("and", parts),
            FilterExpression::Or(parts) => list("or", parts),
            FilterExpression::Not(inner) => format!("(not {})", told(inner)),
            FilterExpression::Test(test) => {
                let steps: Vec<String> = test
                    .path
                    .iter()
                    .map(|s| {
                        let target = s.target.as_ref().map(|t| format!(":{t}")).unwrap_or_default();
                        let filter = s.filter.as_ref().map(|f| format!("[{}]", told(f))).unwrap_or_default();
                        format!("{}{target}{filter}", s.code)
                    })
                    .collect();
                format!("{} {} <{}>", steps.join("."), test.operator.code(), test.value)
            }
        }
    }

    #[test]
    fn the_grammar() {
        for (text, expected) in [
            ("given eq \"peter\"", "given eq <peter>"),
            ("given eq peter", "given eq <peter>"),
            ("given eq \"a\\\"b\\\\c\"", "given eq <a\"b\\c>"),
            ("birthdate ge 2014-10-10", "birthdate ge <2014-10-10>"),
            (
                "given eq \"peter\" and birthdate ge 2014-10-10",
                "(and given eq <peter> birthdate ge <2014-10-10>)",
            ),
            ("a eq 1 or b eq 2 and c eq 3", "(or a eq <1> (and b eq <2> c eq <3>))"),
            ("(a eq 1 or b eq 2) and c eq 3", "(and (or a eq <1> b eq <2>) c eq <3>)"),
            ("not (a eq 1)", "(not a eq <1>)"),
            ("not(a eq 1) and b pr true", "(and (not a eq <1>) b pr <true>)"),
            ("code eq http://loinc.org|1234-5", "code eq <http://loinc.org|1234-5>"),
            ("subject.name co \"pet\"", "subject.name co <pet>"),
            ("subject:Patient.name sw p", "subject:Patient.name sw <p>"),
            (
                "related[type eq \"has-component\"].target pr false",
                "related[type eq <has-component>].target pr <false>",
            ),
            ("not eq 1", "not eq <1>"),
            ("android eq 1", "android eq <1>"),
        ] {
            let parsed = parse_filter(text, &SearchLimits::default());
            assert_eq!(parsed.as_ref().map(told), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn broken_text_says_where() {
        for (text, place) in [
            ("", 0),
            ("given", 5),
            ("given xx 1", 6),
            ("given eq", 8),
            ("given eq \"x", 11),
            ("(given eq x", 11),
            ("given eq x)", 10),
            ("given eq x and", 14),
            ("a[b eq c.d eq 1", 11),
            ("a..b eq 1", 2),
        ] {
            match parse_filter(text, &SearchLimits::default()) {
                Err(SearchError::BadFilter { at, .. }) => assert_eq!(at, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let deep = "(".repeat(100_000);
        let limits = SearchLimits { filter_bytes_max: 1 << 20, ..SearchLimits::default() };
        assert!(matches!(parse_filter(&deep, &limits), Err(SearchError::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z.:()\\[\\]\"\\\\ |éandornt]{0,60}") {
            let _ = parse_filter(&text, &SearchLimits::default());
        }
    }
}

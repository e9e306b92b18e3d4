//! Matching words, for `_text` and `_content`: words that must all occur,
//! phrases in quotes, `OR`, `NOT` and `-`, and words cut short with `*`.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#content>

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A query of words: alternatives of which each word must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    alternatives: Vec<Vec<Word>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// One word, or the words of a phrase.
    parts: Vec<String>,
    is_prefix: bool,
    is_absent: bool,
}

impl Words {
    /// Reads a query; any text is one.
    pub fn parse(query: &str) -> Words {
        let mut alternatives = vec![Vec::new()];
        let mut is_absent = false;
        for (index, piece) in query.split('"').enumerate() {
            if index % 2 == 1 {
                push(&mut alternatives, piece, false, is_absent);
                is_absent = false;
                continue;
            }
            for word in piece.split_whitespace() {
                match word {
                    "OR" | "|" => alternatives.push(Vec::new()),
                    "AND" | "&" => {}
                    "NOT" | "-" => is_absent = true,
                    word => {
                        let (word, negated) = match word.strip_prefix('-') {
                            Some(rest) => (rest, true),
                            None => (word, is_absent),
                        };
                        let prefix = word.strip_suffix('*');
                        push(&mut alternatives, prefix.unwrap_or(word), prefix.is_some(), negated);
                        is_absent = false;
                    }
                }
            }
        }
        alternatives.retain(|words| !words.is_empty());
        Words { alternatives }
    }

    /// Tells whether the text, which may hold markup, answers the query.
    pub fn hold_of(&self, text: &str) -> bool {
        let text = split(text);
        self.alternatives.iter().any(|words| words.iter().all(|word| word.occurs(&text) != word.is_absent))
    }
}

fn push(alternatives: &mut [Vec<Word>], text: &str, is_prefix: bool, is_absent: bool) {
    let parts = split(text);
    if let (false, Some(words)) = (parts.is_empty(), alternatives.last_mut()) {
        words.push(Word { parts, is_prefix, is_absent });
    }
}

impl Word {
    fn occurs(&self, text: &[String]) -> bool {
        let last = self.parts.len().saturating_sub(1);
        text.windows(self.parts.len().max(1)).any(|window| {
            window.iter().zip(&self.parts).enumerate().all(|(at, (have, want))| {
                if self.is_prefix && at == last { have.starts_with(want.as_str()) } else { have == want }
            })
        })
    }
}

/// The words of a text without case, accents and markup.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut in_tag = false;
    let mut chars = text.nfkd().filter(|c| !is_combining_mark(*c)).peekable();
    while let Some(c) = chars.next() {
        match c {
            // Elsewhere it is a comparison, not markup.
            '<' => in_tag = chars.peek().is_some_and(|n| n.is_ascii_alphabetic() || matches!(n, '/' | '!')),
            '>' => in_tag = false,
            _ => {}
        }
        if !in_tag && c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_hold() {
        let text = "<div>Il paziente ha la <b>Febbre</b> alta, perché è malato</div>";
        for (query, expected) in [
            ("febbre", true),
            ("FEBBRE alta", true),
            ("perche", true),
            ("feb", false),
            ("feb*", true),
            ("\"febbre alta\"", true),
            ("\"alta febbre\"", false),
            ("febbre -tosse", true),
            ("febbre -malato", false),
            ("febbre NOT malato", false),
            ("tosse OR malato", true),
            ("tosse OR raffreddore", false),
            ("div", false),
            ("", false),
            ("\"", false),
        ] {
            assert_eq!(Words::parse(query).hold_of(text), expected, "{query}");
        }
    }

    #[test]
    fn comparisons_are_no_markup() {
        assert!(Words::parse("creatinina").hold_of("TSH < 5, creatinina 1"));
    }

    proptest! {
        #[test]
        fn never_panics(query in "\\PC{0,40}", text in "\\PC{0,60}") {
            Words::parse(&query).hold_of(&text);
        }
    }
}

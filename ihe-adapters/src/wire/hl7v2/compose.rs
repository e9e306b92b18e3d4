//! Fields made of parts: components and sub-components, as they are written.

use super::delimiters::Delimiters;
use super::escape;

/// Writes components, each a text; empty ones at the end are left out.
pub fn components(parts: &[&str], delimiters: &Delimiters) -> String {
    let written: Vec<String> = parts.iter().map(|part| escape::encode(part, delimiters)).collect();
    written_components(&written, delimiters)
}

/// Puts components together that are written already, with their sub-components.
pub fn written_components(parts: &[String], delimiters: &Delimiters) -> String {
    joined(parts, delimiters.component)
}

/// Writes a component of sub-components, each a text.
pub fn subcomponents(parts: &[&str], delimiters: &Delimiters) -> String {
    let written: Vec<String> = parts.iter().map(|part| escape::encode(part, delimiters)).collect();
    joined(&written, delimiters.subcomponent)
}

/// Puts repetitions together that are written already.
pub fn repetitions(all: &[String], delimiters: &Delimiters) -> String {
    joined(all, delimiters.repetition)
}

fn joined(parts: &[String], separator: char) -> String {
    let last = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    parts.get(..last).unwrap_or_default().join(&separator.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together() {
        let delimiters = Delimiters::default();
        assert_eq!(components(&["a^b", "", "c", "", ""], &delimiters), r"a\S\b^^c");
        assert_eq!(components(&["", ""], &delimiters), "");
        let authority = subcomponents(&["", "1.2", "ISO"], &delimiters);
        assert_eq!(authority, "&1.2&ISO");
        let written = ["7".to_owned(), String::new(), String::new(), authority];
        assert_eq!(written_components(&written, &delimiters), "7^^^&1.2&ISO");
        assert_eq!(repetitions(&["a".into(), "b".into()], &delimiters), "a~b");
    }
}

//! Texts compared whatever their case and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest text that is compared, in characters; more of it does not count.
const TEXT_CHARS_MAX: usize = 1000;

/// Takes case and accents away, and makes one space of several.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    let mut push = |c: char| {
        if c.is_whitespace() {
            space = !out.is_empty();
        } else {
            if std::mem::take(&mut space) {
                out.push(' ');
            }
            out.extend(c.to_lowercase());
        }
    };
    if text.is_ascii() {
        text.chars().take(TEXT_CHARS_MAX).for_each(&mut push);
    } else {
        text.nfkd().filter(|c| !is_combining_mark(*c)).take(TEXT_CHARS_MAX).for_each(&mut push);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        for (text, folded) in [
            ("Rossi", "rossi"),
            ("  D'Agostino   Böll ", "d'agostino boll"),
            ("NICOLÒ", "nicolo"),
            ("Straße", "straße"),
            ("ﬁ", "fi"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "[A-Za-zÀ-ÿ ]{0,40}") {
            let once = fold(&text);
            proptest::prop_assert_eq!(fold(&once), once.clone());
        }
    }
}

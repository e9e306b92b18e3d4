//! Links in texts: the specification's own are relative to its pages, and
//! made absolute where a profile takes the text over.

use fhir_model::schema::NameId;
use fhir_model::tree::{NodeId, Resource};

const PAGES: &str = "http://hl7.org/fhir/";

/// The parts of an element whose text may have links.
const TEXTS: &[&str] = &["definition", "comment", "requirements"];

/// Makes the links in the texts of an element absolute.
pub(super) fn make_absolute(made: &mut Resource, node: NodeId) {
    for part in TEXTS {
        let Some(id) = NameId::of(part) else { continue };
        let Some(held) = made.element(node).child(id) else { continue };
        let (at, text) = (held.id(), held.value().and_then(absolute));
        if let Some(text) = text {
            made.set_value(at, &text);
        }
    }
}

/// Returns the text with absolute links; `None` when there is nothing to do.
fn absolute(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find("](") {
        let (before, link) = rest.split_at(at + 2);
        out.push_str(before);
        let end = link.find(')').unwrap_or(link.len());
        let (target, _) = link.split_at(end);
        let is_page = target.contains(".html") || target.starts_with("extension-");
        if is_page && !target.contains(':') && !target.starts_with(['.', '/', '#']) {
            out.push_str(PAGES);
            changed = true;
        }
        rest = link;
    }
    out.push_str(rest);
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_to_pages_of_the_specification_become_absolute() {
        for (text, expected) in [
            ("no link", None),
            ("[a](http://x.org/y.html)", None),
            ("[a](#b.html) [c](../d.html)", None),
            (
                "see [a](b.html#c), [d](http://e)",
                Some("see [a](http://hl7.org/fhir/b.html#c), [d](http://e)"),
            ),
            ("[a](b.html", Some("[a](http://hl7.org/fhir/b.html")),
            ("](](](", None),
        ] {
            assert_eq!(super::absolute(text).as_deref(), expected, "{text}");
        }
    }
}

//! Narrative: links that lead nowhere. What XHTML may be in it, the
//! invariants txt-1 and txt-2 say.
//!
//! Spec: <https://hl7.org/fhir/R4/narrative.html>

use fhir_model::schema::name;
use fhir_model::tree::Element;

use super::{Place, Rule, Run};

impl<'r> Run<'_, 'r> {
    pub(super) fn narrative(&mut self, _place: Place<'r>, narrative: Element<'r>) {
        let Some(div) = narrative.child(name::DIV) else { return };
        let Some(xhtml) = div.value() else { return };
        if !xhtml.contains("href") {
            return;
        }
        for target in attributes(xhtml, "href") {
            if let Some(anchor) = target.strip_prefix('#') {
                let named = |attribute| attributes(xhtml, attribute).any(|a| a == anchor);
                if !anchor.is_empty() && !named("id") && !named("name") {
                    let reason = format!("the link '{target}' leads nowhere");
                    self.error(div, Rule::Narrative { reason });
                }
            } else if let Some((scheme, _)) = target.split_once(':')
                && ["urn", "javascript", "file"].contains(&scheme.to_ascii_lowercase().as_str())
            {
                let reason = format!("'{scheme}' in '{target}' is no scheme of a link");
                self.error(div, Rule::Narrative { reason });
            }
        }
    }
}

/// Returns the values of an attribute, of all tags of an XHTML text.
fn attributes<'t>(xhtml: &'t str, attribute: &'t str) -> impl Iterator<Item = &'t str> {
    xhtml.match_indices(attribute).filter_map(move |(at, _)| {
        let before = xhtml[..at].chars().next_back()?;
        if !before.is_ascii_whitespace() {
            return None;
        }
        let rest = xhtml[at + attribute.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|q| *q == '"' || *q == '\'')?;
        rest[1..].split(quote).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found() {
        let xhtml = r##"<div><a href="#a" id='x'>href="no"</a><b  href = '#b'/></div>"##;
        assert_eq!(attributes(xhtml, "href").collect::<Vec<_>>(), ["#a", "#b"]);
        assert_eq!(attributes(xhtml, "id").collect::<Vec<_>>(), ["x"]);
    }
}

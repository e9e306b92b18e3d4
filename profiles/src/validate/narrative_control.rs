//! What a profile asks of narrative by extensions on its element: sections
//! by language, and text that says where it comes from.
//!
//! Spec: <https://hl7.org/fhir/extensions/narrative.html>

use fhir_model::outcome::Severity;
use fhir_model::schema::name;
use fhir_model::tree::Element;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::profile::Profile;
use super::{Place, Rule, Run};

const LANGUAGE: &str = "http://hl7.org/fhir/StructureDefinition/narrative-language-control";
const SOURCE: &str = "http://hl7.org/fhir/StructureDefinition/narrative-source-control";

/// The classes that tell where a text comes from.
const SOURCES: &[&str] = &["boilerplate", "generated", "original", "extension", "additional"];

/// What a profile asks of a narrative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NarrativeRule {
    /// `_no`, `_yes`, `_resource`, or languages.
    languages: Vec<String>,
    /// How bad it is that a text does not say where it comes from.
    source: Option<Severity>,
}

impl NarrativeRule {
    /// Reads it off the element of a profile.
    pub(super) fn of(element: Element<'_>) -> Option<NarrativeRule> {
        let values = |url| {
            let of_url = move |e: &Element<'_>| e.text_of(name::URL) == Some(url);
            let value = |e: Element<'_>| e.child(name::VALUE)?.value().map(str::to_owned);
            element.children_named(name::EXTENSION).filter(of_url).filter_map(value)
        };
        let languages: Vec<String> = values(LANGUAGE).collect();
        let source = values(SOURCE).next().map(|severity| match severity.as_str() {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Information,
        });
        (!languages.is_empty() || source.is_some()).then_some(NarrativeRule { languages, source })
    }
}

/// What a narrative has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    /// The languages of the sections right below the `div`.
    languages: Vec<String>,
    /// Texts outside of anything that tells where they come from.
    unsourced: Vec<String>,
}

impl<'r> Run<'_, 'r> {
    /// Holds a narrative to what a profile asks of it.
    pub(super) fn narrative_rule(
        &mut self,
        place: Place<'r>,
        narrative: Element<'r>,
        rule: &NarrativeRule,
        profile: &Profile,
    ) {
        let Some(content) = narrative.text_of(name::DIV).and_then(content) else { return };
        for asked in &rule.languages {
            if let Some(reason) = language_fault(asked, place.resource.text_of(name::LANGUAGE), &content) {
                self.error_of(profile, narrative, Rule::Narrative { reason });
            }
        }
        if let Some(severity) = rule.source {
            for text in content.unsourced {
                let reason =
                    format!("the class of '{text}' does not tell its source: {}", SOURCES.join(", "));
                self.find_of(profile, severity, narrative, Rule::Narrative { reason });
            }
        }
    }
}

fn language_fault(asked: &str, of_resource: Option<&str>, content: &Content) -> Option<String> {
    let found = content.languages.join(", ");
    let has = |language: &str| content.languages.iter().any(|l| l == language);
    match asked {
        "_no" => (!content.languages.is_empty())
            .then(|| format!("it has sections by language ({found}), which are not allowed")),
        "_yes" => content
            .languages
            .is_empty()
            .then(|| "it has no sections by language, which are required".to_owned()),
        "_resource" => {
            let own = of_resource?;
            (!has(own))
                .then(|| format!("it has no section in the language of the resource, {own} (found: {found})"))
        }
        language => {
            (!has(language)).then(|| format!("it has no section in the language {language} (found: {found})"))
        }
    }
}

/// Reads a narrative; `None` where it is not XML, which the base tells.
fn content(xhtml: &str) -> Option<Content> {
    const TEXT_SHOWN_MAX: usize = 60;
    let mut reader = Reader::from_str(xhtml);
    let mut content = Content::default();
    // Whether each open element, or one around it, tells where its text comes from.
    let mut open: Vec<bool> = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() == 1 && start.local_name().as_ref() == "div" {
                    content.languages.extend(language(&start));
                }
                let outer = open.last().copied().unwrap_or(false);
                open.push(outer || has_source(&start));
            }
            Event::Empty(empty) if open.len() == 1 && empty.local_name().as_ref() == "div" => {
                content.languages.extend(language(&empty));
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Text(text) if open.last() == Some(&false) => {
                let text = text.trim().to_owned();
                if !text.is_empty() {
                    content.unsourced.push(text.chars().take(TEXT_SHOWN_MAX).collect());
                }
            }
            Event::Eof => return Some(content),
            _ => {}
        }
    }
}

fn attribute(start: &BytesStart<'_>, wanted: &[&str]) -> Option<String> {
    let found = start.attributes().flatten().find(|a| wanted.iter().any(|w| *w == a.key.as_ref()))?;
    Some(found.value.trim().to_owned())
}

fn language(start: &BytesStart<'_>) -> Option<String> {
    attribute(start, &["lang", "xml:lang"]).filter(|l| !l.is_empty())
}

fn has_source(start: &BytesStart<'_>) -> bool {
    let classes = attribute(start, &["class"]).unwrap_or_default();
    classes.split_ascii_whitespace().any(|class| SOURCES.contains(&class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narratives() {
        for (inner, languages, unsourced) in [
            ("plain", vec![], vec!["plain"]),
            ("<p class='x generated'>a <b>c</b></p>", vec![], vec![]),
            ("<p>a<b class='original'>c</b></p>d", vec![], vec!["a", "d"]),
            ("<div lang='it' class='original'>a</div><div xml:lang='en'/>", vec!["it", "en"], vec![]),
            ("<p><div lang='it'/></p>", vec![], vec![]),
        ] {
            let read = content(&format!("<div xmlns='http://www.w3.org/1999/xhtml'>{inner}</div>"));
            let read = read.unwrap_or_default();
            assert_eq!(
                (read.languages, read.unsourced.iter().map(String::as_str).collect()),
                (languages.into_iter().map(str::to_owned).collect::<Vec<_>>(), unsourced),
                "{inner}"
            );
        }
    }

    #[test]
    fn languages_asked() {
        let two = Content { languages: vec!["it".to_owned(), "de".to_owned()], unsourced: vec![] };
        let none = Content::default();
        for (asked, own, content, fault) in [
            ("_no", None, &two, true),
            ("_no", None, &none, false),
            ("_yes", None, &two, false),
            ("_yes", None, &none, true),
            ("_resource", Some("en"), &two, true),
            ("_resource", Some("it"), &two, false),
            ("_resource", None, &two, false),
            ("de", None, &two, false),
            ("fr", None, &two, true),
        ] {
            assert_eq!(language_fault(asked, own, content).is_some(), fault, "{asked} {own:?}");
        }
    }
}

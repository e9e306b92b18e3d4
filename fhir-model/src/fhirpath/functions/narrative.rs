//! The rules on the XHTML of narratives, for `htmlChecks()`.
//!
//! Spec: <https://hl7.org/fhir/R4/narrative.html#xhtml>

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// The elements that narrative may have.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "map",
    "area",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// The attributes that it may have.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
    "xmlns",
    "xml:lang",
    "xml:base",
    "xml:space",
];

/// Tells whether it is one well-formed `div` with some content and with
/// allowed elements and attributes only.
pub(super) fn is_safe(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut depth, mut roots, mut has_content) = (0usize, 0usize, false);
    loop {
        match reader.read_event() {
            Err(_) => return false,
            Ok(Event::Eof) => return depth == 0 && roots == 1 && has_content,
            Ok(Event::Start(start)) => {
                if !opens(&start, depth) {
                    return false;
                }
                roots += usize::from(depth == 0);
                depth += 1;
            }
            Ok(Event::Empty(start)) => {
                if depth == 0 || !opens(&start, depth) {
                    return false;
                }
                has_content |= start.name().as_ref() == "img";
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Text(text)) => {
                let blank = text.trim_ascii().is_empty();
                if depth == 0 && !blank {
                    return false;
                }
                has_content |= !blank;
            }
            Ok(Event::GeneralRef(_)) if depth > 0 => has_content = true,
            Ok(Event::Comment(_)) => {}
            Ok(
                Event::CData(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) | Event::GeneralRef(_),
            ) => {
                return false;
            }
        }
    }
}

fn opens(start: &BytesStart<'_>, depth: usize) -> bool {
    let name = start.name();
    let name: &str = name.as_ref();
    if (depth == 0 && name != "div") || !ELEMENTS.contains(&name) {
        return false;
    }
    start.attributes().all(|attribute| {
        attribute.is_ok_and(|attribute| {
            let key: &str = attribute.key.as_ref();
            let value = attribute.value.to_ascii_lowercase();
            ATTRIBUTES.contains(&key) && !value.trim_ascii_start().starts_with("javascript:")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn rules() {
        for (text, expected) in [
            ("<div xmlns=\"http://www.w3.org/1999/xhtml\">hello</div>", true),
            ("<div><p class=\"a\">a &amp; b</p><br/></div>", true),
            ("<div><img src=\"#a\" alt=\"x\"/></div>", true),
            ("<div> </div>", false),
            ("<p>hello</p>", false),
            ("<div><script>alert(1)</script></div>", false),
            ("<div onclick=\"x()\">a</div>", false),
            ("<div><a href=\" javascript:x()\">a</a></div>", false),
            ("<div>a</div><div>b</div>", false),
            ("<div>a<b></div>", false),
            ("<div>a", false),
            ("", false),
        ] {
            assert_eq!(is_safe(text), expected, "{text}");
        }
    }
}

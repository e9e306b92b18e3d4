//! The narrative of a section as XHTML.
//!
//! Spec: <https://hl7.org/cda/stds/core/2.0.0-sd/StructureDefinition-Section.html>

/// Writes XHTML while narrative is read.
pub(super) struct Narrative {
    out: String,
    /// The elements that are open, with what they became.
    open: Vec<&'static str>,
    /// Whether the last start tag can still become an empty element.
    is_empty: bool,
    /// White space that counts only between text.
    space: String,
}

/// What each element of narrative becomes.
#[rustfmt::skip]
const ELEMENTS: &[(&str, &str)] = &[
    ("br", "br"), ("caption", "h2"), ("col", "col"), ("colgroup", "colgroup"), ("content", "span"),
    ("footnote", "span"), ("footnoteRef", "span"), ("item", "li"), ("linkHtml", "a"), ("list", "ul"),
    ("paragraph", "p"), ("renderMultiMedia", "img"), ("sub", "sub"), ("sup", "sup"), ("table", "table"),
    ("tbody", "tbody"), ("td", "td"), ("tfoot", "tfoot"), ("th", "th"), ("thead", "thead"), ("tr", "tr"),
];

/// The attributes that are kept as they are.
#[rustfmt::skip]
const ATTRIBUTES: &[&str] = &[
    "abbr", "align", "axis", "border", "cellpadding", "cellspacing", "char", "charoff", "colspan", "frame",
    "headers", "href", "name", "rel", "rev", "rowspan", "rules", "scope", "span", "summary", "title",
    "valign", "width",
];

impl Narrative {
    pub(super) fn new() -> Narrative {
        Narrative {
            out: "<div xmlns=\"http://www.w3.org/1999/xhtml\"".to_owned(),
            open: Vec::new(),
            is_empty: true,
            space: String::new(),
        }
    }

    /// Returns how many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(super) fn start(&mut self, name: &str, attributes: &[(String, String)]) {
        self.close_tag();
        self.space.clear();
        let of = |wanted: &str| attributes.iter().find(|(n, _)| n == wanted).map(|(_, v)| v.as_str());
        let tag = match name {
            "list" if of("listType") == Some("ordered") => "ol",
            // What narrative does not have is kept for its text.
            _ => ELEMENTS.iter().find(|(n, _)| *n == name).map_or("span", |(_, tag)| *tag),
        };
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            let name = match name.as_str() {
                "ID" => "id",
                "styleCode" => "class",
                "language" => "lang",
                "referencedObject" if tag == "img" => "src",
                name if ATTRIBUTES.contains(&name) => name,
                _ => continue,
            };
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            let is_reference = name == "src" && !value.starts_with('#');
            if is_reference {
                self.out.push('#');
            }
            escape(value, true, &mut self.out);
            self.out.push('"');
        }
        self.open.push(tag);
        self.is_empty = true;
    }

    pub(super) fn text(&mut self, text: &str) {
        // Line breaks between elements are layout of the source.
        if text.trim().is_empty() && (text.contains('\n') || self.is_empty) {
            self.space.push_str(text);
            return;
        }
        self.close_tag();
        let space = std::mem::take(&mut self.space);
        self.out.push_str(&space);
        escape(text, false, &mut self.out);
    }

    pub(super) fn end(&mut self) {
        self.space.clear();
        let Some(tag) = self.open.pop() else { return };
        if self.is_empty {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(tag);
            self.out.push('>');
        }
        self.is_empty = false;
    }

    pub(super) fn finish(mut self) -> String {
        self.close_tag();
        self.out.push_str("</div>");
        self.out
    }

    fn close_tag(&mut self) {
        if self.is_empty {
            self.out.push('>');
            self.is_empty = false;
        }
    }
}

fn escape(text: &str, in_attribute: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

//! Pages for a browser: HTML in which markup is written in this program, and
//! nothing else becomes markup.

/// A page, as it is written. Only what is known at build time is markup;
/// whatever else is written becomes text, or the value of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    out: String,
}

impl Page {
    /// Writes markup of this program.
    pub(crate) fn markup(&mut self, markup: &'static str) -> &mut Page {
        self.out.push_str(markup);
        self
    }

    /// Writes text.
    pub(crate) fn text(&mut self, text: &str) -> &mut Page {
        escape(text, &mut self.out);
        self
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, element: &'static str, attributes: &[(&'static str, &str)]) -> &mut Page {
        self.out.push('<');
        self.out.push_str(element);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, &mut self.out);
            self.out.push('"');
        }
        self.out.push('>');
        self
    }

    /// Closes an element.
    pub(crate) fn close(&mut self, element: &'static str) -> &mut Page {
        self.out.push_str("</");
        self.out.push_str(element);
        self.out.push('>');
        self
    }

    /// Writes an element that holds text.
    pub(crate) fn element(
        &mut self,
        element: &'static str,
        attributes: &[(&'static str, &str)],
        text: &str,
    ) -> &mut Page {
        self.open(element, attributes).text(text).close(element)
    }

    /// Returns what was written.
    pub(crate) fn into_text(self) -> String {
        self.out
    }
}

/// Returns a text as it stands in HTML, in elements and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no such characters.
            '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_given_becomes_markup() {
        let mut page = Page::default();
        let wrong = "\"'><script>alert(1)</script>&\u{1}";
        page.open("p", &[("title", wrong)]).text(wrong).close("p").markup("<hr>");
        let expected = "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;\u{fffd}";
        assert_eq!(page.into_text(), format!("<p title=\"{expected}\">{expected}</p><hr>"));
        assert_eq!(escaped(wrong), expected);
    }
}

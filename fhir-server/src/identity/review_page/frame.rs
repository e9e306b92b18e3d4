//! What stands around each page: head, style, and what a browser may do with it.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_model::outcome::Issue;

use super::listed::Listed;
use super::words::Words;
use crate::page::Page;

const STYLE: &str = include_str!("page.css");

/// Returns what a browser may do with a page: show it with its own style, and
/// send its forms to where it came from.
pub(crate) fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
        let style = STANDARD.encode(digest);
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// Begins a page, up to its heading.
pub(super) fn begin(words: &Words) -> Page {
    let mut page = Page::default();
    page.markup("<!DOCTYPE html>\n").open("html", &[("lang", words.language)]);
    page.markup("<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.element("title", &[], words.title);
    page.markup("<style>").markup(STYLE).markup("</style></head>\n<body>");
    page.element("a", &[("class", "skip"), ("href", "#list")], words.skip);
    page.markup("<header>").element("h1", &[], words.title).markup("</header>\n");
    page
}

/// Ends a page.
pub(super) fn end(mut page: Page) -> String {
    page.markup("</main></body></html>\n");
    page.into_text()
}

/// Returns the page that says what was not done, and why.
pub(crate) fn failure(words: &Words, issue: &Issue, listed: &Listed) -> String {
    let mut page = begin(words);
    page.markup("<main id=\"list\"><section class=\"failed\" role=\"alert\">");
    page.element("h2", &[], words.failed);
    let is_changed =
        issue.detail == Some("changed") || issue.reason == fhir_model::outcome::Reason::PreconditionFailed;
    let why = if is_changed { words.changed } else { issue.diagnostics.as_str() };
    page.element("p", &[], why).markup("</section>");
    page.markup("<p>").element("a", &[("href", &listed.here())], words.back).markup("</p>");
    end(page)
}

#[cfg(test)]
mod tests {
    use fhir_model::outcome::IssueType;
    use profiles::validate::Language;

    use super::super::words::words;
    use super::*;

    #[test]
    fn what_failed_is_told_as_text() {
        let issue = Issue::error(IssueType::Value).text("<script>alert(1)</script>");
        let page = failure(words(Language::English), &issue, &Listed::default());
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
        let changed = Issue::error(IssueType::Conflict).detailed("changed").text("?");
        let page = failure(words(Language::Italian), &changed, &Listed::default());
        assert!(page.contains("Riguardali") && page.contains("lang=\"it\""), "{page}");
    }

    #[test]
    fn the_style_is_the_one_that_the_policy_names() {
        // Between the tags there is the style and nothing else, which is what browsers hash.
        let page = failure(words(Language::English), &Issue::error(IssueType::Value), &Listed::default());
        let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
        assert_eq!(style, Some(STYLE));
        assert!(content_security_policy().starts_with("default-src 'none'; style-src 'sha256-"));
    }
}

//! The page of `lanterna validate --output html`.

use std::fmt::Write;

use fhir_model::outcome::Severity;
use profiles::validate::Language;

use super::validate::Validated;
use crate::page::escaped;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #ddd}td{overflow-wrap:anywhere}\
code{font-size:.9em}.error,.fatal{color:#a4000f}.warning{color:#7a4a00}.information{color:#24507a}.valid{color:#1a6b2f}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}th,td{border-color:#444}.error,.fatal{color:#ff8a8f}\
.warning{color:#f3c178}.information{color:#9cc7f0}.valid{color:#86d69a}}";

/// Writes the page.
pub(super) fn page(all: &[Validated], language: Language) -> String {
    let (lang, title, valid, not_valid, nothing, heads) = match language {
        Language::English => {
            ("en", "Validation", "valid", "not valid", "nothing is wrong", ["Severity", "Where", "What"])
        }
        Language::Italian => {
            ("it", "Validazione", "valido", "non valido", "nessun problema", ["Gravità", "Dove", "Che cosa"])
        }
    };
    let right = all.iter().filter(|v| v.is_valid()).count();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}: {right} / {}</h1>\n",
        all.len()
    );
    for validated in all {
        let (class, verdict) = if validated.is_valid() { ("valid", valid) } else { ("error", not_valid) };
        let _ = writeln!(
            out,
            "<section><h2>{} <span class=\"{class}\">{verdict}</span></h2>",
            escaped(&validated.file)
        );
        if validated.findings.is_empty() {
            let _ = writeln!(out, "<p>{nothing}</p></section>");
            continue;
        }
        let head: String = heads.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
        let _ = writeln!(out, "<table><thead><tr>{head}</tr></thead><tbody>");
        for (severity, at, text) in &validated.findings {
            let _ = writeln!(
                out,
                "<tr><td class=\"{}\">{}</td><td><code>{}</code></td><td>{}</td></tr>",
                severity.code(),
                name(*severity, language),
                escaped(at),
                escaped(text)
            );
        }
        out.push_str("</tbody></table></section>\n");
    }
    out.push_str("</body></html>\n");
    out
}

fn name(severity: Severity, language: Language) -> &'static str {
    match (language, severity) {
        (Language::English, severity) => severity.code(),
        (Language::Italian, Severity::Fatal) => "bloccante",
        (Language::Italian, Severity::Error) => "errore",
        (Language::Italian, Severity::Warning) => "avviso",
        (Language::Italian, Severity::Information) => "informazione",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_resource_becomes_markup() {
        let finding = (Severity::Error, "Patient".to_owned(), "<script>alert(1)</script>".to_owned());
        let validated = Validated { file: "\"<b>".to_owned(), findings: vec![finding] };
        for language in [Language::English, Language::Italian] {
            let page = page(std::slice::from_ref(&validated), language);
            assert!(!page.contains("<script>") && !page.contains("<b>"));
            assert!(page.contains("&lt;script&gt;"));
        }
    }
}

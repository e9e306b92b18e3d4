//! The parameters of a URL or a form: decoded, within limits.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#escaping>

use fhir_model::outcome::{Issue, IssueType, Reason};

use crate::interaction::url::{clip, decode_query};
use crate::limits::Limits;

/// Parameters in the order given, decoded.
pub(super) type Parameters = Vec<(String, String)>;

/// Parameters that concern the answer and not the interaction.
const OF_THE_ANSWER: &[&str] = &["_format", "_pretty"];

/// Says no to a URL that is too long.
///
/// # Errors
/// 414.
pub(super) fn check_length(url_bytes: usize, limits: &Limits) -> Result<(), Issue> {
    if url_bytes <= limits.url_bytes_max {
        return Ok(());
    }
    let text = format!(
        "the URL has {url_bytes} bytes and this server takes {}; search by POST to `_search`",
        limits.url_bytes_max
    );
    Err(Issue::error(IssueType::TooLong).because(Reason::UriTooLong).text(text))
}

/// Decodes the query of a URL, or the body of a form.
///
/// # Errors
/// 400 for a bad escape, bytes that are not UTF-8, a NUL, or too many parameters.
pub(super) fn parameters(query: &str, limits: &Limits) -> Result<Parameters, Issue> {
    if query.is_empty() {
        return Ok(Parameters::new());
    }
    let count = memchr::memchr_iter(b'&', query.as_bytes()).count() + 1;
    if count > limits.parameters_max {
        let text = format!("{count} parameters are more than the {} taken here", limits.parameters_max);
        return Err(Issue::error(IssueType::TooCostly).text(text));
    }
    let parameters = decode_query(query)?;
    // No string of FHIR holds a NUL, and what is below may cut there.
    match parameters.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        Some((name, _)) => {
            let text = format!("the parameter `{}` holds a NUL", clip(name).replace('\0', ""));
            Err(Issue::error(IssueType::Value).text(text))
        }
        None => Ok(parameters),
    }
}

/// Decodes the body of a form.
///
/// # Errors
/// As [`parameters`].
pub(super) fn form(body: &[u8], limits: &Limits) -> Result<Parameters, Issue> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Issue::error(IssueType::Value).text("the form is not UTF-8"))?;
    parameters(text.trim_end_matches(['\r', '\n']), limits)
}

/// Takes out what concerns the answer alone.
pub(super) fn without_those_of_the_answer(mut parameters: Parameters) -> Parameters {
    parameters.retain(|(name, _)| !OF_THE_ANSWER.contains(&name.as_str()));
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_and_what_is_refused() {
        let limits = Limits { parameters_max: 3, ..Limits::default() };
        for (query, expected) in [
            ("", Some(vec![])),
            ("a=b+c&d=%2B", Some(vec![("a", "b c"), ("d", "+")])),
            ("a=1&a=2&&a", Some(vec![("a", "1"), ("a", "2"), ("a", "")])),
            ("a=%E2%82%AC", Some(vec![("a", "€")])),
            ("a=%", None),
            ("a=%4", None),
            ("a=%+1", None),
            ("a=%FF", None),
            ("a=%C0%AF", None),
            ("a=%00", None),
            ("a=1&b=2&c=3&d=4", None),
        ] {
            let decoded = parameters(query, &limits);
            let expected = expected
                .map(|e| e.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>());
            // Empty pairs count, so the third case stands at the limit and past it.
            if query.contains("&&") {
                assert!(decoded.is_err());
                assert_eq!(parameters(query, &Limits::default()).ok(), expected);
            } else {
                assert_eq!(decoded.ok(), expected, "{query}");
            }
        }
        assert!(form(b"a=\xff", &limits).is_err());
        assert_eq!(form(b"a=b\r\n", &limits).ok(), Some(vec![("a".to_owned(), "b".to_owned())]));
        assert_eq!(
            check_length(limits.url_bytes_max + 1, &limits).map_err(|i| i.reason),
            Err(Reason::UriTooLong)
        );
        assert!(check_length(limits.url_bytes_max, &limits).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_decoded_or_refused(query in "\\PC{0,80}", bytes: Vec<u8>) {
            let _ = parameters(&query, &Limits::default());
            let _ = form(&bytes, &Limits::default());
        }
    }
}

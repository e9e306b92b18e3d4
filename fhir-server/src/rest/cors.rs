//! Which pages of other origins may call from a browser.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#custom>,
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const TAKEN: &str = "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Request-Id, X-Security-Context";
const SHOWN: &str = "Allow, Content-Location, ETag, Last-Modified, Location, Retry-After, X-Request-Id";

/// Tells whether a browser asks only whether it may call.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds to an answer what lets pages of allowed origins read it. Cookies are
/// never let in: the origin counts for nothing but reading.
pub(super) fn allow(origins: &[String], method: &Method, asked: &HeaderMap, answer: &mut HeaderMap) {
    if origins.is_empty() {
        return;
    }
    answer.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = asked.get(ORIGIN) else { return };
    if !origins.iter().any(|o| o == "*" || o.as_bytes() == origin.as_bytes()) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if is_preflight(method, asked) {
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(TAKEN));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    } else {
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (origins, origin, expected) in [
            (vec!["https://a.example"], "https://a.example", true),
            (vec!["https://a.example"], "https://a.example.evil.com", false),
            (vec!["https://a.example"], "http://a.example", false),
            (vec!["*"], "https://b.example", true),
            (vec![], "https://a.example", false),
        ] {
            let origins: Vec<String> = origins.into_iter().map(str::to_owned).collect();
            let mut asked = HeaderMap::new();
            asked.insert(ORIGIN, HeaderValue::from_str(origin).expect("a value"));
            let mut answer = HeaderMap::new();
            allow(&origins, &Method::GET, &asked, &mut answer);
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), expected, "{origins:?} {origin}");
            assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
        }
    }
}

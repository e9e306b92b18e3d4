//! The addresses that others may have messages sent to: answers to another
//! address than that of who asks, and notifications.
//!
//! Whoever may ask could otherwise let this server send to where only this
//! server may: so the operator says where to. Scheme, host and port are
//! compared as a whole, not the beginning of a text.

use reqwest::Url;

/// Where messages may be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Callbacks {
    origins: Vec<(String, String, u16)>,
    allows_all: bool,
}

impl Callbacks {
    /// Reads a list of origins such as `https://host:8443`; `*` stands for all.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn parse(origins: &[String]) -> Result<Callbacks, String> {
        let mut callbacks = Callbacks::default();
        for text in origins {
            if text == "*" {
                callbacks.allows_all = true;
                continue;
            }
            let url = address(text).filter(|url| url.path() == "/" && url.query().is_none());
            callbacks.origins.push(url.as_ref().and_then(origin).ok_or_else(|| text.clone())?);
        }
        Ok(callbacks)
    }

    /// Tells whether messages may be sent to an address.
    pub fn allow(&self, text: &str) -> bool {
        let Some(url) = address(text) else { return false };
        self.allows_all || origin(&url).is_some_and(|origin| self.origins.contains(&origin))
    }
}

/// Reads an address by HTTP that tells no name or password.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    (is_plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

fn origin(url: &Url) -> Option<(String, String, u16)> {
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_allowed_by_its_whole_origin() {
        let listed = ["https://a.example".to_owned(), "http://127.0.0.1:9000/".to_owned()];
        let callbacks = Callbacks::parse(&listed).expect("readable");
        for (address, is_allowed) in [
            ("https://a.example/notify?x=1", true),
            ("https://A.example:443/", true),
            ("http://127.0.0.1:9000/x", true),
            ("http://a.example/", false),
            ("https://a.example.evil.example/", false),
            ("https://a.example@evil.example/", false),
            ("https://user@a.example/", false),
            ("https://a.example:8443/", false),
            ("http://127.0.0.1:9001/x", false),
            ("file:///etc/passwd", false),
            ("urn:uuid:x", false),
            ("", false),
        ] {
            assert_eq!(callbacks.allow(address), is_allowed, "{address}");
        }
        let all = Callbacks::parse(&["*".to_owned()]).expect("readable");
        assert!(all.allow("http://anywhere.example/x") && !all.allow("ftp://anywhere.example/x"));
        for wrong in ["a.example", "https://a.example/path", "ftp://a.example", "https://u:p@a.example"] {
            assert_eq!(Callbacks::parse(&[wrong.to_owned()]), Err(wrong.to_owned()));
        }
        assert!(!Callbacks::default().allow("https://a.example/"));
    }
}

//! URIs: form, and where they must be absolute.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#uri>

use fhir_model::primitive::check::is_uuid;
use fhir_model::schema::{ElementDefinition, TypeId, name, ty};
use fhir_model::tree::Element;

use super::{Place, Rule, Run};

impl<'r> Run<'_, 'r> {
    pub(super) fn uri(
        &mut self,
        place: Place<'r>,
        element: Element<'r>,
        statement: Option<&'static ElementDefinition>,
    ) {
        let Some(url) = element.value() else { return };
        if let Some(uuid) = url.strip_prefix("urn:uuid:") {
            if !is_uuid(uuid) || uuid.chars().any(|c| c.is_ascii_uppercase()) {
                self.error(element, Rule::Uuid { url: url.to_owned() });
            }
            return;
        }
        if let Some(oid) = url.strip_prefix("urn:oid:") {
            if !is_oid(oid) {
                self.error(element, Rule::Oid { url: url.to_owned() });
            }
            return;
        }
        if !self.validator.options.example_urls && is_example(url) {
            let text = format!("'{url}' is an example");
            self.error(element, Rule::Definition { reason: text });
        }
        let is_identity = element.name_id() == Some(name::URL)
            && statement.is_some_and(|s| s.types == [ty::URI])
            && place.resource.children_named(name::URL).any(|e| e == element);
        let must_be_absolute = (is_identity || element.ty() == ty::CANONICAL) && !url.starts_with('#');
        if must_be_absolute && !is_absolute(url) && url != "DOMAIN_NAME" {
            self.error(element, Rule::NotAbsolute { url: url.to_owned() });
            return;
        }
        if element.ty() == ty::CANONICAL {
            self.canonical(element, url, statement.map_or(&[], |s| s.targets));
        }
    }

    /// A canonical must mean a resource of an allowed type, where it is known at all.
    fn canonical(&mut self, element: Element<'r>, url: &str, targets: &[TypeId]) {
        if targets.is_empty() {
            return;
        }
        let definitions = self.validator.profiles.definitions();
        if targets.iter().any(|ty| definitions.find(*ty, url).is_some()) {
            return;
        }
        let (plain, _, _) = crate::definitions::split_canonical(url);
        let other = fhir_model::schema::resource_types().find(|ty| definitions.find(*ty, plain).is_some());
        if let Some(found) = other.filter(|ty| !targets.contains(ty)) {
            let rule = Rule::CanonicalType {
                url: url.to_owned(),
                found: found.name().to_owned(),
                allowed: names(targets),
            };
            self.error(element, rule);
        }
    }
}

pub(super) fn names(types: &[TypeId]) -> String {
    types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ")
}

/// Tells whether a URL has a scheme.
pub(super) fn is_absolute(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    let mut letters = scheme.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
}

fn is_oid(oid: &str) -> bool {
    let mut arcs = oid.split('.');
    arcs.next().is_some_and(|root| ["0", "1", "2"].contains(&root))
        && oid.contains('.')
        && arcs.all(|arc| {
            !arc.is_empty()
                && arc.bytes().all(|b| b.is_ascii_digit())
                && (arc == "0" || !arc.starts_with('0'))
        })
}

pub(super) fn is_example(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', ':', '?']).next().unwrap_or(""));
    ["example.org", "acme.com"].iter().any(|e| host == *e || host.ends_with(&format!(".{e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (url, absolute) in
            [("http://x", true), ("urn:x:y", true), ("Patient/1", false), ("1a:b", false), ("a:", false)]
        {
            assert_eq!(is_absolute(url), absolute, "{url}");
        }
        for (oid, valid) in [
            ("2.16.840.1", true),
            ("2", false),
            ("3.1", false),
            ("1.02", false),
            ("1..2", false),
            ("1.0", true),
        ] {
            assert_eq!(is_oid(oid), valid, "{oid}");
        }
        for (url, example) in
            [("http://example.org/x", true), ("http://a.acme.com", true), ("http://notexample.org", false)]
        {
            assert_eq!(is_example(url), example, "{url}");
        }
    }
}

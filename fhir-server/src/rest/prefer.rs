//! The `Prefer` header.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#ops>, <https://hl7.org/fhir/R4/search.html#errors>

use fhir_model::interaction::Handling;

/// What a write answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Return {
    /// Headers only.
    Minimal,
    /// The resource.
    #[default]
    Representation,
    /// An OperationOutcome.
    OperationOutcome,
}

/// What a caller prefers; what is not known is ignored, as HTTP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Preference {
    pub(super) returns: Return,
    pub(super) handling: Handling,
}

/// Parses the values of `Prefer`.
pub(super) fn parse<'h>(headers: impl Iterator<Item = &'h str>) -> Preference {
    let mut preference = Preference::default();
    for part in headers.flat_map(|h| h.split([',', ';'])) {
        match part.trim().replace(' ', "").as_str() {
            "return=minimal" => preference.returns = Return::Minimal,
            "return=representation" => preference.returns = Return::Representation,
            "return=OperationOutcome" => preference.returns = Return::OperationOutcome,
            "handling=strict" => preference.handling = Handling::Strict,
            "handling=lenient" => preference.handling = Handling::Lenient,
            _ => {}
        }
    }
    preference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let parsed = parse(["return=minimal, respond-async", "handling = strict"].into_iter());
        assert_eq!(parsed, Preference { returns: Return::Minimal, handling: Handling::Strict });
        assert_eq!(parse([].into_iter()), Preference::default());
    }
}

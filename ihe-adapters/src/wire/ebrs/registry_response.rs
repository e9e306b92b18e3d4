//! `rs:RegistryResponse`.

use super::super::namespaces::RS;
use super::super::xml::Element;
use super::registry_error::{ErrorCode, RegistryError, Severity};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All of it was done.
    Success,
    /// Some of it was done.
    PartialSuccess,
    /// Nothing was done.
    Failure,
}

impl Status {
    /// Returns its URN.
    pub fn urn(self) -> &'static str {
        match self {
            Status::Success => "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success",
            Status::PartialSuccess => "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess",
            Status::Failure => "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure",
        }
    }

    /// Finds the status of a URN.
    pub fn of_urn(urn: &str) -> Option<Status> {
        [Status::Success, Status::PartialSuccess, Status::Failure].into_iter().find(|s| s.urn() == urn)
    }

    /// Tells how a request ended of which these were the errors, and which had
    /// some result or none.
    pub fn of(errors: &[RegistryError], has_result: bool) -> Status {
        match errors.iter().map(|error| error.severity).max() {
            Some(Severity::Error) if has_result => Status::PartialSuccess,
            Some(Severity::Error) => Status::Failure,
            Some(Severity::Warning) | None => Status::Success,
        }
    }
}

/// The answer of a registry or repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryResponse {
    /// How the request ended.
    pub status: Status,
    /// What was wrong.
    pub errors: Vec<RegistryError>,
}

impl RegistryResponse {
    /// Makes the answer to a request that is done as a whole or not at all.
    pub fn of(errors: Vec<RegistryError>) -> RegistryResponse {
        RegistryResponse { status: Status::of(&errors, false), errors }
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        Element::new(RS, "RegistryResponse")
            .with_attribute("status", self.status.urn())
            .with_children(error_list(&self.errors))
    }

    /// Reads one, as a client does; `None` when it is none.
    pub fn of_element(element: &Element) -> Option<RegistryResponse> {
        let status = Status::of_urn(element.attribute("status")?)?;
        let errors = element.child(RS, "RegistryErrorList").into_iter();
        let error = |error: &Element| {
            let text = |name: &str| error.attribute(name).unwrap_or_default().to_owned();
            let code = ErrorCode::ALL.iter().find(|code| code.text() == text("errorCode"));
            let is_warning = text("severity") == Severity::Warning.urn();
            RegistryError {
                code: code.copied().unwrap_or(ErrorCode::Registry),
                context: text("codeContext"),
                location: text("location"),
                severity: if is_warning { Severity::Warning } else { Severity::Error },
            }
        };
        let errors = errors.flat_map(|list| list.children_named(RS, "RegistryError")).map(error).collect();
        Some(RegistryResponse { status, errors })
    }
}

/// Tells whether a `RegistryError`, as an element, is more than a warning.
pub fn is_error(error: &Element) -> bool {
    error.attribute("severity") != Some(Severity::Warning.urn())
}

/// Writes a list of errors; `None` when there are none.
pub fn error_list(errors: &[RegistryError]) -> Option<Element> {
    let highest = errors.iter().map(|error| error.severity).max()?;
    let error = |error: &RegistryError| {
        Element::new(RS, "RegistryError")
            .with_attribute("errorCode", error.code.text())
            .with_attribute("codeContext", error.context.as_str())
            .with_attribute("location", error.location.as_str())
            .with_attribute("severity", error.severity.urn())
    };
    Some(
        Element::new(RS, "RegistryErrorList")
            .with_attribute("highestSeverity", highest.urn())
            .with_children(errors.iter().map(error)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_error_decides_and_all_are_told() {
        let error = RegistryError::new(ErrorCode::UnknownPatientId, "1^^^&2&ISO").at("Document01");
        let warning = RegistryError { severity: Severity::Warning, ..error.clone() };
        for (errors, status, has_list) in [
            (vec![], Status::Success, false),
            (vec![warning.clone()], Status::Success, true),
            (vec![warning, error], Status::Failure, true),
        ] {
            let response = RegistryResponse::of(errors);
            assert_eq!(response.status, status);
            let element = response.to_element();
            assert_eq!(element.child(RS, "RegistryErrorList").is_some(), has_list);
            assert_eq!(RegistryResponse::of_element(&element), Some(response));
        }
        assert_eq!(RegistryResponse::of_element(&Element::new(RS, "RegistryResponse")), None);
    }
}

//! The parameters of a call, whether they came in the URL or in a Parameters resource.

use fhir_model::interaction::OperationCall;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};
use profiles::terminology::CodingRef;

/// The parameters of a call.
pub(super) struct Given<'c> {
    call: &'c OperationCall,
}

impl<'c> Given<'c> {
    /// Looks at a call; each parameter must be one of `known`.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn of(call: &'c OperationCall, known: &[&str]) -> Result<Given<'c>, Issue> {
        let given = Given { call };
        let in_url = call.query.iter().map(|(name, _)| name.as_str());
        let in_body = given.in_body().filter_map(|p| p.text_of(name::NAME));
        for named in in_url.chain(in_body) {
            if !known.contains(&named) && !named.starts_with('_') {
                let named: String = named.chars().take(64).collect();
                let text = format!(
                    "`${}` has no parameter `{named}` here; it takes {}",
                    call.name,
                    known.join(", ")
                );
                return Err(Issue::error(IssueType::NotSupported).at(named).text(text));
            }
        }
        Ok(given)
    }

    fn in_body(&self) -> impl Iterator<Item = Element<'c>> + use<'c> {
        let body = self.call.body.as_ref().filter(|b| b.resource_type() == ty::PARAMETERS);
        body.into_iter().flat_map(|b| b.root().children_named(name::PARAMETER))
    }

    /// Returns the values of a parameter that are primitives.
    pub(super) fn texts(&self, named: &str) -> Vec<&'c str> {
        let in_url = self.call.query.iter().filter(|(n, _)| n == named).map(|(_, value)| value.as_str());
        let in_body = self.in_body().filter(|p| p.text_of(name::NAME) == Some(named));
        in_url.chain(in_body.filter_map(|p| p.child(name::VALUE)?.value())).collect()
    }

    /// Returns the value of a parameter that is a primitive.
    pub(super) fn text(&self, named: &str) -> Option<&'c str> {
        self.texts(named).first().copied()
    }

    /// Returns a parameter that is a number.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn number(&self, named: &str) -> Result<Option<usize>, Issue> {
        let Some(text) = self.text(named) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Issue::error(IssueType::Value)
                .at(named)
                .text(format!("`{named}` is a whole number, not negative"))
        })
    }

    /// Tells whether a parameter is `true`.
    pub(super) fn flag(&self, named: &str) -> bool {
        self.text(named) == Some("true")
    }

    /// Returns the parameters of a name in the body, with their values and parts.
    pub(super) fn parameters(&self, named: &'c str) -> impl Iterator<Item = Element<'c>> + use<'c> {
        self.in_body().filter(move |p| p.text_of(name::NAME) == Some(named))
    }

    /// Returns the value of a parameter that is a complex type.
    pub(super) fn value(&self, named: &str) -> Option<Element<'c>> {
        self.in_body().find(|p| p.text_of(name::NAME) == Some(named))?.child(name::VALUE)
    }

    /// Returns a parameter that is a resource; the whole body, where it is no Parameters.
    pub(super) fn resource(&self, named: &str) -> Option<Resource> {
        let body = self.call.body.as_ref()?;
        if body.resource_type() != ty::PARAMETERS {
            return Some(body.clone());
        }
        let parameter = self.in_body().find(|p| p.text_of(name::NAME) == Some(named))?;
        Some(body.extract(parameter.child(name::RESOURCE)?.id()))
    }

    /// Returns the codes that are asked about: `code` with `system`, `coding`,
    /// or the codings of `codeableConcept`. `system` is that of the place of
    /// the call, for a plain code.
    pub(super) fn codings(&self, system: Option<&'c str>) -> Vec<CodingRef<'c>> {
        let of = |coding| {
            let coding = coding_of(coding)?;
            Some(CodingRef { system: coding.system.or(system), ..coding })
        };
        if let Some(code) = self.text("code") {
            let system = self.text("system").or(system);
            let version = self.text("version").or(self.text("systemVersion"));
            return vec![CodingRef { system, version, code, display: self.text("display") }];
        }
        if let Some(coding) = self.value("coding") {
            return of(coding).into_iter().collect();
        }
        let concept = self.value("codeableConcept");
        concept.into_iter().flat_map(|c| c.children_named(name::CODING)).filter_map(of).collect()
    }

    /// Returns the codes of a parameter that is given as often as there are codes.
    pub(super) fn all_codings(&self, named: &'c str) -> Vec<CodingRef<'c>> {
        let values = self.parameters(named).filter_map(|p| p.child(name::VALUE));
        values.filter_map(coding_of).filter(|c| c.system.is_some()).collect()
    }
}

fn coding_of(coding: Element<'_>) -> Option<CodingRef<'_>> {
    Some(CodingRef {
        system: coding.text_of(name::SYSTEM),
        version: coding.text_of(name::VERSION),
        code: coding.text_of(name::CODE)?,
        display: coding.text_of(name::DISPLAY),
    })
}

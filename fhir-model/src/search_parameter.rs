//! Search parameters as values.
//!
//! Spec: <https://hl7.org/fhir/R4/searchparameter.html>

use crate::generated::search_parameters::SEARCH_PARAMETERS;
use crate::schema::TypeId;

/// The type of a search parameter: what its values are and how they compare.
///
/// Spec: <https://hl7.org/fhir/R4/search.html#ptypes>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchParameterType {
    /// A number.
    Number,
    /// A date, dateTime, instant, Period or Timing.
    Date,
    /// Text, found by its beginning whatever its case and accents.
    String,
    /// A code with or without system, an identifier, a boolean.
    Token,
    /// A reference or canonical.
    Reference,
    /// Two or more other parameters that hold of the same element.
    Composite,
    /// A number with a unit.
    Quantity,
    /// A URI, compared exactly.
    Uri,
    /// Its own rules.
    Special,
}

impl SearchParameterType {
    /// Returns the code of the type.
    pub fn code(self) -> &'static str {
        match self {
            SearchParameterType::Number => "number",
            SearchParameterType::Date => "date",
            SearchParameterType::String => "string",
            SearchParameterType::Token => "token",
            SearchParameterType::Reference => "reference",
            SearchParameterType::Composite => "composite",
            SearchParameterType::Quantity => "quantity",
            SearchParameterType::Uri => "uri",
            SearchParameterType::Special => "special",
        }
    }
}

/// A component of a composite parameter.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The canonical URL of the parameter that gives its type.
    pub definition: &'static str,
    /// The FHIRPath expression, relative to the composite's own.
    pub expression: &'static str,
}

/// A search parameter of the specification.
#[derive(Debug)]
pub struct SearchParameter {
    /// Its canonical URL.
    pub url: &'static str,
    /// Its name in a search.
    pub code: &'static str,
    /// Its type.
    pub kind: SearchParameterType,
    /// The types that it is defined on; may be `Resource` or `DomainResource`.
    pub base: &'static [TypeId],
    /// The FHIRPath expression of its values; empty for some special ones.
    pub expression: &'static str,
    /// For references: the types that may be meant.
    pub targets: &'static [TypeId],
    /// For composites: the parts, in order.
    pub components: &'static [Component],
}

/// Returns every search parameter of the specification, by canonical URL.
pub fn standard_search_parameters() -> &'static [SearchParameter] {
    &SEARCH_PARAMETERS
}

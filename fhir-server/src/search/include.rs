//! `_include` and `_revinclude`: which references are followed from a page.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#include>

use fhir_model::schema::TypeId;

use super::error::{SearchError, ready};
use super::registry::Definitions;
use crate::index::row::BranchCode;

/// From whom to whom references are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeDirection {
    /// From the matches to what they refer to.
    Forward,
    /// From the matches to what refers to them.
    Reverse,
}

/// One `_include` or `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// From whom to whom.
    pub direction: IncludeDirection,
    /// The branches that are followed; none for every reference of a match.
    pub branches: Vec<BranchCode>,
    /// The type that what is referred to must have.
    pub target: Option<TypeId>,
    /// Whether it is followed from included resources too.
    pub iterates: bool,
}

impl Include {
    /// Reads the value of `_include` or `_revinclude` (`name` as written).
    ///
    /// # Errors
    /// [`SearchError::Unusable`] or [`SearchError::BadValue`] that says which
    /// part of the value is not known here.
    pub fn parse(name: &str, value: &str, definitions: &Definitions) -> Result<Include, SearchError> {
        let (plain, modifier) = name.split_once(':').map_or((name, None), |(n, m)| (n, Some(m)));
        let direction = match plain {
            "_revinclude" => IncludeDirection::Reverse,
            _ => IncludeDirection::Forward,
        };
        let unusable = |why: String| SearchError::Unusable { name: name.to_owned(), why };
        let iterates = match modifier {
            None => false,
            Some("iterate" | "recurse") => true,
            Some(other) => return Err(unusable(format!("`{plain}` has no modifier `{other}`"))),
        };
        if value == "*" && direction == IncludeDirection::Forward {
            return Ok(Include { direction, branches: Vec::new(), target: None, iterates });
        }
        let mut parts = value.splitn(3, ':');
        let (source, code, target) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let Some(code) = code else {
            return Err(unusable(format!("`{value}` is not of the form Type:parameter")));
        };
        let resource_type = |of: &str| {
            TypeId::resource_named(of).ok_or_else(|| unusable(format!("`{of}` is not a resource type")))
        };
        let source = resource_type(source)?;
        let mut target = target.filter(|t| !t.is_empty()).map(resource_type).transpose()?;
        let mut branches: Vec<BranchCode> = if code == "*" {
            definitions
                .of(source)
                .filter(|d| d.is_reference() && d.is_ready())
                .flat_map(|d| d.branches.iter().map(|b| b.branch))
                .collect()
        } else {
            match definitions.find(source, code) {
                Some(definition) if definition.is_reference() => {
                    let definition = ready(definition, &format!("{name}={value}"), source)?;
                    // `patient` asks the branch of `subject` for patients only.
                    let mut only = definition.branches.iter().map(|b| b.target);
                    let first = only.next().flatten();
                    target = target.or(first.filter(|f| only.all(|t| t == Some(*f))));
                    definition.branches.iter().map(|b| b.branch).collect()
                }
                Some(_) => return Err(unusable(format!("`{source}.{code}` is not a reference"))),
                None => {
                    return Err(SearchError::UnknownParameter {
                        name: format!("{name}={value}"),
                        on: source.name().to_owned(),
                    });
                }
            }
        };
        branches.sort_unstable();
        branches.dedup();
        if branches.is_empty() {
            return Err(unusable(format!("`{source}` has no references to follow")));
        }
        Ok(Include { direction, branches, target, iterates })
    }
}

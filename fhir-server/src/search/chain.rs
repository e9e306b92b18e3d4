//! The names of search parameters, taken apart: modifiers, chains and `_has`.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#chaining>

use super::error::SearchError;

/// The name of a parameter as a search has it, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterName<'n> {
    /// `code` or `code:modifier`.
    Plain {
        /// The code of the parameter.
        code: &'n str,
        /// What stands behind the colon.
        modifier: Option<&'n str>,
    },
    /// `code.rest` or `code:Type.rest`.
    Chain {
        /// The code of a reference parameter.
        code: &'n str,
        /// The type meant.
        target: Option<&'n str>,
        /// What must hold of what is referred to.
        rest: Box<ParameterName<'n>>,
    },
    /// `_has:Type:code:rest`.
    Has {
        /// The referring type.
        source: &'n str,
        /// Its reference parameter.
        code: &'n str,
        /// What must hold of the referring resource.
        rest: Box<ParameterName<'n>>,
    },
}

impl<'n> ParameterName<'n> {
    /// Takes a name apart, to `depth_max` steps.
    ///
    /// # Errors
    /// [`SearchError::TooMany`] past the depth; [`SearchError::Unusable`]
    /// when a part is empty.
    pub fn parse(name: &'n str, depth_max: usize) -> Result<ParameterName<'n>, SearchError> {
        ParameterName::parse_within(name, depth_max, depth_max)
    }

    /// As [`ParameterName::parse`], with `left` of the steps left.
    fn parse_within(name: &'n str, left: usize, depth_max: usize) -> Result<ParameterName<'n>, SearchError> {
        let broken = || SearchError::Unusable {
            name: name.to_owned(),
            why: format!("`{name}` is not the name of a search parameter: a part of it is empty"),
        };
        let step = |rest: &'n str| -> Result<Box<ParameterName<'n>>, SearchError> {
            let deeper = left
                .checked_sub(1)
                .ok_or(SearchError::TooMany { what: "steps in a chain", limit: depth_max })?;
            Ok(Box::new(ParameterName::parse_within(rest, deeper, depth_max)?))
        };
        if let Some(inner) = name.strip_prefix("_has:") {
            let mut parts = inner.splitn(3, ':');
            let (Some(source), Some(code), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(broken());
            };
            if source.is_empty() || code.is_empty() {
                return Err(broken());
            }
            return Ok(ParameterName::Has { source, code, rest: step(rest)? });
        }
        let (head, rest) = match name.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        let (code, after) = match head.split_once(':') {
            Some((code, after)) => (code, Some(after)),
            None => (head, None),
        };
        if code.is_empty() || after == Some("") || rest == Some("") {
            return Err(broken());
        }
        match rest {
            Some(rest) => Ok(ParameterName::Chain { code, target: after, rest: step(rest)? }),
            None => Ok(ParameterName::Plain { code, modifier: after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(name: &ParameterName<'_>) -> String {
        match name {
            ParameterName::Plain { code, modifier } => format!("{code}[{}]", modifier.unwrap_or("")),
            ParameterName::Chain { code, target, rest } => {
                format!("{code}<{}> -> {}", target.unwrap_or(""), told(rest))
            }
            ParameterName::Has { source, code, rest } => format!("{} <- {source}.{code}", told(rest)),
        }
    }

    #[test]
    fn names_come_apart() {
        for (name, expected) in [
            ("name", Some("name[]")),
            ("name:exact", Some("name[exact]")),
            ("subject:Patient", Some("subject[Patient]")),
            ("subject:Patient.name", Some("subject<Patient> -> name[]")),
            ("subject.name:exact", Some("subject<> -> name[exact]")),
            ("a.b:T.c:missing", Some("a<> -> b<T> -> c[missing]")),
            ("_has:Observation:patient:code", Some("code[] <- Observation.patient")),
            (
                "_has:Observation:patient:_has:AuditEvent:entity:agent",
                Some("agent[] <- AuditEvent.entity <- Observation.patient"),
            ),
            ("patient._has:Group:member:_id", Some("patient<> -> _id[] <- Group.member")),
            ("_has:Observation:patient:performer.name", Some("performer<> -> name[] <- Observation.patient")),
            ("_has:Observation:patient", None),
            ("_has::patient:code", None),
            ("a.", None),
            (".a", None),
            ("a:", None),
            ("", None),
        ] {
            assert_eq!(ParameterName::parse(name, 6).ok().as_ref().map(told).as_deref(), expected, "{name}");
        }
        assert!(ParameterName::parse("a.b.c.d", 3).is_ok());
        assert!(matches!(ParameterName::parse("a.b.c.d", 2), Err(SearchError::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn never_panics(name in "[a-z_:.A-Zè]{0,40}") {
            let _ = ParameterName::parse(&name, 6);
            let _ = ParameterName::parse(&format!("_has:{name}"), 6);
        }
    }
}

//! A place in a message, as ERR names it.
//!
//! Spec: HL7 v2.5.1 section 2.A.28 (ERL), 2.A.27 (ELD)

use std::fmt;

/// A place in a message; all are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// The name of the segment.
    pub segment: String,
    /// Which one of that name.
    pub sequence: usize,
    /// The field.
    pub field: Option<usize>,
    /// Which repetition of it.
    pub repetition: Option<usize>,
    /// The component.
    pub component: Option<usize>,
    /// The sub-component.
    pub subcomponent: Option<usize>,
}

impl Location {
    /// Names the first segment of a name.
    pub fn segment(name: &str) -> Location {
        Location {
            segment: name.to_owned(),
            sequence: 1,
            field: None,
            repetition: None,
            component: None,
            subcomponent: None,
        }
    }

    /// Names a field of the first segment of a name.
    pub fn field(name: &str, field: usize) -> Location {
        Location { field: Some(field), repetition: Some(1), ..Location::segment(name) }
    }

    /// Names a component of it.
    pub fn component(name: &str, field: usize, component: usize) -> Location {
        Location { component: Some(component), ..Location::field(name, field) }
    }

    /// Names the same place in another segment of the name.
    pub fn in_sequence(self, sequence: usize) -> Location {
        Location { sequence, ..self }
    }

    /// Names the same place in another repetition.
    pub fn in_repetition(self, repetition: usize) -> Location {
        Location { repetition: Some(repetition), ..self }
    }

    /// Returns the components of an ERL, as of v2.5.
    pub(super) fn as_erl(&self) -> Vec<String> {
        let number = |number: Option<usize>| number.map_or_else(String::new, |number| number.to_string());
        let mut parts = vec![self.segment.clone(), self.sequence.to_string()];
        parts.extend([self.field, self.repetition, self.component, self.subcomponent].map(number));
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        parts
    }

    /// Returns the first three components of an ELD, before v2.5.
    pub(super) fn as_eld(&self) -> [String; 3] {
        let field = self.field.map_or_else(String::new, |field| field.to_string());
        [self.segment.clone(), self.sequence.to_string(), field]
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.segment)?;
        if self.sequence > 1 {
            write!(f, "({})", self.sequence)?;
        }
        if let Some(field) = self.field {
            write!(f, "-{field}")?;
            if let Some(repetition) = self.repetition.filter(|repetition| *repetition > 1) {
                write!(f, "({repetition})")?;
            }
        }
        for part in [self.component, self.subcomponent].into_iter().flatten() {
            write!(f, ".{part}")?;
        }
        Ok(())
    }
}

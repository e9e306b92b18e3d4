//! A place in a message.

use std::fmt;

/// A place in a message; all numbers are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The name of the segment.
    pub segment: String,
    /// Which one of that name.
    pub occurrence: usize,
    /// The field.
    pub field: usize,
    /// Which repetition of it.
    pub repetition: usize,
    /// The component; none for the whole repetition.
    pub component: Option<usize>,
}

impl Place {
    /// Names a field of the first segment of a name.
    pub fn field(segment: &str, field: usize) -> Place {
        Place { segment: segment.to_owned(), occurrence: 1, field, repetition: 1, component: None }
    }

    /// Names a component of the same repetition.
    #[must_use]
    pub fn component(self, component: usize) -> Place {
        Place { component: Some(component), ..self }
    }
}

impl fmt::Display for Place {
    /// Writes `PID-3.4`, and `PID(2)-3(4).1` where numbers above 1 are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if self.occurrence > 1 {
            write!(f, "({})", self.occurrence)?;
        }
        if self.field > 0 {
            write!(f, "-{}", self.field)?;
        }
        if self.repetition > 1 {
            write!(f, "({})", self.repetition)?;
        }
        match self.component {
            Some(component) => write!(f, ".{component}"),
            None => Ok(()),
        }
    }
}

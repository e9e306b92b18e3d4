//! A part of a segment: a field, a repetition, a component, a sub-component.

use super::delimiters::Delimiters;
use super::escape;

/// How deep a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Field,
    Repetition,
    Component,
    Subcomponent,
}

/// A part of a segment, as it was written. One that is not there is empty.
///
/// What is asked of a part is asked of the first of those between: the second
/// component of a field is that of its first repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'m> {
    text: &'m str,
    level: Level,
    delimiters: &'m Delimiters,
}

impl<'m> Part<'m> {
    pub(super) fn field(text: &'m str, delimiters: &'m Delimiters) -> Part<'m> {
        Part { text, level: Level::Field, delimiters }
    }

    /// A field in which nothing is taken apart: MSH-1 and MSH-2.
    pub(super) fn whole(text: &'m str, delimiters: &'m Delimiters) -> Part<'m> {
        Part { text, level: Level::Subcomponent, delimiters }
    }

    /// Returns it as written.
    pub fn text(&self) -> &'m str {
        self.text
    }

    /// Tells whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Tells whether it says that there is no value: `""`.
    pub fn is_null(&self) -> bool {
        self.text == "\"\""
    }

    /// Returns its first sub-component, escapes decoded; `None` when that is empty or `""`.
    pub fn value(&self) -> Option<String> {
        let first = self.first(Level::Subcomponent);
        if first.is_empty() || first.is_null() {
            return None;
        }
        Some(escape::decode(first.text, self.delimiters))
    }

    /// Returns the repetitions of a field.
    pub fn repetitions(self) -> impl Iterator<Item = Part<'m>> {
        self.parts(Level::Repetition)
    }

    /// Returns the components of a repetition.
    pub fn components(self) -> impl Iterator<Item = Part<'m>> {
        self.first(Level::Repetition).parts(Level::Component)
    }

    /// Returns the sub-components of a component.
    pub fn subcomponents(self) -> impl Iterator<Item = Part<'m>> {
        self.first(Level::Component).parts(Level::Subcomponent)
    }

    /// Returns a component, counted from 1.
    pub fn component(self, number: usize) -> Part<'m> {
        nth(self.components(), number).unwrap_or(Part { text: "", level: Level::Component, ..self })
    }

    /// Returns a sub-component, counted from 1.
    pub fn subcomponent(self, number: usize) -> Part<'m> {
        nth(self.subcomponents(), number).unwrap_or(Part { text: "", level: Level::Subcomponent, ..self })
    }

    /// Returns the first part at a level.
    fn first(self, level: Level) -> Part<'m> {
        let mut part = self;
        while part.level < level {
            let next = part.level.next();
            part = part.parts(next).next().unwrap_or(Part { text: "", level: next, ..part });
        }
        part
    }

    /// Returns the parts at the level below, or itself where it is as deep.
    fn parts(self, level: Level) -> impl Iterator<Item = Part<'m>> {
        let separator = if self.level < level { level.separator(self.delimiters) } else { None };
        let (whole, rest) = match separator {
            Some(separator) => (None, Some(self.text.split(separator))),
            None => (Some(self), None),
        };
        let delimiters = self.delimiters;
        whole.into_iter().chain(rest.into_iter().flatten().map(move |text| Part { text, level, delimiters }))
    }
}

/// Returns what stands at a place that is counted from 1.
fn nth<T>(mut all: impl Iterator<Item = T>, number: usize) -> Option<T> {
    all.nth(number.checked_sub(1)?)
}

impl Level {
    fn next(self) -> Level {
        match self {
            Level::Field => Level::Repetition,
            Level::Repetition => Level::Component,
            Level::Component | Level::Subcomponent => Level::Subcomponent,
        }
    }

    /// Returns what stands between parts of this level.
    fn separator(self, delimiters: &Delimiters) -> Option<char> {
        match self {
            Level::Field => None,
            Level::Repetition => Some(delimiters.repetition),
            Level::Component => Some(delimiters.component),
            Level::Subcomponent => Some(delimiters.subcomponent),
        }
    }
}

//! A segment: read part by part, and changed.

use super::delimiters::Delimiters;
use super::escape;
use super::location::Location;
use super::part::Part;

/// A segment: its text, and what ended its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub(super) text: String,
    pub(super) line_end: &'static str,
    pub(super) delimiters: Delimiters,
}

impl Segment {
    /// Makes a segment without fields. Of the name count letters and digits.
    pub fn new(name: &str, delimiters: &Delimiters) -> Segment {
        let text = name.chars().filter(char::is_ascii_alphanumeric).take(3).collect();
        Segment { text, line_end: "\r", delimiters: *delimiters }
    }

    /// Makes the header that its delimiters begin.
    pub fn header(delimiters: &Delimiters) -> Segment {
        let text = format!("MSH{}", delimiters.write());
        Segment { text, line_end: "\r", delimiters: *delimiters }
    }

    /// Returns the name, such as `PID`; empty for an empty line.
    pub fn name(&self) -> &str {
        self.text.get(..3).unwrap_or("")
    }

    /// Returns it as written, without the end of its line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns a field as written, counted from 1 as the standard counts;
    /// MSH-1 is the field separator itself.
    pub fn field(&self, number: usize, delimiters: &Delimiters) -> Option<&str> {
        if self.name() == "MSH" {
            return match number {
                0 => None,
                1 => self.text.get(3..3 + delimiters.field.len_utf8()),
                _ => self.text.split(delimiters.field).nth(number - 1),
            };
        }
        if number == 0 { None } else { self.text.split(delimiters.field).nth(number) }
    }

    /// Returns a field to be taken apart; an empty one where there is none.
    pub fn part(&self, number: usize) -> Part<'_> {
        let text = self.field(number, &self.delimiters).unwrap_or("");
        match self.name() == "MSH" && number <= 2 {
            true => Part::whole(text, &self.delimiters),
            false => Part::field(text, &self.delimiters),
        }
    }

    /// Returns the fields, with their numbers.
    pub fn parts(&self) -> impl Iterator<Item = (usize, Part<'_>)> {
        // MSH-1 is the separator itself, and MSH-2 what follows it.
        let of_header = usize::from(self.name() == "MSH");
        let separator = (of_header == 1).then(|| (1, self.part(1)));
        let fields = self.text.split(self.delimiters.field).enumerate().skip(1);
        let fields = fields.map(move |(at, text)| match at + of_header {
            2 if of_header == 1 => (2, Part::whole(text, &self.delimiters)),
            number => (number, Part::field(text, &self.delimiters)),
        });
        separator.into_iter().chain(fields)
    }

    /// Sets a field to a text, which becomes its only component.
    #[must_use]
    pub fn with(mut self, field: usize, text: &str) -> Segment {
        let written = escape::encode(text, &self.delimiters);
        self.set_written(field, &written);
        self
    }

    /// Sets a field to components.
    #[must_use]
    pub fn with_components(mut self, field: usize, components: &[&str]) -> Segment {
        let written: Vec<String> =
            components.iter().map(|text| escape::encode(text, &self.delimiters)).collect();
        let written = written.join(&self.delimiters.component.to_string());
        self.set_written(field, &written);
        self
    }

    /// Sets what stands at a place of this segment to a text; what of the
    /// place is not told is the whole. The delimiters of a header stay.
    pub fn set(&mut self, place: &Location, text: &str) {
        let Some(field) = place.field else { return };
        let delimiters = self.delimiters;
        let written = escape::encode(text, &delimiters);
        let levels = [
            (delimiters.repetition, place.repetition),
            (delimiters.component, place.component),
            (delimiters.subcomponent, place.subcomponent),
        ];
        // A part that is told is in the first of those above which are not.
        let depth = levels.iter().rposition(|(_, number)| number.is_some()).map_or(0, |last| last + 1);
        let before = self.field(field, &delimiters).unwrap_or("").to_owned();
        let changed = replaced(&before, levels.get(..depth).unwrap_or_default(), &written);
        self.set_written(field, &changed);
    }

    /// Leaves out the fields behind one.
    pub fn truncate(&mut self, field: usize) {
        let kept = if self.name() == "MSH" { field } else { field + 1 };
        let mut fields: Vec<&str> = self.text.split(self.delimiters.field).take(kept).collect();
        while fields.len() > 1 && fields.last().is_some_and(|last| last.is_empty()) {
            fields.pop();
        }
        self.text = fields.join(&self.delimiters.field.to_string());
    }

    /// Sets a field to what is written as it stands: the caller answers for
    /// its delimiters. Line ends are escaped all the same.
    pub fn set_written(&mut self, field: usize, written: &str) {
        let at = match (self.name() == "MSH", field) {
            (_, 0) | (true, 1 | 2) => return,
            (true, field) => field - 1,
            (false, field) => field,
        };
        let delimiters = self.delimiters;
        let written: String = written
            .chars()
            .map(|c| match c {
                c if c < ' ' || c == delimiters.field => escape::encode(&c.to_string(), &delimiters),
                c => c.to_string(),
            })
            .collect();
        let mut fields: Vec<&str> = self.text.split(delimiters.field).collect();
        if fields.len() <= at {
            fields.resize(at + 1, "");
        }
        if let Some(place) = fields.get_mut(at) {
            *place = &written;
        }
        self.text = fields.join(&delimiters.field.to_string());
    }
}

/// Returns a text in which what stands at a place is replaced.
fn replaced(text: &str, levels: &[(char, Option<usize>)], by: &str) -> String {
    let Some(((separator, number), deeper)) = levels.split_first() else { return by.to_owned() };
    let at = number.unwrap_or(1).saturating_sub(1);
    let mut parts: Vec<&str> = text.split(*separator).collect();
    if parts.len() <= at {
        parts.resize(at + 1, "");
    }
    let changed = replaced(parts.get(at).copied().unwrap_or(""), deeper, by);
    if let Some(place) = parts.get_mut(at) {
        *place = &changed;
    }
    parts.join(&separator.to_string())
}

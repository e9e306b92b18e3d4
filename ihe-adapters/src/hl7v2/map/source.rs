//! A message as a source of values: what was read of it is noted, so that what
//! was not can be told.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::hl7v2::place::Place;
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::escape;
use crate::wire::hl7v2::message::Message;

/// What says in a message that there is no value any more.
const NULL: &str = "\"\"";

/// A message, taken apart once.
pub(in crate::hl7v2) struct Source<'m> {
    delimiters: Delimiters,
    segments: Vec<Segment<'m>>,
    read: RefCell<Read>,
}

/// What was read.
#[derive(Default)]
struct Read {
    /// Whether a value was, by its number.
    is_read: Vec<bool>,
    /// The numbers, in the order of reading.
    order: Vec<usize>,
}

/// A segment.
pub(in crate::hl7v2) struct Segment<'m> {
    pub(in crate::hl7v2) name: &'m str,
    /// Which one of its name, from 1.
    pub(in crate::hl7v2) occurrence: usize,
    fields: Vec<Field<'m>>,
}

type Field<'m> = Vec<Repetition<'m>>;
type Repetition<'m> = Vec<Component<'m>>;
type Component<'m> = Vec<Leaf<'m>>;

/// A sub-component: what holds a value.
struct Leaf<'m> {
    raw: &'m str,
    number: usize,
}

impl Leaf<'_> {
    fn holds_something(&self) -> bool {
        !self.raw.trim().is_empty()
    }
}

impl<'m> Source<'m> {
    /// Takes a message apart.
    pub(in crate::hl7v2) fn of(message: &'m Message) -> Source<'m> {
        let delimiters = *message.delimiters();
        let mut leaves = 0;
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut segments = Vec::new();
        for segment in message.all() {
            let (name, text) = (segment.name(), segment.text());
            let occurrence = counts.entry(name).or_default();
            *occurrence += 1;
            // MSH-1 is what separates the fields, MSH-2 the other signs.
            let (mut fields, behind) = match name {
                "MSH" => (vec![Vec::new(), Vec::new()], 2),
                _ => (Vec::new(), 1),
            };
            fields.extend(
                text.split(delimiters.field).skip(behind).map(|part| field(part, &delimiters, &mut leaves)),
            );
            segments.push(Segment { name, occurrence: *occurrence, fields });
        }
        let read = Read { is_read: vec![false; leaves], order: Vec::new() };
        Source { delimiters, segments, read: RefCell::new(read) }
    }

    /// Returns all segments, in order.
    pub(in crate::hl7v2) fn segments(&self) -> &[Segment<'m>] {
        &self.segments
    }

    /// Returns the segments of a name, in order.
    pub(in crate::hl7v2) fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Segment<'m>> {
        self.segments.iter().filter(move |segment| segment.name == name)
    }

    /// Returns the first segment of a name.
    pub(in crate::hl7v2) fn first(&self, name: &str) -> Option<&Segment<'m>> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// Returns the values of a field of a segment, one for each repetition that
    /// holds something.
    pub(in crate::hl7v2) fn values<'s>(&'s self, segment: &'s Segment<'m>, field: usize) -> Vec<Value<'s>> {
        let repetitions = field.checked_sub(1).and_then(|at| segment.fields.get(at));
        let values = repetitions.into_iter().flatten().enumerate().map(|(at, repetition)| Value {
            source: self,
            segment,
            field,
            repetition: at + 1,
            part: Part::Repetition(repetition),
        });
        values.filter(|value| !value.is_empty()).collect()
    }

    /// Returns the first value of a field.
    pub(in crate::hl7v2) fn value<'s>(&'s self, segment: &'s Segment<'m>, field: usize) -> Option<Value<'s>> {
        self.values(segment, field).into_iter().next()
    }

    /// Notes where reading stands, to come back to with [`Source::forget_since`].
    pub(in crate::hl7v2) fn mark(&self) -> usize {
        self.read.borrow().order.len()
    }

    /// Takes as unread what was read first after a mark: it led to nothing.
    pub(in crate::hl7v2) fn forget_since(&self, mark: usize) {
        let Read { is_read, order } = &mut *self.read.borrow_mut();
        for number in order.drain(mark.min(order.len())..) {
            if let Some(flag) = is_read.get_mut(number) {
                *flag = false;
            }
        }
    }

    fn note(&self, leaf: &Leaf<'_>) {
        let Read { is_read, order } = &mut *self.read.borrow_mut();
        if let Some(flag) = is_read.get_mut(leaf.number).filter(|flag| !**flag) {
            *flag = true;
            order.push(leaf.number);
        }
    }

    /// Returns the places that hold something, and whether somebody read it.
    pub(in crate::hl7v2) fn places(&self) -> Vec<(Place, bool)> {
        let read = self.read.borrow();
        let mut places: Vec<(Place, bool)> = Vec::new();
        for segment in &self.segments {
            for (field, repetitions) in segment.fields.iter().enumerate() {
                for (repetition, components) in repetitions.iter().enumerate() {
                    for (component, leaves) in components.iter().enumerate() {
                        let mut holding = leaves.iter().filter(|leaf| leaf.holds_something()).peekable();
                        if holding.peek().is_none() {
                            continue;
                        }
                        let place = Place {
                            segment: segment.name.to_owned(),
                            occurrence: segment.occurrence,
                            field: field + 1,
                            repetition: repetition + 1,
                            component: Some(component + 1),
                        };
                        let is_read = holding.all(|leaf| read.is_read.get(leaf.number) == Some(&true));
                        places.push((place, is_read));
                    }
                }
            }
        }
        places
    }

    /// Returns the places that hold something that nobody read.
    pub(in crate::hl7v2) fn unread(&self) -> Vec<Place> {
        self.places().into_iter().filter(|(_, is_read)| !is_read).map(|(place, _)| place).collect()
    }
}

fn field<'m>(text: &'m str, delimiters: &Delimiters, leaves: &mut usize) -> Field<'m> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut leaf = |raw| {
        let number = *leaves;
        *leaves += 1;
        Leaf { raw, number }
    };
    let mut component = |text: &'m str| text.split(delimiters.subcomponent).map(&mut leaf).collect();
    let mut repetition = |text: &'m str| text.split(delimiters.component).map(&mut component).collect();
    text.split(delimiters.repetition).map(&mut repetition).collect()
}

/// A value: a repetition, a component or a sub-component that holds something.
#[derive(Clone, Copy)]
pub(in crate::hl7v2) struct Value<'s> {
    source: &'s Source<'s>,
    segment: &'s Segment<'s>,
    field: usize,
    repetition: usize,
    part: Part<'s>,
}

#[derive(Clone, Copy)]
enum Part<'s> {
    Repetition(&'s Repetition<'s>),
    Component(&'s Component<'s>),
    Leaf(&'s Leaf<'s>),
}

impl<'s> Value<'s> {
    /// Returns its part of a number: a component of a repetition, a
    /// sub-component of a component; the first of what has no parts is itself.
    pub(in crate::hl7v2) fn part(self, number: usize) -> Option<Value<'s>> {
        let at = number.checked_sub(1)?;
        let part = match self.part {
            Part::Repetition(components) => Part::Component(components.get(at)?),
            Part::Component(leaves) => Part::Leaf(leaves.get(at)?),
            Part::Leaf(leaf) => (at == 0).then_some(Part::Leaf(leaf))?,
        };
        Some(Value { part, ..self }).filter(|value| !value.is_empty())
    }

    fn first(self) -> Option<&'s Leaf<'s>> {
        match self.part {
            Part::Repetition(components) => components.first()?.first(),
            Part::Component(leaves) => leaves.first(),
            Part::Leaf(leaf) => Some(leaf),
        }
    }

    fn is_empty(self) -> bool {
        match self.part {
            Part::Repetition(components) => !components.iter().flatten().any(Leaf::holds_something),
            Part::Component(leaves) => !leaves.iter().any(Leaf::holds_something),
            Part::Leaf(leaf) => !leaf.holds_something(),
        }
    }

    /// Tells whether it says that there is no value any more: `""` and nothing else.
    pub(in crate::hl7v2) fn is_null(self) -> bool {
        self.first().is_some_and(|leaf| leaf.raw.trim() == NULL) && self.holding() == 1
    }

    /// Returns how many values it holds.
    fn holding(self) -> usize {
        let holds = |leaf: &&Leaf<'_>| leaf.holds_something();
        match self.part {
            Part::Repetition(components) => components.iter().flatten().filter(holds).count(),
            Part::Component(leaves) => leaves.iter().filter(holds).count(),
            Part::Leaf(leaf) => usize::from(leaf.holds_something()),
        }
    }

    /// Returns the text of its first sub-component, escapes decoded, and notes
    /// that it was read; `None` where that is empty or `""`.
    pub(in crate::hl7v2) fn text(self) -> Option<String> {
        let leaf = self.first().filter(|leaf| leaf.holds_something())?;
        self.source.note(leaf);
        if leaf.raw.trim() == NULL {
            return None;
        }
        Some(self.decoded(leaf)).filter(|text| !text.trim().is_empty())
    }

    /// Returns the same without noting that it was read.
    pub(in crate::hl7v2) fn peek(self) -> Option<String> {
        let leaf = self.first().filter(|leaf| leaf.holds_something() && leaf.raw.trim() != NULL)?;
        Some(self.decoded(leaf))
    }

    fn decoded(self, leaf: &Leaf<'_>) -> String {
        let text = escape::decode(leaf.raw, &self.source.delimiters);
        // FHIR has no control characters but these.
        let is_kept = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        if text.chars().all(is_kept) { text } else { text.chars().filter(|c| is_kept(*c)).collect() }
    }

    /// Returns the text of a component in which what separates sub-components
    /// is part of the text, without noting that it was read.
    pub(in crate::hl7v2) fn peek_whole(self) -> Option<String> {
        let Part::Component(leaves) = self.part else { return self.peek() };
        let texts: Vec<String> = leaves.iter().map(|leaf| self.decoded(leaf)).collect();
        Some(texts.join(&self.source.delimiters.subcomponent.to_string()))
    }

    /// Returns the text of one of its parts.
    pub(in crate::hl7v2) fn text_of(self, part: usize) -> Option<String> {
        self.part(part)?.text()
    }

    /// Returns the text of one of its parts without noting that it was read.
    pub(in crate::hl7v2) fn peek_of(self, part: usize) -> Option<String> {
        self.part(part)?.peek()
    }

    /// Returns the whole as it is written, and notes that it was read.
    pub(in crate::hl7v2) fn written(self) -> String {
        self.note_all();
        self.raw()
    }

    /// Returns the whole as it is written, without noting that it was read.
    pub(in crate::hl7v2) fn raw(self) -> String {
        let delimiters = &self.source.delimiters;
        let component = |leaves: &Component<'_>| {
            let leaves: Vec<&str> = leaves.iter().map(|leaf| leaf.raw).collect();
            leaves.join(&delimiters.subcomponent.to_string())
        };
        match self.part {
            Part::Repetition(components) => {
                let components: Vec<String> = components.iter().map(component).collect();
                components.join(&delimiters.component.to_string())
            }
            Part::Component(leaves) => component(leaves),
            Part::Leaf(leaf) => leaf.raw.to_owned(),
        }
    }

    /// Notes all of it as read.
    pub(in crate::hl7v2) fn note_all(self) {
        let note = |leaf: &Leaf<'_>| self.source.note(leaf);
        match self.part {
            Part::Repetition(components) => components.iter().flatten().for_each(note),
            Part::Component(leaves) => leaves.iter().for_each(note),
            Part::Leaf(leaf) => note(leaf),
        }
    }

    /// Returns where it stands.
    pub(in crate::hl7v2) fn place(self) -> Place {
        Place {
            segment: self.segment.name.to_owned(),
            occurrence: self.segment.occurrence,
            field: self.field,
            repetition: self.repetition,
            component: None,
        }
    }
}

//! Reads JSON straight into the resource tree, against the element tables.
//!
//! Unknown elements, wrong JSON types, bad primitives, duplicate keys, empty
//! arrays and objects and misplaced `null` are refused with their FHIRPath
//! location. Cardinality, bindings and invariants are not looked at here.
//!
//! Spec: <https://hl7.org/fhir/R4/json.html>

use std::collections::HashMap;

pub(crate) use super::fault::{Collected, Failure, Result2, Within, count, note, placed, shortened};
pub use super::fault::{DEPTH_MAX, FAULTS_MAX, ReadError, ReadErrorKind, Reading};
use crate::primitive::check;
use crate::schema::{JsonForm, Property, TypeId, ty};
use crate::tree::{Element, NodeId, Resource, TEXT_BYTES_MAX};

/// Reads a resource from JSON.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(document: impl Into<Vec<u8>>) -> Result<Resource, ReadError> {
    let text = String::from_utf8(document.into()).map_err(|e| ReadError {
        kind: ReadErrorKind::Utf8,
        location: String::new(),
        offset: e.utf8_error().valid_up_to(),
    })?;
    // A byte order mark is allowed at the start and means nothing.
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    if text.len() > TEXT_BYTES_MAX / 2 {
        return Err(ReadError { kind: ReadErrorKind::TooLong, location: String::new(), offset: 0 });
    }
    let mut reader = Reader::<false>::of(&text, start, None);
    match reader.document() {
        Ok(()) => {
            let Reader { unescaped, mut resource, .. } = reader;
            resource.take_text(text, &unescaped);
            Ok(resource)
        }
        Err(failure) => Err(failure.into_error()),
    }
}

/// Reads a resource from JSON and goes on past what is wrong: properties that
/// are not known or have the wrong form are left out, primitives outside of
/// their grammar are kept as text. Only a document that is not well-formed
/// JSON, or says no resource type, has no resource.
pub fn read_all(document: impl Into<Vec<u8>>) -> Reading {
    let document = document.into();
    let mut faults = Vec::new();
    let text = match String::from_utf8(document) {
        Ok(text) => text,
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            faults.push(ReadError { kind: ReadErrorKind::Utf8, location: String::new(), offset });
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
    };
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    if text.len() > TEXT_BYTES_MAX / 2 {
        faults.push(ReadError { kind: ReadErrorKind::TooLong, location: String::new(), offset: 0 });
        return Reading::new(None, faults, HashMap::new(), &text);
    }
    let mut reader = Reader::<true>::of(&text, start, Some(Collected::default()));
    let outcome = reader.document();
    let Reader { unescaped, mut resource, collected, .. } = reader;
    let Collected { faults: found, offsets, .. } = collected.unwrap_or_default();
    faults.extend(found.into_iter().map(Failure::into_error));
    match outcome {
        Ok(()) => {
            let mut reading = Reading::new(None, faults, offsets, &text);
            resource.take_text(text, &unescaped);
            reading.resource = Some(resource);
            reading
        }
        Err(failure) => {
            faults.push(failure.into_error());
            Reading::new(None, faults, offsets, &text)
        }
    }
}

/// Which properties an object has had: up to 320, the widest type has fewer.
#[derive(Default)]
struct Seen([u64; 5]);

impl Seen {
    /// Marks a property; tells whether it was marked before.
    fn mark(&mut self, index: usize) -> bool {
        let bit = 1u64 << (index % 64);
        let word = &mut self.0[(index / 64).min(4)];
        let was = *word & bit != 0;
        *word |= bit;
        was
    }

    fn is_marked(&self, index: usize) -> bool {
        self.0[(index / 64).min(4)] & (1u64 << (index % 64)) != 0
    }
}

/// Reads one document; `ALL` tells whether it goes on past faults. That is known
/// when it is compiled, so that reading to the first fault pays nothing for it.
struct Reader<'s, const ALL: bool> {
    source: &'s [u8],
    text: &'s str,
    at: usize,
    /// Where faults are gathered; without, the first one ends the reading.
    collected: Option<Collected>,
    /// Text of strings that had escapes; lies behind the source in the end.
    unescaped: String,
    resource: Resource,
}

/// A string's place in the text of the resource to be.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

impl<'s, const ALL: bool> Reader<'s, ALL> {
    fn of(text: &'s str, start: usize, collected: Option<Collected>) -> Reader<'s, ALL> {
        Reader {
            source: text.as_bytes(),
            text,
            at: start,
            collected,
            unescaped: String::new(),
            resource: Resource::with_text_guess(text.len()),
        }
    }

    /// Takes note of a failure and goes on behind the value at `value_at`;
    /// gives it back where reading ends at the first, or cannot go on.
    #[cold]
    fn recover(&mut self, failure: Box<Failure>, value_at: usize, depth: usize) -> Result2<()> {
        let goes_on = !matches!(failure.kind, ReadErrorKind::Syntax(_) | ReadErrorKind::TooDeep);
        let Some(collected) = self.collected.as_mut().filter(|c| goes_on && c.faults.len() < FAULTS_MAX)
        else {
            return Err(failure);
        };
        collected.faults.push(*failure);
        self.at = value_at;
        self.skip_value(depth)
    }

    fn note<T: Default>(&mut self, failed: Result2<T>) -> Result2<T> {
        note(&mut self.collected, failed, T::default())
    }

    /// Runs `read`, and adds a part to the path of its failure and of the faults that it passed over.
    fn inside<T>(
        &mut self,
        part: impl Fn() -> String,
        read: impl FnOnce(&mut Self) -> Result2<T>,
    ) -> Result2<T> {
        if !ALL {
            return read(self).within(part);
        }
        let before = count(&self.collected);
        let outcome = read(self);
        placed(&mut self.collected, before, outcome, part)
    }

    fn fail<T>(&self, kind: ReadErrorKind) -> Result2<T> {
        Err(Box::new(Failure { kind, offset: self.at, path: Vec::new() }))
    }

    fn syntax<T>(&self, what: &str) -> Result2<T> {
        let found = match self.source.get(self.at) {
            None => format!("{what} expected, but the document ends"),
            Some(_) => format!("{what} expected"),
        };
        self.fail(ReadErrorKind::Syntax(found))
    }

    fn document(&mut self) -> Result2<()> {
        self.skip_space();
        if self.peek() != Some(b'{') {
            return self.syntax("an object");
        }
        let resource_type = self.resource_type_ahead()?;
        let root = self.resource.root_id();
        self.resource.set_type(root, resource_type);
        self.inside(|| resource_type.name().to_owned(), |reader| reader.object(root, resource_type, 1))?;
        self.skip_space();
        if self.at < self.source.len() {
            return self.syntax("the end");
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes past white space and `byte`, if it stands there.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Finds the resource type of the object that begins here, without moving.
    fn resource_type_ahead(&mut self) -> Result2<TypeId> {
        let begin = self.at;
        self.at += 1;
        let mut found = None;
        while found.is_none() {
            self.skip_space();
            if self.peek() != Some(b'"') {
                break;
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return self.syntax("`:`");
            }
            self.skip_space();
            if self.span_text(key) == "resourceType" {
                if self.peek() != Some(b'"') {
                    return self
                        .fail(ReadErrorKind::WrongType { expected: "a string" })
                        .within(|| "resourceType".to_owned());
                }
                found = Some(self.string()?);
            } else {
                self.skip_value(1)?;
                if !self.eat(b',') {
                    break;
                }
            }
        }
        let resource_type = found.map(|span| self.span_text(span));
        let known = resource_type.and_then(TypeId::resource_named);
        if let Some(known) = known {
            self.at = begin;
            return Ok(known);
        }
        let told = match resource_type {
            Some(name) => format!("`{}` is not a resource type of FHIR R4", shortened(name)),
            None => "no `resourceType`".to_owned(),
        };
        self.at = begin;
        self.fail(ReadErrorKind::ResourceType(told))
    }

    /// Reads the object of an element of a type into `node`.
    fn object(&mut self, node: NodeId, of: TypeId, depth: usize) -> Result2<()> {
        if depth > DEPTH_MAX {
            return self.fail(ReadErrorKind::TooDeep);
        }
        let definition = of.definition();
        let is_resource = definition.kind == crate::schema::TypeKind::Resource;
        let mut seen = Seen::default();
        let mut seen_extras = Seen::default();
        let mut seen_elements = Seen::default();
        let mut seen_resource_type = false;
        let mut last: Option<NodeId> = None;
        let mut hint = 0;
        self.at += 1;
        if self.eat(b'}') {
            let empty = self.fail(ReadErrorKind::Empty("an object must not be empty"));
            return self.note(empty);
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.syntax("a name");
            }
            let key_at = self.at;
            let key = self.string()?;
            if !self.eat(b':') {
                return self.syntax("`:`");
            }
            self.skip_space();
            let (found, is_extra, is_resource_type) = {
                let name = self.span_text(key);
                let extra = name.strip_prefix('_');
                (
                    definition.property(extra.unwrap_or(name), hint),
                    extra.is_some(),
                    is_resource && name == "resourceType",
                )
            };
            let value_at = self.at;
            let read = if is_resource_type {
                if std::mem::replace(&mut seen_resource_type, true) {
                    self.fail(ReadErrorKind::Duplicate("resourceType".to_owned()))
                } else {
                    self.skip_value(depth)
                }
            } else if let Some((index, property)) =
                found.filter(|(_, p)| !is_extra || p.ty.definition().is_primitive())
            {
                hint = index + usize::from(!is_extra);
                let other_choice = property.element.is_choice && {
                    let again = seen.is_marked(index) || seen_extras.is_marked(index);
                    seen_elements.mark(usize::from(property.element.order)) && !again
                };
                if if is_extra { seen_extras.mark(index) } else { seen.mark(index) } || other_choice {
                    self.fail(ReadErrorKind::Duplicate(property.name.to_owned()))
                } else {
                    let had = seen.is_marked(index) && seen_extras.is_marked(index);
                    self.property(node, property, is_extra, had, &mut last, depth)
                }
            } else {
                let name = shortened(self.span_text(key)).to_owned();
                self.at = key_at;
                self.fail(ReadErrorKind::UnknownElement(name))
            };
            if let Err(failure) = read {
                self.recover(failure, value_at, depth)?;
            }
            if self.eat(b'}') {
                break;
            }
            if !self.eat(b',') {
                return self.syntax("`,` or `}`");
            }
        }
        if ALL {
            self.without_unknown_resources(node);
        }
        let empty = self.no_empty_elements(node);
        self.note(empty)
    }

    /// Takes out resources of which the type could not be told.
    fn without_unknown_resources(&mut self, node: NodeId) {
        let untold = |child: &Element<'_>| child.ty() == ty::RESOURCE;
        let unknown: Vec<NodeId> =
            self.resource.element(node).children().filter(untold).map(|child| child.id()).collect();
        for child in unknown {
            self.resource.remove(node, child);
        }
    }

    /// Refuses primitives that have neither value nor extension: a `null` without sense.
    fn no_empty_elements(&self, node: NodeId) -> Result2<()> {
        for child in self.resource.element(node).children() {
            let is_known = || ALL && self.collected.as_ref().is_some_and(|c| c.broken.contains(&child.id()));
            if child.is_empty() && child.definition().is_primitive() && !is_known() {
                let name = child.property().map_or("", |p| p.name);
                return self
                    .fail(ReadErrorKind::Empty("`null` without an extension in its place"))
                    .within(|| format!(".{name}"));
            }
        }
        Ok(())
    }

    /// Reads the value of a property. `had`: its other half (`name` or
    /// `_name`) came before, so its nodes are there already.
    fn property(
        &mut self,
        parent: NodeId,
        property: &'static Property,
        is_extra: bool,
        had: bool,
        last: &mut Option<NodeId>,
        depth: usize,
    ) -> Result2<()> {
        let name = property.element.name;
        if !property.element.is_array() {
            if self.peek() == Some(b'[') {
                return self
                    .fail(ReadErrorKind::WrongType { expected: "one value, not a list" })
                    .within(|| format!(".{name}"));
            }
            let known = if had { self.repetition(parent, property) } else { None };
            let node = known.unwrap_or_else(|| self.append(parent, property, last));
            return self
                .inside(|| format!(".{name}"), |reader| reader.value(node, property, is_extra, depth));
        }
        if self.peek() != Some(b'[') {
            let no_list =
                self.fail(ReadErrorKind::WrongType { expected: "a list" }).within(|| format!(".{name}"));
            self.note::<()>(no_list)?;
            let node = self.append(parent, property, last);
            return self
                .inside(|| format!(".{name}[0]"), |reader| reader.value(node, property, is_extra, depth));
        }
        self.at += 1;
        if self.eat(b']') {
            return self.fail(ReadErrorKind::Empty("a list must not be empty")).within(|| format!(".{name}"));
        }
        let is_primitive = property.ty.definition().is_primitive();
        let mut index = 0;
        let mut before = None;
        loop {
            self.skip_space();
            // Repetitions stand next to each other: what follows is found without a search.
            let known = match before {
                _ if !had => None,
                None => self.repetition(parent, property),
                Some(before) => self.resource.next_repetition(before),
            };
            let node = match (known, before) {
                (Some(node), _) => node,
                (None, Some(before)) if had => {
                    let node = self.resource.insert_after(before, property, property.ty);
                    if *last == Some(before) {
                        *last = Some(node);
                    }
                    node
                }
                _ => self.append(parent, property, last),
            };
            before = Some(node);
            if is_primitive && self.source[self.at..].starts_with(b"null") {
                self.at += 4;
            } else {
                let value_at = self.at;
                let read = self.inside(
                    || format!(".{name}[{index}]"),
                    |reader| reader.value(node, property, is_extra, depth),
                );
                if let Err(failure) = read {
                    self.recover(failure, value_at, depth)?;
                }
            }
            index += 1;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.syntax("`,` or `]`");
            }
        }
    }

    fn append(&mut self, parent: NodeId, property: &'static Property, last: &mut Option<NodeId>) -> NodeId {
        let node = self.resource.append_after(parent, *last, property, property.ty);
        *last = Some(node);
        node
    }

    /// Finds the first repetition of a property.
    fn repetition(&self, parent: NodeId, property: &'static Property) -> Option<NodeId> {
        let mut children = self.resource.element(parent).children();
        children.find(|c| c.property().is_some_and(|p| std::ptr::eq(p, property))).map(|c| c.id())
    }

    fn value(
        &mut self,
        node: NodeId,
        property: &'static Property,
        is_extra: bool,
        depth: usize,
    ) -> Result2<()> {
        let read = self.value_of(node, property, is_extra, depth);
        if ALL && let (Err(_), Some(collected)) = (&read, &mut self.collected) {
            collected.broken.insert(node);
        }
        read
    }

    fn value_of(
        &mut self,
        node: NodeId,
        property: &'static Property,
        is_extra: bool,
        depth: usize,
    ) -> Result2<()> {
        let definition = property.ty.definition();
        if ALL && let Some(collected) = &mut self.collected {
            collected.offsets.insert(node, u32::try_from(self.at).unwrap_or(u32::MAX));
        }
        let Some(form) = definition.json_form().filter(|_| !is_extra) else {
            if self.peek() != Some(b'{') {
                return self.fail(ReadErrorKind::WrongType { expected: "an object" });
            }
            let mut of = property.ty;
            if of == ty::RESOURCE {
                of = self.resource_type_ahead()?;
                self.resource.set_type(node, of);
            }
            return self.object(node, of, depth + 1);
        };
        let begin = self.at;
        let span = match form {
            JsonForm::String => {
                if self.peek() != Some(b'"') {
                    return self.fail(ReadErrorKind::WrongType { expected: "a string" });
                }
                self.string()?
            }
            JsonForm::Number => {
                if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
                    return self.fail(ReadErrorKind::WrongType { expected: "a number" });
                }
                self.number()?
            }
            JsonForm::Boolean => {
                if !matches!(self.peek(), Some(b't' | b'f')) {
                    return self.fail(ReadErrorKind::WrongType { expected: "true or false" });
                }
                self.literal()?
            }
        };
        let text = self.span_text(span);
        if text.is_empty() {
            self.at = begin;
            return self.fail(ReadErrorKind::Empty("a string must not be empty"));
        }
        if !check::is_valid(property.ty, text) {
            let end = std::mem::replace(&mut self.at, begin);
            let bad = self.fail(ReadErrorKind::BadPrimitive(definition.name));
            self.note::<()>(bad)?;
            self.at = end;
        }
        self.resource.set_span(node, span.start, span.len);
        Ok(())
    }

    fn span_text(&self, span: Span) -> &str {
        let base = self.text.len();
        if span.start >= base {
            &self.unescaped[span.start - base..span.start - base + span.len]
        } else {
            &self.text[span.start..span.start + span.len]
        }
    }

    /// Reads the string that begins here.
    fn string(&mut self) -> Result2<Span> {
        self.at += 1;
        let start = self.at;
        let Some(len) = self.source[start..].iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\')
        else {
            self.at = self.source.len();
            return self.syntax("`\"`");
        };
        self.at += len;
        match self.source[self.at] {
            b'"' => {
                self.at += 1;
                Ok(Span { start, len })
            }
            b'\\' => self.escaped_string(start),
            _ => self.syntax("no control character in a string"),
        }
    }

    /// Reads on in a string whose first escape stands here.
    fn escaped_string(&mut self, start: usize) -> Result2<Span> {
        let begin = self.unescaped.len();
        let mut plain_from = start;
        loop {
            let rest = &self.source[self.at..];
            let Some(len) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') else {
                self.at = self.source.len();
                return self.syntax("`\"`");
            };
            self.at += len;
            self.unescaped.push_str(&self.text[plain_from..self.at]);
            match self.source[self.at] {
                b'"' => {
                    self.at += 1;
                    let len = self.unescaped.len() - begin;
                    return Ok(Span { start: self.text.len() + begin, len });
                }
                b'\\' => {
                    self.at += 1;
                    let c = self.escape()?;
                    self.unescaped.push(c);
                    plain_from = self.at;
                }
                _ => return self.syntax("no control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result2<char> {
        let Some(kind) = self.peek() else { return self.syntax("an escape") };
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = self.hex4()?;
                if (0xD800..0xDC00).contains(&code) && self.source[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex4()?;
                    if !(0xDC00..0xE000).contains(&low) {
                        return self.syntax("the second half of a surrogate pair");
                    }
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                match char::from_u32(code) {
                    Some(c) => c,
                    None => return self.syntax("a whole surrogate pair"),
                }
            }
            _ => return self.syntax("a known escape"),
        })
    }

    fn hex4(&mut self) -> Result2<u32> {
        let digits = self.source.get(self.at..self.at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let value =
            digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u32::from_str_radix(d, 16).ok());
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.syntax("four hexadecimal digits"),
        }
    }

    /// Reads the number that begins here, by the grammar of JSON.
    fn number(&mut self) -> Result2<Span> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return self.syntax("a digit");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.syntax("a digit");
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.syntax("a digit");
            }
        }
        Ok(Span { start, len: self.at - start })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    /// Reads `true`, `false` or `null`.
    fn literal(&mut self) -> Result2<Span> {
        for word in ["true", "false", "null"] {
            if self.source[self.at..].starts_with(word.as_bytes()) {
                let start = self.at;
                self.at += word.len();
                return Ok(Span { start, len: word.len() });
            }
        }
        self.syntax("a value")
    }

    /// Goes past a value of any kind.
    fn skip_value(&mut self, depth: usize) -> Result2<()> {
        if depth > DEPTH_MAX {
            return self.fail(ReadErrorKind::TooDeep);
        }
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(open @ (b'{' | b'[')) => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                if self.eat(close) {
                    return Ok(());
                }
                loop {
                    if open == b'{' {
                        self.skip_space();
                        if self.peek() != Some(b'"') {
                            return self.syntax("a name");
                        }
                        self.string()?;
                        if !self.eat(b':') {
                            return self.syntax("`:`");
                        }
                    }
                    self.skip_value(depth + 1)?;
                    if self.eat(close) {
                        return Ok(());
                    }
                    if !self.eat(b',') {
                        return self.syntax("`,`");
                    }
                }
            }
            _ => self.literal().map(drop),
        }
    }
}

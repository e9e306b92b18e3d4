//! Writes the resource tree as JSON: minified, in document order, decimals as
//! they came.
//!
//! Spec: <https://hl7.org/fhir/R4/json.html>

use crate::interaction::VersionId;
use crate::primitive::instant::Instant;
use crate::schema::{JsonForm, name};
use crate::tree::{Element, Resource};

/// Writes a resource as JSON.
pub fn to_json(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_element(resource.root(), &mut out);
    out
}

/// Writes an element that is not a primitive as a JSON object; a resource
/// begins with its `resourceType`.
pub fn write_element(element: Element<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if element.is_resource() {
        write_resource_type(element, out);
    }
    write_properties(element, out, |_| true);
    out.push(b'}');
}

fn write_resource_type(element: Element<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""resourceType":""#);
    out.extend_from_slice(element.ty().name().as_bytes());
    out.push(b'"');
}

/// Writes a resource as it is stored: `id` and `meta` first, and `meta`
/// without `versionId` and `lastUpdated`, which the server owns and
/// [`stamp`] puts in.
///
/// Returns where they go: right behind `"meta":{`.
pub fn write_unstamped(resource: &Resource, out: &mut Vec<u8>) -> usize {
    let root = resource.root();
    out.push(b'{');
    write_resource_type(root, out);
    write_properties(root, out, |c| c.name_id() == Some(name::ID));
    out.extend_from_slice(br#","meta":{"#);
    let hole = out.len();
    if let Some(meta) = root.child(name::META) {
        write_properties(meta, out, |c| !matches!(c.name_id(), Some(name::VERSION_ID | name::LAST_UPDATED)));
    }
    out.push(b'}');
    write_properties(root, out, |c| !matches!(c.name_id(), Some(name::ID | name::META)));
    out.push(b'}');
    hole
}

/// The number of bytes that [`stamp`] adds at most.
pub const STAMP_BYTES_MAX: usize = 80;

/// Writes a resource out of its stored form: `unstamped` with version and
/// time at `hole`. A hole past the end writes the bytes as they are.
pub fn stamp(unstamped: &[u8], hole: usize, version: VersionId, updated: Instant, out: &mut Vec<u8>) {
    let Some((head, tail)) = unstamped.split_at_checked(hole) else {
        out.extend_from_slice(unstamped);
        return;
    };
    out.reserve(unstamped.len() + STAMP_BYTES_MAX);
    out.extend_from_slice(head);
    out.extend_from_slice(br#""versionId":""#);
    write_number(version.0, out);
    out.extend_from_slice(br#"","lastUpdated":""#);
    updated.write_to(out);
    out.push(b'"');
    if tail.first() != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(tail);
}

fn write_number(mut value: u32, out: &mut Vec<u8>) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the children that `keep` lets through, each with a comma before it
/// unless the object has just begun.
fn write_properties(parent: Element<'_>, out: &mut Vec<u8>, keep: impl Fn(Element<'_>) -> bool) {
    let mut children = parent.children().filter(|c| keep(*c)).peekable();
    while let Some(first) = children.next() {
        let Some(property) = first.property() else { continue };
        if !property.element.is_array() {
            write_single(first, property.name, out);
            continue;
        }
        let mut repetitions = smallvec::SmallVec::<[Element<'_>; 8]>::new();
        repetitions.push(first);
        while let Some(next) =
            children.next_if(|c| c.property().is_some_and(|p| std::ptr::eq(p.element, property.element)))
        {
            repetitions.push(next);
        }
        write_array(&repetitions, property.name, out);
    }
}

fn write_key(underscore: bool, key: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    if underscore {
        out.push(b'_');
    }
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_single(element: Element<'_>, key: &str, out: &mut Vec<u8>) {
    let Some(form) = element.definition().json_form() else {
        write_key(false, key, out);
        write_element(element, out);
        return;
    };
    if let Some(value) = element.value() {
        write_key(false, key, out);
        write_value(value, form, out);
    }
    if element.children().next().is_some() {
        write_key(true, key, out);
        write_element(element, out);
    }
}

fn write_array(elements: &[Element<'_>], key: &str, out: &mut Vec<u8>) {
    let Some(form) = elements.first().and_then(|e| e.definition().json_form()) else {
        write_key(false, key, out);
        write_items(elements, out, write_element);
        return;
    };
    if elements.iter().any(|e| e.value().is_some()) {
        write_key(false, key, out);
        write_items(elements, out, |element, out| match element.value() {
            Some(value) => write_value(value, form, out),
            None => out.extend_from_slice(b"null"),
        });
    }
    if elements.iter().any(|e| e.children().next().is_some()) {
        write_key(true, key, out);
        write_items(elements, out, |element, out| match element.children().next() {
            Some(_) => write_element(element, out),
            None => out.extend_from_slice(b"null"),
        });
    }
}

fn write_items(elements: &[Element<'_>], out: &mut Vec<u8>, write: impl Fn(Element<'_>, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(*element, out);
    }
    out.push(b']');
}

fn write_value(value: &str, form: JsonForm, out: &mut Vec<u8>) {
    match form {
        JsonForm::Boolean | JsonForm::Number => out.extend_from_slice(value.as_bytes()),
        JsonForm::String => write_escaped(value, out),
    }
}

/// Finds the first byte that cannot stand in a string as it is.
fn first_special(text: &[u8]) -> Option<usize> {
    let is_special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    // Long texts have few: many bytes are looked at together, without a branch for each.
    let clean = text
        .chunks_exact(CHUNK_BYTES)
        .take_while(|chunk| !chunk.iter().fold(false, |found, byte| found | is_special(byte)));
    let from = clean.count() * CHUNK_BYTES;
    text.get(from..)?.iter().position(is_special).map(|at| from + at)
}

/// Bytes that are looked at together.
const CHUNK_BYTES: usize = 32;

/// Writes a string as a JSON string, quotes included.
pub fn write_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_special(rest) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        match special[0] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

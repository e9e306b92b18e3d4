//! JSON Patch on the JSON form of a resource.
//!
//! Lists and objects that the operations leave empty are taken out in the
//! end, since FHIR has none: removing the only name removes `name`. Decimals
//! keep the form they were written in, and compare by value.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6902>

use super::json_value::{Json, position};
use super::{OPERATIONS_MAX, PatchError, Refusal};
use crate::json;
use crate::tree::Resource;

/// The greatest depth of lists and objects within each other.
pub const DEPTH_MAX: usize = 128;

/// The greatest number of bytes, roughly, that `copy` operations of one patch add.
pub const COPIED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Applies a JSON Patch document to a resource.
///
/// # Errors
/// The first operation that cannot be applied, or what is wrong with the
/// document or with the resource that would come out.
pub fn json_patch(resource: &Resource, document: &[u8]) -> Result<Resource, PatchError> {
    let operations = Operations::parse(document)?;
    let mut patched = operations.apply(target(&json::to_json(resource))?)?;
    patched.drop_empty();
    let mut written = Vec::new();
    patched.write(&mut written);
    json::read(written).map_err(PatchError::Result)
}

fn target(document: &[u8]) -> Result<Json, PatchError> {
    Json::parse(document)
        .map_err(|_| PatchError::TooCostly("the document is nested too deep to be patched as JSON"))
}

/// The operations of a JSON Patch document.
#[derive(Debug)]
pub struct Operations(Vec<Operation>);

#[derive(Debug)]
struct Operation {
    kind: Kind,
    path: Pointer,
}

#[derive(Debug)]
enum Kind {
    Add(Json),
    Remove,
    Replace(Json),
    Move(Pointer),
    Copy(Pointer),
    Test(Json),
}

/// A JSON Pointer.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc6901>
#[derive(Debug)]
struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl Pointer {
    fn parse(text: &str) -> Option<Pointer> {
        let mut parts = text.split('/');
        if !parts.next()?.is_empty() {
            return None;
        }
        let tokens = parts.map(unescaped).collect::<Option<Vec<_>>>()?;
        Some(Pointer { text: text.to_owned(), tokens })
    }

    /// Whether `other` lies within what this points at.
    fn is_above(&self, other: &Pointer) -> bool {
        self.tokens.len() < other.tokens.len() && other.tokens.starts_with(&self.tokens)
    }
}

fn unescaped(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

impl Operations {
    /// Reads a JSON Patch document.
    ///
    /// # Errors
    /// What makes it no patch, or that it has too many operations.
    pub fn parse(document: &[u8]) -> Result<Operations, PatchError> {
        let document =
            Json::parse(document).map_err(|e| PatchError::malformed("", format!("no JSON: {e}")))?;
        let Json::Array(operations) = document else {
            return Err(PatchError::malformed("", "a list of operations expected"));
        };
        if operations.len() > OPERATIONS_MAX {
            return Err(PatchError::TooCostly("the patch has too many operations"));
        }
        operations
            .into_iter()
            .enumerate()
            .map(|(index, one)| Operation::parse(index, one))
            .collect::<Result<_, _>>()
            .map(Operations)
    }

    /// Applies the operations, one after the other, to any JSON document.
    ///
    /// # Errors
    /// The first operation that cannot be applied.
    pub fn apply_to_json(self, document: &[u8]) -> Result<Vec<u8>, PatchError> {
        let mut out = Vec::new();
        self.apply(target(document)?)?.write(&mut out);
        Ok(out)
    }

    fn apply(self, mut target: Json) -> Result<Json, PatchError> {
        let mut copied = 0;
        for (index, operation) in self.0.into_iter().enumerate() {
            let path = operation.path;
            let fail = |path: &Pointer, why| Err(PatchError::refused(format!("[{index}]"), &path.text, why));
            let done = match operation.kind {
                Kind::Add(value) => put(&mut target, &path, value, Put::Add)?,
                Kind::Replace(value) => put(&mut target, &path, value, Put::Replace)?,
                Kind::Remove => take(&mut target, &path).map(drop),
                Kind::Test(value) => match at(&target, &path) {
                    Some(there) if *there == value => Some(()),
                    Some(_) => return fail(&path, Refusal::TestFailed),
                    None => None,
                },
                Kind::Move(from) => match take(&mut target, &from) {
                    Some(value) => put(&mut target, &path, value, Put::Add)?,
                    None => return fail(&from, Refusal::NotFound),
                },
                Kind::Copy(from) => match at(&target, &from).cloned() {
                    Some(value) => {
                        copied += value.bytes();
                        if copied > COPIED_BYTES_MAX {
                            return Err(PatchError::TooCostly("the patch copies too much"));
                        }
                        put(&mut target, &path, value, Put::Add)?
                    }
                    None => return fail(&from, Refusal::NotFound),
                },
            };
            if done.is_none() {
                return fail(&path, Refusal::NotFound);
            }
        }
        Ok(target)
    }
}

impl Operation {
    fn parse(index: usize, operation: Json) -> Result<Operation, PatchError> {
        let malformed = |what: String| PatchError::malformed(format!("[{index}]"), what);
        let Json::Object(mut members) = operation else {
            return Err(malformed("an operation is an object".to_owned()));
        };
        let pointer = |members: &[(String, Json)], name: &str| {
            let text = text(members, name);
            text.and_then(Pointer::parse).ok_or_else(|| malformed(format!("`{name}` must be a JSON Pointer")))
        };
        let path = pointer(&members, "path")?;
        let kind = match text(&members, "op") {
            Some("remove") => Kind::Remove,
            Some("copy") => Kind::Copy(pointer(&members, "from")?),
            Some("move") => {
                let from = pointer(&members, "from")?;
                if from.is_above(&path) {
                    return Err(malformed("an element cannot be moved into itself".to_owned()));
                }
                Kind::Move(from)
            }
            Some(op @ ("add" | "replace" | "test")) => {
                let op = op.to_owned();
                let value = position(&members, "value")
                    .map(|at| members.swap_remove(at).1)
                    .ok_or_else(|| malformed(format!("`{op}` needs a `value`")))?;
                match op.as_str() {
                    "add" => Kind::Add(value),
                    "replace" => Kind::Replace(value),
                    _ => Kind::Test(value),
                }
            }
            _ => return Err(malformed("`op` must be add, remove, replace, move, copy or test".to_owned())),
        };
        Ok(Operation { kind, path })
    }
}

fn text<'m>(members: &'m [(String, Json)], name: &str) -> Option<&'m str> {
    match members.get(position(members, name)?) {
        Some((_, Json::String(text))) => Some(text),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Add,
    Replace,
}

/// Reads an index into a list: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if is_index { token.parse().ok() } else { None }
}

fn at<'v>(target: &'v Json, path: &Pointer) -> Option<&'v Json> {
    path.tokens.iter().try_fold(target, |at, token| match at {
        Json::Object(members) => members.get(position(members, token)?).map(|(_, value)| value),
        Json::Array(items) => items.get(index(token)?),
        _ => None,
    })
}

fn at_mut<'v>(target: &'v mut Json, tokens: &[String]) -> Option<&'v mut Json> {
    tokens.iter().try_fold(target, |at, token| match at {
        Json::Object(members) => {
            let at = position(members, token)?;
            members.get_mut(at).map(|(_, value)| value)
        }
        Json::Array(items) => items.get_mut(index(token)?),
        _ => None,
    })
}

/// Puts a value at a place; `None` when there is no such place.
fn put(target: &mut Json, path: &Pointer, value: Json, how: Put) -> Result<Option<()>, PatchError> {
    if path.tokens.len() + value.depth() > DEPTH_MAX {
        return Err(PatchError::TooCostly("the patched resource is nested too deep"));
    }
    let Some((last, parents)) = path.tokens.split_last() else {
        *target = value;
        return Ok(Some(()));
    };
    let Some(parent) = at_mut(target, parents) else { return Ok(None) };
    Ok(match parent {
        Json::Object(members) => match (how, position(members, last).and_then(|at| members.get_mut(at))) {
            (_, Some((_, there))) => {
                *there = value;
                Some(())
            }
            (Put::Add, None) => {
                members.push((last.clone(), value));
                Some(())
            }
            (Put::Replace, None) => None,
        },
        Json::Array(items) => {
            let place = match how {
                Put::Add if last == "-" => Some(items.len()),
                Put::Add => index(last).filter(|at| *at <= items.len()),
                Put::Replace => index(last).filter(|at| *at < items.len()),
            };
            place.map(|place| match (how, items.get_mut(place)) {
                (Put::Replace, Some(there)) => *there = value,
                _ => items.insert(place, value),
            })
        }
        _ => None,
    })
}

/// Takes a value out; `None` when it is not there. The whole document can be
/// replaced, not taken out.
fn take(target: &mut Json, path: &Pointer) -> Option<Json> {
    let (last, parents) = path.tokens.split_last()?;
    match at_mut(target, parents)? {
        Json::Object(members) => position(members, last).map(|at| members.remove(at).1),
        Json::Array(items) => {
            let at = index(last).filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"1","name":[{"given":["a","b"]}],"extension":[{"url":"http://x","valueDecimal":1.10}]}"#;

    fn patched(patch: &str) -> Result<String, PatchError> {
        let resource = json::read(PATIENT).expect("valid");
        json_patch(&resource, patch.as_bytes())
            .map(|r| String::from_utf8_lossy(&json::to_json(&r)).into_owned())
    }

    #[test]
    fn applied() {
        for (patch, expected) in [
            ("[]", PATIENT.to_owned()),
            (
                r#"[{"op":"test","path":"/extension/0/valueDecimal","value":1.1e0},{"op":"add","path":"/active","value":true}]"#,
                PATIENT.replace("1.10}]", r#"1.10}],"active":true"#),
            ),
            (
                r#"[{"op":"remove","path":"/name/0/given/0"},{"op":"remove","path":"/name/0/given/0"}]"#,
                PATIENT.replace(r#""name":[{"given":["a","b"]}],"#, ""),
            ),
            (
                r#"[{"op":"replace","path":"/extension/0/valueDecimal","value":0.010}]"#,
                PATIENT.replace("1.10", "0.010"),
            ),
            (
                r#"[{"op":"move","from":"/name/0/given/1","path":"/name/0/family"}]"#,
                PATIENT.replace(r#"["a","b"]"#, r#"["a"],"family":"b""#),
            ),
            (
                r#"[{"op":"copy","from":"/name/0","path":"/name/-"}]"#,
                PATIENT.replace(r#"{"given":["a","b"]}"#, r#"{"given":["a","b"]},{"given":["a","b"]}"#),
            ),
        ] {
            assert_eq!(patched(patch), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn refused() {
        let refused = |at: &str, path: &str, why| PatchError::refused(at, path, why);
        for (patch, expected) in [
            (r#"[{"op":"remove","path":"/gender"}]"#, refused("[0]", "/gender", Refusal::NotFound)),
            (
                r#"[{"op":"replace","path":"/name/1","value":{}}]"#,
                refused("[0]", "/name/1", Refusal::NotFound),
            ),
            (r#"[{"op":"add","path":"/name/2","value":{}}]"#, refused("[0]", "/name/2", Refusal::NotFound)),
            (r#"[{"op":"add","path":"/name/00","value":{}}]"#, refused("[0]", "/name/00", Refusal::NotFound)),
            (
                r#"[{"op":"add","path":"/name/0/period/start","value":"2000"}]"#,
                refused("[0]", "/name/0/period/start", Refusal::NotFound),
            ),
            (r#"[{"op":"test","path":"/id","value":"2"}]"#, refused("[0]", "/id", Refusal::TestFailed)),
            (
                r#"[{"op":"add","path":"/active","value":true},{"op":"move","from":"/x","path":"/active"}]"#,
                refused("[1]", "/x", Refusal::NotFound),
            ),
            (r#"[{"op":"remove","path":""}]"#, refused("[0]", "", Refusal::NotFound)),
        ] {
            assert_eq!(patched(patch), Err(expected), "{patch}");
        }
        for patch in [
            "",
            "{}",
            "[1]",
            r#"[{"op":"add","path":"/a"}]"#,
            r#"[{"op":"plus","path":"/a","value":1}]"#,
            r#"[{"op":"remove","path":"a"}]"#,
            r#"[{"op":"remove","path":"/~2"}]"#,
            r#"[{"op":"copy","path":"/a"}]"#,
            r#"[{"op":"move","from":"/a","path":"/a/b"}]"#,
        ] {
            assert!(matches!(patched(patch), Err(PatchError::Malformed { .. })), "{patch}");
        }
        for patch in [
            r#"[{"op":"add","path":"/nme","value":"a"}]"#,
            r#"[{"op":"add","path":"/active","value":"yes"}]"#,
            r#"[{"op":"replace","path":"","value":null}]"#,
        ] {
            assert!(matches!(patched(patch), Err(PatchError::Result(_))), "{patch}");
        }
    }

    #[test]
    fn limits_hold() {
        let many =
            format!("[{}]", vec![r#"{"op":"test","path":"/id","value":"1"}"#; OPERATIONS_MAX + 1].join(","));
        let copies = vec![r#"{"op":"copy","from":"/name","path":"/name/-"}"#; 60].join(",");
        let nested = (0..200)
            .map(|n| format!(r#"{{"op":"add","path":"{}/x","value":{{}}}}"#, "/x".repeat(n)))
            .collect::<Vec<_>>();
        for patch in [many, format!("[{copies}]"), format!("[{}]", nested.join(","))] {
            assert!(matches!(patched(&patch), Err(PatchError::TooCostly(_))));
        }
    }

    #[test]
    fn decimals_keep_their_form() {
        let given = PATIENT.replace("1.10", "-1.0E22");
        let resource = json::read(given.clone()).expect("valid");
        for (patch, form) in [
            ("[]", "-1.0E22"),
            (r#"[{"op":"replace","path":"/extension/0/valueDecimal","value":1.50E-7}]"#, "1.50E-7"),
            (r#"[{"x":[1,"2\"3"],"op":"replace","path":"/extension/0/valueDecimal","value":10e2}]"#, "10e2"),
        ] {
            let patched = json_patch(&resource, patch.as_bytes()).map(|r| json::to_json(&r));
            assert_eq!(patched, Ok(given.replace("-1.0E22", form).into_bytes()), "{patch}");
        }
    }
}

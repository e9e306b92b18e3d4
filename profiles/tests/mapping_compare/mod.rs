//! Compares the Bundle that a map makes with the one that is expected.
//!
//! Ids differ from run to run, and so does the order of entries. An entry is
//! paired with the most similar one of its resource type, by content and by
//! the place of its references among those paired; then ids are put in place
//! of each other, and leaves are compared one by one.
//!
//! What is made is taken as the gateway passes it on: of several entries with
//! one `fullUrl` one stays, and the tags by which it chooses are gone.

use std::collections::{BTreeMap, HashMap, HashSet};

use fhir_model::schema::name;
use fhir_model::tree::{Element, Resource};

/// What a comparison found.
#[derive(Default)]
pub(crate) struct Comparison {
    /// Leaves with equal values.
    pub(crate) equal: usize,
    /// `path: made, expected`.
    pub(crate) different: Vec<String>,
    /// Leaves that are only expected.
    pub(crate) missing: Vec<String>,
    /// Leaves that are only made.
    pub(crate) additional: Vec<String>,
}

/// An entry: its leaves by path.
struct Entry {
    resource_type: String,
    id: String,
    leaves: Vec<(String, String)>,
}

const UUID_LENGTH: usize = 36;

/// Finds the UUIDs of a text.
fn uuids(text: &str) -> Vec<&str> {
    let is_uuid = |part: &str| {
        part.len() == UUID_LENGTH
            && part.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_hexdigit(),
            })
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at + UUID_LENGTH <= text.len() {
        match text.get(at..at + UUID_LENGTH).filter(|part| is_uuid(part)) {
            Some(part) => {
                found.push(part);
                at += UUID_LENGTH;
            }
            None => at += 1,
        }
    }
    found
}

/// Returns a text with `*` for each UUID.
fn without_uuids(text: &str) -> String {
    uuids(text).into_iter().fold(text.to_owned(), |text, uuid| text.replace(uuid, "*"))
}

fn leaves(element: Element<'_>, path: &str, out: &mut Vec<(String, String)>) {
    if let Some(value) = element.value() {
        out.push((path.to_owned(), value.to_owned()));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for child in element.children() {
        let Some(property) = child.property() else { continue };
        let count = counts.entry(property.name).or_default();
        let at = if property.element.is_array() { format!("[{count}]") } else { String::new() };
        *count += 1;
        leaves(child, &format!("{path}.{}{at}", property.name), out);
    }
}

fn entries(bundle: &Resource) -> (Vec<Entry>, Vec<(String, String)>) {
    let mut entries = Vec::new();
    for entry in bundle.root().children_named(name::ENTRY) {
        let mut of_entry = Vec::new();
        leaves(entry, "", &mut of_entry);
        let Some(resource) = entry.child(name::RESOURCE) else { continue };
        let id = resource.text_of(name::ID).unwrap_or_default().to_owned();
        of_entry.retain(|(path, _)| !path.starts_with(".resource.meta.tag"));
        entries.push(Entry { resource_type: resource.ty().name().to_owned(), id, leaves: of_entry });
    }
    let mut rest = Vec::new();
    leaves(bundle.root(), "", &mut rest);
    // The id and the moment are those of the run.
    let of_run = |path: &str| path == ".id" || path == ".timestamp";
    rest.retain(|(path, _)| !path.starts_with(".entry") && !of_run(path));
    (entries, rest)
}

/// Which made entry is which expected one.
type Pairs = HashMap<usize, usize>;

/// Returns, for each id, the leaves that refer to it: their entry and path.
fn references(entries: &[Entry]) -> HashMap<&str, Vec<(usize, &str)>> {
    let mut out: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        for (path, value) in entry.leaves.iter().filter(|(path, _)| path.ends_with(".reference")) {
            for uuid in uuids(value) {
                out.entry(uuid).or_default().push((at, path));
            }
        }
    }
    out
}

fn pair(made: &[Entry], expected: &[Entry]) -> Pairs {
    let mut pairs = Pairs::new();
    let (to_made, to_expected) = (references(made), references(expected));
    let masked = |entry: &Entry| -> HashSet<(String, String)> {
        entry.leaves.iter().map(|(path, value)| (path.clone(), without_uuids(value))).collect()
    };
    let made_leaves: Vec<_> = made.iter().map(masked).collect();
    let expected_leaves: Vec<_> = expected.iter().map(masked).collect();
    for _round in 0..6 {
        let ids = ids_of(&pairs, made, expected);
        let mut scores = Vec::new();
        for (m, a) in made.iter().enumerate() {
            for (e, b) in expected.iter().enumerate().filter(|(_, b)| b.resource_type == a.resource_type) {
                let content = made_leaves[m].intersection(&expected_leaves[e]).count();
                let places: HashSet<(Option<&usize>, &str)> =
                    to_made.get(&*a.id).into_iter().flatten().map(|(f, p)| (pairs.get(f), *p)).collect();
                let wanted = to_expected.get(&*b.id).into_iter().flatten();
                let incoming = wanted.filter(|(f, p)| places.contains(&(Some(f), *p))).count();
                let own = a.leaves.iter().filter(|(path, _)| path.ends_with(".reference"));
                let outgoing = own.filter(|(path, value)| {
                    let other = uuids(value).first().and_then(|u| ids.get(*u)).copied();
                    other.is_some_and(|o| b.leaves.iter().any(|(p, v)| p == path && v.contains(o)))
                });
                let same_id = a.id == b.id;
                scores.push((same_id, content + 3 * incoming + 3 * outgoing.count(), m, e));
            }
        }
        scores.sort_by(|x, y| (y.0, y.1, x.2, x.3).cmp(&(x.0, x.1, y.2, y.3)));
        let mut next = Pairs::new();
        let mut taken = HashSet::new();
        for (_, _, m, e) in scores {
            if !next.contains_key(&m) && taken.insert(e) {
                next.insert(m, e);
            }
        }
        if next == pairs {
            break;
        }
        pairs = next;
    }
    pairs
}

/// Returns the expected UUID for each one that was made.
fn ids_of<'e>(pairs: &Pairs, made: &'e [Entry], expected: &'e [Entry]) -> HashMap<&'e str, &'e str> {
    pairs.iter().map(|(m, e)| (&*made[*m].id, &*expected[*e].id)).collect()
}

/// Compares a Bundle that was made with the one expected.
pub(crate) fn compare(made: &Resource, expected: &Resource) -> Comparison {
    let (made, made_rest) = entries(made);
    let (expected, expected_rest) = entries(expected);
    let pairs = pair(&made, &expected);
    let ids = ids_of(&pairs, &made, &expected);
    let mut out = Comparison::default();
    compare_leaves("Bundle", &made_rest, &expected_rest, &HashMap::new(), &mut out);
    let paired_ids: HashSet<&str> = pairs.keys().map(|m| &*made[*m].id).collect();
    for (at, entry) in made.iter().enumerate() {
        match pairs.get(&at) {
            Some(other) => {
                let of = &entry.resource_type;
                compare_leaves(of, &entry.leaves, &expected[*other].leaves, &ids, &mut out);
            }
            // One of several with the same id.
            None if paired_ids.contains(&*entry.id) => {}
            None => compare_leaves(&entry.resource_type, &entry.leaves, &[], &ids, &mut out),
        }
    }
    let paired: HashSet<usize> = pairs.values().copied().collect();
    for (_, entry) in expected.iter().enumerate().filter(|(at, _)| !paired.contains(at)) {
        compare_leaves(&entry.resource_type, &[], &entry.leaves, &ids, &mut out);
    }
    out.different.sort();
    out.missing.sort();
    out.additional.sort();
    out
}

fn compare_leaves(
    of: &str,
    made: &[(String, String)],
    expected: &[(String, String)],
    ids: &HashMap<&str, &str>,
    out: &mut Comparison,
) {
    let translated = |value: &str| {
        let found = uuids(value).into_iter().filter_map(|u| Some((u, *ids.get(u)?)));
        found.fold(value.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let wanted: HashMap<&str, &str> = expected.iter().map(|(p, v)| (&**p, &**v)).collect();
    let have: HashSet<&str> = made.iter().map(|(p, _)| &**p).collect();
    for (path, value) in made {
        let value = translated(value);
        let path_of = format!("{of}{}", path.strip_prefix(".resource").unwrap_or(path));
        match wanted.get(&**path) {
            Some(other) if *other == value => out.equal += 1,
            Some(other) => out.different.push(format!("{path_of}: {value} | {other}")),
            None => out.additional.push(format!("{path_of}: {value}")),
        }
    }
    for (path, value) in expected.iter().filter(|(path, _)| !have.contains(&**path)) {
        let path_of = format!("{of}{}", path.strip_prefix(".resource").unwrap_or(path));
        out.missing.push(format!("{path_of}: {value}"));
    }
}

//! What the index holds of a resource, as numbers that the storage keeps and
//! the search asks for. Both sides make them here, so they cannot drift.
//!
//! A **branch** is one path whose values are indexed in one way: type, kind of
//! value and canonical FHIRPath expression. Search parameters name branches:
//! `Observation.combo-code` asks two of them, and `patient` asks the branch of
//! `subject` for patients only, so no value is stored twice.
//!
//! Hashes are stored: changing one of these functions is a migration.

use std::hash::Hasher;

use fhir_model::schema::{TypeId, ty};
use siphasher::sip::SipHasher13;

/// The keys of the hash; arbitrary, and fixed for as long as data lives.
const HASH_KEYS: (u64, u64) = (0x4c61_6e74_6572_6e61, 0x4c69_6775_7269_6121);

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(HASH_KEYS.0, HASH_KEYS.1);
    for part in parts {
        hasher.write(&(part.len() as u32).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish()
}

/// The stored number of a resource type: stable, unlike [`TypeId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeCode(pub i32);

impl TypeCode {
    /// Returns the stored number of a type.
    pub fn of(resource_type: TypeId) -> TypeCode {
        TypeCode(hash(&[b"type", resource_type.name().as_bytes()]) as i32)
    }
}

/// The stored number of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchCode(pub i32);

impl BranchCode {
    /// Returns the number of the branch of a type, a kind of value (such as
    /// `token`) and a canonical expression.
    pub fn of(resource_type: TypeId, kind: &str, expression: &str) -> BranchCode {
        let parts =
            [b"branch".as_slice(), resource_type.name().as_bytes(), kind.as_bytes(), expression.as_bytes()];
        BranchCode(hash(&parts) as i32)
    }

    /// Returns the number of the branch of those by whom a patient is replaced.
    pub fn replaced_by() -> BranchCode {
        BranchCode::of(ty::PATIENT, "merge", "Patient.link")
    }

    /// Returns the number of a branch beside this one, for another use of the
    /// same values.
    pub fn variant(self, name: &str) -> BranchCode {
        BranchCode(hash(&[b"variant", &self.0.to_le_bytes(), name.as_bytes()]) as i32)
    }
}

/// The hash of what a reference or canonical names: `Patient/1` for a
/// resource here, otherwise the URL as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetHash(pub i64);

impl TargetHash {
    /// Returns the hash of a resource on this server.
    pub fn of_resource(resource_type: TypeId, id: &str) -> TargetHash {
        TargetHash(hash(&[b"ref", resource_type.name().as_bytes(), id.as_bytes()]) as i64)
    }

    /// Returns the hash of an absolute URL or of a URN.
    pub fn of_url(url: &str) -> TargetHash {
        TargetHash(hash(&[b"url", url.as_bytes()]) as i64)
    }
}

/// Returns the number that stands for what a search parameter takes from
/// resources, told in parts; never 0, which stands for nothing.
pub fn signature(parts: &[String]) -> i64 {
    let mut all: Vec<&[u8]> = vec![b"signature"];
    all.extend(parts.iter().map(|part| part.as_bytes()));
    (hash(&all) >> 1).max(1) as i64
}

/// The hash of a value under a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EqualHash(pub i64);

impl EqualHash {
    /// Returns the hash of a value of a branch; `form` names the form that it
    /// has (such as `system|code`, or `code`), so that forms never meet.
    pub fn of(branch: BranchCode, form: &str, value: &[&str]) -> EqualHash {
        let branch = branch.0.to_le_bytes();
        let mut parts: smallvec::SmallVec<[&[u8]; 8]> =
            smallvec::smallvec![b"equal".as_slice(), branch.as_slice(), form.as_bytes()];
        parts.extend(value.iter().map(|v| v.as_bytes()));
        EqualHash(hash(&parts) as i64)
    }

    /// Returns the value that all patients have who are linked to others.
    pub fn tied() -> EqualHash {
        EqualHash::of(BranchCode::of(ty::PATIENT, "tie", "Patient.link"), "tied", &[])
    }

    /// Returns the hash that stands for a link to `target` along `branch`:
    /// the focus of a pair.
    pub fn of_link(branch: BranchCode, target: TargetHash) -> EqualHash {
        EqualHash(hash(&[b"link", &branch.0.to_le_bytes(), &target.0.to_le_bytes()]) as i64)
    }
}

/// A form under which a value may be asked for besides the one under which it
/// is stored: `code` for each `system|code`. The storage keeps forms once for
/// all resources, so that a value costs a row however it may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// What is asked for.
    pub form: EqualHash,
    /// What it stands for: the hash of a row.
    pub hash: EqualHash,
}

/// An interval of numbers, dates or quantities; both ends belong to it.
/// Dates are microseconds since 1970, numbers the bits of [`ordered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The branch, and for quantities the unit.
    pub hash: EqualHash,
    /// The least value; `i64::MIN` for none.
    pub low: i64,
    /// The greatest value; `i64::MAX` for none.
    pub high: i64,
}

/// Returns an integer that orders as the number does.
pub fn ordered(number: f64) -> i64 {
    // Adding zero turns -0.0 into 0.0.
    let bits = (number + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// A reference from a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// What is named.
    pub target: TargetHash,
    /// Along which branch.
    pub branch: BranchCode,
}

/// A value together with a link of the same resource: answers
/// `patient=X&code=Y` without intersecting two long lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// [`EqualHash::of_link`] of the link.
    pub focus: EqualHash,
    /// The value.
    pub value: EqualHash,
}

/// Text to be found by its beginning or by a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text {
    /// The branch.
    pub branch: BranchCode,
    /// The text without case and accents.
    pub folded: String,
}

/// What is compared of a Patient to tell who is the same person, packed: see
/// `identity/features.rs`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonRow(pub Vec<u8>);

/// The hash of a name, under which it is counted how many Patients have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash(pub i64);

impl NameHash {
    /// Returns the hash of a name; `kind` says what kind of name it is.
    pub fn of(kind: &str, name: &[u8]) -> NameHash {
        NameHash(hash(&[b"name", kind.as_bytes(), name]) as i64)
    }
}

/// Returns a short hash of a value, for comparing whether two are equal where a
/// mistake in four billion does not matter.
pub fn short(kind: &str, parts: &[&str]) -> u32 {
    let mut all: smallvec::SmallVec<[&[u8]; 6]> = smallvec::smallvec![b"short".as_slice(), kind.as_bytes()];
    all.extend(parts.iter().map(|part| part.as_bytes()));
    hash(&all) as u32
}

/// All that the index holds of one resource. Each list is sorted and has
/// nothing twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexRows {
    /// Tokens, URIs, exact strings, token composites, and what else is equal or not.
    pub equal: Vec<EqualHash>,
    /// References.
    pub links: Vec<Link>,
    /// Values paired with the link to the patient.
    pub pairs: Vec<Pair>,
    /// Dates, numbers, quantities.
    pub spans: Vec<Span>,
    /// Strings.
    pub texts: Vec<Text>,
    /// What is compared of a Patient: one, or none.
    pub persons: Vec<PersonRow>,
    /// The names of a Patient that are counted.
    pub names: Vec<NameHash>,
    /// Other forms of these values. They are facts about values, not about the
    /// resource: they stay when it goes.
    pub forms: Vec<Form>,
}

impl IndexRows {
    /// Sorts the lists and drops what stands twice.
    pub fn normalize(&mut self) {
        fn tidy<T: Ord>(list: &mut Vec<T>) {
            list.sort_unstable();
            list.dedup();
        }
        tidy(&mut self.equal);
        tidy(&mut self.links);
        tidy(&mut self.pairs);
        tidy(&mut self.spans);
        tidy(&mut self.texts);
        tidy(&mut self.persons);
        tidy(&mut self.names);
        tidy(&mut self.forms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_keeps_the_order_of_numbers() {
        let numbers =
            [f64::NEG_INFINITY, -1e300, -2.5, -1.0, -1e-300, 0.0, 1e-300, 0.5, 1.0, 7e5, f64::INFINITY];
        assert!(numbers.windows(2).all(|w| ordered(w[0]) < ordered(w[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn type_codes_are_distinct() {
        let mut codes: Vec<TypeCode> = fhir_model::schema::resource_types().map(TypeCode::of).collect();
        let count = codes.len();
        assert_eq!(count, 146);
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}

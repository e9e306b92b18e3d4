//! What is stored of the closure tables that clients keep.

use diesel::prelude::*;

use super::error::StorageError;
use super::read::Reads;
use super::schema::{closure, closure_concept, closure_relation};
use super::sql::{Value, execute};
use super::write::WriteUnit;

/// A closure table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredClosure {
    number: i64,
    /// How often something was added.
    pub version: u32,
}

/// A concept of a closure table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureConcept {
    /// Its code system.
    pub system: String,
    /// The version of the code system that the client named.
    pub system_version: Option<String>,
    /// Its code.
    pub code: String,
}

/// How two concepts of a closure table are related.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureRelation {
    /// The place of the one in the table.
    pub source: usize,
    /// The place of the other.
    pub target: usize,
    /// What the other is to the one, a code of ConceptMapEquivalence.
    pub equivalence: String,
}

/// Finds a closure table by its name.
///
/// # Errors
/// When the database fails.
pub fn closure_named(data: &mut impl Reads, name: &str) -> Result<Option<StoredClosure>, StorageError> {
    let found: Option<(i64, i32)> = closure::table
        .filter(closure::name.eq(name))
        .select((closure::id, closure::version))
        .get_result(data.resource_connection())
        .optional()?;
    Ok(found.map(|(number, version)| StoredClosure { number, version: version as u32 }))
}

/// Counts the closure tables.
///
/// # Errors
/// When the database fails.
pub fn closure_count(data: &mut impl Reads) -> Result<i64, StorageError> {
    Ok(closure::table.count().get_result(data.resource_connection())?)
}

/// Returns the concepts of a closure table, in the order of their places.
///
/// # Errors
/// When the database fails.
pub fn closure_concepts(
    data: &mut impl Reads,
    of: &StoredClosure,
) -> Result<Vec<ClosureConcept>, StorageError> {
    use closure_concept::dsl;
    let rows: Vec<(String, String, String)> = dsl::closure_concept
        .filter(dsl::closure.eq(of.number))
        .order(dsl::position)
        .select((dsl::system, dsl::system_version, dsl::code))
        .load(data.resource_connection())?;
    let concept = |(system, version, code)| ClosureConcept {
        system,
        system_version: Some(version).filter(|v: &String| !v.is_empty()),
        code,
    };
    Ok(rows.into_iter().map(concept).collect())
}

/// Returns the relations that came to a closure table after a version of it.
///
/// # Errors
/// When the database fails.
pub fn closure_relations_since(
    data: &mut impl Reads,
    of: &StoredClosure,
    version: u32,
) -> Result<Vec<ClosureRelation>, StorageError> {
    use closure_relation::dsl;
    let rows: Vec<(i64, i64, String)> = dsl::closure_relation
        .filter(dsl::closure.eq(of.number).and(dsl::added.gt(i64::from(version))))
        .order((dsl::added, dsl::source, dsl::target))
        .select((dsl::source, dsl::target, dsl::equivalence))
        .load(data.resource_connection())?;
    let relation = |(source, target, equivalence)| ClosureRelation {
        source: source as usize,
        target: target as usize,
        equivalence,
    };
    Ok(rows.into_iter().map(relation).collect())
}

impl WriteUnit<'_> {
    /// Makes a closure table of this name, or empties the one that is there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_closure(&mut self, name: &str) -> Result<StoredClosure, StorageError> {
        self.begin_write()?;
        if let Some(old) = closure_named(self, name)? {
            for table in ["closure_concept", "closure_relation"] {
                let sql = format!("DELETE FROM {table} WHERE closure = ?");
                execute(self.resource_connection(), &sql, &[Value::Integer(old.number)])?;
            }
            let sql = "DELETE FROM closure WHERE id = ?";
            execute(self.resource_connection(), sql, &[Value::Integer(old.number)])?;
        }
        let sql = "INSERT INTO closure (name, version) VALUES (?, 0)";
        execute(self.resource_connection(), sql, &[Value::Text(name)])?;
        closure_named(self, name)?.ok_or(StorageError::Outdated)
    }

    /// Adds concepts to a closure table, after the `present` that it has, and
    /// relations. Returns the table at its new version.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_to_closure(
        &mut self,
        to: &StoredClosure,
        present: usize,
        concepts: &[ClosureConcept],
        relations: &[ClosureRelation],
    ) -> Result<StoredClosure, StorageError> {
        self.begin_write()?;
        let version = to.version + 1;
        let sql = "INSERT INTO closure_concept (closure, position, system, system_version, code) \
                   VALUES (?, ?, ?, ?, ?)";
        for (at, concept) in concepts.iter().enumerate() {
            let values = [
                Value::Integer(to.number),
                Value::Integer((present + at) as i64),
                Value::Text(&concept.system),
                Value::Text(concept.system_version.as_deref().unwrap_or_default()),
                Value::Text(&concept.code),
            ];
            execute(self.resource_connection(), sql, &values)?;
        }
        let sql = "INSERT INTO closure_relation (closure, added, source, target, equivalence) \
                   VALUES (?, ?, ?, ?, ?)";
        for relation in relations {
            let values = [
                Value::Integer(to.number),
                Value::Integer(version.into()),
                Value::Integer(relation.source as i64),
                Value::Integer(relation.target as i64),
                Value::Text(&relation.equivalence),
            ];
            execute(self.resource_connection(), sql, &values)?;
        }
        let values = [version.into(), to.number].map(Value::Integer);
        execute(self.resource_connection(), "UPDATE closure SET version = ? WHERE id = ?", &values)?;
        Ok(StoredClosure { version, ..*to })
    }
}

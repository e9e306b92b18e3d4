//! What is stored to tell who is the same person: who shares a block with
//! whom, what is compared of them, and how common their names are.

use std::sync::LazyLock;

use diesel::sql_types::{BigInt, Binary};

use super::error::StorageError;
use super::read::Reads;
use super::sql::{Bind, RenderedSql};
use crate::index::row::{EqualHash, NameHash};

/// Returns the members of blocks, as the place of the block and the number of
/// the Patient: of each block so many at most.
///
/// # Errors
/// When the database fails.
pub fn in_blocks(
    data: &mut impl Reads,
    blocks: &[EqualHash],
    limit: usize,
) -> Result<Vec<(i64, i64)>, StorageError> {
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let binds = blocks.iter().flat_map(|block| [Bind::Integer(block.0), Bind::Integer(limit)]).collect();
    let sql = IN_BLOCKS.get(blocks.len()).cloned().unwrap_or_else(|| members_of(blocks.len()));
    data.integer_pairs(&RenderedSql { sql, binds, is_rare: false })
}

/// The statements for as many blocks as one mostly asks for at once.
static IN_BLOCKS: LazyLock<Vec<String>> = LazyLock::new(|| (0..32).map(members_of).collect());

/// Returns the statement that asks for the members of so many blocks.
fn members_of(blocks: usize) -> String {
    let member = |at: usize| {
        format!("SELECT {at}, key FROM (SELECT key FROM equal WHERE hash = ? ORDER BY key DESC LIMIT ?)")
    };
    (0..blocks).map(member).collect::<Vec<String>>().join(" UNION ALL ")
}

/// Returns what is compared of Patients, by their number.
///
/// # Errors
/// When the database fails.
pub fn persons(data: &mut impl Reads, numbers: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, StorageError> {
    let sql = "SELECT key, features FROM person WHERE key IN (SELECT value FROM json_each(?))";
    let statement = RenderedSql { sql: sql.to_owned(), binds: vec![Bind::list(numbers)], is_rare: false };
    Ok(statement.load::<(BigInt, Binary), (i64, Vec<u8>)>(data.connection())?)
}

/// Returns how many Patients have names; those that nobody has are left out.
///
/// # Errors
/// When the database fails.
pub fn name_counts(data: &mut impl Reads, names: &[NameHash]) -> Result<Vec<(NameHash, u64)>, StorageError> {
    let hashes: Vec<i64> = names.iter().map(|name| name.0).collect();
    let sql = "SELECT hash, live FROM name_count WHERE hash IN (SELECT value FROM json_each(?))";
    let statement = RenderedSql { sql: sql.to_owned(), binds: vec![Bind::list(&hashes)], is_rare: false };
    let counted = |(hash, live): (i64, i64)| Some((NameHash(hash), u64::try_from(live).ok()?));
    Ok(data.integer_pairs(&statement)?.into_iter().filter_map(counted).collect())
}

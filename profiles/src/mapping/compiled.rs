//! A compiled map: what [`Compiled::new`] resolves and [`Compiled::transform`] runs.

use fhir_model::fhirpath::Expression;
use fhir_model::schema::TypeId;

use super::ast::{Function, InputMode, SourceListMode, TargetListMode, TypeMode};
use super::concept_map::{CodeTable, Oids};
use super::error::MapError;

/// A map ready to run.
pub struct Compiled {
    pub(super) maps: Vec<CompiledMap>,
    pub(super) groups: Vec<CompiledGroup>,
    /// The concept maps that its rules name, and why one is missing.
    pub(super) tables: Vec<Result<CodeTable, String>>,
    pub(super) problems: Vec<MapError>,
    pub(super) oids: Oids,
}

/// What rules need to know of the map they stand in.
pub(super) struct CompiledMap {
    pub(super) name: String,
    /// The groups that types can choose, nearest first.
    pub(super) by_types: Vec<usize>,
}

pub(super) struct CompiledGroup {
    pub(super) map: usize,
    pub(super) name: String,
    pub(super) extends: Option<usize>,
    pub(super) type_mode: TypeMode,
    pub(super) inputs: Vec<CompiledInput>,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) line: u32,
}

pub(super) struct CompiledInput {
    pub(super) name: String,
    pub(super) mode: InputMode,
    /// The name of its type, aliases resolved.
    pub(super) type_name: Option<String>,
}

pub(super) struct CompiledRule {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) sources: Vec<CompiledSource>,
    pub(super) targets: Vec<CompiledTarget>,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) dependents: Vec<CompiledDependent>,
    /// Whether types say what is done with source and target.
    pub(super) by_types: bool,
}

pub(super) struct CompiledSource {
    pub(super) context: String,
    pub(super) element: Option<String>,
    pub(super) type_name: Option<String>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) default: Option<CompiledArgument>,
    pub(super) list_mode: Option<SourceListMode>,
    pub(super) variable: Option<String>,
    pub(super) condition: Option<Expression>,
    pub(super) check: Option<Expression>,
    pub(super) log: Option<Expression>,
}

pub(super) struct CompiledTarget {
    pub(super) context: Option<String>,
    /// The elements that lead to the one meant: `a` and `b` of `x.a.b.c`.
    pub(super) path: Vec<String>,
    pub(super) element: Option<String>,
    pub(super) transform: Option<CompiledTransform>,
    pub(super) variable: Option<String>,
    pub(super) list_modes: Vec<TargetListMode>,
    pub(super) list_rule: Option<String>,
}

pub(super) struct CompiledTransform {
    pub(super) function: Function,
    pub(super) arguments: Vec<CompiledArgument>,
    /// The type that `create` and `cast` name.
    pub(super) ty: Option<TypeId>,
    /// The concept map that `translate` names.
    pub(super) table: Option<usize>,
}

pub(super) enum CompiledArgument {
    Variable(String),
    Literal(TypeId, String),
    Expression(Expression),
}

pub(super) struct CompiledDependent {
    /// The group that is called, or why it cannot be.
    pub(super) group: Result<usize, String>,
    pub(super) arguments: Vec<CompiledArgument>,
}

impl Compiled {
    /// Returns what is wrong with rules that can fail only where they are
    /// reached: calls of groups that are not defined, or take other arguments.
    pub fn problems(&self) -> &[MapError] {
        &self.problems
    }
}

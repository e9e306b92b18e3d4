//! Maps: the FHIR Mapping Language, StructureMap resources, and the engine
//! that turns FHIR resources and CDA R2 documents into FHIR resources.
//!
//! [`Map::parse`] reads the language, [`Map::from_resource`] a StructureMap;
//! [`Compiled::new`] resolves imports, groups, types and expressions once, and
//! [`Compiled::transform`] runs the map within [`Limits`].
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html> and
//! <https://hl7.org/fhir/R4/structuremap.html>

mod ast;
mod cda;
mod cda_narrative;
mod cda_read;
mod cda_types;
mod compile;
mod compiled;
mod concept_map;
mod error;
mod functions;
mod imports;
mod lex;
mod nesting;
mod parse;
mod parse_rule;
mod run;
mod scope;
mod source;
mod structure_map;
mod structure_map_write;
mod target;
#[cfg(test)]
mod tests;

pub use ast::{
    Argument, CodeMap, CodeMapElement, Dependent, Function, Group, Input, InputMode, Map, Rule, Source,
    SourceListMode, Target, TargetListMode, Transform, TypeMode, Uses, UsesMode,
};
pub use cda::CdaDocument;
pub use cda_read::CdaError;
pub use compiled::Compiled;
pub use error::{MapError, Place, TransformError, TransformErrorKind};
pub use run::{Limits, Log, Options, Source as TransformSource};

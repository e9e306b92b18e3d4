//! Which search parameters there are, and what of a resource they index.
//!
//! A parameter's expression is taken apart at `|` and brought to the type it
//! is used on; each part is a [`Branch`]. Parts that are the same path share a
//! branch, and `X.where(resolve() is Patient)` asks the branch of `X` for
//! patients only: so no value is stored twice (ADR-0003).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use fhir_model::compartment::compartments;
use fhir_model::fhirpath::Expression;
use fhir_model::fhirpath::ast::Node;
use fhir_model::schema::{TypeId, resource_types, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;

use crate::index::row::BranchCode;

pub use super::definition::{DefinitionError, ParameterSource};
use super::definition::{parse, standard_sources};

/// The code of the parameters that find what sounds alike.
const PHONETIC: &str = "phonetic";

/// A search parameter on one resource type.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name in a search.
    pub code: String,
    /// Its canonical URL.
    pub url: String,
    /// Its type.
    pub kind: Kind,
    /// For references: the types that may be meant; empty for any.
    pub targets: Vec<TypeId>,
    /// The branches it asks.
    pub branches: Vec<BranchUse>,
    /// For composites: the kinds of the parts, in order.
    pub components: Vec<Kind>,
}

/// A branch as a parameter asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchUse {
    /// The branch.
    pub branch: BranchCode,
    /// Only references to this type count.
    pub target: Option<TypeId>,
}

impl Definition {
    /// Tells whether its values are references.
    pub fn is_reference(&self) -> bool {
        self.kind == Kind::Reference
    }

    /// Tells whether it finds what sounds alike.
    pub fn is_phonetic(&self) -> bool {
        self.kind == Kind::String && self.code == PHONETIC
    }

    /// Tells whether its references may mean resources of a type.
    pub fn may_target(&self, of: TypeId) -> bool {
        self.is_reference()
            && (self.targets.is_empty() || self.targets.iter().any(|target| of.is_a(*target)))
            && self.branches.iter().any(|b| b.target.is_none_or(|t| t == of))
    }
}

/// A path of which values are indexed.
#[derive(Debug)]
pub struct Branch {
    /// Its stored number.
    pub code: BranchCode,
    /// The kind of its values.
    pub kind: Kind,
    /// What gives the values.
    pub expression: Expression,
    /// For composites: the parts, relative to each value.
    pub components: Vec<(Kind, Expression)>,
    /// Whether its tokens are paired with the link to the patient.
    pub is_paired: bool,
    /// Whether its texts are found by their sound, too.
    pub is_phonetic: bool,
    /// The types to which parameters that ask it want references only.
    pub target_filters: Vec<TypeId>,
}

/// What is indexed of one resource type, and how it is asked for.
#[derive(Debug, Default)]
pub struct OfType {
    definitions: BTreeMap<String, Definition>,
    /// What the index takes from each resource.
    pub branches: Vec<Branch>,
    /// The branches whose links to a Patient begin a pair.
    pub patient_links: Vec<BranchCode>,
    /// The branches whose links to a Patient make it a member of the compartment.
    pub compartment_links: Vec<BranchCode>,
    /// The branch under which membership in a Patient compartment is stored.
    pub patient_compartment: Option<BranchCode>,
}

/// All search parameters that are active.
#[derive(Debug, Default)]
pub struct Definitions {
    types: HashMap<TypeId, OfType>,
}

impl Definitions {
    /// Compiles the standard parameters.
    ///
    /// # Errors
    /// Never for the tables of this build: a test compiles them.
    pub fn standard() -> Result<Definitions, DefinitionError> {
        Definitions::with_custom(&[])
    }

    /// Compiles the standard parameters and others besides; one of the same
    /// code on the same type takes the place of the standard one.
    ///
    /// # Errors
    /// When one of them cannot be compiled.
    pub fn with_custom(custom: &[ParameterSource]) -> Result<Definitions, DefinitionError> {
        let sources: Vec<ParameterSource> = standard_sources().into_iter().chain(custom.to_vec()).collect();
        let kinds: HashMap<&str, Kind> = sources.iter().map(|s| (s.url.as_str(), s.kind)).collect();
        let mut definitions = Definitions::default();
        let mut branches = HashMap::new();
        for of in resource_types() {
            let mut compiler =
                Compiler { of, kinds: &kinds, branches: &mut branches, out: OfType::default() };
            for source in sources.iter().filter(|s| s.base.iter().any(|base| of.is_a(*base))) {
                compiler.add(source)?;
            }
            compiler.link_patients();
            definitions.types.insert(of, compiler.out);
        }
        Ok(definitions)
    }

    /// Compiles the standard parameters and those of the others that can be:
    /// what was accepted once must not keep a server from starting.
    ///
    /// # Errors
    /// Never for the tables of this build.
    pub fn with_usable(
        custom: &[ParameterSource],
    ) -> Result<(Definitions, Vec<DefinitionError>), DefinitionError> {
        if let Ok(all) = Definitions::with_custom(custom) {
            return Ok((all, Vec::new()));
        }
        let mut usable: Vec<ParameterSource> = Vec::new();
        let mut refused = Vec::new();
        for source in custom {
            usable.push(source.clone());
            if let Err(error) = Definitions::with_custom(&usable) {
                refused.push(error);
                usable.pop();
            }
        }
        Ok((Definitions::with_custom(&usable)?, refused))
    }

    /// Returns the parameters of a type.
    pub fn of(&self, of: TypeId) -> impl Iterator<Item = &Definition> {
        self.types.get(&of).into_iter().flat_map(|t| t.definitions.values())
    }

    /// Finds a parameter of a type.
    pub fn find(&self, of: TypeId, code: &str) -> Option<&Definition> {
        self.types.get(&of)?.definitions.get(code)
    }

    /// Returns what is indexed of a type.
    pub fn index_of(&self, of: TypeId) -> Option<&OfType> {
        self.types.get(&of)
    }
}

/// Compiles the parameters of one resource type.
struct Compiler<'k> {
    of: TypeId,
    kinds: &'k HashMap<&'k str, Kind>,
    /// What the codes of all types stand for.
    branches: &'k mut HashMap<BranchCode, String>,
    out: OfType,
}

impl Compiler<'_> {
    fn add(&mut self, source: &ParameterSource) -> Result<(), DefinitionError> {
        let mut components = Vec::new();
        for (definition, expression) in &source.components {
            let kind = self.kinds.get(definition.as_str()).ok_or_else(|| DefinitionError::Component {
                code: source.code.clone(),
                component: definition.clone(),
            })?;
            // The standard writes a type of FHIRPath where it means one of FHIR.
            components.push((*kind, parse(source, &expression.replace("as(DateTime)", "as(dateTime)"))?));
        }
        let mut branches = Vec::new();
        if !source.expression.is_empty() {
            let whole = parse(source, &source.expression)?;
            let parts: Vec<&Node> = match whole.ast() {
                Node::Union(parts) => parts.iter().collect(),
                single => vec![single],
            };
            let of = self.of;
            for part in parts.into_iter().filter(|part| is_about(of, part)) {
                branches.push(self.branch(source, &part.to_string(), &components)?);
            }
        }
        let definition = Definition {
            code: source.code.clone(),
            url: source.url.clone(),
            kind: source.kind,
            targets: source.targets.clone(),
            branches,
            components: components.into_iter().map(|(kind, _)| kind).collect(),
        };
        self.out.definitions.insert(definition.code.clone(), definition);
        Ok(())
    }

    fn branch(
        &mut self,
        source: &ParameterSource,
        text: &str,
        components: &[(Kind, Expression)],
    ) -> Result<BranchUse, DefinitionError> {
        let (path, target) = match text.strip_suffix(')').and_then(|t| t.rsplit_once(".where(resolve() is "))
        {
            Some((path, target)) => (path, TypeId::resource_named(target.trim_start_matches("FHIR."))),
            None => (text, None),
        };
        let path = if target.is_some() { path } else { text };
        let mut canonical = path.to_owned();
        for (kind, expression) in components {
            canonical.push_str(&format!(" ; {} {}", kind.code(), expression.text()));
        }
        let code = BranchCode::of(self.of, source.kind.code(), &canonical);
        let stands_for = format!("{} {} {canonical}", self.of, source.kind.code());
        match self.branches.entry(code) {
            Entry::Occupied(known) if *known.get() != stands_for => {
                return Err(DefinitionError::Collision {
                    code: source.code.clone(),
                    other: known.get().clone(),
                });
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(stands_for);
            }
        }
        let at = match self.out.branches.iter().position(|b| b.code == code) {
            Some(at) => at,
            None => {
                self.out.branches.push(Branch {
                    code,
                    kind: source.kind,
                    expression: parse(source, path)?,
                    components: components.to_vec(),
                    is_paired: source.kind == Kind::Token && source.code != "identifier",
                    is_phonetic: false,
                    target_filters: Vec::new(),
                });
                self.out.branches.len() - 1
            }
        };
        if let Some(branch) = self.out.branches.get_mut(at) {
            branch.is_phonetic |= source.kind == Kind::String && source.code == PHONETIC;
            branch.target_filters.extend(target.filter(|t| !branch.target_filters.contains(t)));
        }
        Ok(BranchUse { branch: code, target })
    }

    /// Finds the branches that lead to the patient.
    fn link_patients(&mut self) {
        let links = |code: &str| -> Vec<BranchCode> {
            let definition = self.out.definitions.get(code).filter(|d| d.may_target(ty::PATIENT));
            definition.into_iter().flat_map(|d| &d.branches).map(|b| b.branch).collect()
        };
        let mut patient_links = links("patient");
        patient_links.extend(links("subject"));
        patient_links.sort_unstable();
        patient_links.dedup();
        self.out.patient_links = patient_links;
        let membership = compartments()
            .iter()
            .filter(|c| c.focus == ty::PATIENT)
            .flat_map(|c| c.members)
            .find(|m| m.member == self.of);
        if let Some(membership) = membership {
            self.out.compartment_links = membership.parameters.iter().flat_map(|p| links(p)).collect();
            self.out.patient_compartment = Some(patient_compartment_branch(self.of));
        }
    }
}

/// Returns the branch under which membership of a type's resources in a
/// Patient compartment is stored.
pub fn patient_compartment_branch(member: TypeId) -> BranchCode {
    BranchCode::of(member, "compartment", "Patient")
}

/// Tells whether a path begins with this type or one that it is derived from.
fn is_about(of_type: TypeId, node: &Node) -> bool {
    match node {
        Node::Member { of: Some(of), .. }
        | Node::Call { of: Some(of), .. }
        | Node::Indexer { of, .. }
        | Node::Type { of, .. } => is_about(of_type, of),
        Node::Member { of: None, name } => name.ty.is_none_or(|ty| of_type.is_a(ty)),
        Node::Binary { left, .. } => is_about(of_type, left),
        Node::Union(parts) => parts.iter().any(|part| is_about(of_type, part)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_parameters_compile_and_branches_are_distinct() {
        let definitions = Definitions::standard().expect("standard parameters");
        let mut codes: HashMap<BranchCode, String> = HashMap::new();
        let mut branches = 0;
        for of in resource_types() {
            for branch in &definitions.index_of(of).expect("type").branches {
                branches += 1;
                let told = format!("{of} {} {}", branch.kind.code(), branch.expression.text());
                if let Some(other) = codes.insert(branch.code, told.clone()) {
                    panic!("{other} and {told} have the same code");
                }
            }
        }
        assert!(branches > 1000, "{branches}");
    }

    #[test]
    fn parameters_share_branches() {
        let definitions = Definitions::standard().expect("standard parameters");
        let uses = |code: &str| {
            definitions.find(ty::OBSERVATION, code).map(|d| d.branches.clone()).unwrap_or_default()
        };
        let subject = uses("subject");
        assert_eq!(subject.len(), 1);
        assert_eq!(uses("patient"), [BranchUse { branch: subject[0].branch, target: Some(ty::PATIENT) }]);
        let code = uses("code");
        assert!(uses("combo-code").contains(&code[0]), "combo-code asks the branch of code");
        assert_eq!(uses("combo-code").len(), 2);
    }
}

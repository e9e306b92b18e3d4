//! Which search parameters there are, and what of a resource they index.
//!
//! A parameter's expression is taken apart at `|` and brought to the type it
//! is used on; each part is a [`Branch`]. Parts that are the same path share a
//! branch, and `X.where(resolve() is Patient)` asks the branch of `X` for
//! patients only: so no value is stored twice (ADR-0003).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fhir_model::compartment::compartments;
use fhir_model::fhirpath::Expression;
use fhir_model::fhirpath::ast::Node;
use fhir_model::schema::{TypeId, resource_types, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::custom::{CustomDefinition, CustomParameter, Readiness};
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
    /// For custom parameters: whether all resources are indexed for it.
    readiness: Option<Readiness>,
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

    /// Tells whether every resource is indexed for it: asked before, it would
    /// miss matches.
    pub fn is_ready(&self) -> bool {
        self.readiness.as_ref().is_none_or(Readiness::is_ready)
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
#[derive(Debug, Clone)]
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
#[derive(Debug, Default, Clone)]
pub struct OfType {
    standard: BTreeMap<String, Definition>,
    custom: BTreeMap<String, Definition>,
    /// What the index takes from each resource.
    pub branches: Vec<Branch>,
    /// The branches whose links to a Patient begin a pair.
    pub patient_links: Vec<BranchCode>,
    /// The branches whose links to a Patient make it a member of the compartment.
    pub compartment_links: Vec<BranchCode>,
    /// The branch under which membership in a Patient compartment is stored.
    pub patient_compartment: Option<BranchCode>,
}

impl OfType {
    /// A custom parameter takes the place of the standard one of its code when
    /// it is ready; until then the standard one goes on.
    fn find(&self, code: &str) -> Option<&Definition> {
        let custom = self.custom.get(code);
        custom.filter(|c| c.is_ready()).or_else(|| self.standard.get(code)).or(custom)
    }

    fn branch(&self, code: BranchCode) -> Option<&Branch> {
        self.branches.iter().find(|b| b.code == code)
    }
}

/// All search parameters that are active.
#[derive(Debug, Default)]
pub struct Definitions {
    types: HashMap<TypeId, Arc<OfType>>,
    /// What the codes of the branches of all types stand for.
    branches: HashMap<BranchCode, String>,
    /// The kinds of the parameters by their canonical URLs, for composites.
    kinds: HashMap<String, Kind>,
    custom: Vec<CustomParameter>,
}

impl Definitions {
    /// Compiles the standard parameters.
    ///
    /// # Errors
    /// Never for the tables of this build: a test compiles them.
    pub fn standard() -> Result<Definitions, DefinitionError> {
        let sources = standard_sources();
        let mut out = Definitions {
            kinds: sources.iter().map(|s| (s.url.clone(), s.kind)).collect(),
            ..Definitions::default()
        };
        for of in resource_types() {
            let mut of_type = OfType::default();
            for source in sources.iter().filter(|s| s.base.iter().any(|base| of.is_a(*base))) {
                let compiled = compile(source, of, &out.kinds)?;
                compiled.check(source, &out.branches)?;
                let definition = compiled.put(source, &mut of_type, &mut out.branches, true);
                of_type.standard.insert(definition.code.clone(), definition);
            }
            link_patients(of, &mut of_type);
            out.types.insert(of, Arc::new(of_type));
        }
        Ok(out)
    }

    /// Returns these parameters, the standard ones, and those of `custom` that
    /// can be used besides; and what is wrong with the others, by their place.
    /// Of custom ones of the same code, the last stands.
    pub fn with_custom(&self, custom: &[CustomDefinition]) -> (Definitions, Vec<(usize, DefinitionError)>) {
        let mut out = Definitions {
            types: self.types.clone(),
            branches: self.branches.clone(),
            kinds: self.kinds.clone(),
            custom: Vec::new(),
        };
        // Composites are made of others.
        let mut order: Vec<usize> = (0..custom.len()).collect();
        order.sort_by_key(|at| custom.get(*at).is_some_and(|c| c.source.kind == Kind::Composite));
        let mut refused = Vec::new();
        let mut named: Vec<(usize, TypeId, Definition)> = Vec::new();
        for at in order {
            let Some(one) = custom.get(at) else { continue };
            match out.add(one, self) {
                Ok(definitions) => named.extend(definitions.into_iter().map(|(of, d)| (at, of, d))),
                Err(error) => refused.push((at, error)),
            }
        }
        named.sort_by_key(|(at, _, _)| *at);
        for (_, of, definition) in named {
            if let Some(of_type) = out.types.get_mut(&of) {
                Arc::make_mut(of_type).custom.insert(definition.code.clone(), definition);
            }
        }
        out.custom.sort_by_key(|c| c.number);
        (out, refused)
    }

    /// Adds what a custom parameter takes from resources; all of it, or
    /// nothing when it cannot be used.
    fn add(
        &mut self,
        custom: &CustomDefinition,
        standard: &Definitions,
    ) -> Result<Vec<(TypeId, Definition)>, DefinitionError> {
        let source = &custom.source;
        let mut compiled = Vec::new();
        for of in resource_types().filter(|of| source.base.iter().any(|base| of.is_a(*base))) {
            let replaced = standard.find_standard(of, &source.code).filter(|s| s.kind != source.kind);
            if let Some(replaced) = replaced {
                let (was, is) = (replaced.kind.code(), source.kind.code());
                let why = format!(
                    "is of type {is}, and the standard parameter of {of} that it replaces is of type {was}"
                );
                return Err(DefinitionError::Unusable { code: source.code.clone(), why });
            }
            let one = compile(source, of, &self.kinds)?;
            one.check(source, &self.branches)?;
            compiled.push((of, one));
        }
        let readiness = Readiness::default();
        let mut definitions = Vec::new();
        let (mut types, mut parts) = (Vec::new(), Vec::new());
        for (of, one) in compiled {
            parts.push(one.told(source, of));
            let Some(of_type) = self.types.get_mut(&of) else { continue };
            if standard.types.get(&of).is_none_or(|known| !one.is_indexed_by(source, known)) {
                types.push(of);
            }
            let mut definition = one.put(source, Arc::make_mut(of_type), &mut self.branches, false);
            definition.readiness = Some(readiness.clone());
            definitions.push((of, definition));
        }
        if source.kind != Kind::Composite {
            self.kinds.entry(source.url.clone()).or_insert(source.kind);
        }
        self.custom.push(CustomParameter::new(custom, types, &parts, readiness));
        Ok(definitions)
    }

    /// Returns the custom parameters, by the numbers of their resources.
    pub fn custom(&self) -> &[CustomParameter] {
        &self.custom
    }

    pub(super) fn custom_mut(&mut self) -> &mut [CustomParameter] {
        &mut self.custom
    }

    /// Returns the parameters of a type.
    pub fn of(&self, of: TypeId) -> impl Iterator<Item = &Definition> {
        self.types.get(&of).into_iter().flat_map(|t| {
            let added = t.custom.keys().filter(|code| !t.standard.contains_key(*code));
            t.standard.keys().chain(added).filter_map(|code| t.find(code))
        })
    }

    /// Finds a parameter of a type.
    pub fn find(&self, of: TypeId, code: &str) -> Option<&Definition> {
        self.types.get(&of)?.find(code)
    }

    /// Finds a standard parameter of a type, whatever took its place: what the
    /// specification builds on it, such as compartments, stays as it is.
    pub fn find_standard(&self, of: TypeId, code: &str) -> Option<&Definition> {
        self.types.get(&of)?.standard.get(code)
    }

    /// Returns what is indexed of a type.
    pub fn index_of(&self, of: TypeId) -> Option<&OfType> {
        self.types.get(&of).map(|t| &**t)
    }
}

/// A parameter compiled for one resource type.
struct Compiled {
    branches: Vec<CompiledBranch>,
    components: Vec<(Kind, Expression)>,
}

/// A path that a parameter asks.
struct CompiledBranch {
    asked: BranchUse,
    expression: Expression,
    /// What its code stands for.
    stands_for: String,
}

/// What the storage knows of a resource without an index.
const KNOWN_TO_STORAGE: &[&str] = &[
    "http://hl7.org/fhir/SearchParameter/Resource-id",
    "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated",
    // Published among the others as an example of one: `_id` again.
    "http://hl7.org/fhir/SearchParameter/example",
];

fn compile(
    source: &ParameterSource,
    of: TypeId,
    kinds: &HashMap<String, Kind>,
) -> Result<Compiled, DefinitionError> {
    let mut components = Vec::new();
    for (definition, expression) in &source.components {
        let kind = kinds.get(definition).ok_or_else(|| DefinitionError::Component {
            code: source.code.clone(),
            component: definition.clone(),
        })?;
        // The standard writes a type of FHIRPath where it means one of FHIR.
        components.push((*kind, parse(source, &expression.replace("as(DateTime)", "as(dateTime)"))?));
    }
    let mut branches = Vec::new();
    if !source.expression.is_empty() && !KNOWN_TO_STORAGE.contains(&source.url.as_str()) {
        let whole = parse(source, &source.expression)?;
        let parts: Vec<&Node> = match whole.ast() {
            Node::Union(parts) => parts.iter().collect(),
            single => vec![single],
        };
        for part in parts.into_iter().filter(|part| is_about(of, part)) {
            branches.push(compile_branch(source, of, &part.to_string(), &components)?);
        }
    }
    Ok(Compiled { branches, components })
}

fn compile_branch(
    source: &ParameterSource,
    of: TypeId,
    text: &str,
    components: &[(Kind, Expression)],
) -> Result<CompiledBranch, DefinitionError> {
    let (path, target) = match text.strip_suffix(')').and_then(|t| t.rsplit_once(".where(resolve() is ")) {
        Some((path, target)) => (path, TypeId::resource_named(target.trim_start_matches("FHIR."))),
        None => (text, None),
    };
    let path = if target.is_some() { path } else { text };
    let mut canonical = path.to_owned();
    for (kind, expression) in components {
        canonical.push_str(&format!(" ; {} {}", kind.code(), expression.text()));
    }
    let branch = BranchCode::of(of, source.kind.code(), &canonical);
    Ok(CompiledBranch {
        asked: BranchUse { branch, target },
        expression: parse(source, path)?,
        stands_for: format!("{of} {} {canonical}", source.kind.code()),
    })
}

impl Compiled {
    /// Checks that none of its branches has the stored number of another.
    fn check(
        &self,
        source: &ParameterSource,
        known: &HashMap<BranchCode, String>,
    ) -> Result<(), DefinitionError> {
        let mut own: HashMap<BranchCode, &str> = HashMap::new();
        for one in &self.branches {
            let code = one.asked.branch;
            let other = known.get(&code).map(String::as_str).or_else(|| own.insert(code, &one.stands_for));
            if let Some(other) = other.filter(|other| *other != one.stands_for) {
                return Err(DefinitionError::Collision {
                    code: source.code.clone(),
                    other: other.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Tells whether what it asks is indexed of each resource already.
    fn is_indexed_by(&self, source: &ParameterSource, known: &OfType) -> bool {
        self.branches.iter().all(|one| {
            known.branch(one.asked.branch).is_some_and(|branch| {
                let has_target = one.asked.target.is_none_or(|t| branch.target_filters.contains(&t));
                has_target && (branch.is_phonetic || !is_phonetic(source))
            })
        })
    }

    /// Says what it takes from resources of a type: it is another when this is.
    fn told(&self, source: &ParameterSource, of: TypeId) -> String {
        let mut told = format!("{of} {} {}", source.kind.code(), is_phonetic(source));
        for one in &self.branches {
            let target = one.asked.target.map_or("", TypeId::name);
            told.push_str(&format!(" {} {target}", one.asked.branch.0));
        }
        told
    }

    /// Adds its branches to those of the type.
    fn put(
        self,
        source: &ParameterSource,
        of_type: &mut OfType,
        known: &mut HashMap<BranchCode, String>,
        is_standard: bool,
    ) -> Definition {
        let mut asked = Vec::new();
        for CompiledBranch { asked: BranchUse { branch: code, target }, expression, stands_for } in
            self.branches
        {
            known.entry(code).or_insert(stands_for);
            let at = match of_type.branches.iter().position(|b| b.code == code) {
                Some(at) => at,
                None => {
                    of_type.branches.push(Branch {
                        code,
                        kind: source.kind,
                        expression,
                        components: self.components.clone(),
                        // Whether a branch is paired must not depend on which
                        // of several custom parameters there are.
                        is_paired: is_standard && source.kind == Kind::Token && source.code != "identifier",
                        is_phonetic: false,
                        target_filters: Vec::new(),
                    });
                    of_type.branches.len() - 1
                }
            };
            if let Some(branch) = of_type.branches.get_mut(at) {
                branch.is_phonetic |= is_phonetic(source);
                branch.target_filters.extend(target.filter(|t| !branch.target_filters.contains(t)));
            }
            asked.push(BranchUse { branch: code, target });
        }
        Definition {
            code: source.code.clone(),
            url: source.url.clone(),
            kind: source.kind,
            targets: source.targets.clone(),
            branches: asked,
            components: self.components.into_iter().map(|(kind, _)| kind).collect(),
            readiness: None,
        }
    }
}

fn is_phonetic(source: &ParameterSource) -> bool {
    source.kind == Kind::String && source.code == PHONETIC
}

/// Types without pairs of patient and token: each access to a patient's data
/// writes one, and few are ever asked for. The links to the patient answer.
const UNPAIRED: &[TypeId] = &[ty::AUDIT_EVENT];

/// Finds the branches that lead to the patient.
fn link_patients(of: TypeId, out: &mut OfType) {
    let links = |code: &str| -> Vec<BranchCode> {
        let definition = out.standard.get(code).filter(|d| d.may_target(ty::PATIENT));
        definition.into_iter().flat_map(|d| &d.branches).map(|b| b.branch).collect()
    };
    let mut patient_links = links("patient");
    patient_links.extend(links("subject"));
    patient_links.sort_unstable();
    patient_links.dedup();
    let membership = compartments()
        .iter()
        .filter(|c| c.focus == ty::PATIENT)
        .flat_map(|c| c.members)
        .find(|m| m.member == of);
    if let Some(membership) = membership {
        out.compartment_links = membership.parameters.iter().flat_map(|p| links(p)).collect();
        out.patient_compartment = Some(patient_compartment_branch(of));
    }
    if !UNPAIRED.contains(&of) {
        out.patient_links = patient_links;
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

//! SearchParameter resources, standard and custom, as the registry takes them.
//!
//! Spec: <https://hl7.org/fhir/R4/searchparameter.html>

use fhir_model::fhirpath::Expression;
use fhir_model::fhirpath::ast::{Literal, Node};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::search_parameter::{SearchParameterType as Kind, standard_search_parameters};
use fhir_model::tree::{Element, Resource};
use ihe_adapters::mhd::search_parameters::SEARCH_PARAMETERS;

/// Where the name stands that a mother was born with.
const MOTHERS_MAIDEN_NAME: &str = "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName').value.ofType(string)";
/// The longest code of a parameter, in characters.
const CODE_CHARS_MAX: usize = 64;
/// The greatest number of parts of a composite.
const COMPONENTS_MAX: usize = 8;

/// A SearchParameter as it is defined, standard or custom.
#[derive(Debug, Clone)]
pub struct ParameterSource {
    /// Its canonical URL.
    pub url: String,
    /// Its name in a search.
    pub code: String,
    /// Its type.
    pub kind: Kind,
    /// The types that it is defined on.
    pub base: Vec<TypeId>,
    /// The FHIRPath expression of its values.
    pub expression: String,
    /// For references: the types that may be meant; empty for any.
    pub targets: Vec<TypeId>,
    /// For composites: canonical URL of the part's definition, and its expression.
    pub components: Vec<(String, String)>,
}

/// Why a definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It is no SearchParameter, or says too little to be one.
    #[error("the definition of `{code}` {why}")]
    Unusable {
        /// The parameter.
        code: String,
        /// What is wrong.
        why: String,
    },
    /// The expression is no FHIRPath, or does not fit the type that it is for.
    #[error("the expression of `{code}` cannot be used: {why}")]
    Expression {
        /// The parameter.
        code: String,
        /// What is wrong.
        why: String,
    },
    /// A part of a composite names a parameter that is not known.
    #[error("`{code}` is made of `{component}`, which is not known")]
    Component {
        /// The parameter.
        code: String,
        /// The canonical URL that it names.
        component: String,
    },
    /// Its path has, by chance, the stored number of another.
    #[error("`{code}` has the stored number of `{other}`; write its expression in another way")]
    Collision {
        /// The parameter.
        code: String,
        /// The path that has it.
        other: String,
    },
}

impl ParameterSource {
    /// Reads a SearchParameter resource, and checks that it can be used.
    ///
    /// # Errors
    /// What keeps it from being used. Whether the parts of a composite are
    /// known, and whether a standard parameter can be replaced, only
    /// [`Definitions::with_custom`](super::registry::Definitions::with_custom) tells.
    pub fn of(resource: &Resource) -> Result<ParameterSource, DefinitionError> {
        let root = resource.root();
        let code = root.text_of(name::CODE).unwrap_or_default().to_owned();
        let unusable = |why: String| DefinitionError::Unusable { code: code.clone(), why };
        if resource.resource_type() != ty::SEARCH_PARAMETER {
            return Err(unusable(format!("is a {}, not a SearchParameter", resource.resource_type())));
        }
        if root.text_of(name::STATUS) == Some("retired") {
            return Err(unusable("is retired".to_owned()));
        }
        if !is_code(&code) {
            return Err(unusable(
                "has no usable code: letters, digits, `-` and `_`, not first `_`".to_owned(),
            ));
        }
        let told = |of| root.text_of(of).map(str::to_owned);
        let url = told(name::URL).ok_or_else(|| unusable("has no url".to_owned()))?;
        let kind = root.text_of(name::TYPE).and_then(kind_named);
        let kind = kind.ok_or_else(|| unusable("has no type that a search can use".to_owned()))?;
        let expression = told(name::EXPRESSION).ok_or_else(|| unusable("has no expression".to_owned()))?;
        let mut base = Vec::new();
        for named in root.children_named(name::BASE).filter_map(Element::value) {
            let of = TypeId::named(named).filter(|of| of.is_a(ty::RESOURCE));
            base.push(of.ok_or_else(|| unusable(format!("is for `{named}`, which is no resource type")))?);
        }
        if base.is_empty() {
            return Err(unusable("is for no resource type".to_owned()));
        }
        let targets = targets(root).map_err(unusable)?;
        let components = components(root, kind).map_err(unusable)?;
        let source = ParameterSource { url, code: code.clone(), kind, base, expression, targets, components };
        source.check()?;
        Ok(source)
    }

    /// Checks that the expression fits the types that it is for.
    fn check(&self) -> Result<(), DefinitionError> {
        let whole = parse(self, &self.expression)?;
        let refused = |why: String| DefinitionError::Expression { code: self.code.clone(), why };
        for of in self.base.iter().filter(|of| of.definition().is_concrete_resource()) {
            let narrowed = whole.narrowed_to(*of);
            if matches!(narrowed.ast(), Node::Literal(Literal::Empty)) {
                return Err(refused(format!("it gives nothing for {of}")));
            }
            narrowed.check(*of).map_err(|error| refused(format!("on {of}, {error}")))?;
        }
        for (_, expression) in &self.components {
            parse(self, expression)?;
        }
        Ok(())
    }
}

fn is_code(code: &str) -> bool {
    // Names that begin with `_` belong to the specification.
    code.starts_with(|c: char| c.is_ascii_alphanumeric())
        && code.len() <= CODE_CHARS_MAX
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn kind_named(code: &str) -> Option<Kind> {
    // What is special has rules of its own, which a definition cannot tell.
    let kinds = [
        Kind::Number,
        Kind::Date,
        Kind::String,
        Kind::Token,
        Kind::Reference,
        Kind::Composite,
        Kind::Quantity,
        Kind::Uri,
    ];
    kinds.into_iter().find(|kind| kind.code() == code)
}

fn targets(root: Element<'_>) -> Result<Vec<TypeId>, String> {
    let mut targets = Vec::new();
    for named in root.children_named(name::TARGET).filter_map(Element::value) {
        let target = TypeId::named(named).filter(|of| of.is_a(ty::RESOURCE));
        targets.push(target.ok_or_else(|| format!("has the target `{named}`, which is no resource type"))?);
    }
    // An abstract type stands for all.
    if targets.iter().any(|of| !of.definition().is_concrete_resource()) {
        targets.clear();
    }
    Ok(targets)
}

fn components(root: Element<'_>, kind: Kind) -> Result<Vec<(String, String)>, String> {
    let mut components = Vec::new();
    for component in root.children_named(name::COMPONENT) {
        let told = |of| component.text_of(of).map(str::to_owned);
        let definition = told(name::DEFINITION).ok_or("has a part without a definition")?;
        let url = definition.split_once('|').map_or(definition.as_str(), |(url, _)| url).to_owned();
        components.push((url, told(name::EXPRESSION).ok_or("has a part without an expression")?));
    }
    match (kind == Kind::Composite, components.len()) {
        (true, 2..=COMPONENTS_MAX) | (false, 0) => Ok(components),
        (true, _) => Err(format!("is a composite, which has 2 to {COMPONENTS_MAX} parts")),
        (false, _) => Err("has parts, but is no composite".to_owned()),
    }
}

/// Compiles an expression of a definition.
pub(super) fn parse(source: &ParameterSource, text: &str) -> Result<Expression, DefinitionError> {
    Expression::parse(text)
        .map_err(|error| DefinitionError::Expression { code: source.code.clone(), why: error.to_string() })
}

/// Returns the parameters of the specification, and those of document sharing.
pub(super) fn standard_sources() -> Vec<ParameterSource> {
    let of_document_sharing = SEARCH_PARAMETERS.iter().map(|p| ParameterSource {
        url: p.url.to_owned(),
        code: p.code.to_owned(),
        kind: p.kind,
        base: p.base.to_vec(),
        expression: p.expression.to_owned(),
        targets: Vec::new(),
        components: Vec::new(),
    });
    let of_the_specification = standard_search_parameters().iter();
    of_the_specification
        .map(|p| {
            let mut components: Vec<(String, String)> =
                p.components.iter().map(|c| (c.definition.to_owned(), c.expression.to_owned())).collect();
            if p.url.ends_with("/DocumentReference-relationship") {
                // Published with the expressions of its two parts exchanged.
                let expressions: Vec<String> = components.iter().rev().map(|(_, e)| e.clone()).collect();
                components.iter_mut().zip(expressions).for_each(|(component, e)| component.1 = e);
            }
            // Published with the URL of an extension that there is not.
            let is_of_mother = p.url.ends_with("/patient-extensions-Patient-mothersMaidenName");
            let expression = if is_of_mother { MOTHERS_MAIDEN_NAME } else { p.expression };
            ParameterSource {
                url: p.url.to_owned(),
                code: p.code.to_owned(),
                kind: p.kind,
                base: p.base.to_vec(),
                expression: expression.to_owned(),
                targets: p.targets.to_vec(),
                components,
            }
        })
        .chain(of_document_sharing)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::custom::CustomDefinition;
    use crate::search::registry::Definitions;

    fn read(parts: &str) -> Result<ParameterSource, DefinitionError> {
        let document = format!(
            r#"{{"resourceType":"SearchParameter","url":"http://example.org/sp","name":"n","description":"d",{parts}}}"#
        );
        ParameterSource::of(&fhir_model::json::read(document.into_bytes()).expect("valid"))
    }

    #[test]
    fn custom_ones_are_read_and_take_the_place_of_standard_ones() {
        let eyes = read(
            r#""status":"active","code":"eye-colour","base":["Patient"],"type":"token",
            "expression":"Patient.extension('http://example.org/eye-colour').value""#,
        )
        .expect("usable");
        let sex = read(
            r#""status":"draft","code":"gender","base":["Patient"],"type":"token","expression":"Patient.gender""#,
        )
        .expect("usable");
        let standard = Definitions::standard().expect("standard ones");
        let own = |number, source: &ParameterSource| CustomDefinition {
            number,
            version: 1,
            source: source.clone(),
        };
        let (definitions, refused) = standard.with_custom(&[own(1, &eyes), own(2, &sex)]);
        assert!(refused.is_empty(), "{refused:?}");
        let url =
            |definitions: &Definitions, code| definitions.find(ty::PATIENT, code).map(|d| d.url.clone());
        assert_eq!(definitions.find(ty::PATIENT, "eye-colour").map(|d| d.is_ready()), Some(false));
        assert!(definitions.find(ty::OBSERVATION, "eye-colour").is_none());
        assert_eq!(url(&definitions, "gender"), url(&standard, "gender"), "until it is ready");
        let types: Vec<_> = definitions.custom().iter().map(|c| (c.number, c.types.len())).collect();
        assert_eq!(types, [(1, 1), (2, 0)], "the path of gender is indexed already");
        definitions.custom().iter().for_each(|c| c.set_ready());
        assert_eq!(url(&definitions, "gender"), Some("http://example.org/sp".to_owned()));
        assert_eq!(definitions.of(ty::PATIENT).count(), standard.of(ty::PATIENT).count() + 1);
        assert!(definitions.find_standard(ty::PATIENT, "eye-colour").is_none());

        let both = |url: &str| ParameterSource {
            kind: Kind::Composite,
            code: "both".to_owned(),
            components: vec![(url.to_owned(), "gender".to_owned()); 2],
            expression: "Patient".to_owned(),
            ..eyes.clone()
        };
        let other = ParameterSource { kind: Kind::String, ..sex };
        let all = [both("http://example.org/nothing"), both("http://example.org/sp"), other, eyes.clone()];
        let all: Vec<_> = (0..).zip(&all).map(|(number, source)| own(number, source)).collect();
        let (definitions, refused) = standard.with_custom(&all);
        let why: Vec<_> = refused.iter().map(|(at, error)| (*at, error.to_string())).collect();
        assert!(why.len() == 2 && why[0].0 == 2 && why[0].1.contains("of type token"), "{why:?}");
        assert!(why[1].0 == 0 && why[1].1.contains("not known"), "{why:?}");
        let kinds = definitions.find(ty::PATIENT, "both").map(|d| d.components.clone());
        assert_eq!(kinds, Some(vec![Kind::Token; 2]), "made of one that comes later");
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (status, code, base, kind, more, why) in [
            ("retired", "a", "Patient", "token", r#""expression":"Patient.active""#, "retired"),
            ("active", "_a", "Patient", "token", r#""expression":"Patient.active""#, "code"),
            ("active", "a:b", "Patient", "token", r#""expression":"Patient.active""#, "code"),
            ("active", "a", "Patient", "special", r#""expression":"Patient.active""#, "type"),
            ("active", "a", "HumanName", "token", r#""expression":"HumanName.use""#, "HumanName"),
            ("active", "a", "Patient", "token", r#""purpose":"none""#, "no expression"),
            ("active", "a", "Patient", "token", r#""expression":"Patient.(""#, "expression"),
            ("active", "a", "Patient", "token", r#""expression":"Patient.colour""#, "colour"),
            ("active", "a", "Patient", "token", r#""expression":"Group.active""#, "Group"),
            ("active", "a", "Patient", "composite", r#""expression":"Patient""#, "parts"),
            (
                "active",
                "a",
                "Patient",
                "reference",
                r#""target":["string"],"expression":"Patient.link.other""#,
                "target",
            ),
        ] {
            let parts =
                format!(r#""status":"{status}","code":"{code}","base":["{base}"],"type":"{kind}",{more}"#);
            let error = read(&parts).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(why), "{parts}: {error}");
        }
    }
}

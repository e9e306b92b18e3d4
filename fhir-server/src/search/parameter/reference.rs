//! Reference parameters: to resources here, to others by URL, to canonicals.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#reference>

use fhir_model::fhirpath::Value;
use fhir_model::primitive::id::ResourceId;
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, name, ty};

use super::{
    Collector, OTHER_TARGETS, Predicate, QueryContext, TextComparison, TextMatch, ValueError, malformed,
    targets_of, token, unescape,
};
use crate::index::row::{BranchCode, Link, TargetHash};
use crate::search::registry::{Branch, Definition};

const EXPECTED: &str = "a reference: `id`, `Type/id` or a URL";

/// What makes the form of an identifier of a reference another than that of a token.
const IDENTIFIER_VARIANT: &str = "reference-identifier";
/// The beginning of the URLs of types, which `Reference.type` may have.
const TYPES_BASE: &str = "http://hl7.org/fhir/StructureDefinition/";
/// What makes the branch of canonicals, for `:below`.
const CANONICAL_VARIANT: &str = "reference-canonical";

/// Puts a reference or a canonical into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, bases: &[String], out: &mut Collector) {
    let (links, equal) = (out.rows.links.len(), out.rows.equal.len());
    match value {
        Value::Element(element) if element.ty() == ty::REFERENCE => {
            if let Some(text) = element.text_of(name::REFERENCE) {
                link(branch, text, bases, out);
            }
            if let Some(identifier) = element.child(name::IDENTIFIER) {
                let found = Value::Element(identifier);
                let variant = branch.variant(IDENTIFIER_VARIANT);
                let mut store = |token: token::Token<'_>| {
                    token.store(variant, out);
                };
                token::for_each_token(&found, &mut store, &mut |_| {});
            }
        }
        Value::Element(element) => {
            if let Some(text) = element.value() {
                link(branch, text, bases, out);
                if element.ty() == ty::CANONICAL {
                    out.text(branch.variant(CANONICAL_VARIANT), text.to_owned());
                }
            }
        }
        _ => {}
    }
    // Without a link of its own only this tells that there is a value.
    if out.rows.links.len() == links {
        out.skipped += usize::from(out.rows.equal.len() == equal);
        out.present(branch);
    }
}

/// Notes the types that the branch is asked for and to which none of its
/// values refers: mostly there is none, so that it costs no row to tell
/// whether there is any `patient` among the values of `subject`.
pub(super) fn index_other_targets(branch: &Branch, values: &[Value<'_>], out: &mut Collector) {
    let types: smallvec::SmallVec<[Option<TypeId>; 4]> = values.iter().map(type_meant).collect();
    for target in &branch.target_filters {
        if !types.contains(&Some(*target)) {
            out.equal(branch.code, OTHER_TARGETS, &[target.name()]);
        }
    }
}

/// The type of resource that a reference means, as the resource tells it.
fn type_meant(value: &Value<'_>) -> Option<TypeId> {
    let element = value.element()?;
    let text = match element.ty() {
        ty::REFERENCE => element.text_of(name::REFERENCE).unwrap_or_default(),
        _ => element.value()?,
    };
    if let Some(id) = text.strip_prefix('#') {
        let mut contained = element.resource().root().children_named(name::CONTAINED);
        return contained.find(|c| c.text_of(name::ID) == Some(id)).map(|c| c.ty());
    }
    let literal = Literal::parse(text).map(|l| l.key.resource_type);
    literal.or_else(|| {
        let told = element.text_of(name::TYPE)?;
        TypeId::resource_named(told.strip_prefix(TYPES_BASE).unwrap_or(told))
    })
}

fn link(branch: BranchCode, text: &str, bases: &[String], out: &mut Collector) {
    if text.is_empty() || text.starts_with('#') {
        // A contained resource has no identity outside of its container.
        return;
    }
    if let Some(literal) = Literal::parse(text)
        && literal.base.is_none_or(|base| bases.iter().any(|own| own == base))
    {
        let target = TargetHash::of_resource(literal.key.resource_type, literal.key.id.as_str());
        out.rows.links.push(Link { target, branch });
        out.references.push((branch, literal.key));
        return;
    }
    out.rows.links.push(Link { target: TargetHash::of_url(text), branch });
    // A canonical is found without its version or fragment, too.
    if let Some((url, _)) = text.split_once(['|', '#']) {
        link(branch, url, bases, out);
    }
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
    context: QueryContext<'_>,
) -> Result<Predicate, ValueError> {
    let wanted = unescape(text);
    let of_type = match modifier {
        None => None,
        Some("identifier") => {
            let (form, parts) = token::parse(text)
                .ok_or_else(|| malformed(text, "an identifier: `system|value` or `value`"))?;
            let branches = definition.branches.iter().map(|b| b.branch.variant(IDENTIFIER_VARIANT));
            return Ok(token::among(branches, form, &parts));
        }
        Some("below") => {
            let branches = definition.branches.iter().map(|b| b.branch.variant(CANONICAL_VARIANT)).collect();
            return Ok(Predicate::Text(TextMatch {
                branches,
                comparison: TextComparison::Starts,
                folded: wanted,
            }));
        }
        Some(modifier) => Some(
            TypeId::resource_named(modifier)
                .ok_or_else(|| ValueError::Modifier { modifier: modifier.to_owned(), kind: "reference" })?,
        ),
    };
    if wanted.is_empty() {
        return Err(malformed(text, EXPECTED));
    }
    let mut links = Vec::new();
    for branch in &definition.branches {
        let targets = targets(&wanted, of_type, context, || targets_of(definition, branch.target))
            .ok_or_else(|| malformed(text, EXPECTED))?;
        let fitting =
            targets.into_iter().filter(|(of, _)| branch.target.is_none_or(|t| of.is_none_or(|of| of == t)));
        links.extend(fitting.map(|(_, target)| Link { target, branch: branch.branch }));
    }
    Ok(Predicate::Link(links))
}

/// Returns what the text may name, with its type where that is known.
fn targets(
    text: &str,
    of_type: Option<TypeId>,
    context: QueryContext<'_>,
    any: impl Fn() -> Vec<TypeId>,
) -> Option<Vec<(Option<TypeId>, TargetHash)>> {
    if let Some(literal) = Literal::parse(text)
        && literal.base.is_none_or(|base| context.bases.iter().any(|own| own == base))
    {
        let of = literal.key.resource_type;
        if of_type.is_some_and(|wanted| wanted != of) {
            return Some(Vec::new());
        }
        return Some(vec![(Some(of), TargetHash::of_resource(of, literal.key.id.as_str()))]);
    }
    if let Some(id) = ResourceId::parse(text) {
        let types = of_type.map_or_else(any, |of| vec![of]);
        return Some(
            types.into_iter().map(|of| (Some(of), TargetHash::of_resource(of, id.as_str()))).collect(),
        );
    }
    text.contains([':', '/']).then(|| vec![(None, TargetHash::of_url(text))])
}

/// Returns what the text may name, of whatever type.
pub(super) fn any_target(text: &str, context: QueryContext<'_>) -> Option<Vec<TargetHash>> {
    let found = targets(&unescape(text), None, context, || fhir_model::schema::resource_types().collect())?;
    Some(found.into_iter().map(|(_, target)| target).collect())
}

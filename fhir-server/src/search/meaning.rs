//! What the names and values of a search mean as conditions over the index:
//! chains, `_has`, `_filter`, compartments and the parameters of every type.
//! What one parameter type makes of a value is in `parameter/`.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html>

use std::cell::RefCell;

use fhir_model::compartment::compartment_of;
use fhir_model::interaction::ResourceKey;
use fhir_model::primitive::date::PartialDate;
use fhir_model::primitive::id::ResourceId;
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, resource_types, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::chain::ParameterName;
use super::condition::{BodyTest, Chain, Condition, Has, Scan, SpanRange, TextComparison};
use super::error::{SearchError, ready};
use super::filter::{FilterExpression, FilterOperator, FilterStep, FilterTest, parse_filter};
use super::limits::SearchLimits;
use super::parameter::special::Near;
use super::parameter::{self, QueryContext, ValueError, split_unescaped, unescape};
use super::plan::Hints;
use super::registry::{BranchUse, Definition, Definitions, patient_compartment_branch};
use super::sort::{occurs_once, span_hashes};
use crate::index::row::{BranchCode, Link, TargetHash};

/// What is needed to understand the conditions of a search.
pub(crate) struct Meaning<'m> {
    definitions: &'m Definitions,
    limits: &'m SearchLimits,
    context: QueryContext<'m>,
    /// What is known of the values seen so far.
    hints: RefCell<Hints>,
}

impl<'m> Meaning<'m> {
    pub(crate) fn new(
        definitions: &'m Definitions,
        limits: &'m SearchLimits,
        context: QueryContext<'m>,
    ) -> Meaning<'m> {
        Meaning { definitions, limits, context, hints: RefCell::default() }
    }

    /// What is known of the values that were seen.
    pub(crate) fn into_hints(self) -> Hints {
        self.hints.into_inner()
    }

    /// It is this resource.
    pub(crate) fn is_resource(&self, key: &ResourceKey) -> Condition {
        Condition::Id(vec![TargetHash::of_resource(key.resource_type, key.id.as_str())])
    }

    /// What makes resources members of a compartment, by their type.
    pub(crate) fn compartment(
        &self,
        focus: &ResourceKey,
        member: Option<TypeId>,
    ) -> Result<Vec<(TypeId, Condition)>, SearchError> {
        let unusable =
            |why: String| SearchError::Unusable { name: focus.resource_type.name().to_owned(), why };
        let compartment = compartment_of(focus.resource_type)
            .ok_or_else(|| unusable(format!("there is no compartment of {}", focus.resource_type)))?;
        let target = TargetHash::of_resource(focus.resource_type, focus.id.as_str());
        let mut members = Vec::new();
        for membership in compartment.members {
            if member.is_some_and(|m| m != membership.member) {
                continue;
            }
            if focus.resource_type == ty::PATIENT && !membership.parameters.contains(&"{def}") {
                // Membership in a patient's compartment is a link of its own.
                let branch = patient_compartment_branch(membership.member);
                members.push((membership.member, Condition::Link(vec![Link { target, branch }])));
                continue;
            }
            let ways = membership.parameters.iter().map(|&parameter| {
                if parameter == "{def}" {
                    return self.is_resource(focus);
                }
                let definition = self.definitions.find_standard(membership.member, parameter);
                let branches = definition.map_or(&[][..], |d| d.branches.as_slice());
                Condition::any(
                    branches.iter().map(|b| Condition::Link(vec![Link { target, branch: b.branch }])),
                )
            });
            let condition = Condition::any(ways);
            if !condition.is_never() {
                members.push((membership.member, condition));
            }
        }
        match (members.is_empty(), member) {
            (true, Some(member)) => {
                Err(unusable(format!("{member} is no member of the compartment of {}", focus.resource_type)))
            }
            _ => Ok(members),
        }
    }

    /// What a parameter demands of resources of these types.
    pub(crate) fn parameter(
        &self,
        types: &[TypeId],
        name: &str,
        value: &str,
    ) -> Result<Condition, SearchError> {
        let parsed = ParameterName::parse(name, self.limits.chain_depth_max)?;
        if split_unescaped(value, ',').len() > self.limits.alternatives_max {
            return Err(SearchError::TooMany {
                what: "alternatives of a parameter",
                limit: self.limits.alternatives_max,
            });
        }
        if let ParameterName::Plain { code, modifier } = parsed
            && let Some(condition) = self.of_every_type(types, name, code, modifier, value)?
        {
            return Ok(condition);
        }
        let mut by_type = Vec::with_capacity(types.len());
        for &of in types {
            by_type.push((of, self.on_type(of, name, &parsed, value)?));
        }
        Ok(one_of_types(by_type))
    }

    /// Parameters that mean the same whatever the type.
    fn of_every_type(
        &self,
        types: &[TypeId],
        name: &str,
        code: &str,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Option<Condition>, SearchError> {
        let no_modifier = || match modifier {
            None => Ok(()),
            Some(modifier) => Err(SearchError::Unusable {
                name: name.to_owned(),
                why: format!("`{code}` has no modifier `{modifier}`"),
            }),
        };
        Ok(Some(match code {
            "_id" => {
                let parts: Vec<String> = split_unescaped(value, ',').into_iter().map(unescape).collect();
                let ids = types
                    .iter()
                    .flat_map(|&of| parts.iter().map(move |id| TargetHash::of_resource(of, id)))
                    .collect();
                let condition = Condition::Id(ids);
                match modifier {
                    Some("not") => condition.negate(),
                    Some("missing") => is_missing(name, value, Condition::always())?,
                    _ => no_modifier().map(|()| condition)?,
                }
            }
            "_lastUpdated" if modifier == Some("missing") => is_missing(name, value, Condition::always())?,
            "_lastUpdated" => {
                no_modifier()?;
                let parts = split_unescaped(value, ',')
                    .into_iter()
                    .map(|v| updated(name, &unescape(v), self.context.now_micros));
                Condition::any(parts.collect::<Result<Vec<_>, _>>()?)
            }
            "_list" => {
                no_modifier()?;
                self.list(name, value)?
            }
            "_text" | "_content" => {
                no_modifier()?;
                Condition::Scan(Box::new(Scan {
                    types: if types.len() > 100 { None } else { Some(types.to_vec()) },
                    narrowed: Condition::always(),
                    test: BodyTest::Words { narrative_only: code == "_text", query: unescape(value) },
                }))
            }
            "_type" => {
                no_modifier()?;
                let mut named = Vec::new();
                for part in split_unescaped(value, ',') {
                    named.push(TypeId::resource_named(part).ok_or_else(|| SearchError::BadValue {
                        name: name.to_owned(),
                        why: format!("`{part}` is not a resource type"),
                    })?);
                }
                Condition::Type(named)
            }
            "_filter" => {
                no_modifier()?;
                let expression = parse_filter(value, self.limits)?;
                let mut by_type = Vec::with_capacity(types.len());
                for &of in types {
                    by_type.push((of, self.filter(of, &expression)?));
                }
                one_of_types(by_type)
            }
            _ => return Ok(None),
        }))
    }

    /// Members of a List: what its items refer to.
    fn list(&self, name: &str, value: &str) -> Result<Condition, SearchError> {
        let branches: Vec<BranchCode> =
            self.definitions.find_standard(ty::LIST, "item").map(branch_codes).unwrap_or_default();
        let mut lists = Vec::new();
        for part in split_unescaped(value, ',') {
            let id = part.strip_prefix("List/").unwrap_or(part);
            if id.starts_with('$') {
                return Err(SearchError::Unusable {
                    name: name.to_owned(),
                    why: format!("the functional list `{id}` is not maintained here"),
                });
            }
            let id = ResourceId::parse(id).ok_or_else(|| SearchError::BadValue {
                name: name.to_owned(),
                why: format!("`{id}` is not the id of a List"),
            })?;
            lists.push(TargetHash::of_resource(ty::LIST, id.as_str()));
        }
        Ok(Condition::Has(Has { branches, condition: Box::new(Condition::Id(lists)) }))
    }

    /// What a parameter demands of resources of one type.
    fn on_type(
        &self,
        of: TypeId,
        name: &str,
        parsed: &ParameterName<'_>,
        value: &str,
    ) -> Result<Condition, SearchError> {
        match parsed {
            ParameterName::Plain { code, modifier } => {
                if let Some(condition) = self.of_every_type(&[of], name, code, *modifier, value)? {
                    return Ok(condition);
                }
                let definition = self.definition(of, name, code)?;
                if definition.kind == Kind::Special && *code == "near" {
                    return near(definition, name, *modifier, value, self.context);
                }
                self.predicate(of, definition, name, *modifier, value)
            }
            ParameterName::Chain { code, target, rest } => {
                let definition = self.reference(of, name, code)?;
                let targets = self.chain_targets(definition, name, *target)?;
                let chain =
                    self.chain(definition, targets, name, |to| self.on_type(to, name, rest, value))?;
                Ok(match self.of_contained(of, name, value)? {
                    Some(contained) => Condition::Any(vec![chain, contained]),
                    None => chain,
                })
            }
            ParameterName::Has { source, code, rest } => {
                let source = resource_type(name, source)?;
                let definition = self.reference(source, name, code)?;
                let condition = self.on_type(source, name, rest, value)?;
                Ok(Condition::Has(Has { branches: branch_codes(definition), condition: Box::new(condition) }))
            }
        }
    }

    /// What a chain means for contained resources, where a parameter of its own
    /// is defined for that: by the name of the chain.
    fn of_contained(&self, of: TypeId, name: &str, value: &str) -> Result<Option<Condition>, SearchError> {
        let (name, modifier) = match name.rsplit_once(':') {
            Some((before, modifier)) if !modifier.contains('.') => (before, Some(modifier)),
            _ => (name, None),
        };
        let Some(definition) = self.definitions.find(of, name) else { return Ok(None) };
        self.predicate(of, ready(definition, name, of)?, name, modifier, value).map(Some)
    }

    fn definition(&self, of: TypeId, name: &str, code: &str) -> Result<&'m Definition, SearchError> {
        self.definitions
            .find(of, code)
            .ok_or_else(|| SearchError::UnknownParameter { name: name.to_owned(), on: of.name().to_owned() })
            .and_then(|definition| ready(definition, name, of))
    }

    fn reference(&self, of: TypeId, name: &str, code: &str) -> Result<&'m Definition, SearchError> {
        let definition = self.definition(of, name, code)?;
        match definition.kind {
            Kind::Reference => Ok(definition),
            other => Err(SearchError::Unusable {
                name: name.to_owned(),
                why: format!(
                    "`{of}.{code}` is of type {} and leads nowhere: only references can be chained",
                    other.code()
                ),
            }),
        }
    }

    fn chain_targets(
        &self,
        definition: &Definition,
        name: &str,
        target: Option<&str>,
    ) -> Result<Vec<TypeId>, SearchError> {
        match target {
            None if definition.targets.is_empty() => {
                Ok(resource_types().filter(|of| definition.may_target(*of)).collect())
            }
            None => Ok(definition.targets.iter().copied().filter(|of| definition.may_target(*of)).collect()),
            Some(target) => Ok(vec![resource_type(name, target)?]),
        }
    }

    /// A step along a reference. Of several possible types, those count for
    /// which the rest is defined; when there is none, the first error does.
    fn chain(
        &self,
        definition: &Definition,
        targets: Vec<TypeId>,
        name: &str,
        rest: impl Fn(TypeId) -> Result<Condition, SearchError>,
    ) -> Result<Condition, SearchError> {
        let mut understood = Vec::new();
        let mut first_error = None;
        for target in targets {
            match rest(target) {
                Ok(condition) => understood.push((target, condition)),
                Err(error @ (SearchError::UnknownParameter { .. } | SearchError::Unusable { .. })) => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if understood.is_empty() {
            return Err(first_error.unwrap_or_else(|| SearchError::UnknownParameter {
                name: name.to_owned(),
                on: "the types referred to".to_owned(),
            }));
        }
        let terms: usize = understood.iter().map(|(_, c)| c.terms()).sum();
        if terms > self.limits.terms_max {
            return Err(SearchError::TooMany {
                what: "conditions, chains spelled out",
                limit: self.limits.terms_max,
            });
        }
        Ok(Condition::Chain(Chain { branches: branch_codes(definition), targets: understood }))
    }

    /// What a parameter's own values demand: one of the alternatives.
    fn predicate(
        &self,
        of: TypeId,
        definition: &Definition,
        name: &str,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Condition, SearchError> {
        if modifier == Some("missing") {
            return is_missing(name, value, parameter::present(definition).into());
        }
        if let Some(modifier) = modifier.filter(|_| definition.kind == Kind::Token)
            && let Some(codes) = self.context.codes.of(modifier, value)
        {
            let codes =
                codes.map_err(|why| SearchError::BadValue { name: name.to_owned(), why: why.to_owned() })?;
            let is_negated = modifier == "not-in";
            return match codes {
                "" if is_negated => Ok(Condition::always()),
                "" => Ok(Condition::never()),
                codes => self.predicate(of, definition, name, is_negated.then_some("not"), codes),
            };
        }
        let (modifier, is_negated) = if modifier == Some("not") { (None, true) } else { (modifier, false) };
        if is_negated && !matches!(definition.kind, Kind::Token | Kind::Reference | Kind::Uri) {
            return Err(SearchError::Unusable {
                name: name.to_owned(),
                why: format!("modifier `:not` does not go with a {} parameter", definition.kind.code()),
            });
        }
        let mut parts = Vec::new();
        for text in split_unescaped(value, ',') {
            let predicate = parameter::predicate(definition, modifier, text, self.context)
                .map_err(|e| refused(name, e))?;
            let condition = Condition::from(predicate);
            if !is_negated {
                self.note_hints(of, definition, modifier, text, &condition);
            }
            parts.push(condition);
        }
        let condition = Condition::any(parts);
        Ok(if is_negated { condition.negate() } else { condition })
    }

    /// Notes the values that the index holds in pairs with the patient, and
    /// those that occur once.
    fn note_hints(
        &self,
        of: TypeId,
        definition: &Definition,
        modifier: Option<&str>,
        text: &str,
        condition: &Condition,
    ) {
        let Some(of_type) = self.definitions.index_of(of) else { return };
        let mut hints = self.hints.borrow_mut();
        match condition {
            // A token by its system alone is not paired.
            Condition::Equal(hashes) | Condition::EqualForm(hashes)
                if definition.kind == Kind::Token && modifier.is_none() =>
            {
                let is_paired =
                    |used: &BranchUse| of_type.branches.iter().any(|b| b.code == used.branch && b.is_paired);
                let is_system_only = split_unescaped(text, '|').last() == Some(&"");
                if definition.branches.iter().all(is_paired) && !is_system_only {
                    hints.values.extend(hashes);
                }
            }
            _ if matches!(definition.kind, Kind::Date | Kind::Number | Kind::Quantity) => {
                let is_single = |used: &BranchUse| {
                    let branch = of_type.branches.iter().find(|b| b.code == used.branch);
                    branch.is_some_and(|b| occurs_once(b.expression.text()))
                };
                if definition.branches.iter().all(is_single) {
                    hints.single.extend(span_hashes(parameter::present(definition)));
                }
            }
            Condition::Link(links) => {
                let text = unescape(text);
                let id = Literal::parse(&text).map(|l| l.key.id).or_else(|| ResourceId::parse(&text));
                let Some(id) = id else { return };
                let patient = TargetHash::of_resource(ty::PATIENT, id.as_str());
                let is_paired = |l: &&Link| l.target == patient && of_type.patient_links.contains(&l.branch);
                hints.links.extend(links.iter().filter(is_paired));
            }
            _ => {}
        }
    }

    /// What a `_filter` demands of resources of one type.
    fn filter(&self, of: TypeId, expression: &FilterExpression) -> Result<Condition, SearchError> {
        let all = |parts: &[FilterExpression]| {
            parts.iter().map(|part| self.filter(of, part)).collect::<Result<Vec<_>, _>>()
        };
        match expression {
            FilterExpression::And(parts) => Ok(Condition::all(all(parts)?)),
            FilterExpression::Or(parts) => Ok(Condition::any(all(parts)?)),
            FilterExpression::Not(inner) => Ok(self.filter(of, inner)?.negate()),
            FilterExpression::Test(test) => {
                if test.path.len() > self.limits.chain_depth_max + 1 {
                    return Err(SearchError::TooMany {
                        what: "steps in a chain",
                        limit: self.limits.chain_depth_max,
                    });
                }
                self.filter_path(of, &test.path, test)
            }
        }
    }

    fn filter_path(
        &self,
        of: TypeId,
        path: &[FilterStep],
        test: &FilterTest,
    ) -> Result<Condition, SearchError> {
        let Some((step, rest)) = path.split_first() else { return Ok(Condition::always()) };
        if rest.is_empty() && step.filter.is_none() && step.target.is_none() {
            return self.filter_test(of, &step.code, test);
        }
        let definition = self.reference(of, "_filter", &step.code)?;
        let targets = self.chain_targets(definition, "_filter", step.target.as_deref())?;
        self.chain(definition, targets, "_filter", |to| {
            let held = step.filter.as_ref().map(|f| self.filter(to, f)).transpose()?;
            let below = self.filter_path(to, rest, test)?;
            Ok(Condition::all(held.into_iter().chain([below])))
        })
    }

    fn filter_test(&self, of: TypeId, code: &str, test: &FilterTest) -> Result<Condition, SearchError> {
        use FilterOperator as Op;
        // A comma is a comma here: there are no alternatives in a _filter.
        let value = test.value.replace(',', "\\,");
        let with = |modifier: Option<&str>, prefix: &str| {
            let name = ParameterName::Plain { code, modifier };
            self.on_type(of, "_filter", &name, &format!("{prefix}{value}"))
        };
        let kind = match code {
            "_id" => Kind::Token,
            "_lastUpdated" => Kind::Date,
            _ => self.definition(of, "_filter", code)?.kind,
        };
        let is_ordered = matches!(kind, Kind::Date | Kind::Number | Kind::Quantity);
        let unusable = || SearchError::Unusable {
            name: "_filter".to_owned(),
            why: format!(
                "`{code}` is of type {} and does not compare by `{}`",
                kind.code(),
                test.operator.code()
            ),
        };
        match test.operator {
            Op::Eq if kind == Kind::String => Ok(as_text(with(None, "")?, TextComparison::Is)),
            Op::Eq => with(None, ""),
            Op::Ne if kind == Kind::String => Ok(as_text(with(None, "")?, TextComparison::Is).negate()),
            Op::Ne => Ok(with(None, "")?.negate()),
            Op::Co if kind == Kind::String => with(Some("contains"), ""),
            Op::Sw if kind == Kind::String => with(None, ""),
            Op::Ew if kind == Kind::String => Ok(as_text(with(None, "")?, TextComparison::Ends)),
            Op::Gt | Op::Lt | Op::Ge | Op::Le | Op::Ap | Op::Sa | Op::Eb if is_ordered => {
                with(None, test.operator.code())
            }
            Op::Po if kind == Kind::Date => overlap(with(None, "ge")?, with(None, "le")?),
            Op::Pr => match test.value.as_str() {
                "true" | "false" => {
                    let name = ParameterName::Plain { code, modifier: Some("missing") };
                    let missing = if test.value == "true" { "false" } else { "true" };
                    self.on_type(of, "_filter", &name, missing)
                }
                _ => Err(SearchError::BadValue {
                    name: "_filter".to_owned(),
                    why: format!("`pr` takes true or false, not `{}`", test.value),
                }),
            },
            Op::Ss => with(Some("below"), ""),
            Op::Sb => with(Some("above"), ""),
            Op::In => with(Some("in"), ""),
            Op::Ni => with(Some("not-in"), ""),
            Op::Re if kind == Kind::Reference => with(None, ""),
            Op::Co | Op::Sw | Op::Ew | Op::Gt | Op::Lt | Op::Ge | Op::Le => Err(unusable()),
            Op::Ap | Op::Sa | Op::Eb | Op::Po | Op::Re => Err(unusable()),
        }
    }
}

/// Places near enough: the index gives those in a box, their bodies tell the distance.
fn near(
    definition: &Definition,
    name: &str,
    modifier: Option<&str>,
    value: &str,
    context: QueryContext<'_>,
) -> Result<Condition, SearchError> {
    if modifier == Some("missing") {
        return is_missing(name, value, parameter::present(definition).into());
    }
    let mut parts = Vec::new();
    for text in split_unescaped(value, ',') {
        let narrowed = parameter::predicate(definition, modifier, text, context);
        let narrowed = Condition::from(narrowed.map_err(|e| refused(name, e))?);
        let Near { latitude, longitude, kilometres } = Near::parse(text).map_err(|e| refused(name, e))?;
        parts.push(Condition::Scan(Box::new(Scan {
            types: Some(vec![ty::LOCATION]),
            narrowed,
            test: BodyTest::Near { latitude, longitude, kilometres },
        })));
    }
    Ok(Condition::any(parts))
}

/// What holds of one of several types.
fn one_of_types(mut by_type: Vec<(TypeId, Condition)>) -> Condition {
    match by_type.len() {
        1 => by_type.swap_remove(0).1,
        _ => Condition::any(by_type.into_iter().map(|(of, condition)| {
            if condition.names_its_type() {
                condition
            } else {
                Condition::all([Condition::Type(vec![of]), condition])
            }
        })),
    }
}

fn resource_type(name: &str, of: &str) -> Result<TypeId, SearchError> {
    TypeId::resource_named(of).ok_or_else(|| SearchError::Unusable {
        name: name.to_owned(),
        why: format!("`{of}` is not a resource type"),
    })
}

/// The value of `:missing` for what is there when `present` holds.
fn is_missing(name: &str, value: &str, present: Condition) -> Result<Condition, SearchError> {
    match value {
        "true" => Ok(present.negate()),
        "false" => Ok(present),
        _ => Err(SearchError::BadValue {
            name: name.to_owned(),
            why: format!("`:missing` takes true or false, not `{value}`"),
        }),
    }
}

/// Turns comparisons by beginning into another comparison.
fn as_text(condition: Condition, comparison: TextComparison) -> Condition {
    match condition {
        Condition::Text(mut text) => {
            text.comparison = comparison;
            Condition::Text(text)
        }
        Condition::Any(parts) => Condition::Any(parts.into_iter().map(|p| as_text(p, comparison)).collect()),
        Condition::All(parts) => Condition::All(parts.into_iter().map(|p| as_text(p, comparison)).collect()),
        other => other,
    }
}

/// What both reaches past the beginning and begins before the end, in one interval.
fn overlap(past: Condition, before: Condition) -> Result<Condition, SearchError> {
    let spans = |condition: &Condition| -> Vec<SpanRange> {
        match condition {
            Condition::Span(range) => vec![*range],
            Condition::Any(parts) => parts
                .iter()
                .filter_map(|p| if let Condition::Span(range) = p { Some(*range) } else { None })
                .collect(),
            _ => Vec::new(),
        }
    };
    let (past_spans, before_spans) = (spans(&past), spans(&before));
    if past_spans.is_empty() || past_spans.len() != before_spans.len() {
        return Ok(Condition::all([past, before]));
    }
    Ok(Condition::any(past_spans.iter().zip(&before_spans).map(|(a, b)| {
        Condition::Span(SpanRange {
            hash: a.hash,
            low: (a.low.0.max(b.low.0), a.low.1.min(b.low.1)),
            high: (a.high.0.max(b.high.0), a.high.1.min(b.high.1)),
        })
    })))
}

/// Says of which parameter a value is wrong.
fn refused(name: &str, error: ValueError) -> SearchError {
    let why = error.to_string();
    match error {
        ValueError::Malformed { .. } => SearchError::BadValue { name: name.to_owned(), why },
        ValueError::Modifier { .. } => SearchError::Unusable { name: name.to_owned(), why },
    }
}

fn branch_codes(definition: &Definition) -> Vec<BranchCode> {
    definition.branches.iter().map(|b| b.branch).collect()
}

/// When a resource was changed, as a value of `_lastUpdated` says it.
fn updated(name: &str, value: &str, now_micros: i64) -> Result<Condition, SearchError> {
    let (prefix, text) = match value.get(..2) {
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_lowercase()) => {
            (prefix, value.get(2..).unwrap_or(""))
        }
        _ => ("eq", value),
    };
    let bad = || SearchError::BadValue {
        name: name.to_owned(),
        why: format!("`{value}` is not a date with an optional prefix such as ge"),
    };
    // In a URL `+` means a space, and is often written for itself before a zone.
    let text = text.trim_end().replace(' ', "+");
    let (low, end) = PartialDate::parse(&text).ok_or_else(bad)?.interval();
    let high = end - 1;
    let between = |low: i64, high: i64| Condition::Updated { low, high };
    Ok(match prefix {
        "eq" => between(low, high),
        "ne" => between(low, high).negate(),
        "gt" | "sa" => between(end, i64::MAX),
        "ge" => between(low, i64::MAX),
        "lt" | "eb" => between(i64::MIN, low - 1),
        "le" => between(i64::MIN, high),
        "ap" => {
            // As for other dates: a tenth of the time between then and now, either way.
            let slack = now_micros.saturating_sub(low).saturating_abs() / 10;
            between(low.saturating_sub(slack), high.saturating_add(slack))
        }
        _ => return Err(bad()),
    })
}

//! Composite parameters: parts that hold of the same element, `code$value`.
//!
//! Each combination of the parts' values is a row of its own, so that no
//! intersection of lists is needed: tokens and references make the hash, and
//! a number, date or quantity lies in an interval under it. A code without its
//! system and a number without its unit are forms of that hash. Several numbers
//! are looked at one by one, which may find an element whose numbers belong to
//! two combinations (ADR-0003); of the standard's parameters that concerns the
//! three coordinates of MolecularSequence.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#composite>

use fhir_model::fhirpath::{Context, Value};
use fhir_model::fold::fold;
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::{
    ANY_VALUE, Collector, Predicate, QueryContext, TextComparison, TextMatch, ValueError, date, malformed,
    no_modifier, number, quantity, reference, split_unescaped, string, token,
};
use crate::index::row::{BranchCode, EqualHash, TargetHash};
use crate::search::registry::{Branch, Definition};

/// The greatest number of combinations that one element may have.
const COMBINATIONS_MAX: usize = 256;

/// A value of a part, in one of the forms under which it is found.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// One that is equal or not, as stored, and its other form.
    Equal(String, Option<String>),
    /// An interval: its unit as stored, the other forms of that, its ends.
    Span(String, Vec<String>, (i64, i64)),
    /// Text, folded.
    Text(String),
}

fn joined(form: &str, parts: &[&str]) -> String {
    // Lengths keep parts apart whatever stands in them.
    let mut out = form.to_owned();
    for part in parts {
        out.push_str(&format!("\u{0}{}\u{0}{part}", part.len()));
    }
    out
}

/// Puts an element's combinations into the index.
pub(super) fn index(branch: &Branch, value: &Value<'_>, bases: &[String], out: &mut Collector) {
    let Some(element) = value.element() else { return };
    let context = Context::new(element.resource().root());
    let mut combinations: Vec<Vec<Part>> = vec![Vec::new()];
    for (kind, expression) in &branch.components {
        let Ok(values) = expression.evaluate(&context, element) else {
            out.skipped += 1;
            return;
        };
        let mut parts = Vec::new();
        for value in &values {
            parts_of(*kind, value, bases, &mut parts);
        }
        combinations = combinations
            .iter()
            .flat_map(|so_far| {
                parts.iter().map(move |part| so_far.iter().cloned().chain([part.clone()]).collect())
            })
            .take(COMBINATIONS_MAX)
            .collect();
    }
    for combination in &combinations {
        store(branch.code, combination, out);
    }
}

fn parts_of(kind: Kind, value: &Value<'_>, bases: &[String], out: &mut Vec<Part>) {
    match kind {
        Kind::Token => token::for_each_token(
            value,
            &mut |token| {
                out.extend(token.forms().map(|[(stored, parts), (also, code)]| {
                    Part::Equal(joined(stored, &parts), Some(joined(also, &code)))
                }));
            },
            &mut |_| {},
        ),
        Kind::Reference => {
            let mut collector = Collector::default();
            reference::index(BranchCode(0), value, bases, &mut collector);
            let named = collector.rows.links.iter().map(|l| format!("link {}", l.target.0));
            out.extend(named.map(|link| Part::Equal(link, None)));
        }
        Kind::Quantity => quantity::for_each_span(value, |span| {
            let also = span.also.iter().map(|(form, parts)| joined(form, parts)).collect();
            out.push(Part::Span(joined(span.stored.0, &span.stored.1), also, span.interval));
        }),
        Kind::Number => {
            out.extend(number::bounds(value).map(|interval| Part::Span(String::new(), Vec::new(), interval)))
        }
        Kind::Date => {
            out.extend(date::bounds(value).map(|interval| Part::Span(String::new(), Vec::new(), interval)))
        }
        Kind::String => string::for_each_part(value, &mut |text| out.push(Part::Text(fold(text)))),
        Kind::Uri => {
            out.extend(super::uri::text_of(value).map(|uri| Part::Equal(joined("uri", &[uri]), None)))
        }
        Kind::Composite | Kind::Special => {}
    }
}

fn store(branch: BranchCode, combination: &[Part], out: &mut Collector) {
    let ways = equal_parts(combination);
    // The first is that of the stored forms.
    let stored = ways.first().map_or(&[][..], Vec::as_slice);
    let any_value = EqualHash::of(branch, ANY_VALUE, &[]);
    let mut is_stored = false;
    for (at, part) in combination.iter().enumerate() {
        match part {
            Part::Equal(..) => continue,
            Part::Span(unit, units, (low, high)) => {
                let hash = span_hash(branch, at, unit, stored);
                out.span(hash, *low, *high);
                out.form(any_value, hash);
                for equal in &ways {
                    let forms =
                        [unit].into_iter().chain(units).map(|unit| span_hash(branch, at, unit, equal));
                    forms.filter(|form| *form != hash).for_each(|form| out.form(form, hash));
                }
            }
            Part::Text(folded) if folded.is_empty() => continue,
            Part::Text(folded) => {
                for equal in &ways {
                    out.text(text_branch(branch, at), text_under(branch, equal, folded));
                }
                out.present(branch);
            }
        }
        is_stored = true;
    }
    if !is_stored {
        let hashes: Vec<EqualHash> =
            ways.iter().map(|equal| EqualHash::of(branch, "composite", equal)).collect();
        let Some((hash, forms)) = hashes.split_first() else { return };
        out.rows.equal.push(*hash);
        forms.iter().chain([&any_value]).for_each(|form| out.form(*form, *hash));
    }
}

/// The parts that are equal or not, in each combination of their forms: first
/// that of the stored ones.
fn equal_parts(combination: &[Part]) -> Vec<Vec<&str>> {
    let mut ways: Vec<Vec<&str>> = vec![Vec::new()];
    for part in combination {
        let Part::Equal(stored, also) = part else { continue };
        let forms = [Some(stored), also.as_ref()].into_iter().flatten();
        ways = forms
            .flat_map(|form| ways.iter().map(move |way| [way.as_slice(), &[form.as_str()]].concat()))
            .collect();
    }
    ways
}

fn span_hash(branch: BranchCode, at: usize, unit: &str, equal: &[&str]) -> EqualHash {
    let place = at.to_string();
    let mut parts = vec![place.as_str(), unit];
    parts.extend(equal);
    EqualHash::of(branch, "composite-span", &parts)
}

fn text_branch(branch: BranchCode, at: usize) -> BranchCode {
    branch.variant(&format!("composite-text {at}"))
}

/// Text that begins with what the equal parts are, so that it is found by its beginning.
fn text_under(branch: BranchCode, equal: &[&str], folded: &str) -> String {
    format!("{:016x} {folded}", EqualHash::of(branch, "composite-text", equal).0)
}

/// A part of a search, in the form under which it is looked for.
enum Asked {
    /// One of these values, and whether that is how they are stored.
    Equal(Vec<String>, bool),
    Number(super::Prefix, number::Number),
    Quantity(quantity::Asked),
    Date(String),
    Text(String),
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
    context: QueryContext<'_>,
) -> Result<Predicate, ValueError> {
    no_modifier(modifier, Kind::Composite)?;
    let values = split_unescaped(text, '$');
    if values.len() != definition.components.len() {
        return Err(malformed(text, "as many values, with `$` between them, as the parameter has parts"));
    }
    let mut asked = Vec::new();
    for (kind, value) in definition.components.iter().zip(values) {
        asked.push(ask(*kind, value, context)?);
    }
    // A part that may be one of several (an id of any type) gives alternatives.
    let mut alternatives: Vec<Vec<&str>> = vec![Vec::new()];
    for part in &asked {
        if let Asked::Equal(forms, _) = part {
            alternatives = alternatives
                .iter()
                .flat_map(|so_far| {
                    forms.iter().map(move |f| so_far.iter().copied().chain([f.as_str()]).collect())
                })
                .collect();
        }
    }
    let mut out = Vec::new();
    for branch in &definition.branches {
        for equal in &alternatives {
            out.push(of_branch(branch.branch, &asked, equal, context)?);
        }
    }
    Ok(Predicate::Any(out))
}

fn of_branch(
    branch: BranchCode,
    asked: &[Asked],
    equal: &[&str],
    context: QueryContext<'_>,
) -> Result<Predicate, ValueError> {
    let mut all = Vec::new();
    let is_stored = !asked.iter().any(|part| matches!(part, Asked::Equal(_, false)));
    let of_forms = |predicate: Predicate| if is_stored { predicate } else { predicate.of_forms() };
    for (at, part) in asked.iter().enumerate() {
        all.push(match part {
            Asked::Equal(..) => continue,
            Asked::Number(prefix, number) => {
                of_forms(number.compare(span_hash(branch, at, "", equal), *prefix, |v| v))
            }
            Asked::Date(text) => {
                of_forms(date::asks(span_hash(branch, at, "", equal), text, context.now_micros)?)
            }
            Asked::Quantity(quantity) => {
                let unit: Vec<&str> = quantity.unit.iter().map(String::as_str).collect();
                let asks = quantity.compare(span_hash(branch, at, &joined(quantity.form, &unit), equal));
                if quantity.is_form_in_composite() { asks.of_forms() } else { of_forms(asks) }
            }
            Asked::Text(folded) => Predicate::Text(TextMatch {
                branches: vec![text_branch(branch, at)],
                comparison: TextComparison::Starts,
                folded: text_under(branch, equal, folded),
            }),
        });
    }
    if all.is_empty() {
        let hashes = vec![EqualHash::of(branch, "composite", equal)];
        all.push(if is_stored { Predicate::Equal(hashes) } else { Predicate::EqualForm(hashes) });
    }
    Ok(Predicate::All(all))
}

fn ask(kind: Kind, text: &str, context: QueryContext<'_>) -> Result<Asked, ValueError> {
    let bad = || malformed(text, "a value of that part of the composite");
    Ok(match kind {
        Kind::Token => {
            let (form, parts) = token::parse(text).filter(|(form, _)| *form != "system|").ok_or_else(bad)?;
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            Asked::Equal(vec![joined(form, &parts)], form != token::CODE)
        }
        Kind::Reference => {
            let targets: Vec<TargetHash> = reference::any_target(text, context).ok_or_else(bad)?;
            Asked::Equal(targets.into_iter().map(|t| format!("link {}", t.0)).collect(), true)
        }
        Kind::Number => {
            let (prefix, rest) = super::Prefix::split(text);
            Asked::Number(prefix, number::Number::parse(rest).ok_or_else(bad)?)
        }
        Kind::Quantity => Asked::Quantity(quantity::parse(text)?),
        Kind::Date => Asked::Date(text.to_owned()),
        Kind::String => Asked::Text(fold(&super::unescape(text))),
        Kind::Uri => Asked::Equal(vec![joined("uri", &[&super::unescape(text)])], true),
        Kind::Composite | Kind::Special => return Err(bad()),
    })
}

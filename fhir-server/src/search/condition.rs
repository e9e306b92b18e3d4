//! What must hold of a resource, over the index: the value between the
//! words of a search and its plan. It prints, and names no SQL.

use fhir_model::schema::TypeId;

pub use super::parameter::SpanRange;
use super::parameter::{self, Predicate};
use crate::index::row::{BranchCode, EqualHash, Link, TargetHash};

/// What must hold of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold; with no part, any resource will do.
    All(Vec<Condition>),
    /// One holds; with no part, no resource will do.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// It has one of these values.
    Equal(Vec<EqualHash>),
    /// It has a value of which one of these is a form; see `search/forms.rs`.
    EqualForm(Vec<EqualHash>),
    /// It refers to one of these along the branch.
    Link(Vec<Link>),
    /// It refers to anything along one of these branches.
    Linked(Vec<BranchCode>),
    /// It has an interval like this.
    Span(SpanRange),
    /// It has an interval like this under a hash of which the given one is a form.
    SpanForm(SpanRange),
    /// It has text like this.
    Text(TextMatch),
    /// It is one of these.
    Id(Vec<TargetHash>),
    /// Its last change is in this interval, in microseconds; both ends belong to it.
    Updated {
        /// The first instant.
        low: i64,
        /// The last instant.
        high: i64,
    },
    /// It is of one of these types.
    Type(Vec<TypeId>),
    /// It refers to a resource of which something holds.
    Chain(Chain),
    /// A resource of which something holds refers to it.
    Has(Has),
    /// It has one of these keys: what a [`Scan`] came to.
    Keys(Vec<i64>),
    /// Its body must be looked at.
    Scan(Box<Scan>),
}

/// How text compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextComparison {
    /// It starts so.
    Starts,
    /// It contains this.
    Contains,
    /// It ends so.
    Ends,
    /// It is this.
    Is,
    /// There is any text at all.
    Exists,
}

/// Folded text to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextMatch {
    /// The branches whose text is meant.
    pub branches: Vec<BranchCode>,
    /// How it compares.
    pub comparison: TextComparison,
    /// What it is compared with, folded.
    pub folded: String,
}

/// A step along a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Along which branches.
    pub branches: Vec<BranchCode>,
    /// What must hold of what is referred to, by its type.
    pub targets: Vec<(TypeId, Condition)>,
}

/// A step against a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Has {
    /// Along which branches of the referring resource.
    pub branches: Vec<BranchCode>,
    /// What must hold of the referring resource.
    pub condition: Box<Condition>,
}

/// Something that only the body can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The types of which the body is looked at; `None` for all.
    pub types: Option<Vec<TypeId>>,
    /// What must hold before the body is looked at.
    pub narrowed: Condition,
    /// What must hold of the body.
    pub test: BodyTest,
}

/// A test on a body.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyTest {
    /// The words of a `_text` or `_content` search.
    Words {
        /// Whether only the narrative counts.
        narrative_only: bool,
        /// The text searched for.
        query: String,
    },
    /// A position within a distance.
    Near {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The greatest distance.
        kilometres: f64,
    },
}

impl Condition {
    /// Any resource will do.
    pub fn always() -> Condition {
        Condition::All(Vec::new())
    }

    /// No resource will do.
    pub fn never() -> Condition {
        Condition::Any(Vec::new())
    }

    /// Tells whether any resource will do.
    pub fn is_always(&self) -> bool {
        matches!(self, Condition::All(parts) if parts.is_empty())
    }

    /// Tells whether no resource will do.
    pub fn is_never(&self) -> bool {
        matches!(self, Condition::Any(parts) if parts.is_empty())
    }

    /// Joins conditions of which all must hold.
    pub fn all(parts: impl IntoIterator<Item = Condition>) -> Condition {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Condition::All(inner) => flat.extend(inner),
                part if part.is_never() => return Condition::never(),
                part => flat.push(part),
            }
        }
        match flat.len() {
            1 => flat.swap_remove(0),
            _ => Condition::All(flat),
        }
    }

    /// Joins conditions of which one must hold; lists of values become one list.
    pub fn any(parts: impl IntoIterator<Item = Condition>) -> Condition {
        let (mut equal, mut links, mut linked, mut ids, mut rest) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut pending: Vec<Condition> = parts.into_iter().collect();
        pending.reverse();
        while let Some(part) = pending.pop() {
            match part {
                Condition::Any(inner) => pending.extend(inner.into_iter().rev()),
                Condition::Equal(hashes) => equal.extend(hashes),
                Condition::Link(some) => links.extend(some),
                Condition::Linked(branches) => linked.extend(branches),
                Condition::Id(some) => ids.extend(some),
                part if part.is_always() => return part,
                part => rest.push(part),
            }
        }
        let mut flat = Vec::new();
        let mut push = |is_some: bool, condition: Condition| {
            if is_some {
                flat.push(condition);
            }
        };
        push(!equal.is_empty(), Condition::Equal(tidy(equal)));
        push(!links.is_empty(), Condition::Link(tidy(links)));
        push(!linked.is_empty(), Condition::Linked(tidy(linked)));
        push(!ids.is_empty(), Condition::Id(tidy(ids)));
        flat.extend(rest);
        match flat.len() {
            1 => flat.swap_remove(0),
            _ => Condition::Any(flat),
        }
    }

    /// Turns a condition round.
    pub fn negate(self) -> Condition {
        match self {
            Condition::Not(inner) => *inner,
            condition if condition.is_always() => Condition::never(),
            condition if condition.is_never() => Condition::always(),
            condition => Condition::Not(Box::new(condition)),
        }
    }

    /// Tells whether it can only hold of types whose branches it names: such
    /// conditions need no check of the type.
    pub fn names_its_type(&self) -> bool {
        match self {
            Condition::Equal(_)
            | Condition::EqualForm(_)
            | Condition::Link(_)
            | Condition::Linked(_)
            | Condition::Span(_)
            | Condition::SpanForm(_)
            | Condition::Text(_)
            | Condition::Id(_)
            | Condition::Chain(_)
            | Condition::Type(_)
            | Condition::Keys(_)
            | Condition::Scan(_) => true,
            Condition::Any(parts) => parts.iter().all(Condition::names_its_type),
            Condition::All(parts) => parts.iter().any(Condition::names_its_type),
            Condition::Not(_) | Condition::Updated { .. } | Condition::Has(_) => false,
        }
    }

    /// Counts the conditions of which it is made.
    pub fn terms(&self) -> usize {
        match self {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().map(Condition::terms).sum(),
            Condition::Not(inner) => inner.terms(),
            Condition::Chain(chain) => 1 + chain.targets.iter().map(|(_, c)| c.terms()).sum::<usize>(),
            Condition::Has(has) => 1 + has.condition.terms(),
            Condition::Scan(scan) => 1 + scan.narrowed.terms(),
            Condition::Equal(_)
            | Condition::EqualForm(_)
            | Condition::Link(_)
            | Condition::Linked(_)
            | Condition::Span(_)
            | Condition::SpanForm(_)
            | Condition::Text(_)
            | Condition::Id(_)
            | Condition::Updated { .. }
            | Condition::Type(_)
            | Condition::Keys(_) => 1,
        }
    }

    /// Replaces each condition that has no parts by what `resolve` makes of
    /// it; a scan after what it is narrowed by.
    ///
    /// # Errors
    /// Whatever `resolve` fails with.
    pub fn resolve<E>(
        self,
        resolve: &mut impl FnMut(Condition) -> Result<Condition, E>,
    ) -> Result<Condition, E> {
        Ok(match self {
            Condition::Scan(scan) => {
                let Scan { types, narrowed, test } = *scan;
                let narrowed = narrowed.resolve(resolve)?;
                resolve(Condition::Scan(Box::new(Scan { types, narrowed, test })))?
            }
            Condition::All(parts) => {
                Condition::all(parts.into_iter().map(|p| p.resolve(resolve)).collect::<Result<Vec<_>, E>>()?)
            }
            Condition::Any(parts) => {
                Condition::any(parts.into_iter().map(|p| p.resolve(resolve)).collect::<Result<Vec<_>, E>>()?)
            }
            Condition::Not(inner) => inner.resolve(resolve)?.negate(),
            Condition::Chain(chain) => {
                let mut targets = Vec::with_capacity(chain.targets.len());
                for (target, condition) in chain.targets {
                    targets.push((target, condition.resolve(resolve)?));
                }
                Condition::Chain(Chain { branches: chain.branches, targets })
            }
            Condition::Has(has) => Condition::Has(Has {
                branches: has.branches,
                condition: Box::new(has.condition.resolve(resolve)?),
            }),
            leaf => resolve(leaf)?,
        })
    }

    /// Tells whether `is_it` holds of any of the conditions of which it is made.
    pub fn contains(&self, is_it: &mut impl FnMut(&Condition) -> bool) -> bool {
        is_it(self)
            || match self {
                Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|p| p.contains(is_it)),
                Condition::Not(inner) => inner.contains(is_it),
                Condition::Chain(chain) => chain.targets.iter().any(|(_, c)| c.contains(is_it)),
                Condition::Has(has) => has.condition.contains(is_it),
                Condition::Scan(scan) => scan.narrowed.contains(is_it),
                _ => false,
            }
    }

    /// Tells whether a body must be looked at.
    pub fn has_scan(&self) -> bool {
        self.contains(&mut |part| matches!(part, Condition::Scan(_)))
    }
}

impl From<Predicate> for Condition {
    fn from(predicate: Predicate) -> Condition {
        match predicate {
            Predicate::Equal(hashes) if hashes.is_empty() => Condition::never(),
            Predicate::Link(links) if links.is_empty() => Condition::never(),
            Predicate::Linked(branches) if branches.is_empty() => Condition::never(),
            Predicate::Equal(hashes) => Condition::Equal(hashes),
            Predicate::EqualForm(forms) if forms.is_empty() => Condition::never(),
            Predicate::EqualForm(forms) => Condition::EqualForm(forms),
            Predicate::SpanForm(range) => Condition::SpanForm(range),
            Predicate::Link(links) => Condition::Link(links),
            Predicate::Linked(branches) => Condition::Linked(branches),
            Predicate::Span(range) => Condition::Span(range),
            Predicate::Text(text) if text.branches.is_empty() => Condition::never(),
            Predicate::Text(text) => Condition::Text(TextMatch {
                branches: text.branches,
                comparison: match text.comparison {
                    parameter::TextComparison::Starts => TextComparison::Starts,
                    parameter::TextComparison::Contains => TextComparison::Contains,
                    parameter::TextComparison::Exists => TextComparison::Exists,
                },
                folded: text.folded,
            }),
            Predicate::Not(inner) => Condition::from(*inner).negate(),
            Predicate::Any(parts) => Condition::any(parts.into_iter().map(Condition::from)),
            Predicate::All(parts) => Condition::all(parts.into_iter().map(Condition::from)),
        }
    }
}

fn tidy<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_simplifies() {
        let equal = |n: i64| Condition::Equal(vec![EqualHash(n)]);
        assert_eq!(Condition::all([equal(1)]), equal(1));
        assert_eq!(Condition::all([equal(1), Condition::always()]), equal(1));
        assert!(Condition::all([equal(1), Condition::never()]).is_never());
        assert!(Condition::any([equal(1), Condition::always()]).is_always());
        assert_eq!(
            Condition::any([equal(2), Condition::any([equal(1), equal(2)])]),
            Condition::Equal(vec![EqualHash(1), EqualHash(2)])
        );
        assert_eq!(equal(1).negate().negate(), equal(1));
    }
}

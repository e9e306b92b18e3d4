//! Which Tasks are listed, and the search that finds them.

use fhir_model::interaction::{Handling, Interaction, Scope, SearchRequest};
use fhir_model::schema::ty;

use super::super::review::{CODE, SYSTEM};
use super::words::Words;
use crate::search::page::CURSOR_PARAMETER;
use crate::search::searchset::write_parameter;

/// How many are on a page: each has two records.
const PAIRS_MAX: &str = "10";

/// Tasks by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum List {
    /// Those that wait for a decision.
    #[default]
    Open,
    /// Those that somebody put off.
    Later,
    /// Those that are decided.
    Decided,
}

/// The lists: their names in URLs, the statuses of their Tasks, what they are called.
const LISTS: &[(List, &str, &str)] = &[
    (List::Open, "open", "requested,draft,received,accepted,ready,in-progress"),
    (List::Later, "later", "on-hold"),
    (List::Decided, "decided", "completed,rejected"),
];

impl List {
    /// Returns all lists with their names.
    pub(super) fn all() -> impl Iterator<Item = (List, &'static str)> {
        LISTS.iter().map(|(list, name, _)| (*list, *name))
    }

    /// Returns what it is called.
    pub(super) fn title(self, words: &Words) -> &'static str {
        match self {
            List::Open => words.open,
            List::Later => words.later,
            List::Decided => words.decided,
        }
    }

    fn row(self) -> (&'static str, &'static str) {
        let row = LISTS.iter().find(|(list, ..)| *list == self);
        row.map_or(("", ""), |(_, name, statuses)| (*name, *statuses))
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listed {
    /// Which list.
    pub(super) list: List,
    /// Where in it.
    cursor: Option<String>,
    /// What was done before it is shown.
    pub(super) done: Option<String>,
}

impl Listed {
    /// Reads the parameters of a URL; what is not known means the first page of what waits.
    pub(crate) fn of(parameters: &[(String, String)]) -> Listed {
        let given = |named: &str| parameters.iter().find(|(name, _)| name == named).map(|(_, v)| v.clone());
        let named = given("list").unwrap_or_default();
        let list = LISTS.iter().find(|(_, name, _)| *name == named).map(|(list, ..)| *list);
        Listed { list: list.unwrap_or_default(), cursor: given("at"), done: given("done") }
    }

    /// Returns the search for its Tasks, with the records that they are about.
    pub(crate) fn search(&self) -> Interaction {
        let (_, statuses) = self.list.row();
        let code = ihe_adapters::fhir_client::token(SYSTEM, CODE);
        let mut parameters: Vec<(String, String)> = [
            ("code", code.as_str()),
            ("status", statuses),
            ("_include", "Task:focus"),
            ("_include", "Task:subject"),
            ("_count", PAIRS_MAX),
            ("_total", "accurate"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let cursor = self.cursor.clone().map(|cursor| (CURSOR_PARAMETER.to_owned(), cursor));
        parameters.extend(cursor);
        let (scope, handling) = (Scope::Type(ty::TASK), Handling::Strict);
        Interaction::Search(SearchRequest { scope, parameters, handling })
    }

    /// Returns the URL of the page of this list that a link of a searchset leads to, relative to any other.
    pub(super) fn at(&self, link: &str) -> Option<String> {
        let query = link.split_once('?')?.1;
        let parameters = crate::interaction::url::decode_query(query).ok()?;
        let cursor = parameters.into_iter().find(|(name, _)| name == CURSOR_PARAMETER);
        Some(Listed { cursor: cursor.map(|(_, value)| value), done: None, ..self.clone() }.url())
    }

    /// Returns the URL of the page after something was done.
    pub(crate) fn after(&self, done: &str) -> String {
        Listed { done: Some(done.to_owned()), ..self.clone() }.url()
    }

    /// Returns the URL of the page.
    pub(super) fn here(&self) -> String {
        Listed { done: None, ..self.clone() }.url()
    }

    /// Returns the URL of the page, relative to any other.
    fn url(&self) -> String {
        let (name, _) = self.list.row();
        let mut url = String::new();
        write_parameter(&mut url, "list", name);
        for (name, value) in [("at", &self.cursor), ("done", &self.done)] {
            value.iter().for_each(|value| write_parameter(&mut url, name, value));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(parameters: &[(&str, &str)]) -> Listed {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Listed::of(&parameters.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn pages_follow_each_other() {
        let first = listed(&[("list", "later"), ("done", "same")]);
        let next = first.at("http://h/fhir/Task?status=on-hold&_count=10&_cursor=a%2Bb").expect("a page");
        assert_eq!(next, "?list=later&at=a%2Bb");
        assert_eq!(first.at("http://h/fhir/Task?status=on-hold").as_deref(), Some("?list=later"));
        assert_eq!(
            listed(&[("list", "later"), ("at", "a+b")]).after("same"),
            "?list=later&at=a%2Bb&done=same"
        );
        assert_eq!(listed(&[("list", "<none>")]), Listed::default());
    }
}

//! The page of a list: each pair of records with what agrees, and the form of a decision.

use std::collections::BTreeMap;

use ihe_adapters::pix::domains::Domains;
use serde_json::Value;

use super::super::links::array;
use super::super::review::{Decision, REMARK, SCORE, WEIGHT, records};
use super::answered::{AGENT_MAX, REMARK_MAX};
use super::frame::{begin, end};
use super::listed::{List, Listed};
use super::record::{Record, SHOWN};
use super::words::Words;
use crate::page::Page;

/// What a page is made of.
pub(crate) struct Seen<'s> {
    /// Which page.
    pub(crate) listed: &'s Listed,
    /// What the search answered.
    pub(crate) found: &'s Value,
    /// The base of resources.
    pub(crate) base: &'s str,
    /// Who assigns identifiers.
    pub(crate) domains: &'s Domains,
    /// Who decides, as far as that is known.
    pub(crate) agent: &'s str,
    /// In which language.
    pub(crate) words: &'s Words,
}

/// Returns the page.
pub(crate) fn page(seen: &Seen<'_>) -> String {
    let Seen { listed, found, words, .. } = seen;
    let mut page = begin(words);
    page.open("nav", &[("aria-label", words.lists)]).markup("<ul class=\"lists\">");
    for (list, name) in List::all() {
        let url = format!("?list={name}");
        let mut attributes = vec![("href", url.as_str())];
        if list == listed.list {
            attributes.push(("aria-current", "page"));
        }
        page.markup("<li>").element("a", &attributes, list.title(words)).markup("</li>");
    }
    page.markup("</ul></nav>\n<main id=\"list\">");
    let done = match listed.done.as_deref() {
        Some("same") => Some(words.done_same),
        Some("different") => Some(words.done_different),
        Some("later") => Some(words.done_later),
        _ => None,
    };
    if let Some(done) = done {
        page.element("p", &[("class", "done"), ("role", "status")], done);
    }
    let total = found["total"].as_u64().unwrap_or_default();
    page.element("p", &[], &format!("{} {total}", words.count));
    let (tasks, patients) = entries(found);
    if tasks.is_empty() {
        page.element("p", &[], words.none);
    }
    page.markup("<ol class=\"pairs\">\n");
    for (number, task) in tasks.into_iter().enumerate() {
        page.markup("<li>");
        Pair { seen, task, patients: &patients, heading: format!("pair-{number}") }.write(&mut page);
        page.markup("</li>\n");
    }
    page.markup("</ol>\n");
    pages(&mut page, seen);
    end(page)
}

/// Returns the Tasks of a searchset, and the records that came with them.
fn entries(found: &Value) -> (Vec<&Value>, BTreeMap<&str, &Value>) {
    let (mut tasks, mut patients) = (Vec::new(), BTreeMap::new());
    for resource in array(found, "entry").iter().map(|entry| &entry["resource"]) {
        match (resource["resourceType"].as_str(), resource["id"].as_str()) {
            (Some("Task"), _) => tasks.push(resource),
            (Some("Patient"), Some(id)) => _ = patients.insert(id, resource),
            _ => {}
        }
    }
    (tasks, patients)
}

/// Writes the links to other pages.
fn pages(page: &mut Page, seen: &Seen<'_>) {
    let Seen { listed, found, words, .. } = seen;
    let link = |relation: &str| {
        let link = array(found, "link").iter().find(|link| link["relation"] == relation)?;
        listed.at(link["url"].as_str()?)
    };
    let names = [("first", words.beginning), ("previous", words.previous), ("next", words.next)];
    let links: Vec<(String, &str)> =
        names.iter().filter_map(|(relation, name)| Some((link(relation)?, *name))).collect();
    if links.is_empty() {
        return;
    }
    page.open("nav", &[("aria-label", words.pages)]).markup("<ul class=\"pages\">");
    for (url, name) in &links {
        page.markup("<li>").element("a", &[("href", url)], name).markup("</li>");
    }
    page.markup("</ul></nav>");
}

/// Two records, and the Task that asks about them.
struct Pair<'p> {
    seen: &'p Seen<'p>,
    task: &'p Value,
    patients: &'p BTreeMap<&'p str, &'p Value>,
    /// The id of its heading.
    heading: String,
}

impl Pair<'_> {
    fn write(&self, page: &mut Page) {
        let Seen { words, domains, .. } = *self.seen;
        let Some((one, other)) = records(self.task) else { return };
        let ids = [one.as_str(), other.as_str()];
        let both = ids.map(|id| self.patients.get(id).copied());
        let record = |patient| Record { patient, domains, words };
        page.open("article", &[("aria-labelledby", &self.heading)]);
        page.open("h2", &[("id", &self.heading)]);
        for (at, patient) in both.iter().enumerate() {
            page.markup(if at == 0 { "" } else { " \u{2013} " });
            let title = patient.map_or_else(|| words.nameless.to_owned(), |patient| record(patient).title());
            page.element("bdi", &[], &title);
        }
        page.markup("</h2>");
        self.told(page);
        self.table(page, ids, both);
        self.notes(page);
        if both.iter().all(Option::is_some) {
            self.form(page, both);
        }
        page.markup("</article>");
    }

    /// Returns the input of the Task of a name.
    fn input(&self, named: &str) -> Option<&Value> {
        array(self.task, "input").iter().find(|input| input["type"]["text"] == named)
    }

    /// Says what is known of the question, and what was decided.
    fn told(&self, page: &mut Page) {
        let words = self.seen.words;
        page.markup("<p class=\"told\">");
        if let Some(score) = self.input(SCORE).and_then(|score| score["valueDecimal"].as_f64()) {
            page.text(words.score).text(&format!(": {score:.2} \u{b7} "));
        }
        page.text(words.asked).markup(" ");
        time(page, &self.task["authoredOn"]);
        page.markup("</p>");
        if let Some(remark) = self.input(REMARK) {
            let code = remark["type"]["coding"][0]["code"].as_str().unwrap_or_default();
            let said = remark["valueString"].as_str().unwrap_or_default();
            page.element("p", &[("class", "remark")], words.remark(code).unwrap_or(said));
        }
        let decided = match Decision::of(self.task) {
            Decision::Same => words.decided_same,
            Decision::Different => words.decided_different,
            Decision::Open | Decision::Cancelled => return,
        };
        page.markup("<p><strong>").text(decided).markup("</strong>");
        if let Some(owner) = self.task["owner"]["display"].as_str() {
            page.markup(" ").text(words.by).markup(" ").element("bdi", &[], owner);
        }
        page.markup(", ");
        time(page, &self.task["lastModified"]);
        if let Some(reason) = self.task["statusReason"]["text"].as_str() {
            page.markup(": ").element("bdi", &[], reason);
        }
        page.markup("</p>");
    }

    /// Writes what the two say, side by side.
    fn table(&self, page: &mut Page, ids: [&str; 2], both: [Option<&Value>; 2]) {
        let Seen { words, domains, base, .. } = *self.seen;
        page.open("table", &[("role", "table"), ("aria-labelledby", &self.heading)]);
        page.markup("<thead role=\"rowgroup\"><tr role=\"row\">");
        page.element("th", &[("scope", "col"), ("role", "columnheader"), ("class", "apart")], words.what);
        for ((title, id), patient) in [words.first, words.second].into_iter().zip(ids).zip(both) {
            page.open("th", &[("scope", "col"), ("role", "columnheader")]).text(title).markup("<small>");
            match patient {
                Some(patient) => {
                    let url = format!("{base}/Patient/{id}");
                    page.element("a", &[("href", &url)], &format!("Patient/{id}"));
                    page.markup(" ").text(words.changed_at).markup(" ");
                    time(page, &patient["meta"]["lastUpdated"]);
                }
                None => _ = page.text(words.gone),
            }
            page.markup("</small></th>");
        }
        page.element(
            "th",
            &[("scope", "col"), ("role", "columnheader"), ("class", "apart")],
            words.comparison,
        );
        let attributes = [("scope", "col"), ("role", "columnheader"), ("class", "apart bits")];
        page.element("th", &attributes, words.bits);
        page.markup("</tr></thead>\n<tbody role=\"rowgroup\">");
        for (field, says) in SHOWN {
            let said = both.map(|patient| {
                patient.map(|patient| says(&Record { patient, domains, words })).unwrap_or_default()
            });
            let compared = self.input(field);
            if compared.is_some() || said.iter().any(|said| !said.is_empty()) {
                self.row(page, field, words.field(field).unwrap_or(field), said, compared);
            }
        }
        // Identifiers of which only the settings know that a person has them.
        for input in array(self.task, "input") {
            let what = input["type"]["text"].as_str().unwrap_or_default();
            if ![SCORE, REMARK].contains(&what) && words.field(what).is_none() {
                let domain = domains.by_system(what).map(|domain| domain.name.clone());
                let name = domain.filter(|name| !name.is_empty()).unwrap_or_else(|| what.to_owned());
                self.row(page, what, &name, [Vec::new(), Vec::new()], Some(input));
            }
        }
        page.markup("</tbody>");
        let weights: Vec<f64> = array(self.task, "input").iter().filter_map(weight).collect();
        if !weights.is_empty() {
            page.markup("<tfoot role=\"rowgroup\"><tr role=\"row\">");
            page.element("th", &[("scope", "row"), ("role", "rowheader"), ("colspan", "4")], words.sum);
            let sum = format!("{:+.2}", weights.iter().sum::<f64>());
            page.element("td", &[("role", "cell"), ("class", "bits")], &sum).markup("</tr></tfoot>");
        }
        page.markup("</table>");
    }

    fn row(
        &self,
        page: &mut Page,
        field: &str,
        name: &str,
        said: [Vec<String>; 2],
        compared: Option<&Value>,
    ) {
        let words = self.seen.words;
        page.markup("<tr role=\"row\">").element("th", &[("scope", "row"), ("role", "rowheader")], name);
        for said in said {
            page.markup("<td role=\"cell\">");
            if said.is_empty() {
                page.element("span", &[("class", "none")], words.not_said);
            }
            for value in &said {
                page.element("bdi", &[], value);
            }
            page.markup("</td>");
        }
        let level = compared.and_then(|input| input["valueString"].as_str());
        let (sign, class) = match level {
            Some("exact" | "common" | "supports") => ("= ", "agrees"),
            Some("differs" | "contradicts") => ("\u{2260} ", "differs"),
            Some(_) => ("\u{2248} ", "near"),
            None => ("", "none"),
        };
        let meaning = level.map_or(words.not_compared, |level| words.level(field, level).unwrap_or("?"));
        page.element("td", &[("role", "cell"), ("class", class)], &format!("{sign}{meaning}"));
        let bits = compared.and_then(weight).map(|weight| format!("{weight:+.2}")).unwrap_or_default();
        page.element("td", &[("role", "cell"), ("class", "bits")], &bits).markup("</tr>\n");
    }

    fn notes(&self, page: &mut Page) {
        let notes = array(self.task, "note");
        if notes.is_empty() {
            return;
        }
        page.element("h3", &[], self.seen.words.notes).markup("<ul>");
        for note in notes {
            page.markup("<li>");
            time(page, &note["time"]);
            for said in [&note["authorString"], &note["text"]] {
                page.markup(" ").element("bdi", &[], said.as_str().unwrap_or_default());
            }
            page.markup("</li>");
        }
        page.markup("</ul>");
    }

    /// Writes the form of a decision: about what was shown, by its versions.
    fn form(&self, page: &mut Page, both: [Option<&Value>; 2]) {
        let words = self.seen.words;
        page.markup("<form method=\"post\">");
        let version = |of: &Value| of["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
        let hidden = [
            ("task", self.task["id"].as_str().unwrap_or_default().to_owned()),
            ("task-version", version(self.task)),
            ("first-version", both[0].map(version).unwrap_or_default()),
            ("second-version", both[1].map(version).unwrap_or_default()),
        ];
        for (name, value) in &hidden {
            page.open("input", &[("type", "hidden"), ("name", name), ("value", value)]);
        }
        // Enter in a text must not decide anything: it presses the first button, and this one cannot be.
        page.markup("<button type=\"submit\" disabled hidden></button>");
        page.markup("<label>").text(words.remark);
        page.element("textarea", &[("name", "remark"), ("rows", "2"), ("maxlength", REMARK_MAX.1)], "");
        page.markup("</label><label>").text(words.agent);
        page.open(
            "input",
            &[
                ("name", "agent"),
                ("autocomplete", "name"),
                ("maxlength", AGENT_MAX.1),
                ("required", ""),
                ("value", self.seen.agent),
            ],
        );
        page.markup("</label><div class=\"buttons\">");
        let is_open = Decision::of(self.task) == Decision::Open;
        let buttons = [("same", words.same), ("different", words.different), ("later", words.put_off)];
        for (value, name) in buttons.into_iter().filter(|(value, _)| is_open || *value != "later") {
            let attributes = [
                ("type", "submit"),
                ("name", "decision"),
                ("value", value),
                ("aria-describedby", self.heading.as_str()),
            ];
            page.element("button", &attributes, name);
        }
        page.markup("</div></form>");
    }
}

/// Returns what was compared weighs.
fn weight(input: &Value) -> Option<f64> {
    array(input, "extension").iter().find(|extension| extension["url"] == WEIGHT)?["valueDecimal"].as_f64()
}

/// Writes a moment, to the minute.
fn time(page: &mut Page, moment: &Value) {
    let moment = moment.as_str().unwrap_or_default();
    let to_the_minute: String = moment.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect();
    let zone = if moment.ends_with('Z') { " UTC" } else { "" };
    page.element("time", &[("datetime", moment)], &format!("{to_the_minute}{zone}"));
}

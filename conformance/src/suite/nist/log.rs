//! What a step leaves behind: reports for later plans, and the log that
//! assertions are about.

use ihe_adapters::wire::xml::Element;

use super::plan::{Section, Test};
use super::{COMMUNITY, REPOSITORY, Runner, Trace, expected};

impl Runner<'_> {
    /// Keeps what later plans ask for.
    pub(super) fn report(
        &self,
        trace: &mut Trace,
        of: (&str, &str),
        transaction: &Element,
    ) -> Result<(), String> {
        let site = self.communities.site(of.0, of.1);
        let home = site.map_or(COMMUNITY, |site| &site.home);
        let repository = site.map_or(REPOSITORY, |site| &site.repository);
        for (of, suffix) in [(&trace.assigned.uuids, "_uuid"), (&trace.assigned.uids, "_uid")] {
            trace.reports.extend(of.iter().map(|(id, value)| (format!("{id}{suffix}"), value.clone())));
        }
        // What the toolkit knows of the site that it tests.
        for (name, value) in
            [("$testdata_home$", format!("urn:oid:{home}")), ("$testdata_repid$", repository.to_owned())]
        {
            trace.reports.insert(name.to_owned(), value);
        }
        for report in transaction.children_named("", "Report") {
            let of = if report.attribute("section") == Some("InputMetadata") {
                &trace.sent
            } else {
                &trace.received
            };
            if of.is_empty() {
                continue;
            }
            let value = expected::text(&format!("<Section>{of}</Section>"), &report.text())?;
            trace.reports.insert(report.attribute("name").unwrap_or_default().to_owned(), value);
        }
        Ok(())
    }

    /// Returns what was sent and received in a section, as the toolkit logs it.
    pub(super) fn log(&self, test: &Test, section: &Section) -> String {
        let mut log = String::from("<TestResults>");
        for step in &section.steps {
            let key = (test.name.clone(), section.name.clone(), step.id.clone());
            if let Some(Trace { kind, sent, received, .. }) = self.traces.get(&key) {
                log.push_str(&format!(
                    "<TestStep id=\"{0}\"><{kind} step=\"{0}\"><InputMetadata>{sent}</InputMetadata>\
                     <Result>{received}</Result></{kind}></TestStep>",
                    step.id
                ));
            }
        }
        log.push_str("</TestResults>");
        log
    }

    /// Evaluates the assertions of a step on the log of its section.
    pub(super) fn assertions(
        &self,
        test: &Test,
        section: &Section,
        transaction: &Element,
        symbols: &[(String, String)],
    ) -> Vec<String> {
        let log = self.log(test, section);
        let all = transaction.children_named("", "Assertions").flat_map(|a| a.children_named("", "Assert"));
        let mut wrong = Vec::new();
        for assertion in all {
            let mut text = assertion.text();
            for (symbol, value) in symbols {
                text = text.replace(symbol, value);
            }
            match expected::holds(&log, &text) {
                Ok(true) => {}
                Ok(false) => {
                    wrong.push(format!("not: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
                }
                Err(why) => wrong.push(why),
            }
        }
        wrong
    }
}

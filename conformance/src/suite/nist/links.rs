//! What a transaction refers to: reports, ids and texts of earlier plans, and
//! what the operator of the toolkit types in.

use ihe_adapters::wire::xml::Element;

use super::plan::{Section, Test};
use super::{COMMUNITY, REPOSITORY, Runner, SHARED_FEEDS, expected, submits};

impl<'a> Runner<'a> {
    /// Returns what stands for the symbols of a transaction.
    pub(super) fn symbols(
        &mut self,
        test: &'a Test,
        section: &Section,
        transaction: &Element,
    ) -> Result<Vec<(String, String)>, String> {
        let mut symbols = self.links(test, section, transaction)?;
        // What the operator of the toolkit types in.
        for (symbol, feed) in [("$patient_id1$", "15819"), ("$patient_id2$", "15820")] {
            symbols.push((symbol.to_owned(), self.patient("", feed)?));
        }
        symbols.push(("$patientid$".to_owned(), self.default_patient(test, section)?));
        symbols.push(("$repuid$".to_owned(), REPOSITORY.to_owned()));
        symbols.push(("$configHome$".to_owned(), format!("urn:oid:{COMMUNITY}")));
        let now = jiff::Timestamp::now();
        let after = |hours: i64| now + jiff::SignedDuration::from_hours(hours);
        for (symbol, time, format) in [
            ("$DATE$", now, "%Y%m%d"),
            ("$lastyear$", after(-365 * 24), "%Y"),
            // Bounds of time exclude what is at them.
            ("$now$", after(1), "%Y%m%d%H%M%S"),
        ] {
            symbols.push((symbol.to_owned(), time.strftime(format).to_string()));
        }
        // Longer symbols first: `$a$` may begin as `$a` does. Those of the plan before the operator's.
        symbols.sort_by_key(|(symbol, _)| std::cmp::Reverse(symbol.len()));
        Ok(symbols)
    }

    /// Returns what earlier plans left behind, as an element refers to it.
    pub(super) fn links(
        &mut self,
        test: &'a Test,
        section: &Section,
        element: &Element,
    ) -> Result<Vec<(String, String)>, String> {
        let mut symbols = Vec::new();
        for link in element.elements() {
            let attribute = |name: &str| link.attribute(name).unwrap_or_default().to_owned();
            match link.local.as_str() {
                "UseReport" => {
                    let of = link.attribute("test").unwrap_or(&test.name).to_owned();
                    let this = |name: String| if name == "THIS" { section.name.clone() } else { name };
                    let value = if self.is_feed(&of) {
                        if !SHARED_FEEDS.contains(&of.as_str()) && !submits(test) {
                            return Err("asks for documents that the operator has".to_owned());
                        }
                        self.patient(&test.name, &of)?
                    } else {
                        let name = attribute("reportName");
                        let trace = self.trace(&of, &this(attribute("section")), &attribute("step"))?;
                        match trace.reports.get(&name).cloned() {
                            Some(value) => value,
                            // The operator's, whatever the step.
                            None if name == "$patientid$" && of == test.name => {
                                self.default_patient(test, section)?
                            }
                            None => {
                                return Err(format!("needs the report {name} of {of}, which was not made"));
                            }
                        }
                    };
                    symbols.push((attribute("useAs"), value));
                }
                "UseId" => {
                    let folder = attribute("testdir");
                    let mut parts: Vec<&str> =
                        folder.split('/').filter(|p| !p.is_empty() && *p != "..").collect();
                    let mut of_section = parts.pop().unwrap_or(&section.name).to_owned();
                    let mut of_test = parts.pop().unwrap_or(&test.name).to_owned();
                    let (id, step) = (attribute("id"), attribute("step"));
                    let is_there =
                        |test: &&Test| test.sections.iter().any(|section| section.name == of_section);
                    if self.tests.get(of_test.as_str()).copied().filter(is_there).is_none()
                        && self.tests.contains_key(of_section.as_str())
                    {
                        // What was a test of one plan has become one of several.
                        (of_test, of_section) = (of_section, step.clone());
                    }
                    let trace = self.trace(&of_test, &of_section, &step)?;
                    let found = match attribute("section").as_str() {
                        "AssignedUids" => trace.assigned.uids.get(&id),
                        "AssignedUuids" => trace.assigned.uuids.get(&id),
                        _ => trace.assigned.patients.get(&id),
                    };
                    let missing = || format!("needs the {} of {id} in {of_section}", attribute("section"));
                    symbols.push((attribute("symbol"), found.cloned().ok_or_else(missing)?));
                }
                "UseXPath" => {
                    let folder = attribute("testdir");
                    let mut parts = folder.split('/').filter(|p| !p.is_empty() && *p != "..");
                    let of_test = parts.next().unwrap_or(&test.name).to_owned();
                    let of_section = parts.next().map(str::to_owned);
                    let value = self.selected(&of_test, of_section, &attribute("step"), &link.text())?;
                    symbols.push((attribute("symbol"), value));
                }
                _ => {}
            }
        }
        Ok(symbols)
    }

    /// Returns what an expression selects in the log of a section, or of the
    /// only one that a test has.
    pub(super) fn selected(
        &mut self,
        test: &str,
        section: Option<String>,
        step: &str,
        expression: &str,
    ) -> Result<String, String> {
        let of = *self.tests.get(test).ok_or_else(|| format!("needs the test {test}, which is not here"))?;
        let section = section.as_deref().and_then(|name| of.sections.iter().find(|s| s.name == name));
        let section = section.or(of.sections.first()).ok_or("needs a test without sections")?;
        self.trace(test, &section.name, step)?;
        expected::text(&self.log(of, section), expression)
    }
}

//! A MeasureReport, held against its Measure: its groups and populations are
//! those of the measure, and a score is what the scoring of the measure says.
//!
//! Spec: <https://hl7.org/fhir/R4/measurereport.html>

use fhir_model::schema::{NameId, name, ty};
use fhir_model::tree::Element;

use super::{Place, Rule, Run};

/// What a report is held to.
struct Asked<'m> {
    measure: Element<'m>,
    /// `individual`, `subject-list`, `summary`, `data-collection`.
    report_type: &'m str,
}

impl<'m> Asked<'m> {
    /// Returns the scoring.
    fn scoring(&self) -> Option<&'m str> {
        let codings = self.measure.child(name::SCORING)?.children_named(name::CODING);
        codings.filter_map(|c| c.text_of(name::CODE)).next()
    }
}

impl<'r> Run<'_, 'r> {
    /// Holds a report against its measure, where that is at hand.
    pub(super) fn measure_report(&mut self, place: Place<'r>) {
        let report = place.resource;
        let Some(canonical) = report.text_of(name::MEASURE) else { return };
        let report_type = report.text_of(name::TYPE).unwrap_or_default();
        let unknown = Rule::UnknownMeasure { url: canonical.to_owned() };
        if let Some(measure) = self.answered(place, report, canonical, ty::MEASURE, unknown) {
            self.groups(&Asked { measure: measure.root(), report_type }, report);
        }
    }

    /// A single group may go without a code; of several, each has that of its
    /// group in the measure.
    fn groups(&mut self, asked: &Asked<'_>, report: Element<'r>) {
        let stated: Vec<Element<'_>> = asked.measure.children_named(name::GROUP).collect();
        let given: Vec<Element<'r>> = report.children_named(name::GROUP).collect();
        match (stated.as_slice(), given.as_slice()) {
            ([], _) => {}
            ([stated], [given]) => {
                if let (Some(code), Some(own)) = (stated.child(name::CODE), given.child(name::CODE))
                    && !same_concept(code, own)
                {
                    self.unlike(*given, "group");
                }
                self.group(asked, *stated, *given);
            }
            _ => {
                let pairs = self.paired(&stated, &given, report, "group");
                for (stated, given) in pairs {
                    self.group(asked, stated, given);
                }
            }
        }
    }

    fn group(&mut self, asked: &Asked<'_>, stated: Element<'_>, given: Element<'r>) {
        let populations: Vec<Element<'_>> = stated.children_named(name::POPULATION).collect();
        let own: Vec<Element<'r>> = given.children_named(name::POPULATION).collect();
        if !populations.is_empty() {
            self.paired(&populations, &own, given, "population");
        }
        for population in &own {
            self.subjects(asked, *population);
        }
        self.score(asked, given);
        let stratifiers: Vec<Element<'_>> = stated.children_named(name::STRATIFIER).collect();
        let own: Vec<Element<'r>> = given.children_named(name::STRATIFIER).collect();
        if let ([_], [own]) = (stratifiers.as_slice(), own.as_slice())
            && own.child(name::CODE).is_none()
        {
            return;
        }
        if !stratifiers.is_empty() && !own.is_empty() {
            self.paired(&stratifiers, &own, given, "stratifier");
        }
    }

    /// Finds to each given part the stated one with its code; tells of those
    /// that have none, have it twice, or are missing.
    fn paired<'m>(
        &mut self,
        stated: &[Element<'m>],
        given: &[Element<'r>],
        holder: Element<'r>,
        what: &str,
    ) -> Vec<(Element<'m>, Element<'r>)> {
        let mut pairs: Vec<(Element<'m>, Element<'r>)> = Vec::new();
        for part in given {
            let code = part.children_named(name::CODE).next();
            let found = code.and_then(|code| {
                stated.iter().find(|s| concepts(**s).any(|known| same_concept(known, code)))
            });
            match found {
                None => self.unlike(*part, what),
                Some(stated) if pairs.iter().any(|(known, _)| known.id() == stated.id()) => {
                    let value = code.map(shown).unwrap_or_default();
                    self.error(*part, Rule::Duplicate { what: format!("the code of the {what}"), value });
                }
                Some(stated) => pairs.push((*stated, *part)),
            }
        }
        for missing in stated.iter().filter(|s| pairs.iter().all(|(known, _)| known.id() != s.id())) {
            let code = concepts(*missing).next().map(shown).unwrap_or_default();
            // Observations of a measure are summed up, not counted.
            if code != "measure-observation" {
                self.error(holder, Rule::MeasurePartMissing { what: what.to_owned(), code });
            }
        }
        pairs
    }

    fn unlike(&mut self, part: Element<'r>, what: &str) {
        self.error(part, Rule::MeasurePart { what: what.to_owned() });
    }

    /// Only lists of subjects name them.
    fn subjects(&mut self, asked: &Asked<'_>, population: Element<'r>) {
        if asked.report_type != "subject-list" && population.child(name::SUBJECT_RESULTS).is_some() {
            self.error(population, Rule::MeasureSubjects { report_type: asked.report_type.to_owned() });
        }
    }

    fn score(&mut self, asked: &Asked<'_>, group: Element<'r>) {
        let scoring = asked.scoring().unwrap_or_default();
        let score = group.child(name::MEASURE_SCORE);
        let told = |reason: String| Rule::MeasureScore { reason };
        match score {
            Some(score) if asked.report_type == "data-collection" => {
                self.error(score, told("a report of collected data has none".to_owned()));
            }
            _ if asked.report_type == "data-collection" => {}
            Some(score) if scoring == "cohort" => {
                self.error(score, told("the scoring `cohort` has none".to_owned()));
            }
            None if matches!(scoring, "proportion" | "ratio" | "continuous-variable") => {
                self.error(group, told(format!("the scoring `{scoring}` asks for one")));
            }
            Some(score) if scoring == "proportion" => {
                let has_unit =
                    [name::UNIT, name::SYSTEM, name::CODE].iter().any(|n| score.child(*n).is_some());
                if has_unit {
                    self.error(score, told("a proportion has no unit".to_owned()));
                }
                let value = score.text_of(name::VALUE).and_then(|v| v.parse::<f64>().ok());
                if value.is_some_and(|v| !(0.0..=1.0).contains(&v)) {
                    self.error(score, told("a proportion is a number from 0 to 1".to_owned()));
                }
            }
            _ => {}
        }
    }
}

/// The codes by which a part of a measure is known: its own, or those of its components.
fn concepts(part: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    let own = part.children_named(name::CODE);
    own.chain(part.children_named(name::COMPONENT).flat_map(|c| c.children_named(name::CODE)))
}

/// Tells whether two concepts have a coding in common, or without codings the same text.
fn same_concept(left: Element<'_>, right: Element<'_>) -> bool {
    let key = |coding: Element<'_>, part: NameId| coding.text_of(part).map(str::to_owned);
    let same = |l: Element<'_>, r: Element<'_>| {
        key(l, name::CODE).is_some()
            && key(l, name::CODE) == key(r, name::CODE)
            && key(l, name::SYSTEM) == key(r, name::SYSTEM)
    };
    let by_code =
        left.children_named(name::CODING).any(|l| right.children_named(name::CODING).any(|r| same(l, r)));
    let by_text = || {
        left.child(name::CODING).is_none()
            && right.child(name::CODING).is_none()
            && left.text_of(name::TEXT).is_some()
            && left.text_of(name::TEXT) == right.text_of(name::TEXT)
    };
    by_code || by_text()
}

fn shown(concept: Element<'_>) -> String {
    let code = concept.child(name::CODING).and_then(|c| c.text_of(name::CODE));
    code.or_else(|| concept.text_of(name::TEXT)).unwrap_or_default().to_owned()
}

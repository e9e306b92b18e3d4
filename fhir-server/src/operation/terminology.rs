//! The operations of terminology: `$expand`, `$validate-code`, `$lookup`,
//! `$subsumes`, `$translate`, `$find-matches`.
//!
//! What they answer is made in `profiles`; here a call is taken apart.
//!
//! Spec: <https://hl7.org/fhir/R4/terminology-service.html>

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;
use profiles::terminology::error::TerminologyError;
use profiles::terminology::expand::Expand;
use profiles::terminology::find_matches::Sought;
use profiles::terminology::translate::{self, Translate};
use profiles::terminology::value_set::ValueSet;
use serde_json::{Value, json};

use super::parameters::Given;
use crate::interaction::unit::{View, current_or_gone};

pub(super) fn told(value: &Value) -> Performed {
    Performed::json(value.to_string().into_bytes())
}

/// Says whose fault it is that there is no answer.
pub(super) fn issue(error: &TerminologyError) -> Issue {
    let (code, reason) = match error {
        TerminologyError::NotFound(_) => (IssueType::NotFound, Reason::None),
        TerminologyError::TooCostly(_) => (IssueType::TooCostly, Reason::Unprocessable),
        TerminologyError::Circular(_) => (IssueType::Processing, Reason::Unprocessable),
        TerminologyError::Incomplete(_) => (IssueType::NotSupported, Reason::Unprocessable),
        _ => (IssueType::Invalid, Reason::None),
    };
    Issue::error(code).because(reason).text(error.to_string())
}

/// Returns the canonical of the definition that the call is made on.
fn canonical_of_scope(view: &mut dyn View, call: &OperationCall) -> Result<Option<String>, Issue> {
    let Scope::Instance(key) = &call.scope else { return Ok(None) };
    let resource = current_or_gone(view, key)?.resource()?;
    let root = resource.root();
    let url = root.text_of(name::URL).ok_or_else(|| {
        let text = format!("{}/{} has no `url`, by which it could be found", key.resource_type, key.id);
        Issue::error(IssueType::Required).because(Reason::Unprocessable).text(text)
    })?;
    Ok(Some(match root.text_of(name::VERSION) {
        Some(version) => format!("{url}|{version}"),
        None => url.to_owned(),
    }))
}

pub(super) fn expand(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(
        call,
        &[
            "url",
            "valueSet",
            "valueSetVersion",
            "filter",
            "offset",
            "count",
            "activeOnly",
            "includeDesignations",
            "displayLanguage",
        ],
    )?;
    let how = Expand {
        filter: given.text("filter").map(str::to_owned),
        offset: given.number("offset")?.unwrap_or(0),
        count: given.number("count")?,
        active_only: given.flag("activeOnly"),
        include_designations: given.flag("includeDesignations"),
        display_language: given.text("displayLanguage").map(str::to_owned),
    };
    let of_scope = canonical_of_scope(view, call)?;
    let known = view.knowledge()?;
    let now = now();
    let identifier = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    let by_url = of_scope.or_else(|| {
        let url = given.text("url")?;
        Some(
            given
                .text("valueSetVersion")
                .map_or_else(|| url.to_owned(), |version| format!("{url}|{version}")),
        )
    });
    let Some(url) = by_url else {
        let value_set = given.resource("valueSet").filter(|r| r.resource_type() == ty::VALUE_SET);
        let value_set = value_set.ok_or_else(|| {
            let text = "say which value set: `url`, `valueSet`, or ValueSet/[id]/$expand";
            Issue::error(IssueType::Required).at("url").text(text)
        })?;
        let compiled = ValueSet::compile(&value_set);
        let expansion =
            known.terminology.expand_value_set(&compiled, "given", &how).map_err(|e| issue(&e))?;
        return Ok(told(&expansion.to_value_set(Some(&value_set), "", &how, &now, &identifier)));
    };
    let expansion = known.terminology.expand(&url, &how).map_err(|e| issue(&e))?;
    let value_set = known.definitions.resource(ty::VALUE_SET, &url);
    Ok(told(&expansion.to_value_set(value_set.map(|r| &**r), &url, &how, &now, &identifier)))
}

pub(super) fn now() -> String {
    let mut out = Vec::new();
    let micros =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_micros());
    Instant(i64::try_from(micros).unwrap_or(0)).write_to(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn validate_code(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(
        call,
        &[
            "url",
            "valueSetVersion",
            "code",
            "system",
            "systemVersion",
            "version",
            "display",
            "coding",
            "codeableConcept",
        ],
    )?;
    let of_scope = canonical_of_scope(view, call)?;
    let of_code_system = match &call.scope {
        Scope::Type(of) => *of == ty::CODE_SYSTEM,
        Scope::Instance(key) => key.resource_type == ty::CODE_SYSTEM,
        _ => false,
    };
    let url = of_scope.as_deref().or(given.text("url"));
    let known = view.knowledge()?;
    let answer = if of_code_system {
        let system = url.map(|u| u.split('|').next().unwrap_or(u));
        known.terminology.validate_code(None, &given.codings(system))
    } else {
        let url = url.ok_or_else(|| {
            let text = "say which value set: `url`, or ValueSet/[id]/$validate-code";
            Issue::error(IssueType::Required).at("url").text(text)
        })?;
        let url = given
            .text("valueSetVersion")
            .map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"));
        known.terminology.validate_code(Some(&url), &given.codings(None))
    };
    answer.map(|value| told(&value)).map_err(|e| issue(&e))
}

pub(super) fn lookup(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given =
        Given::of(call, &["code", "system", "version", "coding", "property", "displayLanguage", "date"])?;
    let known = view.knowledge()?;
    let codings = given.codings(None);
    let coding = codings.first().ok_or_else(|| {
        Issue::error(IssueType::Required).at("code").text("say which code: `code` with `system`, or `coding`")
    })?;
    let found = known.terminology.lookup(coding, &given.texts("property"));
    found.map(|value| told(&value)).map_err(|e| issue(&e))
}

pub(super) fn subsumes(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["codeA", "codeB", "codingA", "codingB", "system", "version"])?;
    let of_scope = canonical_of_scope(view, call)?;
    let known = view.knowledge()?;
    let part = |text: &'static str, coding: &'static str| {
        let coding = given.value(coding);
        let code = given.text(text).or_else(|| coding?.text_of(name::CODE));
        let system = coding.and_then(|c| c.text_of(name::SYSTEM));
        code.map(|code| (code, system)).ok_or_else(|| {
            Issue::error(IssueType::Required)
                .at(text)
                .text(format!("two codes are needed: `{text}` is missing"))
        })
    };
    let ((first, system), (second, other)) = (part("codeA", "codingA")?, part("codeB", "codingB")?);
    if system.is_some() && other.is_some() && system != other {
        let text = "the two codes are of different code systems";
        return Err(Issue::error(IssueType::Invalid).at("codingB").text(text));
    }
    let system = given.text("system").or(of_scope.as_deref()).or(system);
    let found =
        known.terminology.subsumption(system, given.text("version"), first, second).map_err(|e| issue(&e))?;
    let outcome = json!({ "name": "outcome", "valueCode": found.code() });
    Ok(told(&json!({ "resourceType": "Parameters", "parameter": [outcome] })))
}

pub(super) fn find_matches(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["system", "version", "property", "exact", "compositional"])?;
    if given.flag("compositional") {
        let text = "compositions of codes are not made here; leave `compositional` out";
        return Err(Issue::error(IssueType::NotSupported).at("compositional").text(text));
    }
    let of_scope = canonical_of_scope(view, call)?;
    let sought: Vec<Sought<'_>> = given.parameters("property").filter_map(sought).collect();
    if sought.len() < given.parameters("property").count() {
        let text = "each `property` has a part `code` and a part `value`";
        return Err(Issue::error(IssueType::Required).at("property").text(text));
    }
    let known = view.knowledge()?;
    let system = given.text("system").or(of_scope.as_deref());
    let found = known.terminology.find_matches(system, given.text("version"), &sought, given.flag("exact"));
    found.map(|value| told(&value)).map_err(|e| issue(&e))
}

/// Reads a property that concepts are looked for by.
fn sought(parameter: Element<'_>) -> Option<Sought<'_>> {
    let part = |named: &str| {
        let mut parts = parameter.children_named(name::PART);
        parts.find(|p| p.text_of(name::NAME) == Some(named))?.child(name::VALUE)
    };
    let value = part("value")?;
    Some(Sought { code: part("code")?.value()?, value: value.value().or_else(|| value.text_of(name::CODE))? })
}

pub(super) fn translate(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(
        call,
        &[
            "url",
            "code",
            "system",
            "version",
            "coding",
            "codeableConcept",
            "source",
            "target",
            "targetsystem",
            "reverse",
        ],
    )?;
    let of_scope = canonical_of_scope(view, call)?;
    let known = view.knowledge()?;
    let how = Translate {
        url: of_scope.as_deref().or(given.text("url")),
        source: given.text("source"),
        target: given.text("target"),
        target_system: given.text("targetsystem"),
        is_reverse: given.flag("reverse"),
    };
    let matches = known.terminology.translate(&given.codings(None), &how).map_err(|e| issue(&e))?;
    Ok(told(&translate::to_parameters(&matches)))
}

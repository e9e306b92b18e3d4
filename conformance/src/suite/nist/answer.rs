//! Answers compared with what a step expects of them.

use ihe_adapters::wire::mtom::included;
use ihe_adapters::wire::namespaces::XDSB;
use ihe_adapters::wire::xml::Element;

use super::expected;
use super::peer::Reply;
use super::plan::{Section, Step};

/// Compares an answer with the status, errors and objects that are expected.
pub(super) fn judge(step: &Step, reply: &Reply) -> Vec<String> {
    let (mut wrong, outcome, errors) = (Vec::new(), reply.outcome(), reply.errors());
    let expected: Vec<&str> = step.status.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    if !expected.is_empty() && !expected.contains(&outcome.as_str()) {
        let told: Vec<String> = errors.iter().map(|(code, context)| format!("{code}: {context}")).collect();
        wrong.push(format!("{outcome} instead of {}: {}", step.status, told.join(" | ")));
    }
    let is_told =
        |error: &String| errors.iter().any(|(code, context)| code == error || context.contains(error));
    if !step.errors.is_empty() && !step.errors.iter().any(is_told) {
        let told: Vec<&str> = errors.iter().map(|(code, _)| code.as_str()).collect();
        wrong.push(format!("errors {told:?} instead of {:?}", step.errors));
    }
    if let (Some(body), Some(expected)) = (&reply.body, step.transaction.child("", "ExpectedContents")) {
        wrong.extend(expected::contents(body, expected));
    }
    wrong
}

/// Compares the documents that came with those that were sent.
pub(super) fn retrieved(
    transaction: &Element,
    section: &Section,
    reply: &Reply,
    symbols: &[(String, String)],
) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    let responses = reply.body.iter().flat_map(|body| body.children_named(XDSB, "DocumentResponse"));
    let responses: Vec<&Element> = responses.collect();
    let bytes = |response: &Element| {
        let part = response.child(XDSB, "Document").and_then(included)?;
        reply.documents.iter().find(|(id, _)| *id == part).map(|(_, bytes)| bytes)
    };
    for reference in transaction.children_named("", "ReferenceDocument") {
        let uid = reference.attribute("uid").unwrap_or_default();
        let uid = symbols.iter().find(|(symbol, _)| symbol == uid).map_or(uid, |(_, value)| value);
        let text = reference.text();
        // What was data of tests once is with the tests now.
        let moved = text.replace("/testdata/", "/");
        let places =
            [&text, &moved].map(|text| [section.folder.join(text), section.folder.join("..").join(text)]);
        let path =
            places.iter().flatten().find(|p| p.is_file()).ok_or_else(|| format!("{text} is not there"))?;
        let sent = std::fs::read(path).map_err(|e| e.to_string())?;
        let response = responses.iter().find(|r| r.text_of(XDSB, "DocumentUniqueId").as_deref() == Some(uid));
        match response.and_then(|r| bytes(r)) {
            None => wrong.push(format!("the document {uid} did not come")),
            Some(came) if *came != sent => {
                wrong.push(format!(
                    "the document {uid} is another: {} bytes, not {}",
                    came.len(),
                    sent.len()
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(expected) = transaction.text_of("", "ExpectedMimeType") {
        let types = responses.iter().filter_map(|r| r.text_of(XDSB, "mimeType"));
        wrong.extend(types.filter(|t| *t != expected).map(|t| format!("{t} instead of {expected}")));
    }
    Ok(wrong)
}

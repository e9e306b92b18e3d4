//! `$transform`: a resource by a StructureMap that is stored or installed.
//!
//! Spec: <https://hl7.org/fhir/R4/structuremap-operation-transform.html>

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::json::to_json;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::ty;
use profiles::mapping::{Compiled, Map, Options, TransformSource};

use super::parameters::Given;
use crate::interaction::unit::{View, current_or_gone};

/// Answers with the resource that the map makes.
pub(super) fn transform(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, &["source", "content"])?;
    let content = given.resource("content").ok_or_else(|| {
        let text = "the resource to be transformed is needed: the parameter `content`, or the body itself";
        Issue::error(IssueType::Required).at("content").text(text)
    })?;
    let known = view.knowledge()?;
    let map = match (&call.scope, given.text("source")) {
        (Scope::Instance(key), _) => Map::from_resource(&current_or_gone(view, key)?.resource()?)?,
        (_, Some(url)) => {
            let found = known.definitions.resource(ty::STRUCTURE_MAP, url).ok_or_else(|| {
                let url: String = url.chars().take(200).collect();
                Issue::error(IssueType::NotFound)
                    .at("source")
                    .text(format!("the map {url} is not known here"))
            })?;
            Map::from_resource(found)?
        }
        _ => {
            let text = "say which map: `source`, or StructureMap/[id]/$transform";
            return Err(Issue::error(IssueType::Required).at("source").text(text));
        }
    };
    let compiled = Compiled::new(&map, &[], &known.definitions)?;
    let made =
        compiled.transform(TransformSource::Resource(&content), Options::default()).map_err(|error| {
            Issue::error(IssueType::Processing).because(Reason::Unprocessable).text(error.to_string())
        })?;
    Ok(Performed::json(to_json(&made)))
}

//! `$meta`: the tags, profiles and security labels of a resource.
//!
//! Spec: <https://hl7.org/fhir/R4/resource-operation-meta.html>

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::json::{read, to_json};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;

use crate::interaction::unit::{View, current_or_gone};

/// Answers with the meta of the current version, as a Parameters resource.
pub(super) fn meta(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let Scope::Instance(key) = &call.scope else {
        return Err(Issue::error(IssueType::NotSupported).text("`$meta` is called on a resource"));
    };
    let resource = current_or_gone(view, key)?.resource()?;
    let mut parameters: Resource = read(r#"{"resourceType":"Parameters","parameter":[{"name":"return"}]}"#)?;
    let Some(parameter) = parameters.root().child(name::PARAMETER).map(|p| p.id()) else {
        return Err(Issue::fatal(IssueType::Exception));
    };
    let property = ty::PARAMETERS_PARAMETER.definition().property("valueMeta", 0);
    if let (Some((_, property)), Some(meta)) = (property, resource.root().child(name::META)) {
        let value = parameters.add(parameter, property, ty::META);
        parameters.copy_children(value, meta);
    }
    Ok(Performed::json(to_json(&parameters)))
}

//! Parts of resources: `_summary` and `_elements`.
//!
//! `id`, `meta`, mandatory elements and those that can change the meaning of
//! everything else (`implicitRules`, `modifierExtension`) are always kept,
//! and what was cut is tagged `SUBSETTED`, so that nobody takes the part for
//! the whole and writes it back.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#summary>

use crate::outcome::{Issue, IssueType};
use crate::schema::{ElementDefinition, NameId, TypeId, name, ty};
use crate::tree::{Element, NodeId, Resource};

/// The code system of the tag.
const SUBSETTED_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// The code of the tag.
const SUBSETTED: &str = "SUBSETTED";

/// The greatest number of paths in one `_elements`.
pub const ELEMENTS_MAX: usize = 256;

/// Which part of a resource is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// `_summary=true`: the elements that the specification marks as summary.
    Summary,
    /// `_summary=text`: the narrative and the mandatory elements.
    Text,
    /// `_summary=data`: all but the narrative.
    Data,
    /// `_elements`: what is listed.
    Elements(Elements),
}

/// The paths of `_elements`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    paths: Vec<ElementPath>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ElementPath {
    /// The resource type it was qualified with; any type without.
    of: Option<TypeId>,
    steps: Vec<String>,
}

/// Why a list of elements cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElementsError {
    /// More than [`ELEMENTS_MAX`].
    #[error("more than {ELEMENTS_MAX} elements are listed")]
    TooMany,
    /// An empty path or step.
    #[error("`{0}` names no element")]
    Malformed(String),
}

impl From<ElementsError> for Issue {
    fn from(error: ElementsError) -> Issue {
        let code = match error {
            ElementsError::TooMany => IssueType::TooCostly,
            ElementsError::Malformed(_) => IssueType::Value,
        };
        Issue::error(code).text(error.to_string()).at("http._elements")
    }
}

impl Elements {
    /// Reads the value of `_elements`: `name,contact.name,Observation.value`.
    ///
    /// # Errors
    /// When there are too many, or a path is empty.
    pub fn parse(text: &str) -> Result<Elements, ElementsError> {
        let mut paths = Vec::new();
        for path in text.split(',').map(str::trim) {
            if paths.len() == ELEMENTS_MAX {
                return Err(ElementsError::TooMany);
            }
            let mut steps: Vec<String> =
                path.split('.').map(|step| step.trim_end_matches("[x]").to_owned()).collect();
            if steps.iter().any(String::is_empty) {
                return Err(ElementsError::Malformed(path.chars().take(64).collect()));
            }
            let of = steps.first().and_then(|first| TypeId::resource_named(first));
            if of.is_some() {
                steps.remove(0);
            }
            paths.push(ElementPath { of, steps });
        }
        Ok(Elements { paths })
    }

    /// Returns the paths that apply to a type and that it does not have:
    /// those that a strict server tells.
    pub fn unknown_in(&self, of: TypeId) -> Vec<String> {
        let known = |path: &&ElementPath| {
            let mut types = vec![of];
            path.steps.iter().all(|step| {
                let of_step = |t: &TypeId| t.definition().elements.iter().filter(|e| is_named(e, step));
                types = types.iter().flat_map(of_step).flat_map(|e| e.types).copied().collect();
                !types.is_empty()
            })
        };
        let applying = self.paths.iter().filter(|path| path.of.is_none_or(|t| t == of));
        applying.filter(|path| !known(path)).map(|path| path.steps.join(".")).collect()
    }

    /// Returns the steps of the paths that apply to a type; only the
    /// qualified ones when the resource was included rather than matched.
    fn steps(&self, of: TypeId, included: Included) -> Vec<&[String]> {
        let applies = |path: &&ElementPath| match path.of {
            Some(qualified) => qualified == of,
            None => included == Included::No,
        };
        self.paths.iter().filter(applies).map(|path| path.steps.as_slice()).collect()
    }
}

/// Whether a resource came by `_include` or the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Included {
    No,
    Yes,
}

/// Tells whether a step of a path means the element: `value`, or the
/// spelling of one of its types, `valueQuantity`.
fn is_named(element: &ElementDefinition, step: &str) -> bool {
    step.strip_prefix(element.name).is_some_and(|suffix| {
        suffix.is_empty()
            || element.is_choice && element.types.iter().any(|t| t.name().eq_ignore_ascii_case(suffix))
    })
}

/// Returns the part of a resource that is asked for, tagged if it is not the whole.
pub fn subset(resource: &Resource, what: &Subset) -> Resource {
    let mut cutter = Cutter { out: Resource::new(resource.resource_type()), has_cut: false };
    let root = cutter.out.root_id();
    cutter.resource(resource.root(), root, what, Included::No);
    cutter.out
}

/// Returns a Bundle of search results or history with the resource of each
/// entry cut to the part that is asked for. The Bundle itself stays whole, as
/// do outcomes and, unless their type is named, what `_elements` does not
/// apply to: included resources.
pub fn subset_entries(bundle: &Resource, what: &Subset) -> Resource {
    let mut cutter = Cutter { out: Resource::new(bundle.resource_type()), has_cut: false };
    let root = cutter.out.root_id();
    let mut last = None;
    for child in bundle.root().children() {
        let Some(node) = cutter.append(root, &mut last, child) else { continue };
        if child.name_id() == Some(name::ENTRY) {
            cutter.entry(child, node, what);
        } else {
            cutter.out.copy_children(node, child);
        }
    }
    cutter.out
}

struct Cutter {
    out: Resource,
    /// Whether anything was left out of the resource at hand.
    has_cut: bool,
}

impl Cutter {
    /// Makes an empty copy of `from` the last child of `parent`.
    fn append(&mut self, parent: NodeId, last: &mut Option<NodeId>, from: Element<'_>) -> Option<NodeId> {
        let node = self.out.append_after(parent, *last, from.property()?, from.ty());
        *last = Some(node);
        Some(node)
    }

    fn whole(&mut self, parent: NodeId, last: &mut Option<NodeId>, from: Element<'_>) {
        if let Some(node) = self.append(parent, last, from) {
            self.out.copy_children(node, from);
        }
    }

    fn entry(&mut self, entry: Element<'_>, to: NodeId, what: &Subset) {
        let mode = entry.child(name::SEARCH).and_then(|search| search.text_of(name::MODE));
        let included = if mode == Some("include") { Included::Yes } else { Included::No };
        let mut last = None;
        for child in entry.children() {
            if child.name_id() != Some(name::RESOURCE) || mode == Some("outcome") {
                self.whole(to, &mut last, child);
            } else if let Some(node) = self.append(to, &mut last, child) {
                self.resource(child, node, what, included);
            }
        }
    }

    fn resource(&mut self, from: Element<'_>, to: NodeId, what: &Subset, included: Included) {
        self.has_cut = false;
        match what {
            Subset::Summary => self.summary(from, to),
            Subset::Text => {
                self.only(from, to, |child| child.name_id() == Some(name::TEXT) || is_kept(child))
            }
            Subset::Data => self.only(from, to, |child| child.name_id() != Some(name::TEXT)),
            Subset::Elements(elements) => {
                let steps = elements.steps(from.ty(), included);
                if steps.is_empty() && included == Included::Yes {
                    self.out.copy_children(to, from);
                } else {
                    self.listed(from, to, &steps);
                }
            }
        }
        if self.has_cut {
            tag(&mut self.out, to);
        }
    }

    /// Copies the children that `keep` lets through, each as a whole.
    fn only(&mut self, from: Element<'_>, to: NodeId, keep: impl Fn(Element<'_>) -> bool) {
        let mut last = None;
        for child in from.children() {
            if keep(child) {
                self.whole(to, &mut last, child);
            } else {
                self.has_cut = true;
            }
        }
    }

    /// Copies the value and the children that belong to a summary.
    fn summary(&mut self, from: Element<'_>, to: NodeId) {
        if let Some(value) = from.value() {
            self.out.set_value(to, value);
        }
        let mut last = None;
        for child in from.children() {
            let Some(property) = child.property() else { continue };
            let is_whole = is_modifying(child) || matches!(child.name_id(), Some(name::META | name::ID));
            if is_whole {
                self.whole(to, &mut last, child);
            } else if !property.element.is_summary && property.element.min == 0 {
                self.has_cut = true;
            } else {
                let before = last;
                let Some(node) = self.append(to, &mut last, child) else { continue };
                self.summary(child, node);
                if !self.out.element(node).is_empty() {
                    continue;
                }
                // Nothing of it is summary. It is what says why there is no
                // value, or it must be there; otherwise it goes.
                if child.definition().is_primitive() || property.element.min > 0 {
                    self.out.copy_children(node, child);
                } else {
                    self.out.remove(to, node);
                    last = before;
                }
            }
        }
    }

    /// Copies the children that the paths lead to.
    fn listed(&mut self, from: Element<'_>, to: NodeId, paths: &[&[String]]) {
        let mut last = None;
        for child in from.children() {
            let Some(property) = child.property() else { continue };
            let mut onward = Vec::new();
            for path in paths {
                if let Some((step, rest)) = path.split_first()
                    && (step == property.element.name || step == property.name)
                {
                    onward.push(rest);
                }
            }
            if is_kept(child) || onward.iter().any(|rest| rest.is_empty()) {
                self.whole(to, &mut last, child);
            } else if onward.is_empty() {
                self.has_cut = true;
            } else {
                let before = last;
                let Some(node) = self.append(to, &mut last, child) else { continue };
                self.listed(child, node, &onward);
                if self.out.element(node).is_empty() {
                    self.out.remove(to, node);
                    last = before;
                }
            }
        }
    }
}

/// Tells whether an element can change the meaning of what stands beside it
/// without being a part of it.
fn is_modifying(element: Element<'_>) -> bool {
    matches!(element.name_id(), Some(name::IMPLICIT_RULES | name::MODIFIER_EXTENSION))
}

/// Tells whether an element is kept in every part.
fn is_kept(element: Element<'_>) -> bool {
    let is_mandatory = element.property().is_some_and(|p| p.element.min > 0);
    is_mandatory || is_modifying(element) || matches!(element.name_id(), Some(name::ID | name::META))
}

/// Tags the resource `at` as a part, unless it is tagged.
fn tag(resource: &mut Resource, at: NodeId) {
    let property =
        |of: TypeId, id: NameId| of.definition().properties.iter().find(|p| p.element.name_id == id);
    let (Some(meta), Some(tag), Some(system), Some(code)) = (
        property(resource.element(at).ty(), name::META),
        property(ty::META, name::TAG),
        property(ty::CODING, name::SYSTEM),
        property(ty::CODING, name::CODE),
    ) else {
        return;
    };
    let element = resource.element(at);
    let id = element.child(name::ID).map(|id| id.id());
    let meta = match (element.child(name::META), id) {
        (Some(meta), _) => {
            let is_tagged = meta.children_named(name::TAG).any(|tag| {
                tag.text_of(name::SYSTEM) == Some(SUBSETTED_SYSTEM)
                    && tag.text_of(name::CODE) == Some(SUBSETTED)
            });
            if is_tagged {
                return;
            }
            meta.id()
        }
        (None, Some(id)) => resource.insert_after(id, meta, ty::META),
        (None, None) => resource.insert_first(at, meta, ty::META),
    };
    let coding = resource.add(meta, tag, ty::CODING);
    resource.add_value(coding, system, SUBSETTED_SYSTEM);
    resource.add_value(coding, code, SUBSETTED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const TAG: &str = r#""tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]"#;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"1","meta":{"versionId":"2"},"text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"/>"},"modifierExtension":[{"url":"http://m","valueBoolean":true}],"name":[{"id":"n","extension":[{"url":"http://x","valueCode":"a"}],"family":"F","_given":[{"extension":[{"url":"http://y","valueCode":"masked"}]}]}],"contact":[{"name":{"family":"C"},"gender":"male"}],"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}"#;

    fn elements(text: &str) -> Subset {
        Subset::Elements(Elements::parse(text).expect("valid"))
    }

    fn check(given: &str, what: &Subset, expected: &str) {
        let resource = json::read(given).expect("valid");
        let cut = subset(&resource, what);
        assert_eq!(String::from_utf8_lossy(&json::to_json(&cut)), expected, "{what:?}");
        assert_eq!(subset(&cut, what), cut, "twice changes nothing");
    }

    #[test]
    fn parts_of_a_patient() {
        let head = format!(r#"{{"resourceType":"Patient","id":"1","meta":{{"versionId":"2",{TAG}}}"#);
        let modifier = r#""modifierExtension":[{"url":"http://m","valueBoolean":true}]"#;
        let text = r#""text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"/>"}"#;
        let name = r#""name":[{"id":"n","extension":[{"url":"http://x","valueCode":"a"}],"family":"F","_given":[{"extension":[{"url":"http://y","valueCode":"masked"}]}]}]"#;
        let contact = r#""contact":[{"name":{"family":"C"},"gender":"male"}]"#;
        let link = r#""link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]"#;
        let short_name = r#""name":[{"id":"n","family":"F","_given":[{"extension":[{"url":"http://y","valueCode":"masked"}]}]}]"#;
        for (what, expected) in [
            (Subset::Summary, format!("{head},{modifier},{short_name},{link}}}")),
            (Subset::Text, format!("{head},{text},{modifier}}}")),
            (Subset::Data, format!("{head},{modifier},{name},{contact},{link}}}")),
            (elements("name"), format!("{head},{modifier},{name}}}")),
            (
                elements("contact.gender,Patient.link,Observation.code"),
                format!(r#"{head},{modifier},"contact":[{{"gender":"male"}}],{link}}}"#),
            ),
            (elements("contact.name.given, birthDate"), format!("{head},{modifier}}}")),
            (elements("Observation.code"), format!("{head},{modifier}}}")),
        ] {
            check(PATIENT, &what, &expected);
        }
    }

    #[test]
    fn mandatory_elements_and_choices() {
        let given = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.0},"note":[{"text":"n"}]}"#;
        let head = format!(
            r#"{{"resourceType":"Observation","meta":{{{TAG}}},"status":"final","code":{{"text":"c"}}"#
        );
        for (paths, rest) in [
            ("value", r#","valueQuantity":{"value":1.0}}"#),
            ("value[x]", r#","valueQuantity":{"value":1.0}}"#),
            ("valueQuantity", r#","valueQuantity":{"value":1.0}}"#),
            ("valueString", "}"),
            ("note.text", r#","note":[{"text":"n"}]}"#),
        ] {
            check(given, &elements(paths), &format!("{head}{rest}"));
        }
        check(given, &elements("note,value"), given);
        check(given, &Subset::Data, given);
    }

    #[test]
    fn entries_of_a_bundle() {
        let bundle = json::read(
            r#"{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","id":"1","active":true,"gender":"male"},"search":{"mode":"match"}},{"resource":{"resourceType":"Organization","id":"2","active":true,"name":"o"},"search":{"mode":"include"}},{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value"}]},"search":{"mode":"outcome"}}]}"#,
        )
        .expect("valid");
        let cut = |what| String::from_utf8(json::to_json(&subset_entries(&bundle, &what))).expect("text");
        let with = |patient: &str, organization: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{{"fullUrl":"http://a/Patient/1","resource":{{"resourceType":"Patient","id":"1",{patient}}},"search":{{"mode":"match"}}}},{{"resource":{{"resourceType":"Organization","id":"2",{organization}}},"search":{{"mode":"include"}}}},{{"resource":{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"value"}}]}},"search":{{"mode":"outcome"}}}}]}}"#
            )
        };
        let whole = r#""active":true,"name":"o""#;
        assert_eq!(cut(elements("gender")), with(&format!(r#""meta":{{{TAG}}},"gender":"male""#), whole));
        assert_eq!(
            cut(elements("Patient.gender,Organization.name")),
            with(&format!(r#""meta":{{{TAG}}},"gender":"male""#), &format!(r#""meta":{{{TAG}}},"name":"o""#))
        );
        assert_eq!(cut(Subset::Text), with(&format!(r#""meta":{{{TAG}}}"#), &format!(r#""meta":{{{TAG}}}"#)));
    }

    #[test]
    fn lists_of_elements() {
        assert_eq!(Elements::parse("a,,b"), Err(ElementsError::Malformed(String::new())));
        assert_eq!(Elements::parse("a..b"), Err(ElementsError::Malformed("a..b".to_owned())));
        assert_eq!(Elements::parse(&"a,".repeat(300)), Err(ElementsError::TooMany));
        let listed =
            Elements::parse("name.family,name.fam,deceasedBoolean,Observation.x,nme").expect("valid");
        assert_eq!(listed.unknown_in(ty::PATIENT), ["name.fam", "nme"]);
    }
}

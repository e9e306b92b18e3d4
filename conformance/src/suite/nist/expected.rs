//! What the plans expect of an answer: which objects, how many, of which
//! status; and assertions in XPath.

use ihe_adapters::wire::namespaces::RIM;
use ihe_adapters::wire::xml::Element;
use ihe_adapters::xds::vocabulary::{
    APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, IS_SNAPSHOT_OF, SUBMISSION_SET_NODE,
};
use uppsala::{XPathEvaluator, XPathValue};

/// The objects of an answer.
struct Objects<'a> {
    documents: Vec<&'a Element>,
    folders: Vec<&'a Element>,
    sets: Vec<&'a Element>,
    associations: Vec<&'a Element>,
    references: usize,
}

impl<'a> Objects<'a> {
    fn of(body: &'a Element) -> Objects<'a> {
        let list: Vec<&Element> =
            body.child(RIM, "RegistryObjectList").into_iter().flat_map(Element::elements).collect();
        let named = |name: &str| list.iter().copied().filter(|e| e.local == name).collect::<Vec<_>>();
        let packages = named("RegistryPackage");
        let nodes: Vec<&Element> = named("Classification");
        let of_node = |node: &str| {
            let is_it = |package: &&Element| {
                let inside = package.elements().any(|c| c.attribute("classificationNode") == Some(node));
                let beside = |c: &&Element| {
                    c.attribute("classificationNode") == Some(node)
                        && c.attribute("classifiedObject") == package.attribute("id")
                };
                inside || nodes.iter().any(beside)
            };
            packages.iter().copied().filter(is_it).collect::<Vec<_>>()
        };
        Objects {
            documents: named("ExtrinsicObject"),
            folders: of_node(FOLDER_NODE),
            sets: of_node(SUBMISSION_SET_NODE),
            associations: named("Association"),
            references: named("ObjectRef").len(),
        }
    }

    fn is_member(&self, package: &Element, of: &Element) -> bool {
        self.associations.iter().any(|a| {
            a.attribute("associationType") == Some(HAS_MEMBER)
                && a.attribute("sourceObject") == package.attribute("id")
                && a.attribute("targetObject") == of.attribute("id")
        })
    }

    /// Tells whether these are one submission set with so many members, and nothing else.
    fn is_submission(&self, documents: usize, folders: usize, associations: usize) -> bool {
        let [set] = self.sets.as_slice() else { return false };
        let members = self.documents.iter().chain(&self.folders);
        self.documents.len() == documents
            && self.folders.len() == folders
            && self.associations.len() == associations
            && members.into_iter().all(|member| self.is_member(set, member))
    }
}

fn have(objects: &[&Element], status: &str) -> usize {
    objects.iter().filter(|object| object.attribute("status") == Some(status)).count()
}

/// Compares the objects of an answer with what `ExpectedContents` asks for.
pub(super) fn contents(body: &Element, expected: &Element) -> Vec<String> {
    let objects = Objects::of(body);
    let mut wrong = Vec::new();
    let none = |item: &Element| item.local == "Documents" && item.attribute("count") == Some("0");
    let asks_none = expected.elements().any(none);
    for item in expected.elements() {
        let count = item.attribute("count").and_then(|count| count.parse::<usize>().ok());
        let counted = match item.local.as_str() {
            "Documents" => Some(("documents", objects.documents.len())),
            "Folders" => Some(("folders", objects.folders.len())),
            "SubmissionSets" => Some(("submission sets", objects.sets.len())),
            "Associations" => Some(("associations", objects.associations.len())),
            "ObjectRefs" => Some(("references", objects.references)),
            _ => None,
        };
        if let Some((what, is)) = counted {
            if let Some(asked) = count.filter(|asked| *asked != is) {
                wrong.push(format!("{is} {what} instead of {asked}"));
            }
            continue;
        }
        let all = |of: &[&Element], status: &str| have(of, status) == of.len();
        let holds = match item.local.as_str() {
            // Compared by id.
            "DocumentEntries" => true,
            "DocApp" => (asks_none || !objects.documents.is_empty()) && all(&objects.documents, APPROVED),
            "DocDep" => all(&objects.documents, DEPRECATED),
            "OneDocApp" => have(&objects.documents, APPROVED) == 1,
            "OneDocDep" => have(&objects.documents, DEPRECATED) == 1,
            "FolApp" => all(&objects.folders, APPROVED),
            "FolDep" => all(&objects.folders, DEPRECATED),
            "SSApproved" => objects.sets.len() == 1 && all(&objects.sets, APPROVED),
            "NoSubmissionSet" => objects.sets.is_empty(),
            "NoDocument" => objects.documents.is_empty(),
            "None" => objects.documents.len() + objects.sets.len() + objects.folders.len() == 0,
            "SSwithOneDoc" => objects.is_submission(1, 0, 1) && all(&objects.sets, APPROVED),
            "SSwithTwoDoc" => objects.is_submission(2, 0, 2),
            "SSwithOneFol" => objects.is_submission(0, 1, 1),
            // The membership in the folder, and that of it in the set.
            "SSwithOneDocOneFol" => objects.is_submission(1, 1, 4),
            "SSwithTwoDocOneFol" => objects.is_submission(2, 1, 7),
            "SSwithTwoDocOneFolOneDocInFol" => objects.is_submission(2, 1, 5),
            "HasSnapshotPattern" => {
                let is_it = |a: &&Element| a.attribute("associationType") == Some(IS_SNAPSHOT_OF);
                objects.associations.iter().copied().filter(|a| is_it(a)).count() == 1
                    && all(&objects.documents, APPROVED)
            }
            other => {
                wrong.push(format!("what {other} expects is not known"));
                true
            }
        };
        if !holds {
            wrong.push(format!(
                "not {}: {} documents ({} approved), {} sets, {} folders, {} associations",
                item.local,
                objects.documents.len(),
                have(&objects.documents, APPROVED),
                objects.sets.len(),
                objects.folders.len(),
                objects.associations.len()
            ));
        }
    }
    wrong
}

/// Compares the documents of an answer with those that a selection names: id and type.
pub(super) fn entries(
    body: Option<&Element>,
    selection: &Element,
    named: &[(String, Option<String>)],
) -> Vec<String> {
    let found = body.map(|body| Objects::of(body).documents).unwrap_or_default();
    let mut wrong = Vec::new();
    if selection.local == "DocumentEntryType" {
        let of_type = selection.text();
        let others = found.iter().filter(|d| d.attribute("objectType") != Some(&of_type));
        return others
            .map(|d| format!("a document of another type: {:?}", d.attribute("objectType")))
            .collect();
    }
    for (id, of_type) in named {
        let entry = found.iter().find(|document| document.attribute("id") == Some(id));
        match (selection.local.as_str(), entry) {
            ("Exclude", Some(_)) => wrong.push(format!("{id} is there")),
            ("Exclude", None) => {}
            (_, None) => wrong.push(format!("{id} is not there")),
            (_, Some(entry)) => {
                if of_type.as_deref().is_some_and(|of| entry.attribute("objectType") != Some(of)) {
                    wrong.push(format!("{id} is of another type"));
                }
            }
        }
    }
    if selection.local == "MustOnlyInclude" && found.len() != named.len() {
        wrong.push(format!("{} documents instead of {}", found.len(), named.len()));
    }
    wrong
}

/// Evaluates an expression on a document.
fn evaluate<T>(
    xml: &str,
    expression: &str,
    then: impl Fn(&XPathValue, &uppsala::Document<'_>) -> T,
) -> Result<T, String> {
    let told = |e: &dyn std::fmt::Display| format!("`{expression}`: {e}");
    let mut document = uppsala::parse(xml).map_err(|e| told(&e))?;
    // Attributes are nodes only after this.
    document.prepare_xpath();
    let value =
        XPathEvaluator::new().evaluate(&document, document.root(), expression).map_err(|e| told(&e))?;
    Ok(then(&value, &document))
}

/// Returns the text that an expression selects.
pub(super) fn text(xml: &str, expression: &str) -> Result<String, String> {
    evaluate(xml, expression.trim(), |value, document| value.to_string_value(document))
}

/// Tells whether an assertion holds.
pub(super) fn holds(xml: &str, assertion: &str) -> Result<bool, String> {
    let assertion = assertion.split_whitespace().collect::<Vec<_>>().join(" ");
    // A comparison of the plans' own.
    if let Some((left, right)) = assertion.split_once(" equalsIgnoreCase ") {
        return Ok(left.eq_ignore_ascii_case(right));
    }
    evaluate(xml, &assertion, |value, _| value.to_boolean())
}

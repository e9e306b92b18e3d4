//! The initiating gateway: which communities a question is for, and one answer
//! of those of many. What they answer is passed on as it came.
//!
//! Spec: ITI TF-1 18.2.2, ITI TF-2 3.38.4.1.3, 3.39.4.1.3

use crate::wire::ebrs::{ErrorCode, RegistryError, Severity, Status, error_list, is_error};
use crate::wire::namespaces::{QUERY, RIM, RS, XDSB};
use crate::wire::xml::{Element, Node};

/// Another community, as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Community {
    /// Its id: an OID.
    pub home_community_id: String,
    /// Where its responding gateway takes ITI-38.
    pub query: String,
    /// Where its responding gateway takes ITI-39.
    pub retrieve: String,
    /// Where its responding gateway takes ITI-55; `None` when it is not asked for patients.
    pub xcpd: Option<String>,
    /// The OID of who assigns the identifiers by which it knows patients;
    /// `None` when it knows them by those that it is asked with.
    pub assigning_authority: Option<String>,
}

impl Community {
    /// Returns its id as messages have it.
    pub fn urn(&self) -> String {
        format!("urn:oid:{}", self.home_community_id)
    }
}

/// A community that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'c> {
    /// This one.
    Ours,
    /// Another one.
    Other(&'c Community),
}

/// What a community answered: an element, or why there is none.
pub(crate) struct Answered {
    /// The community, `urn:oid:...`.
    pub(crate) community: String,
    pub(crate) answer: Result<Element, RegistryError>,
}

/// Tells which communities a request is for. `home`: the one that it names;
/// `names_patient`: whether it can be asked of all; `ours`: `urn:oid:...`.
///
/// # Errors
/// `XDSMissingHomeCommunityId`, `XDSUnknownCommunity`.
pub(crate) fn asked<'c>(
    home: Option<&str>,
    names_patient: bool,
    communities: &'c [Community],
    ours: &str,
) -> Result<Vec<Asked<'c>>, RegistryError> {
    match home.map(str::trim).filter(|home| !home.is_empty()) {
        Some(home) if home == ours => Ok(vec![Asked::Ours]),
        Some(home) => match communities.iter().find(|community| community.urn() == home) {
            Some(community) => Ok(vec![Asked::Other(community)]),
            None => {
                let home: String = home.chars().take(100).collect();
                let context = format!("the community `{home}` is not in the directory");
                Err(RegistryError::new(ErrorCode::UnknownCommunity, context).at(home))
            }
        },
        None if names_patient => {
            Ok(std::iter::once(Asked::Ours).chain(communities.iter().map(Asked::Other)).collect())
        }
        None => {
            let context = "the request names neither a patient nor a community";
            Err(RegistryError::new(ErrorCode::MissingHomeCommunityId, context))
        }
    }
}

/// Replaces the patient that a query names: `names` are those of its
/// parameters, `patient` the value as it is written.
pub(crate) fn with_patient(mut request: Element, names: &[&str], patient: &str) -> Element {
    let query = elements_mut(&mut request).find(|element| element.is(RIM, "AdhocQuery"));
    for slot in query.into_iter().flat_map(elements_mut) {
        if slot.is(RIM, "Slot") && slot.attribute("name").is_some_and(|name| names.contains(&name)) {
            let value = format!("'{}'", patient.replace('\'', "''"));
            let value = Element::new(RIM, "Value").with_text(value);
            slot.children = vec![Node::Element(Element::new(RIM, "ValueList").with_child(value))];
        }
    }
    request
}

fn elements_mut(element: &mut Element) -> impl Iterator<Item = &mut Element> {
    element.children.iter_mut().filter_map(|node| match node {
        Node::Element(element) => Some(element),
        Node::Text(_) | Node::Fragment(_) => None,
    })
}

/// What several communities answered, brought together.
#[derive(Default)]
struct Consolidated {
    /// What was found.
    found: Vec<Node>,
    /// What went wrong elsewhere, as it was told.
    errors: Vec<Element>,
    has_success: bool,
}

impl Consolidated {
    fn error(&mut self, error: &RegistryError) {
        let list = error_list(std::slice::from_ref(error));
        self.errors.extend(list.iter().flat_map(Element::elements).cloned());
    }

    /// Takes in the status and errors of an answer.
    fn take(&mut self, community: &str, response: &Element) {
        let errors: Vec<&Element> = response
            .child(RS, "RegistryErrorList")
            .into_iter()
            .flat_map(|list| list.children_named(RS, "RegistryError"))
            // Who asks here does not expect that others do not know the patient.
            .filter(|error| error.attribute("errorCode") != Some(ErrorCode::UnknownPatientId.text()))
            .collect();
        let status = response.attribute("status").and_then(Status::of_urn);
        match (status, errors.is_empty()) {
            (None, _) => {
                let context = format!("the answer of {community} has no status");
                self.error(&RegistryError::new(ErrorCode::Registry, context).at(community));
            }
            (Some(Status::Failure), false) => {}
            _ => self.has_success = true,
        }
        self.errors.extend(errors.into_iter().cloned());
    }

    fn status(&self) -> Status {
        match (self.errors.iter().any(is_error), self.has_success) {
            (false, _) => Status::Success,
            (true, true) => Status::PartialSuccess,
            (true, false) => Status::Failure,
        }
    }

    fn error_list(&mut self) -> Option<Element> {
        let errors = std::mem::take(&mut self.errors);
        let highest = if errors.iter().any(is_error) { Severity::Error } else { Severity::Warning };
        (!errors.is_empty()).then(|| {
            Element::new(RS, "RegistryErrorList")
                .with_attribute("highestSeverity", highest.urn())
                .with_children(errors)
        })
    }
}

/// Makes one answer to a query of those of the communities.
pub(crate) fn consolidated_query(answers: Vec<Answered>) -> Element {
    let mut all = Consolidated::default();
    for Answered { community, answer } in answers {
        let answer = match answer {
            Ok(answer) if answer.is(QUERY, "AdhocQueryResponse") => answer,
            Ok(_) => {
                all.error(&unexpected(&community));
                continue;
            }
            Err(error) => {
                all.error(&error);
                continue;
            }
        };
        all.take(&community, &answer);
        let list = answer.child(RIM, "RegistryObjectList");
        let mut homeless = Vec::new();
        for node in list.into_iter().flat_map(|list| &list.children) {
            let object = match node {
                Node::Element(object) => object,
                // Objects of this community, which have its id.
                Node::Fragment(_) => {
                    all.found.push(node.clone());
                    continue;
                }
                Node::Text(_) => continue,
            };
            let has_home = object.attribute("home").is_some_and(|home| !home.trim().is_empty());
            let needs_home = ["ExtrinsicObject", "RegistryPackage", "ObjectRef"].contains(&&*object.local);
            if needs_home && !has_home {
                homeless.push(object.attribute("id").unwrap_or_default());
            } else {
                all.found.push(node.clone());
            }
        }
        if !homeless.is_empty() {
            let some: Vec<&str> = homeless.iter().copied().take(10).collect();
            let context = format!(
                "the responding gateway of {community} answered {} objects without homeCommunityId: {}",
                homeless.len(),
                some.join(", ")
            );
            all.error(&RegistryError::new(ErrorCode::MissingHomeCommunityId, context).at(&community));
        }
    }
    Element::new(QUERY, "AdhocQueryResponse")
        .with_attribute("status", all.status().urn())
        .with_children(all.error_list())
        .with_child(Element { children: all.found, ..Element::new(RIM, "RegistryObjectList") })
}

/// Makes one answer to a retrieval of those of the communities.
pub(crate) fn consolidated_retrieval(answers: Vec<Answered>) -> Element {
    let mut all = Consolidated::default();
    for Answered { community, answer } in answers {
        match answer {
            Ok(answer) => match answer.child(RS, "RegistryResponse") {
                Some(response) if answer.is(XDSB, "RetrieveDocumentSetResponse") => {
                    all.take(&community, response);
                    let documents = answer.children_named(XDSB, "DocumentResponse").cloned();
                    all.found.extend(documents.map(Node::Element));
                }
                _ => all.error(&unexpected(&community)),
            },
            Err(error) => all.error(&error),
        }
    }
    let response = Element::new(RS, "RegistryResponse")
        .with_attribute("status", all.status().urn())
        .with_children(all.error_list());
    let mut consolidated = Element::new(XDSB, "RetrieveDocumentSetResponse").with_child(response);
    consolidated.children.extend(all.found);
    consolidated
}

fn unexpected(community: &str) -> RegistryError {
    let context = format!("{community} answered with something else than was asked for");
    RegistryError::new(ErrorCode::UnavailableCommunity, context).at(community)
}

/// Says that a community gave no answer.
pub(crate) fn unavailable(community: &str, why: &dyn std::fmt::Display) -> RegistryError {
    RegistryError::new(ErrorCode::UnavailableCommunity, format!("{community}: {why}")).at(community)
}

#[cfg(test)]
mod tests;

//! Queries by parameter, what they are answered with, and how they go on.
//!
//! Spec: ITI TF-2 Appendix O.2

use super::identifier::InstanceIdentifier;
use super::message::{Problem, location};
use super::{all, at, attribute, code, element, value};
use crate::wire::namespaces::XSI;
use crate::wire::xml::{Element, Node};

/// Where a query stands in its message.
const QUERY_PATH: &[&str] = &["controlActProcess", "queryByParameter"];

/// A query.
#[derive(Debug, Clone)]
pub struct QueryByParameter<'m> {
    message: &'m str,
    element: &'m Element,
    list: Option<&'m Element>,
    /// Which query it is.
    pub query_id: InstanceIdentifier,
    /// How many results are wanted at first.
    pub initial_quantity: Option<u32>,
    /// `I` for an answer at once, `D` for one that comes later.
    pub priority: Option<&'m str>,
}

impl<'m> QueryByParameter<'m> {
    /// Reads the query of a message.
    ///
    /// # Errors
    /// When it has none, or it cannot be read.
    pub fn of(message: &'m Element) -> Result<QueryByParameter<'m>, Problem> {
        let problem = |step: &str, text: &str| {
            let path: Vec<&str> = QUERY_PATH.iter().copied().chain([step]).collect();
            Problem::new(&message.local, &path, text)
        };
        let query = at(message, QUERY_PATH)
            .ok_or_else(|| Problem::new(&message.local, QUERY_PATH, "the message has no query"))?;
        let query_id = at(query, &["queryId"]).map(InstanceIdentifier::of).filter(|id| !id.is_null());
        let query_id = query_id.ok_or_else(|| problem("queryId", "the query has no id"))?;
        let initial_quantity = match at(query, &["initialQuantity"]).and_then(|q| attribute(q, "value")) {
            Some(text) => {
                let text = text.parse().ok().filter(|quantity| *quantity > 0);
                let problem = || problem("initialQuantity", "it is no number of results");
                Some(text.ok_or_else(problem)?)
            }
            None => None,
        };
        Ok(QueryByParameter {
            message: &message.local,
            element: query,
            list: at(query, &["parameterList"]),
            query_id,
            initial_quantity,
            priority: at(query, &["responsePriorityCode"]).and_then(|priority| attribute(priority, "code")),
        })
    }

    /// Returns the values of the parameters of a name, with the XPath of each.
    pub fn values(&self, parameter: &'m str) -> Vec<(&'m Element, String)> {
        let named = self.list.into_iter().flat_map(|list| all(list, parameter)).enumerate();
        let values = named.flat_map(|(at, of)| {
            let values: Vec<&Element> = all(of, "value").collect();
            let is_one = values.len() == 1;
            values.into_iter().enumerate().map(move |(n, value)| {
                let last = if is_one { "value".to_owned() } else { format!("value[{}]", n + 1) };
                (value, format!("{parameter}[{}]", at + 1), last)
            })
        });
        values.map(|(value, step, last)| (value, self.location(&step, &last))).collect()
    }

    /// Returns the names of the parameters that it has.
    pub fn parameter_names(&self) -> impl Iterator<Item = &'m str> {
        self.list.into_iter().flat_map(Element::elements).map(|parameter| parameter.local.as_str())
    }

    /// Returns the parameters of a name, without looking at what they are.
    pub fn parameters(&self, parameter: &'m str) -> impl Iterator<Item = &'m Element> {
        self.list.into_iter().flat_map(move |list| all(list, parameter))
    }

    /// Returns the XPath of a value of a parameter.
    pub fn location(&self, parameter: &str, last: &str) -> String {
        let path = ["controlActProcess", "queryByParameter", "parameterList", parameter, last];
        location(self.message, &path)
    }

    /// Returns what it asks for by a criterion of the match.
    pub fn match_criterion(&self, criterion: &str) -> Option<&'m str> {
        attribute(at(self.element, &["matchCriterionList", criterion, "value"])?, "value")
    }

    /// Copies it, for an answer.
    pub fn to_element(&self) -> Element {
        copied(self.element)
    }
}

/// Copies an element of a message into another one: types that it names are
/// named by the prefix that we write.
pub fn copied(element: &Element) -> Element {
    let mut copy = element.clone();
    rename_types(&mut copy);
    copy
}

fn rename_types(element: &mut Element) {
    // What says where its schema is, is for who sent it.
    element.attributes.retain(|attribute| !(&*attribute.namespace == XSI && attribute.local != "type"));
    for attribute in element.attributes.iter_mut().filter(|attribute| &*attribute.namespace == XSI) {
        let local = attribute.value.rsplit(':').next().unwrap_or_default().trim();
        attribute.value = format!("hl7:{local}");
    }
    for node in &mut element.children {
        if let Node::Element(child) = node {
            rename_types(child);
        }
    }
}

/// What is said of the results of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryAck {
    /// Which query.
    pub query_id: InstanceIdentifier,
    /// `OK`, `NF`, `AE` or `QE`.
    pub response_code: &'static str,
    /// How many results there are, how many of them stand here, and how many
    /// are left; `None` where that is not told.
    pub quantities: Option<[u64; 3]>,
}

impl QueryAck {
    /// Writes it.
    pub fn to_element(&self) -> Element {
        let names = ["resultTotalQuantity", "resultCurrentQuantity", "resultRemainingQuantity"];
        let quantities = self.quantities.into_iter().flat_map(|all| names.into_iter().zip(all));
        element("queryAck")
            .with_child(self.query_id.to_element("queryId"))
            .with_child(code("statusCode", "deliveredResponse"))
            .with_child(code("queryResponseCode", self.response_code))
            .with_children(quantities.map(|(name, quantity)| value(name, &quantity.to_string())))
    }
}

/// Reads the code of the results of an answer.
pub fn response_code(message: &Element) -> Option<&str> {
    attribute(at(message, &["controlActProcess", "queryAck", "queryResponseCode"])?, "code")
}

/// A message that asks for more results of a query, or for no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// Which query.
    pub query_id: InstanceIdentifier,
    /// From which result on: the first is 1.
    pub start: Option<u64>,
    /// How many are wanted from now on.
    pub quantity: Option<u32>,
    /// Whether it asks for no more.
    pub is_cancel: bool,
}

impl Continuation {
    /// Reads one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(message: &Element) -> Result<Continuation, Problem> {
        const PATH: &[&str] = &["controlActProcess", "queryContinuation"];
        let problem = |step: &str, text: &str| {
            let path: Vec<&str> = PATH.iter().copied().chain([step]).collect();
            Problem::new(&message.local, &path, text)
        };
        let continuation = at(message, PATH)
            .ok_or_else(|| Problem::new(&message.local, PATH, "the message does not continue a query"))?;
        let query_id = at(continuation, &["queryId"]).map(InstanceIdentifier::of).filter(|id| !id.is_null());
        let number = |local: &str| match at(continuation, &[local]).and_then(|n| attribute(n, "value")) {
            Some(text) => text.parse::<u32>().map(Some).map_err(|_| problem(local, "it is no number")),
            None => Ok(None),
        };
        let status = at(continuation, &["statusCode"]).and_then(|status| attribute(status, "code"));
        let quantity = number("continuationQuantity")?;
        let start = number("startResultNumber")?;
        if start == Some(0) {
            return Err(problem("startResultNumber", "the first result is 1"));
        }
        Ok(Continuation {
            query_id: query_id.ok_or_else(|| problem("queryId", "the continuation has no query id"))?,
            start: start.map(u64::from),
            quantity,
            is_cancel: status == Some("aborted") || quantity == Some(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::Limits;

    fn message(query: &str) -> Element {
        let text = format!(
            "<PRPA_IN201309UV02 xmlns='urn:hl7-org:v3' xmlns:xsi='{XSI}'><controlActProcess>{query}\
             </controlActProcess></PRPA_IN201309UV02>"
        );
        Element::parse(text.as_bytes(), &Limits::default()).expect("well-formed")
    }

    #[test]
    fn values_are_told_with_their_places() {
        let list = "<dataSource><value root='1.2'/></dataSource><dataSource><value root='1.3'/></dataSource>\
                    <patientAddress><value xsi:type='AD'/><value/></patientAddress>";
        let message = message(&format!(
            "<queryByParameter><queryId root='1.2.3'/><initialQuantity value='2'/><responsePriorityCode \
             code='D'/><parameterList>{list}</parameterList></queryByParameter>"
        ));
        let query = QueryByParameter::of(&message).expect("a query");
        assert_eq!((query.initial_quantity, query.priority), (Some(2), Some("D")));
        let place = "/hl7:PRPA_IN201309UV02/hl7:controlActProcess/hl7:queryByParameter/hl7:parameterList/";
        let places: Vec<String> = query.values("dataSource").into_iter().map(|(_, place)| place).collect();
        assert_eq!(places, [1, 2].map(|at| format!("{place}hl7:dataSource[{at}]/hl7:value")));
        let places: Vec<String> =
            query.values("patientAddress").into_iter().map(|(_, place)| place).collect();
        assert_eq!(places, [1, 2].map(|at| format!("{place}hl7:patientAddress[1]/hl7:value[{at}]")));
        let copy = query.to_element().to_xml();
        assert!(copy.contains("xsi:type=\"hl7:AD\""), "{copy}");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (query, step) in [
            ("", "queryByParameter"),
            ("<queryByParameter/>", "queryByParameter/hl7:queryId"),
            (
                "<queryByParameter><queryId root='1'/><initialQuantity value='0'/></queryByParameter>",
                "queryByParameter/hl7:initialQuantity",
            ),
        ] {
            let problem = QueryByParameter::of(&message(query)).expect_err("a problem");
            assert!(problem.location.ends_with(step), "{}", problem.location);
        }
    }

    #[test]
    fn a_continuation_asks_for_more_or_for_no_more() {
        let of = |inside: &str| {
            let message = message(&format!("<queryContinuation>{inside}</queryContinuation>"));
            Continuation::of(&message).map_err(|problem| problem.location)
        };
        let more = of("<queryId root='1.2' extension='7'/><startResultNumber value='3'/>\
                       <continuationQuantity value='5'/><statusCode code='waitContinuedQueryResponse'/>");
        let more = more.expect("readable");
        assert_eq!((more.start, more.quantity, more.is_cancel), (Some(3), Some(5), false));
        for cancel in ["<statusCode code='aborted'/>", "<continuationQuantity value='0'/>"] {
            assert!(of(&format!("<queryId root='1.2'/>{cancel}")).expect("readable").is_cancel);
        }
        for wrong in [
            "",
            "<queryId root='1'/><startResultNumber value='0'/>",
            "<queryId root='1'/><continuationQuantity value='x'/>",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}

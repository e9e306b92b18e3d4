use super::*;
use crate::wire::xml::Limits;

const OURS: &str = "urn:oid:1.1";

fn community(id: &str) -> Community {
    Community {
        home_community_id: id.to_owned(),
        query: String::new(),
        retrieve: String::new(),
        xcpd: None,
        assigning_authority: None,
    }
}

fn read(xml: &str) -> Element {
    let declared = format!("xmlns:rim='{RIM}' xmlns:rs='{RS}' xmlns:query='{QUERY}' xmlns:xdsb='{XDSB}' ");
    let xml = xml.replacen(' ', &format!(" {declared}"), 1);
    Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed")
}

fn query_answer(status: Status, errors: &[(&str, &str)], objects: &str) -> Element {
    let errors: String = errors
        .iter()
        .map(|(code, severity)| {
            format!("<rs:RegistryError errorCode='{code}' codeContext='x' severity='urn:s:{severity}' location=''/>")
        })
        .collect();
    let errors = errors
        .replace("urn:s:Warning", Severity::Warning.urn())
        .replace("urn:s:Error", Severity::Error.urn());
    let errors = if errors.is_empty() {
        errors
    } else {
        format!("<rs:RegistryErrorList>{errors}</rs:RegistryErrorList>")
    };
    read(&format!(
        "<query:AdhocQueryResponse status='{}'>{errors}<rim:RegistryObjectList>{objects}</rim:RegistryObjectList>\
         </query:AdhocQueryResponse>",
        status.urn()
    ))
}

#[test]
fn a_request_is_for_the_community_that_it_names_or_for_all() {
    let communities = [community("1.2"), community("1.3")];
    let other = |at: usize| Asked::Other(&communities[at]);
    for (home, names_patient, expected) in [
        (Some(OURS), false, Ok(vec![Asked::Ours])),
        (Some(" urn:oid:1.3 "), true, Ok(vec![other(1)])),
        (None, true, Ok(vec![Asked::Ours, other(0), other(1)])),
        (Some(""), true, Ok(vec![Asked::Ours, other(0), other(1)])),
        (None, false, Err(ErrorCode::MissingHomeCommunityId)),
        (Some("urn:oid:1.4"), true, Err(ErrorCode::UnknownCommunity)),
        (Some("1.3"), true, Err(ErrorCode::UnknownCommunity)),
    ] {
        let is = asked(home, names_patient, &communities, OURS).map_err(|error| error.code);
        assert_eq!(is, expected, "{home:?}");
    }
}

#[test]
fn answers_of_queries_become_one() {
    let entry =
        "<rim:ExtrinsicObject id='a' home='urn:oid:1.2'><rim:Slot name='urn:other'/></rim:ExtrinsicObject>";
    let homeless = "<rim:ObjectRef id='b'/><rim:Association id='c'/>";
    let down = unavailable("urn:oid:1.3", &"it cannot be reached");
    let (unknown, error, warning) = (
        [("XDSUnknownPatientId", "Error")],
        [("XDSSomethingOfTheirs", "Error")],
        [("XDSExtraMetadataNotSaved", "Warning")],
    );
    for (answers, status, codes, found) in [
        (
            vec![Ok(query_answer(Status::Success, &[], entry)), Err(down.clone())],
            Status::PartialSuccess,
            vec!["XDSUnavailableCommunity"],
            vec!["a"],
        ),
        (vec![Err(down)], Status::Failure, vec!["XDSUnavailableCommunity"], vec![]),
        (vec![Ok(query_answer(Status::Failure, &unknown, ""))], Status::Success, vec![], vec![]),
        (
            vec![Ok(query_answer(Status::Failure, &error, "")), Ok(query_answer(Status::Success, &[], ""))],
            Status::PartialSuccess,
            vec!["XDSSomethingOfTheirs"],
            vec![],
        ),
        (
            vec![Ok(query_answer(Status::Success, &warning, entry))],
            Status::Success,
            vec!["XDSExtraMetadataNotSaved"],
            vec!["a"],
        ),
        (
            vec![Ok(query_answer(Status::Success, &[], homeless))],
            Status::PartialSuccess,
            vec!["XDSMissingHomeCommunityId"],
            vec!["c"],
        ),
        (vec![Ok(Element::new(QUERY, "Other"))], Status::Failure, vec!["XDSUnavailableCommunity"], vec![]),
        (
            vec![Ok(Element::new(QUERY, "AdhocQueryResponse"))],
            Status::Failure,
            vec!["XDSRegistryError"],
            vec![],
        ),
    ] {
        let answers = answers.into_iter().map(|answer| Answered { community: "urn:oid:1.2".into(), answer });
        let answer = consolidated_query(answers.collect());
        let list = answer.child(RS, "RegistryErrorList");
        let told: Vec<&str> =
            list.into_iter().flat_map(Element::elements).filter_map(|e| e.attribute("errorCode")).collect();
        let objects = answer.child(RIM, "RegistryObjectList").expect("a list");
        let ids: Vec<&str> = objects.elements().filter_map(|o| o.attribute("id")).collect();
        assert_eq!((answer.attribute("status"), told, ids), (Some(status.urn()), codes, found));
        // What is passed on is passed on whole.
        let slots = objects.elements().filter(|o| o.attribute("id") == Some("a")).flat_map(Element::elements);
        assert!(slots.count() == objects.elements().filter(|o| o.attribute("id") == Some("a")).count());
    }
}

#[test]
fn answers_of_retrievals_become_one() {
    let answer = |status: Status, documents: &str| {
        read(&format!(
            "<xdsb:RetrieveDocumentSetResponse ><rs:RegistryResponse status='{}'/>{documents}\
             </xdsb:RetrieveDocumentSetResponse>",
            status.urn()
        ))
    };
    let document =
        "<xdsb:DocumentResponse><xdsb:DocumentUniqueId>1</xdsb:DocumentUniqueId></xdsb:DocumentResponse>";
    let answers = vec![
        Answered { community: "urn:oid:1.2".into(), answer: Ok(answer(Status::Success, document)) },
        Answered { community: "urn:oid:1.3".into(), answer: Err(unavailable("urn:oid:1.3", &"down")) },
        Answered { community: "urn:oid:1.4".into(), answer: Ok(answer(Status::Success, document)) },
    ];
    let all = consolidated_retrieval(answers);
    let response = all.child(RS, "RegistryResponse").expect("a response");
    assert_eq!(response.attribute("status"), Some(Status::PartialSuccess.urn()));
    assert_eq!(all.children_named(XDSB, "DocumentResponse").count(), 2);
}

#[test]
fn the_patient_of_a_query_is_replaced() {
    let request = read(
        "<query:AdhocQueryRequest ><rim:AdhocQuery id='q'><rim:Slot name='$patientId'><rim:ValueList>\
         <rim:Value>'1^^^&amp;1.2&amp;ISO'</rim:Value></rim:ValueList></rim:Slot><rim:Slot name='$other'/>\
         </rim:AdhocQuery></query:AdhocQueryRequest>",
    );
    let other = with_patient(request, &["$patientId"], "O'2^^^&1.3&ISO");
    let query = other.child(RIM, "AdhocQuery").expect("a query");
    let mut slots = query.children_named(RIM, "Slot");
    let value = slots.next().and_then(|s| s.child(RIM, "ValueList")?.text_of(RIM, "Value"));
    assert_eq!(value.as_deref(), Some("'O''2^^^&1.3&ISO'"));
    assert_eq!(slots.next().and_then(|s| s.attribute("name")), Some("$other"));
}

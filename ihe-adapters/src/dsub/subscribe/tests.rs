use fhir_model::json;

use super::*;
use crate::wire::soap::Subcode;

const NOW: &str = "2026-01-02T03:04:05Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A request as it is asked, with parts replaced.
fn request(replaced: &[(&str, &str)]) -> Element {
    let mut xml = format!(
        "<wsnt:Subscribe xmlns:wsnt='{WSNT}' xmlns:wsa='{WSA}' xmlns:rim='{RIM}'>\
         <wsnt:ConsumerReference><wsa:Address>https://a.example/notify</wsa:Address></wsnt:ConsumerReference>\
         <wsnt:Filter><wsnt:TopicExpression Dialect='{SIMPLE_DIALECT}'>ihe:FullDocumentEntry</wsnt:TopicExpression>\
         <rim:AdhocQuery id='urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66'>\
         <rim:Slot name='$XDSDocumentEntryPatientId'><rim:ValueList><rim:Value>'P1^^^&amp;1.2.3&amp;ISO'</rim:Value>\
         </rim:ValueList></rim:Slot></rim:AdhocQuery></wsnt:Filter></wsnt:Subscribe>"
    );
    for (what, by) in replaced {
        assert!(xml.contains(what), "{what}");
        xml = xml.replace(what, by);
    }
    Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed")
}

fn with_end(text: &str) -> Element {
    let end = format!("</wsnt:Filter><wsnt:InitialTerminationTime>{text}</wsnt:InitialTerminationTime>");
    request(&[("</wsnt:Filter>", &end)])
}

#[test]
fn a_subscription_is_a_resource_and_back() {
    for request in [request(&[]), with_end("2026-02-01T00:00:00Z"), request(&[("Full", "Minimal")])] {
        let subscription = Subscription::of(&request, at(NOW)).expect("understood");
        let value = subscription.to_resource("s1");
        let read = |value: &Value| json::read(value.to_string()).expect("a resource");
        assert_eq!(Subscription::of_resource(&read(&value)), Some(subscription), "{value}");
        // One that was switched off waits for nothing.
        let mut off = value;
        off["status"] = serde_json::json!("off");
        assert_eq!(Subscription::of_resource(&read(&off)), None);
    }
}

#[test]
fn it_ends_at_a_time_or_after_one() {
    for (text, expected) in [
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-02-01T00:00:00.00000Z", "2026-02-01T00:00:00Z"),
        ("2026-02-01T01:00:00+01:00", "2026-02-01T00:00:00Z"),
        ("2026-02-01T00:00:00", "2026-02-01T00:00:00Z"),
        ("P1D", "2026-01-03T03:04:05Z"),
        ("P1M", "2026-02-02T03:04:05Z"),
        ("PT1H30M", "2026-01-02T04:34:05Z"),
    ] {
        let subscription = Subscription::of(&with_end(text), at(NOW)).expect("understood");
        assert_eq!(subscription.end, Some(at(expected)), "{text}");
        assert!(!subscription.has_ended(at(NOW)) && subscription.has_ended(at(expected)));
    }
}

#[test]
fn what_is_wrong_has_the_name_of_its_fault() {
    use Notification::*;
    let topic = "ihe:FullDocumentEntry";
    for (request, expected) in [
        (request(&[("https://a.example/notify", "")]), SubscribeCreationFailed),
        (
            request(&[(SIMPLE_DIALECT, "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full")]),
            TopicExpressionDialectUnknown,
        ),
        (request(&[(topic, "")]), InvalidTopicExpression),
        (request(&[(topic, "ihe:FullDocumentEntry/*")]), InvalidTopicExpression),
        (request(&[(topic, "ihe:Everything")]), TopicNotSupported),
        (request(&[(topic, "ihe:FolderMetadata")]), InvalidFilter),
        (request(&[("aa2332d0", "aa2332d1")]), InvalidFilter),
        (request(&[("PatientId", "Patient")]), InvalidFilter),
        (with_end("2025-01-01T00:00:00Z"), UnacceptableInitialTerminationTime),
        (with_end("-P1D"), UnacceptableInitialTerminationTime),
        (with_end("P99999999999Y"), UnacceptableInitialTerminationTime),
        (with_end("tomorrow"), UnacceptableInitialTerminationTime),
    ] {
        let fault = Subscription::of(&request, at(NOW)).expect_err("refused");
        assert_eq!(fault.subcode, Some(Subcode::Notification(expected)), "{}", request.to_xml());
    }
}

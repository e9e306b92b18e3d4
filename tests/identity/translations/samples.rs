//! The pairs of messages that IPF translates into each other, and messages made of parts of them.

use std::path::PathBuf;

use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::hl7v2::segment::Segment;
use ihe_adapters::wire::xml::{Element, Limits};

const V3: &str = "urn:hl7-org:v3";

/// The folder of the pairs.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/hl7v3/ipf/translation")
}

/// Tells whether the pairs are there.
pub(super) fn are_there() -> bool {
    let folder = folder();
    if !folder.exists() {
        println!("absent, the translations of others are not compared: {}", folder.display());
    }
    folder.exists()
}

/// Reads a message of HL7 v2; some are kept with an empty line after each segment.
pub(super) fn hl7v2(name: &str) -> String {
    let path = folder().join(format!("{name}.hl7"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\r")).collect()
}

/// Reads a message of HL7 v3.
pub(super) fn hl7v3(name: &str) -> Element {
    let path = folder().join(format!("{name}.xml"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Element::parse(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Makes a message of HL7 v2 that tells of a patient of an answer.
pub(super) fn feed_by_hl7v2(number: usize, pid: &str) -> String {
    format!(
        "MSH|^~\\&|SIO|H1|LANTERNA|LIGURIA|20260102030405||ADT^A28^ADT_A05|f{number}|P|2.5\r\
         EVN||20260102030405\r{pid}\rPV1|1|N\r"
    )
}

/// Returns the patients of a message of HL7 v2.
pub(super) fn pids(message: &str) -> Vec<Segment> {
    Message::parse(message).expect("a message").segments("PID").cloned().collect()
}

/// Returns the patients of a message of HL7 v3.
pub(super) fn patients(message: &Element) -> Vec<Element> {
    let act = message.child(V3, "controlActProcess").expect("an act");
    let path = ["registrationEvent", "subject1", "patient"];
    let patient = |subject: &Element| {
        path.iter().fold(subject.clone(), |of, local| of.child(V3, local).expect(local).clone())
    };
    act.children_named(V3, "subject").map(patient).collect()
}

fn control_act(interaction: &str, inside: &str) -> String {
    let event = interaction.replace("_IN", "_TE");
    format!(
        "<controlActProcess classCode='CACT' moodCode='EVN'><code code='{event}' \
         codeSystem='2.16.840.1.113883.1.6'/>{inside}</controlActProcess>"
    )
}

fn message(interaction: &str, act: &str) -> Element {
    message_from("1.2.7", interaction, act)
}

/// Makes a message of a sender.
fn message_from(sender: &str, interaction: &str, act: &str) -> Element {
    let device = |role: &str, code: &str, oid: &str| {
        format!(
            "<{role} typeCode='{code}'><device classCode='DEV' determinerCode='INSTANCE'><id root='{oid}'/></device></{role}>"
        )
    };
    let (receiver, sender) = (device("receiver", "RCV", "1.2.8"), device("sender", "SND", sender));
    let text = format!(
        "<{interaction} xmlns='urn:hl7-org:v3' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' \
         ITSVersion='XML_1.0'><id root='1.2.9' extension='m1'/><creationTime value='20260102030405'/>\
         <interactionId root='2.16.840.1.113883.1.6' extension='{interaction}'/><processingCode code='P'/>\
         <processingModeCode code='T'/><acceptAckCode code='AL'/>{receiver}{sender}{act}</{interaction}>"
    );
    Element::parse(text.as_bytes(), &Limits::default()).expect("a message")
}

/// Makes a message of HL7 v3 that tells of a patient of an answer.
pub(super) fn feed_by_hl7v3(patient: &Element) -> Element {
    let mut patient = patient.clone();
    // How well somebody matches is said in answers alone.
    patient.children.retain(
        |node| !matches!(node, ihe_adapters::wire::xml::Node::Element(of) if of.local == "subjectOf1"),
    );
    let act = control_act(
        "PRPA_IN201301UV02",
        &format!(
            "<subject typeCode='SUBJ'><registrationEvent classCode='REG' moodCode='EVN'><statusCode code='active'/>\
             <subject1 typeCode='SBJ'>{}</subject1><custodian typeCode='CST'><assignedEntity classCode='ASSIGNED'>\
             <id root='1.2.7'/></assignedEntity></custodian></registrationEvent></subject>",
            patient.to_xml()
        ),
    );
    message("PRPA_IN201301UV02", &act)
}

/// Makes a query of HL7 v3 of its parameters.
pub(super) fn query(interaction: &str, parameters: &str) -> Element {
    let inside = format!(
        "<queryByParameter><queryId root='1.2.6' extension='q1'/><statusCode code='new'/>\
         <responseModalityCode code='R'/><responsePriorityCode code='I'/><parameterList>{parameters}</parameterList>\
         </queryByParameter>"
    );
    message(interaction, &control_act(interaction, &inside))
}

/// Makes the message by which who sent a query asks for what is left.
pub(super) fn continuation(of: &Element, query: &Element) -> Element {
    let path = ["sender", "device", "id"];
    let sender = path.iter().fold(of.clone(), |of, local| of.child(V3, local).expect(local).clone());
    let act = format!(
        "<acknowledgement><typeCode code='AA'/><targetMessage><id root='1.2.5'/></targetMessage></acknowledgement>\
         <controlActProcess classCode='CACT' moodCode='EVN'><code code='PRPA_TE000003UV01' \
         codeSystem='2.16.840.1.113883.1.6'/><queryContinuation>{}<continuationQuantity value='100'/>\
         <statusCode code='waitContinuedQueryResponse'/></queryContinuation></controlActProcess>",
        query.to_xml()
    );
    message_from(sender.attribute("root").expect("an OID"), "QUQI_IN000003UV01", &act)
}

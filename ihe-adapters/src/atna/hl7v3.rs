//! Which patients messages of HL7 v3 are about, and what they ask.
//!
//! Spec: ITI TF-2 3.44.5.1, 3.45.5.1, 3.47.5.1, 3.55.5.1

use super::event::Objects;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::query::{Continuation, QueryByParameter};
use crate::wire::hl7v3::registration::{patient_of, registrations, replaced};
use crate::wire::hl7v3::{all, at};
use crate::wire::namespaces::XCPD;
use crate::wire::xml::Element;
use crate::xds::values::Cx;

/// How many patients of a message are told.
const PATIENTS_MAX: usize = 200;

/// Writes an identifier as HL7 v2 does; `None` when it does not say whose it is.
fn cx(id: &InstanceIdentifier) -> Option<String> {
    let (id, authority) = (id.extension.clone()?, id.root.clone()?);
    Some(Cx { id, authority }.to_string())
}

/// Tells what a message is about.
pub(super) fn objects(body: &Element) -> Objects {
    let mut objects = Objects { patients: told_of(body), ..Objects::default() };
    let requested = body.child(XCPD, "RequestedPatientId").map(InstanceIdentifier::of);
    objects.patients.extend(requested.as_ref().and_then(cx));
    if let Ok(query) = QueryByParameter::of(body) {
        let asked = ["patientIdentifier", "livingSubjectId"].into_iter().flat_map(|name| query.values(name));
        let ids = asked.filter_map(|(id, _)| cx(&InstanceIdentifier::of(id)));
        objects.patients.extend(ids.take(PATIENTS_MAX));
        objects.query = Some((id_of(&query.query_id), None, query.to_element().to_xml()));
    } else if let Ok(continuation) = Continuation::of(body) {
        objects.query = Some((id_of(&continuation.query_id), None, body.to_xml()));
    } else if &*body.namespace == XCPD {
        objects.query = Some((String::new(), None, body.to_xml()));
    }
    objects
}

fn id_of(query: &InstanceIdentifier) -> String {
    let parts = [query.root.as_deref(), query.extension.as_deref()];
    parts.into_iter().flatten().collect::<Vec<&str>>().join(".")
}

/// Returns the patients whose registrations stand in a message, each by the
/// first identifier that has an authority, and those who were merged into them.
pub(crate) fn told_of(message: &Element) -> Vec<String> {
    let of = |patient: &Element| {
        let person = at(patient, &["patientPerson"]).into_iter();
        let others = person.flat_map(|person| all(person, "asOtherIDs")).flat_map(|of| all(of, "id"));
        all(patient, "id").chain(others).find_map(|id| cx(&InstanceIdentifier::of(id)))
    };
    let of_registration = |registration| {
        let merged = replaced(registration).into_iter().filter_map(|id| cx(&id));
        patient_of(registration).and_then(of).into_iter().chain(merged)
    };
    registrations(message).flat_map(of_registration).take(PATIENTS_MAX).collect()
}

/// Tells of one patient, by an identifier.
pub(crate) fn of_patient(id: &InstanceIdentifier) -> Objects {
    Objects { patients: cx(id).into_iter().collect(), ..Objects::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::Limits;

    fn parsed(text: &str) -> Element {
        Element::parse(text.as_bytes(), &Limits::default()).expect("well-formed")
    }

    #[test]
    fn patients_and_queries_are_told() {
        let query = parsed(
            "<PRPA_IN201309UV02 xmlns='urn:hl7-org:v3'><controlActProcess><queryByParameter><queryId root='1.2' \
             extension='7'/><parameterList><patientIdentifier><value root='1.3' extension='A'/></patientIdentifier>\
             </parameterList></queryByParameter></controlActProcess></PRPA_IN201309UV02>",
        );
        let objects = objects(&query);
        assert_eq!(objects.patients, ["A^^^&1.3&ISO"]);
        let (id, home, request) = objects.query.expect("a query");
        assert_eq!((id.as_str(), home), ("1.2.7", None));
        assert!(request.contains("patientIdentifier"), "{request}");
        let told = parsed(
            "<PRPA_IN201306UV02 xmlns='urn:hl7-org:v3'><controlActProcess><subject><registrationEvent><subject1>\
             <patient><id nullFlavor='NA'/><id root='1.4' extension='B'/></patient></subject1></registrationEvent>\
             </subject></controlActProcess></PRPA_IN201306UV02>",
        );
        assert_eq!(told_of(&told), ["B^^^&1.4&ISO"]);
        let located = "<PatientLocationQueryRequest xmlns='urn:ihe:iti:xcpd:2009'><RequestedPatientId root='1.5' \
                       extension='C'/></PatientLocationQueryRequest>";
        assert_eq!(super::objects(&parsed(located)).patients, ["C^^^&1.5&ISO"]);
    }
}

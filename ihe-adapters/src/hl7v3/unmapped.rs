//! What stands in a person and has no place in a Patient.

use crate::wire::namespaces::{HL7_V3, XSI};
use crate::wire::xml::{Element, Node};

/// The elements of a patient that are taken over, whole, as paths.
const MAPPED: &[&str] = &[
    "id",
    "addr",
    "telecom",
    "statusCode",
    "confidentialityCode",
    "veryImportantPersonCode",
    "patientPerson/id",
    "patientPerson/name",
    "patientPerson/telecom",
    "patientPerson/administrativeGenderCode",
    "patientPerson/birthTime",
    "patientPerson/deceasedInd",
    "patientPerson/deceasedTime",
    "patientPerson/multipleBirthInd",
    "patientPerson/multipleBirthOrderNumber",
    "patientPerson/organDonorInd",
    "patientPerson/addr",
    "patientPerson/maritalStatusCode",
    "patientPerson/disabilityCode",
    "patientPerson/religiousAffiliationCode",
    "patientPerson/raceCode",
    "patientPerson/ethnicGroupCode",
    "patientPerson/asCitizen/effectiveTime",
    "patientPerson/asCitizen/politicalNation/code",
    "patientPerson/asCitizen/politicalNation/name",
    "patientPerson/asOtherIDs/id",
    "patientPerson/asOtherIDs/scopingOrganization/id",
    "patientPerson/asOtherIDs/scopingOrganization/name",
    "patientPerson/contactParty/code",
    "patientPerson/contactParty/addr",
    "patientPerson/contactParty/telecom",
    "patientPerson/contactParty/effectiveTime",
    "patientPerson/contactParty/contactPerson/name",
    "patientPerson/contactParty/contactOrganization/name",
    "patientPerson/guardian/addr",
    "patientPerson/guardian/telecom",
    "patientPerson/guardian/effectiveTime",
    "patientPerson/guardian/guardianPerson/name",
    "patientPerson/guardian/guardianOrganization/name",
    "patientPerson/careGiver/code",
    "patientPerson/careGiver/addr",
    "patientPerson/careGiver/telecom",
    "patientPerson/careGiver/effectiveTime",
    "patientPerson/careGiver/careGiverPerson/name",
    "patientPerson/personalRelationship/code",
    "patientPerson/personalRelationship/addr",
    "patientPerson/personalRelationship/telecom",
    "patientPerson/personalRelationship/effectiveTime",
    "patientPerson/personalRelationship/relationshipHolder1/name",
    "patientPerson/birthPlace/addr",
    "patientPerson/birthPlace/birthplace/name",
    "patientPerson/languageCommunication/languageCode",
    "patientPerson/languageCommunication/preferenceInd",
    "providerOrganization/id",
    "providerOrganization/name",
    "providerOrganization/addr",
    "providerOrganization/telecom",
    "providerOrganization/contactParty/telecom",
    "subjectOf1",
];

/// Attributes that only say what an element is.
const STRUCTURAL: &[&str] = &["classCode", "typeCode", "determinerCode", "moodCode", "nullFlavor"];

/// How many places are told.
const PLACES_MAX: usize = 100;

/// Returns the XPaths of what is not taken over. `place`: that of the patient.
pub(super) fn unmapped(patient: &Element, place: &str) -> Vec<String> {
    let mut places = Vec::new();
    walk(patient, "", place, &mut places);
    places
}

fn walk(element: &Element, path: &str, place: &str, places: &mut Vec<String>) {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for child in element.elements() {
        let number = match counted.iter_mut().find(|(local, _)| *local == child.local) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                counted.push((&child.local, 1));
                1
            }
        };
        let path = if path.is_empty() { child.local.clone() } else { format!("{path}/{}", child.local) };
        let is_ours = &*child.namespace == HL7_V3;
        if is_ours && MAPPED.contains(&path.as_str()) {
            continue;
        }
        let is_above = is_ours && MAPPED.iter().any(|mapped| is_below(mapped, &path));
        let place = format!("{place}/hl7:{}[{number}]", child.local);
        if is_above {
            walk(child, &path, &place, places);
        } else if has_content(child) && places.len() < PLACES_MAX {
            places.push(place);
        }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// Tells whether anything is said in an element.
fn has_content(element: &Element) -> bool {
    let says = element.attributes.iter().any(|attribute| {
        &*attribute.namespace != XSI
            && !STRUCTURAL.contains(&attribute.local.as_str())
            && !attribute.value.trim().is_empty()
    });
    says || element.children.iter().any(|node| match node {
        Node::Element(child) => has_content(child),
        Node::Text(text) => !text.trim().is_empty(),
        Node::Fragment(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::Limits;

    #[test]
    fn what_has_no_place_is_told_by_its_place() {
        let text = "<patient xmlns='urn:hl7-org:v3' classCode='PAT'><id root='1'/><patientPerson><name>A</name>\
            <educationLevelCode code='1'/><asMember classCode='MBR'><group><name>G</name></group></asMember>\
            <asCitizen><id extension='7'/><politicalNation classCode='NAT'><code code='IT'/></politicalNation>\
            </asCitizen><languageCommunication/><languageCommunication><modeCode code='ESP'/></languageCommunication>\
            <asStudent classCode='STD' nullFlavor='NA'/></patientPerson><x xmlns='urn:x'>y</x></patient>";
        let patient = Element::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
        assert_eq!(
            unmapped(&patient, "/p"),
            [
                "/p/hl7:patientPerson[1]/hl7:educationLevelCode[1]",
                "/p/hl7:patientPerson[1]/hl7:asMember[1]",
                "/p/hl7:patientPerson[1]/hl7:asCitizen[1]/hl7:id[1]",
                "/p/hl7:patientPerson[1]/hl7:languageCommunication[2]/hl7:modeCode[1]",
                "/p/hl7:x[1]",
            ]
        );
    }
}

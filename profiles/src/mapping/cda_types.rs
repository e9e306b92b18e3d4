//! The types of CDA R2's elements, for those that do not say theirs.
//!
//! Nearly all elements of one name have one type; the few that differ by
//! where they stand are listed apart. Taken from the schemas of CDA R2 with
//! the extensions of `sdtc`, laboratory and pharmacy.
//!
//! Spec: <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=7>
//! (`POCD_MT000040.xsd`, `datatypes-base.xsd`, `datatypes.xsd`)

/// The type of a node of which nothing better is known.
pub(super) const ANY: &str = "ANY";
/// The type of a section's text: narrative.
pub(super) const XHTML: &str = "xhtml";

/// The type of elements, by name.
#[rustfmt::skip]
static BY_NAME: &[(&str, &str)] = &[
    ("act", "Act"), ("activityTime", "SXCM_TS"), ("addr", "AD"), ("administrationUnitCode", "CE"),
    ("administrativeGenderCode", "CE"), ("admissionReferralSourceCode", "CE"), ("approachSiteCode", "CD"),
    ("asMaintainedEntity", "MaintainedEntity"), ("asOrganizationPartOf", "OrganizationPartOf"),
    ("assignedAuthor", "AssignedAuthor"), ("assignedAuthoringDevice", "AuthoringDevice"),
    ("assignedCustodian", "AssignedCustodian"), ("assignedEntity", "AssignedEntity"),
    ("assignedPerson", "Person"), ("associatedEntity", "AssociatedEntity"), ("associatedPerson", "Person"),
    ("authenticator", "Authenticator"), ("author", "Author"), ("authorization", "Authorization"),
    ("availabilityTime", "TS"), ("awarenessCode", "CE"), ("birthTime", "TS"), ("birthplace", "Birthplace"),
    ("center", "TS"), ("code", "CE"), ("component", "Component2"), ("componentOf", "Component1"),
    ("confidentialityCode", "CE"), ("consent", "Consent"), ("consumable", "Consumable"), ("copyTime", "TS"),
    ("criterion", "Criterion"), ("custodian", "Custodian"), ("dataEnterer", "DataEnterer"),
    ("deceasedInd", "BL"), ("deceasedTime", "TS"), ("denominator", "PQ"), ("derivationExpr", "ST"),
    ("desc", "ED"), ("dischargeDispositionCode", "CE"), ("documentationOf", "DocumentationOf"),
    ("doseCheckQuantity", "RTO_PQ_PQ"), ("doseQuantity", "IVL_PQ"), ("effectiveTime", "IVL_TS"),
    ("encompassingEncounter", "EncompassingEncounter"), ("encounter", "Encounter"),
    ("encounterParticipant", "EncounterParticipant"), ("entry", "Entry"),
    ("entryRelationship", "EntryRelationship"), ("ethnicGroupCode", "CE"), ("event", "EIVL.event"),
    ("expectedUseTime", "IVL_TS"), ("externalAct", "ExternalAct"), ("externalDocument", "ExternalDocument"),
    ("externalObservation", "ExternalObservation"), ("externalProcedure", "ExternalProcedure"),
    ("formCode", "CE"), ("functionCode", "CE"), ("guardian", "Guardian"),
    ("guardianOrganization", "Organization"), ("guardianPerson", "Person"),
    ("healthCareFacility", "HealthCareFacility"), ("high", "IVXB_TS"), ("id", "II"),
    ("inFulfillmentOf", "InFulfillmentOf"), ("independentInd", "BL"), ("informant", "Informant12"),
    ("informationRecipient", "InformationRecipient"), ("intendedRecipient", "IntendedRecipient"),
    ("interpretationCode", "CE"), ("languageCode", "CS"), ("languageCommunication", "LanguageCommunication"),
    ("legalAuthenticator", "LegalAuthenticator"), ("lengthOfStayQuantity", "PQ"), ("location", "Location"),
    ("lotNumberText", "ST"), ("low", "IVXB_TS"), ("maintainingPerson", "Person"),
    ("manufacturedLabeledDrug", "LabeledDrug"), ("manufacturedMaterial", "Material"),
    ("manufacturedProduct", "ManufacturedProduct"), ("manufacturerModelName", "SC"),
    ("manufacturerOrganization", "Organization"), ("maritalStatusCode", "CE"),
    ("maxDoseQuantity", "RTO_PQ_PQ"), ("methodCode", "CE"), ("modeCode", "CE"), ("multipleBirthInd", "BL"),
    ("multipleBirthOrderNumber", "INT"), ("name", "PN"), ("nonXMLBody", "NonXMLBody"), ("numerator", "PQ"),
    ("observation", "Observation"), ("observationMedia", "ObservationMedia"),
    ("observationRange", "ObservationRange"), ("offset", "IVL_PQ"), ("order", "Order"),
    ("organizer", "Organizer"), ("originalText", "ED"), ("parentDocument", "ParentDocument"),
    ("participant", "Participant2"), ("participantRole", "ParticipantRole"), ("patient", "Patient"),
    ("patientRole", "PatientRole"), ("performer", "Performer2"), ("period", "PQ"), ("phase", "IVL_TS"),
    ("place", "Place"), ("playingDevice", "Device"), ("playingEntity", "PlayingEntity"),
    ("preAdmitTestInd", "BL"), ("precondition", "Precondition"), ("preferenceInd", "BL"),
    ("priorityCode", "CE"), ("procedure", "Procedure"), ("product", "Product"),
    ("proficiencyLevelCode", "CE"), ("providerOrganization", "Organization"), ("qualifier", "CR"),
    ("quantity", "PQ"), ("raceCode", "CE"), ("rateQuantity", "IVL_PQ"), ("realmCode", "CS"),
    ("reasonCode", "CE"), ("receivedOrganization", "Organization"), ("recordTarget", "RecordTarget"),
    ("reference", "Reference"), ("referenceRange", "ReferenceRange"), ("regionOfInterest", "RegionOfInterest"),
    ("relatedDocument", "RelatedDocument"), ("relatedEntity", "RelatedEntity"), ("relatedPerson", "Person"),
    ("relatedSubject", "RelatedSubject"), ("religiousAffiliationCode", "CE"), ("repeatNumber", "IVL_INT"),
    ("representedCustodianOrganization", "CustodianOrganization"),
    ("representedOrganization", "Organization"), ("responsibleParty", "ResponsibleParty"),
    ("routeCode", "CE"), ("scopingEntity", "Entity"), ("scopingOrganization", "Organization"),
    ("section", "Section"), ("seperatableInd", "BL"), ("sequenceNumber", "INT"),
    ("serviceEvent", "ServiceEvent"), ("serviceProviderOrganization", "Organization"), ("setId", "II"),
    ("signatureCode", "CS"), ("signatureText", "ED"), ("softwareName", "SC"),
    ("specialArrangementCode", "CE"), ("specialCourtesiesCode", "CE"), ("specimen", "Specimen"),
    ("specimenPlayingEntity", "PlayingEntity"), ("specimenRole", "SpecimenRole"),
    ("standardIndustryClassCode", "CE"), ("statusCode", "CS"), ("structuredBody", "StructuredBody"),
    ("subject", "Subject"), ("substanceAdministration", "SubstanceAdministration"), ("supply", "Supply"),
    ("targetSiteCode", "CD"), ("telecom", "TEL"), ("templateId", "II"), ("text", "ED"), ("thumbnail", "ED"),
    ("time", "IVL_TS"), ("title", "ST"), ("translation", "CD"), ("typeId", "II"), ("uncertaintyCode", "CE"),
    ("useablePeriod", "SXCM_TS"), ("validTime", "IVL_TS"), ("valueNegationInd", "BL"),
    ("versionNumber", "INT"), ("wholeOrganization", "Organization"), ("width", "PQ"),
];

/// The type of elements that differ by the type of what they stand in.
#[rustfmt::skip]
static BY_PLACE: &[(&str, &str, &str)] = &[
    ("Act", "code", "CD"), ("Authenticator", "time", "TS"), ("Author", "time", "TS"),
    ("CR", "name", "CV"), ("CR", "value", "CD"), ("ClinicalDocument", "component", "Component2"),
    ("ClinicalDocument", "effectiveTime", "TS"), ("ClinicalDocument", "participant", "Participant1"),
    ("Criterion", "code", "CD"), ("CustodianOrganization", "name", "ON"), ("DataEnterer", "time", "TS"),
    ("Encounter", "code", "CD"), ("ExternalAct", "code", "CD"), ("ExternalDocument", "code", "CD"),
    ("ExternalObservation", "code", "CD"), ("ExternalProcedure", "code", "CD"),
    ("HealthCareFacility", "location", "Place"), ("IVL_INT", "high", "IVXB_INT"),
    ("IVL_INT", "low", "IVXB_INT"), ("IVL_INT", "width", "INT"), ("IVL_MO", "high", "IVXB_MO"),
    ("IVL_MO", "low", "IVXB_MO"), ("IVL_PQ", "center", "PQ"), ("IVL_PQ", "high", "IVXB_PQ"),
    ("IVL_PQ", "low", "IVXB_PQ"), ("IVL_REAL", "high", "IVXB_REAL"), ("IVL_REAL", "low", "IVXB_REAL"),
    ("IntendedRecipient", "informationRecipient", "Person"), ("LabeledDrug", "name", "EN"),
    ("LegalAuthenticator", "time", "TS"), ("Material", "name", "EN"), ("Observation", "code", "CD"),
    ("Observation", "title", "ED"), ("ObservationMedia", "value", "ED"), ("ObservationRange", "code", "CD"),
    ("Organization", "name", "ON"), ("Organizer", "code", "CD"), ("Organizer", "component", "Component4"),
    ("PQ", "translation", "PQR"), ("ParentDocument", "code", "CD"), ("Participant2", "functionCode", "CD"),
    ("Place", "name", "EN"), ("PlayingEntity", "name", "PN"), ("Procedure", "code", "CD"),
    ("RTO_MO_PQ", "numerator", "MO"), ("RegionOfInterest", "code", "CS"),
    ("RelatedSubject", "subject", "SubjectPerson"), ("Section", "component", "Component5"),
    ("Section", "text", XHTML), ("ServiceEvent", "performer", "Performer1"),
    ("StructuredBody", "component", "Component3"), ("SubstanceAdministration", "code", "CD"),
    ("SubstanceAdministration", "effectiveTime", "SXCM_TS"), ("Supply", "code", "CD"),
    ("Supply", "effectiveTime", "SXCM_TS"),
];

/// The data types, and what each specializes.
#[rustfmt::skip]
static BASES: &[(&str, &str)] = &[
    ("AD", "ANY"), ("ADXP", "ST"), ("BL", "ANY"), ("BN", "BL"), ("BXIT_CD", "CD"), ("BXIT_IVL_PQ", "IVL_PQ"),
    ("CD", "ANY"), ("CE", "CD"), ("CO", "CV"), ("CR", "ANY"), ("CS", "CV"), ("CV", "CE"), ("ED", "ANY"),
    ("EIVL.event", "CE"), ("EIVL_TS", "SXCM_TS"), ("EN", "ANY"), ("ENXP", "ST"), ("GLIST_PQ", "ANY"),
    ("GLIST_TS", "ANY"), ("HXIT_CE", "CE"), ("HXIT_PQ", "PQ"), ("II", "ANY"), ("INT", "QTY"),
    ("IVL_INT", "SXCM_INT"), ("IVL_MO", "SXCM_MO"), ("IVL_PQ", "SXCM_PQ"), ("IVL_REAL", "SXCM_REAL"),
    ("IVL_TS", "SXCM_TS"), ("IVXB_INT", "INT"), ("IVXB_MO", "MO"), ("IVXB_PQ", "PQ"), ("IVXB_REAL", "REAL"),
    ("IVXB_TS", "TS"), ("MO", "QTY"), ("ON", "EN"), ("PIVL_TS", "SXCM_TS"), ("PN", "EN"), ("PPD_PQ", "PQ"),
    ("PPD_TS", "TS"), ("PQ", "QTY"), ("PQR", "CV"), ("QTY", "ANY"), ("REAL", "QTY"), ("RTO", "RTO_QTY_QTY"),
    ("RTO_MO_PQ", "QTY"), ("RTO_PQ_PQ", "QTY"), ("RTO_QTY_QTY", "QTY"), ("SC", "ST"), ("SLIST_PQ", "ANY"),
    ("SLIST_TS", "ANY"), ("ST", "ED"), ("SXCM_CD", "CD"), ("SXCM_INT", "INT"), ("SXCM_MO", "MO"),
    ("SXCM_PQ", "PQ"), ("SXCM_REAL", "REAL"), ("SXCM_TS", "TS"), ("SXPR_TS", "SXCM_TS"), ("TEL", "URL"),
    ("TN", "EN"), ("TS", "QTY"), ("URL", "ANY"), ("UVP_TS", "TS"),
];

/// Returns the type of the element `name` in one of type `parent`.
pub(super) fn of_element(parent: &str, name: &str) -> &'static str {
    if let Some((.., found)) = BY_PLACE.iter().find(|(p, n, _)| *p == parent && *n == name) {
        return found;
    }
    // A data type holds no acts: what is called so there is another thing.
    if is_data_type(parent) && name == "reference" {
        return "TEL";
    }
    if is_a(parent, "EN") && name != "validTime" {
        return "ENXP";
    }
    if parent == "AD" && name != "useablePeriod" {
        return "ADXP";
    }
    match BY_NAME.binary_search_by(|(n, _)| (*n).cmp(name)) {
        Ok(at) => BY_NAME.get(at).map_or(ANY, |(_, found)| found),
        Err(_) => ANY,
    }
}

/// Returns the data type that `xsi:type` names; `None` for one that CDA does not have.
pub(super) fn data_type(name: &str) -> Option<&'static str> {
    if name == ANY {
        return Some(ANY);
    }
    BASES.binary_search_by(|(n, _)| (*n).cmp(name)).ok().and_then(|at| BASES.get(at)).map(|(n, _)| *n)
}

/// Tells whether it is a data type, not a class.
pub(super) fn is_data_type(name: &str) -> bool {
    data_type(name).is_some()
}

/// Returns what a data type specializes.
pub(super) fn base(name: &str) -> Option<&'static str> {
    BASES.binary_search_by(|(n, _)| (*n).cmp(name)).ok().and_then(|at| BASES.get(at)).map(|(_, b)| *b)
}

/// Tells whether values of a type are values of `ancestor` too. Definitions
/// write `IVL-TS` or `IVL_TS`: both are the same.
pub(super) fn is_a(name: &str, ancestor: &str) -> bool {
    let same = |a: &str| a.bytes().map(underscored).eq(ancestor.bytes().map(underscored));
    let mut at = Some(name);
    while let Some(name) = at {
        if same(name) {
            return true;
        }
        at = base(name);
    }
    false
}

fn underscored(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_complete() {
        assert!(BY_NAME.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(BASES.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(BASES.iter().all(|(_, base)| is_data_type(base)));
    }

    #[test]
    fn elements_have_the_type_of_their_place() {
        for (parent, name, found) in [
            ("ClinicalDocument", "effectiveTime", "TS"),
            ("Observation", "effectiveTime", "IVL_TS"),
            ("SubstanceAdministration", "effectiveTime", "SXCM_TS"),
            ("Section", "text", "xhtml"),
            ("Act", "text", "ED"),
            ("ED", "reference", "TEL"),
            ("Act", "reference", "Reference"),
            ("PN", "family", "ENXP"),
            ("AD", "city", "ADXP"),
            ("Patient", "name", "PN"),
            ("Organization", "name", "ON"),
            ("Patient", "shoeSize", "ANY"),
        ] {
            assert_eq!(of_element(parent, name), found, "{parent}.{name}");
        }
        assert!(is_a("IVL_TS", "TS") && is_a("IVL_TS", "IVL-TS") && !is_a("TS", "IVL_TS"));
    }
}

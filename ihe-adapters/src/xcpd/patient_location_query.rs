//! ITI-56, Patient Location Query: which other communities know somebody, as
//! far as an identifier of theirs is known here.
//!
//! Spec: ITI supplement XCPD Health Data Locator and Revoke Option 3.56

use super::patient_discovery::RespondingGateway;
use crate::hl7v3::identifier;
use crate::pix::refusal::Refusal;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::namespaces::XCPD;
use crate::wire::soap::Fault;
use crate::wire::xml::Element;

impl RespondingGateway<'_> {
    /// Answers where data of somebody are: of whom nobody knows it, nothing is told.
    ///
    /// # Errors
    /// A fault, when it names nobody, or the index cannot be asked.
    pub async fn locate(&self, request: &Element) -> Result<Element, Fault> {
        let asked = request.child(XCPD, "RequestedPatientId").map(InstanceIdentifier::of);
        let asked = asked.filter(|id| id.extension.is_some());
        let asked = asked.ok_or_else(|| Fault::sender("the request names no patient: RequestedPatientId"))?;
        let known = match identifier(&asked, self.index.domains) {
            Ok(of) => match self.index.cross_references(&of, &[]).await {
                Ok(found) => found.into_iter().map(|found| found.identifier).collect(),
                Err(Refusal::Fhir(issue)) => return Err(Fault::receiver(issue.diagnostics)),
                Err(_) => Vec::new(),
            },
            Err(_) => Vec::new(),
        };
        let location = |(community, id): (&crate::xca::initiating_gateway::Community, InstanceIdentifier)| {
            let of = |local: &str, id: &InstanceIdentifier| {
                Element::new(XCPD, local)
                    .with_attribute_if("root", id.root.as_deref())
                    .with_attribute_if("extension", id.extension.as_deref())
            };
            Element::new(XCPD, "PatientLocationResponse")
                .with_child(Element::new(XCPD, "HomeCommunityId").with_text(community.urn()))
                .with_child(of("CorrespondingPatientId", &id))
                .with_child(of("RequestedPatientId", &asked))
        };
        let locations = self.locations(&known).into_iter().map(location);
        Ok(Element::new(XCPD, "PatientLocationQueryResponse").with_children(locations))
    }
}

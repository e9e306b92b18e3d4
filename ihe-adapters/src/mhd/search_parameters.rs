//! The search parameters of document sharing that FHIR itself does not have:
//! the server is to have them as it has the standard ones.
//!
//! Authors stand in the resource where metadata came by XDS, or with MHD's
//! comprehensive metadata; their names are found by the same words as those of
//! authors who are resources of their own (`author.family`).
//!
//! Spec: MHD 4.2, 2:3.66.4.1.2.1, 2:3.67.4.1.2.1

use fhir_model::schema::{TypeId, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;

use crate::xds::fhir::{ASSOCIATION_BASES, ASSOCIATION_EXPRESSION, ASSOCIATION_PARAMETER};

/// A search parameter.
#[derive(Debug, Clone, Copy)]
pub struct SearchParameter {
    /// Its canonical URL.
    pub url: &'static str,
    /// Its name in a search.
    pub code: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it is for.
    pub base: &'static [TypeId],
    /// The FHIRPath expression of its values.
    pub expression: &'static str,
}

macro_rules! of_contained {
    ($of:literal, $part:literal) => {
        concat!(
            $of,
            ".resolve().ofType(Practitioner).name.",
            $part,
            " | ",
            $of,
            ".resolve().ofType(PractitionerRole).practitioner.resolve().ofType(Practitioner).name.",
            $part
        )
    };
}

/// The search parameters.
pub const SEARCH_PARAMETERS: &[SearchParameter] = &[
    SearchParameter {
        url: "urn:lanterna:SearchParameter:association",
        code: ASSOCIATION_PARAMETER,
        kind: Kind::Token,
        base: ASSOCIATION_BASES,
        expression: ASSOCIATION_EXPRESSION,
    },
    SearchParameter {
        url: "https://profiles.ihe.net/ITI/MHD/SearchParameter/List-DesignationType",
        code: "designationType",
        kind: Kind::Token,
        base: &[ty::LIST],
        expression: "List.extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType').value.ofType(CodeableConcept)",
    },
    SearchParameter {
        url: "https://profiles.ihe.net/ITI/MHD/SearchParameter/List-SourceId",
        code: "sourceId",
        kind: Kind::Token,
        base: &[ty::LIST],
        expression: "List.extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId').value.ofType(Identifier)",
    },
    SearchParameter {
        url: "https://profiles.ihe.net/ITI/MHD/SearchParameter/DocumentReference-Creation",
        code: "creation",
        kind: Kind::Date,
        base: &[ty::DOCUMENT_REFERENCE],
        expression: "DocumentReference.content.attachment.creation",
    },
    SearchParameter {
        url: "urn:lanterna:SearchParameter:author.given",
        code: "author.given",
        kind: Kind::String,
        base: &[ty::DOCUMENT_REFERENCE],
        expression: of_contained!("DocumentReference.author", "given"),
    },
    SearchParameter {
        url: "urn:lanterna:SearchParameter:author.family",
        code: "author.family",
        kind: Kind::String,
        base: &[ty::DOCUMENT_REFERENCE],
        expression: of_contained!("DocumentReference.author", "family"),
    },
    SearchParameter {
        url: "urn:lanterna:SearchParameter:source.given",
        code: "source.given",
        kind: Kind::String,
        base: &[ty::LIST],
        expression: of_contained!("List.source", "given"),
    },
    SearchParameter {
        url: "urn:lanterna:SearchParameter:source.family",
        code: "source.family",
        kind: Kind::String,
        base: &[ty::LIST],
        expression: of_contained!("List.source", "family"),
    },
];

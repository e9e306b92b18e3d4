//! The transactions of the plans: which door of the server each is for.

/// A kind of transaction that is executed.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) action: &'static str,
    pub(super) is_multipart: bool,
}

/// The kinds of transactions that are executed.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "RegisterTransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2007:RegisterDocumentSet-b",
        is_multipart: false,
    },
    Kind {
        name: "StoredQueryTransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2007:RegistryStoredQuery",
        is_multipart: false,
    },
    Kind {
        name: "MPQTransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2009:MultiPatientStoredQuery",
        is_multipart: false,
    },
    Kind {
        name: "MuTransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2010:UpdateDocumentSet",
        is_multipart: false,
    },
    Kind {
        name: "RegisterODDETransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
        is_multipart: false,
    },
    Kind {
        name: "RmuTransaction",
        path: "/xds/registry",
        action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
        is_multipart: false,
    },
    Kind {
        name: "ProvideAndRegisterTransaction",
        path: "/xds/repository",
        action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        is_multipart: true,
    },
    Kind {
        name: "XDRProvideAndRegisterTransaction",
        path: "/xdr",
        action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        is_multipart: true,
    },
    Kind {
        name: "XCQTransaction",
        path: "/xca/query",
        action: "urn:ihe:iti:2007:CrossGatewayQuery",
        is_multipart: false,
    },
    Kind {
        name: "XCRTransaction",
        path: "/xca/retrieve",
        action: "urn:ihe:iti:2007:CrossGatewayRetrieve",
        is_multipart: true,
    },
    Kind {
        name: "IGQTransaction",
        path: "/xca/query",
        action: "urn:ihe:iti:2007:RegistryStoredQuery",
        is_multipart: false,
    },
    Kind {
        name: "IGRTransaction",
        path: "/xca/retrieve",
        action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        is_multipart: true,
    },
    Kind {
        name: "RetrieveTransaction",
        path: "/xds/repository",
        action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        is_multipart: true,
    },
];

/// Why a transaction is not executed.
pub(super) fn not_executed(kind: &str) -> &'static str {
    match kind {
        "XCRmuTransaction" => "ITI-92 to a gateway is not built",
        "XcpdTransaction" | "XCPDTransaction" => "looks for somebody born on a day that does not exist",
        "DsubSubscribeTransaction" | "PublishTransaction" => "stands in the self test of the toolkit alone",
        "StsTransaction" => "needs a security token service",
        "ImagingDocSetRetrieveTransaction" | "WADOTransaction" | "RetrieveImagingDocSetTransaction" => {
            "needs images that the material does not have"
        }
        "ImagingDocSetIigRetrieveTransaction" | "ImagingDocSetRigRetrieveTransaction" => "XCA-I is not built",
        "ProvideDocumentBundleTransaction" | "MhdClientTransaction" => {
            "addresses the simulators of the toolkit"
        }
        "SocketTransaction" | "GenericTransaction" => "sends a recorded message elsewhere",
        _ => "not a transaction with a registry, repository or gateway",
    }
}

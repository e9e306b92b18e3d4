//! A client of the SOAP doors, and the messages it sends.

use serde_json::json;
use tests::{Answer, Client, Server};

pub(super) const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
pub(super) const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
pub(super) const REPLACES: &str = "urn:ihe:iti:2007:AssociationType:RPLC";
pub(super) const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
pub(super) const PATIENT: &str = "P1^^^&amp;1.2.3&amp;ISO";
pub(super) const BOUNDARY: &str = "uuid:a:b=c";

pub(super) const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
pub(super) const FIND_FOLDERS: &str = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431";
pub(super) const FIND_SUBMISSION_SETS: &str = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9";
pub(super) const GET_ALL: &str = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3";
pub(super) const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";
pub(super) const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
pub(super) const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
pub(super) const GET_DOCUMENTS_AND_ASSOCIATIONS: &str = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a";
pub(super) const GET_SUBMISSION_SETS: &str = "urn:uuid:51224314-5390-4169-9b91-b1980040715a";
pub(super) const GET_SUBMISSION_SET_AND_CONTENTS: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
pub(super) const GET_FOLDER_AND_CONTENTS: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
pub(super) const GET_FOLDERS_FOR_DOCUMENT: &str = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578";
pub(super) const GET_RELATED_DOCUMENTS: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";
pub(super) const BY_REFERENCE_ID: &str = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492";

pub(super) fn slot(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|v| format!("<Value>{v}</Value>")).collect();
    format!("<Slot name='{name}'><ValueList>{values}</ValueList></Slot>")
}

pub(super) fn code(scheme: &str, of: &str, code: &str) -> String {
    format!(
        "<Classification id='c{scheme}{of}' classificationScheme='urn:uuid:{scheme}' classifiedObject='{of}' \
         nodeRepresentation='{code}'>{}<Name><LocalizedString value='{code}'/></Name></Classification>",
        slot("codingScheme", &["1.2.3.4"])
    )
}

pub(super) fn identifier(scheme: &str, of: &str, value: &str) -> String {
    format!(
        "<ExternalIdentifier id='i{scheme}{of}' identificationScheme='urn:uuid:{scheme}' registryObject='{of}' \
         value='{value}'><Name><LocalizedString value='x'/></Name></ExternalIdentifier>"
    )
}

/// A document entry; `more` are further slots.
pub(super) fn document(id: &str, unique_id: &str, more: &str) -> String {
    let codes: String = [
        "41a5887f-8865-4c09-adf7-e362475b143a",
        "f4f85eac-e6cb-4883-b524-f2705394840f",
        "a09d5840-386c-46f2-b5ad-9c3699a4309d",
        "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
        "cccf5598-8b07-4b77-a05e-ae952c785ead",
        "f0306f51-975f-434e-a61c-c59651d33983",
    ]
    .iter()
    .map(|scheme| code(scheme, id, "CODE"))
    .collect();
    format!(
        "<ExtrinsicObject id='{id}' mimeType='application/pdf' \
         objectType='urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1'>{}{}{}{}{more}\
         <Name><LocalizedString value='Referto {id}'/></Name>{codes}{}{}</ExtrinsicObject>",
        slot("creationTime", &["20260102"]),
        slot("languageCode", &["it-IT"]),
        slot("sourcePatientId", &["S1^^^&amp;1.9&amp;ISO"]),
        slot("sourcePatientInfo", &["PID-5|Rossi^Maria", "PID-8|F"]),
        identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", id, PATIENT),
        identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", id, unique_id),
    )
}

pub(super) fn folder(id: &str, unique_id: &str) -> String {
    format!(
        "<RegistryPackage id='{id}'><Name><LocalizedString value='Ricovero'/></Name>\
         <Classification id='n{id}' classificationNode='urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2' \
         classifiedObject='{id}'/>{}{}{}</RegistryPackage>",
        code("1ba97051-7806-41a8-a48b-8fce7af683c5", id, "FOLDER"),
        identifier("f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", id, PATIENT),
        identifier("75df8f67-9973-4fbe-a900-df66cefecc5a", id, unique_id),
    )
}

pub(super) fn association(kind: &str, source: &str, target: &str) -> String {
    let status = if source == "set" && kind == HAS_MEMBER {
        slot("SubmissionSetStatus", &["Original"])
    } else {
        String::new()
    };
    format!(
        "<Association id='as-{source}-{}' associationType='{kind}' sourceObject='{source}' \
         targetObject='{target}'>{status}</Association>",
        target.replace(':', "-")
    )
}

/// A submission of these objects, all of them members of its submission set.
pub(super) fn submit(set_unique_id: &str, objects: &str) -> String {
    format!(
        "<lcm:SubmitObjectsRequest xmlns:lcm='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0'>\
         <RegistryObjectList xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'>\
         <RegistryPackage id='set'>{}{}{}{}{}</RegistryPackage>\
         <Classification id='nset' classificationNode='urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd' \
         classifiedObject='set'/>{objects}</RegistryObjectList></lcm:SubmitObjectsRequest>",
        slot("submissionTime", &["20260102030405"]),
        code("aa543740-bdda-424e-8c96-df4873be8500", "set", "ADMISSION"),
        identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", "set", PATIENT),
        identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "set", "1.2.3.5"),
        identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", "set", set_unique_id),
    )
}

/// The documents of a provide-and-register: each with the part it is in.
pub(super) fn provide(submission: &str, documents: &[(&str, &str)]) -> String {
    let documents: String = documents
        .iter()
        .map(|(id, part)| {
            format!(
                "<Document id='{id}'><xop:Include xmlns:xop='http://www.w3.org/2004/08/xop/include' \
                 href='cid:{part}'/></Document>"
            )
        })
        .collect();
    format!(
        "<ProvideAndRegisterDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'>{submission}{documents}\
         </ProvideAndRegisterDocumentSetRequest>"
    )
}

/// The body of a stored query; each value is written as it is given.
pub(super) fn adhoc_query(id: &str, return_type: &str, parameters: &[(&str, &str)]) -> String {
    let slots: String = parameters.iter().map(|(name, value)| slot(name, &[value])).collect();
    format!(
        "<query:AdhocQueryRequest xmlns:query='urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0'>\
             <query:ResponseOption returnComposedObjects='true' returnType='{return_type}'/>\
             <AdhocQuery xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0' id='{id}'>{slots}</AdhocQuery>\
             </query:AdhocQueryRequest>"
    )
}

pub(super) fn envelope(action: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
         xmlns:a='http://www.w3.org/2005/08/addressing'><s:Header><a:Action>{action}</a:Action>\
         <a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

pub(super) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub(super) struct Peer {
    pub(super) fhir: Client,
    pub(super) origin: String,
}

impl Peer {
    pub(super) fn of(server: &Server) -> Peer {
        Peer { fhir: server.client(), origin: server.origin() }
    }

    pub(super) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let url = format!("{}/{path}", self.origin);
        self.fhir.send("POST", &url, &[("content-type", content_type)], body).expect("an answer")
    }

    pub(super) fn registry(&self, action: &str, body: &str) -> Answer {
        let message = envelope(&format!("urn:ihe:iti:2007:{action}"), body);
        self.post("xds/registry", "application/soap+xml; charset=UTF-8", message.as_bytes())
    }

    /// Provides and registers documents with these parts.
    pub(super) fn provide(&self, body: &str, parts: &[(&str, &[u8])]) -> String {
        let answer = self.try_provide(body, parts).expect("an answer");
        assert_eq!(answer.status, 200, "{}", text(&answer));
        assert!(answer.header("content-type").is_some_and(|t| t.starts_with("multipart/related")));
        text(&answer)
    }

    /// As [`Peer::provide`], where there may be no answer.
    pub(super) fn try_provide(&self, body: &str, parts: &[(&str, &[u8])]) -> Result<Answer, String> {
        let action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b";
        let mut message = format!(
            "--{BOUNDARY}\r\nContent-Type: application/xop+xml; type=\"application/soap+xml\"\r\n\
             Content-ID: <root>\r\n\r\n{}",
            envelope(action, body)
        )
        .into_bytes();
        for (id, bytes) in parts {
            let head =
                format!("\r\n--{BOUNDARY}\r\nContent-Type: application/pdf\r\nContent-ID: <{id}>\r\n\r\n");
            message.extend_from_slice(head.as_bytes());
            message.extend_from_slice(bytes);
        }
        message.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/related; boundary=\"{BOUNDARY}\"; start=\"<root>\"");
        let url = format!("{}/xds/repository", self.origin);
        self.fhir.send("POST", &url, &[("content-type", &content_type)], &message)
    }

    /// Asks a stored query; each value is written as it is given.
    pub(super) fn query(&self, id: &str, return_type: &str, parameters: &[(&str, &str)]) -> String {
        let body = adhoc_query(id, return_type, parameters);
        let answer = self.registry("RegistryStoredQuery", &body);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        text(&answer)
    }

    /// The titles of the documents of a status.
    pub(super) fn titles(&self, status: &str) -> Vec<String> {
        let status = format!("('{status}')");
        let parameters = [
            ("$XDSDocumentEntryPatientId", "'P1^^^&amp;1.2.3&amp;ISO'"),
            ("$XDSDocumentEntryStatus", status.as_str()),
        ];
        let found = self.query(FIND_DOCUMENTS, "LeafClass", &parameters);
        assert!(found.contains("ResponseStatusType:Success"), "{found}");
        let mut titles: Vec<String> = found
            .split("<rim:ExtrinsicObject")
            .skip(1)
            .filter_map(|object| object.split("LocalizedString value=\"Referto ").nth(1))
            .filter_map(|rest| rest.split('"').next().map(str::to_owned))
            .collect();
        titles.sort();
        titles
    }

    pub(super) fn retrieve(&self, unique_id: &str, repository: &str) -> Answer {
        let body = format!(
            "<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'><DocumentRequest>\
             <RepositoryUniqueId>{repository}</RepositoryUniqueId><DocumentUniqueId>{unique_id}</DocumentUniqueId>\
             </DocumentRequest></RetrieveDocumentSetRequest>"
        );
        let message = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", &body);
        self.post("xds/repository", "application/soap+xml", message.as_bytes())
    }

    pub(super) fn count(&self, search: &str) -> u64 {
        self.fhir.get(search).json()["total"].as_u64().expect("a total")
    }
}

pub(super) fn start(data: &std::path::Path) -> (Server, Peer) {
    let server = Server::start(data);
    let peer = Peer::of(&server);
    (server, peer)
}

pub(super) fn create_patient(peer: &Peer) {
    let patient = json!({ "resourceType": "Patient", "id": "p1",
        "identifier": [{ "system": "urn:oid:1.2.3", "value": "P1" }] });
    assert_eq!(peer.fhir.json("PUT", "Patient/p1", &[], &patient).expect("an answer").status, 201);
}

/// What stands between two texts.
pub(super) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {text}")).0
}

pub(super) fn entry_uuid(peer: &Peer, unique_id: &str) -> String {
    let unique_id = format!("('{unique_id}')");
    let found = peer.query(GET_DOCUMENTS, "ObjectRef", &[("$XDSDocumentEntryUniqueId", &unique_id)]);
    between(&found, "<rim:ObjectRef id=\"", "\"").to_owned()
}

pub(super) fn members(objects: &[&str]) -> String {
    objects.iter().map(|object| association(HAS_MEMBER, "set", object)).collect()
}

pub(super) fn entry(peer: &Peer, unique_id: &str) -> String {
    let unique_id = format!("('{unique_id}')");
    peer.query(GET_DOCUMENTS, "LeafClass", &[("$XDSDocumentEntryUniqueId", &unique_id)])
}

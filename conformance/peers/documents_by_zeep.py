"""Shares documents as a SOAP client that was made from the WSDLs of the doors
(zeep), and as one that packs documents beside the message, over TLS.

Usage: documents_by_zeep.py ORIGIN CERTIFICATE
"""

import email
import sys
import time
import uuid

import requests
import zeep
from lxml import etree
from zeep.transports import Transport

ORIGIN, CERTIFICATE = sys.argv[1:3]
AUTHORITY = "1.3.6.1.4.1.99999.7"
PATIENT = f"Z1^^^&{AUTHORITY}&ISO"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
BOUNDARY = "=_of_a_peer"

session = requests.Session()
# What the environment says of proxies and certificates is for elsewhere.
session.trust_env = False
session.verify = CERTIFICATE


def client(door):
    made = zeep.Client(f"{ORIGIN}/{door}?wsdl", transport=Transport(session=session))
    (service,) = made.wsdl.services.values()
    print(f"{door}: {service.name}, {len(next(iter(service.ports.values())).binding._operations)} operations")
    return made


def slot(name, *values):
    return {"name": name, "ValueList": {"Value": list(values)}}


def text(value):
    return {"LocalizedString": [{"value": value}]}


def code(scheme, of, value):
    return {
        "id": f"c{uuid.uuid4()}", "classificationScheme": f"urn:uuid:{scheme}", "classifiedObject": of,
        "nodeRepresentation": value, "Slot": [slot("codingScheme", "1.2.3.4")], "Name": text(value),
    }


def identifier(scheme, of, value):
    return {
        "id": f"i{uuid.uuid4()}", "identificationScheme": f"urn:uuid:{scheme}", "registryObject": of,
        "value": value, "Name": text("identifier"),
    }


def submission(unique_id):
    """A submission of one document, as zeep takes it."""
    entry = {
        "id": "document", "mimeType": "text/plain",
        "objectType": "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
        "Slot": [
            slot("creationTime", "20260102"), slot("languageCode", "it-IT"),
            slot("sourcePatientId", "S1^^^&1.9&ISO"), slot("sourcePatientInfo", "PID-5|Rossi^Maria"),
        ],
        "Name": text(f"Referto {unique_id}"),
        "Classification": [
            code(scheme, "document", "CODE") for scheme in [
                "41a5887f-8865-4c09-adf7-e362475b143a", "f4f85eac-e6cb-4883-b524-f2705394840f",
                "a09d5840-386c-46f2-b5ad-9c3699a4309d", "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
                "cccf5598-8b07-4b77-a05e-ae952c785ead", "f0306f51-975f-434e-a61c-c59651d33983",
            ]
        ],
        "ExternalIdentifier": [
            identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", "document", PATIENT),
            identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", "document", unique_id),
        ],
    }
    package = {
        "id": "set", "Slot": [slot("submissionTime", "20260102030405")],
        "Classification": [
            code("aa543740-bdda-424e-8c96-df4873be8500", "set", "ADMISSION"),
            {"id": "node", "classificationNode": "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "classifiedObject": "set"},
        ],
        "ExternalIdentifier": [
            identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", "set", PATIENT),
            identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "set", "1.2.3.5"),
            identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", "set", f"{unique_id}.1"),
        ],
    }
    member = {
        "id": "member", "associationType": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
        "sourceObject": "set", "targetObject": "document", "Slot": [slot("SubmissionSetStatus", "Original")],
    }
    objects = [{"ExtrinsicObject": entry}, {"RegistryPackage": package}, {"Association": member}]
    return {"RegistryObjectList": {"_value_1": objects}}


def expect(what, is_right, seen):
    if not is_right:
        sys.exit(f"not as expected: {what}: {seen}")
    print(f"{what}: as expected")


def find(registry):
    """The documents of the patient, by ITI-18."""
    status = slot("$XDSDocumentEntryStatus", f"('{APPROVED}')")
    query = {"id": FIND_DOCUMENTS, "Slot": [slot("$XDSDocumentEntryPatientId", f"'{PATIENT}'"), status]}
    option = {"returnType": "LeafClass", "returnComposedObjects": True}
    answer = registry.service.RegistryStoredQuery(ResponseOption=option, AdhocQuery=query)
    expect("ITI-18", answer.status == SUCCESS, answer)
    return [item["ExtrinsicObject"] for item in answer.RegistryObjectList._value_1]


def parts(answer):
    """The parts of a multipart answer."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    return [part.get_payload(decode=True) for part in email.message_from_bytes(head + answer.content).get_payload()]


def wait(seconds):
    """Waits for the server to be ready."""
    end = time.monotonic() + seconds
    while True:
        try:
            if session.get(f"{ORIGIN}/health/ready").status_code == 200:
                return
        except requests.ConnectionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


wait(60)
patient = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{AUTHORITY}", "value": "Z1"}]}
created = session.post(f"{ORIGIN}/fhir/Patient", json=patient, headers={"content-type": "application/fhir+json"})
expect("the patient", created.status_code == 201, created.text)

registry, repository = client("xds/registry"), client("xds/repository")
client("xca/query")
client("xca/retrieve")

# A document in the message, by zeep.
content = "Referto: negativo è bene\n".encode()
request = repository.create_message(
    repository.service, "ProvideAndRegisterDocumentSet_b",
    SubmitObjectsRequest=submission("1.7.1"), Document=[{"_value_1": content, "id": "document"}],
)
answer = repository.service.ProvideAndRegisterDocumentSet_b(
    SubmitObjectsRequest=submission("1.7.1"), Document=[{"_value_1": content, "id": "document"}]
)
expect("ITI-41 by zeep", answer.status == SUCCESS, answer)
found = find(registry)
titles = [entry.Name.LocalizedString[0].value for entry in found]
expect("the document found", titles == ["Referto 1.7.1"], titles)

# A document beside the message.
second = bytes(range(256)) * 4096
text_of = etree.tostring(request).decode().replace("1.7.1", "1.7.2")
begin = text_of.index(">", text_of.index("Document id=")) + 1
end = text_of.index("<", begin)
include = '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:second"/>'
text_of = text_of[:begin] + include + text_of[end:]
body = (
    f'--{BOUNDARY}\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root>\r\n\r\n{text_of}'
    f"\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-ID: <second>\r\n\r\n"
).encode() + second + f"\r\n--{BOUNDARY}--\r\n".encode()
packed = {"content-type": f'multipart/related; boundary="{BOUNDARY}"; start="<root>"; type="application/xop+xml"'}
answer = session.post(f"{ORIGIN}/xds/repository", data=body, headers=packed)
expect("ITI-41 with a part", answer.status_code == 200 and SUCCESS.encode() in answer.content, answer.text)
found = find(registry)
expect("two documents found", len(found) == 2, found)

for entry, expected in zip(found, [content, second]):
    slots = {slot.name: slot.ValueList.Value for slot in entry.Slot}
    ids = {i.identificationScheme: i.value for i in entry.ExternalIdentifier}
    asked = {
        "RepositoryUniqueId": slots["repositoryUniqueId"][0],
        "DocumentUniqueId": ids["urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"],
    }
    request = repository.create_message(repository.service, "RetrieveDocumentSet", DocumentRequest=[asked])
    headers = {"content-type": "application/soap+xml; charset=UTF-8"}
    answer = session.post(f"{ORIGIN}/xds/repository", data=etree.tostring(request), headers=headers)
    received = parts(answer)
    expect("ITI-43", len(received) == 2 and received[1] == expected, answer.headers)

searched = session.get(f"{ORIGIN}/fhir/DocumentReference", params={"patient.identifier": f"urn:oid:{AUTHORITY}|Z1"})
expect("both by FHIR", searched.json()["total"] == 2, searched.text)

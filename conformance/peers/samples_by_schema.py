"""Sends the sample requests of other stacks as they are, each in an envelope of
its own, and holds every answer to the schemas of IHE and ebXML, which are not
ours. What a sample refers to is made known before: its patients; parts that it
leaves out are attached.

Usage: samples_by_schema.py ORIGIN CERTIFICATE MATERIAL
"""

import collections
import email
import pathlib
import re
import sys

import requests
from lxml import etree

ORIGIN, CERTIFICATE, MATERIAL = sys.argv[1:4]
SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
XDSB = "urn:ihe:iti:xds-b:2007"
INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
BOUNDARY = "=_of_a_sample"
DOORS = {
    "{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}SubmitObjectsRequest":
        ("xds/registry", "urn:ihe:iti:2007:RegisterDocumentSet-b"),
    "{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}RemoveObjectsRequest":
        ("xds/registry", "urn:ihe:iti:2010:DeleteDocumentSet"),
    "{urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0}AdhocQueryRequest":
        ("xds/registry", "urn:ihe:iti:2007:RegistryStoredQuery"),
    f"{{{XDSB}}}ProvideAndRegisterDocumentSetRequest":
        ("xds/repository", "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"),
    f"{{{XDSB}}}RetrieveDocumentSetRequest": ("xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet"),
}

# Of the others each is refused for what it lacks: see docs/conformance/xds.md.
ACCEPTED_MIN = 15
MANY_PATIENTS = ["urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f", "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df"]
UPDATES = ["PreviousVersion", "NewStatus"]

session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE
material = pathlib.Path(MATERIAL)
schemas = material / "wsdl-xsd/toolkit2/v3"
parser = etree.XMLParser(resolve_entities=False, no_network=True)
schema = etree.XMLSchema(etree.parse(schemas / "XDS.b_DocumentRepository.xsd", parser))
query_schema = etree.XMLSchema(etree.parse(schemas / "query.xsd", parser))


def request_in(path):
    """The request that a sample is or holds, if it is of ebRIM 3.0."""
    try:
        root = etree.parse(path, parser).getroot()
    except etree.XMLSyntaxError:
        return None
    # The outermost: a provide-and-register holds a submission.
    return next((element for element in root.iter(*DOORS)), None)


def patients_in(request):
    text = etree.tostring(request, encoding="unicode").replace("&amp;", "&")
    return set(re.findall(r"([^\s'\"<>(|,]+)\^\^\^&([0-9.]+)&ISO", text))


def send(request):
    """Sends a request; returns what stands in the body of the answer."""
    door, action = DOORS[request.tag]
    if any(query.get("id") in MANY_PATIENTS for query in request.iter(f"{{{RIM}}}AdhocQuery")):
        action = "urn:ihe:iti:2009:MultiPatientStoredQuery"
    if any(slot.get("name") in UPDATES for slot in request.iter(f"{{{RIM}}}Slot")):
        action = "urn:ihe:iti:2010:UpdateDocumentSet"
    provides = request.tag.endswith("ProvideAndRegisterDocumentSetRequest")
    if provides and request.find(f"{{{XDSB}}}Document") is None:
        # The sample's client attaches them.
        for entry in request.iter(f"{{{RIM}}}ExtrinsicObject"):
            etree.SubElement(request, f"{{{XDSB}}}Document", id=entry.get("id")).text = "b2YgdGhlIHNhbXBsZQ=="
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP, "a": ADDRESSING})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    etree.SubElement(header, f"{{{ADDRESSING}}}Action").text = action
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(request)
    attached = [include.get("href", "").removeprefix("cid:") for include in request.iter(INCLUDE)]
    part = f"--{BOUNDARY}\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n".encode()
    message = part + etree.tostring(envelope)
    for name in attached:
        message += f"\r\n--{BOUNDARY}\r\nContent-ID: <{name}>\r\n\r\nof the sample".encode()
    message += f"\r\n--{BOUNDARY}--\r\n".encode()
    content_type = f'multipart/related; type="application/xop+xml"; start="<root>"; boundary="{BOUNDARY}"'
    answer = session.post(f"{ORIGIN}/{door}", data=message, headers={"content-type": content_type})
    body = answer.content
    if answer.headers["content-type"].startswith("multipart/"):
        head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
        body = email.message_from_bytes(head + body).get_payload()[0].get_payload(decode=True)
    return next(iter(etree.fromstring(body, parser).find(f"{{{SOAP}}}Body")))


tally, wrong, known = collections.Counter(), [], set()
samples = sorted(path for path in (material / "xds-samples").rglob("*") if path.is_file())
for path in samples:
    request = request_in(path)
    if request is None:
        tally["no request of ebRIM 3.0"] += 1
        continue
    for patient, authority in patients_in(request) - known:
        known.add((patient, authority))
        resource = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{authority}", "value": patient}]}
        made = session.post(f"{ORIGIN}/fhir/Patient", json=resource, headers={"content-type": "application/fhir+json"})
        if made.status_code != 201:
            sys.exit(f"the patient of {path.name} cannot be made: {made.text}")
    answer = send(request)
    name = str(path.relative_to(material / "xds-samples"))
    if answer.tag == f"{{{SOAP}}}Fault":
        outcome = "a fault: " + "".join(answer.itertext()).strip()[:120]
    else:
        # By itself: a schema is of documents.
        alone = etree.fromstring(etree.tostring(answer))
        for reader in (query_schema, schema):
            if reader.validate(alone):
                break
        else:
            wrong.append(f"{name}: {schema.error_log.last_error or query_schema.error_log.last_error}")
        errors = [error.get("errorCode") for error in answer.iter(f"{{{RS}}}RegistryError")]
        response = next(answer.iter(f"{{{RS}}}RegistryResponse"), answer)
        outcome = response.get("status").rsplit(":")[-1] + "".join(f" {code}" for code in sorted(set(errors)))
    tally[outcome] += 1
    told = [error.get("codeContext") for error in answer.iter(f"{{{RS}}}RegistryError")]
    print(f"{name}: {outcome}" + "".join(f"\n    {context[:160]}" for context in told[:3]))
for outcome, count in tally.most_common():
    print(f"{count:4} {outcome}")
if wrong:
    sys.exit("\n".join(["answers that the schemas do not allow:", *wrong]))
if tally["Success"] < ACCEPTED_MIN:
    sys.exit(f"fewer samples are accepted than {ACCEPTED_MIN}")

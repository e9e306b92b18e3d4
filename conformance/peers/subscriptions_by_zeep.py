"""Subscribes to the documents of a patient as a SOAP client that was made from
the WSDL of the door (zeep), and receives what is told of one that comes by
FHIR, which is held to the schemas of ebXML where they are at hand.

Usage: subscriptions_by_zeep.py ORIGIN CERTIFICATE PORT MATERIAL
"""

import http.server
import pathlib
import queue
import sys
import threading

import requests
import zeep
from lxml import etree
from zeep.transports import Transport

ORIGIN, CERTIFICATE, PORT, MATERIAL = sys.argv[1:5]
AUTHORITY = "1.3.6.1.4.1.99999.8"
WSNT = "http://docs.oasis-open.org/wsn/b-2"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
DIALECT = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
FHIR = {"content-type": "application/fhir+json"}
told = queue.Queue()

session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE


class Recipient(http.server.BaseHTTPRequestHandler):
    """Takes notifications."""

    def do_POST(self):
        told.put(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def expect(what, is_right, seen):
    if not is_right:
        sys.exit(f"not as expected: {what}: {seen}")
    print(f"{what}: as expected")


def create(resource):
    created = session.post(f"{ORIGIN}/fhir/{resource['resourceType']}", json=resource, headers=FHIR)
    expect(f"create {resource['resourceType']}", created.status_code == 201, created.text)
    return created.json()["id"]


recipient = http.server.ThreadingHTTPServer(("localhost", int(PORT)), Recipient)
threading.Thread(target=recipient.serve_forever, daemon=True).start()
patient = create({"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{AUTHORITY}", "value": "S1"}]})

broker = zeep.Client(f"{ORIGIN}/dsub?wsdl", transport=Transport(session=session))
query = {
    "id": "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
    "Slot": [{"name": "$XDSDocumentEntryPatientId", "ValueList": {"Value": [f"'S1^^^&{AUTHORITY}&ISO'"]}}],
}
subscribed = broker.service.SubscribeRequest(
    ConsumerReference={"Address": f"http://localhost:{PORT}/notify"},
    Filter={"TopicExpression": {"_value_1": "ihe:FullDocumentEntry", "Dialect": DIALECT}, "AdhocQuery": query},
    InitialTerminationTime="P1D",
)
reference = subscribed.SubscriptionReference.Address
expect("ITI-52", reference.startswith(f"{ORIGIN}/dsub/") and subscribed.TerminationTime is not None, subscribed)

create({
    "resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{patient}"},
    "content": [{"attachment": {"title": "Referto", "contentType": "text/plain", "url": "http://a.example/x"}}],
})
message = etree.fromstring(told.get(timeout=30))
requests_told = message.findall(f".//{{{WSNT}}}Message/{{{LCM}}}SubmitObjectsRequest")
objects = [o for request in requests_told for o in request.find(f"{{{RIM}}}RegistryObjectList")]
names = [o.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString").get("value") for o in objects]
expect("ITI-53", names == ["Referto"], etree.tostring(message))
schema_file = pathlib.Path(MATERIAL) / "wsdl-xsd/toolkit2/v3/lcm.xsd"
if schema_file.exists():
    schema = etree.XMLSchema(etree.parse(schema_file, etree.XMLParser(resolve_entities=False, no_network=True)))
    expect("its objects by the schemas", schema.validate(requests_told[0]), schema.error_log)
else:
    print(f"its objects by the schemas: passed over, there is no {schema_file}")

# It is ended at its own address.
manager = broker.create_service(f"{{{'urn:ihe:iti:xds-b:2007'}}}DocumentMetadataNotificationBroker_Binding_Soap12", reference)
manager.UnsubscribeRequest()
seen = session.get(f"{ORIGIN}/fhir/Subscription/{reference.rsplit('/', 1)[1]}").json()
expect("the subscription is off", seen["status"] == "off", seen)

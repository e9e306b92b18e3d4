"""Is told by the server of what changes: every message by HL7 v2 is read and validated by
hl7apy (strict), every one by HL7 v3 held to the schemas of HL7 where they are at hand.

Usage: notifications_by_hl7apy.py BINARY WORK MATERIAL
"""

import http.server
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time

import requests
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from lxml import etree

BINARY, WORK, MATERIAL = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
SCHEMAS = pathlib.Path(MATERIAL) / "wsdl-xsd/ipf/hl7v3/src/main/resources/schema/HL7V3/NE2008/multicacheschemas"
SOAP, V3 = "http://www.w3.org/2003/05/soap-envelope", "urn:hl7-org:v3"
OID = "1.3.6.1.4.1.99999.1"
WAIT = 60
session = requests.Session()
session.trust_env = False


def check(what, is_so, seen=""):
    if not is_so:
        sys.exit(f"notifications by hl7apy: {what}: {str(seen)[:2000]}")


def bound():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, listener.getsockname()[1]


def free_port():
    listener, port = bound()
    listener.close()
    return port


def acknowledge(connection, told):
    """Takes messages of a connection, and acknowledges each that is valid."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
        while b"\x1c\r" in received:
            frame, received = received.split(b"\x1c\r", 1)
            text = frame.lstrip(b"\x0b").decode()
            code, why = "AA", None
            try:
                # The blank that ITI-10 wants for a name (ITI TF-2 3.10.4.1.2.2) hl7apy takes for nothing.
                named = text.replace("|| \r", "||^^^^^^U\r")
                parse_message(named, validation_level=VALIDATION_LEVEL.STRICT).validate()
            except Exception as error:  # whatever is wrong with it is told
                code, why = "AE", error
            told.put((text, why))
            control_id = text.split("|")[9]
            answer = f"MSH|^~\\&|LIS|H1|||20260102030405||ACK|{control_id}|P|2.5\rMSA|{code}|{control_id}\r"
            connection.sendall(b"\x0b" + answer.encode() + b"\x1c\r")


def consume(listener, told):
    """Takes messages by MLLP: what goes in an order of its own has a connection of its own."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=acknowledge, args=(connection, told), daemon=True).start()


def acknowledging(told):
    """Makes what takes notifications by HL7 v3."""

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            envelope = etree.fromstring(self.rfile.read(int(self.headers["content-length"])))
            message = envelope.find(f"{{{SOAP}}}Body")[0]
            told.put(message)
            root = message.find(f"{{{V3}}}id").get("root")
            answer = (
                f'<s:Envelope xmlns:s="{SOAP}"><s:Body><MCCI_IN000002UV01 xmlns="{V3}" ITSVersion="XML_1.0">'
                f'<id root="1.2.3.4"/><acknowledgement><typeCode code="CA"/><targetMessage><id root="{root}"/>'
                "</targetMessage></acknowledgement></MCCI_IN000002UV01></s:Body></s:Envelope>"
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "application/soap+xml")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    return Door


listener, mllp = bound()
by_v2, by_v3 = queue.Queue(), queue.Queue()
threading.Thread(target=consume, args=(listener, by_v2), daemon=True).start()
doors = http.server.ThreadingHTTPServer(("127.0.0.1", 0), acknowledging(by_v3))
threading.Thread(target=doors.serve_forever, daemon=True).start()
settings = WORK / "notifications.toml"
settings.write_text(
    f"""
[hl7v2]
application = "REGION"
facility = "HUB"
[[identity.domains]]
name = "SIO"
oid = "{OID}"
[[subscribers]]
name = "lis"
address = "mllp://127.0.0.1:{mllp}"
what = ["pix", "adt", "oru"]
application = "LIS"
facility = "H1"
[[subscribers]]
name = "ris"
address = "http://127.0.0.1:{doors.server_address[1]}/pix"
what = ["pixv3"]
application = "1.2.840.99.7"
"""
)
port = free_port()
server = subprocess.Popen(
    [BINARY, "serve", "--listen", f"127.0.0.1:{port}", "--mllp", "off", "--data", str(WORK / "notifications"),
     "--log", "error", "--config", str(settings)]
)
base = f"http://127.0.0.1:{port}/fhir"


def put(resource):
    place = f"{base}/{resource['resourceType']}/{resource['id']}"
    answer = session.put(place, json=resource, timeout=30)
    check(f"{place} is stored", answer.status_code in (200, 201), answer.text)


def patient(identifier, **more):
    return {
        "resourceType": "Patient", "id": identifier, "identifier": [{"system": f"urn:oid:{OID}", "value": identifier}],
        **more,
    }


def visit(status, code, **more):
    return {
        "resourceType": "Encounter", "id": "v", "status": status,
        "identifier": [{"system": f"urn:oid:{OID}", "value": "V1"}],
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code},
        "subject": {"reference": "Patient/p"}, "period": {"start": "2026-01-02T03:04:05Z"}, **more,
    }


def observation(name, status="final", **value):
    return {
        "resourceType": "Observation", "id": name, "status": status, "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
        "effectiveDateTime": "2026-01-02T03:04:05.123456+01:00", "note": [{"text": "seen | again"}], **value,
    }


def changes():
    """Makes what is told; returns the events in their order."""
    put({
        "resourceType": "Practitioner", "id": "d", "name": [{"family": "Bianchi", "given": ["Luca"]}],
        "identifier": [{"system": f"urn:oid:{OID}", "value": "D1"}],
    })
    put({"resourceType": "Location", "id": "ward", "name": "MED",
         "physicalType": {"coding": [{"code": "wa"}]}})
    put({"resourceType": "Location", "id": "bed", "name": "12", "partOf": {"reference": "Location/ward"},
         "physicalType": {"coding": [{"code": "bd"}]}})
    put(patient("p"))
    yield "A28"
    put(patient(
        "p", name=[{"use": "official", "family": "D'Angelo", "given": ["Anna", "Maria"], "prefix": ["Dott.ssa"]}],
        gender="female", birthDate="1980-02-29", maritalStatus={"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]},
        address=[{"use": "home", "line": ["Via Roma 1", "Scala B", "Interno 3"], "city": "Genova", "postalCode": "16121", "country": "IT"}],
        telecom=[{"system": "phone", "use": "home", "value": "+39 010 1"}, {"system": "email", "value": "a@b.example", "rank": 1, "period": {"start": "2020-01-01"}}],
        communication=[{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "it"}]}}],
        multipleBirthInteger=2, deceasedBoolean=False, generalPractitioner=[{"reference": "Practitioner/d"}],
    ))
    yield "A31"
    where = {"location": [{"status": "active", "location": {"reference": "Location/bed"}}],
             "participant": [{"type": [{"coding": [{"code": "ATND"}]}], "individual": {"reference": "Practitioner/d"}}]}
    for status, code, more, event in [
        ("planned", "IMP", {}, "A05"), ("cancelled", "IMP", {}, "A38"), ("in-progress", "EMER", {}, "A04"),
        ("in-progress", "ACUTE", {}, "A06"), ("in-progress", "ACUTE", where, "A02"),
        ("in-progress", "AMB", where, "A07"),
        ("in-progress", "AMB", {**where, "serviceType": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0069", "code": "MED"}]}}, "A08"),
        ("finished", "AMB", where, "A03"), ("in-progress", "AMB", where, "A13"),
        ("entered-in-error", "AMB", where, "A11"), ("in-progress", "IMP", where, "A01"),
    ]:
        put(visit(status, code, **more))
        yield event
    quantity = {"value": 13.5, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "260385009", "display": "Negative"}]}
    for each in [
        observation(
            "o1", valueQuantity=quantity, bodySite=concept, method={"coding": [{"system": "urn:oid:1.2.3.4", "code": "m"}]},
            identifier=[{"system": f"urn:oid:{OID}", "value": "OBS1"}],
        ),
        observation("o2", valueQuantity={**quantity, "comparator": "<"}),
        observation("o3", valueCodeableConcept=concept), observation("o4", valueString="a^b&c"),
        observation("o5", valueDateTime="2026-01-02T03:04:05Z"), observation("o6", valueTime="03:04:05"),
        observation("o7", valuePeriod={"start": "2026-01-02", "end": "2026-01-03"}),
        observation("o8", valueRange={"low": quantity, "high": {**quantity, "value": 15}}),
        observation("o9", valueRatio={"numerator": {"value": 1}, "denominator": {"value": 128}}),
        observation("o10", status="registered"),
        observation("o11", status="unknown", valueQuantity=quantity),
    ]:
        put(each)
    report = {
        "resourceType": "DiagnosticReport", "id": "r", "subject": {"reference": "Patient/p"},
        "encounter": {"reference": "Encounter/v"}, "identifier": [{"system": f"urn:oid:{OID}", "value": "R1"}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2", "display": "CBC"}]},
        "issued": "2026-01-02T03:04:05.123456Z", "resultsInterpreter": [{"reference": "Practitioner/d"}],
        "presentedForm": [{"contentType": "application/pdf", "data": "JVBERi0="}],
        "result": [{"reference": f"Observation/o{number}"} for number in range(1, 12)],
    }
    for status in ["preliminary", "final", "corrected", "appended", "cancelled"]:
        put({**report, "status": status})
        yield "R01"
    put(patient("q", name=[{"text": "Nobody in particular"}]))
    yield "A28"
    parameters = [{"name": f"{name}-patient", "valueReference": {"reference": f"Patient/{of}"}}
                  for name, of in [("source", "q"), ("target", "p")]]
    merged = session.post(f"{base}/Patient/$merge", json={"resourceType": "Parameters", "parameter": parameters})
    check("they are merged", merged.status_code == 200, merged.text)
    yield "A40"


def is_there():
    try:
        return session.get(f"{base}/metadata", timeout=5).status_code == 200
    except requests.RequestException:
        return False


try:
    end = time.monotonic() + WAIT
    while not is_there():
        check("the server is there", time.monotonic() < end)
        time.sleep(0.1)
    expected, events, updates = list(changes()), [], 0
    while len(events) < len(expected):
        text, why = by_v2.get(timeout=WAIT)
        check("hl7apy takes it", why is None, f"{why!r}\n" + text.replace("\r", "\n"))
        header = text.split("\r")[0].split("|")
        check("it says who tells whom", header[2:6] == ["REGION", "HUB", "LIS", "H1"], header)
        event = header[8].split("^")[1]
        # What tells of identifiers alone (ITI-10) has no name.
        if event == "A31" and "|| \r" in text:
            updates += 1
            continue
        events.append(event)
    check("the events are told in their order", events == expected, (events, expected))
    check("identifiers are told as well", updates >= 1 or not by_v2.empty())
    schema = SCHEMAS / "PRPA_IN201302UV02.xsd"
    schema = etree.XMLSchema(etree.parse(str(schema))) if schema.exists() else None
    notified = [by_v3.get(timeout=WAIT) for _ in range(3)]
    for message in notified:
        check("it is the notification", etree.QName(message).localname == "PRPA_IN201302UV02")
        if schema is not None:
            schema.assertValid(etree.fromstring(etree.tostring(message)))
    held = "held to the schemas" if schema is not None else "the schemas are not there"
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=60)
print(f"notifications by hl7apy: {len(events)} messages are valid, in their order; by HL7 v3 {len(notified)}, {held}")

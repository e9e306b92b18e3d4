"""Shares documents as a mobile client does (MHD), with a client that knows FHIR
and nothing of this server (fhirpy), over TLS.

Usage: documents_by_fhirpy.py ORIGIN CERTIFICATE
"""

import base64
import hashlib
import os
import sys
import uuid

# What the environment says of proxies is for elsewhere.
os.environ["NO_PROXY"] = "localhost,127.0.0.1"

import requests
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome

ORIGIN, CERTIFICATE = sys.argv[1:3]
BASE = f"{ORIGIN}/fhir"
MHD = "https://profiles.ihe.net/ITI/MHD"
AUTHORITY = "urn:oid:1.3.6.1.4.1.99999.8"
URIS = "urn:ietf:rfc:3986"
DOCUMENT = "Referto di prova".encode() * 1000

client = SyncFHIRClient(BASE, requests_config={"verify": CERTIFICATE})


def concept(code):
    return {"coding": [{"system": "urn:oid:1.2.3.4", "code": code}]}


def submission(patient, unique_id, replaces=None):
    """A submission of one document, with all that a registry asks for."""
    urls = [f"urn:uuid:{uuid.uuid4()}" for _ in range(3)]
    submission_set = {
        "resourceType": "List", "status": "current", "mode": "working", "date": "2026-11-24T10:00:00+01:00",
        "extension": [
            {"url": f"{MHD}/StructureDefinition/ihe-designationType", "valueCodeableConcept": concept("ADMISSION")},
            {"url": f"{MHD}/StructureDefinition/ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3.9"}},
        ],
        "identifier": [{"use": "usual", "system": URIS, "value": f"urn:oid:{unique_id}.9"}],
        "code": {"coding": [{"system": f"{MHD}/CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"reference": patient}, "entry": [{"item": {"reference": urls[1]}}],
    }
    document = {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": patient},
        "masterIdentifier": {"system": URIS, "value": f"urn:oid:{unique_id}"},
        "contained": [{"resourceType": "Patient", "id": "source", "name": [{"family": "Rossi"}],
                       "identifier": [{"system": "urn:oid:1.9", "value": "S1"}]}],
        "type": concept("TYPE"), "category": [concept("CLASS")], "securityLabel": [concept("N")],
        "content": [{
            "attachment": {
                "contentType": "text/plain", "language": "it-IT", "url": urls[2], "creation": "2026-01-02",
                "size": len(DOCUMENT), "hash": base64.b64encode(hashlib.sha1(DOCUMENT).digest()).decode(),
            },
            "format": {"system": "urn:oid:1.2.3.4", "code": "FORMAT"},
        }],
        "context": {"facilityType": concept("FACILITY"), "practiceSetting": concept("SETTING"),
                    "sourcePatientInfo": {"reference": "#source"}},
    }
    if replaces:
        document["relatesTo"] = [{"code": "replaces", "target": {"reference": replaces}}]
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(DOCUMENT).decode()}
    resources = zip(urls, [submission_set, document, binary])
    entries = [
        {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        for url, resource in resources
    ]
    profile = f"{MHD}/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle"
    return {"resourceType": "Bundle", "type": "transaction", "meta": {"profile": [profile]}, "entry": entries}


def provide(bundle):
    answer = client.execute("", method="post", data=bundle)
    assert answer["type"] == "transaction-response", answer
    statuses = [entry["response"]["status"][:3] for entry in answer["entry"]]
    assert statuses == ["201"] * len(bundle["entry"]), statuses
    places = [entry["response"]["location"].removeprefix(f"{BASE}/") for entry in answer["entry"]]
    return [place.split("/_history")[0] for place in places]


def unique():
    return f"1.3.6.1.4.1.99999.8.{uuid.uuid4().int >> 96}"


patient = client.resource("Patient", identifier=[{"system": AUTHORITY, "value": "M1"}], name=[{"family": "Rossi"}])
patient.save()
place = patient.to_reference().reference

# ITI-65, and what is refused.
first = unique()
_, document, _ = provide(submission(place, first))
broken = submission(place, unique())
del broken["entry"][1]["resource"]["type"]
try:
    client.execute("", method="post", data=broken)
    sys.exit("a submission without a type was taken")
except OperationOutcome as refusal:
    issue = refusal.resource["issue"][0]
    assert issue["details"]["coding"][0]["code"] == "XDSRegistryMetadataError", issue
    assert issue["expression"] == ["Bundle.entry[1].resource.type"], issue

# A document that takes the place of another.
second = unique()
_, replacing, _ = provide(submission(place, second, replaces=document))

# ITI-67, ITI-66.
found = client.resources("DocumentReference").search(patient__identifier=f"{AUTHORITY}|M1", status="current").fetch_all()
assert [of["masterIdentifier"]["value"] for of in found] == [f"urn:oid:{second}"], found
superseded = client.resources("DocumentReference").search(patient=place, status="superseded").fetch_all()
assert [of.to_reference().reference for of in superseded] == [document], superseded
sets = client.resources("List").search(patient=place, code="submissionset", status="current", designationType="ADMISSION")
assert len(sets.fetch_all()) == 2

# ITI-68: the URL of the attachment, as any client of HTTP gets it.
attachment = found[0]["content"][0]["attachment"]
url = attachment["url"] if "://" in attachment["url"] else f"{BASE}/{attachment['url']}"
retrieved = requests.get(url, verify=CERTIFICATE, timeout=60)
assert retrieved.status_code == 200 and retrieved.headers["content-type"] == "text/plain", retrieved.headers
assert retrieved.content == DOCUMENT and len(DOCUMENT) == attachment["size"]
print(f"fhirpy: ITI-65 taken 2, refused 1; ITI-66 found 2, ITI-67 found 1 of 2; ITI-68 {len(retrieved.content)} bytes")

"""Asks the patient index as a mobile client does (PIXm, PDQm), with clients that
know FHIR and nothing of this server (fhirpy, fhirclient), over TLS.

Usage: patients_by_fhirpy.py ORIGIN CERTIFICATE
"""

import os
import sys

# What the environment says of proxies is for elsewhere.
os.environ["NO_PROXY"] = "localhost,127.0.0.1"
ORIGIN, CERTIFICATE = sys.argv[1:3]
os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE

from fhirclient import client as smart
from fhirclient.models.patient import Patient
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import BaseFHIRError

BASE = f"{ORIGIN}/fhir"
RED, BLUE, NOBODYS = (f"urn:oid:1.3.6.1.4.1.99999.9.{number}" for number in (1, 2, 3))

client = SyncFHIRClient(BASE, requests_config={"verify": CERTIFICATE})


def fed(*identifiers, given):
    """ITI-104: a conditional update by the identifier of the source."""
    told = {
        "resourceType": "Patient", "active": True, "gender": "female", "birthDate": "1958-01-30",
        "identifier": [{"system": system, "value": value} for system, value in identifiers],
        "name": [{"family": "MOHR", "given": [given]}],
    }
    key = "|".join(identifiers[0])
    return client.execute("Patient", method="put", data=told, params={"identifier": key})


created = fed((RED, "994"), (BLUE, "B994"), given="ALISSA")
revised = fed((RED, "994"), (BLUE, "B994"), given="ALICE")
assert created["id"] == revised["id"], revised
assert revised["name"][0]["given"] == ["ALICE"], revised


def corresponding(source, **more):
    answer = client.execute("Patient/$ihe-pix", method="get", params={"sourceIdentifier": source, **more})
    assert answer["resourceType"] == "Parameters", answer
    return [of["valueIdentifier"]["value"] for of in answer.get("parameter", []) if of["name"] == "targetIdentifier"]


# ITI-83, and what is refused.
assert corresponding(f"{RED}|994") == ["B994"]
assert corresponding(f"{BLUE}|B994", targetSystem=RED) == ["994"]
refused = 0
for source, target in [(f"{RED}|nobody", BLUE), (f"{NOBODYS}|1", BLUE), (f"{RED}|994", NOBODYS)]:
    try:
        corresponding(source, targetSystem=target)
        sys.exit(f"{source} was answered")
    except BaseFHIRError:
        refused += 1

# ITI-78, by both.
found = client.resources("Patient").search(family__exact="MOHR", birthdate="1958-01-30", identifier=f"{BLUE}|").fetch_all()
assert [[of["value"] for of in patient["identifier"]] for patient in found] == [["B994"]], found
server = smart.FHIRClient(settings={"app_id": "peers", "api_base": BASE}).server
search = Patient.where({"identifier": f"{RED}|994", "active": "true"}).perform_resources(server)
assert [patient.id for patient in search] == [created["id"]], search
print(f"fhirpy, fhirclient: ITI-104 taken 2; ITI-83 answered 2, refused {refused}; ITI-78 found 2")

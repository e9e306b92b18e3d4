"""Submits the examples of MHD (FHIR Shorthand, as its guide is written) and
tells which are taken. As they stand, their unique ids have more than the 64
characters that XDS allows: each gets shorter ones, and the documents and the
patient that it refers to are those of this server.

Usage: documents_by_example.py ORIGIN CERTIFICATE MATERIAL
"""

import json
import os
import re
import sys
from pathlib import Path

os.environ["NO_PROXY"] = "localhost,127.0.0.1"

import requests

ORIGIN, CERTIFICATE, MATERIAL = sys.argv[1:4]
BASE = f"{ORIGIN}/fhir"
MHD = "https://profiles.ihe.net/ITI/MHD"
TYPES = {"SubmissionSet": "List", "Folder": "List", "DocumentReference": "DocumentReference", "ProvideBundle": "Bundle"}
ARRAYS = {
    "entry", "extension", "identifier", "contained", "name", "given", "telecom", "category", "author", "relatesTo",
    "content", "event", "related", "parameter", "part", "note", "securityLabel", "security", "profile",
    "prefix",
}
CONCEPTS = {"code", "type", "category", "securityLabel", "facilityType", "practiceSetting", "event", "valueCodeableConcept"}
CODINGS = {"format", "security"}
PEOPLE = {"Patient", "Practitioner"}
EXTENSIONS = {
    name.lower(): f"{MHD}/StructureDefinition/ihe-{name}"
    for name in ["sourceId", "designationType", "intendedRecipient", "authorOrg"]
}
SYSTEMS = {"MHDlistTypes": f"{MHD}/CodeSystem/MHDlistTypes", "MHDIdentifierType": f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType"}
# What is wrong by XDS: another size than the document has; two documents of one id that differ;
# a folder that gets members by `PUT List`, without its id; a FHIR document in the place of bytes.
REFUSED = {
    "ex-comprehensiveProvideDocumentBundleReplace": "XDSRepositoryMetadataError",
    "ex-comprehensiveProvideDocumentBundleMultiple": "XDSRegistryDuplicateUniqueIdInMessage",
    "ex-ProvideDocumentBundle-addToFolder": "value",
    "ex-comprehensiveProvideDocumentBundleDocument": "FHIRDocumentNotSupported",
}


def instances():
    """Reads the instances: what each is of, and its rules."""
    all_of = {}
    for path in sorted(Path(MATERIAL, "fsh-examples/MHD/input/fsh").glob("*.fsh")):
        text = re.sub(r'"""(.|\n)*?"""', '""', path.read_text())
        SYSTEMS.update(re.findall(r"^Alias: (\S+) = (\S+)", text, re.M))
        for block in re.split(r"^(?=(?:Instance|Profile|Extension|ValueSet|CodeSystem|Mapping|Invariant):)", text, flags=re.M):
            head = re.match(r"Instance:\s*(\S+)\s+InstanceOf:\s*(\S+)", block)
            if head:
                all_of[head[1]] = (head[2], re.findall(r"^\* ([\w.\[\]+=]+)\s+=\s+(.+?)\s*$", block, re.M))
    return all_of


INSTANCES = instances()


def value_of(text, element):
    if text.startswith('"'):
        return json.loads(text)
    if reference := re.fullmatch(r"Reference\((.+)\)", text):
        target = reference[1]
        return {"reference": target if re.search("[/:]", target) else f"#{target}"}
    if code := re.fullmatch(r'([^\s#]*)#(\S+)(?:\s+"(.*)")?', text):
        coding = {"code": code[2]}
        if code[1]:
            coding["system"] = SYSTEMS.get(code[1], code[1])
        if element in CONCEPTS and code[1]:
            return {"coding": [coding]}
        return coding if element in CODINGS else code[2]
    if text in INSTANCES:
        return resource(text)
    return int(text) if text.isdigit() else text


def resource(name):
    """Makes the resource that an instance is."""
    of, rules = INSTANCES[name]
    kind = next((made for part, made in TYPES.items() if of.endswith(part)), of)
    if of == "Bundle":
        # What is in a FHIR document is not looked at where it is refused.
        return {"resourceType": "Bundle", "type": "document"}
    made = {"resourceType": {"PatchParameters": "Parameters"}.get(kind, kind)}
    if made["resourceType"] not in ("Bundle", "Parameters"):
        made["id"] = name
    if kind == "Bundle" and of.startswith("IHE.MHD"):
        made["meta"] = {"profile": [f"{MHD}/StructureDefinition/{of}"]}
    places = {}
    for path, text in rules:
        steps = [[re.match(r"\w+", step)[0], *re.findall(r"\[(.+?)\]", step)] for step in path.split(".")]
        parent = made
        for depth, (element, *marks) in enumerate(steps):
            last = depth == len(steps) - 1
            is_single = element == "name" and made["resourceType"] not in PEOPLE or element == "identifier" and depth > 0
            is_array = element in ARRAYS or element == "encounter" and depth > 0
            if not is_array or is_single:
                if last:
                    parent[element] = value_of(text, element)
                else:
                    parent = parent.setdefault(element, {})
                continue
            items = parent.setdefault(element, [])
            slices = [mark for mark in marks if not re.fullmatch(r"[+=]|\d+", mark)]
            index = next((mark for mark in marks if mark not in slices), "0")
            key = (id(items), *slices)
            known = places.setdefault(key, [])
            if index == "+" or not known or (index.isdigit() and int(index) >= len(known)):
                known.append(len(items))
                items.append({})
            at = known[-1] if index in "+=" else known[int(index)]
            if slices and element == "extension":
                items[at].setdefault("url", EXTENSIONS[slices[0].lower()])
            if slices and element == "identifier":
                items[at].setdefault("type", {"coding": [{"system": SYSTEMS["MHDIdentifierType"], "code": slices[0]}]})
            if last:
                items[at] = value_of(text, element)
            parent = items[at]
    return made


session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE
patient = {"resourceType": "Patient", "id": "ex-patient", "identifier": [{"system": "urn:oid:1.3.6.1.4.1.99999.8", "value": "X1"}]}
assert session.put(f"{BASE}/Patient/ex-patient", json=patient).ok


def renamed(name, number, replaces):
    """Gives an example ids of its own, and lets it refer to what is here."""
    text = json.dumps(resource(name))
    text = re.sub(r"urn:oid:1\.2\.840\.113556\.1\.8000\.2554[\d.]*\.(\d+)", rf"urn:oid:1.3.6.1.4.1.99999.8.{number}.\1", text)
    return re.sub(r"DocumentReference/ex-\w+", replaces, text)


def codes(answer):
    issues = answer.json()["issue"]
    return [issue.get("details", {}).get("coding", [{"code": issue["code"]}])[0]["code"] for issue in issues]


last = "DocumentReference/none"
taken, refused = [], []
examples = [name for name, (of, _) in INSTANCES.items() if of.startswith("IHE.MHD") and of.endswith("ProvideBundle")]
for number, name in enumerate(examples, 1):
    answer = session.post(BASE, json=resource(name))
    assert answer.status_code == 422, f"{name}, as it stands: {answer.text}"
    answer = session.post(BASE, data=renamed(name, number, last), headers={"Content-Type": "application/fhir+json"})
    expected = REFUSED.get(name)
    if expected:
        assert answer.status_code == 422 and expected in codes(answer), f"{name}: {answer.status_code} {answer.text}"
        refused.append(name)
        continue
    assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text}"
    taken.append(name)
    locations = [entry["response"].get("location", "").removeprefix(f"{BASE}/") for entry in answer.json()["entry"]]
    documents = [place.split("/_history")[0] for place in locations if place.startswith("DocumentReference/")]
    last = documents[-1]
print(f"examples of MHD: {len(taken)} taken, {len(refused)} refused as they should be")

"""Compares what rsyslog received over TLS with the AuditEvents of the server:
each once and in order, as a DICOM audit message.

Usage: audit_by_rsyslog.py ORIGIN CERTIFICATE RECEIVED
"""

import pathlib
import sys
import time

import requests
from lxml import etree

ORIGIN, CERTIFICATE, RECEIVED = sys.argv[1:4]

session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE


def expect(what, is_right, seen):
    if not is_right:
        sys.exit(f"not as expected: {what}: {str(seen)[:2000]}")
    print(f"{what}: as expected")


def recorded():
    """The AuditEvents, the first first: transaction and time."""
    events, url = [], f"{ORIGIN}/fhir/AuditEvent?_sort=_lastUpdated&_count=500"
    while url:
        page = session.get(url).json()
        events += [entry["resource"] for entry in page.get("entry", [])]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return [(event["subtype"][0]["code"], event["recorded"]) for event in events]


def received():
    """What rsyslog wrote: the same of each message."""
    path = pathlib.Path(RECEIVED)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    told = []
    for line in lines:
        header, text = line.split("\t", 1)
        if header != "lanterna IHE+RFC-3881 85":
            sys.exit(f"not as expected: the header {header}")
        message = etree.fromstring(text.lstrip("\ufeff").encode())
        event = message.find("EventIdentification")
        told.append((event.find("EventTypeCode").get("csd-code"), event.get("EventDateTime")))
    return told


expected = recorded()
end = time.monotonic() + 60
while len(received()) < len(expected) and time.monotonic() < end:
    time.sleep(0.2)
seen = received()
expect(f"{len(expected)} audit messages by rsyslog over TLS, each once and in order", seen == expected, (len(seen), seen[:5]))

"""Shows itself to the server as a node by a certificate, with OpenSSL: one that an
authority vouches for is named in what is recorded, another is not let in.

Usage: nodes_by_openssl.py ORIGIN CERTIFICATE NODE NODE_KEY OTHER OTHER_KEY
"""

import socket
import ssl
import sys
import urllib.parse

import requests

ORIGIN, CERTIFICATE, NODE, NODE_KEY, OTHER, OTHER_KEY = sys.argv[1:7]
QUERY = (
    "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='http://www.w3.org/2005/08/addressing'>"
    "<s:Header><a:Action>urn:ihe:iti:2007:RegistryStoredQuery</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>"
    "<s:Body><query:AdhocQueryRequest xmlns:query='urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0'>"
    "<query:ResponseOption returnComposedObjects='true' returnType='ObjectRef'/>"
    "<AdhocQuery xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0' id='urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4'>"
    "<Slot name='$XDSDocumentEntryUniqueId'><ValueList><Value>('1.99.1')</Value></ValueList></Slot>"
    "</AdhocQuery></query:AdhocQueryRequest></s:Body></s:Envelope>"
)


def session(*node):
    made = requests.Session()
    made.trust_env = False
    made.verify = CERTIFICATE
    made.cert = node or None
    return made


def expect(what, is_right, seen=""):
    if not is_right:
        sys.exit(f"not as expected: {what}: {str(seen)[:2000]}")
    print(f"{what}: as expected")


node = session(NODE, NODE_KEY)
answer = node.post(f"{ORIGIN}/xds/registry", data=QUERY, headers={"Content-Type": "application/soap+xml"})
expect("ITI-18 of a node", "ResponseStatusType:Success" in answer.text, answer.text)
event = node.get(f"{ORIGIN}/fhir/AuditEvent?subtype=ITI-18&_sort=-date&_count=1").json()["entry"][0]["resource"]
sender = event["agent"][0]
expect("it is named in what is recorded", sender.get("name") == "CN=localhost" and sender["altId"].startswith("sha256:"), sender)
try:
    answer = session(OTHER, OTHER_KEY).get(f"{ORIGIN}/health/live")
    expect("another is not let in", False, answer.status_code)
except requests.exceptions.RequestException as refused:
    expect("another is not let in", "alert" in str(refused).lower(), refused)
place = urllib.parse.urlsplit(ORIGIN)
for version in [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
    context = ssl.create_default_context(cafile=CERTIFICATE)
    # What this machine allows of old versions is not what is asked.
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection((place.hostname, place.port)) as connection:
            with context.wrap_socket(connection, server_hostname=place.hostname) as secure:
                seen = secure.version()
    except (ssl.SSLError, OSError) as refused:
        seen = f"refused: {refused}"
    expect(f"{version.name}: {seen}", seen.startswith("refused") == (version == ssl.TLSVersion.TLSv1_1), seen)

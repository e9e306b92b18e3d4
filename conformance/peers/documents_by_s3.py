"""Shares documents with a server that keeps them in a bucket: an S3 server of
others (moto) has what is shared, whatever its size, and when it is away nothing
is registered.

Usage: documents_by_s3.py BINARY WORK S3_PORT
"""

import hashlib
import pathlib
import re
import signal
import subprocess
import sys
import time

import boto3
import requests

BINARY, WORK, S3_PORT = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
ENDPOINT = f"http://127.0.0.1:{S3_PORT}"
BUCKET, PREFIX = "documents", "region/one"
LARGE = 200 << 20
PATIENT = "S3^^^&amp;1.2.3&amp;ISO"
BOUNDARY = "=_of_a_peer"
KEYS = {"AWS_ACCESS_KEY_ID": "peer", "AWS_SECRET_ACCESS_KEY": "hidden-from-logs"}

session = requests.Session()
session.trust_env = False


def expect(what, is_right, seen=""):
    if not is_right:
        sys.exit(f"not as expected: {what}: {str(seen)[:2000]}")
    print(f"{what}: as expected", flush=True)


def until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if is_so():
                return
        except (requests.RequestException, OSError):
            pass
        time.sleep(0.1)
    sys.exit(f"not in {seconds} seconds: {what}")


def free_port():
    import socket

    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def storage():
    """Starts the S3 server; what it has is in its memory."""
    program = pathlib.Path(sys.executable).with_name("moto_server")
    log = open(WORK / "s3.log", "a")
    started = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(S3_PORT)], stdout=log, stderr=log)
    until("the S3 server", lambda: session.get(ENDPOINT, timeout=5).status_code < 500)
    return started


def lanterna(data, prefix=PREFIX):
    """Starts a server; returns it and where it is."""
    settings = WORK / f"{data}.toml"
    settings.write_text(f'[documents]\nstore = "s3://{BUCKET}/{prefix}"\nendpoint = "{ENDPOINT}"\n')
    port = free_port()
    log = open(WORK / "documents.log", "a")
    command = [BINARY, "serve", "--listen", f"127.0.0.1:{port}", "--mllp", "off", "--data", WORK / data, "--config", settings, "--log", "debug"]
    started = subprocess.Popen(command, stdout=log, stderr=log, env=KEYS)
    origin = f"http://127.0.0.1:{port}"
    until("the server", lambda: started.poll() is not None or session.get(f"{origin}/health/ready", timeout=5).ok)
    return started, origin


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def slot(name, value):
    return f"<Slot name='{name}'><ValueList><Value>{value}</Value></ValueList></Slot>"


def code(scheme, of, value):
    return (
        f"<Classification id='c{scheme}{of}' classificationScheme='urn:uuid:{scheme}' classifiedObject='{of}' "
        f"nodeRepresentation='{value}'>{slot('codingScheme', '1.2.3.4')}<Name><LocalizedString value='{value}'/></Name></Classification>"
    )


def identifier(scheme, of, value):
    return (
        f"<ExternalIdentifier id='i{scheme}{of}' identificationScheme='urn:uuid:{scheme}' registryObject='{of}' "
        f"value='{value}'><Name><LocalizedString value='x'/></Name></ExternalIdentifier>"
    )


def submission(unique_id):
    codes = "".join(
        code(scheme, "d", "CODE")
        for scheme in [
            "41a5887f-8865-4c09-adf7-e362475b143a", "f4f85eac-e6cb-4883-b524-f2705394840f",
            "a09d5840-386c-46f2-b5ad-9c3699a4309d", "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
            "cccf5598-8b07-4b77-a05e-ae952c785ead", "f0306f51-975f-434e-a61c-c59651d33983",
        ]
    )
    return (
        "<ProvideAndRegisterDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'>"
        "<lcm:SubmitObjectsRequest xmlns:lcm='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0'>"
        "<RegistryObjectList xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'>"
        f"<RegistryPackage id='set'>{slot('submissionTime', '20260102030405')}"
        f"{code('aa543740-bdda-424e-8c96-df4873be8500', 'set', 'ADMISSION')}"
        f"{identifier('6b5aea1a-874d-4603-a4bc-96a0a7b38446', 'set', PATIENT)}"
        f"{identifier('554ac39e-e3fe-47fe-b233-965d2a147832', 'set', '1.2.3.5')}"
        f"{identifier('96fdda7c-d067-4183-912e-bf5ee74998a8', 'set', unique_id + '.9')}</RegistryPackage>"
        "<Classification id='nset' classificationNode='urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd' classifiedObject='set'/>"
        "<ExtrinsicObject id='d' mimeType='application/octet-stream' objectType='urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1'>"
        f"{slot('creationTime', '20260102')}{slot('languageCode', 'it-IT')}{slot('sourcePatientId', 'S1^^^&amp;1.9&amp;ISO')}"
        f"{slot('sourcePatientInfo', 'PID-5|Rossi^Maria')}<Name><LocalizedString value='Referto'/></Name>{codes}"
        f"{identifier('58a6f841-87b3-4a3e-92fd-a8ffeff98427', 'd', PATIENT)}"
        f"{identifier('2e82c1f6-a085-4c72-9da3-8640a32e42ab', 'd', unique_id)}</ExtrinsicObject>"
        "<Association id='as' associationType='urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember' sourceObject='set' "
        f"targetObject='d'>{slot('SubmissionSetStatus', 'Original')}</Association>"
        "</RegistryObjectList></lcm:SubmitObjectsRequest>"
        "<Document id='d'><xop:Include xmlns:xop='http://www.w3.org/2004/08/xop/include' href='cid:d'/></Document>"
        "</ProvideAndRegisterDocumentSetRequest>"
    )


def envelope(action, body):
    return (
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='http://www.w3.org/2005/08/addressing'>"
        f"<s:Header><a:Action>urn:ihe:iti:2007:{action}</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


def chunks(size):
    """Bytes of a document, the same for the same size."""
    block = bytes(range(251)) * 4177
    while size > 0:
        yield block[:size]
        size -= len(block)


def provide(origin, unique_id, size):
    """ITI-41, sent as it is made."""

    def message():
        yield (
            f'--{BOUNDARY}\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root>\r\n\r\n'
            f"{envelope('ProvideAndRegisterDocumentSet-b', submission(unique_id))}"
            f"\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-ID: <d>\r\n\r\n"
        ).encode()
        yield from chunks(size)
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    content_type = f'multipart/related; boundary="{BOUNDARY}"; start="<root>"; type="application/xop+xml"'
    return session.post(f"{origin}/xds/repository", data=message(), headers={"Content-Type": content_type}, timeout=300)


def retrieve(origin, unique_id, repository):
    """ITI-43; returns the answer, as it arrives."""
    body = (
        f"<RetrieveDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'><DocumentRequest><RepositoryUniqueId>{repository}"
        f"</RepositoryUniqueId><DocumentUniqueId>{unique_id}</DocumentUniqueId></DocumentRequest></RetrieveDocumentSetRequest>"
    )
    headers = {"Content-Type": "application/soap+xml"}
    message = envelope("RetrieveDocumentSet", body)
    return session.post(f"{origin}/xds/repository", data=message, headers=headers, stream=True, timeout=300)


def memory(process):
    """The most bytes that a process ever had in memory."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def count(origin, search):
    return session.get(f"{origin}/fhir/{search}&_summary=count").json()["total"]


s3 = boto3.client(
    "s3", endpoint_url=ENDPOINT, region_name="us-east-1",
    aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
)


def objects():
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX + "/").get("Contents", [])
    return {found["Key"].rsplit("/", 1)[1]: found["Size"] for found in listed}


store = storage()
server = second = None
try:
    s3.create_bucket(Bucket=BUCKET)
    server, origin = lanterna("one")
    patient = {"resourceType": "Patient", "id": "s3", "identifier": [{"system": "urn:oid:1.2.3", "value": "S3"}]}
    expect("a patient", session.put(f"{origin}/fhir/Patient/s3", json=patient).status_code == 201)
    done = provide(origin, "1.2.3.1", 5)
    expect("ITI-41 of a small document", "ResponseStatusType:Success" in done.text, done.text)
    before = memory(server)
    done = provide(origin, "1.2.3.2", LARGE)
    expect(f"ITI-41 of {LARGE >> 20} MB", "ResponseStatusType:Success" in done.text, done.text)
    name = hashlib.sha256()
    for chunk in chunks(LARGE):
        name.update(chunk)
    expect("the bucket has it by its hash", objects().get(name.hexdigest()) == LARGE, objects())
    uploaded = s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{name.hexdigest()}")["ETag"]
    expect("it came in parts", uploaded.strip('"').endswith(f"-{LARGE >> 23}"), uploaded)
    there = objects()
    done = provide(origin, "1.2.3.3", LARGE)
    expect("the same bytes again are stored once", "Success" in done.text and objects() == there, objects())

    references = session.get(f"{origin}/fhir/DocumentReference?patient=s3").json()["entry"]
    large = [entry["resource"] for entry in references if entry["resource"]["content"][0]["attachment"]["size"] == LARGE]
    binary = large[0]["content"][0]["attachment"]["url"]

    def hash_of_binary():
        answer = session.get(f"{origin}/fhir/{binary}", headers={"Accept": "application/octet-stream"}, stream=True, timeout=300)
        seen = hashlib.sha256()
        for chunk in answer.iter_content(1 << 20):
            seen.update(chunk)
        return answer.status_code, seen.hexdigest()

    expect("Binary gives its bytes", hash_of_binary() == (200, name.hexdigest()))
    find = envelope(
        "RegistryStoredQuery",
        "<query:AdhocQueryRequest xmlns:query='urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0'>"
        "<query:ResponseOption returnComposedObjects='true' returnType='LeafClass'/>"
        "<AdhocQuery xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0' id='urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4'>"
        f"{slot('$XDSDocumentEntryUniqueId', chr(40) + chr(39) + '1.2.3.2' + chr(39) + chr(41))}</AdhocQuery></query:AdhocQueryRequest>",
    )
    found = session.post(f"{origin}/xds/registry", data=find, headers={"Content-Type": "application/soap+xml"}).text
    repository = re.search(r'name="repositoryUniqueId"><rim:ValueList><rim:Value>([^<]+)', found)[1]
    given, total, block = retrieve(origin, "1.2.3.2", repository), 0, next(chunks(1 << 20))
    for chunk in given.iter_content(1 << 20):
        total += len(chunk)
    expect("ITI-43 gives as many bytes and its message", LARGE < total < LARGE + 10_000, total)
    grown = memory(server) - before
    expect("none of it was in memory at once", grown < LARGE // 2, grown)
    print(f"memory grew by {grown >> 20} MB")

    # The same prefix is not another server's.
    second, _ = lanterna("two")
    second.wait(30)
    expect("another server does not start at the same place", second.returncode not in (None, 0))

    # The storage is away: what is stored stays registered, and nothing else is. Small documents are in the database.
    registered = count(origin, "DocumentReference?patient=s3")
    store.kill()
    store.wait(30)
    refused = provide(origin, "1.2.3.4", 100_007)
    expect("a submission without the storage is refused", refused.status_code == 500 and "is away" in refused.text, refused.text)
    expect("nothing of it is registered", count(origin, "DocumentReference?patient=s3") == registered)
    answer = session.get(f"{origin}/fhir/{binary}", headers={"Accept": "application/octet-stream"})
    expect("Binary says that the storage is away", answer.status_code == 503, answer.status_code)
    missing = retrieve(origin, "1.2.3.2", repository).text
    expect("ITI-43 says so too", "XDSRepositoryBusy" in missing, missing)
    expect("the server is ready for the rest", session.get(f"{origin}/health/ready").ok)
    end(server)
    server, origin = lanterna("one")
    expect("it starts without the storage", server.poll() is None)
    store = storage()
    s3.create_bucket(Bucket=BUCKET)
    done = provide(origin, "1.2.3.5", 100_009)
    expect("it stores again when that is back", "ResponseStatusType:Success" in done.text, done.text)
    end(server)
    server, origin = lanterna("one")
    references = session.get(f"{origin}/fhir/DocumentReference?patient=s3&_sort=-_lastUpdated").json()["entry"]
    binary = references[0]["resource"]["content"][0]["attachment"]["url"]
    answer = session.get(f"{origin}/fhir/{binary}", headers={"Accept": "application/octet-stream"})
    expect("what was stored is there after a restart", answer.content == b"".join(chunks(100_009)), len(answer.content))
    told = (WORK / "documents.log").read_text()
    expect("no secret is in the log", KEYS["AWS_SECRET_ACCESS_KEY"] not in told)
finally:
    for process in [server, second, store]:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(30)

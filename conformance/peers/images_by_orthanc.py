"""Shares the studies of the samples and fetches their images, over TLS: Orthanc
has the images, dicomweb-client stores and fetches them through the server, and
a SOAP client shares the manifests (RAD-68) and retrieves by them (RAD-69).

Usage: images_by_orthanc.py ORIGIN CERTIFICATE STUDIES REPOSITORY
"""

import email
import io
import pathlib
import sys

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from lxml import etree

ORIGIN, CERTIFICATE, STUDIES, REPOSITORY = sys.argv[1:5]
AUTHORITY = "1.3.6.1.4.1.99999.8"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
MANIFEST = "113030"
BOUNDARY = "=_of_a_modality"
FHIR = {"content-type": "application/fhir+json"}

session = requests.Session()
session.trust_env = False
session.verify = CERTIFICATE


def expect(what, is_right, seen):
    if not is_right:
        sys.exit(f"not as expected: {what}: {str(seen)[:2000]}")
    print(f"{what}: as expected")


def send(door, action, body, attached=b""):
    """Sends a message of several parts; returns the parts of the answer."""
    envelope = (
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='http://www.w3.org/2005/08/addressing'>"
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
    head = f"--{BOUNDARY}\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n".encode()
    message = head + envelope
    if attached:
        part = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-ID: <kos>\r\n\r\n"
        message += part.encode() + attached
    message += f"\r\n--{BOUNDARY}--\r\n".encode()
    content_type = f'multipart/related; type="application/xop+xml"; start="<root>"; boundary="{BOUNDARY}"'
    answer = session.post(f"{ORIGIN}/{door}", data=message, headers={"content-type": content_type})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    made = email.message_from_bytes(head + answer.content)
    if not made.is_multipart():
        sys.exit(f"no answer of several parts: {answer.text[:2000]}")
    return [part.get_payload(decode=True) for part in made.get_payload()]


def slot(name, value):
    return f"<Slot name='{name}'><ValueList><Value>{value}</Value></ValueList></Slot>"


def code(scheme, of, value, system="1.2.3.4"):
    return (
        f"<Classification id='c{scheme}{of}' classificationScheme='urn:uuid:{scheme}' classifiedObject='{of}' "
        f"nodeRepresentation='{value}'>{slot('codingScheme', system)}<Name><LocalizedString value='x'/></Name></Classification>"
    )


def identifier(scheme, of, value):
    return (
        f"<ExternalIdentifier id='i{scheme}{of}' identificationScheme='urn:uuid:{scheme}' registryObject='{of}' "
        f"value='{value}'><Name><LocalizedString value='x'/></Name></ExternalIdentifier>"
    )


def submission(patient, unique_id):
    codes = [
        code("41a5887f-8865-4c09-adf7-e362475b143a", "d", "IMG"), code("f4f85eac-e6cb-4883-b524-f2705394840f", "d", "N"),
        code("a09d5840-386c-46f2-b5ad-9c3699a4309d", "d", KEY_OBJECT_SELECTION, "1.2.840.10008.2.6.1"),
        code("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "d", "HOSP"), code("cccf5598-8b07-4b77-a05e-ae952c785ead", "d", "RAD"),
        code("f0306f51-975f-434e-a61c-c59651d33983", "d", "MR"),
    ]
    return (
        "<ProvideAndRegisterDocumentSetRequest xmlns='urn:ihe:iti:xds-b:2007'>"
        "<lcm:SubmitObjectsRequest xmlns:lcm='urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0'>"
        "<RegistryObjectList xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'>"
        "<ExtrinsicObject id='d' mimeType='application/dicom' objectType='urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1'>"
        f"{slot('creationTime', '20260102')}{slot('languageCode', 'it-IT')}{slot('sourcePatientId', patient)}"
        f"{slot('sourcePatientInfo', 'PID-5|Rossi^Maria')}{''.join(codes)}"
        f"{identifier('58a6f841-87b3-4a3e-92fd-a8ffeff98427', 'd', patient)}"
        f"{identifier('2e82c1f6-a085-4c72-9da3-8640a32e42ab', 'd', unique_id)}</ExtrinsicObject>"
        f"<RegistryPackage id='s'>{slot('submissionTime', '20260102030405')}"
        f"{code('aa543740-bdda-424e-8c96-df4873be8500', 's', 'ADMISSION')}"
        f"{identifier('6b5aea1a-874d-4603-a4bc-96a0a7b38446', 's', patient)}"
        f"{identifier('554ac39e-e3fe-47fe-b233-965d2a147832', 's', '1.2.3.5')}"
        f"{identifier('96fdda7c-d067-4183-912e-bf5ee74998a8', 's', unique_id[:50] + '.1')}</RegistryPackage>"
        "<Classification id='n' classificationNode='urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd' classifiedObject='s'/>"
        "<Association id='m' associationType='urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember' sourceObject='s' "
        f"targetObject='d'>{slot('SubmissionSetStatus', 'Original')}</Association>"
        "</RegistryObjectList></lcm:SubmitObjectsRequest><Document id='d'>"
        "<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:kos'/></Document>"
        "</ProvideAndRegisterDocumentSetRequest>"
    )


def retrieval(study, series, syntax="1.2.840.10008.1.2.1", repository=REPOSITORY):
    requests_of = "".join(
        f"<r:SeriesRequest seriesInstanceUID='{uid}'>" + "".join(
            f"<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
            f"<x:DocumentUniqueId>{instance}</x:DocumentUniqueId></x:DocumentRequest>" for instance in instances
        ) + "</r:SeriesRequest>" for uid, instances in series.items()
    )
    return (
        "<r:RetrieveImagingDocumentSetRequest xmlns:r='urn:ihe:rad:xdsi-b:2009' xmlns:x='urn:ihe:iti:xds-b:2007'>"
        f"<r:StudyRequest studyInstanceUID='{study}'>{requests_of}</r:StudyRequest><r:TransferSyntaxUIDList>"
        f"<r:TransferSyntaxUID>{syntax}</r:TransferSyntaxUID></r:TransferSyntaxUIDList>"
        "</r:RetrieveImagingDocumentSetRequest>"
    )


web = DICOMwebClient(url=f"{ORIGIN}/dicomweb", session=session)
for number, folder in enumerate(sorted(pathlib.Path(STUDIES).iterdir())):
    images = [pydicom.dcmread(path) for path in sorted((folder / "images").glob("*.dcm"))]
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    web.store_instances(images)
    print(f"{folder.name}: {len(images)} images stored by STOW-RS")
    manifest = (folder / "kos/kos.dcm").read_bytes()
    kos = pydicom.dcmread(io.BytesIO(manifest))
    patient = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{AUTHORITY}", "value": f"I{number}"}]}
    created = session.post(f"{ORIGIN}/fhir/Patient", json=patient, headers=FHIR)
    expect("the patient", created.status_code == 201, created.text)
    place = f"Patient/{created.json()['id']}"
    body = submission(f"I{number}^^^&amp;{AUTHORITY}&amp;ISO", str(kos.SOPInstanceUID))
    action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    (answer,) = send("xds/repository", action, body, manifest)
    expect("RAD-68", b"ResponseStatusType:Success" in answer, answer)
    # What only says to be a manifest is refused whole.
    (answer,) = send("xds/repository", action, body.replace("value='1.2.3.5'", "value='1.2.3.6'"), manifest[:400])
    expect("no manifest", b"XDSRepositoryMetadataError" in answer, answer)

    (evidence,) = kos.CurrentRequestedProcedureEvidenceSequence
    study = str(evidence.StudyInstanceUID)
    series = {
        str(one.SeriesInstanceUID): [str(image.ReferencedSOPInstanceUID) for image in one.ReferencedSOPSequence]
        for one in evidence.ReferencedSeriesSequence
    }
    asked = [instance for instances in series.values() for instance in instances]
    found = session.get(f"{ORIGIN}/fhir/ImagingStudy", params={"identifier": f"urn:dicom:uid|urn:oid:{study}"}).json()
    expect("the ImagingStudy", found["total"] == 1, found)
    imaging = found["entry"][0]["resource"]
    seen = {one["uid"]: [image["uid"] for image in one["instance"]] for one in imaging["series"]}
    expect("its series and instances", seen == series and imaging["numberOfInstances"] == len(asked), imaging)
    modalities = {one["modality"]["code"] for one in imaging["series"]}
    expect("its modality", modalities == {str(image.Modality) for image in images}, modalities)
    expect("its patient", imaging["subject"]["reference"] == place, imaging["subject"])
    checked = session.post(f"{ORIGIN}/fhir/ImagingStudy/$validate", json=imaging, headers=FHIR).json()
    expect("a valid ImagingStudy", all(i["severity"] not in ("error", "fatal") for i in checked["issue"]), checked)

    action = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
    stored_in = str(images[0].file_meta.TransferSyntaxUID)
    root, *documents = send("xdsi", action, retrieval(study, series, stored_in))
    expect("RAD-69", b"ResponseStatusType:Success" in root, root)
    told = etree.fromstring(root).iter("{urn:ihe:iti:xds-b:2007}DocumentUniqueId")
    expect("each image once, in order", [one.text for one in told] == asked, root)
    for instance, document in zip(asked, documents, strict=True):
        image = pydicom.dcmread(io.BytesIO(document))
        is_it = str(image.SOPInstanceUID) == instance and image.PixelData == by_uid[instance].PixelData
        if not is_it or str(image.file_meta.TransferSyntaxUID) != stored_in:
            sys.exit(f"not as expected: the image {instance}")
    print(f"{len(documents)} images by RAD-69: as expected")
    # In another transfer syntax, which the source makes of it.
    root, document = send("xdsi", action, retrieval(study, {next(iter(series)): [next(iter(series.values()))[0]]}))
    image = pydicom.dcmread(io.BytesIO(document))
    expect("another transfer syntax", str(image.file_meta.TransferSyntaxUID) == "1.2.840.10008.1.2.1", image.file_meta)
    for wrong, expected in [
        (retrieval(study, {next(iter(series)): ["1.2.3.4"]}), b"XDSDocumentUniqueIdError"),
        (retrieval(study, series, repository="1.2.3.4"), b"XDSUnknownRepositoryId"),
        (retrieval("x", series), b"XDSIRequestError"),
    ]:
        root, *documents = send("xdsi", action, wrong)
        expect(expected.decode(), expected in root and not documents, root)

    one = next(iter(series))
    fetched = web.retrieve_series(study, one)
    of_series = {str(image.SOPInstanceUID) for image in images if str(image.SeriesInstanceUID) == one}
    expect("WADO-RS", {str(image.SOPInstanceUID) for image in fetched} == of_series, len(fetched))
    listed = web.search_for_series(study)
    expect("QIDO-RS", {entry["0020000E"]["Value"][0] for entry in listed} >= set(series), listed)
    for path in ["tools/create-archive", "studies/..%2f..%2finstances"]:
        answer = session.get(f"{ORIGIN}/dicomweb/{path}")
        expect("nothing but DICOMweb is passed through", answer.status_code == 404, answer.text)
    audited = session.get(f"{ORIGIN}/fhir/AuditEvent", params={"patient": place, "_count": 100}).json()
    codes = {entry["resource"]["subtype"][0]["code"] for entry in audited["entry"]}
    expect("what was done is recorded of the patient", {"ITI-41", "RAD-107", "RAD-129"} <= codes, codes)
